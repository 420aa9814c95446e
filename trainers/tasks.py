"""The figures and the coverage of each task, in one table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..data.coverage import Coverage, entity_coverage, joint_coverage, relation_coverage
from ..modeling.joint_plmarker import JointTask
from ..modeling.pair_tasks_plmarker import PairTask
from ..modeling.span_tasks_plmarker import SpanTask
from ..modeling.task_plmarker import Task
from .evaluator import EntityEvaluator, Evaluator, JointEvaluator, RelationEvaluator
from .findings import Findings, entity_findings, matched_entities, matched_relations, relation_findings


@dataclass(frozen=True)
class TaskTools:
    """The tools for a task.

    Args:
        name: what the task finds.
        main_metric: the default of `metric_for_best_model`.
        card_metrics: the figures that a model's card shows, and their names there. `{source}` is empty for predicted
            entities and `gold_` for gold entities.
        evaluator: makes the evaluator of a task.
        coverage: counts the annotations of a document that no candidate can match.
        findings: what is found in a document, and what of it is right. None where each part of a model has its own.
        matched: the same, from what an evaluator has decoded.
    """

    name: str
    main_metric: str
    card_metrics: dict[str, str]
    evaluator: Callable[..., Evaluator]
    coverage: Callable[..., Coverage]
    findings: Callable[..., Findings] | None = None
    matched: Callable[..., Findings] | None = None


TOOLS: dict[type[Task[Any, Any]], TaskTools] = {
    SpanTask: TaskTools(
        "entities",
        "ent_f1",
        {"ent_f1": "ent_f1"},
        EntityEvaluator,
        entity_coverage,
        entity_findings,
        matched_entities,
    ),
    PairTask: TaskTools(
        "relations",
        "rel_strict_f1",
        {"rel_f1": "{source}rel_f1", "rel_strict_f1": "{source}rel_strict_f1"},
        RelationEvaluator,
        relation_coverage,
        relation_findings,
        matched_relations,
    ),
    JointTask: TaskTools(
        "entities and relations",
        "rel_strict_f1",
        {"ent_f1": "ent_f1", "rel_f1": "rel_f1", "rel_strict_f1": "rel_strict_f1"},
        JointEvaluator,
        joint_coverage,
    ),
}


def tools_for(task: Task[Any, Any]) -> TaskTools:
    """The tools for a task."""
    return next(tools for kind, tools in TOOLS.items() if isinstance(task, kind))
