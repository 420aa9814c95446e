"""Running an experiment: train the models, keep the best, combine them, and report their figures."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from datasets import Dataset, DatasetDict
from transformers import PreTrainedTokenizerBase, TrainingArguments, set_seed
from transformers.trainer_utils import get_last_checkpoint

from ..data.loading import load_documents
from ..modeling.encoders_plmarker import load_tokenizer
from ..modeling.modeling_plmarker import (
    PLMarkerForEntityRecognition,
    PLMarkerForRelationExtraction,
    PLMarkerModel,
    PLMarkerPreTrainedModel,
)
from ..modeling.schema_plmarker import LabelSchema, PLMarkerError
from .evaluation import evaluate_documents
from .experiment import Experiment, Task
from .metrics import Metrics
from .trainer import PLMarkerTrainer

MODEL_CLASSES: dict[str, type[PLMarkerPreTrainedModel]] = {
    "entity": PLMarkerForEntityRecognition,
    "relation": PLMarkerForRelationExtraction,
}


def run_experiment(experiment: Experiment, resume: bool = False) -> Metrics:
    """Train what the experiment says, and save the model at its `output_dir`.

    With both tasks the saved model is the combined one; checkpoints lie in a folder for each task. The best epoch on
    `validation`, where there is one, is kept.

    Args:
        resume: continue from the last checkpoints; without it they are removed first.

    Returns:
        Figures on `test`, as `evaluate_documents` gives them, also written to `metrics.json`; empty without `test`.
    """
    output_dir = Path(experiment.output_dir)
    data = load_documents(experiment.dataset)
    schema = experiment_schema(experiment, data)
    if experiment.entity_labels is not None:
        # Labels were given, not collected: a document with another one is told by file and line.
        data = load_documents(experiment.dataset, schema)
    tokenizer = load_tokenizer(experiment.encoder)
    models = {
        name: _train(experiment, name, task, data, schema, tokenizer, resume) for name, task in experiment.tasks.items()
    }
    entity, relation = models.get("entity"), models.get("relation")
    if isinstance(entity, PLMarkerForEntityRecognition) and isinstance(relation, PLMarkerForRelationExtraction):
        PLMarkerModel.from_models(entity, relation, tokenizer).save_pretrained(output_dir)
    else:
        for model in models.values():
            model.save_pretrained(output_dir)
        tokenizer.save_pretrained(output_dir)
    if "test" not in data:
        return {}
    metrics = evaluate_documents(data["test"], tokenizer, entity, relation)  # type: ignore[arg-type]
    write_json(output_dir / "metrics.json", metrics)
    return metrics


def experiment_schema(experiment: Experiment, data: DatasetDict) -> LabelSchema:
    """The labels that the experiment gives, or else those that occur in its data."""
    collected = LabelSchema.from_documents(document for split in data.values() for document in split)
    return LabelSchema(
        experiment.entity_labels or collected.entity_labels,
        experiment.relation_labels or collected.relation_labels,
        experiment.symmetric_labels,
    )


def _train(
    experiment: Experiment,
    name: str,
    task: Task,
    data: Mapping[str, Dataset],
    schema: LabelSchema,
    tokenizer: PreTrainedTokenizerBase,
    resume: bool,
) -> PLMarkerPreTrainedModel:
    if "train" not in data:
        raise PLMarkerError(f"{experiment.dataset}: no split 'train', only {', '.join(map(repr, data))}")
    if name == "relation" and not schema.relation_labels:
        raise PLMarkerError(f"{experiment.dataset}: no relations, nothing to train a relation model on")
    folder = Path(experiment.output_dir) / name
    checkpoint = get_last_checkpoint(str(folder)) if resume and folder.is_dir() else None
    if not resume:
        shutil.rmtree(folder, ignore_errors=True)
    validation = data.get("validation")
    selection: dict[str, Any] = {}
    if validation is not None:
        selection = {"eval_strategy": "epoch", "save_strategy": "epoch", "load_best_model_at_end": True}
    values = {"report_to": "none", "save_total_limit": 1, **selection, **task.training}
    set_seed(experiment.seed)
    model = MODEL_CLASSES[name].from_encoder(experiment.encoder, schema, tokenizer=tokenizer, **task.model)
    trainer = PLMarkerTrainer(
        model,
        TrainingArguments(output_dir=str(folder), seed=experiment.seed, **values),
        train_dataset=data["train"],
        eval_dataset=validation,
        processing_class=tokenizer,
    )
    trainer.train(resume_from_checkpoint=checkpoint)
    return model


def write_json(path: str | Path, values: Any) -> None:
    """Write JSON. The file appears whole or not at all."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    partial.write_text(json.dumps(values, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    partial.replace(path)
