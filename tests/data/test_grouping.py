"""Grouping keeps every span once, whatever the order."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plmarker.data.grouping import group_spans, training_rows
from plmarker.modeling.configuration_plmarker import PLMarkerEntityConfig
from plmarker.modeling.span_tasks_plmarker import SpanTask, candidate_spans
from plmarker.modeling.windows_plmarker import WordTokenizer

SPANS = candidate_spans(0, 11, 4)
GROUPINGS = ("consecutive", "shuffle", "sort", "edge")


@given(st.sampled_from(GROUPINGS), st.integers(1, 50), st.integers(0, 9))
def test_every_span_is_in_one_group_of_bounded_size(grouping, size, seed):
    groups = list(group_spans(SPANS, size, grouping, random.Random(seed)))
    assert sorted(number for group in groups for number in group) == list(range(len(SPANS)))
    assert all(0 < len(group) <= size for group in groups)


@given(st.integers(4, 50), st.integers(0, 9), st.sampled_from([0, 1]))
def test_spans_with_one_edge_stay_together_where_they_fit(size, seed, axis):
    groups = list(group_spans(SPANS, size, "edge", random.Random(seed), axis))
    edges = [{SPANS[number][axis] for number in group} for group in groups]
    # No more than four spans have a start, or an end, in common.
    assert sum(map(len, edges)) == len(set().union(*edges))


def test_without_a_limit_there_is_one_group():
    assert [len(group) for group in group_spans(SPANS, None, "edge", random.Random(0))] == [len(SPANS)]
    assert list(group_spans([], 4, "sort", random.Random(0))) == []


@pytest.mark.parametrize("grouping", GROUPINGS)
def test_rows_are_grouped_the_same_way_every_time_and_each_sentence_by_itself(schema, minilm_tokenizer, grouping):
    document = {"doc_key": "a", "sentences": [["Ada", "met", "Bob", "and", "Eve"]] * 2, "ner": [[], []]}
    tokenize = WordTokenizer(minilm_tokenizer)
    config = PLMarkerEntityConfig(
        **schema.to_dict(), max_seq_length=64, max_span_length=3, max_pair_length=4, grouping=grouping
    )

    def groups(seed: int) -> list[list[tuple[int, int]]]:
        (row,) = training_rows(SpanTask(config), document, tokenize, seed)
        assert all(len(set(row.sentences[a:b])) == 1 for a, b in row.bounds)
        return [row.spans[a:b] for a, b in row.bounds]

    assert groups(1) == groups(1)
    assert {span for group in groups(1) for span in group} == {span for group in groups(2) for span in group}
    assert all(len(group) <= 4 for group in groups(1))
    if grouping == "shuffle":
        assert groups(1) != groups(2)
