"""Figures as tables for a terminal."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from .constraint_changes import ConstraintChanges
from .cooccurrence import THRESHOLDS, FalseRelations
from .metrics import Metrics

# Metric names and the rows of the table. Every relation figure names the entities that it joins.
ROWS = (
    ("ent", "Ent"),
    ("rel", "Rel   predicted entities"),
    ("rel_strict", "Rel+  predicted entities"),
    ("gold_rel", "Rel   gold entities"),
    ("gold_rel_strict", "Rel+  gold entities"),
)
TITLES = dict(ROWS)
# Width of the first column of the table of false relations.
FALSE_WIDTH = 44
# Entities with the types of the relation model, where it finds a relation (the original's `ner_f1`).
RETYPED_ROWS = (
    ("retyped_ent_f1", "Types predicted entities"),
    ("gold_retyped_ent_f1", "Types gold entities"),
)


def figures_table(metrics: Metrics) -> str:
    """Precision, recall and F1 of Ent, Rel and Rel+ in percent, F1 of re-typed entities, then F1 by label."""
    rows = [(title, name) for name, title in ROWS if f"{name}_f1" in metrics]
    lines = [_line("", ("P", "R", "F1"))]
    for title, name in rows:
        lines.append(_line(title, [_percent(metrics[f"{name}_{figure}"]) for figure in ("precision", "recall", "f1")]))
    for name, title in RETYPED_ROWS:
        if name in metrics:
            lines.append(_line(title, ["", "", _percent(metrics[name])]))
    for title, name in rows:
        prefix = f"{name}_f1/"
        labels = [key.removeprefix(prefix) for key in metrics if key.startswith(prefix)]
        if labels:
            lines += ["", f"{title}, F1 by label"]
            lines += [_line(f"  {label}", ["", "", _percent(metrics[prefix + label])]) for label in labels]
    return "\n".join(lines)


def pruner_line(metrics: Metrics) -> str:
    """What the pruner of an entity model keeps, and what it costs; empty for a model without a pruner."""
    if "pruner_spans" not in metrics:
        return ""
    line = f"pruner: {metrics['pruner_spans']:.1f} spans a sentence get markers"
    line += f", and {_percent(metrics['pruner_recall'])}% of the entities"
    if "unpruned_ent_f1" in metrics:
        line += f"; Ent F1 with markers for all spans {_percent(metrics['unpruned_ent_f1'])}"
    return line


def errors_table(errors: Mapping[str, Counter[str]]) -> str:
    """Errors by kind, the most frequent first."""
    lines: list[str] = []
    for name, kinds in errors.items():
        lines += ["", f"{TITLES[name]}, errors by kind"]
        lines += [f"  {kind:<30}{count:>6}" for kind, count in kinds.most_common()]
    return "\n".join(lines).lstrip("\n")


def constraints_table(changes: Mapping[str, ConstraintChanges], metrics: Metrics) -> str:
    """What each constraint removed or changed, how much of it was right, and F1 without and with the constraints."""
    lines: list[str] = []
    for source, found in changes.items():
        prefix = "gold_" if source.startswith("gold") else ""
        lines += ["", _line(f"Constraints, {source}", ("removed", "right", "changed", "right"))]
        for row in found.rows():
            cells = [str(row[name]) for name in ("removed", "removed_right", "changed", "changed_right")]
            lines.append(_line(f"  {row['label']} {row['constraint']}", cells))
        lines.append(f"  {found.added['added']} relations added, {found.added['added_right']} of them right")
        for name, title in (("rel", "Rel"), ("rel_strict", "Rel+")):
            before, after = (metrics[f"{prefix}{kind}{name}_f1"] for kind in ("unconstrained_", ""))
            lines.append(f"  {title} F1 without constraints {_percent(before)}, with them {_percent(after)}")
    return "\n".join(lines).lstrip("\n")


def false_relations_table(found: Mapping[tuple[str, str], FalseRelations]) -> str:
    """The share of sentences without a relation in which a model returns one, in percent, by the least score."""
    heads = [f"from {value}" if value else "all" for value in THRESHOLDS]
    lines = [_line("Sentences with a false relation, in percent", ("sentences", *heads), FALSE_WIDTH)]
    for (kind, source), false in found.items():
        shares = [false.share(value) for value in THRESHOLDS]
        cells = [str(len(false.best)), *("-" if share is None else _percent(share) for share in shares)]
        lines.append(_line(f"  {kind}, {source}", cells, FALSE_WIDTH))
    return "\n".join(lines)


def runs_table(metrics_of_runs: Mapping[str, Metrics]) -> str:
    """F1 in percent for each run, by seed or fold, with mean and standard deviation."""
    runs = list(metrics_of_runs)
    lines = [_line("F1", [*runs, "mean", "deviation"])]
    for name, title in ROWS:
        values = [metrics[f"{name}_f1"] for metrics in metrics_of_runs.values() if f"{name}_f1" in metrics]
        if len(values) == len(runs):
            summary = [statistics.mean(values), statistics.stdev(values)]
            lines.append(_line(title, map(_percent, [*values, *summary])))
    return "\n".join(lines)


def reported_line(reported: Mapping[str, Any]) -> str:
    """The published figures of an experiment."""
    names = {"ent_f1": "Ent", "rel_f1": "Rel", "rel_strict_f1": "Rel+"}
    figures = ", ".join(f"{names[key]} {value}" for key, value in reported.items() if key in names)
    return f"published: {figures} ({reported.get('source', 'no source given')})"


def _percent(fraction: float) -> str:
    return f"{100 * fraction:.1f}"


def _line(title: str, cells: Sequence[str] | map[str], width: int = 26) -> str:
    return (f"{title:<{width}}" + "".join(f"{cell:>10}" for cell in cells)).rstrip()
