"""The Trainer: one class for the entity model and the relation model."""

from __future__ import annotations

import copy
import inspect
import logging
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import torch
from accelerate.utils import gather_object
from datasets import Dataset
from torch import nn
from torch.utils.data import DataLoader
from transformers import EvalPrediction, PreTrainedTokenizerBase, Trainer, TrainingArguments
from transformers.trainer_utils import EvalLoopOutput

from ..data.coverage import Coverage
from ..data.features import DocumentRows
from ..hub.card import save_card
from ..modeling.base_plmarker import weights_not_finite
from ..modeling.encoders_plmarker import check_marker_tokens
from ..modeling.joint_plmarker import JointScorer, JointTask
from ..modeling.prediction_plmarker import BATCH_TOKENS, Scorer, checked_entity_types
from ..modeling.schema_plmarker import PLMarkerError
from ..modeling.task_model_plmarker import PLMarkerPreTrainedModel
from ..modeling.tasks_plmarker import task_of
from .checks import check_arguments
from .collator import ExampleCollator
from .evaluator import merged
from .examples import EvaluationDocuments, TrainingExamples
from .pruning import tune_pruner
from .sampler import TokenBatchSampler, TokenDataLoader
from .tasks import TaskTools, tools_for

logger = logging.getLogger(__name__)


def hp_space(trial: Any) -> dict[str, Any]:
    """The default space of `hyperparameter_search`: learning rates and batch sizes around the published ones."""
    return {
        "learning_rate": trial.suggest_float("learning_rate", 5e-6, 3e-4, log=True),
        "per_device_train_batch_size": trial.suggest_categorical("per_device_train_batch_size", [8, 16, 32]),
    }


