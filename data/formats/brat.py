"""Read and write the standoff format of brat: a text `NAME.txt` with its annotations `NAME.ann` in the same folder."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise, takewhile
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from ...modeling.schema_plmarker import PLMarkerError
from ...modeling.text_plmarker import join_words
from ..alignment import TextDocument, align, word_locator
from ..documents import Document, read_text
from ..files import files_with_ending, partner, whole_folder
from ..report import ReadingReport
from .folders import DESCRIPTION, same_corpus
from .options import ReadingOptions
from .places import other_counting

ENTITY_LINE = re.compile(r"(T\S+)\t(\S+) (\d+ \d+(?:;\d+ \d+)*)(?:\t(.*))?")
RELATION_LINE = re.compile(r"(R\S+)\t(\S+) (\S+?):(\S+) (\S+?):(\S+)\s*")
# A relation without direction between two or more entities, as ScienceIE has it.
GROUP_LINE = re.compile(r"\*\t(\S+)((?: T\S+){2,})\s*")
EQUIVALENCE = "Equiv"
# The schema of a corpus, with its relations as `LABEL ROLE1:TYPES, ROLE2:TYPES`.
SCHEMA_FILE = "annotation.conf"
SCHEMA_SECTION = re.compile(r"\[\s*(\w+)\s*\]")
SCHEMA_RELATION = re.compile(r"\s*!?(\S+)\s+([^\s:,]+):[^,]*,\s*([^\s:,]+):.*")
# How many folders above the annotations may have it.
SCHEMA_LEVELS = 3
# Label -> the roles of a relation, that of the head first.
Roles = dict[str, tuple[str, str]]
EVENT_LINE = re.compile(r"E\S+\t\S+?:(T\S+)(?:\s.*)?")
# First characters of the lines that are not read: equivalences, events, attributes, normalizations and notes.
UNREAD_LINES = "*EAMN#"


def read_brat(path: Path, report: ReadingReport, options: ReadingOptions) -> Iterator[Document]:
    """Stream the documents of a folder with all its subfolders, or the document of one `.ann` file.

    The name of a document is the name of its file. In a folder it includes the path below the folder.

    The reader leaves out discontinuous entities, the triggers of events, and the relations of events. `report.counts`
    counts them as `discontinuous`, `event triggers` and `relations of events`. It counts the annotations that are not
    read (events, attributes, notes) as `other annotations`, and it has the counts of `align`.

    The head of a relation is its first role. `annotation.conf` says which role is the first one of a label, or else the
    first relation with the label does. Relations that name their roles in the other order are turned round, and are
    counted as `relations with roles in the other order`.

    Args:
        path: the folder or the `.ann` file.
        report: receives the problems and counts. An `.ann` file without a `.txt` file is a problem.
        options: `words` and `language` apply. Use `words="spaces"` for files that `write_brat` wrote.

    Yields:
        Typed documents.

    Raises:
        PLMarkerError: if a file is not UTF-8 text, or if spaCy is required but not installed.
    """
    locate = word_locator(options.words, options.language)
    files = files_with_ending(path, ".ann") if path.is_dir() else [path]
    if path.is_dir():
        texts = {
            text_file for text_file in files_with_ending(path, ".txt") if not DESCRIPTION.fullmatch(text_file.name)
        }
        for text_file in sorted(texts - {partner(file, ".ann", ".txt") for file in files}):
            message = f"the annotation file {text_file.stem}.ann is missing, so this text is left out"
            report.problem(text_file, 0, message, fatal=False)
    if not files:
        report.problem(path, 0, "this folder has no .ann file")
    roles = _roles(path)
    for file in files:
        text_file = partner(file, ".ann", ".txt")
        if not text_file.is_file():
            report.problem(file, 0, f"the text file {text_file.name} is missing, expected it in the same folder")
            continue
        key = file.relative_to(path).with_suffix("").as_posix() if path.is_dir() else file.stem
        document = TextDocument(unquote(key), read_text(text_file))
        _read_annotations(file, document, roles, report)
        yield align(document, locate, report)


def _roles(path: Path) -> tuple[Roles, Roles]:
    """The roles of each relation label, in order.

    Returns:
        Those of the schema beside the annotations or above them, and those of the first relations of the splits that
        come before this one: all splits of a corpus have one direction. The reader adds what it sees to the latter.
    """
    folder = path if path.is_dir() else path.parent
    places = (place / SCHEMA_FILE for place in (folder, *folder.absolute().parents[:SCHEMA_LEVELS]))
    schema = next((place for place in places if place.is_file()), None)
    named, section = {}, ""
    for line in read_text(schema).removeprefix("\ufeff").splitlines() if schema is not None else ():
        if match := SCHEMA_SECTION.match(line):
            section = match[1].lower()
        elif section == "relations" and (match := SCHEMA_RELATION.match(line)):
            named[match[1]] = (match[2], match[3])
    earlier = takewhile(lambda part: part not in (path, path.absolute()), same_corpus(path))
    files = (file for part in earlier for file in files_with_ending(part, ".ann"))
    first: Roles = {}
    for match in (RELATION_LINE.fullmatch(line) for file in files for line in _lines_of(file)):
        if match:
            _, label, head, _, tail, _ = match.groups()
            _note_roles(first, label, (head, tail))
    return named, first


def _note_roles(first: Roles, label: str, pair: tuple[str, str]) -> None:
    """Keep the roles of the first relation of a label. brat's own names say which argument is the first one."""
    first.setdefault(label, ("Arg1", "Arg2") if set(pair) == {"Arg1", "Arg2"} else pair)


