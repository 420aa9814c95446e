"""Read ACE 2004 and ACE 2005 as the LDC distributes them.

A document is a source file `NAME.sgm` and an annotation file `NAME.apf.xml` in the same folder. The offsets START and
END count characters of the source without its tags. A line end counts as one character and `&amp;` counts as five. END
is inclusive.

The reader uses the elements `entity_mention` and `relation_mention`. ACE 2004 gives the arguments of a relation as
`rel_mention_arg` with ARGNUM, and ACE 2005 as `relation_mention_argument` with ROLE. Values, time expressions and
events are counted but not read.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...modeling.schema_plmarker import PLMarkerError
from ...modeling.text_plmarker import Offsets
from ..alignment import TextDocument, WordLocator, align, word_locator
from ..documents import Document, read_text
from ..files import files_with_ending, partner
from ..report import ReadingReport
from .options import Extent, ReadingOptions

SOURCE_ENDING, ANNOTATION_ENDING = ".sgm", ".apf.xml"
# ACE 2004 also annotates discourse relations. The literature leaves them out.
IGNORED_RELATIONS = ("DISC",)
UNREAD_MENTIONS = ("value_mention", "timex2_mention", "event_mention")
_TAG = re.compile(r"<[^>]*>")
_ESCAPE = re.compile(r"&(?:amp|lt|gt|quot|apos|#\d+);", re.IGNORECASE)


def read_ace(path: Path, report: ReadingReport, options: ReadingOptions) -> Iterator[Document]:
    """Stream the documents of a folder with all its subfolders, or the document of one `.sgm` file.

    Args:
        path: the folder or the `.sgm` file.
        report: receives the problems and counts. A missing file of a pair is a problem.
        options: `words`, `language` and `extent` apply.

    Yields:
        Typed documents.

    Raises:
        PLMarkerError: if a file is not UTF-8 text, or if a required package is not installed.
    """
    files = files_with_ending(path, SOURCE_ENDING) if path.is_dir() else [path]
    if not files:
        report.problem(path, 0, f"this folder has no {SOURCE_ENDING} file")
    for file in files_with_ending(path, ANNOTATION_ENDING) if path.is_dir() else ():
        source = partner(file, ANNOTATION_ENDING, SOURCE_ENDING)
        if not source.is_file():
            report.problem(file, 0, f"the source file {source.name} is missing, expected it in the same folder")
    locate = word_locator(options.words, options.language)
    for file in files:
        document = read_ace_document(file, locate, report, options.extent)
        if document is not None:
            yield document


def read_ace_document(
    path: Path, locate: WordLocator, report: ReadingReport, extent: Extent = "head"
) -> Document | None:
    """Read a source file and its annotation file.

    Args:
        path: the `.sgm` file. The annotation file must be in the same folder.
        locate: splits the text between two tags into sentences and words. A sentence contains a tag only if a mention
            does.
        report: receives the problems and counts.
        extent: `head` makes entities from the heads of the mentions, `full` from their full extents.

    Returns:
        A typed document with the name of its file; None if the annotations are missing or are not valid XML.

    Raises:
        PLMarkerError: if a file is not UTF-8 text, or if a required package is not installed.
    """
    annotations = partner(path, SOURCE_ENDING, ANNOTATION_ENDING)
    if not annotations.is_file():
        report.problem(path, 0, f"the annotation file {annotations.name} is missing, expected it in the same folder")
        return None
    source = _read_source(path)
    document = TextDocument(path.name[: -len(SOURCE_ENDING)], source.text)
    document.word_offsets = [
        [(piece_start + start, piece_start + end) for start, end in sentence]
        for piece_start, piece_end in source.pieces
        for sentence in locate(source.text[piece_start:piece_end])
    ]
    markup = read_text(annotations)
    root = _parse(markup, annotations, report)
    if root is None:
        return None

    def problem(mention: Any, message: str) -> None:
        # A relation mention and an entity mention may have the same ID, so the search includes the element name.
        name = mention.get("ID", "")
        found = re.search(rf"<{mention.tag}\s[^>]*?\bID\s*=\s*[\"']{re.escape(name)}[\"']", markup)
        line = markup.count("\n", 0, found.start()) + 1 if found else 0
        report.problem(annotations, line, f"{mention.tag.replace('_', ' ')} {name}: {message}")

    for entity in root.iter("entity"):
        for mention in entity.iter("entity_mention"):
            name = mention.get("ID", "")
            if name in document.entities:
                problem(mention, "another entity mention has the same ID, expected unique IDs")
            try:
                start, end = _span(mention, source, extent)
            except ValueError as error:
                problem(mention, str(error))
                continue
            document.entities[name] = (start, end, entity.get("TYPE", ""))
    for relation in root.iter("relation"):
        label = relation.get("TYPE", "")
        for mention in relation.iter("relation_mention"):
            if label in IGNORED_RELATIONS:
                report.counts[f"ignored {label} relations"] += 1
                continue
            head, tail = _arguments(mention)
            unknown = [argument for argument in (head, tail) if argument not in document.entities]
            if unknown:
                problem(mention, f"its argument {unknown[0]!r} is not the ID of a readable entity mention")
            else:
                document.relations.append((head, tail, label))
    for tag in UNREAD_MENTIONS:
        report.counts[f"{tag.removesuffix('_mention')} mentions, not read"] += sum(1 for _ in root.iter(tag))
    return align(document, locate, report)


def _parse(markup: str, path: Path, report: ReadingReport) -> Any:
    """Parse an APF file. The result is its root, or None after a problem is reported."""
    try:
        from defusedxml import DefusedXmlException, ElementTree
    except ImportError:
        raise PLMarkerError("reading ACE needs the package defusedxml: pip install 'plmarker[corpora]'") from None
    try:
        # The DOCTYPE names a DTD on a disk of the annotators. expat does not open it.
        return ElementTree.fromstring(markup, forbid_entities=True, forbid_external=True)
    except ElementTree.ParseError as error:
        line, _ = error.position
        report.problem(path, line, f"invalid XML: {error.msg}")
    except DefusedXmlException as error:
        report.problem(path, 0, f"the XML declares entities, which is unsafe and not allowed ({type(error).__name__})")
    return None


def _span(mention: Any, source: _Source, extent: Extent) -> Offsets:
    """Find the head or the full extent of a mention in the text of the source.

    Raises:
        ValueError: if the mention has no such element, if its offsets are invalid, or if its text differs from the
            source.
    """
    element = "head" if extent == "head" else "extent"
    charseq = mention.find(f"{element}/charseq")
    if charseq is None:
        raise ValueError(f"expected an element {element!r} with a 'charseq', found none")
    start, last = charseq.get("START", ""), charseq.get("END", "")
    if not (start.isdecimal() and last.isdecimal()):
        raise ValueError(f"expected two numbers, got START {start!r} and END {last!r}")
    return source.span(int(start), int(last), charseq.text or "")


def _arguments(mention: Any) -> tuple[str, str]:
    """Return the entity mention IDs of the first and second argument. A missing argument has an empty ID."""
    arguments = {"1": "", "2": ""}
    for argument in mention.iter("rel_mention_arg"):
        arguments[argument.get("ARGNUM", "")] = argument.get("ENTITYMENTIONID", "")
    for argument in mention.iter("relation_mention_argument"):
        # The time and the place of a relation are arguments too. They have other roles, which the result ignores.
        arguments[argument.get("ROLE", "").removeprefix("Arg-")] = argument.get("REFID", "")
    return arguments["1"], arguments["2"]


@dataclass(frozen=True)
class _Source:
    """The content of a source file.

    Args:
        raw: the characters without tags. The offsets of the annotations count them.
        text: `raw` with its escapes, such as `&amp;`, replaced by the characters that they encode.
        positions: the index in `text` of every character of `raw`.
        pieces: the parts of `text` between tags, as (start, exclusive end). Parts of white space are left out.
    """

    raw: str
    text: str
    positions: list[int]
    pieces: list[Offsets]

    def span(self, start: int, last: int, annotated: str) -> Offsets:
        """Convert offsets in `raw` into offsets in `text`.

        Args:
            start: the first character in `raw`.
            last: the last character in `raw`, inclusive.
            annotated: the text of the span according to the annotation.

        Returns:
            (start, exclusive end) in `text`.

        Raises:
            ValueError: if the offsets are outside `raw`, or if the characters differ from `annotated`. White space is
                not compared.
        """
        if not start <= last < len(self.raw):
            raise ValueError(f"{start} to {last} is not a span of the source, which has {len(self.raw)} characters")
        covered = self.raw[start : last + 1]
        if "".join(html.unescape(covered).split()) != "".join(html.unescape(annotated).split()):
            raise ValueError(f"characters {start} to {last} of the source are {covered!r}, expected {annotated!r}")
        return self.positions[start], self.positions[last] + 1


def _read_source(path: Path) -> _Source:
    # The offsets count every line end as one character.
    content = read_text(path).replace("\r\n", "\n").replace("\r", "\n")
    raw, text = "", ""
    positions: list[int] = []
    pieces: list[Offsets] = []
    for piece in _TAG.split(content):
        raw += piece
        piece_start, position = len(text), 0
        for match in _ESCAPE.finditer(piece):
            positions += range(len(text), len(text) + match.start() - position)
            text += piece[position : match.start()]
            # Every character of an escape is mapped to the one character that it encodes.
            positions += [len(text)] * len(match[0])
            text += html.unescape(match[0].lower())
            position = match.end()
        positions += range(len(text), len(text) + len(piece) - position)
        text += piece[position:]
        if text[piece_start:].strip():
            pieces.append((piece_start, len(text)))
    return _Source(raw, text, positions, pieces)