class PLMarkerTrainer(Trainer):
    """`transformers.Trainer` for windows and markers, with Ent, Rel and Rel+ F1 as metrics.

    A dataset of documents is mapped to rows here; one that is already mapped is used as it is. Batch sizes count
    training examples: sentences, or groups of their spans, for the entity model; subjects for the relation model. The
    published recipes count these too. `batch_tokens` makes batches of whole windows up to a number of tokens.

    The loss of a step is one mean over all candidates of the step, however the step is divided into accumulated batches
    or processes. Documents may have a `weight`, which multiplies their losses: a document of weight 2 counts as if it
    were there twice, and one of weight 0 is left out. Evaluation has no weights. `args` and callbacks are used as they
    are, and never written to.

    Args:
        model: the entity model, the relation model, or a combined model with a shared encoder. For
            `hyperparameter_search` give `model_init`, a function that makes one.
        args: as for `Trainer`. With `load_best_model_at_end`, `metric_for_best_model` is by default `ent_f1` or
            `rel_strict_f1`, of the first evaluation set where there are several.
        train_dataset, eval_dataset: documents or rows; `eval_dataset` may be a dictionary of them.
        processing_class: the tokenizer. It is saved with the model, and needed to map documents.
        batch_tokens: most tokens of a training batch, text and markers. None counts examples.
        entity_types: whose entity types Rel+ compares and `extract` returns, see [`RelationMetrics`]; saved with the
            model. None keeps what the model's config says.
        compute_metrics: further metrics, from the logits of the candidates and their labels. They are added.
        kwargs: further arguments of `Trainer`.

    Raises:
        PLMarkerError: for documents without a tokenizer, a tokenizer whose marker tokens are not the model's, two
            documents with one `doc_key`, and arguments that cannot work here.

    Example:
        >>> trainer = PLMarkerTrainer(model, args, train_dataset=ds["train"], eval_dataset=ds["validation"],
        ...     processing_class=model.tokenizer)  # doctest: +SKIP
        >>> trainer.train(); trainer.evaluate()["eval_ent_f1"]  # doctest: +SKIP
    """

    def __init__(
        self,
        model: PLMarkerPreTrainedModel | None = None,
        args: TrainingArguments | None = None,
        train_dataset: Dataset | None = None,
        eval_dataset: Dataset | dict[str, Dataset] | None = None,
        processing_class: PreTrainedTokenizerBase | None = None,
        batch_tokens: int | None = None,
        entity_types: str | None = None,
        compute_metrics: Callable[[EvalPrediction], dict[str, float]] | None = None,
        **kwargs: Any,
    ) -> None:
        for name in ("data_collator", "preprocess_logits_for_metrics", "compute_loss_func"):
            if kwargs.pop(name, None) is not None:
                raise PLMarkerError(f"PLMarkerTrainer has its own {name}")
        # For hyperparameter_search, Trainer makes a model for each trial. All of them have one shape.
        shape = model if model is not None else _made_by(kwargs.get("model_init"))
        if shape is None:
            raise PLMarkerError("PLMarkerTrainer needs a model, or model_init, a function that makes one")
        if not hasattr(shape, "task"):
            raise PLMarkerError(
                f"PLMarkerTrainer trains the model of one task, or one with a shared encoder, not this "
                f"{type(shape).__name__}: train model.entity and model.relation, each with a Trainer of its own"
            )
        if batch_tokens is not None and (not isinstance(batch_tokens, int) or batch_tokens < 1):
            raise PLMarkerError(f"batch_tokens is a whole number above 0, or None, got {batch_tokens!r}")
        self.batch_tokens = batch_tokens
        self.entity_types = entity_types and checked_entity_types(entity_types)
        self.task_config = shape.config
        self.tokenizer = processing_class
        # Numbers of the logs of evaluations of other sets than the Trainer's own.
        self._foreign_logs: set[int] = set()
        self._last_evaluated: Any = None
        args = self._own_arguments(args, eval_dataset, compute_metrics is not None)
        if processing_class is not None:
            for part in self._parts:
                check_marker_tokens(processing_class, part.marker_tokens, part.marker_token_ids)
            # It is saved with the model, which then recognises it.
            shape.tokenizer = processing_class
        examples = None
        if train_dataset is not None:
            rows = self._rows(train_dataset, "training", args.seed, training=True)
            examples = TrainingExamples(rows, self.task_config)
        if isinstance(eval_dataset, Mapping):
            eval_dataset = {name: self._rows(part, name, args.seed) for name, part in eval_dataset.items()}
        elif eval_dataset is not None:
            eval_dataset = self._rows(eval_dataset, "evaluation", args.seed)
        super().__init__(
            model=model,
            args=args,
            data_collator=ExampleCollator(self.task_config),
            train_dataset=examples,
            eval_dataset=eval_dataset,
            processing_class=processing_class,
            compute_metrics=compute_metrics,
            **kwargs,
        )

    @property
    def _parts(self) -> list[Any]:
        """The configs of the tasks that are trained."""
        return list(getattr(self.task_config, "parts", [self.task_config]))

    @property
    def _tools(self) -> TaskTools:
        return tools_for(task_of(self.task_config))

    @property
    def _trained_config(self) -> Any:
        """The config of the model in training. With `model_init` there is a new model for each training."""
        return self.model.config  # type: ignore[union-attr]

    def _own_arguments(
        self, args: TrainingArguments | None, eval_dataset: Any, further_metrics: bool
    ) -> TrainingArguments:
        """A copy of the arguments that suits this Trainer. The caller's object may serve another Trainer."""
        args = TrainingArguments() if args is None else copy.copy(args)
        if args.n_gpu > 1:
            logger.warning("one process cannot spread windows over GPUs: using one GPU; torchrun uses all of them")
            args._n_gpu = 1
        if not torch.accelerator.is_available():
            # torch warns of pinned memory on a machine that has no use for it.
            args.dataloader_pin_memory = False
        names = list(eval_dataset) if isinstance(eval_dataset, Mapping) else []
        if args.load_best_model_at_end and args.metric_for_best_model in (None, "loss"):
            main = self._tools.main_metric
            args.metric_for_best_model = f"{names[0]}_{main}" if names else main
            args.greater_is_better = True
        check_arguments(args, task_of(self.task_config), names, further_metrics)
        return args

    def _rows(self, dataset: Dataset, name: str, seed: int, training: bool = False) -> Dataset:
        """Map documents to rows, and report which of their annotations cannot be reached."""
        task = task_of(self.task_config)
        if "input_ids" in dataset.column_names:
            missing = [column for column in DocumentRows(task, None).types if column not in dataset.column_names]  # type: ignore[arg-type]
            if missing:
                raise PLMarkerError(
                    f"{name} data: the rows have no column {missing[0]!r}; {type(task).__name__} reads rows that "
                    "were mapped for it, or documents"
                )
            return dataset
        if self.tokenizer is None:
            raise PLMarkerError("a dataset of documents needs processing_class=tokenizer to be mapped to rows")
        repeated = [key for key, count in Counter(dataset["doc_key"]).items() if count > 1]
        if repeated:
            raise PLMarkerError(f"{name} data: {len(repeated)} doc_keys occur more than once, such as {repeated[0]!r}")
        function = DocumentRows(task, self.tokenizer, training, seed)
        rows = dataset.map(
            function,
            batched=True,
            remove_columns=dataset.column_names,
            features=function.types_for(dataset.column_names),
            desc=f"{name} rows",
        )
        coverage = Coverage()
        for beside, members, _ in EvaluationDocuments(rows, self.task_config):  # type: ignore[attr-defined]
            coverage += self._tools.coverage(task, members, beside)
        message = f"{name} data: {len(dataset)} documents, {len(rows)} windows; {coverage}"
        logger.log(logging.WARNING if coverage.unreachable else logging.INFO, message)
        return rows

    def _determine_best_metric(self, metrics: dict[str, float], trial: Any) -> bool:
        """As in `Trainer`, which keeps the first of equal models. If none finds anything, the last has learnt most."""
        name = f"eval_{str(self.args.metric_for_best_model).removeprefix('eval_')}"
        if self.args.greater_is_better and self.state.best_metric == 0 == metrics.get(name):
            self.state.best_metric = None
        return super()._determine_best_metric(metrics=metrics, trial=trial)

    def get_train_dataloader(self) -> DataLoader:
        """As in `Trainer`. With `batch_tokens`, batches have whole windows up to that many tokens."""
        if self.batch_tokens is None or self.train_dataset is None:
            return super().get_train_dataloader()
        sampler = TokenBatchSampler(
            self.train_dataset,  # type: ignore[arg-type]
            self.batch_tokens,
            self.args.seed if self.args.data_seed is None else self.args.data_seed,
            self.args.process_index,
            self.args.world_size,
        )
        return TokenDataLoader(
            self.train_dataset,
            batch_sampler=sampler,
            collate_fn=self.data_collator,
            num_workers=self.args.dataloader_num_workers,
            pin_memory=self.args.dataloader_pin_memory,
            persistent_workers=self.args.dataloader_persistent_workers,
        )

    def get_batch_samples(
        self, epoch_iterator: Iterator[Any], num_batches: int, device: torch.device
    ) -> tuple[list[Any], Any]:
        """As in `Trainer`. Where NIL has a weight, this adds the sum of the weights to the number of candidates.

        Where documents have weights, both are multiplied by the mean weight of the whole data. A mean of the step alone
        would take the weights away from a step whose documents have one weight.
        """
        batches, count = super().get_batch_samples(epoch_iterator, num_batches, device)
        # With a shared encoder the spans are counted.
        nil_weight = self._parts[0].nil_weight
        weighted = getattr(self.train_dataset, "weights", None) is not None
        if count is None or (nil_weight == 1.0 and not weighted):
            return batches, count
        n_nil = torch.stack([(batch["labels"] == 0).sum() for batch in batches]).sum().to(device)
        if self.args.average_tokens_across_devices and self.args.world_size > 1:
            n_nil = self.accelerator.gather(n_nil).sum()
        count = torch.as_tensor(count, device=device)
        totals = torch.stack([count - n_nil * (1 - nil_weight), count])
        if weighted:
            means = self.train_dataset.mean_weights(nil_weight)  # type: ignore[union-attr]
            totals = totals * torch.tensor(means, device=device)
        return batches, totals

    def get_eval_dataloader(self, eval_dataset: str | Dataset | None = None) -> DataLoader:
        """A loader of whole documents, mapped to rows: each process evaluates its share of them.

        It has no workers, since rows are read faster than they are scored.
        """
        if eval_dataset is None and self.eval_dataset is None:
            raise PLMarkerError("evaluation needs eval_dataset, of the Trainer or of the call")
        if eval_dataset is None or isinstance(eval_dataset, str):
            rows: Any = self.eval_dataset if eval_dataset is None else self.eval_dataset[eval_dataset]  # type: ignore[index]
        else:
            rows = self._rows(eval_dataset, "evaluation", self.args.seed)
        documents = EvaluationDocuments(rows, self.task_config)
        share = range(self.args.process_index, len(documents), self.args.world_size)
        return DataLoader(documents, batch_size=None, sampler=share)

    def get_test_dataloader(self, test_dataset: Dataset) -> DataLoader:
        """As `get_eval_dataloader`."""
        return self.get_eval_dataloader(test_dataset)

    def evaluation_loop(
        self,
        dataloader: DataLoader,
        description: str,
        prediction_loss_only: bool | None = None,
        ignore_keys: list[str] | None = None,
        metric_key_prefix: str = "eval",
    ) -> EvalLoopOutput:
        """Score, decode and count one document after the other. Processes exchange counts, and no logits.

        Returns:
            `metrics`: see [`EntityMetrics`] and [`RelationMetrics`], and `loss`. A relation model adds
            `rel_gold_entities`, 1.0 where the relations join gold entities and 0.0 where they join predicted ones.
            `predictions` and `label_ids` are kept for `compute_metrics` and `predict` alone: logits, shape (candidates,
            classes) for each head, and labels, shape (candidates,).
        """
        model = self._evaluation_model()
        self.callback_handler.eval_dataloader = dataloader
        task = task_of(self.task_config)
        evaluator = self._tools.evaluator(task, self.entity_types)
        kept: list[Any] = []
        # `Trainer.predict` returns logits too.
        keeps_logits = self.compute_metrics is not None or description == "Prediction"

        def forward(**inputs: Any) -> Any:
            with self.compute_loss_context_manager():
                return model(**inputs)

        if isinstance(task, JointTask):
            joint = JointScorer(self.accelerator.unwrap_model(model), BATCH_TOKENS)
            items = (((beside, n_sentences), rows, n_sentences) for beside, rows, n_sentences in dataloader)
            read: Any = joint.stream(items)
        else:
            documents = (((beside, n_sentences), rows) for beside, rows, n_sentences in dataloader)
            read = Scorer(task, forward, self.args.device, BATCH_TOKENS).stream(documents)
        for (beside, n_sentences), scored in read:
            evaluator.loss.add(evaluator.candidates(scored))
            if not self.args.prediction_loss_only:
                evaluator.add(beside, scored, n_sentences)
                kept += evaluator.candidates(scored) if keeps_logits else []
            self.control = self.callback_handler.on_prediction_step(self.args, self.state, self.control)
        total = merged(gather_object([evaluator]))
        metrics = {} if total.loss.value is None else {"loss": total.loss.value}
        logits: Any = None
        labels: Any = None
        if not self.args.prediction_loss_only:
            metrics = total.compute() | total.given() | metrics
            if keeps_logits:
                logits, labels = self._predictions(gather_object(kept))
            if self.compute_metrics is not None:
                metrics = self.compute_metrics(EvalPrediction(predictions=logits, label_ids=labels)) | metrics
        return EvalLoopOutput(
            predictions=logits,
            label_ids=labels,
            metrics={f"{metric_key_prefix}_{name}": value for name, value in metrics.items()},
            num_samples=len(dataloader.dataset),  # type: ignore[arg-type]
        )

    def _predictions(self, scored: list[Any]) -> tuple[Any, Any]:
        """The logits of each head and the labels of all candidates; by example without `eval_do_concat_batches`."""
        heads: list[Any] = [list(head) for head in zip(*(item.logits for item in scored), strict=True)]
        labels: Any = [np.array(item.example.values("labels")) for item in scored]
        if self.args.eval_do_concat_batches and scored:
            heads, labels = [np.concatenate(head) for head in heads], np.concatenate(labels)
        return heads[0] if len(heads) == 1 else tuple(heads), labels

    def _evaluation_model(self) -> nn.Module:
        """The model as `Trainer` evaluates it: wrapped for mixed precision, or cast for half precision."""
        model = self._wrap_model(self.model, training=False)  # type: ignore[arg-type]
        if not self.accelerator._models and model is self.model:
            model = self.accelerator.prepare_model(model, evaluation_mode=True)
        if not self.is_in_train and (self.args.bf16_full_eval or self.args.fp16_full_eval):
            dtype = torch.bfloat16 if self.args.bf16_full_eval else torch.float16
            model = model.to(dtype=dtype, device=self.args.device)
        model.eval()
        if hasattr(self.optimizer, "eval"):
            # Schedule-free optimizers have other weights for evaluation.
            self.optimizer.eval()  # type: ignore[union-attr]
        return model

    def train(self, *args: Any, **kwargs: Any) -> Any:
        """As in `Trainer`. Then the model's config knows how it was trained, for its card.

        Raises:
            PLMarkerError: for a training that diverged, so that its weights are not finite.
        """
        if self.model is not None:
            # The config's description of an earlier training is wrong for a model that is trained again.
            self._trained_config.training_run = None
        result = super().train(*args, **kwargs)
        diverged = weights_not_finite(self.model)  # type: ignore[arg-type]
        if diverged is not None:
            raise PLMarkerError(
                f"the training diverged: the weights {diverged!r} are not finite; try a lower learning_rate, now "
                f"{self.args.learning_rate:g}, or a longer warmup_steps"
            )
        if self.entity_types is not None and hasattr(self._trained_config, "entity_types"):
            self._trained_config.entity_types = self.entity_types
        entity = getattr(self.model, "entity", self.model)
        if getattr(entity, "pruner", None) is not None:
            self._tune_pruner(entity)
        self._trained_config.training_run = self._training_run()
        return result

    def _tune_pruner(self, model: Any) -> None:
        """Choose the pruner's threshold on the evaluation set, the first one of several."""
        rows: Any = next(iter(self.eval_dataset.values())) if isinstance(self.eval_dataset, dict) else self.eval_dataset
        if rows is None:
            logger.warning("without eval_dataset the pruner has no threshold: all spans get markers; see tune_pruner")
            return
        found = tune_pruner(model, EvaluationDocuments(rows, model.config))
        logger.info(
            "pruner: %.1f spans a sentence get markers, and %.1f%% of the entities; Ent F1 %.1f, without it %.1f",
            found.spans, 100 * found.recall, 100 * found.f1, 100 * found.unpruned_f1,
        )  # fmt: skip

    def evaluate(self, eval_dataset: Any = None, *args: Any, **kwargs: Any) -> dict[str, float]:
        """As in `Trainer`. The card of a model that was trained here shows the figures of the Trainer's own set."""
        n_logs = len(self.state.log_history)
        metrics = super().evaluate(eval_dataset, *args, **kwargs)
        if eval_dataset is not None and not isinstance(eval_dataset, str):
            self._last_evaluated = eval_dataset
            if self.eval_dataset is not None:
                self._foreign_logs.update(range(n_logs, len(self.state.log_history)))
        if self.state.global_step and self._trained_config.training_run is not None:
            self._trained_config.training_run = self._training_run()
        return metrics

    def create_model_card(
        self,
        *args: Any,
        dataset: str | list[str] | None = None,
        license: str | None = None,
        tags: str | list[str] | None = None,
        **kwargs: Any,
    ) -> None:
        """Write the model's card beside it, unless somebody's own is there. `Trainer.push_to_hub` calls this.

        Args:
            dataset: the data that the model was trained on.
            license: the model's licence, by its name on the Hub.
            tags: further tags.
            args, kwargs: further arguments of `Trainer`, which have no place on the card.
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
        """The training as this Trainer knows it, see [`model_card`]."""
        split, metrics = self._figures()
        return {
            "encoder": self._parts[0].encoder_config._name_or_path,
            "split": split,
            "seed": self.args.seed,
            "entity_types": self.entity_types or getattr(self.task_config, "entity_types", None),
            "metrics": metrics,
            "hyperparameters": {
                "training": {
                    "learning_rate": self.args.learning_rate,
                    "epochs": round(self.state.epoch or 0.0, 2),
                    "steps": self.state.global_step,
                    "per_device_train_batch_size": self.args.per_device_train_batch_size,
                }
            },
        }

    def _figures(self) -> tuple[str, dict[str, float]]:
        """The split and the figures of the weights that there are now, by the names that cards have for them.

        They are those of the Trainer's own evaluation set, the first of several. `evaluate(other)` logs by the same
        names, and is left out where the Trainer has a set of its own.
        """
        evaluated: Any = self._last_evaluated if self.eval_dataset is None else self.eval_dataset
        prefix, split = "eval_", "evaluation"
        if isinstance(evaluated, Mapping):
            split = next(iter(evaluated))
            evaluated, prefix = evaluated[split], f"eval_{split}_"
        split = str(getattr(evaluated, "split", None) or split)
        logs = [
            log
            for number, log in enumerate(self.state.log_history)
            if f"{prefix}{self._tools.main_metric}" in log and number not in self._foreign_logs
        ]
        if self.args.load_best_model_at_end:
            logs = [log for log in logs if log.get("step") == self.state.best_global_step] or logs
        if not logs:
            return split, {}
        figures = logs[-1]
        source = "gold_" if figures.get(f"{prefix}rel_gold_entities", 1.0) == 1.0 else ""
        return split, {
            name.format(source=source): figures[f"{prefix}{key}"] for key, name in self._tools.card_metrics.items()
        }

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
            compute_objective: the objective, from the metrics of an evaluation. By default it is
                `metric_for_best_model`, or else `eval_ent_f1` or `eval_rel_strict_f1`, of the first evaluation set.
                transformers would add up all metrics, those by label too.
            n_trials: how many trials to run.
            direction: `maximize` or `minimize`; needed with `compute_objective`.
            kwargs: further arguments of `Trainer`.
        """
        main = self._tools.main_metric
        if isinstance(self.eval_dataset, Mapping):
            main = f"{next(iter(self.eval_dataset))}_{main}"
        metric = f"eval_{(self.args.metric_for_best_model or main).removeprefix('eval_')}"
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


def _made_by(model_init: Any) -> Any:
    """A model of `model_init`, which may take the trial that it is for. None without a function."""
    if model_init is None:
        return None
    return model_init(None) if inspect.signature(model_init).parameters else model_init()
