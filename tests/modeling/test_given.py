"""Entities that the user gives."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers.utils import logging as transformers_logging

from plmarker import PLMarkerError, PLMarkerForEntityRecognition, PLMarkerForRelationExtraction, PLMarkerModel
from plmarker.modeling.given_plmarker import align_given
from plmarker.modeling.text_plmarker import locate_words

TEXT = "Ada met Bob in St. Petersburg. Acme-Corp hired Cy."


@pytest.fixture
def models(make_tiny_model: Any) -> PLMarkerModel:
    entity = make_tiny_model(PLMarkerForEntityRecognition, max_seq_length=64, max_span_length=4)
    relation = make_tiny_model(PLMarkerForRelationExtraction, seed=3, max_seq_length=64)
    return PLMarkerModel.from_models(entity, relation, entity.tokenizer)


def place(part: str, text: str = TEXT) -> tuple[int, int]:
    return text.index(part), text.index(part) + len(part)


def names(found: Any) -> Any:
    """An extraction without its scores, which depend on the batch in the last digits."""
    entities = [(e.text, e.label, e.start) for e in found.entities]
    return found.sentences, entities, sorted((r.head.start, r.tail.start, r.label) for r in found.relations)


def test_given_entities_come_back_as_they_were_and_relations_join_them_alone(models):
    entities = [(*place("Ada"), "PER"), (*place("Bob"), "PER"), (*place("St. Petersburg"), "ORG")]
    found = models.extract(TEXT, entities=entities)
    assert [(e.start, e.end, e.label, e.score) for e in found.entities] == [(*row, 1.0) for row in sorted(entities)]
    assert [e.text for e in found.entities] == ["Ada", "Bob", "St. Petersburg"]
    assert found.relations
    assert all(r.head in found.entities and r.tail in found.entities for r in found.relations)
    # The relation model alone gives the same, and so does a list of texts.
    assert names(models.relation.extract(TEXT, entities=entities)) == names(found)
    assert names(models.extract([TEXT, "Bob."], entities=[entities, []])[0]) == names(found)
    assert models.extract(TEXT, entities=[]).entities == []
    with pytest.raises(PLMarkerError, match="finds no entities"):
        models.relation.extract(TEXT)


def test_the_type_of_a_given_span_is_asked_for(models):
    found = models.extract(TEXT, entities=[place("Bob"), (*place("Ada"), "ORG"), place("met Bob in St. Petersburg")])
    assert [e.text for e in found.entities] == ["Ada", "met Bob in St. Petersburg", "Bob"]
    assert (found.entities[0].label, found.entities[0].score) == ("ORG", 1.0)
    assert all(e.label in ("PER", "ORG") for e in found.entities)
    (alone,) = models.entity.extract(TEXT, entities=[place("Bob")]).entities
    assert (alone.text, alone.label) == ("Bob", found.entities[2].label)
    assert alone.score == pytest.approx(found.entities[2].score, abs=1e-5)
    with pytest.raises(PLMarkerError, match="without a label"):
        models.relation.extract(TEXT, entities=[place("Bob")])


def test_words_and_sentences_fit_given_entities_and_that_is_reported(models, caplog):
    transformers_logging.enable_propagation()
    try:
        with caplog.at_level(logging.WARNING):
            entities = [(*place("Acme"), "ORG"), (*place(" Bob "), "PER"), (*place("Petersburg. Acme"), "ORG")]
            found = models.extract(TEXT, entities=entities)
    finally:
        transformers_logging.disable_propagation()
    assert [e.text for e in found.entities] == ["Bob", "Petersburg. Acme", "Acme"]
    assert len(found.sentences) == 1
    assert found.sentences[0][8:11] == ["Acme", "-Corp", "hired"]
    for part in ("white space", "inside a word", "two sentences"):
        assert part in caplog.text


@given(
    text=st.text(st.sampled_from("ab ב-.\n \u200b'日"), min_size=1, max_size=30),
    cuts=st.lists(st.integers(0, 30), max_size=8),
)
def test_words_begin_and_end_where_given_entities_do(text, cuts):
    spans = {(min(pair), max(pair)) for pair in zip(cuts[::2], cuts[1::2], strict=False)}
    spans = {(a, b) for a, b in spans if b <= len(text) and any(c.isalnum() for c in text[a:b])}
    located = locate_words(text)
    sentences, found = align_given(text, located, [(a, b, "X") for a, b in sorted(spans)], "text")
    words = [word for sentence in sentences for word in sentence]
    assert words == sorted(words)
    assert "".join(text[a:b] for a, b in words) == "".join(text[a:b] for sentence in located for a, b in sentence)
    entities = [(entity, number) for number, rows in enumerate(found) for entity in rows]
    assert len(entities) == len(spans)
    numbers = [number for number, sentence in enumerate(sentences) for _ in sentence]
    expected = sorted(text[a:b].strip() for a, b in spans)
    got = sorted(text[words[e["start"]][0] : words[e["end"]][1]] for e, _ in entities)
    # Invisible characters at the border of an entity belong to no word.
    assert [part.strip("\u200b '.-") for part in got] == [part.strip("\u200b '.-") for part in expected]
    for entity, number in entities:
        assert numbers[entity["start"]] == numbers[entity["end"]] == number


@pytest.mark.parametrize(
    ("entities", "expected"),
    [
        ([(0, 3, "Person")], "does not know the label 'Person', it knows PER, ORG"),
        ([(0, 99, "PER")], "not inside 0 to 50"),
        ([(-1, 3, "PER")], "not inside"),
        ([(3, 2, "PER")], "not inside"),
        ([(3, 4, "PER")], "holds no word"),
        ([(0, 3, "PER"), (0, 3, "ORG")], "two labels"),
        ([(0, "PER")], "expected (start, end, label)"),
        ([(True, 3, "PER")], "expected (start, end, label)"),
        ("PER", "is a list of"),
        ({"start": 0}, "is a list of"),
        ([{"start": 0}], "expected (start, end, label)"),
    ],
)
def test_what_is_wrong_with_given_entities_is_said(models, entities, expected):
    with pytest.raises(PLMarkerError) as error:
        models.extract(TEXT, entities=entities)
    assert expected in str(error.value)


def test_several_documents_of_words_and_entities_by_words(models):
    first, second = [["Ada", "met", "Bob"], ["Cy", "left"]], [["Acme", "hired", "Bob"]]
    one, two = models.extract(words=first), models.extract(words=second)
    assert [names(item) for item in models.extract(words=[first, second])] == [names(one), names(two)]
    assert [names(item) for item in models.extract(words=[first])] == [names(one)]
    assert models.extract(words=[]).entities == []
    found = models.extract(words=[first, second], entities=[[(0, 0, "PER"), (3, 3, "PER")], [(0, 1, "ORG")]])
    assert [[(e.text, e.sentence) for e in item.entities] for item in found] == [
        [("Ada", 0), ("Cy", 1)],
        [("Acme hired", 0)],
    ]
    numbers = np.array([0, 1])
    (found,) = models.extract(words=[second], entities=[[(numbers[0], numbers[1], "ORG")]])
    assert [entity.text for entity in found.entities] == ["Acme hired"]
    for entities, expected in (([(2, 3, "PER")], "two sentences"), ([(0, 5, "PER")], "not inside 0 to 4")):
        with pytest.raises(PLMarkerError, match=expected):
            models.extract(words=first, entities=entities)
    with pytest.raises(PLMarkerError, match="1 lists for 2 texts"):
        models.extract(words=[first, second], entities=[[]])


@pytest.mark.parametrize("words", [5, "text", [5], [["a", 5]], [[["a"], 5]], [[[["a"]]]], {"a": 1}, [["a", " "]]])
def test_what_is_no_words_is_one_sentence(models, words):
    with pytest.raises(PLMarkerError, match="words="):
        models.extract(words=words)


def test_documents_with_given_entities_are_predicted(models):
    document = {
        "sentences": [["Ada", "met", "Bob"], []],
        "predicted_ner": [[{"start": 0, "end": 0, "label": "PER"}, {"start": 2, "end": 2, "label": None}], []],
    }
    ((source, spans, relations),) = models.predict([document], given_entities=True)
    assert source is document
    assert [(s.start, s.end) for s in spans[0]] == [(0, 0), (2, 2)]
    assert len(relations) == 2
    with pytest.raises(PLMarkerError, match="predicted_ner"):
        list(models.predict([{"sentences": [["Ada"]]}], given_entities=True))


def test_entities_that_are_one_without_the_white_space_around_them_are_one(models):
    text = "Ada met  Bob."
    found = models.extract(text, entities=[(0, 3, "PER"), (0, 4, "PER"), (9, 12, "PER"), (7, 12, "PER")])
    assert [(entity.text, entity.start) for entity in found.entities] == [("Ada", 0), ("Bob", 9)]
    with pytest.raises(PLMarkerError, match="two labels: PER and ORG"):
        models.extract(text, entities=[(0, 3, "PER"), (0, 4, "ORG")])
    with pytest.raises(PLMarkerError, match="two labels: PER and no label"):
        models.extract(text, entities=[(0, 3, "PER"), (0, 3)])


@pytest.mark.parametrize(
    "options", [{"constraints": "no"}, {"explain": 1}, {"sentence_splitter": 5}, {"sentence_splitter": None}]
)
def test_options_of_another_kind_are_refused(models, options):
    with pytest.raises(PLMarkerError, match=next(iter(options))):
        models.extract("Ada met Bob.", **options)


def test_a_threshold_may_be_a_number_of_numpy(models):
    text = "Ada met Bob."
    assert models.extract(text, entity_threshold=np.float32(0.5)) == models.extract(text, entity_threshold=0.5)
    with pytest.raises(PLMarkerError, match="from 0 to 1"):
        models.extract(text, entity_threshold=np.float32(1.5))


def test_an_invisible_character_around_an_entity_is_reported(models, caplog):
    with caplog.at_level(logging.WARNING):
        found = models.extract("Ada\u200b met Bob.", entities=[(0, 4, "PER"), (9, 12, "PER")])
    assert [entity.text for entity in found.entities] == ["Ada", "Bob"]
    assert "invisible character around a given entity is left out (1 times)" in caplog.text
