"""The ways of reading that there are, and which of them a model has."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .configuration_plmarker import PLMarkerConfig, PLMarkerTaskConfig
from .joint_plmarker import JointTask
from .pair_tasks_plmarker import LevitatedPairTask, SharedTask, SubjectTask
from .schema_plmarker import PLMarkerError
from .span_tasks_plmarker import SpanTask, TagTask
from .task_plmarker import Task

# By the model type and the value of the field that chooses a way of reading.
TASKS: dict[tuple[str, str], type[Task[Any, Any]]] = {
    ("plmarker-ner", "marker"): SpanTask,
    ("plmarker-ner", "t-concat"): SpanTask,
    ("plmarker-ner", "bio"): TagTask,
    ("plmarker-re", "solid"): SubjectTask,
    ("plmarker-re", "levitated"): LevitatedPairTask,
    ("plmarker-re", "shared"): SharedTask,
}
# Ways to imitate another implementation. `plmarker.original` puts its own here.
COMPAT_TASKS: dict[str, Callable[[Task[Any, Any]], Task[Any, Any]]] = {}


def task_of(config: PLMarkerTaskConfig | PLMarkerConfig) -> Task[Any, Any]:
    """The task of a model: of one task, or combined with a shared encoder.

    Raises:
        PLMarkerError: for `compat` where the package that imitates the other implementation is missing.
    """
    if isinstance(config, PLMarkerConfig):
        spans, pairs = (task_of(part) for part in config.parts)
        return JointTask(config, spans, pairs)  # type: ignore[arg-type]
    choice = str(getattr(config, "method", None) or getattr(config, "subject_markers", ""))
    task = TASKS[config.model_type, choice](config)
    if config.compat is None:
        return task
    if config.compat not in COMPAT_TASKS:
        raise PLMarkerError(f"compat={config.compat!r} needs the package plmarker: import plmarker")
    return COMPAT_TASKS[config.compat](task)
