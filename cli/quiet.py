"""Long work without output that nobody wants."""

from __future__ import annotations

import io
import logging
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout

PACKAGE = __package__.partition(".")[0]


@contextmanager
def quiet_corpora() -> Iterator[None]:
    """Show progress bars of `datasets` on terminals alone, and no warning that the command prints itself."""
    from ..data import builders as data_builders
    from ..data.progress import progress_bars_on_terminals

    builders = logging.getLogger(data_builders.__name__)
    level = builders.level
    builders.setLevel(logging.ERROR)
    try:
        with progress_bars_on_terminals():
            yield
    finally:
        builders.setLevel(level)


@contextmanager
def quiet_models() -> Iterator[None]:
    """Show neither the notices of transformers nor its bars for reading and writing weights, unless `-v` was given.

    Downloads have a bar on a terminal.
    """
    from huggingface_hub.utils import are_progress_bars_disabled, enable_progress_bars
    from transformers.utils import logging as messages

    if logging.getLogger(PACKAGE).isEnabledFor(logging.DEBUG):
        yield
        return
    verbosity, had_bars = messages.get_verbosity(), messages.is_progress_bar_enabled()
    had_downloads = not are_progress_bars_disabled()
    messages.set_verbosity_error()
    # This also disables the bars of downloads.
    messages.disable_progress_bar()
    if had_downloads and sys.stderr.isatty():
        enable_progress_bars()
    try:
        yield
    finally:
        messages.set_verbosity(verbosity)
        if had_bars:
            messages.enable_progress_bar()
        if had_downloads:
            enable_progress_bars()


@contextmanager
def quiet_tracing() -> Iterator[None]:
    """Show no steps and no warnings of the libraries that trace a model, unless `-v` was given."""
    if logging.getLogger(PACKAGE).isEnabledFor(logging.DEBUG):
        yield
        return
    tracer = logging.getLogger("torch.onnx")
    level = tracer.level
    tracer.setLevel(logging.ERROR)
    try:
        # torch prints its steps.
        with redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        tracer.setLevel(level)