def _lines_of(file: Path) -> list[str]:
    """The lines of a file; none of a file that cannot be read, which is reported where its split is read."""
    try:
        return read_text(file).splitlines()
    except PLMarkerError:
        return []


def _read_annotations(path: Path, document: TextDocument, roles: tuple[Roles, Roles], report: ReadingReport) -> None:
    discontinuous: set[str] = set()
    # A relation may precede its entities in the file, so relations are resolved at the end. Each has its line, its
    # name, its label and its two arguments.
    relations: list[tuple[int, str, str, list[str]]] = []
    triggers: set[str] = set()
    # Some editors on Windows write a byte order mark. The text file keeps it, because its offsets count it.
    for number, line in enumerate(read_text(path).removeprefix("\ufeff").split("\n"), start=1):
        line = line.rstrip("\r")
        if not line.strip():
            continue
        if line.startswith("R"):
            match = RELATION_LINE.fullmatch(line)
            if match:
                name, label, first_role, first, second_role, second = match.groups()
                arguments, pair = [first, second], (first_role, second_role)
                _note_roles(roles[1], label, pair)
                # A schema may name other roles than the annotations.
                order = next((found[label] for found in roles if set(found.get(label, ())) == set(pair)), pair)
                if first_role != second_role and pair == order[::-1]:
                    arguments.reverse()
                    report.counts["relations with roles in the other order"] += first_role != "Arg2"
                relations.append((number, name, label, arguments))
            else:
                report.problem(path, number, f"expected a relation 'R1<tab>LABEL Arg1:T1 Arg2:T2', got {line!r}")
        elif line.startswith("T"):
            _read_entity(path, number, line, document, discontinuous, report)
        elif (match := GROUP_LINE.fullmatch(line)) and match[1] != EQUIVALENCE:
            first, *others = match[2].split()
            relations += [(number, f"of {first}", match[1], [first, other]) for other in others]
        elif line[0] in UNREAD_LINES:
            report.counts["other annotations"] += 1
            if match := EVENT_LINE.fullmatch(line):
                triggers.add(match[1])
        else:
            message = f"expected a line that begins with T, R or one of {UNREAD_LINES}, got {line!r}"
            report.problem(path, number, message)
    for name in triggers & document.entities.keys():
        # The trigger of an event has the same kind of line as an entity.
        report.counts["event triggers"] += 1
        del document.entities[name]
    # Relations of discontinuous entities are valid. `align` counts them as dropped.
    known = document.entities.keys() | discontinuous
    for number, name, label, arguments in relations:
        if any(argument.startswith("E") or argument in triggers for argument in arguments):
            report.counts["relations of events"] += 1
            continue
        unknown = [argument for argument in arguments if argument not in known]
        if unknown:
            message = f"relation {name} refers to {unknown[0]}, which is not a valid entity of this file"
            report.problem(path, number, message)
        else:
            document.relations.append((arguments[0], arguments[1], label))


