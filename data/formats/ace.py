"""ACE 2004 and 2005 as the LDC ships them: `NAME.sgm`, the source, and `NAME.apf.xml`, its annotations.

Offsets count the characters of the source without its tags, a line end as one character and `&amp;` as five; END is
inclusive. Of the two years' APF the elements `entity_mention` and `relation_mention` are read; a relation's arguments
are `rel_mention_arg` with ARGNUM in 2004, `relation_mention_argument` with ROLE in 2005. Values, time expressions and
events are counted, not read.
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
from ..report import ReadingReport
from .options import Extent, ReadingOptions

SOURCE_ENDING, ANNOTATION_ENDING = ".sgm", ".apf.xml"
# 2004 annotates relations of discourse too, which the literature leaves out.
IGNORED_RELATIONS = ("DISC",)
NOT_READ = ("value_mention", "timex2_mention", "event_mention")
_TAG = re.compile(r"<[^>]*>")
_ESCAPE = re.compile(r"&(?:amp|lt|gt|quot|apos|#\d+);", re.IGNORECASE)


def read_ace(path: Path, report: ReadingReport, options: ReadingOptions) -> Iterator[Document]:
    """Stream the documents of a folder, and of the folders in it, or the one of an `.sgm` file."""
    files = sorted(path.rglob(f"*{SOURCE_ENDING}")) if path.is_dir() else [path]
    if not files:
        report.problem(path, 0, f"no {SOURCE_ENDING} file")
    for file in sorted(path.rglob(f"*{ANNOTATION_ENDING}")) if path.is_dir() else ():
        source = file.with_name(file.name.removesuffix(ANNOTATION_ENDING) + SOURCE_ENDING)
        if not source.is_file():
            report.problem(file, 0, f"no {source.name} beside it")
    locate = word_locator(options.words, options.language)
    for file in files:
        document = read_ace_document(file, locate, report, options.extent)
        if document is not None:
            yield document


def read_ace_document(
    path: Path, locate: WordLocator, report: ReadingReport, extent: Extent = "head"
) -> Document | None:
    """Read a source file and the annotations beside it.

    Args:
        locate: cuts the source into sentences of words; no sentence goes over a tag, unless a mention does.
        extent: the mentions' heads, or their full extents.

    Returns:
        The document, named after its file; None where a problem makes it unreadable.
    """
    annotations = path.with_name(path.name.removesuffix(SOURCE_ENDING) + ANNOTATION_ENDING)
    if not annotations.is_file():
        report.problem(path, 0, f"no {annotations.name} beside it")
        return None
    source = _read_source(path)
    document = TextDocument(path.name.removesuffix(SOURCE_ENDING), source.text)
    document.located = [
        [(start + first, start + last) for first, last in sentence]
        for start, end in source.pieces
        for sentence in locate(source.text[start:end])
    ]
    markup = read_text(annotations)
    root = _parse(markup, annotations, report)
    if root is None:
        return None

    def problem(mention: Any, message: str) -> None:
        # A mention of a relation may be called like one of an entity.
        name = mention.get("ID", "")
        found = re.search(rf"<{mention.tag}\s[^>]*?\bID\s*=\s*[\"']{re.escape(name)}[\"']", markup)
        line = markup.count("\n", 0, found.start()) + 1 if found else 0
        report.problem(annotations, line, f"{mention.tag.replace('_', ' ')} {name}: {message}")

    for entity in root.iter("entity"):
        for mention in entity.iter("entity_mention"):
            name = mention.get("ID", "")
            if name in document.entities:
                problem(mention, "a second one of this name")
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
            unknown = [end for end in (head, tail) if end not in document.entities]
            if unknown:
                problem(mention, f"its argument {unknown[0]!r} is no mention that could be read")
            else:
                document.relations.append((head, tail, label))
    for tag in NOT_READ:
        report.counts[f"{tag.removesuffix('_mention')} mentions, not read"] += sum(1 for _ in root.iter(tag))
    return align(document, locate, report)


def _parse(markup: str, path: Path, report: ReadingReport) -> Any:
    """The root of the markup of an APF file; None where it is no safe XML, which is noted."""
    try:
        from defusedxml import DefusedXmlException, ElementTree
    except ImportError:
        raise PLMarkerError("reading ACE needs defusedxml: pip install 'plmarker[corpora]'") from None
    try:
        # The DOCTYPE names a DTD somewhere on the annotators' disks; expat does not follow it.
        return ElementTree.fromstring(markup, forbid_entities=True, forbid_external=True)
    except ElementTree.ParseError as error:
        line, _ = error.position
        report.problem(path, line, f"broken XML, {error.msg}")
    except DefusedXmlException as error:
        report.problem(path, 0, f"refused: it declares entities, as attacks do ({type(error).__name__})")
    return None


def _span(mention: Any, source: _Source, extent: Extent) -> Offsets:
    """What a mention covers, as a span of the source's text.

    Raises:
        ValueError: when it has no such extent, or covers something else than it says.
    """
    element = "head" if extent == "head" else "extent"
    found = mention.find(f"{element}/charseq")
    if found is None:
        raise ValueError(f"it has no {element}")
    start, last = found.get("START", ""), found.get("END", "")
    if not (start.isdecimal() and last.isdecimal()):
        raise ValueError(f"START {start!r} and END {last!r} are not two numbers")
    return source.span(int(start), int(last), found.text or "")


def _arguments(mention: Any) -> tuple[str, str]:
    """Identifiers of the mentions of the two arguments; empty where one is missing."""
    ends = {"1": "", "2": ""}
    for argument in mention.iter("rel_mention_arg"):
        ends[argument.get("ARGNUM", "")] = argument.get("ENTITYMENTIONID", "")
    for argument in mention.iter("relation_mention_argument"):
        # Times and places of a relation are arguments too, with other roles.
        ends[argument.get("ROLE", "").removeprefix("Arg-")] = argument.get("REFID", "")
    return ends["1"], ends["2"]


@dataclass(frozen=True)
class _Source:
    """A source file.

    Args:
        raw: its characters without tags, which the annotations' offsets count.
        text: the same with `&amp;` and the like as characters.
        positions: for each character of `raw` its place in `text`.
        pieces: what stands between tags, as spans of `text`.
    """

    raw: str
    text: str
    positions: list[int]
    pieces: list[Offsets]

    def span(self, start: int, last: int, said: str) -> Offsets:
        """A span of `text`, end exclusive, from offsets into `raw`, end inclusive.

        Args:
            said: what the annotation says that it covers.

        Raises:
            ValueError: when it is no span, or covers something else; white space is not compared.
        """
        if not start <= last < len(self.raw):
            raise ValueError(f"{start} to {last} is no span of the source's {len(self.raw)} characters")
        covered = self.raw[start : last + 1]
        if "".join(html.unescape(covered).split()) != "".join(html.unescape(said).split()):
            raise ValueError(f"{start} to {last} covers {covered!r}, not {said!r}")
        return self.positions[start], self.positions[last] + 1


def _read_source(path: Path) -> _Source:
    # A line end counts as one character, however it is written.
    content = read_text(path).replace("\r\n", "\n").replace("\r", "\n")
    raw, text = "", ""
    positions: list[int] = []
    pieces: list[Offsets] = []
    for piece in _TAG.split(content):
        raw += piece
        begin, place = len(text), 0
        for match in _ESCAPE.finditer(piece):
            positions += range(len(text), len(text) + match.start() - place)
            text += piece[place : match.start()]
            # All characters of an escape are the one that it stands for.
            positions += [len(text)] * len(match[0])
            text += html.unescape(match[0].lower())
            place = match.end()
        positions += range(len(text), len(text) + len(piece) - place)
        text += piece[place:]
        if text[begin:].strip():
            pieces.append((begin, len(text)))
    return _Source(raw, text, positions, pieces)
