"""False relations between entities that have none."""

from typing import Any

import pytest

from plmarker.data import typed_document
from plmarker.modeling.decoding_plmarker import ScoredRelation
from plmarker.trainers.cooccurrence import FalseRelations, joined_documents, negative_sentences, scores_across
from plmarker.trainers.report import false_relations_table


def document(number: int, last: str = ".") -> dict[str, Any]:
    """A sentence without an entity, one of two entities, and one of an entity."""
    return typed_document(
        {
            "doc_key": f"d{number}",
            "sentences": [["So", "."], [f"P{number}", "and", f"Q{number}", last], [f"R{number}", "sings"]],
            "ner": [[], [[2, 2, "PER"], [4, 4, "ORG"]], [[6, 6, "PER"]]],
            "relations": [[], [], []],
        }
    )


def test_negative_sentences_have_two_entities_and_no_relation():
    one = document(0)
    assert negative_sentences(one) == [1]
    related = {**one, "relations": [[], [{"label": "R"}], []]}
    assert negative_sentences(related) == []
    # Two labels of one span are one entity.
    same = {**one, "ner": [[], [{**entity, "start": 2, "end": 2} for entity in one["ner"][1]], []]}
    assert negative_sentences(same) == []
    assert negative_sentences({**one, "relations": None}) == []


def test_joined_sentences_are_of_different_documents_and_keep_their_entities():
    documents = [document(number) for number in range(5)]
    joined = joined_documents(documents, 200)
    assert len(joined) == 5
    used: list[str] = []
    for one in joined:
        (words,), (entities,) = one["sentences"], one["ner"]
        names = {words[entity["start"]] for entity in entities}
        assert all(name[0] in "PQR" for name in names)
        left = {name[1:] for name in names if words.index(name) < one["border"]}
        right = {name[1:] for name in names if words.index(name) >= one["border"]}
        assert left
        assert right
        assert not left & right
        assert words[one["border"] - 1] == ","
        assert "." not in words[: one["border"]]
        used += names
    assert len(used) == len(set(used)) == 15
    assert joined == joined_documents(documents, 200)
    assert joined != joined_documents(documents, 200, seed=1)
    assert joined_documents(documents, count=2) == joined[:2]


def test_a_final_word_that_is_an_entity_or_a_word_stays():
    one, two = document(0), document(1, last="today")
    for made in joined_documents([one, two], 200):
        (words,) = made["sentences"]
        assert "today" in words or "Q1" not in words
        assert "sings" in words or "R0" not in words
    # One document gives no pair, nor do sentences that are too long.
    assert joined_documents([one], 200) == []
    long = {**one, "sentences": [words + ["so"] * 50 for words in one["sentences"]]}
    assert joined_documents([long, two], 200) == []


def test_relations_across_the_border_alone_are_false():
    def relation(head: int, tail: int, score: float) -> ScoredRelation:
        return ScoredRelation((head, head), (tail, tail), 1, score, 1, 1)

    found = [relation(0, 2, 0.9), relation(4, 1, 0.6), relation(2, 5, 0.7), relation(4, 5, 0.8)]
    assert list(scores_across({"border": 4}, found)) == [0.6, 0.7]


def test_shares_by_threshold():
    false = FalseRelations()
    for scores in ([0.6, 0.7], [], [0.5], [0.95]):
        false.add(scores)
    assert [false.share(threshold) for threshold in (0.0, 0.5, 0.7, 0.9, 0.99)] == [0.75, 0.75, 0.5, 0.25, 0.0]
    assert FalseRelations().share(0.0) is None
    assert false.to_dict((0.7,)) == {"sentences": 4, "share": {"0.7": pytest.approx(0.5)}}
    table = false_relations_table({("negative sentences", "gold entities"): false, ("joined", "x"): FalseRelations()})
    (_, measured), (_, empty) = table.rows
    assert measured[-4:] == ["75.0", "75.0", "50.0", "25.0"]
    assert empty[-1] == "-"
