"""What a user gets: entities and relations by character, each once."""

from plmarker.modeling.decoding_plmarker import ScoredRelation, ScoredSpan
from plmarker.modeling.extraction_plmarker import build_extraction
from plmarker.modeling.text_plmarker import locate_words

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
