"""Entities that the user gives: from spans of characters to spans of words."""

from __future__ import annotations

import logging
import reprlib
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate, pairwise
from numbers import Integral
from typing import Any

from .schema_plmarker import LabelSchema, PLMarkerError
from .text_plmarker import Offsets, located_document

logger = logging.getLogger(__name__)

# Start, end and label of a given entity. Without a label the entity model is asked for it.
Given = tuple[int, int, str | None]


def with_given(
    document: Mapping[str, Any], entities: Any, schema: LabelSchema, name: str, by_words: bool = False
) -> dict[str, Any]:
    """Give a text its entities as `predicted_ner`, with words and sentences that fit them.

    Args:
        document: what `located_document` returns.
        entities: (start, end, label) or (start, end) each.
        schema: the labels that there are.
        name: the name of the text, for messages.
        by_words: start and end are the first and the last word, not characters.

    Raises:
        PLMarkerError: as `checked_given`, `align_given` and `given_words`.
    """
    text, located = document["text"], document["located"]
    # The last word is inclusive, the last character is not.
    checked = checked_given(entities, sum(map(len, located)) - 1 if by_words else len(text), schema, name)
    if by_words:
        return {**document, "predicted_ner": given_words(located, checked, name)}
    located, given = align_given(text, located, checked, name)
    return {**document, **located_document(document["doc_key"], text, located), "predicted_ner": given}


def checked_given(entities: Any, length: int, schema: LabelSchema, name: str) -> list[Given]:
    """Check given entities.

    Args:
        entities: (start, end, label) or (start, end) each.
        length: no span may end behind this.
        schema: the labels that there are.
        name: what the entities belong to, for messages.

    Raises:
        PLMarkerError: for anything else, an unknown label, a span outside the text, and two labels for one span.
    """
    if isinstance(entities, str | bytes | Mapping) or not isinstance(entities, Iterable):
        raise PLMarkerError(f"{name}: entities= is a list of (start, end, label), got {reprlib.repr(entities)}")
    found: list[Given] = []
    for number, entity in enumerate(entities):
        place = f"{name}, given entity {number}"
        values = list(entity) if isinstance(entity, Sequence) and not isinstance(entity, str | bytes) else []
        if len(values) == 2:
            values.append(None)
        if len(values) != 3 or any(isinstance(v, bool) or not isinstance(v, Integral) for v in values[:2]):
            raise PLMarkerError(f"{place}: expected (start, end, label) or (start, end), got {reprlib.repr(entity)}")
        start, end, label = int(values[0]), int(values[1]), values[2]
        if length < 0:
            raise PLMarkerError(f"{place}: there are no words")
        if not 0 <= start <= end or end > length:
            raise PLMarkerError(f"{place}: the span {start} to {end} is not inside 0 to {length}")
        if label is not None and label not in schema.entity_labels:
            known = ", ".join(schema.entity_labels)
            raise PLMarkerError(f"{place}: the model does not know the label {label!r}, it knows {known}")
        found.append((start, end, label))
    return _each_once(found, name)


def _each_once(entities: Iterable[Given], name: str) -> list[Given]:
    """The entities without repetitions. Raises `PLMarkerError` for two labels of one span."""
    found: dict[tuple[int, int], str | None] = {}
    for start, end, label in entities:
        other = found.setdefault((start, end), label)
        if other != label:
            labels = " and ".join("no label" if one is None else one for one in (other, label))
            raise PLMarkerError(f"{name}: the given entity {start} to {end} has two labels: {labels}")
    return [(start, end, label) for (start, end), label in found.items()]


def align_given(
    text: str, located: Sequence[Sequence[Offsets]], entities: Sequence[Given], name: str
) -> tuple[list[list[Offsets]], list[list[dict[str, Any]]]]:
    """Make words and sentences fit given entities, which stay exactly as they are.

    White space and invisible characters around an entity are left out. A word in which an entity begins or ends is cut
    there, and sentences that an entity joins become one. All three are reported.

    Args:
        text: the text.
        located: character offsets of the words of every sentence.
        entities: character offsets, end exclusive.

    Returns:
        The words, and for each sentence the entities as `predicted_ner` has them: by words of the document.

    Raises:
        PLMarkerError: for an entity without a word in it.
    """
    spans = []
    n_trimmed = 0
    for start, end, label in entities:
        inside = text[start:end]
        first = start + len(inside) - len(inside.lstrip())
        last = first + len(inside.strip())
        n_trimmed += (first, last) != (start, end)
        spans.append((first, last, label))
    spans = _each_once(spans, name)
    borders = sorted({place for start, end, _ in spans for place in (start, end)})
    sentences = [[piece for word in sentence for piece in _cut(word, borders)] for sentence in located]
    n_cut = sum(map(len, sentences)) - sum(map(len, located))
    sentences, n_joined = _join(sentences, spans)
    given: list[list[dict[str, Any]]] = [[] for _ in sentences]
    numbers = [number for number, sentence in enumerate(sentences) for _ in sentence]
    words = [word for sentence in sentences for word in sentence]
    starts = [start for start, _ in words]
    found: list[Given] = []
    for start, end, label in spans:
        first, stop = bisect_left(starts, start), bisect_left(starts, end)
        if first == stop:
            raise PLMarkerError(f"{name}: the given entity {text[start:end]!r} at {start} holds no word")
        # Invisible characters are in no word.
        n_trimmed += (words[first][0], words[stop - 1][1]) != (start, end)
        found.append((first, stop - 1, label))
    for first, last, label in _each_once(found, name):
        given[numbers[first]].append({"start": first, "end": last, "label": label})
    for count, what in (
        (n_trimmed, "white space or an invisible character around a given entity is left out"),
        (n_cut, "a given entity begins or ends inside a word, which is cut there"),
        (n_joined, "a given entity joins two sentences"),
    ):
        if count:
            logger.warning("%s: %s (%d times)", name, what, count)
    return sentences, given


def given_words(sentences: Sequence[Sequence[Any]], entities: Sequence[Given], name: str) -> list[list[dict[str, Any]]]:
    """For each sentence the entities as `predicted_ner` has them.

    Args:
        entities: first and last word, both inclusive, at document level.

    Raises:
        PLMarkerError: for an entity of two sentences.
    """
    numbers = [number for number, words in enumerate(sentences) for _ in words]
    given: list[list[dict[str, Any]]] = [[] for _ in sentences]
    for start, end, label in entities:
        if numbers[start] != numbers[end]:
            raise PLMarkerError(f"{name}: the given entity {start} to {end} lies in two sentences")
        given[numbers[start]].append({"start": start, "end": end, "label": label})
    return given


def _cut(word: Offsets, borders: Sequence[int]) -> list[Offsets]:
    """The pieces of a word between borders."""
    inside = borders[bisect_right(borders, word[0]) : bisect_left(borders, word[1])]
    return list(pairwise([word[0], *inside, word[1]]))


def _join(sentences: list[list[Offsets]], spans: Sequence[Given]) -> tuple[list[list[Offsets]], int]:
    """Join the sentences that a span touches, and count the joints."""
    joined: list[list[Offsets]] = []
    starts = sorted(start for start, _, _ in spans)
    furthest = list(accumulate((end for _, end, _ in sorted(spans, key=lambda span: span[0])), max))
    for sentence in sentences:
        # The spans that begin before the sentence, and the furthest end of them.
        count = bisect_left(starts, sentence[0][0])
        if joined and count and furthest[count - 1] > sentence[0][0]:
            joined[-1] = joined[-1] + sentence
        else:
            joined.append(sentence)
    return joined, len(sentences) - len(joined)
