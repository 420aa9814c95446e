"""Documents to windows with pairs of a subject and an object: no pair is lost, and every position is right."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from reading_documents import count_subwords, documents, entity, example_document, relation, word_text

from plmarker.modeling.configuration_plmarker import PLMarkerRelationConfig
from plmarker.modeling.pair_tasks_plmarker import PairTask
from plmarker.modeling.rows_plmarker import NO_SUBJECT, Annotations
from plmarker.modeling.schema_plmarker import LabelSchema
from plmarker.modeling.tasks_plmarker import task_of
from plmarker.modeling.windows_plmarker import WordTokenizer, sentence_ranges


@pytest.fixture(scope="module")
def tokenize(minilm_tokenizer) -> WordTokenizer:
    return WordTokenizer(minilm_tokenizer)


def task(schema: LabelSchema, **values: Any) -> PairTask:
    return task_of(PLMarkerRelationConfig(**schema.to_dict(), **values))


def pairs_of(row: Any) -> list[Any]:
    return list(zip(row.subjects, row.objects, strict=True))


@pytest.mark.parametrize("subject_markers", ["solid", "levitated"])
@given(document=documents(), size=st.sampled_from([20, 40, 128]), group=st.sampled_from([None, 1, 3]))
def test_every_pair_of_entities_is_read_exactly_once_at_its_place(
    document, size, group, subject_markers, tokenize, schema
):
    relations = task(schema, max_seq_length=size, max_pair_length=group, subject_markers=subject_markers)
    rows = relations.rows(document, tokenize)
    for sentence in range(len(document["sentences"])):
        spans = [(row["start"], row["end"]) for row in document["ner"][sentence]]
        pairs = [pair for row in rows for pair, n in zip(pairs_of(row), row.sentences, strict=True) if n == sentence]
        assert len(pairs) == len(set(pairs))
        for head, tail in {(a, b) for a in spans for b in spans} - set(pairs):
            hull = min(head[0], tail[0]), max(head[1], tail[1])
            assert count_subwords(document, *hull, tokenize) > relations.room
    for row in rows:
        assert len(row.input_ids) <= relations.room + 2
        assert sum(row.examples) == len(row.labels)
        assert group is None or max(row.examples) <= group
        for kind in ("subject", "object"):
            names = ("starts", "ends", "word_starts", "word_ends")
            columns = [getattr(row, f"{kind}_{name}") for name in names]
            for start, end, first, last in zip(*columns, strict=True):
                text = tokenize.tokenizer.decode(row.input_ids[start : end + 1])
                assert text == word_text(document, first, last, tokenize)


def test_relation_labels_of_both_directions(tokenize, schema):
    (row,) = task(schema).rows(example_document(), tokenize)
    names = {
        pair: schema.relation_classes[label]
        for pair, label in zip(pairs_of(row), row.labels, strict=True)
        if label
    }  # fmt: skip
    assert names == {
        ((0, 1), (3, 3)): "MARRIED",
        ((3, 3), (0, 1)): "MARRIED",
        ((3, 3), (5, 5)): "WORKS_FOR",
        ((5, 5), (3, 3)): "WORKS_FOR^-1",
        ((7, 7), (9, 9)): "OWNS",
        ((9, 9), (7, 7)): "OWNS^-1",
    }


def test_a_pair_annotated_in_both_directions_keeps_both_labels(tokenize, schema):
    document = example_document()
    document["relations"][2].append(relation((9, 9), (7, 7), "WORKS_FOR"))
    (row,) = task(schema).rows(document, tokenize)
    labels = dict(zip(pairs_of(row), row.labels, strict=True))
    assert labels[(7, 7), (9, 9)] == schema.relation_class("OWNS")
    assert labels[(9, 9), (7, 7)] == schema.relation_class("WORKS_FOR")


def test_labels_are_gold_types_and_types_are_given_ones(tokenize, schema):
    document = example_document()
    document["predicted_ner"] = [[entity(0, 1, "ORG"), entity(2, 2, "PER")], [], []]
    (row,) = task(schema).rows(document, tokenize)
    assert row.object_labels == [1, 0, 1, 0]
    assert row.subject_labels == [1, 1, 0, 0]
    assert row.object_types == [2, 1, 2, 1]
    annotations = Annotations.of_document(document, schema)
    assert annotations.given(0) == [[0, 1, 2], [2, 2, 1]]
    assert not annotations.given_is_gold
    # The last sentence has annotations and no given entity. They still count.
    assert (len(annotations.entities(2)), len(annotations.relations(2))) == (2, 1)


def test_the_missing_subject_reads_all_entities_and_no_relation_in_training_alone(tokenize, schema):
    relations = task(schema)
    (plain,), (training,) = (relations.rows(example_document(), tokenize, training=t) for t in (False, True))
    added = [number for number, subject in enumerate(training.subjects) if subject == NO_SUBJECT]
    assert NO_SUBJECT not in plain.subjects
    assert [training.sentences[number] for number in added] == [0, 0, 0, 2, 2]
    assert [training.object_labels[number] for number in added] == [1, 1, 2, 2, 2]
    assert not any(training.labels[number] for number in added)
    read = relations.examples([training])
    assert all(example.row.subjects[example.first] != NO_SUBJECT for example in read)
    assert [example.values("labels") for example in read] == [
        example.values("labels") for example in relations.examples([plain])
    ]


def test_the_missing_subject_is_skipped_where_the_window_is_full(tokenize, schema):
    n_subwords = count_subwords(example_document(), 0, 10, tokenize)
    for size, n_missing in ((n_subwords + 4, 0), (n_subwords + 5, 5)):
        (row,) = task(schema, max_seq_length=size).rows(example_document(), tokenize, training=True)
        assert row.subjects.count(NO_SUBJECT) == n_missing


def test_evaluation_reads_all_objects_of_a_subject_together(tokenize, schema):
    relations = task(schema, max_pair_length=1)
    rows = relations.rows(example_document(), tokenize)
    assert [len(example) for example in relations.examples(rows)] == [3, 3, 3, 2, 2]
    joined = task(schema, max_pair_length=2, att_left=True)
    assert [len(example) for example in joined.examples(joined.rows(example_document(), tokenize))] == [
        2, 1, 2, 1, 2, 1, 2, 2
    ]  # fmt: skip


def test_a_sentence_with_one_entity_is_not_read_in_evaluation(tokenize, schema):
    document = {"sentences": [["Ada", "sings"]], "ner": [[entity(0, 0, "PER")]]}
    for markers in ("solid", "levitated"):
        relations = task(schema, subject_markers=markers)
        assert relations.examples(relations.rows(document, tokenize)) == []


def test_annotations_are_not_read_where_that_is_asked_for(tokenize, schema):
    document = {**example_document(), "predicted_ner": [[entity(0, 1, "PER"), entity(5, 5, "ORG")], [], []]}
    nonsense = {**document, "ner": [[entity(0, 99, "GPE")]], "relations": "none"}
    relations = task(schema)
    assert relations.rows(nonsense, tokenize, annotated=False) == relations.rows(
        {**document, "ner": None, "relations": None}, tokenize, annotated=False
    )


def test_sentences_have_the_ranges_that_pairs_lie_in(tokenize, schema):
    document = example_document()
    ranges = sentence_ranges(document["sentences"])
    (row,) = task(schema).rows(document, tokenize)
    for sentence, subject in zip(row.sentences, row.subjects, strict=True):
        assert ranges[sentence][0] <= subject[0] <= subject[1] <= ranges[sentence][1]
