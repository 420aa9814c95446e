"""Going on from a trained model: what it knows stays, and labels are added."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from datasets import Dataset

from plmarker import (
    LabelSchema,
    PLMarkerError,
    PLMarkerForEntityRecognition,
    PLMarkerForRelationExtraction,
    PLMarkerModel,
)
from plmarker.data import dataset_of, typed_document, write_documents
from plmarker.encoders.continuing import merged_schema
from plmarker.trainers.experiment import load_experiment
from plmarker.trainers.training import run_experiment

# The labels of new data: one is known, others are new, and the rest of the old ones does not occur.
NEW = LabelSchema(("GPE", "PER"), ("ALLY", "OWNS", "VISITS"), ("ALLY",))
KINDS: dict[str, tuple[Any, dict[str, Any]]] = {
    "entity": (PLMarkerForEntityRecognition, {"pruner_size": 8, "max_span_length": 3}),
    "tagging": (PLMarkerForEntityRecognition, {"method": "bio"}),
    "relation": (PLMarkerForRelationExtraction, {}),
    "typed markers": (PLMarkerForRelationExtraction, {"type_markers": True}),
    "combined": (PLMarkerModel, {"entity": {"max_span_length": 3}}),
    "shared": (PLMarkerModel, {"shared_encoder": True, "entity": {"max_span_length": 3}}),
}


def trained(kind: str, encoder: str, schema: LabelSchema, folder: Path) -> Any:
    """A model that finds things, as if it were trained, with thresholds."""
    model_class, options = KINDS[kind]
    torch.manual_seed(5)
    model = model_class.from_encoder(encoder, schema, max_seq_length=64, **options)
    for name, parameter in model.named_parameters():
        if parameter.dim() > 1 and "pruner" not in name:
            torch.nn.init.normal_(parameter, std=1.0 if "embeddings" in name or "classifier" in name else 0.3)
    for config in parts(model.config):
        config.temperature = 2.0
        config.thresholds = {"PER": 0.01} if config.model_type == "plmarker-ner" else {"OWNS": 0.01}
    model.save_pretrained(folder)
    return model.eval()


def parts(config: Any) -> list[Any]:
    return list(getattr(config, "parts", [config]))


def test_constraints_of_both_schemas_are_kept() -> None:
    old = LabelSchema(
        ("PER", "ORG"),
        ("OWNS", "HIRES"),
        constraints={"OWNS": {"types": [["PER", "ORG"]]}, "HIRES": {"types": [["ORG", "PER"]]}},
    )
    new = LabelSchema(("PER", "GPE"), ("OWNS", "VISITS"), constraints={"OWNS": {"types": [["PER", "GPE"]]}})
    merged = merged_schema(old, new)
    assert merged.permits("OWNS", "PER", "GPE")
    assert not merged.permits("OWNS", "PER", "ORG")
    assert not merged.permits("HIRES", "PER", "PER")
    assert merged.permits("VISITS", "GPE", "GPE")


def test_a_model_goes_on_with_new_constraints(make_tiny_model: Any, minilm_tokenizer: Any, tmp_path: Path) -> None:
    model = make_tiny_model(PLMarkerForRelationExtraction, max_seq_length=64)
    model.save_pretrained(tmp_path)
    schema = LabelSchema(("PER",), ("OWNS",), constraints={"OWNS": {"types": [["PER", "PER"]]}})
    found = PLMarkerForRelationExtraction.from_encoder(str(tmp_path), schema)
    assert found.config.constraints == {"OWNS": {"types": [["PER", "PER"]]}}
    # The hash is that of the tokenizer with the markers of the new model, when it is saved.
    assert found.config.tokenizer_hash is None


def test_kept_constraints_are_named_and_compared_with_the_new_data(
    still_encoder: str, tmp_path: Path, caplog: Any
) -> None:
    constraints = {label: {"types": [["PER", "ORG"]]} for label in ("OWNS", "HIRES")}
    old = LabelSchema(("PER", "ORG"), ("OWNS", "HIRES"), constraints=constraints)
    trained("relation", still_encoder, old, tmp_path / "first")
    raw = {
        "doc_key": "n",
        "sentences": [["Ann", "bought", "Oslo"]],
        "ner": [[[0, 0, "PER"], [2, 2, "GPE"]]],
        "relations": [[[0, 0, 2, 2, "OWNS"]]],
    }
    write_documents(tmp_path / "train.jsonl", dataset_of([typed_document(raw)]))
    values = {
        "encoder": str(tmp_path / "first"),
        "dataset": str(tmp_path / "train.jsonl"),
        "output_dir": str(tmp_path / "second"),
        "constraints": {"HIRES": {"types": [["PER", "PER"]]}},
        "relation_labels": ["OWNS", "HIRES"],
        "relation": {"training": {"max_steps": 1, "use_cpu": True, "disable_tqdm": True}},
    }
    (tmp_path / "more.yaml").write_text(yaml.safe_dump(values))
    with caplog.at_level("INFO", logger="plmarker"):
        run_experiment(load_experiment(tmp_path / "more.yaml"))
    assert "its constraints on OWNS kept, since the new labels have none on them" in caplog.text
    expected = (
        "train: 1 of 1 annotated relations are excluded by the constraints\n  OWNS types PER -> GPE: 1 (Ann - Oslo"
    )
    assert expected in caplog.text
    model = PLMarkerForRelationExtraction.from_pretrained(tmp_path / "second")
    assert model.config.constraints == {"OWNS": constraints["OWNS"], **values["constraints"]}


def silence(model: Any, known: LabelSchema) -> None:
    """Give classes that are new a logit that never wins."""
    for name, parameter in model.named_parameters():
        module, _, kind = name.rpartition(".")
        part = getattr(model, module.partition(".")[0], None) if isinstance(model, PLMarkerModel) else model
        head = module.rpartition(".")[2]
        if kind != "bias" or (head not in ("classifier", "object_classifier") and not module.endswith("scorer.output")):
            continue
        names = {*known.entity_classes, *known.relation_classes, "O"}
        names |= {f"{tag}-{label}" for tag in "BI" for label in known.entity_labels}
        with torch.no_grad():
            parameter[[row for row, label in enumerate(part.config.classes) if label not in names]] = -1e4
            typed = getattr(part, "entity_classifier", None)
            if typed is not None:
                typed.bias[len(known.entity_classes) :] = -1e4


def answers(model: Any, documents: Dataset) -> list[Any]:
    """What a model finds, by names, without scores: another number of classes changes those."""
    for config in parts(model.config):
        config.temperature, config.thresholds = 1.0, {}
    found = []
    for _, *read in model.eval().predict([dict(document) for document in documents]):
        relations = read[-1]
        spans = read[0] if len(read) == 2 else []
        schema = model.config.schema
        named = [
            [(r.head, r.tail, schema.relation_classes[r.label]) for r in sorted(rows, key=lambda r: (r.head, r.tail))]
            for rows in relations
        ]
        found.append((named, [[(s.start, s.end, schema.entity_classes[s.label]) for s in rows] for rows in spans]))
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_model_knows_stays_and_labels_are_added_behind(
    kind: str, still_encoder: str, schema: LabelSchema, documents: Dataset, tmp_path: Path, caplog: Any
) -> None:
    model_class = KINDS[kind][0]
    before = trained(kind, still_encoder, schema, tmp_path)
    expected = answers(before, documents)
    assert sum(len(rows) for found in expected for part in found for rows in part) > 4
    shared = {"shared_encoder": True} if kind == "shared" else {}
    with caplog.at_level("INFO", logger="plmarker"):
        model = model_class.from_encoder(str(tmp_path), NEW, **shared)
    assert model.config.schema == LabelSchema(
        ("PER", "ORG", "GPE"), ("MARRIED", "WORKS_FOR", "OWNS", "ALLY", "VISITS"), ("MARRIED", "ALLY")
    )
    for config, earlier in zip(parts(model.config), parts(before.config), strict=True):
        assert (config.temperature, config.thresholds) == (1.0, {})
        assert config.max_seq_length == 64
        assert config.marker_tokens[: len(earlier.marker_tokens)] == earlier.marker_tokens or kind != "entity"
    assert "GPE added" in caplog.text
    assert "ORG not in the new data" in caplog.text
    assert "temperature and thresholds dropped" in caplog.text
    silence(model, schema)
    assert answers(model, documents) == expected
    model.save_pretrained(tmp_path / "again")
    assert answers(type(model).from_pretrained(tmp_path / "again"), documents) == expected
    again = model_class.from_encoder(str(tmp_path / "again"), schema, **shared)
    assert answers(again, documents) == expected


def test_one_part_of_a_combined_model_goes_on_alone(
    still_encoder: str, schema: LabelSchema, documents: Dataset, tmp_path: Path
) -> None:
    before = trained("shared", still_encoder, schema, tmp_path)
    entity = PLMarkerForEntityRecognition.from_encoder(str(tmp_path), schema)
    assert answers(entity, documents) == answers(before.entity, documents)
    relation = PLMarkerForRelationExtraction.from_encoder(str(tmp_path), schema)
    assert answers(relation, documents) == answers(before.relation, documents)


def test_a_pruner_and_longer_spans_may_be_new(still_encoder: str, schema: LabelSchema, tmp_path: Path) -> None:
    before = trained("entity", still_encoder, schema, tmp_path / "pruned")
    wider = PLMarkerForEntityRecognition.from_encoder(str(tmp_path / "pruned"), schema, max_span_length=5)
    assert torch.equal(wider.pruner.width.weight[:6], before.pruner.width.weight)
    assert torch.equal(wider.pruner.width.weight[9], before.pruner.width.weight[5])
    trained("tagging", still_encoder, schema, tmp_path / "tags")
    before = PLMarkerForEntityRecognition.from_encoder(still_encoder, schema, max_seq_length=64)
    before.save_pretrained(tmp_path / "plain")
    model = PLMarkerForEntityRecognition.from_encoder(str(tmp_path / "plain"), schema, pruner_size=4)
    assert model.pruner is not None
    assert torch.equal(model.classifier.weight, before.classifier.weight)


@pytest.mark.parametrize(
    ("kind", "model_class", "options", "message"),
    [
        ("tagging", PLMarkerForEntityRecognition, {"method": "marker"}, "method is 'bio' in the model"),
        ("tagging", PLMarkerForRelationExtraction, {}, "no relation model to continue from"),
        ("relation", PLMarkerForEntityRecognition, {}, "no entity model to continue from"),
        ("relation", PLMarkerModel, {}, "no entity model and relation model in one"),
        ("shared", PLMarkerModel, {}, "one shared encoder, which cannot become one of two"),
        ("combined", PLMarkerModel, {"shared_encoder": True}, "two encoders, which cannot become one of a shared one"),
        ("relation", PLMarkerForRelationExtraction, {"schema": LabelSchema((), ("OWNS",), ("OWNS",))}, "a direction"),
        ("entity", PLMarkerForEntityRecognition, {"max_seq_length": 500}, "max_seq_length"),
    ],
)
def test_what_cannot_go_on_is_an_error(
    kind: str,
    model_class: Any,
    options: dict[str, Any],
    message: str,
    still_encoder: str,
    schema: LabelSchema,
    tmp_path: Path,
) -> None:
    trained(kind, still_encoder, schema, tmp_path)
    with pytest.raises(PLMarkerError, match=message):
        model_class.from_encoder(str(tmp_path), **{"schema": NEW, **options})


def test_an_adapter_is_refused(still_encoder: str, schema: LabelSchema, tmp_path: Path) -> None:
    trained("tagging", still_encoder, schema, tmp_path)
    (tmp_path / "adapter_config.json").write_text('{"base_model_name_or_path": "owner/other", "peft_type": "LORA"}')
    with pytest.raises(PLMarkerError, match="an adapter"):
        PLMarkerForEntityRecognition.from_encoder(str(tmp_path), schema)


def test_a_file_names_the_model_to_continue_from(
    still_encoder: str, schema: LabelSchema, tmp_path: Path, caplog: Any
) -> None:
    trained("tagging", still_encoder, schema, tmp_path / "first")
    raw = {"doc_key": "n", "sentences": [["Ann", "visits", "Oslo"]], "ner": [[[0, 0, "PER"], [2, 2, "GPE"]]]}
    write_documents(tmp_path / "train.jsonl", dataset_of([typed_document(raw)]))
    values = {
        "encoder": str(tmp_path / "first"),
        "dataset": str(tmp_path / "train.jsonl"),
        "output_dir": str(tmp_path / "second"),
        "entity": {"training": {"max_steps": 1, "use_cpu": True, "disable_tqdm": True}},
    }
    path = tmp_path / "more.yaml"
    path.write_text(yaml.safe_dump(values))
    with caplog.at_level("INFO", logger="plmarker"):
        run_experiment(load_experiment(path))
    expected = "first, a plmarker-ner model: entity labels: 2 kept (ORG not in the new data), GPE added"
    assert expected in caplog.text
    model = PLMarkerForEntityRecognition.from_pretrained(tmp_path / "second")
    assert model.config.entity_labels == ["PER", "ORG", "GPE"]
    assert model.config.method == "bio"
    with pytest.raises(PLMarkerError, match="would be overwritten"):
        run_experiment(load_experiment(path, {"output_dir": values["encoder"]}))
    path.write_text(yaml.safe_dump({**values, "entity": {"model": {"method": "marker"}}}))
    with pytest.raises(PLMarkerError, match=r"entity\.model: method is 'bio'"):
        run_experiment(load_experiment(path), overwrite=True)
