"""Examples to flat tensors: texts are shared, and every index is right."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from plmarker.modeling.configuration_plmarker import PLMarkerEntityConfig, PLMarkerRelationConfig
from plmarker.modeling.rows_plmarker import PairRow, SpanRow
from plmarker.modeling.task_plmarker import Example, Scored, batches, rows_of_sentences
from plmarker.modeling.tasks_plmarker import task_of

ENTITIES = task_of(PLMarkerEntityConfig(marker_token_ids=[91, 92], entity_labels=["A"]))
RELATIONS = task_of(PLMarkerRelationConfig(marker_token_ids=[93, 94, 95, 96], entity_labels=["A"]))
PAIRS = task_of(
    PLMarkerRelationConfig(marker_token_ids=[93, 94, 95, 96], entity_labels=["A"], subject_markers="levitated")
)
TEXTS = [list(range(10, 18)), list(range(10, 18)), [20, 21, 22, 23, 24], [30, 31, 32]]


def spans(draw: st.DrawFn, length: int) -> list[tuple[int, int]]:
    pairs = [(start, end) for start in range(1, length - 1) for end in range(start, length - 1)]
    return draw(st.lists(st.sampled_from(pairs), min_size=1, max_size=4))


@st.composite
def span_examples(draw: st.DrawFn) -> list[Example[Any]]:
    """Examples of a few windows, in any order."""
    examples = []
    for text in draw(st.lists(st.sampled_from(TEXTS), min_size=1, max_size=3)):
        groups = [spans(draw, len(text)) for _ in range(draw(st.integers(1, 2)))]
        flat = [span for group in groups for span in group]
        starts, ends = [start for start, _ in flat], [end for _, end in flat]
        labels = draw(st.lists(st.integers(0, 1), min_size=len(flat), max_size=len(flat)))
        row = SpanRow("d", text, [0] * len(flat), labels, list(map(len, groups)), starts, ends, starts, ends)
        examples += ENTITIES.training_examples(row)
    return draw(st.permutations(examples))


@st.composite
def pair_examples(draw: st.DrawFn) -> list[Example[Any]]:
    """Examples of a few windows with one or two subjects each, in any order."""
    examples = []
    for text in draw(st.lists(st.sampled_from(TEXTS), min_size=1, max_size=3)):
        row = PairRow("d", text)
        for _ in range(draw(st.integers(1, 2))):
            subject = draw(st.sampled_from([(-1, -1), *spans(draw, len(text))]))
            objects = spans(draw, len(text))
            row.examples.append(len(objects))
            for start, end in objects:
                row.sentences.append(0)
                row.labels.append(draw(st.integers(0, 1)))
                for kind, span in (("subject", subject), ("object", (start, end))):
                    for name, value in (("starts", span[0]), ("ends", span[1]), ("types", 0), ("labels", 1)):
                        getattr(row, f"{kind}_{name}").append(value)
        examples += RELATIONS.training_examples(row)
    return draw(st.permutations(examples))


def candidates(batch: Any, places: list[slice]) -> list[tuple[int, np.ndarray]]:
    """The window of each example and the text of that window."""
    sizes = batch["window_sizes"].tolist()
    starts = np.cumsum([0, *(size for size, _, _ in sizes)])
    items = np.repeat(np.arange(len(sizes)), [count for _, count, _ in sizes])
    ids = batch["input_ids"].numpy()
    found = []
    for place in places:
        (window,) = set(items[place].tolist())
        found.append((starts[window], ids[starts[window] : starts[window + 1]]))
    return found


def check_sizes(batch: Any, n_labels: int) -> None:
    tokens, counts, reads = batch["window_sizes"].sum(0).tolist()
    assert tokens == len(batch["input_ids"])
    assert counts == n_labels == len(batch["labels"]) == len(batch["marker_ids"]) == len(batch["read_index"])
    assert reads == len(batch["read_tokens"])
    assert all(tensor.dtype == torch.long for tensor in batch.values())
    assert batch["read_tokens"].tolist() == sorted(set(batch["read_tokens"].tolist()))


@given(span_examples())
def test_a_batch_of_spans_reads_their_ends_and_puts_markers_there(examples):
    batch = ENTITIES.batch(examples)
    inputs = batch.inputs
    check_sizes(inputs, sum(map(len, examples)))
    # All examples of a row share its text.
    assert len(inputs["window_sizes"]) == len({id(example.row) for example in examples})
    for example, place, (start, text) in zip(examples, batch.places, candidates(inputs, batch.places), strict=True):
        assert text.tolist() == example.row.input_ids
        assert inputs["labels"][place].tolist() == example.values("labels")
        ends = [[a, b] for a, b in zip(example.values("starts"), example.values("ends"), strict=True)]
        assert inputs["marker_ids"][place].tolist() == [[91, 92]] * len(example)
        assert inputs["marker_positions"][place].tolist() == ends
        read = inputs["read_tokens"][inputs["read_index"][place]] - start
        assert read.tolist() == ends


@given(pair_examples())
def test_a_batch_of_pairs_writes_solid_markers_around_the_subject_and_moves_the_objects(examples):
    batch = RELATIONS.batch(examples)
    inputs = batch.inputs
    check_sizes(inputs, sum(map(len, examples)))
    # Examples of one row and one subject share a text.
    texts = {(id(e.row), e.row.subject_starts[e.first], e.row.subject_ends[e.first]) for e in examples}
    assert len(inputs["window_sizes"]) == len(texts)
    for example, place, (start, text) in zip(examples, batch.places, candidates(inputs, batch.places), strict=True):
        ids = example.row.input_ids
        first, last = example.values("subject_starts")[0], example.values("subject_ends")[0]
        solid = [*ids, 93, 94] if first < 0 else [*ids[:first], 93, *ids[first : last + 1], 94, *ids[last + 1 :]]
        assert text.tolist() == solid
        read = inputs["read_tokens"][inputs["read_index"][place]] - start
        assert text[read.numpy()].tolist() == [[93, 94]] * len(example)
        # The markers of an object are at its own subwords, which the solid markers have moved.
        moved = text[inputs["marker_positions"][place].numpy()].tolist()
        ends = zip(example.values("object_starts"), example.values("object_ends"), strict=True)
        assert moved == [[ids[a], ids[b]] for a, b in ends]
        assert inputs["marker_ids"][place].tolist() == [[95, 96]] * len(example)
        assert inputs["object_labels"][place].tolist() == example.values("object_labels")


@given(pair_examples())
def test_levitated_pairs_share_the_text_of_their_window(examples):
    # The rows are the same; only the way of reading differs.
    examples = [PAIRS.example(example.row, example.first, example.stop) for example in examples]
    examples = [example for example in examples if min(example.values("subject_starts")) >= 0]
    if not examples:
        return
    laid_out = PAIRS.batch(examples)
    batch = laid_out.inputs
    assert len(batch["window_sizes"]) == len({id(example.row) for example in examples})
    assert batch["read_index"].shape == (len(batch["labels"]), 0)
    for example, place, (_, text) in zip(examples, laid_out.places, candidates(batch, laid_out.places), strict=True):
        # No solid marker is in the text, so no position is moved.
        assert text.tolist() == example.row.input_ids
        names = ("subject_starts", "subject_ends", "object_starts", "object_ends")
        positions = zip(*(example.values(name) for name in names), strict=True)
        assert batch["marker_positions"][place].tolist() == list(map(list, positions))
        assert batch["marker_ids"][place].tolist() == [[93, 94, 95, 96]] * len(example)
        for name in ("labels", "object_labels", "subject_labels"):
            assert batch[name][place].tolist() == example.values(name)


def test_examples_whose_objects_see_each_other_never_share_a_window():
    joined = task_of(PLMarkerRelationConfig(marker_token_ids=[93, 94, 95, 96], att_left=True))
    columns = {f"{kind}_{name}": [1, 1] for kind in ("subject", "object") for name in ("starts", "ends")}
    types = {f"{kind}_types": [0, 0] for kind in ("subject", "object")}
    row = PairRow("d", TEXTS[0], [0, 0], [0, 0], [1, 1], **columns, **types)
    for task, n_windows in ((RELATIONS, 1), (joined, 2)):
        batch = task.batch(task.training_examples(row), labels=False).inputs
        assert len(batch["window_sizes"]) == n_windows


def test_type_markers_are_those_of_the_given_types():
    config = PLMarkerRelationConfig(
        marker_token_ids=list(range(90, 100)), entity_labels=["A"], type_markers=True, entity_head=False
    )
    columns = {f"{kind}_{name}": [1] for kind in ("subject", "object") for name in ("starts", "ends")}
    row = PairRow("d", TEXTS[0], [0], [0], [1], **columns, subject_types=[1], object_types=[0])
    task = task_of(config)
    batch = task.batch(task.training_examples(row), labels=False).inputs
    # Two for a missing subject; then two of each kind: subject start and end, object start and end.
    assert [number for number in batch["input_ids"].tolist() if number >= 90] == [93, 95]
    assert batch["marker_ids"].tolist() == [[96, 98]]


@pytest.mark.parametrize("markers", [0, 2])
@given(examples=span_examples(), budget=st.sampled_from([1, 12, 25, 60, None]))
def test_batches_keep_to_the_budget_and_lose_no_example(markers, examples, budget):
    def tokens(members):
        texts = {example.text: example.text_length for example in members}
        return sum(texts.values()) + markers * sum(map(len, members))

    found = list(batches(examples, budget, markers))
    assert [id(example) for batch in found for example in batch] == [id(example) for example in examples]
    if budget is None:
        assert len(found) == 1
        return
    assert all(tokens(batch) <= budget or len(batch) == 1 for batch in found)
    # A batch is closed only when the next example has no room in it.
    for batch, after in pairwise(found):
        assert tokens([*batch, after[0]]) > budget


def test_no_examples_are_no_batch():
    assert list(batches([], 10)) == []


@given(sentences=st.lists(st.lists(st.integers(0, 6), max_size=8), max_size=5))
def test_the_candidates_of_each_sentence_are_found_in_their_order(sentences):
    rows = [SpanRow("d", sentences=numbers, labels=[0] * len(numbers)) for numbers in sentences]
    scored = [Scored(Example(row, 0, len(row.labels), (), 0), ()) for row in rows]
    flat = [number for numbers in sentences for number in numbers]
    found = rows_of_sentences(scored, 7)
    assert [list(part) for part in found] == [[n for n, s in enumerate(flat) if s == number] for number in range(7)]
