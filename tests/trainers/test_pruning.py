"""The pruner is trained with its model, its threshold is chosen on validation, and its price is reported."""

import logging
from pathlib import Path
from typing import Any

import pytest
import torch
from datasets import Dataset
from transformers import AutoModel, TrainingArguments

from plmarker import LabelSchema, PLMarkerError, PLMarkerForEntityRecognition, PLMarkerModel, PLMarkerTrainer
from plmarker.modeling.windows_plmarker import WordTokenizer
from plmarker.trainers import evaluate_documents, measure_pruner, tune_pruner
from plmarker.trainers.examples import EvaluationDocuments
from plmarker.trainers.report import pruner_line


def trainer_for(encoder: str, documents: Dataset, folder: Path, steps: int = 60, **values: Any) -> PLMarkerTrainer:
    torch.manual_seed(0)
    schema = LabelSchema.from_documents(documents, ["MARRIED"])
    model = PLMarkerForEntityRecognition.from_encoder(
        encoder, schema, max_seq_length=64, max_span_length=4, pruner_size=16, **values
    )
    arguments = TrainingArguments(
        str(folder), max_steps=steps, learning_rate=3e-3, save_strategy="no", report_to="none", disable_tqdm=True,
        use_cpu=True, per_device_train_batch_size=8,
    )  # fmt: skip
    return PLMarkerTrainer(model, arguments, documents, documents, processing_class=model.tokenizer)


@pytest.fixture(scope="module")
def trained(still_encoder: str, documents: Dataset, tmp_path_factory: pytest.TempPathFactory) -> PLMarkerTrainer:
    trainer = trainer_for(still_encoder, documents, tmp_path_factory.mktemp("run"))
    trainer.train()
    return trainer


def test_training_chooses_a_threshold_that_keeps_the_f1(trained, documents):
    threshold = trained.model.config.pruner_threshold
    assert threshold > 0
    (figures,) = measure_pruner(trained.model, documents, [threshold])
    assert figures.unpruned_f1 > 0.9
    assert figures.f1 >= 0.997 * figures.unpruned_f1
    n_sentences = sum(bool(words) for document in documents for words in document["sentences"])
    candidates = sum(
        len(row.labels)
        for document in documents
        for row in trained.model.task.rows(document, WordTokenizer(trained.model.tokenizer))
    )
    assert figures.spans < 0.5 * candidates / n_sentences


def test_evaluation_reports_what_is_kept_and_what_it_costs(trained, documents):
    model = trained.model
    found = evaluate_documents(documents, model.tokenizer, model, unpruned=True).metrics
    (figures,) = measure_pruner(model, documents, [model.config.pruner_threshold])
    assert found["ent_f1"] == pytest.approx(figures.f1)
    assert found["pruner_recall"] == pytest.approx(figures.recall)
    assert found["pruner_spans"] == pytest.approx(figures.spans)
    assert found["unpruned_ent_f1"] == pytest.approx(figures.unpruned_f1)
    assert f"{figures.spans:.1f} spans a sentence" in pruner_line(found)
    assert pruner_line({"ent_f1": 1.0}) == ""
    assert trained.evaluate()["eval_pruner_recall"] == pytest.approx(figures.recall)


def test_the_threshold_is_saved_and_can_be_changed_at_the_call(trained, tmp_path):
    trained.model.save_pretrained(tmp_path)
    model = AutoModel.from_pretrained(tmp_path)
    assert model.config.pruner_threshold == trained.model.config.pruner_threshold
    text = "Ann works for Acme."
    assert {entity.text for entity in model.extract(text).entities} >= {"Ann", "Acme"}
    assert {entity.text for entity in model.extract(text, pruner_threshold=0.0).entities} >= {"Ann", "Acme"}
    assert model.extract(text, pruner_threshold=0.999999).entities == []
    with pytest.raises(PLMarkerError, match="from 0 to below 1"):
        model.extract(text, pruner_threshold=1.5)


def test_a_named_recall_is_reached_by_the_highest_threshold(trained, documents):
    rows = EvaluationDocuments(trained.eval_dataset, trained.task_config)
    before = trained.model.config.pruner_threshold
    try:
        figures = tune_pruner(trained.model, rows, recall=1.0)
        assert figures.recall == 1.0
        assert tune_pruner(trained.model, documents, recall=1.0) == figures
        lower = tune_pruner(trained.model, documents, recall=0.3)
        assert lower.threshold >= figures.threshold
        assert lower.spans <= figures.spans
    finally:
        trained.model.config.pruner_threshold = before


@pytest.mark.parametrize(
    ("shares", "message"), [({"keep_f1": 0.9, "recall": 0.9}, "not both"), ({"recall": 1.5}, "above 0 and at most 1")]
)
def test_impossible_shares_are_refused(trained, documents, shares, message):
    with pytest.raises(PLMarkerError, match=message):
        tune_pruner(trained.model, documents, **shares)


def test_models_without_a_pruner_and_empty_corpora_are_refused(trained, documents, make_tiny_model):
    model = make_tiny_model(PLMarkerForEntityRecognition)
    with pytest.raises(PLMarkerError, match="no pruner"):
        tune_pruner(model, documents)
    with pytest.raises(PLMarkerError, match="pruner_size"):
        model.extract("Ann works.", pruner_threshold=0.5)
    with pytest.raises(PLMarkerError, match="no sentence"):
        tune_pruner(trained.model, [])
    combined = PLMarkerModel.from_models(trained.model, None, trained.model.tokenizer)
    with pytest.raises(PLMarkerError, match=r"model\.entity"):
        tune_pruner(combined, documents)


def test_without_an_evaluation_set_no_span_is_pruned(still_encoder, documents, tmp_path, caplog):
    trainer = trainer_for(still_encoder, documents, tmp_path, steps=2)
    trainer.eval_dataset = None
    with caplog.at_level(logging.WARNING):
        trainer.train()
    assert trainer.model.config.pruner_threshold == 0.0
    assert "tune_pruner" in caplog.text


def test_late_markers_learn_too(still_encoder, documents, tmp_path):
    trainer = trainer_for(still_encoder, documents, tmp_path, late_layers=1)
    trainer.train()
    assert trainer.evaluate()["eval_ent_f1"] > 0.9
