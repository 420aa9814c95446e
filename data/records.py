"""The inputs of `plmarker predict`, one record for each document: lines of files, rows of Parquet and of datasets.

Reading a record costs next to nothing. What a record says is looked at by `document_of`, perhaps on another machine.
"""

from __future__ import annotations

import json
import reprlib
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any

from ..modeling.schema_plmarker import PLMarkerError, one_sentence
from .documents import STANDARD_INPUT, existing_file, lines_with_numbers, parse_line
from .files import has_ending
from .formats import FORMATS
from .formats.unread import JSON_ENDINGS, unread_kind

# What is read of a row with columns.
COLUMNS = ("doc_key", "text", "sentences", "entities", "predicted_ner")
PARQUET = ".parquet"
FILE_ENDINGS = (*JSON_ENDINGS, ".txt", ".gz", PARQUET)
ROWS_AT_ONCE = 256


@dataclass(frozen=True)
class Record:
    """One document of an input, not looked at yet.

    Args:
        place: file and line, for messages.
        key: its name, where it has no `doc_key`.
        line: the raw text, or the document as JSON.
        is_json: whether `line` is JSON.
    """

    place: str
    key: str
    line: str
    is_json: bool

    @property
    def checksum(self) -> str:
        """A short checksum of everything that a result depends on."""
        read = f"{self.key}\n{self.line}"
        return f"{zlib.crc32(read.encode('utf-8', 'surrogatepass')):08x}"


@dataclass(frozen=True)
class Inputs:
    """The documents that a command names. They can be read several times, by several processes.

    Args:
        name: a file, as `read_lines` and `read_parquet` take them; a folder or a Hub id of a dataset; or `-`, standard
            input, which can be read once.
        split: the split of a dataset. It may be left out where there is one.
        config_name: the configuration of a dataset.

    Example:
        >>> [record.key for record in Inputs("texts.txt").records()]  # doctest: +SKIP
        ['texts-1', 'texts-2']
    """

    name: str
    split: str | None = None
    config_name: str | None = None

    @property
    def is_dataset(self) -> bool:
        """Whether the name is that of a dataset, and not of a file."""
        path = Path(self.name)
        if self.name == STANDARD_INPUT or path.exists():
            return path.is_dir()
        return len(path.parts) == 2 and not path.is_absolute() and not has_ending(path, FILE_ENDINGS)

    def check(self) -> None:
        """Make sure that a file is there, without loading a library.

        Raises:
            PLMarkerError: for a missing file, and for a split of a file.
        """
        if self.is_dataset:
            return
        if self.split is not None or self.config_name is not None:
            raise PLMarkerError(f"{self.name}: a file has no splits and no configurations")
        if self.name != STANDARD_INPUT:
            existing_file(self.name)
            _check_is_text(Path(self.name))

    def records(self, start: int = 0) -> Iterator[Record]:
        """The records, in order, from a number on.

        Raises:
            PLMarkerError: for a missing file, a dataset that cannot be loaded, and rows that hold no documents.
        """
        if self.is_dataset:
            return read_dataset(self.name, self.split, self.config_name, start)
        if has_ending(self.name, PARQUET):
            return islice(read_parquet(self.name), start, None)
        return islice(read_lines(self.name), start, None)


def _check_is_text(path: Path) -> None:
    """Raise `PLMarkerError` for a corpus or another file that would be read as raw text, a line each."""
    if has_ending(path, FILE_ENDINGS):
        return
    if has_ending(path, (".csv", ".xlsx", ".ods")):
        raise PLMarkerError(f"{path}: this is a table: write its texts to a .parquet file with the column 'text'")
    kind = unread_kind(path)
    if kind is not None:
        raise PLMarkerError(f"{path}: this is {kind}")
    for found in FORMATS.values():
        if has_ending(path, found.endings):
            raise PLMarkerError(
                f"{path}: a file of this name is a corpus, {found.description}; `plmarker data export {path} --out "
                "documents.jsonl` makes documents of it"
            )


def read_lines(path: str | Path) -> Iterator[Record]:
    """The lines of a file.

    A `.jsonl`, `.jsonlines` or `.json` file holds one document a line. Any other file does so, too, if its first line
    is an object with `text` or `sentences`; else each of its lines that is not empty is a raw text. Standard input
    holds documents if its first line begins with `{`.

    Args:
        path: the file; `.gz` at the end of its name is unpacked. `-` is standard input.

    Raises:
        PLMarkerError: for a file that is missing or no text.
    """
    name = Path(path).with_suffix("") if has_ending(path, ".gz") else Path(path)
    is_json = has_ending(name, JSON_ENDINGS)
    stem = "stdin" if str(path) == STANDARD_INPUT else name.stem
    for place, (number, line) in enumerate(lines_with_numbers(path)):
        if place == 0 and not is_json:
            is_json = _is_document(line) or (str(path) == STANDARD_INPUT and line.lstrip().startswith("{"))
        yield Record(f"{path}:{number}", f"{stem}-{number}", line.rstrip("\n"), is_json)


