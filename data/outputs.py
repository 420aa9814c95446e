"""The output of `plmarker predict`: a line for each document, in a file that an interrupted call goes on with."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, islice
from pathlib import Path
from typing import Any

from ..modeling.schema_plmarker import PLMarkerError
from .files import file_to_write, has_ending, sole_writer, write_json
from .records import PARQUET, ROWS_AT_ONCE, Record

logger = logging.getLogger(__name__)

# Files of another kind than those that are written.
OTHER_ENDINGS = (".gz", ".zip", ".csv", ".tsv", ".xlsx")
# The checksum of a record, and what was found in its document, as JSON.
Answer = tuple[str, str]


def write_resumable(
    path: str | Path,
    records: Iterable[Record],
    process: Callable[[Iterator[Record], int], Iterable[Answer]],
    settings: dict[str, Any],
    group: int = 1,
) -> int:
    """Write one line for each record. Lines of an interrupted call are not written again.

    Args:
        path: the file, which appears when all lines are written. Until then they are in `PATH.partial`. If its name
            ends in `.parquet`, it becomes Parquet in the end.
        records: the inputs, in the same order in every call.
        process: gets the records that remain and the number of the first of them. Yields an answer for each, in order.
        settings: further values that the results depend on, such as the model. They are in `PATH.partial.settings`.
            `PATH.partial.words` has the checksum of each record and of its line.
        group: records that are read together. The last digits of a score depend on them. So a group that was
            interrupted is read again as a whole, and the records that remain begin with a group.

    Returns:
        Lines in the finished file.

    Raises:
        PLMarkerError: when the partial file was begun with other inputs or settings, when its lines were changed, and
            when another process writes the file.
    """
    # The given name says what is written, not the one that a link leads to.
    is_parquet = has_ending(path, PARQUET)
    path = file_for_lines(path)
    partial = path.with_name(path.name + ".partial")
    settings_file = path.with_name(path.name + ".partial.settings")
    words_file = path.with_name(path.name + ".partial.words")
    with sole_writer(path):
        earlier = _earlier_settings(settings_file)
        if partial.exists() and earlier is None:
            logger.warning("%s: begun anew, since nobody knows which model gave its lines", partial)
            partial.unlink()
        elif partial.exists() and partial.stat().st_size:
            _check_settings(partial, earlier, json.loads(json.dumps(settings)))
        write_json(settings_file, settings)
        partial.touch()
        words_file.touch()
        total = _cut_last_line(partial)
        # A line that has no checksum is computed again.
        total = _cut_lines(partial, min(total, _cut_last_line(words_file)))
        _cut_lines(words_file, total)
        again = total % group
        remaining = _skip(iter(records), partial, words_file, total, again)
        with partial.open("a", encoding="utf-8") as lines, words_file.open("a", encoding="utf-8") as sums:
            for checksum, line in islice(process(remaining, total - again), again, None):
                sums.write(f"{checksum} {_digest(line.encode())}\n")
                sums.flush()
                lines.write(line + "\n")
                lines.flush()
                total += 1
        if is_parquet:
            write_parquet(path, partial)
            partial.unlink()
        else:
            partial.replace(path)
        settings_file.unlink()
        words_file.unlink()
    return total


def file_for_lines(path: str | Path) -> Path:
    """The file that `write_resumable` can write to.

    Raises:
        PLMarkerError: for the name of another kind of file, and see `file_to_write`.
    """
    if has_ending(path, OTHER_ENDINGS):
        raise PLMarkerError(f"{path}: predict writes JSONL, or Parquet to a name that ends in .parquet")
    return file_to_write(path)


def write_parquet(path: Path, lines: Path) -> None:
    """Write the lines of `plmarker predict` as Parquet, with typed columns. The file appears whole or not at all.

    The columns are `doc_key`, `text`, `entities` and `relations`, as `Extraction.to_dict` has them.
    """
    import pyarrow
    from pyarrow import parquet

    from .extraction_features import EXTRACTION_FEATURES

    schema = pyarrow.schema([("doc_key", pyarrow.string()), ("text", pyarrow.string())])
    for field in EXTRACTION_FEATURES.arrow_schema:
        schema = schema.append(field)
    begun = path.with_name(path.name + ".partial.parquet")
    with lines.open(encoding="utf-8") as file, parquet.ParquetWriter(begun, schema) as writer:
        while rows := [json.loads(line) for line in islice(file, ROWS_AT_ONCE)]:
            writer.write_table(pyarrow.Table.from_pylist(rows, schema=schema))
    begun.replace(path)


def _earlier_settings(path: Path) -> Any:
    """The settings of an interrupted call; None where there are none, or where the file was cut off."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _check_settings(partial: Path, earlier: Any, now: dict[str, Any]) -> None:
    """Raise `PLMarkerError` where a partial file was begun with other settings, naming the first of them."""
    if not isinstance(earlier, dict):
        raise PLMarkerError(f"{partial}.settings holds no settings; remove {partial} to start anew")
    differing = [name for name in now | earlier if now.get(name) != earlier.get(name)]
    if differing:
        name = differing[0]
        # The models are hashes, which tell a reader nothing.
        values = "" if name == "models" else f" ({earlier.get(name)!r}, now {now.get(name)!r})"
        raise PLMarkerError(f"{partial}: begun with another value of {name}{values}; remove it to start anew")


def _digest(line: bytes) -> str:
    return hashlib.sha256(line).hexdigest()[:16]


def _cut_last_line(partial: Path) -> int:
    """Remove a line that an interruption has cut off, perhaps inside a character. Count the whole lines."""
    count = end = 0
    with partial.open("rb+") as lines:
        for line in lines:
            if not line.endswith(b"\n"):
                break
            if not line.strip():
                raise PLMarkerError(f"{partial}:{count + 1}: the line is empty, so the file was changed; remove it")
            count, end = count + 1, end + len(line)
        lines.truncate(end)
    return count


def _cut_lines(path: Path, count: int) -> int:
    """Keep the first lines of a file; return their number."""
    with path.open("rb+") as lines:
        end = sum(map(len, islice(lines, count)))
        lines.truncate(end)
    return count


def _skip(records: Iterator[Record], partial: Path, words_file: Path, count: int, again: int) -> Iterator[Record]:
    """Skip the records whose results are in the partial file, and make sure that the results belong to them.

    The last `again` of them are read again.
    """
    kept = []
    with words_file.open(encoding="utf-8") as sums, partial.open("rb") as lines:
        for number, (entry, line) in enumerate(islice(zip(sums, lines, strict=False), count), start=1):
            record = next(records, None)
            checksum, _, digest = entry.strip().partition(" ")
            if record is None or record.checksum != checksum:
                raise PLMarkerError(f"{partial}:{number}: begun with another input; remove it to start anew")
            # Calls of earlier versions left no digests.
            if digest and digest != _digest(line.removesuffix(b"\n")):
                raise PLMarkerError(f"{partial}:{number}: the line was changed; remove the file to start anew")
            if number > count - again:
                kept.append(record)
    return chain(kept, records)
