"""Documents to features: candidate spans and subject instances, as ragged integer lists (paper, section 3).

A document is a mapping with `doc_key`, `sentences` (words), and per sentence, where known, `ner` (objects with
`start`, `end`, `label`), `relations` (`head_start`, `head_end`, `tail_start`, `tail_end`, `label`) and
`predicted_ner`; word indices are document-level, both ends inclusive.

Features know nothing of marker tokens or of padding; `packing_plmarker` makes rows of them.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from .configuration_plmarker import PLMarkerTaskConfig
from .grouping_plmarker import Candidate, Span, group_spans, slices
from .schema_plmarker import LabelSchema
from .tagging_plmarker import tags_of_entities
from .windows_plmarker import Subwords, Window, WordTokenizer, find_window, windows_of_sentence

Feature = dict[str, Any]
Pair = tuple[Span, Span]
# A window, and the pairs of subject and object that are read behind it.
Instance = tuple[Window, list[Pair]]
# Stands for the subject of an instance that has none.
NO_SUBJECT: Span = (-1, -1)

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


def features_of(
    config: PLMarkerTaskConfig, document: Mapping[str, Any], tokenize: WordTokenizer, training: bool = False
) -> list[Feature]:
    """Features of one document for a model; see [`entity_features`] and [`relation_features`].

    Args:
        training: as training examples; else for evaluation.
    """
    make = entity_features if config.finds_entities else relation_features
    options = config.feature_options(training)
    tokenize = tokenize if options.pop("map_brackets") else tokenize.raw()
    features: list[Feature] = make(document, tokenize, config.schema, **options)
    return features


def entity_features(
    document: Mapping[str, Any],
    tokenize: WordTokenizer,
    schema: LabelSchema,
    max_seq_length: int = 512,
    max_span_length: int = 8,
    max_pair_length: int | None = None,
    grouping: str = "consecutive",
    tags: str | None = None,
    word_parts: bool = False,
    markers_per_span: int = 2,
    seed: int = 0,
) -> list[Feature]:
    """Features of one document for the entity model.

    Args:
        document: `candidates`, where it has them, are for each sentence the only spans to score, as [start, end].
        grouping: how the spans of a window are divided, see `group_spans`.
        tags: for a sequence tagger, the kind of tags: the spans are then the words, their labels the tags.
        word_parts: also make candidates of spans that end inside a word, as NIL (docs/original.md, Q5).
        markers_per_span: tokens that a span adds to a row.
        seed: of a random grouping.

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
        candidates = candidate_spans(first, last, 1 if tags else max_span_length)
        if tags:
            classes = {
                (word, word): tag for word, tag in enumerate(tags_of_entities(gold, first, last, tags), start=first)
            }
        elif document.get("candidates") is not None:
            candidates = [(start, end) for start, end in document["candidates"][sentence]]
        spans_of_window: dict[int, list[Candidate]] = defaultdict(list)
        for span in candidates:
            index = find_window(windows, subwords.word_starts, *span, room)
            if index is not None:
                if word_parts:
                    spans_of_window[index] += _word_parts(span, subwords, windows[index])
                spans_of_window[index].append(_candidate(span, subwords, windows[index]))
        generator = random.Random(f"{seed} {document.get('doc_key', '')} {sentence}")
        groups: list[tuple[Window | None, list[Candidate]]] = [
            (window, group)
            for index, window in enumerate(windows)
            for group in group_spans(spans_of_window[index], max_pair_length, grouping, generator)
        ]
        if not groups and gold:
            groups = [(None, [])]
        for number, (window, spans) in enumerate(groups):
            feature = _window_feature(document, sentence, subwords, window, tokenize)
            feature.update(
                span_starts=[span.start for span in spans],
                span_ends=[span.end for span in spans],
                word_starts=[span.words[0] for span in spans],
                word_ends=[span.words[1] for span in spans],
                labels=[0 if span.is_part else classes.get(span.words, 0) for span in spans],
                gold=gold if number == 0 else [],
                length=len(feature["input_ids"]) + markers_per_span * len(spans),
            )
            features.append(feature)
    return features


