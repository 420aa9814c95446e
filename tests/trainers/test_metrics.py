"""Ent, Rel and Rel+ as the original counts them."""

from collections.abc import Sequence

import pytest

from plmarker.data import LabelSchema
from plmarker.modeling.decoding_plmarker import ScoredRelation, ScoredSpan
from plmarker.trainers.errors import entity_errors, relation_errors
from plmarker.trainers.metrics import EntityMetrics, RelationMetrics, Score

# Classes of the `schema` fixture.
PER, ORG = 1, 2
MARRIED, WORKS_FOR = 1, 2


def spans(*rows: Sequence[int]) -> list[ScoredSpan]:
    return [ScoredSpan(start, end, label, 0.9) for start, end, label in rows]


def relation(
    head: tuple[int, int], tail: tuple[int, int], label: int, types: tuple[int, int] = (PER, ORG)
) -> ScoredRelation:
    return ScoredRelation(head, tail, label, 0.9, *types)


def test_entities_are_counted_by_span_and_label(schema: LabelSchema) -> None:
    metrics = EntityMetrics(schema)
    labelled = spans((0, 1, PER), (3, 3, PER), (3, 4, ORG))
    metrics.add([[0, 1, PER], [3, 3, ORG]], labelled, labelled[:2])
    metrics.add([[7, 7, ORG]], [], [])
    figures = metrics.compute()
    assert figures["ent_precision"] == pytest.approx(1 / 2)
    assert figures["ent_recall"] == pytest.approx(1 / 3)
    assert figures["ent_f1"] == pytest.approx(2 / 5)
    assert figures["ent_f1_overlap"] == pytest.approx(2 / 6)
    assert figures["ent_f1/PER"] == pytest.approx(2 / 3)
    assert figures["ent_f1/ORG"] == 0.0


def test_nothing_predicted_and_nothing_gold_is_zero_not_an_error() -> None:
    assert Score().figures() == (0.0, 0.0, 0.0)


def test_symmetric_relation_counts_twice_in_either_direction(schema: LabelSchema) -> None:
    gold = [[0, 0, PER], [2, 2, PER], [4, 4, ORG]]
    metrics = RelationMetrics(schema)
    found = [relation((2, 2), (0, 0), MARRIED, (PER, PER)), relation((0, 0), (2, 2), WORKS_FOR)]
    metrics.add(gold, [[0, 0, 2, 2, MARRIED], [0, 0, 4, 4, WORKS_FOR]], gold, found)
    figures = metrics.compute()
    # Gold 2 + 1, predicted 2 + 1, right 2.
    assert figures["rel_f1"] == pytest.approx(2 * 2 / 6)
    assert figures["rel_strict_f1"] == pytest.approx(2 * 2 / 6)


def test_directed_relation_is_wrong_the_other_way_round(schema: LabelSchema) -> None:
    gold = [[0, 0, PER], [4, 4, ORG]]
    metrics = RelationMetrics(schema)
    metrics.add(gold, [[0, 0, 4, 4, WORKS_FOR]], gold, [relation((4, 4), (0, 0), WORKS_FOR)])
    assert metrics.compute()["rel_f1"] == 0.0


def test_strict_takes_types_from_the_relation_model_or_from_the_given_entities(schema: LabelSchema) -> None:
    gold, gold_relations = [[0, 0, PER], [4, 4, ORG]], [[0, 0, 4, 4, WORKS_FOR]]
    found = [relation((0, 0), (4, 4), WORKS_FOR, types=(ORG, ORG))]
    figures = {}
    for entity_types in ("relation", "input"):
        metrics = RelationMetrics(schema, entity_types)
        metrics.add(gold, gold_relations, gold, found)
        figures[entity_types] = metrics.compute()
    assert [figures[types]["rel_f1"] for types in figures] == [1.0, 1.0]
    assert [figures[types]["rel_strict_f1"] for types in figures] == [0.0, 1.0]
    # The relation model retypes (0, 0) wrongly: one of two entities stays right.
    assert [figures[types]["retyped_ent_f1"] for types in figures] == [0.5, 1.0]


def test_a_span_has_the_type_of_its_best_relation(schema: LabelSchema) -> None:
    gold, gold_relations = [[0, 0, PER], [4, 4, ORG], [6, 6, ORG]], [[0, 0, 4, 4, WORKS_FOR], [0, 0, 6, 6, WORKS_FOR]]
    found = [
        relation((0, 0), (4, 4), WORKS_FOR, types=(PER, ORG)),
        relation((0, 0), (6, 6), WORKS_FOR, types=(ORG, ORG)),
    ]
    metrics = RelationMetrics(schema)
    metrics.add(gold, gold_relations, gold, found)
    assert metrics.compute()["rel_strict_f1"] == 1.0


def test_gold_that_nobody_could_find_counts_against_recall(schema: LabelSchema) -> None:
    metrics = RelationMetrics(schema)
    metrics.add([[0, 0, PER], [4, 4, ORG]], [[0, 0, 4, 4, WORKS_FOR]], [], [])
    figures = metrics.compute()
    assert figures["rel_recall"] == 0.0
    assert figures["rel_f1/WORKS_FOR"] == 0.0


def test_entity_errors_by_kind() -> None:
    gold = [[0, 1, PER], [3, 4, ORG], [6, 6, PER], [9, 9, ORG]]
    kept = spans((0, 1, ORG), (3, 3, ORG), (5, 6, ORG), (12, 12, PER))
    assert entity_errors(gold, kept) == {
        "wrong label": 1,
        "wrong boundaries": 1,
        "wrong boundaries and label": 1,
        "spurious": 1,
        "missed": 1,
    }


def test_relation_errors_by_kind(schema: LabelSchema) -> None:
    given = [[0, 0, PER], [2, 2, PER], [4, 4, ORG], [6, 6, ORG]]
    gold = [
        [0, 0, 4, 4, WORKS_FOR],
        [2, 2, 4, 4, WORKS_FOR],
        [0, 0, 2, 2, MARRIED],
        [2, 2, 8, 8, WORKS_FOR],
    ]
    found = [
        relation((4, 4), (0, 0), WORKS_FOR),
        relation((2, 2), (4, 4), MARRIED),
        relation((2, 2), (0, 0), MARRIED),
        relation((2, 2), (6, 6), WORKS_FOR),
    ]
    assert relation_errors(gold, given, found, schema.n_symmetric) == {
        "wrong direction": 1,
        "wrong label": 1,
        "an end is in no gold relation": 1,
        "missed, an entity is missing": 1,
    }


def test_a_model_of_single_directions_must_find_a_symmetric_relation_twice(schema: LabelSchema) -> None:
    gold = [[0, 0, PER], [2, 2, PER]]
    for found, f1 in (
        ([relation((0, 0), (2, 2), MARRIED, (PER, PER))], 2 / 3),
        ([relation((0, 0), (2, 2), MARRIED, (PER, PER)), relation((2, 2), (0, 0), MARRIED, (PER, PER))], 1.0),
    ):
        metrics = RelationMetrics(schema, directed=True)
        metrics.add(gold, [[2, 2, 0, 0, MARRIED]], gold, found)
        assert metrics.compute()["rel_f1"] == pytest.approx(f1)
