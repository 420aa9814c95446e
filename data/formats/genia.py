"""Read the XML of GENIA's term annotation, such as GENIAcorpus3.02, also with parts of speech."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...modeling.schema_plmarker import PLMarkerError
from ...modeling.text_plmarker import Offsets
from ..alignment import TextDocument, WordLocator, align, word_locator
from ..documents import Document
from ..report import ReadingReport
from .options import ReadingOptions

# Declarations and comments may come before the root.
BEGINNING = re.compile(
    rb"(?s)(?:\xef\xbb\xbf)?(?:\s|<\?(?:(?!\?>).)*\?>|<!--(?:(?!-->).)*-->)*<(?:!DOCTYPE\s+)?set[\s>]"
)
# GENIA writes "G#protein_molecule" and "G#protein_N/A".
LABEL = re.compile(r"(?:G#)?([^\s()]+)")


def is_genia(path: Path) -> bool:
    """Whether a file begins as GENIA's XML does: its root is `set`."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return bool(BEGINNING.match(file.read(2000)))


@dataclass
class _Sentence:
    """What the elements of a sentence hold. Offsets count in its text."""

    text: str = ""
    entities: list[tuple[int, int, str]] = field(default_factory=list)
    words: list[Offsets] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)

    def add(self, element: Any) -> None:
        """Add the text of an element, and the entities and words inside."""
        start = len(self.text)
        self.text += element.text or ""
        for child in element:
            self.add(child)
            self.text += child.tail or ""
        if element.tag == "w" and self.text[start:].strip():
            self.words.append((start, len(self.text)))
        if element.tag != "cons":
            return
        label = LABEL.fullmatch(element.get("sem", ""))
        if label:
            self.entities.append((start, len(self.text), label[1]))
        else:
            # "T and B cells" is one coordination, (AND G#cell_type G#cell_type). Its parts have no type.
            kind = "coordinations left out" if element.get("sem", "").startswith("(") else "parts of terms left out"
            self.left_out[kind] += 1


def read_genia(path: Path, report: ReadingReport, options: ReadingOptions) -> Iterator[Document]:
    """Stream the articles of a file. Terms may be nested. The types have GENIA's names without `G#`.

    Terms in a coordination, such as "T and B cells", share words, and spans cannot hold them. `report.counts` counts
    these as `coordinations left out`, and the elements without a type as `parts of terms left out`.

    Args:
        path: the file.
        report: receives the problems and counts, with those of `align`.
        options: `words` and `language` apply, unless the file has the words as `w` elements.

    Yields:
        Typed documents. Their names are the identifiers of MEDLINE.

    Raises:
        PLMarkerError: if a required package is not installed.
    """
    try:
        from defusedxml import DefusedXmlException, ElementTree
    except ImportError:
        raise PLMarkerError("reading GENIA needs the package defusedxml: pip install 'plmarker[corpora]'") from None
    locate = word_locator(options.words, options.language)
    number = 0
    try:
        # The DOCTYPE names a DTD that lies beside the corpus. expat does not open it.
        for _, element in ElementTree.iterparse(str(path), ("end",)):
            if element.tag == "article":
                number += 1
                name = (element.findtext(".//bibliomisc") or "").removeprefix("MEDLINE:").strip()
                yield align(_document(element, name or f"{path.stem}-{number}", locate, report), locate, report)
                element.clear()
    except ElementTree.ParseError as error:
        report.problem(path, error.position[0], f"invalid XML: {error}")
    except RecursionError:
        report.problem(path, 0, "the elements are nested too deeply")
    except DefusedXmlException as error:
        report.problem(path, 0, f"the XML declares entities, which is unsafe and not allowed ({type(error).__name__})")
    if not number:
        report.problem(path, 0, "the file has no documents, expected elements <article> with <sentence>")


def _document(article: Any, name: str, locate: WordLocator, report: ReadingReport) -> TextDocument:
    """An article with its own sentences."""
    document = TextDocument(name, "", word_offsets=(located := []))
    for element in article.iter("sentence"):
        sentence = _Sentence()
        sentence.add(element)
        report.counts.update(sentence.left_out)
        first = len(document.text)
        words = sentence.words or [place for part in locate(sentence.text) for place in part]
        located.append([(first + start, first + end) for start, end in words])
        for start, end, label in sentence.entities:
            document.entities[len(document.entities)] = (first + start, first + end, label)
        document.text += sentence.text + "\n"
    return document
