"""Documents to features: candidate spans and subject instances, as ragged integer lists (SPEC, sections 3 and 4).

A document is a mapping with `doc_key`, `sentences` (words), and per sentence, where known, `ner` (objects with
`start`, `end`, `label`), `relations` (`head_start`, `head_end`, `tail_start`, `tail_end`, `label`) and
`predicted_ner`; word indices are document-level, both ends inclusive.

Features know nothing of marker tokens or of padding; `packing_plmarker` makes rows of them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, TypeVar

from .schema_plmarker import LabelSchema
from .windows_plmarker import Subwords, Window, WordTokenizer, find_window, windows_of_sentence

Span = tuple[int, int]
Feature = dict[str, Any]
Item = TypeVar("Item")
# Subject, window and objects; without a subject for the empty one, without all for what only carries annotations.
Instance = tuple[Sequence[int] | None, Window | None, list[Sequence[int]]]

# [CLS] and [SEP]; around a relation's subject also the two solid markers.
ENTITY_SPECIAL_TOKENS = 2
RELATION_SPECIAL_TOKENS = 4


def sentence_ranges(sentences: Sequence[Sequence[str]]) -> list[Span]:
    """First and last word of every sentence, at document level; the last is before the first for an empty one."""
    ranges, first = [], 0
    for words in sentences:
        ranges.append((first, first + len(words) - 1))
        first += len(words)
    return ranges


def candidate_spans(first_word: int, last_word: int, max_span_length: int) -> list[Span]:
    """All spans of at most `max_span_length` words of a sentence: start ascending, then end ascending."""
    return [
        (start, end)
        for start in range(first_word, last_word + 1)
        for end in range(start, min(start + max_span_length, last_word + 1))
    ]


def gold_entities(document: Mapping[str, Any], sentence: int, schema: LabelSchema) -> list[list[int]]:
    """A sentence's annotated entities as [start, end, class], each once; empty where nothing is annotated."""
    annotations = document.get("ner")
    rows = (
        [[e["start"], e["end"], schema.entity_class(e["label"])] for e in annotations[sentence]] if annotations else []
    )
    return _unique(rows)


def gold_relations(document: Mapping[str, Any], sentence: int, schema: LabelSchema) -> list[list[int]]:
    """A sentence's annotated relations as [head start, head end, tail start, tail end, class], each once."""
    annotations = document.get("relations")
    rows = [
        [r["head_start"], r["head_end"], r["tail_start"], r["tail_end"], schema.relation_class(r["label"])]
        for r in (annotations[sentence] if annotations else [])
    ]
    return _unique(rows)


def given_entities(document: Mapping[str, Any], sentence: int, schema: LabelSchema) -> list[list[int]]:
    """The entities that the relation model reads: `predicted_ner` where the document has it, else `ner`."""
    if document.get("predicted_ner") is None:
        return gold_entities(document, sentence, schema)
    return gold_entities({"ner": document["predicted_ner"]}, sentence, schema)


def entity_features(
    document: Mapping[str, Any],
    tokenize: WordTokenizer,
    schema: LabelSchema,
    max_seq_length: int = 512,
    max_span_length: int = 8,
    max_pair_length: int | None = None,
) -> list[Feature]:
    """Features of one document for the entity model.

    Returns:
        One feature per window and group of `max_pair_length` candidate spans:
        `doc_key`, `sentence`; `input_ids` of the window, special tokens included; `span_starts`, `span_ends`, each
        span's first and last subword in the window; `word_starts`, `word_ends`, the same as words of the document;
        `labels`, a class for each span; `gold`, all entities of the sentence as [start, end, class], in its first
        feature only; `length`, the tokens that it adds to a row. A sentence without words gives none.
    """
    subwords = tokenize([word for sentence in document["sentences"] for word in sentence])
    features = []
    for sentence, (first, last) in enumerate(sentence_ranges(document["sentences"])):
        if last < first:
            continue
        room = max_seq_length - ENTITY_SPECIAL_TOKENS
        windows = windows_of_sentence(subwords.word_starts, first, last, room)
        gold = gold_entities(document, sentence, schema)
        classes = {(start, end): label for start, end, label in gold}
        spans_of_window: dict[int, list[Span]] = defaultdict(list)
        for span in candidate_spans(first, last, max_span_length):
            index = find_window(windows, subwords.word_starts, *span, room)
            if index is not None:
                spans_of_window[index].append(span)
        groups: list[tuple[Window | None, list[Span]]] = [
            (window, group)
            for index, window in enumerate(windows)
            for group in _slices(spans_of_window[index], max_pair_length)
        ]
        if not groups and gold:
            groups = [(None, [])]
        for number, (window, spans) in enumerate(groups):
            feature = _window_feature(document, sentence, subwords, window, tokenize)
            starts, ends = _positions(spans, subwords, window)
            feature.update(
                span_starts=starts,
                span_ends=ends,
                word_starts=[start for start, _ in spans],
                word_ends=[end for _, end in spans],
                labels=[classes.get(span, 0) for span in spans],
                gold=gold if number == 0 else [],
                length=len(feature["input_ids"]) + 2 * len(spans),
            )
            features.append(feature)
    return features


