"""Features to packed rows."""

from itertools import pairwise
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from plmarker.modeling.packing_plmarker import entity_row, relation_row, split_by_tokens

START, END = 91, 92
OPEN, CLOSE, OBJECT_START, OBJECT_END = 93, 94, 95, 96
RELATION_MARKERS = [OPEN, CLOSE, OBJECT_START, OBJECT_END]

TEXTS = [list(range(10, 18)), list(range(10, 18)), [20, 21, 22, 23, 24], [30, 31, 32]]


def spans(draw: st.DrawFn, length: int, min_size: int = 0) -> tuple[list[int], list[int]]:
    pairs = [(start, end) for start in range(1, length - 1) for end in range(start, length - 1)]
    chosen = draw(st.lists(st.sampled_from(pairs), min_size=min_size, max_size=4))
    return [start for start, _ in chosen], [end for _, end in chosen]


@st.composite
def entity_features(draw: st.DrawFn) -> dict[str, Any]:
    text = draw(st.sampled_from(TEXTS))
    starts, ends = spans(draw, len(text))
    return {
        "doc_key": draw(st.sampled_from("ab")),
        "input_ids": text,
        "span_starts": starts,
        "span_ends": ends,
        "labels": draw(st.lists(st.integers(0, 5), min_size=len(starts), max_size=len(starts))),
        "length": len(text) + 2 * len(starts),
    }


@st.composite
def relation_features(draw: st.DrawFn) -> dict[str, Any]:
    text = draw(st.sampled_from(TEXTS))
    starts, ends = spans(draw, len(text), 1)
    first = draw(st.sampled_from([-1, *range(1, len(text) - 1)]))
    return {
        "doc_key": draw(st.sampled_from("ab")),
        "input_ids": text,
        "subject_start": first,
        "subject_end": first if first < 0 else draw(st.integers(first, len(text) - 2)),
        "subject_type": 0,
        "object_types": [0] * len(starts),
        "object_starts": starts,
        "object_ends": ends,
        "labels": draw(st.lists(st.integers(0, 5), min_size=len(starts), max_size=len(starts))),
        "object_labels": draw(st.lists(st.integers(0, 5), min_size=len(starts), max_size=len(starts))),
        "length": len(text) + 2 + 2 * len(starts),
    }


def windows(row: dict[str, torch.Tensor]) -> list[tuple[int, int, int]]:
    """Where each window, its markers and the next window begin."""
    places, start = [], 0
    for text, markers in row["window_lengths"].tolist():
        places.append((start, start + text, start + text + markers))
        start += text + markers
    return places


def check_row(row: dict[str, torch.Tensor]) -> None:
    ids, positions = row["input_ids"], row["position_ids"]
    assert ids.shape == positions.shape == (1, int(row["window_lengths"].sum()))
    assert all(tensor.dtype == torch.long for tensor in row.values())
    for start, markers, _ in windows(row):
        assert positions[0, start:markers].tolist() == list(range(markers - start))


def window_at(row: dict[str, torch.Tensor], place: int) -> tuple[int, int, int]:
    return next(window for window in windows(row) if window[0] <= place < window[2])


@given(st.lists(entity_features(), min_size=1, max_size=6))
def test_an_entity_row_says_where_each_span_s_markers_and_ends_stand(features):
    row = entity_row(features, [START, END])
    check_row(row)
    ids, positions = row["input_ids"][0].tolist(), row["position_ids"][0].tolist()
    assert row["labels"].tolist() == [label for feature in features for label in feature["labels"]]
    index = iter(row["span_index"].tolist())
    for feature in features:
        for start, end in zip(feature["span_starts"], feature["span_ends"], strict=True):
            start_marker, end_marker, first, last = next(index)
            assert (ids[start_marker], ids[end_marker]) == (START, END)
            assert (
                (positions[start_marker], positions[end_marker]) == (start, end) == (positions[first], positions[last])
            )
            text, markers, stop = window_at(row, start_marker)
            assert ids[text:markers] == feature["input_ids"]
            assert text <= first <= last < markers <= start_marker < stop
            # Partners are neighbours: the pair is one block on the diagonal.
            assert (start_marker - markers) % 2 == 0
            assert end_marker == start_marker + 1
    assert next(index, None) is None


