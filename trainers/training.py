"""Running an experiment: train the models, keep the best checkpoints, join the models, and report their figures."""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from traceback import walk_tb
from typing import Any

import torch
from accelerate import PartialState
from datasets import DatasetDict, concatenate_datasets
from transformers import AutoConfig, PreTrainedTokenizerBase, TrainerCallback, TrainingArguments, set_seed
from transformers.trainer_callback import PrinterCallback, ProgressCallback
from transformers.trainer_utils import IntervalStrategy, SaveStrategy

from ..data.excluded import ExcludedGold
from ..data.files import sole_writer, write_json
from ..data.loading import SAMPLE, dataset_revision, load_documents
from ..encoders.continuing import (
    MODEL_TYPES,
    check_shared,
    config_for,
    continued_values,
    merged_schema,
    shared_windows_of,
)
from ..encoders.loading import load_encoder_config, load_tokenizer, resolve_encoder
from ..encoders.starting import build_config, shared_config, shared_options
from ..hub.adapters import add_lora, check_lora
from ..hub.card import FIGURES, save_card
from ..hub.loading import EXPERIMENT_FILE
from ..modeling.base_plmarker import PLMarkerBaseModel, to_device
from ..modeling.modeling_plmarker import (
    PLMarkerForEntityRecognition,
    PLMarkerForRelationExtraction,
    PLMarkerModel,
)
from ..modeling.schema_plmarker import LabelSchema, PLMarkerError, one_line
from ..modeling.tasks_plmarker import task_of
from .checks import check_arguments, refuse_fields
from .evaluation import evaluate_documents
from .experiment import LEARNED, TRAINER_FIELDS, Experiment, Task
from .metrics import Metrics
from .resuming import (
    FINISHED_FILE,
    METRICS_FILE,
    check_same,
    identity,
    last_checkpoint,
    refuse_earlier_run,
    remove_earlier_run,
)
from .trainer import PLMarkerTrainer

logger = logging.getLogger(__name__)

ADAPTER_FOLDER = "adapter"
# The functions of transformers that read the files of a checkpoint.
READ_CHECKPOINTS = {"_load_from_checkpoint", "_load_optimizer_and_scheduler", "_load_rng_state", "load_from_json"}
# The training arguments that a model's card shows.
SHOWN_ARGUMENTS = (
    "num_train_epochs",
    "max_steps",
    "learning_rate",
    "per_device_train_batch_size",
    "batch_tokens",
    "warmup_steps",
    "weight_decay",
)

MODEL_CLASSES: dict[str, type[PLMarkerBaseModel]] = {
    "entity": PLMarkerForEntityRecognition,
    "relation": PLMarkerForRelationExtraction,
    "shared": PLMarkerModel,
}


def run_experiment(
    experiment: Experiment,
    resume: bool = False,
    overwrite: bool = False,
    fold: str | None = None,
    progress: TrainerCallback | None = None,
) -> Metrics | None:
    """Train the models of an experiment, and save the model at its `output_dir`.

    Two models are saved as one combined model. Each model has a folder for its checkpoints. The best epoch on
    `validation`, where there is one, is kept.

    Args:
        experiment: the experiment.
        resume: continue from the last checkpoints. A finished model is not trained again. The documents are read, and
            must be those of the earlier run.
        overwrite: first remove the files of an earlier run.
        fold: the fold to train and evaluate on.
        progress: shows the progress of each training, in place of the callback of transformers that prints its logs.

    Returns:
        Figures on `test`, as `evaluate_documents` gives them, also written to `metrics.json`; empty without `test`.
        Only the main process saves and evaluates; other processes get None.

    Raises:
        PLMarkerError: for bad data or arguments, for an earlier run in this folder without `resume` or `overwrite`, and
            for an earlier run of another experiment with `resume`.

    Example:
        >>> run_experiment(load_experiment("demo"), overwrite=True)["rel_strict_f1"]  # doctest: +SKIP
    """
    # Processes that torchrun starts beside the first one write nothing here. accelerate's state does not know them yet:
    # TrainingArguments sets it up.
    is_first = os.environ.get("RANK", "0") == "0"
    with sole_writer(experiment.output_dir) if is_first else nullcontext():
        return _run(experiment, resume, overwrite, fold, progress)


