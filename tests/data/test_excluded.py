"""Annotated relations that constraints exclude."""

from typing import Any

import pytest
from reading_documents import entity, example_document, relation

from plmarker.cli import main
from plmarker.data.documents import write_documents
from plmarker.data.excluded import ExcludedGold, excluded_relations
from plmarker.modeling.schema_plmarker import LabelSchema

LABELS: Any = (("PER", "ORG"), ("MARRIED", "WORKS_FOR", "OWNS"), ("MARRIED",))


@pytest.mark.parametrize(
    ("constraints", "relations", "expected"),
    [
        ({"OWNS": {"types": [["ORG", "PER"]]}}, [(0, 2, "OWNS"), (2, 0, "OWNS")], [(0, 2, "types")]),
        ({"OWNS": {"one_per_head": True}}, [(0, 2, "OWNS"), (0, 3, "OWNS"), (1, 2, "OWNS")], [(0, 3, "one_per_head")]),
        ({"OWNS": {"one_per_tail": True}}, [(0, 2, "OWNS"), (0, 3, "OWNS"), (1, 2, "OWNS")], [(1, 2, "one_per_tail")]),
        # Both directions of a symmetric relation are one relation.
        ({"MARRIED": {"one_per_head": True}}, [(0, 1, "MARRIED"), (1, 0, "MARRIED")], []),
        ({"MARRIED": {"one_per_head": True}}, [(0, 1, "MARRIED"), (2, 1, "MARRIED")], [(2, 1, "one_per_head")]),
        ({}, [(0, 2, "OWNS"), (0, 3, "OWNS")], []),
    ],
)
def test_each_relation_that_cannot_be_kept_has_a_reason(constraints, relations, expected):
    types = {0: "PER", 1: "PER", 2: "ORG", 3: "ORG"}
    found = excluded_relations(LabelSchema(*LABELS, constraints), types, relations)
    assert [(head, tail, kind) for (head, tail, _), kind in found] == expected


def test_excluded_relations_are_counted_with_examples():
    excluded = ExcludedGold(LabelSchema(*LABELS, {"OWNS": {"types": [["PER", "ORG"]]}}))
    for _ in range(2):
        excluded.add(example_document())
    assert excluded.to_dict() == {
        "relations": 6,
        "excluded": 2,
        "kinds": [
            {
                "label": "OWNS",
                "constraint": "types",
                "types": "ORG -> ORG",
                "count": 2,
                "example": "Acme - Zuleika-Works, in d",
            }
        ],
    }
    assert "2 of 6" in excluded.lines()[0]


def test_data_check_counts_what_a_schema_excludes_and_names_unknown_labels(tmp_path, capsys):
    document = example_document()
    document["sentences"].pop(1)
    document["ner"].pop(1)
    document["relations"].pop(1)
    document["ner"][0].append(entity(4, 4, "DOG"))
    document["relations"][0].append(relation((3, 3), (4, 4), "OWNS"))
    write_documents(tmp_path / "mine.jsonl", [document])
    schema = tmp_path / "schema.yaml"
    schema.write_text(
        "entity_labels: [PER, ORG]\nrelation_labels: [MARRIED, WORKS_FOR, OWNS]\n"
        "constraints: {WORKS_FOR: {types: [[ORG, PER]]}, OWNS: {one_per_head: true}}\n"
    )
    assert main(["data", "check", str(tmp_path / "mine.jsonl"), "--schema", str(schema)]) == 1
    printed = capsys.readouterr().out
    assert "1 of 4 annotated relations" in printed
    assert "WORKS_FOR types PER -> ORG: 1 (Cyril - Acme, in d)" in printed
    assert "no label 'DOG'" in printed
    schema.write_text(schema.read_text().replace("[[ORG, PER]]", "[[ORG]]"))
    assert main(["data", "check", str(tmp_path / "mine.jsonl"), "--schema", str(schema)]) == 2
    assert f"{schema}: constraint of 'WORKS_FOR'" in capsys.readouterr().err
