"""Files and folders that appear whole or not at all."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from ..modeling.schema_plmarker import PLMarkerError


@contextmanager
def whole_file(path: str | Path) -> Iterator[TextIO]:
    """Open a text file for writing; it takes its name, and the place of an older one, when all is written.

    Line ends are written as they are given, so that character offsets hold on every system.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    try:
        with partial.open("w", encoding="utf-8", newline="") as file:
            yield file
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def whole_folder(path: str | Path, replace: bool = False) -> Iterator[Path]:
    """A folder to write into; it takes its name when all is written. What lies beside it is removed then.

    Args:
        replace: it takes the place of an older one.

    Raises:
        PLMarkerError: when there is a folder of that name that is not empty, and not to be replaced.
    """
    path = Path(path)
    if path.exists() and not replace and (not path.is_dir() or any(path.iterdir())):
        raise PLMarkerError(f"{path}: exists; it would be written over")
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{path.name}-", dir=path.parent) as temporary:
        partial = Path(temporary) / "partial"
        partial.mkdir()
        yield partial
        if path.exists():
            # Its place is never empty for longer than a moment.
            path.rename(Path(temporary) / "before")
        partial.rename(path)