def _run(
    experiment: Experiment, resume: bool, overwrite: bool, fold: str | None, progress: TrainerCallback | None
) -> Metrics | None:
    output_dir = Path(experiment.output_dir)
    if Path(resolve_encoder(experiment.encoder)).resolve() == output_dir.resolve():
        raise PLMarkerError(f"{output_dir}: the model to continue from would be overwritten; choose another output_dir")
    if resume and overwrite:
        raise PLMarkerError("a run is continued (resume) or replaced (overwrite), not both")
    source = Path(experiment.dataset, fold or "")
    if experiment.dataset != SAMPLE and source.exists() and source.resolve() == output_dir.resolve():
        raise PLMarkerError(f"{output_dir}: the model would be saved among the documents; choose another output_dir")
    if resume:
        # Settings come first: they are compared without any document.
        check_same(output_dir, identity(experiment))
    elif not overwrite:
        refuse_earlier_run([output_dir / name for name in experiment.tasks])
    # The revision is read before the data. If the repository changes in between, the card names the older revision.
    revision = dataset_revision(experiment.dataset)
    run = _loaded(experiment, fold)
    if resume:
        check_same(output_dir, run.identity)
        if (output_dir / METRICS_FILE).is_file():
            finished: Metrics = json.loads((output_dir / METRICS_FILE).read_text(encoding="utf-8"))
            return finished
    _warn_of_rare_labels(run.data)
    labels = _check_models(run)
    for name in list(experiment.tasks)[1:]:
        # The first Trainer is made anyway, before anything is trained.
        if not (resume and (output_dir / name / FINISHED_FILE).is_file()):
            _trainer(run, name, rehearses=True)
    _report_excluded(labels, run.data)
    models = {name: _train(run, name, resume, overwrite, progress) for name in experiment.tasks}
    if not PartialState().is_main_process:
        return None
    entity, relation = models.get("entity"), models.get("relation")
    if "shared" in models:
        entity, relation = models["shared"].entity, models["shared"].relation
    described = _training_run(experiment, fold, revision)
    saved = _save(models, run.tokenizer, described, output_dir)
    if "test" not in run.data:
        return {}
    metrics = evaluate_documents(run.data["test"], run.tokenizer, entity, relation).metrics
    # The weights are saved already: a failing evaluation loses nothing. The figures are added to the config and card.
    saved.config.training_run = {**described, "metrics": {key: metrics[key] for key in FIGURES if key in metrics}}
    saved.config.save_pretrained(output_dir)
    save_card(saved.config, output_dir)
    write_json(output_dir / METRICS_FILE, metrics)
    return metrics


@dataclass(frozen=True)
class _Run:
    """An experiment with what was loaded for it."""

    experiment: Experiment
    data: DatasetDict
    schema: LabelSchema
    tokenizer: PreTrainedTokenizerBase

    @cached_property
    def identity(self) -> dict[str, Any]:
        return identity(self.experiment, self.data)


def _loaded(experiment: Experiment, fold: str | None) -> _Run:
    data = load_documents(experiment.dataset, config_name=fold)
    schema = experiment_schema(experiment, data)
    if experiment.entity_labels is not None or experiment.relation_labels is not None:
        # The labels were given. A document with another label is an error that names file and line.
        data = load_documents(experiment.dataset, schema, config_name=fold)
    return _Run(experiment, data, schema, load_tokenizer(experiment.encoder))


def _save(
    models: Mapping[str, PLMarkerBaseModel],
    tokenizer: PreTrainedTokenizerBase,
    described: dict[str, Any],
    output_dir: Path,
) -> PLMarkerBaseModel:
    """Save the combined model or the only model, with its card and the tokenizer. Return the saved model."""
    entity, relation = models.get("entity"), models.get("relation")
    for part in models.values():
        part.config.training_run = None
    model: PLMarkerBaseModel
    if isinstance(entity, PLMarkerForEntityRecognition) and isinstance(relation, PLMarkerForRelationExtraction):
        model = PLMarkerModel.from_models(entity, relation, tokenizer)
    else:
        (model,) = models.values()
        model.tokenizer = tokenizer
    model.config.training_run = described
    model.save_pretrained(output_dir)
    return model


def _training_run(experiment: Experiment, fold: str | None, revision: str | None) -> dict[str, Any]:
    """The training as the model's card shows it. Folders are shown by their names alone."""
    return {
        "encoder": _shown(experiment.encoder),
        "dataset": _shown(experiment.dataset),
        "config_name": fold,
        "revision": revision,
        "entity_types": experiment.entity_types,
        "license": experiment.license,
        "split": "test",
        "seed": experiment.seed,
        "hyperparameters": {
            name: {
                **task.model,
                **({"peft": task.peft} if task.peft is not None else {}),
                **{key: task.training[key] for key in SHOWN_ARGUMENTS if key in task.training},
            }
            for name, task in experiment.tasks.items()
        },
    }


def _shown(name: str) -> str:
    """A Hub id as it is, and the name of a folder."""
    return Path(name).resolve().name if Path(name).exists() else name


