"""Read `DocBin`, the binary format of spaCy for annotated documents (`.spacy`)."""

from __future__ import annotations

from collections.abc import Iterator, Sized
from pathlib import Path
from typing import Any

from ...modeling.schema_plmarker import PLMarkerError, one_line
from ...modeling.text_plmarker import Offsets
from ..alignment import TextDocument, WordLocator, align, sentences_of_tokens, word_locator
from ..documents import Document, existing_file
from ..report import ReadingReport
from .options import ReadingOptions

# Where spaCy's tutorial on relations keeps them, and the least score of one that holds.
RELATIONS = "rel"
LEAST_SCORE = 0.5


def read_docbin(path: Path, report: ReadingReport, options: ReadingOptions) -> Iterator[Document]:
    """Stream the documents of a file.

    The words are the tokens of the file. The entities are `ents` and every group of `spans`, which may be nested. The
    sentences are those of the file, or those of the text if the file has none. spaCy has no standard place for
    relations. Those of its own tutorial are read: `doc._.rel` maps the first tokens of two entities to labels with
    scores, and a label with a score of at least 0.5 is a relation. Other values of documents are counted by name.

    Args:
        path: the `.spacy` file.
        report: receives the problems and counts. A span without a label is a problem.
        options: `language` applies. It is used to split sentences.

    Yields:
        Typed documents. They are called `corpus-1`, `corpus-2` and so on in a file `corpus.spacy`.

    Raises:
        PLMarkerError: if the file does not exist, if spaCy is not installed, or if spaCy cannot read the file.
    """
    try:
        import spacy
        from spacy.tokens import DocBin
    except ImportError:
        raise PLMarkerError("reading .spacy files needs the package spaCy: pip install 'plmarker[spacy]'") from None
    existing_file(path)

    def documents() -> Iterator[Any]:
        try:
            # A DocBin is msgpack, not pickle, so it cannot run code. It has its own strings, so an empty vocabulary of
            # any language is enough.
            yield from DocBin().from_disk(path).get_docs(spacy.blank("xx").vocab)
        except Exception as error:
            reason = one_line(error)
            raise PLMarkerError(f"{path}: spaCy cannot read this file as a DocBin: {reason}") from None

    locate = word_locator(language=options.language)
    number = 0
    for number, doc in enumerate(documents(), start=1):
        spans = [*doc.ents, *(span for group in doc.spans.values() for span in group)]
        entities: dict[Any, tuple[int, int, str]] = {}
        for span in spans:
            if span.label_:
                entities[(span.start_char, span.end_char, span.label_)] = (span.start_char, span.end_char, span.label_)
            else:
                report.problem(path, 0, f"document {number}: the span {span.text!r} has no label, expected one")
        document = TextDocument(f"{path.stem}-{number}", doc.text, entities, word_offsets=_word_offsets(doc, locate))
        values = _own_values(doc)
        unread = values.keys() - {RELATIONS}
        try:
            # As a whole: the first relations of a value of another form are no relations.
            document.relations += list(_relations(values.get(RELATIONS, {}), spans))
        except (TypeError, ValueError, AttributeError, KeyError):
            unread.add(RELATIONS)
        for name in sorted(unread):
            report.counts[f"documents whose doc._.{name} is not read"] += 1
        yield align(document, locate, report)
    if not number:
        report.problem(path, 0, "the file has no documents")


def _own_values(doc: Any) -> dict[str, Any]:
    """The values that somebody has set on a document under `doc._`, without those that are empty."""
    # spaCy names them so in `user_data`. The last two parts are a place in the text, which is None for a document.
    values = {
        key[1]: value
        for key, value in doc.user_data.items()
        if isinstance(key, tuple) and len(key) == 4 and key[0] == "._." and key[2] is None
    }
    return {name: value for name, value in values.items() if value is not None and not _is_empty(value)}


def _is_empty(value: Any) -> bool:
    return isinstance(value, Sized) and len(value) == 0


def _relations(pairs: Any, spans: list[Any]) -> Iterator[tuple[Any, Any, str]]:
    """The relations of pairs of first tokens. Their ends are named as the entities are.

    Raises:
        TypeError, ValueError, AttributeError, KeyError: for a value of another form.
    """
    first: dict[int, Any] = {}
    for span in spans:
        first.setdefault(span.start, (span.start_char, span.end_char, span.label_))
    for (head, tail), scores in pairs.items():
        for label, score in scores.items():
            if score >= LEAST_SCORE:
                yield first[head], first[tail], label


def _word_offsets(doc: Any, locate: WordLocator) -> list[list[Offsets]]:
    if doc.has_annotation("SENT_START"):
        sentence_starts = [sentence.start_char for sentence in doc.sents]
    else:
        sentence_starts = [sentence[0][0] for sentence in locate(doc.text)]
    # Tokens before the first sentence become a sentence of their own.
    return sentences_of_tokens(doc, [0, *sentence_starts])
