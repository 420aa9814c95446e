"""The Trainer: one class for the entity model and the relation model."""

from __future__ import annotations

import copy
import inspect
import logging
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from typing import Any

import torch
from accelerate.utils import gather_object
from datasets import Dataset
from torch import Tensor, nn
from torch.utils.data import DataLoader
from transformers import PreTrainedTokenizerBase, Trainer, TrainerCallback, TrainingArguments
from transformers.trainer_utils import EvalLoopOutput

from ..data.features import features_for
from ..modeling.base_plmarker import PLMarkerPreTrainedModel
from ..modeling.card_plmarker import save_card
from ..modeling.encoders_plmarker import check_marker_tokens
from ..modeling.prediction_plmarker import split_logits
from ..modeling.schema_plmarker import PLMarkerError
from .collator import PackedRowCollator
from .evaluation import coverage_of, evaluate_scored

logger = logging.getLogger(__name__)

# What a model is selected by where the user asks for the best one and does not say by what.
SELECTION_METRICS = {"plmarker-ner": "ent_f1", "plmarker-re": "rel_strict_f1"}
MAX_ROW_TOKENS = 16384
# The gold classes of each head, in the order in which a model's scores come.
LABELS = ("labels", "object_labels", "subject_labels")


def hp_space(trial: Any) -> dict[str, Any]:
    """What `hyperparameter_search` tries with optuna: learning rates and batches around the published experiments'."""
    return {
        "learning_rate": trial.suggest_float("learning_rate", 5e-6, 3e-4, log=True),
        "per_device_train_batch_size": trial.suggest_categorical("per_device_train_batch_size", [8, 16, 32]),
    }


