"""Files and folders that appear only after they are complete."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from filelock import FileLock, Timeout

from ..modeling.schema_plmarker import PLMarkerError


def has_ending(path: str | Path, endings: str | tuple[str, ...]) -> bool:
    """Whether a name has one of these endings, which are in small letters. Some systems write them in capitals.

    Example:
        >>> has_ending("corpus/TRAIN.JSONL", (".json", ".jsonl"))
        True
    """
    return Path(path).name.lower().endswith(endings)


def files_with_ending(folder: Path, ending: str) -> list[Path]:
    """The files of a folder and of its subfolders whose names have an ending, sorted."""
    return [path for path in visible_files(folder) if has_ending(path, ending)]


def is_hidden(name: str) -> bool:
    """Whether a file or folder of this name is hidden, or is what a Mac adds to archives."""
    return name.startswith(".") or name == "__MACOSX"


def visible_files(folder: Path) -> list[Path]:
    """The files of a folder and of its subfolders, sorted, without hidden ones and those in hidden folders."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return sorted(path for path in files if not any(map(is_hidden, path.relative_to(folder).parts)))


def partner(path: Path, ending: str, other: str) -> Path:
    """The file that has another ending in place of `ending`, as in pairs such as `a.txt` and `a.ann`.

    Returns:
        The path. There may be no such file.
    """
    stem = path.name[: -len(ending)]
    usual, capitals = path.with_name(stem + other), path.with_name(stem + other.upper())
    # Where the case of names means nothing, both are one file.
    return capitals if capitals.is_file() and not usual.is_file() else usual


def file_to_write(path: str | Path) -> Path:
    """The place where a file is to be written, see `place_to_write`.

    Raises:
        PLMarkerError: for a folder, and as in `place_to_write`.
    """
    path = Path(path)
    if path.is_dir():
        raise PLMarkerError(f"{path}: this is a folder, expected a file to write")
    return place_to_write(path)


def place_to_write(path: Path) -> Path:
    """The place where a file or folder is to be made. A rename would put a file in the place of a device.

    Returns:
        The path; for a link the place that it leads to.

    Raises:
        PLMarkerError: for a device or a pipe, for a place below a file, and where writing is not permitted.
    """
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise PLMarkerError(f"{path}: this is a device or a pipe, expected a file to write")
    path = path.resolve() if path.is_symlink() else path
    above = path if path.is_dir() else next((parent for parent in path.absolute().parents if parent.exists()), path)
    if not above.is_dir():
        raise PLMarkerError(f"{path}: {above} is a file, expected a folder")
    if not os.access(above, os.W_OK):
        raise PLMarkerError(f"{path}: writing in {above} is not permitted")
    return path


@contextmanager
def whole_file(path: str | Path) -> Iterator[TextIO]:
    """Open a UTF-8 text file for writing.

    The text goes to a temporary file first. If the block ends without an error, this file gets the name `path` and
    replaces an older file. Line ends are not converted, so that character offsets stay valid on every system.

    Example:
        `with whole_file("notes.txt") as file: file.write("done")`

    Args:
        path: the file. Missing parent folders are created.

    Raises:
        PLMarkerError: see `file_to_write`.
    """
    path = file_to_write(path)
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
    """Create a folder.

    The block writes into a temporary folder, which gets the name `path` if the block ends without an error. Files that
    the block creates beside the temporary folder are deleted at the end.

    Args:
        path: the folder. Missing parent folders are created.
        replace: if true, replace an older folder.

    Yields:
        The temporary folder.

    Raises:
        PLMarkerError: if `replace` is false and `path` is a file or a folder that is not empty.
    """
    path = Path(path)
    if path.exists() and not replace and (not path.is_dir() or any(path.iterdir())):
        raise PLMarkerError(f"{path}: this path exists already, expected a new or empty folder")
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{path.name}-", dir=path.parent) as temporary:
        partial = Path(temporary) / "partial"
        partial.mkdir()
        yield partial
        if path.exists():
            # A rename is fast, so the path is missing only for a moment.
            path.rename(Path(temporary) / "before")
        partial.rename(path)


@contextmanager
def sole_writer(path: str | Path) -> Iterator[None]:
    """Make sure that one process at a time writes a file or a folder.

    The lock is a file beside `path`. It ends with its process, however that ends.

    Raises:
        PLMarkerError: at once, if another process has the lock.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path.with_name(f".{path.name}.lock"))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise PLMarkerError(f"{path}: another process is writing it") from None
    try:
        yield
    finally:
        Path(lock.lock_file).unlink(missing_ok=True)
        lock.release()


def write_json(path: str | Path, values: Any) -> None:
    """Write JSON. The file appears whole or not at all."""
    with whole_file(path) as file:
        file.write(json.dumps(values, indent=1, ensure_ascii=False) + "\n")
