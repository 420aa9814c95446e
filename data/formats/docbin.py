"""spaCy's binary files of annotated documents (`.spacy`, `DocBin`)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ...modeling.schema_plmarker import PLMarkerError
from ...modeling.text_plmarker import Offsets
from ..alignment import TextDocument, WordLocator, align, sentences_of_tokens, word_locator
from ..documents import Document, existing_file
from ..report import ReadingReport
from .options import ReadingOptions


def read_docbin(path: Path, report: ReadingReport, options: ReadingOptions) -> Iterator[Document]:
    """Stream the documents of a file: its words, its `ents`, and all its groups of `spans`, nested ones included.

    Sentences are the file's own, or, where it has none, those of the text. spaCy itself keeps no relations.

    Raises:
        PLMarkerError: for a missing file, where spaCy is missing, and for a file that spaCy cannot read.
    """
    try:
        import spacy
        from spacy.tokens import DocBin
    except ImportError:
        raise PLMarkerError("reading .spacy files needs spaCy: pip install 'plmarker[spacy]'") from None
    existing_file(path)

    def documents() -> Iterator[Any]:
        try:
            # msgpack, not pickle. The words are in the file: a vocabulary of any language holds them.
            yield from DocBin().from_disk(path).get_docs(spacy.blank("xx").vocab)
        except Exception as error:
            raise PLMarkerError(f"{path}: no DocBin that spaCy can read, {' '.join(str(error).split())}") from None

    locate = word_locator(language=options.language)
    number = 0
    for number, found in enumerate(documents(), start=1):
        spans = [*found.ents, *(span for group in found.spans.values() for span in group)]
        entities: dict[Any, tuple[int, int, str]] = {}
        for span in spans:
            if span.label_:
                entities[(span.start_char, span.end_char, span.label_)] = (span.start_char, span.end_char, span.label_)
            else:
                report.problem(path, 0, f"document {number}: the span {span.text!r} has no label")
        yield align(
            TextDocument(f"{path.stem}-{number}", found.text, entities, located=_sentences(found, locate)),
            locate,
            report,
        )
    if not number:
        report.problem(path, 0, "zero documents")


def _sentences(found: Any, locate: WordLocator) -> list[list[Offsets]]:
    if found.has_annotation("SENT_START"):
        begins = [sentence.start_char for sentence in found.sents]
    else:
        begins = [sentence[0][0] for sentence in locate(found.text)]
    # What stands before the first word of the first sentence is a sentence too.
    return sentences_of_tokens(found, [0, *begins])
