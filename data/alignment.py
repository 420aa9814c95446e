"""Convert annotations of characters into annotations of words."""

from __future__ import annotations

import re
import reprlib
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import Any

import regex

from ..modeling.schema_plmarker import PLMarkerError, one_line
from ..modeling.text_plmarker import UNSPACED, WORD, Offsets, check_language, locate_words, split_sentences
from .documents import Document
from .report import ReadingReport

# Finds the words of a text. The result has one list per sentence, with (start, exclusive end) of each word in
# characters.
WordLocator = Callable[[str], Sequence[Sequence[Offsets]]]
WORDS = ("plmarker", "spacy", "spaces")
# `re` and `str.split` agree on white space. The package `regex` does not: it leaves out U+001C to U+001F.
_WORD = re.compile(r"\S+")
_UNSPACED = regex.compile(UNSPACED)


@dataclass
class TextDocument:
    """A text with annotations of its characters.

    Args:
        key: the name of the document.
        text: the text. All character offsets count in it.
        entities: identifier -> (start, exclusive end, label), in characters.
        relations: (identifier of the head, identifier of the tail, label).
        word_offsets: (start, exclusive end) of the words of each sentence, in characters; None if the source does not
            define its words.
    """

    key: str
    text: str
    entities: dict[Any, tuple[int, int, str]] = field(default_factory=dict)
    relations: list[tuple[Any, Any, str]] = field(default_factory=list)
    word_offsets: Sequence[Sequence[Offsets]] | None = None


def word_locator(words: str = "plmarker", language: str = "en") -> WordLocator:
    """Return a function that splits a text into sentences and words.

    Example:
        >>> word_locator()("Ada sings. Bob left.")
        [[(0, 3), (4, 9), (9, 10)], [(11, 14), (15, 19), (19, 20)]]

    Args:
        words: the rules for words. `plmarker` splits as `extract` splits raw text. `spacy` uses spaCy's rules for the
            language, which also split at hyphens. `spaces` is for text that is already tokenized: each line is a
            sentence, and white space separates the words.
        language: ISO 639-1 code, used to split sentences and to choose spaCy's rules.

    Returns:
        The function. It gives (start, exclusive end) in characters for each word, in one list per sentence.

    Raises:
        PLMarkerError: if `words` is unknown, if the language is no code, if spaCy is not installed, or if spaCy does
            not support the language.
    """
    check_language(language)
    splitter = partial(split_sentences, language=language)
    if words == "plmarker":
        return partial(locate_words, splitter=splitter)
    if words == "spaces":
        return _locate_between_spaces
    if words != "spacy":
        raise PLMarkerError(f"words must be one of {', '.join(WORDS)}, got {words!r}")
    tokenizer = _spacy_tokenizer(language)

    def locate(text: str) -> list[list[Offsets]]:
        sentences = []
        position = 0
        for sentence in splitter(text):
            start = text.index(sentence, position)
            position = start + len(sentence)
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


def sentences_of_tokens(tokens: Iterable[Any], sentence_starts: Sequence[int]) -> list[list[Offsets]]:
    """Group spaCy tokens into sentences.

    Args:
        tokens: spaCy tokens in the order of the text. Tokens of white space are left out. In scripts without spaces
            each character is a word, as in `extract`, because spaCy's words differ with its language and extras.
        sentence_starts: the character offsets at which sentences begin, in ascending order. Tokens before the first
            offset belong to the first sentence.

    Returns:
        (start, exclusive end) in characters for each word, in one list per sentence. Empty sentences are left out.
    """
    sentences: list[list[Offsets]] = [[] for _ in sentence_starts or [0]]
    for token in tokens:
        if not token.is_space:
            sentence = max(bisect_right(sentence_starts, token.idx) - 1, 0)
            words = [(0, len(token))]
            if _UNSPACED.search(token.text):
                words = [match.span() for match in WORD.finditer(token.text)]
            sentences[sentence] += [(token.idx + start, token.idx + end) for start, end in words]
    return [words for words in sentences if words]


@lru_cache
def _spacy_tokenizer(language: str) -> Any:
    try:
        import spacy
    except ImportError:
        raise PLMarkerError("the word rules 'spacy' need the package spaCy: pip install 'plmarker[spacy]'") from None
    try:
        return spacy.blank(language).tokenizer
    except ImportError as error:
        # Some languages need another package. The error of spaCy names it.
        reason = one_line(error)
        raise PLMarkerError(f"spaCy cannot split words of the language {language!r}: {reason}") from None


