"""Progress bars of datasets where somebody sees them move, and nowhere else."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import datasets


@contextmanager
def bars_on_terminals() -> Iterator[None]:
    """Without datasets' progress bars where standard error is no terminal."""
    if sys.stderr.isatty() or not datasets.is_progress_bar_enabled():
        yield
        return
    datasets.disable_progress_bars()
    try:
        yield
    finally:
        datasets.enable_progress_bars()
