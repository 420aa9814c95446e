"""What constraints change, in figures and in what models return."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoModel

from plmarker import LabelSchema, PLMarkerForEntityRecognition, PLMarkerForRelationExtraction, PLMarkerModel
from plmarker.cli import main
from plmarker.data import typed_document
from plmarker.modeling.decoding_plmarker import ScoredRelation
from plmarker.trainers import evaluate_documents
from plmarker.trainers.constraint_changes import ConstraintChanges
from plmarker.trainers.report import constraints_tables

LABELS: Any = (("PER", "ORG"), ("MARRIED", "WORKS_FOR", "OWNS"), ("MARRIED",))
MARRIED, WORKS_FOR, OWNS = 1, 2, 3
PER, ORG = 1, 2
DOCUMENTS = [
    {
        "doc_key": "a",
        "sentences": [["Ann", "and", "Bob", "work", "for", "Acme", "and", "Initech", "."]],
        "ner": [[[0, 0, "PER"], [2, 2, "PER"], [5, 5, "ORG"], [7, 7, "ORG"]]],
        "relations": [[[0, 0, 5, 5, "WORKS_FOR"]]],
    },
    {
        "doc_key": "b",
        "sentences": [["Eve", "met", "Dan", "of", "Acme", "."], ["Pat", "owns", "Acme", "."]],
        "ner": [[[0, 0, "PER"], [2, 2, "PER"], [4, 4, "ORG"]], [[6, 6, "PER"], [8, 8, "ORG"]]],
        "relations": [[], [[6, 6, 8, 8, "OWNS"]]],
    },
]
TYPED = [typed_document(document) for document in DOCUMENTS]
NONE_AT_ALL: dict[str, Any] = {label: {"types": []} for label in ("MARRIED", "WORKS_FOR", "OWNS")}
VARIANTS = ["solid", "levitated", "shared"]


def scored(head: int, tail: int, label: int) -> ScoredRelation:
    return ScoredRelation((head, head), (tail, tail), label, 0.9, PER, ORG)


def test_each_change_is_counted_by_label_and_constraint():
    constraints = {"WORKS_FOR": {"types": [["PER", "ORG"]], "one_per_head": True}, "MARRIED": {"one_per_head": True}}
    changes = ConstraintChanges(LabelSchema(*LABELS, constraints))
    given = [[0, 0, PER], [2, 2, PER], [5, 5, ORG], [7, 7, ORG]]
    gold = [[0, 0, 7, 7, WORKS_FOR], [5, 5, 2, 2, OWNS]]
    free = [scored(0, 5, WORKS_FOR), scored(0, 7, WORKS_FOR), scored(5, 2, WORKS_FOR), scored(0, 2, MARRIED)]
    kept = [scored(0, 5, WORKS_FOR), scored(5, 2, OWNS), scored(2, 0, MARRIED)]
    changes.add(gold, given, free, kept)
    zero = {"removed": 0, "removed_right": 0, "changed": 0, "changed_right": 0}
    assert changes.rows() == [
        {"label": "WORKS_FOR", "constraint": "one_per_head", **zero, "removed": 1, "removed_right": 1},
        {"label": "WORKS_FOR", "constraint": "types", **zero, "changed": 1},
    ]
    assert dict(changes.added) == {"added": 1, "added_right": 1}
    changes.merge(changes)
    assert changes.metrics() == {"constraints_removed": 2, "constraints_changed": 2, "constraints_added": 2}


@pytest.mark.parametrize("subject_markers", VARIANTS)
@pytest.mark.parametrize("bidirectional", [True, False])
def test_all_kinds_of_relation_models_keep_constraints(
    make_tiny_model: Callable[..., Any], subject_markers: str, bidirectional: bool
):
    if subject_markers == "levitated" and bidirectional:
        pytest.skip("levitated pairs have no inverse classes")
    options = {"subject_markers": subject_markers, "bidirectional": bidirectional, "max_seq_length": 64}
    permitted = {"types": [["PER", "ORG"]]}
    constraints = {
        "MARRIED": permitted,
        "WORKS_FOR": {**permitted, "one_per_head": True},
        "OWNS": {**permitted, "one_per_tail": True},
    }

    def relations(constraints: dict[str, Any], keep: bool = True) -> list[Any]:
        model = make_tiny_model(
            PLMarkerForRelationExtraction, seed=3, schema=LabelSchema(*LABELS, constraints), **options
        )
        return [found for _, sentences in model.predict(TYPED[:1], constraints=keep) for found in sentences]

    free = relations({})
    assert any(free)
    assert relations(constraints, keep=False) == free
    assert relations(NONE_AT_ALL) == [[] for _ in free]
    kept = relations(constraints)
    assert kept != free
    types = {(e["start"], e["end"]): e["label"] for e in TYPED[0]["ner"][0]}
    for sentence in kept:
        assert all({types[r.head], types[r.tail]} == {"PER", "ORG"} for r in sentence)
        assert all(types[r.head] == "PER" for r in sentence if r.label != MARRIED)
        heads = [r.head for r in sentence if r.label == WORKS_FOR]
        tails = [r.tail for r in sentence if r.label == OWNS]
        assert len(set(heads)) == len(heads)
        assert len(set(tails)) == len(tails)


@pytest.fixture
def combined(make_tiny_model: Callable[..., Any]) -> Callable[..., PLMarkerModel]:
    def make(constraints: dict[str, Any]) -> PLMarkerModel:
        schema = LabelSchema(*LABELS, constraints)
        entity = make_tiny_model(PLMarkerForEntityRecognition, schema=schema, max_seq_length=64, max_span_length=3)
        relation = make_tiny_model(PLMarkerForRelationExtraction, seed=3, schema=schema, max_seq_length=64)
        return PLMarkerModel.from_models(entity, relation, entity.tokenizer)

    return make


def test_extract_keeps_the_types_that_it_returns(combined, tmp_path: Path):
    text = "Ann and Bob work for Acme and Initech."
    permitted = {label: {"types": [["PER", "ORG"]]} for label in ("MARRIED", "WORKS_FOR", "OWNS")}
    free, bound = combined({}), combined(permitted)
    found = free.extract(text)
    assert any((r.head.label, r.tail.label) != ("PER", "ORG") for r in found.relations)
    kept = bound.extract(text)
    assert kept.entities == found.entities
    assert all({r.head.label, r.tail.label} == {"PER", "ORG"} for r in kept.relations)
    assert all(r.head.label == "PER" for r in kept.relations if r.label != "MARRIED")
    assert bound.extract(text, constraints=False) == found
    # They are saved with the labels.
    bound.save_pretrained(tmp_path)
    assert AutoModel.from_pretrained(tmp_path).extract(text) == kept


def test_evaluation_tells_both_figures_in_one_run(combined):
    def evaluate(model: PLMarkerModel) -> Any:
        return evaluate_documents(TYPED, model.tokenizer, model.entity, model.relation, joined_sentences=5)

    free = evaluate(combined({}))
    bound = evaluate(combined(NONE_AT_ALL))
    assert free.constraints == {}
    assert free.excluded is None
    assert not any("constrain" in name for name in free.metrics)
    for name in ("rel_f1", "rel_strict_f1", "gold_rel_precision", "gold_rel_strict_recall"):
        prefix, _, figure = name.rpartition("rel_")
        figure = name.removeprefix("gold_")
        prefix = "gold_" if name.startswith("gold_") else ""
        assert bound.metrics[f"{prefix}unconstrained_{figure}"] == free.metrics[name]
        assert bound.metrics[name] == 0.0
    found = bound.constraints["gold entities"]
    assert bound.metrics["gold_constraints_removed"] == sum(row["removed"] for row in found.rows()) > 0
    assert {row["constraint"] for row in found.rows()} == {"types"}
    assert bound.excluded.to_dict()["excluded"] == 2
    assert bound.coverage["relations"].excluded == 2
    figures = constraints_tables(bound.constraints, bound.metrics)[-1]
    assert figures.columns == ("without", "with")
    assert [name for name, _ in figures.rows] == ["Rel F1", "Rel+ F1"]
    assert {kind for kind, _ in bound.false_relations} == {"negative sentences", "joined sentences"}
    # A model that returns nothing returns nothing false.
    assert all(false.share(0.0) == 0.0 for false in bound.false_relations.values())


def test_the_commands_learn_evaluate_and_predict_with_constraints(combined, tmp_path: Path, capsys):
    model, corpus = tmp_path / "model", tmp_path / "corpus.jsonl"
    combined({}).save_pretrained(model)
    corpus.write_text("\n".join(json.dumps(document) for document in DOCUMENTS))
    assert main(["constrain", str(model), "--dataset", str(corpus), "--json", str(tmp_path / "learned.json")]) == 0
    assert "PER -> ORG  1" in capsys.readouterr().out
    config = json.loads((model / "config.json").read_text())
    learned = json.loads((tmp_path / "learned.json").read_text())["constraints"]
    assert learned == {name: {"types": [["PER", "ORG"]], "counts": [1]} for name in ("WORKS_FOR", "OWNS")}
    assert config["relation_config"]["constraints"] == learned
    figures = tmp_path / "figures.json"
    arguments = [str(model), "--dataset", str(corpus), "--split", "train", "--json", str(figures)]
    assert main(["evaluate", *arguments]) == 0
    printed = capsys.readouterr().out
    results = json.loads(figures.read_text())
    assert results["constraints"]["excluded_gold"]["excluded"] == 0
    assert results["unconstrained_rel_f1"] >= 0.0
    assert results["false_relations"]["negative sentences, gold entities"]["sentences"] == 1
    assert re.search(r"^Constraints, gold entities +without +with$", printed, re.MULTILINE)
    assert "joined sentences" not in printed
    report = tmp_path / "report"
    assert main(["evaluate", *arguments, "--joined_sentences", "5", "--report", str(report)]) == 0
    page = (report / "index.html").read_text()
    data = json.loads(page.partition('id="data">')[2].partition("</script>")[0])
    tables = [(table["caption"], table["head"], table["rows"]) for table in data["tables"]]
    f1 = [f"{100 * results[name]:.1f}" for name in ("gold_unconstrained_rel_f1", "gold_rel_f1")]
    (bound,) = (rows for title, head, rows in tables if (title, head[1]) == ("Constraints, gold entities", "without"))
    assert bound[0] == ["Rel F1", *f1]
    ((_, columns, false),) = (table for table in tables if table[0].startswith("Sentences with a false relation"))
    assert (columns[2:4], len(false)) == (["all", "from 0.5"], 4)
    assert re.search(r"^joined sentences, gold entities +1 ", capsys.readouterr().out, re.MULTILINE)
    given = tmp_path / "given.yaml"
    given.write_text(
        "entity_labels: [PER, ORG]\nrelation_labels: [MARRIED, WORKS_FOR, OWNS]\n"
        "constraints: {MARRIED: {types: []}, WORKS_FOR: {types: []}, OWNS: {types: []}}\n"
    )
    assert main(["constrain", str(model), "--schema", str(given)]) == 0

    def relations(*options: str) -> list[Any]:
        out = tmp_path / "predictions.jsonl"
        assert main(["predict", str(model), str(corpus), "--out", str(out), *options]) == 0
        return [relation for line in out.read_text().splitlines() for relation in json.loads(line)["relations"]]

    assert relations() == []
    without = relations("--no_constraints")
    assert without
    assert main(["constrain", str(model), "--remove"]) == 0
    assert relations() == without
    assert "constraints" not in (model / "config.json").read_text()