def relation_features(
    document: Mapping[str, Any],
    tokenize: WordTokenizer,
    schema: LabelSchema,
    max_seq_length: int = 256,
    max_pair_length: int | None = None,
    empty_subject: bool = False,
) -> list[Feature]:
    """Features of one document for the relation model, one instance per subject.

    Args:
        empty_subject: also emit, for each sentence, an instance without a subject, from which the entity types are
            learnt too (training only).

    Returns:
        One feature per subject, window and group of `max_pair_length` objects: `doc_key`, `sentence`; `input_ids` of
        the window, special tokens included, solid markers not; `subject_start`, `subject_end`, its first and last
        subword in the window, -1 for the empty subject; `subject_word_start`, `subject_word_end`, `subject_label`;
        `object_starts`, `object_ends`, `object_word_starts`, `object_word_ends` in the same manner;
        `labels`, the relation class of each object; `object_labels`, its annotated type, 0 where it is no entity;
        `gold`, `gold_relations` and `given`, the annotated entities, the relations and the entities that the model
        reads, of the whole sentence, in its first feature only; `length`, the tokens that it adds to a row.
        A sentence with annotations but without an instance gives one feature without objects, so that no annotation
        is lost from recall.
    """
    subwords = tokenize([word for sentence in document["sentences"] for word in sentence])
    features = []
    for sentence, (first, last) in enumerate(sentence_ranges(document["sentences"])):
        if last < first:
            continue
        gold = gold_entities(document, sentence, schema)
        relations = gold_relations(document, sentence, schema)
        given = given_entities(document, sentence, schema)
        types = {(start, end): label for start, end, label in gold}
        classes = _pair_classes(relations, schema)
        room = max_seq_length - RELATION_SPECIAL_TOKENS
        windows = windows_of_sentence(subwords.word_starts, first, last, room)
        instances: list[Instance] = list(_subject_instances(given, windows, subwords, room))
        if empty_subject:
            instances += _empty_subject_instances(given, windows, max_seq_length)
        groups: list[Instance] = [
            (subject, window, group)
            for subject, window, objects in instances
            for group in _slices(objects, max_pair_length)
        ]
        if not groups and (gold or relations or given):
            groups = [(None, None, [])]
        for number, (subject, window, objects) in enumerate(groups):
            feature = _window_feature(document, sentence, subwords, window, tokenize)
            starts, ends = _positions(objects, subwords, window)
            (subject_start,), (subject_end,) = _positions([subject], subwords, window) if subject else ([-1], [-1])
            feature.update(
                subject_start=subject_start,
                subject_end=subject_end,
                subject_word_start=subject[0] if subject else -1,
                subject_word_end=subject[1] if subject else -1,
                subject_label=types.get((subject[0], subject[1]), 0) if subject else 0,
                object_starts=starts,
                object_ends=ends,
                object_word_starts=[entity[0] for entity in objects],
                object_word_ends=[entity[1] for entity in objects],
                labels=[
                    classes.get((subject[0], subject[1], entity[0], entity[1]), 0) if subject else 0
                    for entity in objects
                ],
                object_labels=[types.get((entity[0], entity[1]), 0) for entity in objects],
                gold=gold if number == 0 else [],
                gold_relations=relations if number == 0 else [],
                given=given if number == 0 else [],
                length=len(feature["input_ids"]) + 2 + 2 * len(objects) if objects else 0,
            )
            features.append(feature)
    return features


def _subject_instances(
    given: list[list[int]], windows: list[Window], subwords: Subwords, room: int
) -> Iterator[Instance]:
    """Each subject with the objects, itself included, that one window reads together with it."""
    spans = _unique([entity[:2] for entity in given])
    for subject in spans:
        objects_of_window: dict[int, list[Sequence[int]]] = defaultdict(list)
        for entity in spans:
            hull = min(subject[0], entity[0]), max(subject[1], entity[1])
            index = find_window(windows, subwords.word_starts, *hull, room)
            if index is not None:
                objects_of_window[index].append(entity)
        for index, objects in sorted(objects_of_window.items()):
            yield subject, windows[index], objects


def _empty_subject_instances(
    given: list[list[int]], windows: Sequence[Window], max_seq_length: int
) -> Iterator[Instance]:
    """All entities of a window behind markers that surround nothing; skipped when the window is full."""
    for window in windows:
        objects: list[Sequence[int]] = [e[:2] for e in given if window.first_word <= e[0] and e[1] <= window.last_word]
        if objects and window.stop - window.start + RELATION_SPECIAL_TOKENS < max_seq_length:
            yield None, window, objects


def _pair_classes(relations: list[list[int]], schema: LabelSchema) -> dict[tuple[int, ...], int]:
    """Relation class of every ordered pair: as annotated, and the inverse where the other order has none of its own."""
    classes: dict[tuple[int, ...], int] = {tuple(ends): label for *ends, label in relations}
    for (hs, he, ts, te), label in list(classes.items()):
        classes.setdefault((ts, te, hs, he), schema.inverse(label))
    return classes


def _window_feature(
    document: Mapping[str, Any], sentence: int, subwords: Subwords, window: Window | None, tokenize: WordTokenizer
) -> Feature:
    ids = [] if window is None else tokenize.with_special_tokens(subwords.ids[window.start : window.stop])
    return {"doc_key": str(document.get("doc_key", "")), "sentence": sentence, "input_ids": ids}


def _positions(
    spans: Sequence[Sequence[int]], subwords: Subwords, window: Window | None
) -> tuple[list[int], list[int]]:
    """First and last subword of spans of words, counted in the window, where [CLS] is 0."""
    offset = 1 - (window.start if window else 0)
    starts = [subwords.word_starts[span[0]] + offset for span in spans]
    ends = [subwords.word_starts[span[1] + 1] - 1 + offset for span in spans]
    return starts, ends


def _slices(items: Sequence[Item], size: int | None) -> Iterator[list[Item]]:
    """Consecutive slices of at most `size` items; all in one for None."""
    iterator = iter(items)
    while group := list(islice(iterator, size)):
        yield group


def _unique(rows: list[list[int]]) -> list[list[int]]:
    return [list(row) for row in dict.fromkeys(map(tuple, rows))]
