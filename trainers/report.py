"""Figures as tables for a terminal."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

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


def _line(title: str, cells: Sequence[str] | map[str]) -> str:
    return (f"{title:<26}" + "".join(f"{cell:>10}" for cell in cells)).rstrip()
