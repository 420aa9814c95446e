"""Grouping keeps every span once, whatever the order."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plmarker.modeling.grouping_plmarker import Candidate, group_spans
from plmarker.modeling.processing_plmarker import candidate_spans, entity_features

CANDIDATES = [Candidate(start, end, (start, end)) for start, end in candidate_spans(0, 11, 4)]
GROUPINGS = ("consecutive", "shuffle", "sort", "edge")


@given(st.sampled_from(GROUPINGS), st.integers(1, 50), st.integers(0, 9))
def test_every_span_is_in_one_group_of_bounded_size(grouping, size, seed):
    groups = list(group_spans(CANDIDATES, size, grouping, random.Random(seed)))
    assert sorted((c.start, c.end) for group in groups for c in group) == [(c.start, c.end) for c in CANDIDATES]
    assert all(0 < len(group) <= size for group in groups)


@given(st.integers(4, 50), st.integers(0, 9), st.sampled_from([0, 1]))
def test_spans_with_one_edge_stay_together_where_they_fit(size, seed, axis):
    groups = list(group_spans(CANDIDATES, size, "edge", random.Random(seed), axis))
    edges = [{(c.start, c.end)[axis] for c in group} for group in groups]
    # No more than four spans have a start, or an end, in common.
    assert sum(map(len, edges)) == len(set().union(*edges))


def test_without_a_limit_there_is_one_group():
    assert [len(group) for group in group_spans(CANDIDATES, None, "edge", random.Random(0))] == [len(CANDIDATES)]
    assert list(group_spans([], 4, "sort", random.Random(0))) == []


@pytest.mark.parametrize("grouping", GROUPINGS)
def test_features_are_grouped_the_same_way_every_time_and_each_sentence_in_its_own(schema, minilm_tokenizer, grouping):
    from plmarker.modeling.windows_plmarker import WordTokenizer

    document = {"doc_key": "a", "sentences": [["Ada", "met", "Bob", "and", "Eve"]] * 2, "ner": [[], []]}
    tokenize = WordTokenizer(minilm_tokenizer)

    def spans(seed: int) -> list[list[tuple[int, int]]]:
        features = entity_features(document, tokenize, schema, 64, 3, 4, grouping=grouping, seed=seed)
        return [list(zip(f["word_starts"], f["word_ends"], strict=True)) for f in features]

    assert spans(1) == spans(1)
    assert {span for group in spans(1) for span in group} == {span for group in spans(2) for span in group}
    if grouping == "shuffle":
        assert spans(1) != spans(2)