def align(document: TextDocument, locate: WordLocator, report: ReadingReport) -> Document:
    """Convert annotations of characters into annotations of words.

    An entity keeps its label and gets the words that it touches:

    - White space at the ends of an entity is ignored.
    - An entity that begins or ends inside a word is widened to the whole word.
    - An entity without a word is dropped, together with its relations.
    - Sentences are joined if an entity crosses the border between them.
    - A relation between two sentences is kept in the sentence of its head. It counts as missed in the evaluation.
    - Annotations with the same words and labels are kept once.

    `report.counts` counts every case: `exact`, `widened` and `dropped` entities, `joined sentences`,
    `dropped relations`, `relations across sentences`, and `duplicates`.

    Example:
        >>> text = TextDocument("a", "Ada sings.", {"T1": (0, 3, "PER")})
        >>> align(text, word_locator(), ReadingReport())["ner"]
        [[{'start': 0, 'end': 0, 'label': 'PER'}]]

    Args:
        document: the text and its annotations. A relation is dropped if `document.entities` lacks its head or tail.
        locate: splits the text into words. It is called only if `document.word_offsets` is None.
        report: receives the counts.

    Returns:
        A typed document with inclusive ends. Character offsets are not kept.
    """
    text, counts = document.text, report.counts
    located = document.word_offsets if document.word_offsets is not None else locate(text)
    words = [offsets for sentence in located for offsets in sentence]
    word_starts, word_ends = [start for start, _ in words], [end for _, end in words]
    sentence_of_word = [number for number, sentence in enumerate(located) for _ in sentence]
    # Numbers of the sentences that are joined to the sentence before them.
    joined: set[int] = set()
    spans: dict[Any, tuple[int, int, str]] = {}
    for identifier, (start, end, label) in document.entities.items():
        covered = text[start:end]
        start, end = start + len(covered) - len(covered.lstrip()), end - len(covered) + len(covered.rstrip())
        first, last = bisect_right(word_ends, start), bisect_left(word_starts, end) - 1
        if start >= end or first > last:
            counts["dropped"] += 1
            continue
        widest = (word_starts[first], word_ends[last])
        counts["exact" if widest == (start, end) else "widened"] += 1
        if widest != (start, end) and "widened" not in report.examples:
            words_of_it = text[slice(*widest)]
            report.examples["widened"] = (
                f"{reprlib.repr(text[start:end])} became {reprlib.repr(words_of_it)} in {document.key!r}"
            )
        spans[identifier] = (first, last, label)
        joined.update(range(sentence_of_word[first] + 1, sentence_of_word[last] + 1))
    counts["joined sentences"] += len(joined)
    sentences: list[list[str]] = []
    # The new number of each sentence of `located`.
    new_number = []
    for number, sentence in enumerate(located):
        if number not in joined:
            sentences.append([])
        sentences[-1] += [text[start:end] for start, end in sentence]
        new_number.append(len(sentences) - 1)
    ner: list[list[dict[str, Any]]] = [[] for _ in sentences]
    relations: list[list[dict[str, Any]]] = [[] for _ in sentences]
    entities = dict.fromkeys(spans.values())
    for first, last, label in entities:
        ner[new_number[sentence_of_word[first]]].append({"start": first, "end": last, "label": label})
    kept_relations = [
        (*spans[head][:2], *spans[tail][:2], label)
        for head, tail, label in document.relations
        if head in spans and tail in spans
    ]
    unique_relations = dict.fromkeys(kept_relations)
    counts["dropped relations"] += len(document.relations) - len(kept_relations)
    counts["duplicates"] += len(spans) - len(entities) + len(kept_relations) - len(unique_relations)
    for head_start, head_end, tail_start, tail_end, label in unique_relations:
        head_sentence = new_number[sentence_of_word[head_start]]
        counts["relations across sentences"] += head_sentence != new_number[sentence_of_word[tail_start]]
        row = {"head_start": head_start, "head_end": head_end, "tail_start": tail_start, "tail_end": tail_end}
        relations[head_sentence].append({**row, "label": label})
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
