"""Training entities and relations together."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from datasets import Dataset
from transformers import TrainingArguments

from plmarker import LabelSchema, PLMarkerError, PLMarkerModel, PLMarkerTrainer
from plmarker.data.documents import write_documents
from plmarker.trainers import evaluate_documents
from plmarker.trainers.examples import TrainingExamples
from plmarker.trainers.experiment import load_experiment
from plmarker.trainers.findings import scores_of
from plmarker.trainers.training import run_experiment


def new_model(encoder: str, schema: LabelSchema, **entity: Any) -> PLMarkerModel:
    return PLMarkerModel.from_encoder(
        encoder, schema, shared_encoder=True, max_seq_length=32, entity={"max_span_length": 2, **entity}
    )


def arguments(folder: Path, **values: Any) -> TrainingArguments:
    given = {"per_device_train_batch_size": 6, "learning_rate": 1e-2, "save_strategy": "no", "use_cpu": True}
    return TrainingArguments(str(folder), report_to="none", disable_tqdm=True, **{**given, **values})


def test_entities_and_relations_are_learnt_together(
    still_encoder: str, documents: Dataset, schema: LabelSchema, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    model = new_model(still_encoder, schema, pruner_size=8)
    args = arguments(
        tmp_path, num_train_epochs=14, eval_strategy="epoch", save_strategy="epoch", load_best_model_at_end=True
    )
    trainer = PLMarkerTrainer(
        model, args, train_dataset=documents, eval_dataset=documents, processing_class=model.tokenizer
    )
    assert trainer.args.metric_for_best_model == "rel_strict_f1"
    trainer.train()
    figures = trainer.evaluate()
    assert figures["eval_ent_f1"] > 0.9
    assert figures["eval_rel_strict_f1"] > 0.9
    assert figures["eval_rel_gold_entities"] == 0.0
    # The Trainer and the models read alone give the same figures.
    evaluation = evaluate_documents(documents, model.tokenizer, model.entity, model.relation)
    expected = evaluation.metrics
    for name in ("ent", "rel", "gold_rel"):
        assert scores_of(evaluation.findings[name])["by_least_score"][0][1:] == pytest.approx(
            [expected[f"{name}_{part}"] for part in ("precision", "recall", "f1")]
        )
    for name in ("ent_f1", "rel_f1", "rel_strict_f1"):
        assert figures[f"eval_{name}"] == pytest.approx(expected[name])
    assert model.entity.config.pruner_threshold > 0
    assert model.config.training_run["metrics"]["rel_strict_f1"] == figures["eval_rel_strict_f1"]
    trainer.save_model(tmp_path / "model")
    loaded = PLMarkerModel.from_pretrained(tmp_path / "model")
    words = documents[0]["sentences"]
    assert loaded.extract(words=words) == model.extract(words=words)
    assert len(loaded.extract(words=words).relations) == 2
    logits = trainer.predict(documents).predictions[0]
    assert logits.shape[1] == 3


@pytest.mark.parametrize("nil_weight", [1.0, 0.3])
def test_accumulated_batches_give_one_gradient(
    nil_weight: float, still_encoder: str, documents: Dataset, schema: LabelSchema, tmp_path: Path
) -> None:
    norms = []
    for size, steps in ((4, 1), (2, 2), (1, 4)):
        torch.manual_seed(0)
        model = new_model(still_encoder, schema, nil_weight=nil_weight)
        trainer = PLMarkerTrainer(
            model,
            arguments(
                tmp_path,
                max_steps=1,
                per_device_train_batch_size=size,
                gradient_accumulation_steps=steps,
                logging_steps=1,
                train_sampling_strategy="sequential",
            ),
            train_dataset=documents.select(range(2)),
            processing_class=model.tokenizer,
        )
        trainer.train()
        norms.append(trainer.state.log_history[0]["grad_norm"])
    assert norms[0] == pytest.approx(norms[1], rel=1e-4) == pytest.approx(norms[2], rel=1e-4)


def test_an_example_is_a_window_with_its_spans_and_pairs(
    still_encoder: str, documents: Dataset, schema: LabelSchema, tmp_path: Path
) -> None:
    model = new_model(still_encoder, schema)
    trainer = PLMarkerTrainer(
        model, arguments(tmp_path), train_dataset=documents, processing_class=model.tokenizer, batch_tokens=200
    )
    assert isinstance(trainer.train_dataset, TrainingExamples)
    assert len(trainer.train_dataset) == len(trainer.train_dataset.rows)
    batch = next(iter(trainer.get_train_dataloader()))
    assert batch["labels"].shape == batch["marker_ids"].shape[:1]
    assert batch["pair_labels"].shape == batch["pair_index"].shape[:1]
    assert set(batch["pair_labels"].tolist()) >= {schema.relation_class("WORKS_FOR")}


def experiment_file(folder: Path, encoder: str, dataset: str, **changes: Any) -> Path:
    values = {
        "encoder": encoder,
        "dataset": dataset,
        "output_dir": str(folder / "run"),
        "symmetric_labels": ["MARRIED"],
        "shared_encoder": True,
        "entity": {"model": {"max_seq_length": 32, "max_span_length": 2}},
        "relation": {},
        "training": {"max_steps": 2, "use_cpu": True, "disable_tqdm": True, "eval_strategy": "no"},
        **changes,
    }
    path = folder / "shared.yaml"
    path.write_text(yaml.safe_dump({key: value for key, value in values.items() if value is not None}))
    return path


def test_a_file_with_a_shared_encoder_trains_one_model(still_encoder: str, documents: Dataset, tmp_path: Path) -> None:
    folder = tmp_path / "corpus"
    folder.mkdir()
    for split in ("train", "test"):
        write_documents(folder / f"{split}.jsonl", documents)
    experiment = load_experiment(
        experiment_file(tmp_path, still_encoder, str(folder), pair_weight=2.0, pair_dropout=0.25),
        {"learning_rate": 1e-3, "seed": 3},
    )
    assert list(experiment.tasks) == ["shared"]
    assert experiment.training["learning_rate"] == 1e-3
    metrics = run_experiment(experiment)
    assert metrics is not None
    assert {"ent_f1", "rel_strict_f1", "gold_rel_f1"} <= metrics.keys()
    model = PLMarkerModel.from_pretrained(experiment.output_dir)
    assert model.relation.encoder is model.entity.encoder
    assert (model.config.pair_weight, model.config.pair_dropout) == (2.0, 0.25)
    assert model.config.entity_config.max_seq_length == model.config.relation_config.max_seq_length == 32
    assert run_experiment(experiment, resume=True) == metrics
    with pytest.raises(PLMarkerError, match="--resume"):
        run_experiment(experiment)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"relation": None}, "both 'entity' and 'relation'"),
        ({"entity": {"training": {"max_steps": 1}}}, "entity.training"),
        ({"shared_encoder": None}, "'training' at the top"),
        ({"shared_encoder": None, "training": None, "pair_dropout": 0.5}, "'pair_dropout' needs 'shared_encoder"),
        ({"pair_weight": 0}, "'pair_weight' should be greater than 0"),
        ({"shared_encoder": "yes please"}, "'shared_encoder' should be a valid boolean"),
        ({"training": {"max_step": 1}}, "'training.max_step'"),
    ],
)
def test_what_is_wrong_beside_a_shared_encoder_is_named(changes: Any, expected: str, tmp_path: Path) -> None:
    with pytest.raises(PLMarkerError) as error:
        load_experiment(experiment_file(tmp_path, "minilm", "sample", **changes))
    assert expected in str(error.value)


def test_windows_that_cannot_be_shared_are_found_before_training(
    still_encoder: str, documents: Dataset, tmp_path: Path
) -> None:
    write_documents(tmp_path / "train.jsonl", documents)
    relation = {"model": {"max_seq_length": 64}}
    file = experiment_file(tmp_path, still_encoder, str(tmp_path / "train.jsonl"), relation=relation)
    with pytest.raises(PLMarkerError, match="max_seq_length"):
        run_experiment(load_experiment(file))