def _is_document(line: str) -> bool:
    """Whether a line is the JSON of a document."""
    try:
        return not {"text", "sentences"}.isdisjoint(parse_line(line))
    except ValueError:
        return False


def read_parquet(path: str | Path) -> Iterator[Record]:
    """The rows of a Parquet file, which has a column `text` or `sentences`.

    Raises:
        PLMarkerError: for a file that is missing or not Parquet, or that has neither column.
    """
    import pyarrow
    from pyarrow import parquet

    try:
        with parquet.ParquetFile(existing_file(path)) as file:
            columns = _checked_columns(file.schema_arrow.names, str(path))
            batches = file.iter_batches(ROWS_AT_ONCE, columns=columns)
            rows: Iterator[Any] = (row for batch in batches for row in batch.to_pylist())
            # Looking at each word takes time, and few files have bytes.
            if any("binary" in str(file.schema_arrow.field(name).type) for name in columns):
                rows = map(_as_text, rows)
            yield from _rows(rows, f"{path}, row ", Path(path).stem, 0)
    except pyarrow.ArrowException as error:
        raise PLMarkerError(f"{path}: no Parquet file can be read here: {one_sentence(error)}") from None


def _as_text(value: Any) -> Any:
    """A value with its bytes as text: some programs write text into binary columns.

    Raises:
        PLMarkerError: for bytes that are no UTF-8 text.
    """
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            raise PLMarkerError(f"a binary column has {reprlib.repr(value)}, which is no UTF-8 text") from None
    if isinstance(value, dict):
        return {key: _as_text(item) for key, item in value.items()}
    return [_as_text(item) for item in value] if isinstance(value, list) else value


def read_dataset(
    name: str, split: str | None = None, config_name: str | None = None, start: int = 0
) -> Iterator[Record]:
    """The rows of a dataset, as `datasets.load_dataset` streams them; they have a column `text` or `sentences`.

    Raises:
        PLMarkerError: for a dataset that cannot be loaded, or that has neither column, and where `split` names none of
            several splits.
    """
    from datasets import get_dataset_split_names, load_dataset

    from ..hub_access import check_reachable

    check_reachable(name, "dataset")
    try:
        splits = get_dataset_split_names(name, config_name)
        chosen = splits[0] if split is None and len(splits) == 1 else split
        if chosen not in splits:
            found = "no split is named" if split is None else f"there is no split {split!r}"
            raise PLMarkerError(f"{name}: {found}, expected one of {', '.join(splits)}")
        dataset = load_dataset(name, config_name, split=chosen, streaming=True)
    except PLMarkerError:
        raise
    except Exception as error:
        # A dataset may be of any format, and each library that reads one has errors of its own.
        raise PLMarkerError(f"{name}: the dataset cannot be loaded: {one_sentence(error)}") from error
    rows = iter(dataset.skip(start) if start else dataset)
    first = next(rows, None)
    if first is not None:
        _checked_columns(list(first), name)
        yield from _rows(chain([first], rows), f"{name}, {chosen}, row ", Path(name).name, start)


def _checked_columns(found: list[str], name: str) -> list[str]:
    """The columns that are read."""
    if not {"text", "sentences"} & set(found):
        raise PLMarkerError(f"{name}: expected a column 'text' or 'sentences', found {', '.join(found)}")
    return [column for column in COLUMNS if column in found]


def _rows(rows: Iterable[Mapping[str, Any]], place: str, stem: str, start: int) -> Iterator[Record]:
    for number, row in enumerate(rows, start=start + 1):
        values = {name: row[name] for name in COLUMNS if row.get(name) is not None}
        # A key may be a number, a date or an identifier of any other type.
        line = json.dumps(values, ensure_ascii=False, default=str)
        yield Record(f"{place}{number}", f"{stem}-{number}", line, True)


def groups_of(records: Iterator[Record], size: int) -> Iterator[Iterator[Record]]:
    """Consecutive records in groups, which are read one after the other. No group is held in memory."""
    while (first := next(records, None)) is not None:
        yield chain([first], islice(records, size - 1))
