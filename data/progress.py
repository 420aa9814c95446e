"""The progress bars of `datasets`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import datasets


@contextmanager
def progress_bars_on_terminals() -> Iterator[None]:
    """Disable the progress bars of `datasets` inside the block if standard error is not a terminal.

    Progress bars would fill a log file with control characters.
    """
    if sys.stderr.isatty() or not datasets.is_progress_bar_enabled():
        yield
        return
    datasets.disable_progress_bars()
    try:
        yield
    finally:
        datasets.enable_progress_bars()
