"""Scores to entities and relations."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plmarker.modeling.decoding_plmarker import (
    ScoredSpan,
    decode_relations,
    label_spans,
    log_softmax,
    overlaps,
    remove_overlaps,
    softmax,
)
from plmarker.modeling.schema_plmarker import LabelSchema
from plmarker.trainers.metrics import types_from_relations

SCHEMA = LabelSchema(("PER", "ORG"), ("MARRIED", "WORKS_FOR", "OWNS"), ("MARRIED",))
MARRIED, WORKS_FOR, OWNS, WORKS_FOR_INVERSE, OWNS_INVERSE = range(1, 6)
PER, ORG = 1, 2

WORDS = st.integers(0, 8)
SPANS = st.builds(
    lambda start, length, label, score: ScoredSpan(start, start + length, label, score),
    WORDS,
    st.integers(0, 3),
    st.integers(1, 3),
    st.sampled_from([0.2, 0.5, 0.5, 0.9]),
)


def touch(one: ScoredSpan, other: ScoredSpan, flat: bool) -> bool:
    shared = set(range(one.start, one.end + 1)) & set(range(other.start, other.end + 1))
    return bool(shared) and (flat or one.label == other.label)


@given(st.tuples(WORDS, WORDS).map(sorted), st.tuples(WORDS, WORDS).map(sorted))
def test_spans_overlap_when_they_share_a_word(one, other):
    assert overlaps(tuple(one), tuple(other)) == bool(
        set(range(one[0], one[1] + 1)) & set(range(other[0], other[1] + 1))
    )


@given(st.lists(SPANS, max_size=10), st.booleans())
def test_of_overlapping_spans_the_more_probable_is_kept(spans, flat):
    kept = remove_overlaps(spans, flat)
    assert [(span.start, span.end) for span in kept] == sorted((span.start, span.end) for span in kept)
    assert all(not touch(a, b, flat) for number, a in enumerate(kept) for b in kept[:number])
    for span in spans:
        assert span in kept or any(touch(span, other, flat) and other.score >= span.score for other in kept)
    assert remove_overlaps(kept, flat) == kept


def test_of_equally_probable_spans_the_first_is_kept():
    spans = [ScoredSpan(2, 3, PER, 0.5), ScoredSpan(1, 2, PER, 0.5)]
    assert remove_overlaps(spans, flat=False) == spans[:1]


@pytest.mark.parametrize(("flat", "n_kept"), [(True, 1), (False, 2)])
def test_nested_spans_of_different_labels_stay_only_where_spans_may_nest(flat, n_kept):
    assert len(remove_overlaps([ScoredSpan(0, 3, ORG, 0.9), ScoredSpan(1, 1, PER, 0.8)], flat)) == n_kept


def test_labelled_spans_are_those_whose_best_class_is_not_nil():
    logits = np.array([[2.0, 1, 0], [0, 0, 3], [0, 1, 0.9]])
    spans = label_spans([(0, 0), (0, 1), (1, 1)], logits)
    assert [(span.start, span.end, span.label) for span in spans] == [(0, 1, ORG), (1, 1, PER)]
    assert [span.score for span in spans] == pytest.approx([softmax(logits[1])[2], softmax(logits[2])[1]])


def test_no_spans_and_no_pairs_decode_to_nothing():
    assert label_spans([], np.zeros((0, 3))) == []
    assert remove_overlaps([], flat=True) == []
    assert decode_relations([], [], np.zeros((0, 6)), np.zeros((0, 3)), SCHEMA) == []


@given(st.lists(st.floats(-1e4, 1e4), min_size=2, max_size=6))
def test_softmax_is_stable_and_adds_up_to_one(values):
    logits = np.array(values)
    assert softmax(logits).sum() == pytest.approx(1)
    assert np.exp(log_softmax(logits)) == pytest.approx(softmax(logits))


def decode(scores: dict[tuple[int, int], list[float]], types: dict[int, list[float]], **options):
    """Decode pairs of one-word spans, given by word; a pair that is not named scores nothing for any class."""
    words = sorted(types)
    pairs = [(a, b) for a in words for b in words]
    return decode_relations(
        [(a, a) for a, _ in pairs],
        [(b, b) for _, b in pairs],
        np.array([scores.get(pair, [5.0, 0, 0, 0, 0, 0]) for pair in pairs]),
        np.array([types[b] for _, b in pairs]),
        SCHEMA,
        **options,
    )


def one_hot(index: int, size: int, height: float = 9.0) -> list[float]:
    return [height * (index == place) for place in range(size)]


PEOPLE = {0: one_hot(PER, 3), 4: one_hot(ORG, 3)}


@pytest.mark.parametrize(
    ("forward", "backward", "head", "tail", "label"),
    [
        (WORKS_FOR, WORKS_FOR_INVERSE, 0, 4, WORKS_FOR),
        (OWNS_INVERSE, OWNS, 4, 0, OWNS),
        (MARRIED, MARRIED, 0, 4, MARRIED),
    ],
)
def test_both_directions_of_a_pair_speak_of_one_relation(forward, backward, head, tail, label):
    (found,) = decode({(0, 4): one_hot(forward, 6), (4, 0): one_hot(backward, 6)}, PEOPLE)
    assert (found.head, found.tail, found.label) == ((head, head), (tail, tail), label)
    assert (found.head_label, found.tail_label) == ((PER, ORG) if head == 0 else (ORG, PER))
    assert found.score == pytest.approx(softmax(np.array(one_hot(forward, 6)))[forward])


def test_the_surer_direction_decides():
    unsure, sure = one_hot(WORKS_FOR, 6, 1.0), one_hot(OWNS, 6, 5.0)
    (found,) = decode({(0, 4): unsure, (4, 0): sure}, PEOPLE)
    assert (found.head, found.tail, found.label) == ((4, 4), (0, 0), OWNS)


def test_a_pair_with_a_nil_type_gives_no_relation_unless_types_are_given():
    scores = {(0, 4): one_hot(OWNS, 6), (4, 0): one_hot(OWNS_INVERSE, 6)}
    types = {0: one_hot(0, 3), 4: one_hot(ORG, 3)}
    assert decode(scores, types) == []
    (found,) = decode(scores, types, given_types={(0, 0): ORG, (4, 4): PER})
    assert (found.head_label, found.tail_label) == (ORG, PER)


def test_relations_below_the_threshold_are_dropped():
    scores = {(0, 4): one_hot(OWNS, 6, 2.0), (4, 0): one_hot(OWNS_INVERSE, 6, 2.0)}
    (found,) = decode(scores, PEOPLE)
    assert decode(scores, PEOPLE, threshold=found.score) == [found]
    assert decode(scores, PEOPLE, threshold=found.score + 1e-6) == []
    # The relation is found from its tail: of its two classes the forward one has a name.
    turned = {(0, 4): one_hot(OWNS_INVERSE, 6, 2.0), (4, 0): one_hot(OWNS, 6, 2.0)}
    for scored in (scores, turned):
        assert len(decode(scored, PEOPLE, threshold={"OWNS": found.score - 1e-6, "WORKS_FOR": 1.0})) == 1
        assert decode(scored, PEOPLE, threshold={"OWNS": found.score + 1e-6}) == []


def test_a_relation_between_overlapping_spans_yields_to_a_surer_one_of_the_same_label():
    spans = [(0, 1), (1, 1), (5, 5)]
    pairs = [(a, b) for a in spans for b in spans]
    for weaker, n_found in ((OWNS, 1), (WORKS_FOR, 2)):
        logits = np.tile([5.0, 0, 0, 0, 0, 0], (len(pairs), 1))
        logits[pairs.index(((0, 1), (5, 5)))] = one_hot(OWNS, 6, 20.0)
        logits[pairs.index(((1, 1), (5, 5)))] = one_hot(weaker, 6, 12.0)
        found = decode_relations(
            [a for a, _ in pairs], [b for _, b in pairs], logits, np.tile([0.0, 3, 0], (len(pairs), 1)), SCHEMA
        )
        assert (found[0].head, found[0].label, len(found)) == ((0, 1), OWNS, n_found)


@given(st.integers(0, 2**31))
def test_decoded_relations_are_forward_sorted_and_without_overlaps(seed):
    random = np.random.default_rng(seed)
    spans = [(0, 1), (1, 1), (3, 5), (4, 4)]
    pairs = [(a, b) for a in spans for b in spans]
    logits, types = random.normal(0, 3, (len(pairs), 6)), random.normal(0, 1, (len(pairs), 3))
    found = decode_relations([a for a, _ in pairs], [b for _, b in pairs], logits, types, SCHEMA)
    scores = [relation.score for relation in found]
    assert scores == sorted(scores, reverse=True)
    assert all(0 < score <= 1 for score in scores)
    assert all(0 < relation.label < SCHEMA.n_forward for relation in found)
    assert all(relation.head_label > 0 and relation.tail_label > 0 for relation in found)
    assert len({frozenset((relation.head, relation.tail)) for relation in found}) == len(found)
    for number, one in enumerate(found):
        for other in found[:number]:
            assert one.label != other.label or not (overlaps(one.head, other.head) and overlaps(one.tail, other.tail))


@given(st.integers(0, 2**31))
def test_the_order_of_the_pairs_changes_only_which_end_of_a_symmetric_relation_is_the_head(seed):
    random = np.random.default_rng(seed)
    spans = [(0, 0), (2, 3), (5, 5)]
    pairs = [(a, b) for a in spans for b in spans]
    logits = random.normal(0, 3, (len(pairs), 6))
    # An object's type depends on its subject's window in a model; here it must not, for the comparison.
    types = np.tile(random.normal(0, 2, (len(spans), 3)), (len(spans), 1))

    def decoded(order: list[int]) -> set:
        found = decode_relations(
            [pairs[row][0] for row in order], [pairs[row][1] for row in order], logits[order], types[order], SCHEMA
        )
        ends = (frozenset((r.head, r.tail)) if SCHEMA.inverse(r.label) == r.label else (r.head, r.tail) for r in found)
        return {(pair, r.label, round(r.score, 9)) for pair, r in zip(ends, found, strict=True)}

    order = list(range(len(pairs)))
    assert decoded(order) == decoded(order[::-1]) == decoded(random.permutation(order).tolist())


def test_a_span_s_type_is_that_of_its_surest_relation():
    strong = {(0, 4): one_hot(OWNS, 6, 12.0), (4, 0): one_hot(OWNS_INVERSE, 6, 12.0)}
    weak = {(0, 2): one_hot(MARRIED, 6, 6.0), (2, 0): one_hot(MARRIED, 6, 6.0)}
    spans = [(0, 0), (2, 2), (4, 4)]
    # As an object of (4, 4) the first span is an ORG, as one of (2, 2) a PER.
    rows = [(a, b) for a in spans for b in spans]
    scores = {((a, a), (b, b)): values for (a, b), values in (strong | weak).items()}
    types = {((4, 4), (0, 0)): ORG, ((2, 2), (0, 0)): PER}
    relations = decode_relations(
        [a for a, _ in rows],
        [b for _, b in rows],
        np.array([scores.get(row, one_hot(0, 6)) for row in rows]),
        np.array([one_hot(types.get(row, PER), 3) for row in rows]),
        SCHEMA,
    )
    assert len(relations) == 2
    assert types_from_relations(relations) == {(0, 0): ORG, (4, 4): PER, (2, 2): PER}
