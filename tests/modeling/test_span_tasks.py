"""Documents to windows with candidate spans: no span is lost, and every position is right."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from reading_documents import count_subwords, documents, entity, example_document, word_text

from plmarker.data.grouping import training_rows
from plmarker.modeling.configuration_plmarker import PLMarkerEntityConfig
from plmarker.modeling.decoding_plmarker import label_spans
from plmarker.modeling.schema_plmarker import LabelSchema, PLMarkerError
from plmarker.modeling.span_tasks_plmarker import SpanTask, candidate_spans
from plmarker.modeling.task_plmarker import Scored
from plmarker.modeling.tasks_plmarker import task_of
from plmarker.modeling.windows_plmarker import WordTokenizer, sentence_ranges
from plmarker.trainers.candidates import likeliest_spans


@pytest.fixture(scope="module")
def tokenize(minilm_tokenizer) -> WordTokenizer:
    return WordTokenizer(minilm_tokenizer)


def task(schema: LabelSchema, **values: Any) -> SpanTask:
    return task_of(PLMarkerEntityConfig(**schema.to_dict(), **values))


def test_candidates_are_sorted_by_start_then_end():
    assert candidate_spans(3, 5, 2) == [(3, 3), (3, 4), (4, 4), (4, 5), (5, 5)]
    assert len(candidate_spans(0, 29, 8)) == sum(min(8, 30 - start) for start in range(30))


@given(document=documents(), size=st.sampled_from([16, 40, 128]), group=st.sampled_from([None, 1, 7]))
def test_every_candidate_span_is_read_exactly_once_at_its_place(document, size, group, tokenize, schema):
    entities = task(schema, max_seq_length=size, max_span_length=3, max_pair_length=group)
    rows = training_rows(entities, document, tokenize)
    for sentence, (first, last) in enumerate(sentence_ranges(document["sentences"])):
        spans = [span for row in rows for span, n in zip(row.spans, row.sentences, strict=True) if n == sentence]
        assert len(spans) == len(set(spans))
        assert set(spans) <= set(candidate_spans(first, last, 3))
        for span in set(candidate_spans(first, last, 3)) - set(spans):
            assert count_subwords(document, *span, tokenize) > size - 2
    for row in rows:
        assert len(row.input_ids) <= size
        assert sum(row.examples) == len(row.labels)
        assert group is None or max(row.examples) <= group
        for (first, last), start, end in zip(row.spans, row.starts, row.ends, strict=True):
            assert 1 <= start <= end < len(row.input_ids) - 1
            text = tokenize.tokenizer.decode(row.input_ids[start : end + 1])
            assert text == word_text(document, first, last, tokenize)


@given(document=documents(), size=st.sampled_from([16, 40, 128]))
def test_labels_are_the_annotated_ones_and_no_text_is_there_twice(document, size, tokenize, schema):
    entities = task(schema, max_seq_length=size, max_span_length=3)
    classes = {
        (row["start"], row["end"]): schema.entity_class(row["label"]) for rows in document["ner"] for row in rows
    }
    rows = entities.rows(document, tokenize)
    for row in rows:
        assert row.labels == [classes.get(span, 0) for span in row.spans]
    assert [row.labels for row in entities.rows(document, tokenize, annotated=False)] == [
        [0] * len(row.labels) for row in rows
    ]
    n_subwords = count_subwords(document, 0, sum(map(len, document["sentences"])) - 1, tokenize)
    if n_subwords <= size - 2:
        assert len(rows) <= 1


@given(document=documents(), size=st.sampled_from([16, 24, 40]))
def test_shared_windows_score_the_same_spans_with_less_text(document, size, tokenize, schema):
    own, shared = (
        task(schema, max_seq_length=size, max_span_length=3, shared_windows=value).rows(document, tokenize)
        for value in (False, True)
    )
    spans = [
        {(span, label) for row in rows for span, label in zip(row.spans, row.labels, strict=True)}
        for rows in (own, shared)
    ]
    assert spans[0] == spans[1]
    assert len(shared) <= len(own)
    for row in shared:
        assert len(row.input_ids) <= size


def test_sentences_of_a_short_document_are_read_in_one_window(tokenize, schema):
    document = example_document()
    (row,) = task(schema).rows(document, tokenize)
    assert len(row.input_ids) == count_subwords(document, 0, 10, tokenize) + 2
    assert set(row.sentences) == {0, 2}


def test_an_entity_wider_than_the_candidates_labels_no_span(tokenize, schema):
    (row,) = task(schema, max_span_length=1).rows(example_document(), tokenize)
    assert row.labels[:7] == [0, 0, 0, 1, 0, 2, 0]


def test_a_document_without_annotations_has_rows(tokenize, schema):
    (row,) = task(schema).rows({"sentences": [["Ada", "sleeps"]]}, tokenize)
    assert row.labels == [0, 0, 0]


def test_candidates_that_a_document_gives_are_the_only_ones(tokenize, schema):
    document = {**example_document(), "candidates": [[[0, 1], [3, 3]], [], [[9, 9]]]}
    (row,) = task(schema).rows(document, tokenize)
    assert row.spans == [(0, 1), (3, 3), (9, 9)]


def test_an_unknown_label_is_an_error(tokenize, schema):
    document = example_document()
    document["ner"][0][0]["label"] = "GPE"
    with pytest.raises(PLMarkerError, match="'GPE'"):
        task(schema).rows(document, tokenize)


def test_a_span_of_more_than_half_a_window_is_read_too(tokenize, schema):
    # Five words of ten subwords each, in a sentence of many windows: windows that overlap by half do not hold them.
    words = ["antidisestablishmentarianism" * 2] * 40
    width = tokenize(words[:1]).word_starts[1]
    entities = task(schema, max_seq_length=5 * width + 4, max_span_length=5)
    rows = entities.rows({"sentences": [words]}, tokenize)
    assert {span for row in rows for span in row.spans} == set(candidate_spans(0, len(words) - 1, 5))


@pytest.mark.parametrize(("tags", "labels"), [("bio", [1, 2, 0, 1, 0, 3, 0]), ("io", [1, 1, 0, 1, 0, 2, 0])])
def test_a_tagger_reads_words_and_their_tags(tokenize, schema, tags, labels):
    (row,) = task(schema, method="bio", tags=tags).rows(example_document(), tokenize)
    assert row.word_starts == row.word_ends
    assert row.labels[:7] == labels


def test_annotations_given_twice_count_once(tokenize, schema):
    document = {"sentences": [["Ada"]], "ner": [[entity(0, 0, "PER")] * 2]}
    (row,) = task(schema).rows(document, tokenize)
    assert row.labels == [1]


def logits_of(spans: list[tuple[int, int]], n_classes: int) -> np.ndarray:
    """Random logits that depend on the span alone."""
    return np.array([np.random.default_rng(span).normal(0, 3, n_classes) for span in spans], dtype=np.float32)


@given(document=documents(), size=st.sampled_from([16, 40, 128]), random=st.randoms())
def test_spans_are_decoded_by_sentence_however_they_were_read(document, size, random, tokenize, schema):
    entities = task(schema, max_seq_length=size, max_span_length=3, max_pair_length=5)
    rows = entities.rows(document, tokenize)
    examples = entities.examples(rows)
    assert sum(map(len, examples)) == sum(len(row.labels) for row in rows)
    random.shuffle(examples)
    scored = [Scored(e, (logits_of(e.row.spans[e.first : e.stop], 3),)) for e in examples]
    found = entities.decode(scored, len(document["sentences"]))
    likeliest = likeliest_spans(entities, scored, len(document["sentences"]), 4)
    for sentence in range(len(document["sentences"])):
        spans = [span for row in rows for span, n in zip(row.spans, row.sentences, strict=True) if n == sentence]
        expected = label_spans(spans, logits_of(spans, 3)) if spans else []
        assert sorted(found[sentence], key=str) == sorted(expected, key=str)
        nil = {
            span: float(np.exp(row[0]) / np.exp(row).sum())
            for span, row in zip(spans, logits_of(spans, 3), strict=True)
        }
        assert likeliest[sentence] == sorted(sorted(spans, key=nil.get)[:4])


def test_a_tagger_s_word_that_no_window_holds_ends_an_entity(tokenize, schema):
    words = ["Ada", "antidisestablishmentarianism", "Bell"]
    tagger = task(schema, method="bio", max_seq_length=8)
    examples = tagger.examples(tagger.rows({"sentences": [words]}, tokenize))
    assert sorted(span for e in examples for span in e.row.spans) == [(0, 0), (2, 2)]
    # Ada is tagged B-PER, Bell I-PER.
    tags = {0: 1, 2: 2}
    scored = [
        Scored(e, (np.eye(5, dtype=np.float32)[[tags[w] for w in e.values("word_starts")]] * 9,)) for e in examples
    ]
    (found,) = tagger.decode(scored, 1)
    assert [(span.start, span.end, span.label) for span in found] == [(0, 0, 1), (2, 2, 1)]


def test_nothing_that_was_read_decodes_to_nothing(schema):
    for method in ("marker", "bio"):
        assert task(schema, method=method).decode([], 2) == [[], []]
        assert likeliest_spans(task(schema, method=method), [], 2, 4) == [[], []]
