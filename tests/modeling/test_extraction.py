"""What a user gets: entities and relations by character, each once."""

import pickle
from dataclasses import replace
from functools import partial

import pytest

from plmarker import PLMarkerError, PLMarkerForEntityRecognition
from plmarker.modeling.decoding_plmarker import ScoredRelation, ScoredSpan
from plmarker.modeling.extraction_plmarker import Entity, Extraction, Relation, build_extraction
from plmarker.modeling.text_plmarker import locate_words, split_sentences

TEXT = "Ann married Bob. Bob sings."
PER, MARRIED, WORKS_FOR = 1, 1, 2


def test_a_symmetric_relation_found_in_both_directions_is_given_once(schema):
    spans = [[ScoredSpan(0, 0, PER, 0.9), ScoredSpan(2, 2, PER, 0.8)], [ScoredSpan(4, 4, PER, 0.7)]]
    ann, bob = (0, 0), (2, 2)
    relations = [
        [
            ScoredRelation(ann, bob, MARRIED, 0.9, PER, PER),
            ScoredRelation(bob, ann, MARRIED, 0.8, PER, PER),
            ScoredRelation(ann, bob, WORKS_FOR, 0.7, PER, PER),
            ScoredRelation(bob, ann, WORKS_FOR, 0.6, PER, PER),
        ],
        [],
    ]
    found = build_extraction(TEXT, locate_words(TEXT), spans, relations, schema)
    assert [entity.text for entity in found.entities] == ["Ann", "Bob", "Bob"]
    assert [(r.head.text, r.label, r.tail.text) for r in found.relations] == [
        ("Ann", "MARRIED", "Bob"),
        ("Ann", "WORKS_FOR", "Bob"),
        ("Bob", "WORKS_FOR", "Ann"),
    ]
    assert all(TEXT[entity.start : entity.end] == entity.text for entity in found.entities)


def test_an_extraction_that_was_replaced_or_copied_can_still_be_written(schema):
    spans = [[ScoredSpan(0, 0, PER, 0.9), ScoredSpan(2, 2, PER, 0.8)], [ScoredSpan(4, 4, PER, 0.7)]]
    relations = [[ScoredRelation((0, 0), (2, 2), MARRIED, 0.9, PER, PER)], []]
    found = build_extraction(TEXT, locate_words(TEXT), spans, relations, schema)
    expected = found.to_dict()
    assert expected["relations"] == [{"head": 0, "tail": 1, "label": "MARRIED", "score": 0.9}]
    # Equal entities are the same entity, whichever objects they are.
    copied = [replace(entity) for entity in found.entities]
    assert replace(found).to_dict() == expected
    assert replace(found, entities=copied).to_dict() == expected
    assert pickle.loads(pickle.dumps(found)).to_dict() == expected
    shown = replace(found, entities=copied[::-1], relations=[replace(relation) for relation in found.relations])
    assert shown.to_dict()["relations"] == [{"head": 2, "tail": 1, "label": "MARRIED", "score": 0.9}]
    assert replace(found, entities=[], relations=[]).to_dict() == {"text": TEXT, "entities": [], "relations": []}
    assert Extraction("").to_dict() == {"text": "", "entities": [], "relations": []}


def test_the_language_of_a_text_splits_its_sentences(make_tiny_model):
    model = make_tiny_model(PLMarkerForEntityRecognition, max_seq_length=64)
    text = "Sie lebt z.B. in Oslo. Er lebt in Rom."
    german = model.extract(text, language="de").sentences
    assert german == model.extract(text, sentence_splitter=partial(split_sentences, language="de")).sentences
    assert len(german) == 2
    with pytest.raises(PLMarkerError, match="sentence_splitter"):
        model.extract(text, language="de", sentence_splitter=lambda text: [text])


def test_a_changed_entity_is_still_the_end_of_its_relation():
    ann = Entity("Ann", "Person", 0, 3, 0.9, 0)
    acme = Entity("Acme", "Place", 13, 17, 0.8, 0)
    found = Extraction("Ann works at Acme.", [], [ann, acme], [Relation(ann, acme, "WORKS_FOR", 0.7)])
    found.entities[1] = replace(acme, label="Company", score=1.0)
    assert found.to_dict()["relations"] == [{"head": 0, "tail": 1, "label": "WORKS_FOR", "score": 0.7}]
    del found.entities[0]
    with pytest.raises(PLMarkerError, match="'Ann'"):
        found.to_dict()


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [({"head": -1}, "entity -1"), ({"score": float("nan")}, "score"), ({"score": True}, "score"), ({"head": 5}, "")],
)
def test_a_relation_read_back_joins_two_entities_by_a_score(wrong: dict, expected: str) -> None:
    entities = [
        {"text": "Ann", "label": "PER", "start": 0, "end": 3, "score": 0.5, "sentence": 0},
        {"text": "Ann met", "label": "PER", "start": 0, "end": 7, "score": 0.5, "sentence": 0},
    ]
    relation = {"head": 0, "tail": 1, "label": "OWNS", "score": 1.0}
    values = {"text": "Ann met Bob.", "entities": entities, "relations": [relation]}
    assert len(Extraction.from_dict(values).relations) == 1
    values["relations"] = [{**relation, **wrong}]
    with pytest.raises(PLMarkerError, match=f"expected what .*{expected}"):
        Extraction.from_dict(values)


def test_a_language_that_is_no_text_is_refused(tiny_entity_model: PLMarkerForEntityRecognition) -> None:
    with pytest.raises(PLMarkerError, match="a language is a code such as 'en' or 'pt-BR', got 5"):
        tiny_entity_model.extract(TEXT, language=5)
    with pytest.raises(PLMarkerError, match="got 'german'"):
        tiny_entity_model.extract(TEXT, language="german")
    assert tiny_entity_model.extract(TEXT, language="de-AT").sentences


def test_an_end_of_a_relation_is_found_by_its_label_where_a_span_has_two():
    ann, org, bob = (
        Entity(name, label, start, start + 3, 0.5, 0)
        for name, label, start in (("Ann", "PER", 0), ("Ann", "ORG", 0), ("Bob", "PER", 4))
    )
    found = Extraction("Ann Bob", [], [ann, org, bob], [Relation(org, bob, "R", 0.5)])
    changed = replace(found, entities=[ann, replace(org, score=0.7), bob])
    assert [found.to_dict()["relations"][0]["head"], changed.to_dict()["relations"][0]["head"]] == [1, 1]


@pytest.mark.parametrize(
    "values",
    [
        {"text": 5, "entities": [], "relations": []},
        {"start": 50, "end": 53},
        {"start": "0"},
        {"label": 5},
        {"score": "x"},
        {"score": float("nan")},
        {"score": 1.5},
        {"text": "zzz"},
    ],
)
def test_values_of_no_extraction_are_refused(values):
    entity = {"text": "Ann", "label": "PER", "start": 0, "end": 3, "score": 0.5, "sentence": 0}
    whole = values if "entities" in values else {"text": "Ann", "entities": [{**entity, **values}], "relations": []}
    with pytest.raises(PLMarkerError, match="expected what"):
        Extraction.from_dict(whole)