class PLMarkerTrainer(Trainer):
    """`transformers.Trainer` over packed rows, with Ent, Rel and Rel+ F1 as metrics.

    A dataset of documents is mapped to features here; one that is already mapped is taken as it is. Batch sizes
    count features: sentences, or groups of spans, of the entity model; subjects of the relation model. The features
    of a batch become rows of at most `max_row_tokens` tokens, over which gradients add up, so that the row bounds
    the memory and not the result.

    With `load_best_model_at_end` the model is selected by `ent_f1` or `rel_strict_f1`, unless
    `metric_for_best_model` names another metric (`eval_loss` for the loss).

    Args:
        model: the entity model or the relation model; or, for `hyperparameter_search`, none, and `model_init` in its
            place, a function that makes one.
        args: as for `Trainer`.
        train_dataset, eval_dataset: documents or features; `eval_dataset` may be a dictionary of them.
        processing_class: the tokenizer; saved with the model, and needed to map documents.
        max_row_tokens: most tokens of a packed row.
        entity_types: how Rel+ types the entities, see [`RelationMetrics`].
        kwargs: further arguments of `Trainer`.

    Raises:
        PLMarkerError: for documents without a tokenizer, a tokenizer whose marker tokens are not the model's, two
            documents with one `doc_key`, or an argument that this Trainer has its own of.
    """

    def __init__(
        self,
        model: PLMarkerPreTrainedModel | None = None,
        args: TrainingArguments | None = None,
        train_dataset: Dataset | None = None,
        eval_dataset: Dataset | dict[str, Dataset] | None = None,
        processing_class: PreTrainedTokenizerBase | None = None,
        max_row_tokens: int = MAX_ROW_TOKENS,
        entity_types: str = "relation",
        **kwargs: Any,
    ) -> None:
        for name in ("data_collator", "compute_metrics", "preprocess_logits_for_metrics"):
            if kwargs.pop(name, None) is not None:
                raise PLMarkerError(f"PLMarkerTrainer has its own {name}")
        args = TrainingArguments() if args is None else args
        # For hyperparameter_search the Trainer makes a model for each trial; all of them have one shape.
        shape = model if model is not None else _shape(kwargs["model_init"]) if kwargs.get("model_init") else None
        if shape is None:
            raise PLMarkerError("PLMarkerTrainer needs a model, or model_init, a function that makes one")
        if args.n_gpu > 1:
            logger.warning("a packed row cannot be scattered over GPUs: using one; torchrun uses all of them")
            args._n_gpu = 1
        # Rows are made from columns that no model takes by their names.
        args.remove_unused_columns = False
        if not torch.accelerator.is_available():
            # torch warns of pinned memory on a machine that has no use for it.
            args.dataloader_pin_memory = False
        if args.load_best_model_at_end and args.metric_for_best_model in (None, "loss"):
            args.metric_for_best_model = SELECTION_METRICS[shape.config.model_type]
            args.greater_is_better = True
        if processing_class is not None:
            check_marker_tokens(processing_class, shape.config.marker_tokens, shape.config.marker_token_ids)
        self.entity_types = entity_types
        self.config = shape.config
        self.grouping_seed = args.seed
        self.tokenizer = processing_class
        if train_dataset is not None:
            train_dataset = self._features(train_dataset, "training", training=True)
            train_dataset = train_dataset.filter(lambda length: length > 0, input_columns="length")
        if isinstance(eval_dataset, Mapping):
            eval_dataset = {name: self._features(part, name) for name, part in eval_dataset.items()}
        elif eval_dataset is not None:
            eval_dataset = self._features(eval_dataset, "evaluation")
        super().__init__(
            model=model,
            args=args,
            data_collator=PackedRowCollator.for_model(shape, max_row_tokens),
            train_dataset=train_dataset,
            eval_dataset=eval_dataset,
            processing_class=processing_class,
            **kwargs,
        )
        self.add_callback(_ForgetEarlierRun)

    def _features(self, dataset: Dataset, name: str, training: bool = False) -> Dataset:
        """Map documents to features, and say what of their annotations cannot be reached."""
        if "input_ids" in dataset.column_names:
            return dataset
        if self.tokenizer is None:
            raise PLMarkerError("a dataset of documents needs processing_class=tokenizer to be mapped to features")
        repeated = [key for key, count in Counter(dataset["doc_key"]).items() if count > 1]
        if repeated:
            raise PLMarkerError(f"{name} data: {len(repeated)} doc_keys stand more than once, such as {repeated[0]!r}")
        config = self.config
        function = features_for(config, self.tokenizer, training, self.grouping_seed)
        features = dataset.map(
            function,
            batched=True,
            remove_columns=dataset.column_names,
            features=function.types,
            desc=f"{name} features",
        )
        coverage = coverage_of(config, features)
        message = f"{name} data: {len(dataset)} documents, {len(features)} features; {coverage}"
        logger.log(logging.WARNING if coverage.lost else logging.INFO, message)
        return features

    def get_eval_dataloader(self, eval_dataset: str | Dataset | None = None) -> DataLoader:
        """As in `Trainer`; documents are mapped to features."""
        if eval_dataset is None and self.eval_dataset is None:
            raise PLMarkerError("evaluation needs eval_dataset, of the Trainer or of the call")
        if eval_dataset is None or isinstance(eval_dataset, str):
            dataset: Any = self.eval_dataset if eval_dataset is None else self.eval_dataset[eval_dataset]  # type: ignore[index]
        else:
            dataset = self._features(eval_dataset, "evaluation")
        return super().get_eval_dataloader(_indexed(dataset))

    def get_test_dataloader(self, test_dataset: Dataset) -> DataLoader:
        """As in `Trainer`; documents are mapped to features."""
        return super().get_test_dataloader(_indexed(self._features(test_dataset, "test")))

    def train(self, *args: Any, **kwargs: Any) -> Any:
        """As in `Trainer`; then the model's config knows how it was trained, for its card."""
        result = super().train(*args, **kwargs)
        self._config.training_run = self._training_run()
        return result

    def evaluate(self, *args: Any, **kwargs: Any) -> dict[str, float]:
        """As in `Trainer`; the figures of a model that was trained here go to its card."""
        metrics = super().evaluate(*args, **kwargs)
        if self.state.global_step and self._config.training_run is not None:
            self._config.training_run = self._training_run()
        return metrics

    @property
    def _config(self) -> Any:
        """The config of the model that is trained: with `model_init` one is made for each training."""
        model: Any = self.model
        return model.config

    def create_model_card(
        self,
        *args: Any,
        dataset: str | list[str] | None = None,
        license: str | None = None,
        tags: str | list[str] | None = None,
        **kwargs: Any,
    ) -> None:
        """Write the model's card beside it (`Trainer.push_to_hub` calls it), unless somebody's own is there.

        Its figures are those of the best checkpoint, where that was kept, or else of the last evaluation. What is said
        here goes before what the config's `training_run` says.

        Args:
            dataset: what the model was trained on.
            license: of the model, by the name that the Hub has for it.
            tags: further tags.
            args, kwargs: what else `Trainer` takes; nothing of it stands on the card.
        """
        if not self.is_world_process_zero():
            return
        model: Any = self.model
        config = copy.deepcopy(model.config)
        given = {"dataset": dataset, "license": license}
        run = config.training_run or self._training_run()
        config.training_run = {**run, **{name: value for name, value in given.items() if value is not None}}
        name = getattr(self, "hub_model_id", None) or self.args.hub_model_id
        tags = [tags] if isinstance(tags, str) else tags or []
        save_card(config, str(self.args.output_dir), name, tags, getattr(model, "adapter_of", None))

    def _training_run(self) -> dict[str, Any]:
        """What this Trainer knows of the training, see [`model_card`]."""
        return {
            "encoder": self.config.encoder_config._name_or_path,
            "split": "validation",
            "seed": self.args.seed,
            "entity_types": self.entity_types,
            "metrics": self._figures(),
            "hyperparameters": {
                "training": {
                    "learning_rate": self.args.learning_rate,
                    "epochs": round(self.state.epoch or 0.0, 2),
                    "steps": self.state.global_step,
                    "per_device_train_batch_size": self.args.per_device_train_batch_size,
                }
            },
        }

    def _figures(self) -> dict[str, float]:
        """Figures of the weights that there are now, by the names that cards have for them."""
        metric = f"eval_{SELECTION_METRICS[self.config.model_type]}"
        logs = [log for log in self.state.log_history if metric in log]
        if self.args.load_best_model_at_end:
            logs = [log for log in logs if log.get("step") == self.state.best_global_step] or logs
        if not logs:
            return {}
        figures = logs[-1]
        entities = "gold_" if figures.get("eval_rel_gold_entities", 1.0) == 1.0 else ""
        names = {
            "eval_ent_f1": "ent_f1",
            "eval_rel_f1": f"{entities}rel_f1",
            "eval_rel_strict_f1": f"{entities}rel_strict_f1",
        }
        return {names[key]: value for key, value in figures.items() if key in names}

    def hyperparameter_search(  # type: ignore[override]
        self,
        hp_space: Callable[[Any], dict[str, Any]] = hp_space,
        compute_objective: Callable[[dict[str, float]], float] | None = None,
        n_trials: int = 20,
        direction: str | list[str] | None = None,
        **kwargs: Any,
    ) -> Any:
        """As in `Trainer`, with optuna.

        Args:
            hp_space: the values to try, see [`hp_space`].
            compute_objective: of the metrics of an evaluation; by default `metric_for_best_model`, or else
                `eval_ent_f1` or `eval_rel_strict_f1`. transformers would add up all of them, those by label too.
            direction: `maximize` or `minimize`; needed with `compute_objective`, else as the metric is better.
        """
        metric = self.args.metric_for_best_model or SELECTION_METRICS[self.config.model_type]
        metric = f"eval_{metric.removeprefix('eval_')}"
        if direction is None:
            if compute_objective is not None:
                raise PLMarkerError("compute_objective needs direction, 'maximize' or 'minimize'")
            direction = "minimize" if metric.endswith("loss") else "maximize"
        return super().hyperparameter_search(
            hp_space=hp_space,
            compute_objective=compute_objective or (lambda metrics: metrics[metric]),
            n_trials=n_trials,
            direction=direction,
            **kwargs,
        )

    def training_step(
        self, model: nn.Module, inputs: dict[str, Any], num_items_in_batch: Tensor | int | None = None
    ) -> Tensor:
        """Add up the gradients of the rows of a batch, each with its share of the batch."""
        rows = inputs["rows"]
        weight, count = self._mean_over_processes(
            sum(self._weight(row["labels"]) for row in rows), sum(len(row["labels"]) for row in rows)
        )
        losses = []
        for number, row in enumerate(rows):
            # Processes have different numbers of rows: they exchange gradients once a batch, with the last one.
            last = number == len(rows) - 1
            with nullcontext() if last else self.accelerator.no_sync(model):
                shares = {"weight": self._weight(row["labels"]) / weight, "count": len(row["labels"]) / count}
                losses.append(super().training_step(model, {"row": row, **shares}, num_items_in_batch))
        return torch.stack(losses).sum()

    def compute_loss(
        self,
        model: nn.Module,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: Tensor | int | None = None,
    ) -> Tensor | tuple[Tensor, Any]:
        """The loss of one row, times its share of the batch; the entity types of relations are not weighted."""
        outputs = model(**inputs["row"])
        loss = outputs.loss * inputs["weight"]
        if "entity_loss" in outputs:
            loss = outputs.relation_loss * inputs["weight"] + outputs.entity_loss * inputs["count"]
        return (loss, outputs) if return_outputs else loss

    def _mean_over_processes(self, *values: float) -> list[float]:
        """Of what each process has. As gradients are averaged over processes, each row has its share of all rows."""
        if self.accelerator.num_processes == 1:
            return list(values)
        mean: Any = self.accelerator.reduce(torch.tensor(values, device=self.args.device), reduction="mean")
        return list(mean.tolist())

    def _weight(self, labels: Tensor) -> float:
        nil = int((labels == 0).sum())
        return len(labels) - nil + nil * self.config.nil_weight

    def floating_point_ops(self, inputs: dict[str, Any]) -> int:
        """As in `Trainer`, for the rows of a batch."""
        return sum(super(PLMarkerTrainer, self).floating_point_ops(row) for row in inputs["rows"])

    def _loss_of(self, features: Dataset, logits_of: Mapping[int, tuple[Tensor, ...]]) -> float:
        """The loss over all features at once, from the logits of each."""
        model: Any = self.accelerator.unwrap_model(self.model)
        indices = sorted(logits_of)
        scored = features.select(indices)
        loss = 0.0
        for head, name in enumerate(LABELS):
            if name in scored.column_names and head < len(logits_of[indices[0]]):
                logits = torch.cat([logits_of[index][head] for index in indices])
                labels = torch.tensor([label for labels in scored[name] for label in labels])
                nil_weight = 1.0 if head else self.config.nil_weight
                loss += float(model._cross_entropy(logits, labels, nil_weight))
        return loss

    def _evaluation_model(self) -> nn.Module:
        """The model as `Trainer` evaluates it: wrapped for mixed precision, or cast for half precision."""
        model = self._wrap_model(self.model, training=False)  # type: ignore[arg-type]
        if not self.accelerator._models and model is self.model:
            model = self.accelerator.prepare_model(model, evaluation_mode=True)
        if not self.is_in_train and (self.args.bf16_full_eval or self.args.fp16_full_eval):
            dtype = torch.bfloat16 if self.args.bf16_full_eval else torch.float16
            model = model.to(dtype=dtype, device=self.args.device)
        return model

    @torch.no_grad()
    def evaluation_loop(
        self,
        dataloader: DataLoader,
        description: str,
        prediction_loss_only: bool | None = None,
        ignore_keys: list[str] | None = None,
        metric_key_prefix: str = "eval",
    ) -> EvalLoopOutput:
        """Score all features, decode them sentence by sentence, and count.

        Returns:
            `predictions`, the logits of each feature in the order of the dataset (None for one without tokens);
            `metrics`, see [`EntityMetrics`] and [`RelationMetrics`], and `loss`; of a relation model also
            `rel_gold_entities`, 1.0 where the relations stand between gold entities and 0.0 where between predicted
            ones.
        """
        model = self._evaluation_model()
        training = model.training
        model.eval()
        self.callback_handler.eval_dataloader = dataloader
        features: Any = dataloader.dataset
        scored: list[tuple[int, tuple[Tensor, ...]]] = []
        for batch in dataloader:
            for row, members in zip(batch["rows"], batch["index"], strict=True):
                row = self._prepare_inputs(row)
                with self.compute_loss_context_manager():
                    output = model(**row)
                scored += zip(members, split_logits(output, [features[index] for index in members]), strict=True)
            self.control = self.callback_handler.on_prediction_step(self.args, self.state, self.control)
        model.train(training)
        # By number: where features do not divide by the processes, some are scored twice.
        logits_of = dict(gather_object(scored))
        metrics = evaluate_scored(
            self.config, ((feature, logits_of.get(feature["index"])) for feature in features), self.entity_types
        )
        if logits_of:
            metrics["loss"] = self._loss_of(features, logits_of)
        if "given" in features.column_names:
            metrics["rel_gold_entities"] = float(all(_same(f["given"], f["gold"]) for f in features))
        return EvalLoopOutput(
            predictions=[  # type: ignore[arg-type]
                logits_of.get(index) for index in range(len(features))
            ],
            label_ids=None,
            metrics={f"{metric_key_prefix}_{name}": value for name, value in metrics.items()},
            num_samples=len(features),
        )


def _shape(model_init: Callable[..., Any]) -> Any:
    """A model of `model_init`, which may take the trial that it is for, as for transformers."""
    return model_init(None) if inspect.signature(model_init).parameters else model_init()


class _ForgetEarlierRun(TrainerCallback):
    """What a config says of an earlier training is not true of a model that is trained on."""

    def on_train_begin(self, args: Any, state: Any, control: Any, model: Any = None, **kwargs: Any) -> None:
        model.config.training_run = None


def _indexed(dataset: Dataset) -> Dataset:
    """The dataset with the number of each feature, by which its scores are found again."""
    return dataset.add_column("index", list(range(len(dataset))))


def _same(first: list[list[int]], second: list[list[int]]) -> bool:
    return sorted(first) == sorted(second)
