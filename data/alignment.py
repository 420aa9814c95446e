"""Annotations of characters to annotations of words."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import Any

from ..modeling.schema_plmarker import PLMarkerError
from ..modeling.text_plmarker import Offsets, locate_words, split_sentences
from .documents import Document
from .report import ReadingReport

# Finds the words of every sentence of a text: character offsets, end exclusive.
WordLocator = Callable[[str], Sequence[Sequence[Offsets]]]
WORDS = ("plmarker", "spacy", "spaces")
# White space is what str.split takes for it: regex, unlike re, leaves out the separators U+001C to U+001F.
_WORD = re.compile(r"\S+")


@dataclass
class TextDocument:
    """A text with annotations of its characters.

    Args:
        key: the document's name.
        text: what the offsets count in.
        entities: (start, end exclusive, label) by identifier.
        relations: (identifier of the head, identifier of the tail, label).
        located: the words of every sentence, where the source has them.
    """

    key: str
    text: str
    entities: dict[Any, tuple[int, int, str]] = field(default_factory=dict)
    relations: list[tuple[Any, Any, str]] = field(default_factory=list)
    located: Sequence[Sequence[Offsets]] | None = None


def word_locator(words: str = "plmarker", language: str = "en") -> WordLocator:
    """The function that cuts texts into sentences of words.

    Args:
        words: `plmarker`, as `extract` cuts raw text; `spacy`, with spaCy's rules for the language, which also cut at
            hyphens; `spaces`, for text that is cut already: a line is a sentence, white space stands between words.
        language: ISO 639-1 code, for the sentences and for spaCy.

    Raises:
        PLMarkerError: for an unknown name, or where spaCy or its language is missing.
    """
    splitter = partial(split_sentences, language=language)
    if words == "plmarker":
        return partial(locate_words, splitter=splitter)
    if words == "spaces":
        return _locate_between_spaces
    if words != "spacy":
        raise PLMarkerError(f"words are cut by one of {', '.join(WORDS)}, got {words!r}")
    tokenizer = _spacy_tokenizer(language)

    def locate(text: str) -> list[list[Offsets]]:
        sentences = []
        place = 0
        for sentence in splitter(text):
            start = text.index(sentence, place)
            place = start + len(sentence)
            tokens = [token for token in tokenizer(sentence) if not token.is_space]
            sentences.append([(start + token.idx, start + token.idx + len(token)) for token in tokens])
        return [words for words in sentences if words]

    return locate


def _locate_between_spaces(text: str) -> list[list[Offsets]]:
    sentences, start = [], 0
    for line in text.split("\n"):
        sentences.append([(match.start() + start, match.end() + start) for match in _WORD.finditer(line)])
        start += len(line) + 1
    return [words for words in sentences if words]


def sentences_of_tokens(tokens: Iterable[Any], begins: Sequence[int]) -> list[list[Offsets]]:
    """The words of every sentence among spaCy's tokens, without white space.

    Args:
        begins: where sentences begin, ascending; a word belongs to the sentence that it begins in, one before all of
            them to the first.
    """
    sentences: list[list[Offsets]] = [[] for _ in begins or [0]]
    for token in tokens:
        if not token.is_space:
            sentences[max(bisect_right(begins, token.idx) - 1, 0)].append((token.idx, token.idx + len(token)))
    return [words for words in sentences if words]


@lru_cache
def _spacy_tokenizer(language: str) -> Any:
    try:
        import spacy
    except ImportError:
        raise PLMarkerError("cutting words as spaCy does needs it: pip install 'plmarker[spacy]'") from None
    try:
        return spacy.blank(language).tokenizer
    except ImportError as error:
        # Some languages that it knows need a package more, which the error names.
        reason = " ".join(str(error).split())
        raise PLMarkerError(f"spaCy cannot cut words of the language {language!r}: {reason}") from None


def align(document: TextDocument, locate: WordLocator, report: ReadingReport) -> Document:
    """Turn annotations of characters into annotations of words.

    An annotation that begins or ends inside a word is widened to whole words; white space at its ends means nothing.
    One that holds no word is dropped, and its relations with it. Sentences between which an annotation lies are
    joined. Nothing of this is silent: `report.counts` gets the numbers of `exact`, `widened` and `dropped` entities,
    `joined sentences`, `dropped relations`, `duplicates`, which say of the same words what another annotation says, and
    `relations across sentences`, which are kept, and count as missed.

    Args:
        locate: cuts the text where the document does not bring its words.

    Returns:
        The document, typed, without the char offsets.
    """
    text, counts = document.text, report.counts
    located = document.located if document.located is not None else locate(text)
    words = [offsets for sentence in located for offsets in sentence]
    begins, ends = [start for start, _ in words], [end for _, end in words]
    sentence_of = [number for number, sentence in enumerate(located) for _ in sentence]
    # Sentences that are one with the sentence before them.
    joined: set[int] = set()
    spans: dict[Any, tuple[int, int, str]] = {}
    for identifier, (start, end, label) in document.entities.items():
        covered = text[start:end]
        start, end = start + len(covered) - len(covered.lstrip()), end - len(covered) + len(covered.rstrip())
        first, last = bisect_right(ends, start), bisect_left(begins, end) - 1
        if start >= end or first > last:
            counts["dropped"] += 1
            continue
        counts["exact" if (begins[first], ends[last]) == (start, end) else "widened"] += 1
        spans[identifier] = (first, last, label)
        joined.update(range(sentence_of[first] + 1, sentence_of[last] + 1))
    counts["joined sentences"] += len(joined)
    sentences: list[list[str]] = []
    number_of = []
    for number, sentence in enumerate(located):
        if number not in joined:
            sentences.append([])
        sentences[-1] += [text[start:end] for start, end in sentence]
        number_of.append(len(sentences) - 1)
    ner: list[list[dict[str, Any]]] = [[] for _ in sentences]
    relations: list[list[dict[str, Any]]] = [[] for _ in sentences]
    entities = dict.fromkeys(spans.values())
    for first, last, label in entities:
        ner[number_of[sentence_of[first]]].append({"start": first, "end": last, "label": label})
    kept = [
        (*spans[head][:2], *spans[tail][:2], label)
        for head, tail, label in document.relations
        if head in spans and tail in spans
    ]
    found = dict.fromkeys(kept)
    counts["dropped relations"] += len(document.relations) - len(kept)
    counts["duplicates"] += len(spans) - len(entities) + len(kept) - len(found)
    for head_start, head_end, tail_start, tail_end, label in found:
        place = number_of[sentence_of[head_start]]
        counts["relations across sentences"] += place != number_of[sentence_of[tail_start]]
        row = {"head_start": head_start, "head_end": head_end, "tail_start": tail_start, "tail_end": tail_end}
        relations[place].append({**row, "label": label})
    for rows in ner:
        rows.sort(key=lambda row: (row["start"], row["end"]))
    return {
        "doc_key": document.key,
        "sentences": sentences,
        "ner": ner,
        "relations": relations,
        "predicted_ner": None,
        "predicted_relations": None,
    }
