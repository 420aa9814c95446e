"""Long work without output that nobody wants."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from ..data import builders as data_builders
from ..data.progress import progress_bars_on_terminals


@contextmanager
def quiet() -> Iterator[None]:
    """Show progress bars on terminals alone, and no warning that the command prints itself."""
    builders = logging.getLogger(data_builders.__name__)
    level = builders.level
    builders.setLevel(logging.ERROR)
    try:
        with progress_bars_on_terminals():
            yield
    finally:
        builders.setLevel(level)
