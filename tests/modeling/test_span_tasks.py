"""Documents to windows with candidate spans: no span is lost, and every position is right."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from reading_documents import count_subwords, documents, entity, example_document, word_text
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from transformers import PreTrainedTokenizerFast

from plmarker.modeling.configuration_plmarker import PLMarkerEntityConfig
from plmarker.modeling.encoders_plmarker import add_marker_tokens
from plmarker.modeling.schema_plmarker import LabelSchema, PLMarkerError
from plmarker.modeling.span_tasks_plmarker import SpanTask, candidate_spans
from plmarker.modeling.tasks_plmarker import task_of
from plmarker.modeling.windows_plmarker import WordTokenizer, sentence_ranges


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
    rows = entities.rows(document, tokenize, training=True)
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


def test_words_spelled_like_added_markers_become_unknown():
    tokenizer = Tokenizer(WordLevel({"[UNK]": 0, "[PAD]": 1, "a": 2}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="[UNK]", pad_token="[PAD]")
    marker = add_marker_tokens(fast, ["[unused0]"])
    assert WordTokenizer(fast)(["a", "[unused0]"]).ids == [2, fast.unk_token_id]
    assert marker != [fast.unk_token_id]


def test_annotations_given_twice_count_once(tokenize, schema):
    document = {"sentences": [["Ada"]], "ner": [[entity(0, 0, "PER")] * 2]}
    (row,) = task(schema).rows(document, tokenize)
    assert row.labels == [1]
