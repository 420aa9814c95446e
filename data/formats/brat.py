"""brat's standoff format: `NAME.txt` and, beside it, `NAME.ann`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from ...modeling.schema_plmarker import PLMarkerError
from ...modeling.text_plmarker import join_words
from ..alignment import TextDocument, align, word_locator
from ..documents import Document, read_text
from ..files import whole_folder
from ..report import ReadingReport
from .options import ReadingOptions

SPAN = re.compile(r"(T\S+)\t(\S+) (\d+ \d+(?:;\d+ \d+)*)(?:\t(.*))?")
RELATION = re.compile(r"(R\S+)\t(\S+) (\w+):(\S+) \w+:(\S+)\s*")
EVENT = re.compile(r"E\S+\t\S+?:(T\S+)(?:\s.*)?")
# Equivalence, events, attributes, normalisations and notes: nothing of theirs is read.
OTHERS = "*EAMN#"


def read_brat(path: Path, report: ReadingReport, options: ReadingOptions) -> Iterator[Document]:
    """Stream the documents of a folder, and of the folders in it, or the one of an `.ann` file.

    A document is named after its file. `report.counts` gets what `align` counts, `discontinuous` entities, which are
    left out, and `other annotations` (events, attributes, notes), which are not read; the words that stand for events
    and the relations of such are left out too.
    """
    locate = word_locator(options.words, options.language)
    files = sorted(path.rglob("*.ann")) if path.is_dir() else [path]
    if path.is_dir():
        for text_file in sorted(set(path.rglob("*.txt")) - {file.with_suffix(".txt") for file in files}):
            report.problem(text_file, 0, "no .ann file beside it, left out", fatal=False)
    if not files:
        report.problem(path, 0, "no .ann file")
    for file in files:
        text_file = file.with_suffix(".txt")
        if not text_file.is_file():
            report.problem(file, 0, "no .txt file beside it")
            continue
        key = file.relative_to(path).with_suffix("").as_posix() if path.is_dir() else file.stem
        document = TextDocument(unquote(key), read_text(text_file))
        _read_annotations(file, document, report)
        yield align(document, locate, report)


def _read_annotations(path: Path, document: TextDocument, report: ReadingReport) -> None:
    discontinuous: set[str] = set()
    # Relations may stand before their entities.
    relations: list[tuple[int, re.Match[str]]] = []
    triggers: set[str] = set()
    # Editors on Windows write a byte order mark. In the text it is a character, which offsets count.
    for number, line in enumerate(read_text(path).removeprefix("\ufeff").split("\n"), start=1):
        line = line.rstrip("\r")
        if not line.strip():
            continue
        if line.startswith("R"):
            match = RELATION.fullmatch(line)
            if match:
                relations.append((number, match))
            else:
                report.problem(path, number, f"a relation is 'R1<tab>LABEL Arg1:T1 Arg2:T2', got {line!r}")
        elif line.startswith("T"):
            _read_span(path, number, line, document, discontinuous, report)
        elif line[0] in OTHERS:
            report.counts["other annotations"] += 1
            if match := EVENT.fullmatch(line):
                triggers.add(match[1])
        else:
            report.problem(path, number, f"a line begins with T, R or one of {OTHERS}, got {line!r}")
    for name in triggers & document.entities.keys():
        # The word of an event, which is no entity.
        report.counts["event triggers"] += 1
        del document.entities[name]
    for number, match in relations:
        _, label, role, *ends = match.groups()
        if role == "Arg2":
            ends.reverse()
        if any(end.startswith("E") or end in triggers for end in ends):
            report.counts["relations of events"] += 1
            continue
        unknown = [end for end in ends if end not in document.entities and end not in discontinuous]
        if unknown:
            report.problem(path, number, f"relation {match[1]}: there is no entity {unknown[0]}")
        else:
            document.relations.append((ends[0], ends[1], label))


def _read_span(
    path: Path, number: int, line: str, document: TextDocument, discontinuous: set[str], report: ReadingReport
) -> None:
    match = SPAN.fullmatch(line)
    if match is None:
        report.problem(path, number, f"an entity is 'T1<tab>LABEL START END<tab>TEXT', got {line!r}")
        return
    name, label, places, said = match.groups()
    pieces = [tuple(map(int, piece.split())) for piece in places.split(";")]
    covered = " ".join(document.text[first:last] for first, last in pieces)
    # They may stand in any order.
    pieces.sort()
    start, end = pieces[0][0], max(last for _, last in pieces)
    if name in document.entities or name in discontinuous:
        report.problem(path, number, f"{name} is given twice")
    elif any(first >= last for first, last in pieces) or end > len(document.text):
        report.problem(path, number, f"{name}: {places} is no span of the text's {len(document.text)} characters")
    elif said is not None and said.split() != covered.split():
        report.problem(path, number, f"{name}: {places} covers {covered!r}, not {said!r}")
    elif any(document.text[before[1] : after[0]].strip() for before, after in pairwise(pieces)):
        # A span in pieces because of a line break alone is one span.
        report.counts["discontinuous"] += 1
        report.problem(path, number, f"{name}: a discontinuous entity, {covered!r}, left out", fatal=False)
        discontinuous.add(name)
    else:
        document.entities[name] = (start, end, label)


def write_brat(folder: str | Path, documents: Iterable[Mapping[str, Any]]) -> None:
    """Write documents as brat shows them: a line is a sentence, a space stands between words.

    Read again with `words="spaces"` they are the same, but for empty sentences, which are left out.

    Raises:
        PLMarkerError: for what brat cannot hold: white space in a word or a label, and a relation between spans that
            are no entities; and for a folder that is not empty. Nothing is written then.
    """
    with whole_folder(folder) as partial:
        for stem, text, lines in map(_standoff, documents):
            (partial / f"{stem}.txt").write_bytes(text.encode())
            (partial / f"{stem}.ann").write_bytes("".join(lines).encode())


def _standoff(document: Mapping[str, Any]) -> tuple[str, str, list[str]]:
    """The name of a document's files, its text, and the lines of its annotations."""
    key = document["doc_key"]
    sentences = [words for words in document["sentences"] if words]
    wrong = [word for words in sentences for word in words if word.split() != [word]]
    if wrong:
        raise PLMarkerError(f"document {key!r}: white space in the word {wrong[0]!r}, which brat would cut")
    text, located = join_words(sentences)
    words = [offsets for sentence in located for offsets in sentence]
    lines: list[str] = []
    name_of: dict[tuple[int, int], str] = {}
    for row in (row for rows in document["ner"] or () for row in rows):
        start, end = words[row["start"]][0], words[row["end"]][1]
        covered = text[start:end].replace("\n", " ")
        name = f"T{len(lines) + 1}"
        name_of.setdefault((row["start"], row["end"]), name)
        lines.append(f"{name}\t{_label(key, row['label'])} {start} {end}\t{covered}\n")
    relations = [row for rows in document["relations"] or () for row in rows]
    for number, row in enumerate(relations, start=1):
        ends = [name_of.get((row[f"{side}_start"], row[f"{side}_end"])) for side in ("head", "tail")]
        if None in ends:
            raise PLMarkerError(f"document {key!r}: a relation {row['label']!r} has an end that is no entity")
        lines.append(f"R{number}\t{_label(key, row['label'])} Arg1:{ends[0]} Arg2:{ends[1]}\n")
    # A name may hold what a file name cannot, and one that begins with a dot is hidden.
    stem = quote(key, safe=" ")
    return "%2E" + stem[1:] if stem.startswith(".") else stem, text + "\n", lines


def _label(key: str, label: str) -> str:
    if label.split() != [label]:
        raise PLMarkerError(f"document {key!r}: white space in the label {label!r}, which brat does not take")
    return label