def experiment_schema(experiment: Experiment, data: DatasetDict) -> LabelSchema:
    """The labels that the experiment gives, or else those that occur in its data, with its constraints."""
    collected = LabelSchema.from_documents(document for split in data.values() for document in split)
    given = experiment.constraints if isinstance(experiment.constraints, dict) else {}
    schema = LabelSchema(
        experiment.entity_labels or collected.entity_labels,
        experiment.relation_labels or collected.relation_labels,
        experiment.symmetric_labels,
        given,
    )
    if experiment.constraints != LEARNED:
        return schema
    splits = [data[split] for split in experiment.train_splits if split in data]
    return schema.learn_constraints(document for split in splits for document in split)


def _report_excluded(schema: LabelSchema, data: DatasetDict) -> None:
    """Report the annotated relations of each split that the constraints exclude, with examples."""
    for name, split in data.items() if schema.constraints else ():
        excluded = ExcludedGold(schema)
        for document in split:
            excluded.add(document)
        if excluded.counts:
            logger.warning("%s: %s", name, "\n".join(excluded.lines()))


def _check_models(run: _Run) -> LabelSchema:
    """Find mistakes in the options of all models before the first model is trained.

    Returns:
        The labels of the last model, which finds relations where one does, with what it keeps of an earlier model.
    """
    experiment, data, schema = run.experiment, run.data, run.schema
    if experiment.relation is not None and not schema.relation_labels:
        raise PLMarkerError(f"{experiment.dataset}: no relations, nothing to train a relation model on")
    for split in experiment.train_splits:
        if split not in data:
            raise PLMarkerError(f"{experiment.dataset}: no split {split!r}, only {', '.join(map(repr, data))}")
    trained = load_encoder_config(experiment.encoder)
    for name, task in experiment.tasks.items():
        config = _checked_config(name, task, schema, run.tokenizer, trained, experiment.encoder)
        if task.peft is not None:
            check_lora(task.peft)
        arguments = _arguments(run, name)
        try:
            check_arguments(arguments, task_of(config))
        except PLMarkerError as error:
            raise PLMarkerError(f"{name}.training: {error}") from None
    labels: LabelSchema = config.schema
    return labels


def _checked_config(
    name: str, task: Task, schema: LabelSchema, tokenizer: PreTrainedTokenizerBase, trained: Any, encoder: str
) -> Any:
    """The config of a model, without its encoder.

    Args:
        trained: the config of the encoder, or of the model to continue from.
        encoder: its name.
    """
    continues = trained.model_type in MODEL_TYPES
    windows = None

    def config_of(part: str, options: Mapping[str, Any]) -> Any:
        values = {key: value for key, value in options.items() if key != "marker_init"}
        labels = schema
        try:
            kind: Any = MODEL_CLASSES[part].config_class
            if continues:
                earlier = config_for(trained, kind.model_type, encoder)
                values, labels = continued_values(earlier, values), merged_schema(earlier.schema, schema)
            return build_config(kind, labels, AutoConfig.for_model("bert"), tokenizer, values)
        except PLMarkerError as error:
            raise PLMarkerError(f"{part}.model: {error}") from None

    if name != "shared":
        return config_of(name, task.model)
    if continues:
        check_shared(encoder, trained, shared_encoder=True)
        windows = shared_windows_of(trained)
    entity, relation = shared_options(task.model["entity"], task.model["relation"], windows)
    parts = {"entity_config": config_of("entity", entity), "relation_config": config_of("relation", relation)}
    return shared_config(**parts)


def _trainer(run: _Run, name: str, rehearses: bool = False) -> tuple[Any, PLMarkerTrainer]:
    """A new model, and the Trainer that trains it or an adapter in it.

    Args:
        rehearses: the Trainer has no documents. It only shows that all else is right.

    Raises:
        PLMarkerError: for whatever the model, peft, transformers or torch refuse, naming the model.
    """
    experiment, task = run.experiment, run.experiment.tasks[name]
    arguments = _arguments(run, name)
    rows: dict[str, Any] = {}
    if rehearses:
        # Trainer asks for the documents that an evaluation needs.
        arguments.eval_strategy, arguments.load_best_model_at_end = IntervalStrategy.NO, False
    else:
        rows["train_dataset"] = concatenate_datasets([run.data[split] for split in experiment.train_splits])
        rows["eval_dataset"] = run.data.get("validation")
    set_seed(experiment.seed)
    try:
        model: Any = MODEL_CLASSES[name].from_encoder(
            experiment.encoder, run.schema, tokenizer=run.tokenizer, **task.model
        )
        adapted = None if task.peft is None else add_lora(model, **task.peft)
        trainer = PLMarkerTrainer(
            adapted or model,
            arguments,
            processing_class=run.tokenizer,
            **{key: value for key, value in task.training.items() if key in TRAINER_FIELDS},
            entity_types=experiment.entity_types,
            **rows,
        )
        # Only now are the arguments of the optimizer and of the schedule known to be right. Training makes new ones.
        trainer.create_optimizer_and_scheduler(1)
        trainer.optimizer = trainer.lr_scheduler = None
    except (MemoryError, torch.OutOfMemoryError):
        raise
    except Exception as error:
        reason = str(error) if isinstance(error, PLMarkerError) else one_line(error)
        raise PLMarkerError(f"{name}: {reason}") from error
    return model, trainer


