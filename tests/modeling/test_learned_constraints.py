"""Constraints in a schema: given, learned from documents, and saved."""

from typing import Any

import pytest
from reading_documents import entity, example_document, relation

from plmarker.modeling.configuration_plmarker import PLMarkerConfig, PLMarkerEntityConfig, PLMarkerRelationConfig
from plmarker.modeling.schema_plmarker import LabelSchema, PLMarkerError, RelationConstraint

LABELS: Any = (("PER", "ORG"), ("MARRIED", "WORKS_FOR", "OWNS"), ("MARRIED",))
GIVEN = {"WORKS_FOR": {"types": [["PER", "ORG"]], "one_per_head": True}, "OWNS": {}}


def test_constraints_are_read_from_plain_values_and_written_as_such():
    schema = LabelSchema(*LABELS, GIVEN)
    assert schema.constraints == {"WORKS_FOR": RelationConstraint((("PER", "ORG"),), one_per_head=True)}
    values = schema.to_dict()
    assert values["constraints"] == {"WORKS_FOR": GIVEN["WORKS_FOR"]}
    assert LabelSchema(**values).constraints == schema.constraints
    assert hash(schema) == hash(LabelSchema(*LABELS))
    assert schema != LabelSchema(*LABELS)
    assert schema.permits("WORKS_FOR", "PER", "ORG")
    assert not schema.permits("WORKS_FOR", "ORG", "PER")
    assert schema.permits("OWNS", "ORG", "PER")


def test_the_types_of_a_symmetric_relation_have_no_order():
    schema = LabelSchema(*LABELS, {"MARRIED": {"types": [["PER", "ORG"]], "one_per_tail": True}})
    assert schema.permits("MARRIED", "ORG", "PER")
    assert schema.constraints["MARRIED"].one_per_head


@pytest.mark.parametrize(
    ("constraints", "expected"),
    [
        ([], "a mapping from relation labels"),
        ({"KNOWS": {}}, "unknown relation label 'KNOWS'"),
        ({"OWNS": {"types": [["PER", "DOG"]]}}, "unknown entity label 'DOG'"),
        ({"OWNS": {"types": ["PER"]}}, "head type, tail type"),
        ({"OWNS": {"types": "PER"}}, "head type, tail type"),
        ({"OWNS": {"one_per_head": 1}}, "true or false"),
        ({"OWNS": {"kinds": []}}, "expected a mapping with types"),
        ({"OWNS": {"types": [["PER", "ORG"]], "counts": [1, 2]}}, "a number for each pair"),
    ],
)
def test_what_is_wrong_with_a_constraint_is_named(constraints, expected):
    with pytest.raises(PLMarkerError, match=expected):
        LabelSchema(*LABELS, constraints)


def test_a_config_without_constraints_is_written_as_before_there_were_any(tmp_path):
    free = PLMarkerRelationConfig(**LabelSchema(*LABELS).to_dict())
    assert "constraints" not in free.to_dict()
    assert "constraints" not in free.to_json_string()
    schema = LabelSchema(*LABELS, GIVEN)
    config = PLMarkerRelationConfig(**schema.to_dict())
    assert config.to_dict()["constraints"] == schema.to_dict()["constraints"]
    both = PLMarkerConfig(entity_config=PLMarkerEntityConfig(**schema.to_dict()), relation_config=config)
    both.save_pretrained(tmp_path)
    assert PLMarkerConfig.from_pretrained(tmp_path).schema == schema
    free.save_pretrained(tmp_path)
    assert PLMarkerRelationConfig.from_pretrained(tmp_path).schema == LabelSchema(*LABELS)


def test_types_are_learned_with_their_counts():
    schema = LabelSchema(*LABELS).learn_constraints([example_document(), example_document()])
    assert schema.to_dict()["constraints"] == {
        "MARRIED": {"types": [["PER", "PER"]], "counts": [2]},
        "WORKS_FOR": {"types": [["PER", "ORG"]], "counts": [2]},
        "OWNS": {"types": [["ORG", "ORG"]], "counts": [2]},
    }
    # What is learned replaces what was given, and rare types are not permitted.
    rare = schema.learn_constraints([example_document()], least=2)
    assert rare.constraints["OWNS"].types == ()
    assert LabelSchema(*LABELS).learn_constraints([]).constraints == {}


def works_for(*pairs: tuple[int, int]) -> dict[str, Any]:
    """A sentence of two people and two firms."""
    kinds = ("PER", "PER", "ORG", "ORG")
    return {
        "ner": [[entity(n, n, kind) for n, kind in enumerate(kinds)]],
        "relations": [[relation((head, head), (tail, tail), "WORKS_FOR") for head, tail in pairs]],
    }


@pytest.mark.parametrize(
    ("documents", "expected"),
    [
        # Each head could have two tails, and each tail two heads.
        ([works_for((0, 2))] * 100, (True, True)),
        ([works_for((0, 2))] * 99, (False, False)),
        ([works_for((0, 2), (1, 2))] * 100, (True, False)),
        ([works_for((0, 2), (0, 3))] * 100, (False, True)),
        ([works_for((0, 2))] * 200 + [works_for((0, 2), (0, 3))], (False, True)),
    ],
)
def test_one_relation_at_an_end_is_learned_where_a_second_one_never_comes(documents, expected):
    found = LabelSchema(*LABELS).learn_constraints(documents).constraints["WORKS_FOR"]
    assert (found.one_per_head, found.one_per_tail) == expected


def test_one_spouse_is_learned_from_either_end():
    def married(*pairs: tuple[int, int]) -> dict[str, Any]:
        people = [entity(n, n, "PER") for n in range(4)]
        return {"ner": [people], "relations": [[relation((a, a), (b, b), "MARRIED") for a, b in pairs]]}

    schema = LabelSchema(*LABELS)
    assert schema.learn_constraints([married((0, 1))] * 50).constraints["MARRIED"].one_per_head
    # The same relation in its other direction is no second one.
    assert schema.learn_constraints([married((0, 1), (1, 0))] * 50).constraints["MARRIED"].one_per_head
    assert not schema.learn_constraints([married((0, 1), (2, 1))] * 50).constraints["MARRIED"].one_per_head