def _candidate(span: Span, subwords: Subwords, window: Window) -> Candidate:
    (start,), (end,) = _positions([span], subwords, window)
    return Candidate(start, end, span)


def _word_parts(span: Span, subwords: Subwords, window: Window) -> Iterator[Candidate]:
    """The spans that end at a subword inside the last word of `span`."""
    whole = _candidate(span, subwords, window)
    n_subwords = subwords.word_starts[span[1] + 1] - subwords.word_starts[span[1]]
    for end in range(whole.end - n_subwords + 1, whole.end):
        yield Candidate(whole.start, end, span, is_part=True)


def relation_features(
    document: Mapping[str, Any],
    tokenize: WordTokenizer,
    schema: LabelSchema,
    max_seq_length: int = 256,
    max_pair_length: int | None = None,
    empty_subject: bool = False,
    levitated: bool = False,
    inverse: bool = True,
    self_pairs: bool = True,
) -> list[Feature]:
    """Features of one document for the relation model, one instance per subject.

    Args:
        empty_subject: also emit, for each sentence, an instance without a subject, from which the entity types are
            learnt too (training only).
        levitated: all pairs of a sentence behind one window, without solid markers around a subject.
        inverse: label a pair by its inverse class where only the other order is annotated.
        self_pairs: make a subject its own object too, so that its type is predicted.

    Returns:
        One feature per subject, window and group of `max_pair_length` objects: `doc_key`, `sentence`; `input_ids` of
        the window, special tokens included, solid markers not; `subject_start`, `subject_end`, its first and last
        subword in the window, -1 for the empty subject; `subject_word_start`, `subject_word_end`, `subject_label`;
        `object_starts`, `object_ends`, `object_word_starts`, `object_word_ends` in the same manner;
        `labels`, the relation class of each object; `object_labels`, its annotated type, 0 where it is no entity;
        `subject_type`, `object_types`, the types of the given entities;
        `gold`, `gold_relations` and `given`, the annotated entities, the relations and the entities that the model
        reads, of the whole sentence, in its first feature only; `length`, the tokens that it adds to a row.
        With levitated subjects one per window and group of pairs, where `subject_starts`, `subject_ends`,
        `subject_word_starts`, `subject_word_ends`, `subject_labels` are lists beside those of the objects.
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
        room = max_seq_length - (ENTITY_SPECIAL_TOKENS if levitated else RELATION_SPECIAL_TOKENS)
        windows = windows_of_sentence(subwords.word_starts, first, last, room)
        instances: list[Instance] = list(_subject_instances(given, windows, subwords, room, self_pairs))
        if empty_subject:
            instances += _empty_subject_instances(given, windows, max_seq_length)
        if levitated:
            instances = _join_windows(instances)
        groups: list[tuple[Window | None, list[Pair]]] = [
            (window, group) for window, members in instances for group in slices(members, max_pair_length)
        ]
        if not groups and (gold or relations or given):
            groups = [(None, [])]
        types, given_types = ({(a, b): label for a, b, label in rows} for rows in (gold, given))
        # Symmetric classes come first; a levitated pair is labelled in the annotated order alone.
        reversed_classes = range(0 if levitated else schema.n_forward if inverse else schema.n_symmetric)
        classes = _pair_classes(relations, schema, reversed_classes)
        for number, (window, pairs) in enumerate(groups):
            is_first = number == 0
            feature = _window_feature(document, sentence, subwords, window, tokenize)
            subjects, objects = [subject for subject, _ in pairs], [entity for _, entity in pairs]
            if levitated:
                feature |= _columns("subject", subjects, subwords, window)
                feature["subject_labels"] = [types.get(subject, 0) for subject in subjects]
            else:
                subject = subjects[0] if subjects else NO_SUBJECT
                one = _columns("subject", [subject] if subject != NO_SUBJECT else [], subwords, window)
                feature |= {name.removesuffix("s"): values[0] if values else -1 for name, values in one.items()}
                feature["subject_label"] = types.get(subject, 0)
                feature["subject_type"] = given_types.get(subject, 0)
                feature["object_types"] = [given_types.get(entity, 0) for entity in objects]
            feature |= _columns("object", objects, subwords, window)
            feature.update(
                labels=[classes.get((*subject, *entity), 0) for subject, entity in pairs],
                object_labels=[types.get(entity, 0) for entity in objects],
                gold=gold if is_first else [],
                gold_relations=relations if is_first else [],
                given=given if is_first else [],
                length=_length(feature, len(pairs), levitated),
            )
            features.append(feature)
    return features


def pairs_of_feature(feature: Mapping[str, Any]) -> list[Pair]:
    """Subject and object, as words, of each row of scores that a relation feature gets."""
    objects = list(zip(feature["object_word_starts"], feature["object_word_ends"], strict=True))
    if "subject_word_starts" in feature:
        subjects = list(zip(feature["subject_word_starts"], feature["subject_word_ends"], strict=True))
    else:
        subjects = [(feature["subject_word_start"], feature["subject_word_end"])] * len(objects)
    return list(zip(subjects, objects, strict=True))


def _columns(kind: str, spans: Sequence[Span], subwords: Subwords, window: Window | None) -> dict[str, list[int]]:
    """Where spans stand in the window, as subwords, and in the document, as words."""
    starts, ends = _positions(spans, subwords, window)
    return {
        f"{kind}_starts": starts,
        f"{kind}_ends": ends,
        f"{kind}_word_starts": [start for start, _ in spans],
        f"{kind}_word_ends": [end for _, end in spans],
    }


def _length(feature: Feature, n_pairs: int, levitated: bool) -> int:
    if not n_pairs:
        return 0
    return len(feature["input_ids"]) + (4 * n_pairs if levitated else 2 + 2 * n_pairs)


def _subject_instances(
    given: list[list[int]], windows: list[Window], subwords: Subwords, room: int, self_pairs: bool
) -> Iterator[Instance]:
    """Each subject with the objects, itself included where its type is asked for, that one window reads with it."""
    spans: list[Span] = list(dict.fromkeys((start, end) for start, end, _ in given))
    for subject in spans:
        pairs_of_window: dict[int, list[Pair]] = defaultdict(list)
        for entity in spans:
            hull = min(subject[0], entity[0]), max(subject[1], entity[1])
            index = find_window(windows, subwords.word_starts, *hull, room)
            if index is not None and (self_pairs or entity != subject):
                pairs_of_window[index].append((subject, entity))
        for index, pairs in sorted(pairs_of_window.items()):
            yield windows[index], pairs


def _empty_subject_instances(
    given: list[list[int]], windows: Sequence[Window], max_seq_length: int
) -> Iterator[Instance]:
    """All entities of a window behind markers that surround nothing; skipped when the window is full."""
    for window in windows:
        inside = ((e[0], e[1]) for e in given if window.first_word <= e[0] and e[1] <= window.last_word)
        pairs = [(NO_SUBJECT, span) for span in inside]
        if pairs and window.stop - window.start + RELATION_SPECIAL_TOKENS < max_seq_length:
            yield window, pairs


def _join_windows(instances: Sequence[Instance]) -> list[Instance]:
    """The pairs of all subjects of a window together."""
    joined: dict[Window, list[Pair]] = {}
    for window, pairs in instances:
        joined.setdefault(window, []).extend(pairs)
    return list(joined.items())


def _pair_classes(
    relations: list[list[int]], schema: LabelSchema, reversed_classes: range
) -> dict[tuple[int, ...], int]:
    """Relation class of every ordered pair: as annotated, and the inverse where the other order has none of its own.

    Args:
        reversed_classes: the classes that the other order gets an inverse of.
    """
    classes: dict[tuple[int, ...], int] = {tuple(ends): label for *ends, label in relations}
    for (hs, he, ts, te), label in list(classes.items()):
        if label in reversed_classes:
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


def _unique(rows: list[list[int]]) -> list[list[int]]:
    return [list(row) for row in dict.fromkeys(map(tuple, rows))]
