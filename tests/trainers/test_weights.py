"""Weights of documents: twice the weight is the document twice, and no weight changes nothing."""

from pathlib import Path
from typing import Any

import pytest
import torch
from datasets import Dataset
from datasets.fingerprint import Hasher
from transformers import TrainingArguments, set_seed

from plmarker import (
    EntityFeatures,
    LabelSchema,
    PLMarkerError,
    PLMarkerForEntityRecognition,
    PLMarkerForRelationExtraction,
    PLMarkerModel,
    PLMarkerTrainer,
)
from plmarker.data import dataset_of
from plmarker.data.features import DocumentRows
from plmarker.trainers.examples import TrainingExamples

KINDS: dict[str, tuple[Any, dict[str, Any]]] = {
    "entity": (PLMarkerForEntityRecognition, {"nil_weight": 0.3, "pruner_size": 8, "max_span_length": 2}),
    "tagging": (PLMarkerForEntityRecognition, {"method": "bio"}),
    "relation": (PLMarkerForRelationExtraction, {"nil_weight": 0.3}),
    "shared": (
        PLMarkerModel,
        {"shared_encoder": True, "entity": {"nil_weight": 0.3, "max_span_length": 2}, "pair_weight": 2.0},
    ),
}


def weighted(documents: Dataset, weights: list[float | None], copies: int = 0) -> Dataset:
    """The first documents with weights. `copies` of the first one have other names."""
    found = [dict(document) for document in documents.select(range(len(weights)))]
    found += [{**found[0], "doc_key": f"copy-{number}"} for number in range(copies)]
    return dataset_of([{**d, "weight": w} for d, w in zip(found, [*weights, *[None] * copies], strict=True)])


def trained(
    kind: str, encoder: str, schema: LabelSchema, data: Dataset, folder: Path, **values: Any
) -> tuple[list[float], dict[str, torch.Tensor]]:
    """The losses of the steps, and the weights after them."""
    model_class, options = KINDS[kind]
    set_seed(7)
    model = model_class.from_encoder(encoder, schema, max_seq_length=64, **options)
    arguments = {
        "per_device_train_batch_size": 1000,
        "learning_rate": 0.1,
        "optim": "sgd",
        "max_steps": 1,
        "logging_steps": 1,
        "save_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
        "train_sampling_strategy": "sequential",
        **values,
    }
    trainer = PLMarkerTrainer(model, TrainingArguments(str(folder), **arguments), data, None, model.tokenizer)
    trainer.train()
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    return losses, model.state_dict()


def assert_same(found: Any, expected: Any) -> None:
    assert found[0] == pytest.approx(expected[0], rel=1e-4)
    for name, tensor in found[1].items():
        torch.testing.assert_close(tensor, expected[1][name], atol=1e-6, rtol=1e-4, msg=name)


@pytest.mark.parametrize("kind", KINDS)
def test_weight_2_is_the_document_twice_and_weight_0_is_without_it(
    kind: str, still_encoder: str, schema: LabelSchema, documents: Dataset, tmp_path: Path
) -> None:
    by_weight = weighted(documents, [2.0, None, 0.0])
    twice = trained(kind, still_encoder, schema, weighted(documents, [None, 1.0], copies=1), tmp_path)
    assert_same(trained(kind, still_encoder, schema, by_weight, tmp_path), twice)
    accumulated = {"per_device_train_batch_size": 1, "gradient_accumulation_steps": 100}
    assert_same(trained(kind, still_encoder, schema, by_weight, tmp_path, **accumulated), twice)


def test_a_weight_counts_in_a_step_of_its_own_and_only_beside_other_weights(
    still_encoder: str, schema: LabelSchema, documents: Dataset, tmp_path: Path
) -> None:
    # These documents have as many tags each. In a step alone, a mean over the step would take the weight away.
    options = {"per_device_train_batch_size": 2, "learning_rate": 0.0, "max_steps": 2}
    plain, _ = trained("tagging", still_encoder, schema, documents.select(range(2)), tmp_path, **options)
    uneven, _ = trained("tagging", still_encoder, schema, weighted(documents, [0.5, 1.5]), tmp_path, **options)
    assert uneven == pytest.approx([0.5 * plain[0], 1.5 * plain[1]], rel=1e-4)
    thrice, _ = trained("tagging", still_encoder, schema, weighted(documents, [3.0, 3.0]), tmp_path, **options)
    assert thrice == pytest.approx(plain, rel=1e-4)


def test_weights_that_mean_nothing_are_errors(
    still_encoder: str, schema: LabelSchema, documents: Dataset, tmp_path: Path
) -> None:
    for weights, message in (([0.0, 0.0], "all documents"), ([1.0, -1.0], "'d1' has the weight -1.0")):
        with pytest.raises(PLMarkerError, match=message):
            trained("tagging", still_encoder, schema, weighted(documents, weights), tmp_path)


def test_rows_of_documents_without_weights_and_their_fingerprints_are_as_ever(
    minilm_tokenizer: Any, schema: LabelSchema, documents: Dataset
) -> None:
    function = EntityFeatures(minilm_tokenizer, schema)
    assert vars(function).keys() == {"config", "tokenizer", "training", "seed", "version", "_tokenize"}
    before = Hasher.hash(function)
    rows = documents.map(function, batched=True, remove_columns=documents.column_names)
    assert set(rows.column_names) == set(function.types) == set(function.types_for(documents.column_names))
    assert Hasher.hash(function) == before
    assert TrainingExamples(rows, function.config)[0].weight is None
    data = weighted(documents, [None, 2.0])
    rows = data.map(function, batched=True, remove_columns=data.column_names)
    assert list(rows["weight"]) == [1.0, 2.0]
    assert isinstance(function, DocumentRows)
    assert TrainingExamples(rows, function.config)[-1].weight == 2.0
