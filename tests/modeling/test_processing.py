"""Documents to features: nothing is lost, and every position is right."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from transformers import PreTrainedTokenizerFast

from plmarker.modeling.encoders_plmarker import add_marker_tokens
from plmarker.modeling.processing_plmarker import (
    candidate_spans,
    entity_features,
    given_entities,
    gold_entities,
    gold_relations,
    relation_features,
    sentence_ranges,
)
from plmarker.modeling.schema_plmarker import PLMarkerError
from plmarker.modeling.windows_plmarker import WordTokenizer

WORDS = ["the", "levitated", "marker", "of", "Zuleika", "naïveté", ".", "(", "antidisestablishmentarianism"]


def entity(start: int, end: int, label: str) -> dict[str, Any]:
    return {"start": start, "end": end, "label": label}


def relation(head: Sequence[int], tail: Sequence[int], label: str) -> dict[str, Any]:
    return {"head_start": head[0], "head_end": head[1], "tail_start": tail[0], "tail_end": tail[1], "label": label}


@pytest.fixture
def document() -> dict[str, Any]:
    return {
        "doc_key": "d",
        "sentences": [
            ["Ada", "Bell", "married", "Cyril", "of", "Acme", "."],
            [],
            ["Acme", "owns", "Zuleika-Works", "."],
        ],
        "ner": [
            [entity(0, 1, "PER"), entity(3, 3, "PER"), entity(5, 5, "ORG")],
            [],
            [entity(7, 7, "ORG"), entity(9, 9, "ORG")],
        ],
        "relations": [
            [relation((0, 1), (3, 3), "MARRIED"), relation((3, 3), (5, 5), "WORKS_FOR")],
            [],
            [relation((7, 7), (9, 9), "OWNS")],
        ],
    }


@pytest.fixture(scope="module")
def tokenize(minilm_tokenizer) -> WordTokenizer:
    return WordTokenizer(minilm_tokenizer)


@st.composite
def documents(draw: st.DrawFn) -> dict[str, Any]:
    """Documents of up to three sentences, some longer than a small window, with entities in them."""
    sentences = draw(st.lists(st.lists(st.sampled_from(WORDS), max_size=25), min_size=1, max_size=3))
    ner = []
    for first, last in sentence_ranges(sentences):
        spans = candidate_spans(first, last, 3)
        chosen = draw(st.lists(st.sampled_from(spans), max_size=4, unique=True)) if spans else []
        ner.append([entity(*span, draw(st.sampled_from(["PER", "ORG"]))) for span in chosen])
    return {"doc_key": "d", "sentences": sentences, "ner": ner}


def text_of(feature: dict[str, Any], start: int, end: int, tokenize: WordTokenizer) -> str:
    return tokenize.tokenizer.decode(feature["input_ids"][start : end + 1])


def word_text(document: dict[str, Any], start: int, end: int, tokenize: WordTokenizer) -> str:
    words = [word for sentence in document["sentences"] for word in sentence]
    return tokenize.tokenizer.decode(tokenize(words[start : end + 1]).ids)


def subwords_of(document: dict[str, Any], first: int, last: int, tokenize: WordTokenizer) -> int:
    words = [word for sentence in document["sentences"] for word in sentence]
    return len(tokenize(words[first : last + 1]).ids)


def test_sentences_count_words_through_the_document():
    assert sentence_ranges([["a", "b"], [], ["c"]]) == [(0, 1), (2, 1), (2, 2)]


def test_candidates_are_sorted_by_start_then_end():
    assert candidate_spans(3, 5, 2) == [(3, 3), (3, 4), (4, 4), (4, 5), (5, 5)]
    assert len(candidate_spans(0, 29, 8)) == sum(min(8, 30 - start) for start in range(30))


@given(document=documents(), size=st.sampled_from([16, 40, 128]), group=st.sampled_from([None, 1, 7]))
def test_every_candidate_span_is_asked_exactly_once_at_its_place(document, size, group, tokenize, schema):
    features = entity_features(document, tokenize, schema, size, 3, group)
    for sentence, (first, last) in enumerate(sentence_ranges(document["sentences"])):
        own = [feature for feature in features if feature["sentence"] == sentence]
        spans = [span for feature in own for span in zip(feature["word_starts"], feature["word_ends"], strict=True)]
        assert len(spans) == len(set(spans))
        # A span is out of reach only where it is longer than half of the window, in a sentence longer than it.
        for span in set(candidate_spans(first, last, 3)) - set(spans):
            assert subwords_of(document, *span, tokenize) > (size - 2) / 2
            assert subwords_of(document, first, last, tokenize) > size - 2
        assert set(spans) <= set(candidate_spans(first, last, 3))
    for feature in features:
        assert len(feature["input_ids"]) <= size
        assert feature["length"] == len(feature["input_ids"]) + 2 * len(feature["labels"])
        assert group is None or len(feature["labels"]) <= group
        names = ("span_starts", "span_ends", "word_starts", "word_ends")
        for start, end, word_start, word_end in zip(*(feature[name] for name in names), strict=True):
            assert 1 <= start <= end < len(feature["input_ids"]) - 1
            assert text_of(feature, start, end, tokenize) == word_text(document, word_start, word_end, tokenize)


@given(document=documents(), size=st.sampled_from([16, 40, 128]), group=st.sampled_from([None, 1, 7]))
def test_every_gold_entity_is_in_the_features_once(document, size, group, tokenize, schema):
    features = entity_features(document, tokenize, schema, size, 3, group)
    for sentence, rows in enumerate(document["ner"]):
        gold = [row for feature in features if feature["sentence"] == sentence for row in feature["gold"]]
        assert gold == [[row["start"], row["end"], schema.entity_class(row["label"])] for row in rows]
        classes = {(start, end): label for start, end, label in gold}
        for feature in features:
            if feature["sentence"] == sentence:
                spans = zip(feature["word_starts"], feature["word_ends"], strict=True)
                assert feature["labels"] == [classes.get(span, 0) for span in spans]


@given(document=documents(), size=st.sampled_from([20, 40, 128]), group=st.sampled_from([None, 1, 3]))
def test_every_pair_of_entities_is_asked_exactly_once_at_its_place(document, size, group, tokenize, schema):
    features = relation_features(document, tokenize, schema, size, group)
    for sentence, (first, last) in enumerate(sentence_ranges(document["sentences"])):
        spans = [(row["start"], row["end"]) for row in document["ner"][sentence]]
        pairs = []
        for feature in features:
            if feature["sentence"] == sentence and feature["input_ids"]:
                subject = feature["subject_word_start"], feature["subject_word_end"]
                objects = zip(feature["object_word_starts"], feature["object_word_ends"], strict=True)
                pairs += [(subject, other) for other in objects]
        assert len(pairs) == len(set(pairs))
        for head, tail in {(a, b) for a in spans for b in spans} - set(pairs):
            hull = min(head[0], tail[0]), max(head[1], tail[1])
            assert subwords_of(document, *hull, tokenize) > (size - 4) / 2
            assert subwords_of(document, first, last, tokenize) > size - 4
    for feature in features:
        assert len(feature["input_ids"]) <= size - 2
        names = ("object_starts", "object_ends", "object_word_starts", "object_word_ends")
        objects = list(zip(*(feature[name] for name in names), strict=True))
        if objects:
            assert feature["length"] == len(feature["input_ids"]) + 2 + 2 * len(objects)
            subject = [feature[f"subject_{name}"] for name in ("start", "end", "word_start", "word_end")]
            for start, end, word_start, word_end in [subject, *objects]:
                assert text_of(feature, start, end, tokenize) == word_text(document, word_start, word_end, tokenize)


@given(document=documents(), size=st.sampled_from([12, 20, 128]), empty_subject=st.booleans())
def test_every_annotation_is_in_the_relation_features_once(document, size, empty_subject, tokenize, schema):
    document["relations"] = [
        [relation((a["start"], a["end"]), (b["start"], b["end"]), "OWNS") for a, b in pairwise(rows)]
        for rows in document["ner"]
    ]
    features = relation_features(document, tokenize, schema, size, 2, empty_subject=empty_subject)
    # In training the loss needs objects; in evaluation recall needs every sentence with an annotation.
    for sentence in range(len(document["sentences"])):
        own = [feature for feature in features if feature["sentence"] == sentence]
        for name, want in (
            ("gold", gold_entities(document, sentence, schema)),
            ("given", given_entities(document, sentence, schema)),
            ("gold_relations", gold_relations(document, sentence, schema)),
        ):
            found = [row for feature in own for row in feature[name]]
            assert found == want or (empty_subject and not own)


def test_relation_labels_of_both_directions(document, tokenize, schema):
    features = relation_features(document, tokenize, schema)
    labels = {}
    for feature in features:
        subject = feature["subject_word_start"], feature["subject_word_end"]
        spans = zip(feature["object_word_starts"], feature["object_word_ends"], strict=True)
        labels.update({(subject, span): label for span, label in zip(spans, feature["labels"], strict=True)})
    names = {pair: schema.relation_classes[label] for pair, label in labels.items() if label}
    assert names == {
        ((0, 1), (3, 3)): "MARRIED",
        ((3, 3), (0, 1)): "MARRIED",
        ((3, 3), (5, 5)): "WORKS_FOR",
        ((5, 5), (3, 3)): "WORKS_FOR^-1",
        ((7, 7), (9, 9)): "OWNS",
        ((9, 9), (7, 7)): "OWNS^-1",
    }


def test_a_pair_annotated_in_both_directions_keeps_both_labels(document, tokenize, schema):
    document["relations"][2].append(relation((9, 9), (7, 7), "WORKS_FOR"))
    labels = [f["labels"] for f in relation_features(document, tokenize, schema) if f["sentence"] == 2]
    assert labels == [[0, schema.relation_class("OWNS")], [schema.relation_class("WORKS_FOR"), 0]]


def test_types_are_those_of_the_gold_and_objects_those_that_are_given(document, tokenize, schema):
    document["predicted_ner"] = [[entity(0, 1, "ORG"), entity(2, 2, "PER")], [], []]
    features = relation_features(document, tokenize, schema)
    objects = [f["object_labels"] for f in features if f["sentence"] == 0]
    assert objects == [[1, 0], [1, 0]]
    assert [f["subject_label"] for f in features if f["sentence"] == 0] == [1, 0]
    assert features[0]["given"] == [[0, 1, 2], [2, 2, 1]]
    # The last sentence has annotations but no given entity: it stays, for recall.
    assert features[-1]["input_ids"] == []
    assert (len(features[-1]["gold"]), len(features[-1]["gold_relations"])) == (2, 1)


def test_the_empty_subject_reads_all_entities_and_no_relation(document, tokenize, schema):
    plain = relation_features(document, tokenize, schema)
    features = relation_features(document, tokenize, schema, empty_subject=True)
    added = [feature for feature in features if feature["subject_start"] == -1]
    assert [feature for feature in features if feature["subject_start"] >= 0] == plain
    assert [feature["sentence"] for feature in added] == [0, 2]
    assert [feature["object_labels"] for feature in added] == [[1, 1, 2], [2, 2]]
    assert not any(label for feature in added for label in feature["labels"])


def test_the_empty_subject_is_skipped_where_the_window_is_full(document, tokenize, schema):
    n_subwords = subwords_of(document, 0, 10, tokenize)
    for size, n_empty in ((n_subwords + 4, 0), (n_subwords + 5, 2)):
        features = relation_features(document, tokenize, schema, size, empty_subject=True)
        assert sum(feature["subject_start"] == -1 for feature in features) == n_empty


def test_annotations_given_twice_count_once(document, tokenize, schema):
    document["ner"][0] *= 2
    document["relations"][0] *= 2
    assert len(gold_entities(document, 0, schema)) == 3
    assert len(gold_relations(document, 0, schema)) == 2
    objects = [f["object_word_starts"] for f in relation_features(document, tokenize, schema) if f["sentence"] == 0]
    assert objects == [[0, 3, 5]] * 3


def test_a_sentence_without_words_has_no_features(document, tokenize, schema):
    assert {feature["sentence"] for feature in entity_features(document, tokenize, schema)} == {0, 2}


def test_an_entity_wider_than_the_candidates_stays_in_gold(document, tokenize, schema):
    (feature,) = [f for f in entity_features(document, tokenize, schema, max_span_length=1) if f["sentence"] == 0]
    assert [0, 1, 1] in feature["gold"]
    assert feature["labels"] == [0, 0, 0, 1, 0, 2, 0]


def test_an_entity_that_no_window_can_read_stays_in_gold(tokenize, schema):
    document = {"doc_key": "d", "sentences": [["antidisestablishmentarianism"]], "ner": [[entity(0, 0, "PER")]]}
    for features in (
        entity_features(document, tokenize, schema, max_seq_length=5),
        relation_features(document, tokenize, schema, max_seq_length=7),
    ):
        assert [(feature["gold"], feature["input_ids"], feature["labels"]) for feature in features] == [
            ([[0, 0, 1]], [], [])
        ]


def test_unannotated_documents_make_features_without_gold(tokenize, schema):
    document = {"doc_key": "d", "sentences": [["Ada", "sleeps"]]}
    (feature,) = entity_features(document, tokenize, schema)
    assert (feature["labels"], feature["gold"]) == ([0, 0, 0], [])
    assert relation_features(document, tokenize, schema) == []


def test_context_crosses_sentences_and_never_documents(document, tokenize, schema):
    features = entity_features(document, tokenize, schema)
    assert features[0]["input_ids"] == features[1]["input_ids"]
    assert len(features[0]["input_ids"]) == subwords_of(document, 0, 10, tokenize) + 2


def test_an_unknown_label_is_an_error(document, tokenize, schema):
    document["ner"][0][0]["label"] = "GPE"
    with pytest.raises(PLMarkerError, match="'GPE'"):
        entity_features(document, tokenize, schema)


def test_a_span_of_more_than_half_a_window_is_read_too(minilm_tokenizer, schema):
    # Five words of ten subwords each, in a sentence of many windows: pieces that overlap by half do not hold them.
    words = ["antidisestablishmentarianism" * 2] * 40
    tokenize = WordTokenizer(minilm_tokenizer)
    width = tokenize(words[:1]).word_starts[1]
    features = entity_features(
        {"doc_key": "a", "sentences": [words]}, tokenize, schema, max_seq_length=5 * width + 4, max_span_length=5
    )
    spans = {span for f in features for span in zip(f["word_starts"], f["word_ends"], strict=True)}
    assert spans == set(candidate_spans(0, len(words) - 1, 5))


def test_words_spelled_like_added_markers_become_unknown(schema):
    tokenizer = Tokenizer(WordLevel({"[UNK]": 0, "[PAD]": 1, "a": 2}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="[UNK]", pad_token="[PAD]")
    marker = add_marker_tokens(fast, ["[unused0]"])
    assert WordTokenizer(fast)(["a", "[unused0]"]).ids == [2, fast.unk_token_id]
    assert marker != [fast.unk_token_id]