def _read_entity(
    path: Path, number: int, line: str, document: TextDocument, discontinuous: set[str], report: ReadingReport
) -> None:
    match = ENTITY_LINE.fullmatch(line)
    if match is None:
        report.problem(path, number, f"expected an entity 'T1<tab>LABEL START END<tab>TEXT', got {line!r}")
        return
    name, label, offsets, annotated = match.groups()
    pieces = [tuple(map(int, piece.split())) for piece in offsets.split(";")]
    covered = " ".join(document.text[first:last] for first, last in pieces)
    # The pieces may be in any order.
    pieces.sort()
    start, end = pieces[0][0], max(last for _, last in pieces)
    if name in document.entities or name in discontinuous:
        report.problem(path, number, f"entity {name} is defined twice, expected unique identifiers")
    elif any(first >= last for first, last in pieces) or end > len(document.text):
        message = f"entity {name}: {offsets} is not a span of the text, which has {len(document.text)} characters"
        report.problem(path, number, message)
    elif annotated is not None and annotated.split() != covered.split():
        other = other_counting(document.text, start, end, annotated)
        report.problem(
            path, number, f"entity {name}: the text at {offsets} is {covered!r}, expected {annotated!r}{other}"
        )
    elif any(document.text[before[1] : after[0]].strip() for before, after in pairwise(pieces)):
        # brat also splits a span at a line break. Such pieces have only white space between them, and are one entity.
        report.counts["discontinuous"] += 1
        report.problem(path, number, f"entity {name}: {covered!r} is discontinuous and is left out", fatal=False)
        discontinuous.add(name)
    else:
        document.entities[name] = (start, end, label)


def write_brat(folder: str | Path, documents: Iterable[Mapping[str, Any]]) -> None:
    """Write documents as brat files.

    Each sentence becomes a line, with one space between two words. `read_brat` with `words="spaces"` gives the same
    documents back, without their empty sentences.

    Example:
        `write_brat("corpus-brat", load_documents("sample")["train"])`

    Args:
        folder: a new or empty folder. It appears only after all files are written.
        documents: typed documents. Predicted annotations are not written.

    Raises:
        PLMarkerError: if a word or label contains white space, if a relation has an end that is not an entity, or if
            the folder is not empty.
    """
    with whole_folder(folder) as partial:
        for stem, text, lines in map(_standoff, documents):
            (partial / f"{stem}.txt").write_bytes(text.encode())
            (partial / f"{stem}.ann").write_bytes("".join(lines).encode())


def _standoff(document: Mapping[str, Any]) -> tuple[str, str, list[str]]:
    """Return the file name of a document without its ending, its text, and the lines of its annotations."""
    key = document["doc_key"]
    sentences = [words for words in document["sentences"] if words]
    invalid = [word for words in sentences for word in words if word.split() != [word]]
    if invalid:
        raise PLMarkerError(f"document {key!r}: the word {invalid[0]!r} contains white space, which brat would split")
    text, word_offsets = join_words(sentences)
    words = [offsets for sentence in word_offsets for offsets in sentence]
    lines: list[str] = []
    name_of_span: dict[tuple[int, int], str] = {}
    for row in (row for rows in document["ner"] or () for row in rows):
        start, end = words[row["start"]][0], words[row["end"]][1]
        covered = text[start:end].replace("\n", " ")
        name = f"T{len(lines) + 1}"
        name_of_span.setdefault((row["start"], row["end"]), name)
        lines.append(f"{name}\t{_label(key, row['label'])} {start} {end}\t{covered}\n")
    relations = [row for rows in document["relations"] or () for row in rows]
    for number, row in enumerate(relations, start=1):
        ends = [name_of_span.get((row[f"{side}_start"], row[f"{side}_end"])) for side in ("head", "tail")]
        if None in ends:
            raise PLMarkerError(f"document {key!r}: a relation {row['label']!r} has an end that is not an entity")
        lines.append(f"R{number}\t{_label(key, row['label'])} Arg1:{ends[0]} Arg2:{ends[1]}\n")
    # A document name may contain characters that file names cannot. A file name with a dot in front would be hidden.
    stem = quote(key, safe=" ")
    return "%2E" + stem[1:] if stem.startswith(".") else stem, text + "\n", lines


def _label(key: str, label: str) -> str:
    if label.split() != [label]:
        raise PLMarkerError(f"document {key!r}: the label {label!r} contains white space, which brat does not allow")
    return label
