"""Mistakes in training arguments, found before anything is trained."""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Iterable
from typing import Any

from transformers import Trainer, TrainingArguments
from transformers.integrations import get_reporting_integration_callbacks
from transformers.trainer_utils import IntervalStrategy, SaveStrategy

from ..modeling.schema_plmarker import PLMarkerError, one_line
from ..modeling.task_plmarker import Task
from .tasks import tools_for

# Fields of TrainingArguments that would change nothing or something else here: the values that are refused, and why.
REFUSED: dict[str, tuple[Callable[[Any], bool], str]] = {
    "label_smoothing_factor": (bool, "the losses of several heads, with a weight for NIL, have no label smoothing"),
    "neftune_noise_alpha": (bool, "a row of several windows has no length that the noise could be scaled by"),
    "batch_eval_metrics": (bool, "evaluation counts document by document already, and keeps no logits"),
    "include_for_metrics": (bool, "compute_metrics gets logits and labels alone"),
    "train_sampling_strategy": (
        lambda value: str(getattr(value, "value", value)) not in ("random", "sequential"),
        "nothing is padded; batch_tokens makes batches of equal size",
    ),
    "deepspeed": (bool, "the text pass and the marker pass of one step call the encoder twice, which was not tried"),
    "fsdp": (bool, "the text pass and the marker pass of one step call the encoder twice, which was not tried"),
}
# The least value of a number, and the value that it stays below.
RANGES: dict[str, tuple[float, float]] = {
    **dict.fromkeys(("learning_rate", "weight_decay", "warmup_steps", "adam_epsilon"), (0, math.inf)),
    "dataloader_num_workers": (0, math.inf),
    **dict.fromkeys(("adam_beta1", "adam_beta2"), (0, 1)),
    **dict.fromkeys(("per_device_train_batch_size", "per_device_eval_batch_size"), (1, math.inf)),
    "gradient_accumulation_steps": (1, math.inf),
}
# Names of fields in earlier versions of transformers, and the names of today.
FORMER_NAMES = {
    "evaluation_strategy": "eval_strategy",
    "group_by_length": "train_sampling_strategy",
    "warmup_ratio": "warmup_steps (a fraction below 1 is a share of all steps)",
    "no_cuda": "use_cpu",
    "per_gpu_train_batch_size": "per_device_train_batch_size",
    "per_gpu_eval_batch_size": "per_device_eval_batch_size",
    "push_to_hub_model_id": "hub_model_id",
    "use_mps_device": "use_cpu: false",
    "tpu_metrics_debug": "debug",
    "evaluate_during_training": "eval_strategy",
}
# Figures that Trainer itself adds to every evaluation.
TRAINER_METRICS = ("loss", "runtime", "samples_per_second", "steps_per_second")


def hint_for_field(name: str, fields: Iterable[str]) -> str:
    """What a user may have meant by a name that is no field of TrainingArguments; empty where nothing is near."""
    if name in FORMER_NAMES:
        return f"; it is now {FORMER_NAMES[name]}"
    near = difflib.get_close_matches(name, list(fields), n=1)
    return f"; did you mean {near[0]}?" if near else ""


def refuse_fields(values: dict[str, Any]) -> None:
    """Raise `PLMarkerError` for a value in `REFUSED`."""
    for name, (is_refused, reason) in REFUSED.items():
        if name in values and is_refused(values[name]):
            raise PLMarkerError(f"PLMarkerTrainer refuses {name}={values[name]!r}: {reason}")


def check_arguments(
    args: TrainingArguments, task: Task[Any, Any], sets: Iterable[str] = (), further_metrics: bool = False
) -> None:
    """Check what can be checked before training.

    Args:
        args: the arguments of the training.
        task: the task of the model.
        sets: the names of the evaluation sets, where they have names.
        further_metrics: whether a function of the user adds metrics, whose names are unknown.

    Raises:
        PLMarkerError: for refused fields, numbers out of their range, no training time, a metric that the task does not
            have, and an optimizer or a report that needs a package that is not installed.
    """
    refuse_fields({name: getattr(args, name, None) for name in REFUSED})
    for name, (least, limit) in RANGES.items():
        value = getattr(args, name)
        if value is not None and not least <= value < limit:
            raise PLMarkerError(f"{name} is a number from {least:g} to below {limit:g}, got {value}")
    if args.max_grad_norm is not None and math.isnan(args.max_grad_norm):
        raise PLMarkerError("max_grad_norm is a number, got nan")
    for name in ("eval", "save", "logging"):
        steps = getattr(args, f"{name}_steps")
        if getattr(args, f"{name}_strategy") == IntervalStrategy.STEPS and not 0 < (steps or 0) < math.inf:
            raise PLMarkerError(f"{name}_steps is a number above 0, got {steps}")
    if args.max_steps <= 0 and not 0 < args.num_train_epochs < math.inf:
        raise PLMarkerError(f"num_train_epochs is above 0, got {args.num_train_epochs:g}; or set max_steps")
    if args.load_best_model_at_end and args.save_strategy == SaveStrategy.NO:
        raise PLMarkerError("load_best_model_at_end needs checkpoints, but save_strategy is no")
    # Without load_best_model_at_end some schedulers set the metric to "loss".
    chooses = args.load_best_model_at_end or args.metric_for_best_model not in (None, "loss")
    if args.metric_for_best_model is not None and chooses and not further_metrics:
        check_metric(args.metric_for_best_model, task, list(sets))
    try:
        Trainer.get_optimizer_cls_and_kwargs(args)
    except (ImportError, ValueError, RuntimeError) as error:
        raise PLMarkerError(f"optim={getattr(args.optim, 'value', args.optim)!s}: {one_line(error)}") from None
    for report in [args.report_to] if isinstance(args.report_to, str) else args.report_to or []:
        try:
            for callback in get_reporting_integration_callbacks([report]):
                callback()
        except (ImportError, ValueError, RuntimeError, AssertionError, KeyError) as error:
            raise PLMarkerError(f"report_to={report}: {one_line(error)}") from None


def check_metric(metric: str, task: Task[Any, Any], sets: list[str]) -> None:
    """Raise `PLMarkerError` for a `metric_for_best_model` that the evaluation of a task does not give."""
    evaluator = tools_for(task).evaluator(task)
    known = [*evaluator.compute(), *evaluator.given(), *TRAINER_METRICS]
    name = metric.removeprefix("eval_")
    if sets:
        chosen = next((place for place in sets if name.startswith(f"{place}_")), None)
        if chosen is None:
            raise PLMarkerError(
                f"metric_for_best_model is {name!r}, but the evaluation sets are {', '.join(sets)}: "
                f"name one of them, as in '{sets[0]}_{name}'"
            )
        name = name.removeprefix(f"{chosen}_")
    figure, _, label = name.partition("/")
    labels = task.config.schema.relation_labels if figure.startswith("rel") else task.config.schema.entity_labels
    if label and figure in known and label not in labels:
        raise PLMarkerError(f"metric_for_best_model is {name!r}, but the labels are {', '.join(labels)}")
    if name not in known and figure not in known:
        shown = [key for key in known if "/" not in key and key not in TRAINER_METRICS[1:]]
        raise PLMarkerError(
            f"metric_for_best_model is {name!r}, which the evaluation of {tools_for(task).name} does not give; "
            f"it gives {', '.join(shown)}, and by label such as {tools_for(task).main_metric}/LABEL"
        )