def _train(run: _Run, name: str, resume: bool, overwrite: bool, progress: TrainerCallback | None) -> Any:
    """Train a model, or take it from an earlier run that is continued."""
    experiment = run.experiment
    task = experiment.tasks[name]
    folder = Path(experiment.output_dir) / name
    if resume and (folder / FINISHED_FILE).is_file():
        finished = MODEL_CLASSES[name].from_pretrained(folder)
        to_device(finished, _arguments(run, name).device)
        return finished
    model, trainer = _trainer(run, name)
    checkpoint = last_checkpoint(folder) if resume else None
    if overwrite:
        # All checks are done: a mistake in the experiment must not remove the earlier run. Later models of that run are
        # removed too, so that --resume does not take them for models of this run.
        names = list(experiment.tasks)
        remove_earlier_run([Path(experiment.output_dir) / later for later in names[names.index(name) :]])
    if PartialState().is_main_process:
        write_json(Path(experiment.output_dir) / EXPERIMENT_FILE, run.identity)
    if progress is not None:
        trainer.remove_callback(PrinterCallback if trainer.args.disable_tqdm else ProgressCallback)
        trainer.add_callback(progress)
    _continue(trainer, checkpoint)
    if task.peft is not None:
        # The adapter is for people who have the encoder. All else uses the merged model.
        adapted: Any = trainer.model
        trained = {"encoder": _shown(experiment.encoder), "dataset": _shown(experiment.dataset)}
        model.config.training_run = {**(model.config.training_run or {}), **trained}
        adapted.save_pretrained(str(folder / ADAPTER_FOLDER), is_main_process=PartialState().is_main_process)
        model = trainer.model = adapted.merge_and_unload()
    trainer.save_model()
    if PartialState().is_main_process:
        # This file comes last: a model that was cut off while it was written must not look finished.
        (folder / FINISHED_FILE).touch()
    return model


def _continue(trainer: PLMarkerTrainer, checkpoint: str | None) -> None:
    """Train from a checkpoint, or from the start.

    Raises:
        PLMarkerError: for a checkpoint that cannot be read.
    """
    try:
        trainer.train(resume_from_checkpoint=checkpoint)
    except (PLMarkerError, MemoryError, torch.OutOfMemoryError):
        raise
    except Exception as error:
        # Libraries have many errors for damaged files. The functions that read a checkpoint tell them from all others.
        functions = {frame.f_code.co_name for frame, _ in walk_tb(error.__traceback__)}
        if functions.isdisjoint(READ_CHECKPOINTS):
            raise
        raise PLMarkerError(
            f"{checkpoint} cannot be read: {one_line(error)}; if its files are damaged, remove it, or --overwrite "
            "the run"
        ) from error


def _arguments(run: _Run, name: str) -> TrainingArguments:
    """The training arguments of a model. With validation, the best evaluated checkpoint is kept."""
    given = run.experiment.tasks[name].training
    saving = given.get("save_strategy", "epoch")
    strategy = given.get("eval_strategy", "epoch" if saving == SaveStrategy.BEST else saving)
    # A bar would fill a log file. There, Trainer prints its figures as lines.
    values: dict[str, Any] = {"report_to": "none", "save_total_limit": 1, "disable_tqdm": not sys.stderr.isatty()}
    if "validation" in run.data and strategy != "no":
        values |= {"eval_strategy": strategy, "save_strategy": strategy}
        values["load_best_model_at_end"] = given.get("save_strategy", strategy) in (strategy, SaveStrategy.BEST)
        if "eval_steps" in given:
            values["save_steps"] = given["eval_steps"]
    values |= {key: value for key, value in given.items() if key not in TRAINER_FIELDS}
    folder = str(Path(run.experiment.output_dir) / name)
    try:
        refuse_fields(values)
        return TrainingArguments(output_dir=folder, seed=run.experiment.seed, **values)
    except (TypeError, ValueError, ImportError, OSError, RuntimeError) as error:
        raise PLMarkerError(f"{name}.training: {one_line(error)}") from None


def _warn_of_rare_labels(data: DatasetDict) -> None:
    """Warn of labels that never occur in training: most of them are mistyped."""
    schemas = {name: LabelSchema.from_documents(split) for name, split in data.items()}
    for name, schema in schemas.items():
        for kind in ("entity_labels", "relation_labels"):
            known = getattr(schemas["train"], kind) if "train" in schemas else ()
            unseen = [label for label in getattr(schema, kind) if label not in known]
            if unseen:
                logger.warning("%s %s: in %s, never in train", kind.replace("_", " "), ", ".join(unseen), name)
