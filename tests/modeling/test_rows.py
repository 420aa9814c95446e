"""Rows and the annotations beside them."""

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from reading_documents import documents, entity, example_document, relation

from plmarker.modeling.configuration_plmarker import PLMarkerEntityConfig, PLMarkerRelationConfig
from plmarker.modeling.rows_plmarker import Annotations, PairRow, Row, SpanRow
from plmarker.modeling.schema_plmarker import PLMarkerError
from plmarker.modeling.tasks_plmarker import task_of
from plmarker.modeling.windows_plmarker import WordTokenizer, segment


def test_training_examples_are_consecutive_candidates():
    assert Row("d", examples=[2, 1, 3]).bounds == [(0, 2), (2, 3), (3, 6)]
    assert Row("d").bounds == []


def test_spans_and_pairs_are_words_of_the_document():
    assert SpanRow("d", word_starts=[3, 4], word_ends=[3, 6]).spans == [(3, 3), (4, 6)]
    row = PairRow(
        "d", subject_word_starts=[3], subject_word_ends=[5], object_word_starts=[7], object_word_ends=[7]
    )  # fmt: skip
    assert (row.subjects, row.objects) == ([(3, 5)], [(7, 7)])


@pytest.mark.parametrize("row_class", [SpanRow, PairRow])
def test_a_row_comes_back_from_a_mapping_with_more_columns(row_class):
    row = row_class("d", [101, 5, 102], [0], [1], [1])
    assert row_class.from_mapping({**vars(row), "gold_entities": [[0, 0, 0, 1]]}) == row


@pytest.mark.parametrize(
    ("config_class", "values"),
    [
        (PLMarkerEntityConfig, {}),
        (PLMarkerRelationConfig, {}),
        (PLMarkerRelationConfig, {"subject_markers": "levitated"}),
    ],
)
@given(document=documents(), size=st.sampled_from([20, 40, 128]), training=st.booleans())
def test_a_document_has_one_row_for_each_distinct_window(
    config_class, values, document, size, training, minilm_tokenizer, schema
):
    tokenize = WordTokenizer(minilm_tokenizer)
    task: Any = task_of(config_class(**schema.to_dict(), max_seq_length=size, **values))
    rows = task.rows(document, tokenize, training=training)
    segmented = segment(document["sentences"], tokenize, task.room)
    windows = set()
    for sentence, (first, last) in enumerate(segmented.sentences):
        given_spans = [(row["start"], row["end"]) for row in document["ner"][sentence]]
        pairs = [(a, (min(a, b)[0], max(a[1], b[1]))) for a in given_spans for b in given_spans]
        if task.row_class is SpanRow:
            windows |= {segmented.window_of(sentence, *s) for s in task.candidates(document, sentence, first, last)}
        elif task.n_text_states:
            # Each subject has windows of its own.
            windows |= {segmented.best_of(segmented.windows_around(sentence, *a), *both) for a, both in pairs}
        else:
            windows |= {segmented.window_of(sentence, *both) for _, both in pairs}
    windows -= {None}
    if task.row_class is SpanRow or (training and not values):
        # Windows without a candidate of their own: a stretch of a long sentence, or a place for missing subjects.
        extra = {
            reading.window for sentence in range(len(segmented.sentences)) for reading in segmented.readings(sentence)
        }
        assert len(windows) <= len(rows) <= len(windows | extra)
    else:
        assert len(rows) == len(windows)
    assert {row.doc_key for row in rows} <= {"d"}
    for row in rows:
        assert sum(row.examples) == len(row.labels) == len(row.sentences)


@given(document=documents())
def test_every_annotation_of_a_document_is_there_once(document, schema):
    document["relations"] = [
        [relation((a["start"], a["end"]), (b["start"], b["end"]), "OWNS") for a, b in pairwise(rows)]
        for rows in document["ner"]
    ]
    doubled = {name: [rows * 2 for rows in document[name]] for name in ("ner", "relations")}
    annotations = Annotations.of_document(document, schema)
    assert Annotations.of_document({**document, **doubled}, schema) == annotations
    for sentence, (entities, relations) in enumerate(zip(document["ner"], document["relations"], strict=True)):
        want = [[row["start"], row["end"], schema.entity_class(row["label"])] for row in entities]
        assert annotations.entities(sentence) == annotations.given(sentence) == want
        owns, ends = schema.relation_class("OWNS"), ("head_start", "head_end", "tail_start", "tail_end")
        assert annotations.relations(sentence) == [[*(row[name] for name in ends), owns] for row in relations]
    assert annotations.given_is_gold


def test_given_entities_are_the_predicted_ones_even_where_there_are_none(schema):
    document = {**example_document(), "predicted_ner": [[], [], []]}
    annotations = Annotations.of_document(document, schema)
    assert annotations.given_entities == []
    assert not annotations.given_is_gold
    assert len(annotations.gold_entities) == 5


def test_a_document_without_annotations_has_none(schema):
    assert Annotations.of_document({"sentences": [["Ada"]]}, schema) == Annotations([], [], [])


@pytest.mark.parametrize(
    ("field", "rows", "message"),
    [
        ("ner", [[], [entity(1, 2, "PER")]], r"ner: the entity 1..2 \(PER\) is outside its sentence 1, which .* 2..3"),
        ("predicted_ner", [[entity(0, 9, "PER")], []], "predicted_ner: the entity 0..9 .* has the words 0..1"),
        ("ner", [[entity(1, 0, "PER")], []], "the entity 1..0"),
        ("relations", [[relation((0, 0), (4, 4), "OWNS")], []], "outside its document, which has the words 0..3"),
        ("ner", [[]], "a list for each sentence, got 1 for 2 sentences"),
        ("ner", 5, "a list for each sentence, got 5 for 2 sentences"),
        ("relations", [[], None], "relations: expected a list for sentence 1, got None"),
        ("ner", [[entity(None, 0, "PER")], []], "ner: a place consists of numbers of words, got {'start': None"),
        ("predicted_ner", [[entity("0", 0, "PER")], []], "a place consists of numbers of words"),
        ("ner", [[[0, 0, "PER"]], []], r"expected a mapping with start, end, label, got \[0, 0, 'PER'\]"),
    ],
)
def test_what_is_outside_the_text_is_an_error_that_names_the_document(schema, field, rows, message):
    document = {"doc_key": "d7", "sentences": [["Ada", "sings"], ["So", "."]], field: rows}
    with pytest.raises(PLMarkerError, match=f"document 'd7': .*{message}"):
        Annotations.of_document(document, schema)


@pytest.mark.parametrize(
    ("field", "row"),
    [
        ("ner", entity(0, 0, "GPE")),
        ("predicted_ner", entity(0, 0, "GPE")),
        ("relations", relation((0, 0), (1, 1), "GPE")),
    ],
)
def test_an_unknown_label_is_an_error_in_any_annotation(schema, field, row):
    with pytest.raises(PLMarkerError, match="'GPE'"):
        Annotations.of_document({"sentences": [["Ada", "sings"]], field: [[row]]}, schema)