@given(st.lists(relation_features(), min_size=1, max_size=6))
def test_a_relation_row_puts_solid_markers_around_the_subject_and_shifts_the_objects(features):
    row = relation_row(features, RELATION_MARKERS)
    check_row(row)
    ids, positions = row["input_ids"][0].tolist(), row["position_ids"][0].tolist()
    for name in ("labels", "object_labels"):
        assert row[name].tolist() == [label for feature in features for label in feature[name]]
    index = iter(zip(row["subject_index"].tolist(), row["object_index"].tolist(), strict=True))
    for feature in features:
        text, first, last = feature["input_ids"], feature["subject_start"], feature["subject_end"]
        if first < 0:
            expected = [*text, OPEN, CLOSE]
        else:
            expected = [*text[:first], OPEN, *text[first : last + 1], CLOSE, *text[last + 1 :]]
        for start, end in zip(feature["object_starts"], feature["object_ends"], strict=True):
            (open_marker, close_marker), (start_marker, end_marker) = next(index)
            assert (ids[start_marker], ids[end_marker]) == (OBJECT_START, OBJECT_END)
            begin, markers, _ = window_at(row, start_marker)
            assert ids[begin:markers] == expected
            assert (ids[open_marker], ids[close_marker]) == (OPEN, CLOSE)
            assert begin <= open_marker < close_marker < markers
            # The object's markers stand on the object's own subwords, wherever those have moved to.
            places = (begin + positions[start_marker], begin + positions[end_marker])
            assert [ids[place] for place in places] == [text[start], text[end]]
            assert end_marker == start_marker + 1
    assert next(index, None) is None


@given(st.lists(entity_features(), min_size=1, max_size=6))
def test_windows_are_shared_by_the_same_text_of_one_document_only(features):
    row = entity_row(features, [START, END])
    assert len(row["window_lengths"]) == len({(f["doc_key"], tuple(f["input_ids"])) for f in features})


@given(st.lists(relation_features(), min_size=1, max_size=6))
def test_relation_windows_are_shared_by_the_same_subject_only(features):
    row = relation_row(features, RELATION_MARKERS)
    keys = {(f["doc_key"], tuple(f["input_ids"]), f["subject_start"], f["subject_end"]) for f in features}
    assert len(row["window_lengths"]) == len(keys)


@pytest.mark.parametrize(
    ("strategy", "pack"),
    [
        (entity_features(), lambda batch: entity_row(batch, [START, END])),
        (relation_features(), lambda batch: relation_row(batch, RELATION_MARKERS)),
    ],
)
@given(data=st.data(), budget=st.sampled_from([1, 12, 25, 60, None]))
def test_rows_keep_to_the_budget_and_lose_no_feature(strategy, pack, data, budget):
    features = data.draw(st.lists(strategy, max_size=8))
    batches = list(split_by_tokens(features, budget))
    assert [id(feature) for batch in batches for feature in batch] == [id(feature) for feature in features]
    sizes = [pack(batch)["input_ids"].shape[1] for batch in batches]
    if budget is None:
        assert len(batches) <= 1
        return
    assert all(size <= budget or len(batch) == 1 for batch, size in zip(batches, sizes, strict=True))
    # A row is closed only when the next feature has no room in it.
    for batch, after in pairwise(batches):
        assert pack([*batch, after[0]])["input_ids"].shape[1] > budget


def test_features_without_text_are_left_out_of_rows():
    empty = {"doc_key": "a", "input_ids": [], "span_starts": [], "span_ends": [], "labels": [], "length": 0}
    assert list(split_by_tokens([empty, empty], 10)) == []
