"""Figures as tables for a terminal."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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
# Entities with the types of the relation model, where it finds a relation (the original's `ner_f1`).
RETYPED_ROWS = (
    ("retyped_ent_f1", "Types predicted entities"),
    ("gold_retyped_ent_f1", "Types gold entities"),
)


@dataclass
class Table:
    """A table of figures. As a string it is plain text in columns.

    Args:
        columns: names of the columns behind the first one.
        rows: the name of each row, and its cells.
        title: a line above the table.
        widths: characters of the first column and of the others.
        corner: name of the first column.
    """

    columns: Sequence[str]
    rows: Sequence[tuple[str, Sequence[str]]]
    title: str = ""
    widths: tuple[int, int] = (26, 10)
    corner: str = ""

    def __str__(self) -> str:
        lines = [self.title] if self.title else []
        lines += [self._line(self.corner, self.columns)] if any(self.columns) else []
        # Below a title, rows are indented.
        indent = "  " if self.title else ""
        return "\n".join([*lines, *(self._line(indent + name, cells) for name, cells in self.rows)])

    def to_page(self) -> dict[str, Any]:
        """The table as `evaluation_page` takes it."""
        rows = [[name, *cells] for name, cells in self.rows]
        return {"caption": self.title or self.corner, "head": ["", *self.columns], "rows": rows}

    def _line(self, name: str, cells: Sequence[str]) -> str:
        first, other = self.widths
        return (f"{name:<{first}}" + "".join(f"{cell:>{other}}" for cell in cells)).rstrip()


def figures_tables(metrics: Metrics) -> list[Table]:
    """Precision, recall and F1 of Ent, Rel and Rel+ in percent, F1 of re-typed entities, then F1 by label."""
    names = [(title, name) for name, title in ROWS if f"{name}_f1" in metrics]
    rows = [
        (title, [_percent(metrics[f"{name}_{figure}"]) for figure in ("precision", "recall", "f1")])
        for title, name in names
    ]
    rows += [(title, ["", "", _percent(metrics[name])]) for name, title in RETYPED_ROWS if name in metrics]
    tables = [Table(("P", "R", "F1"), rows)]
    for title, name in names:
        prefix = f"{name}_f1/"
        labels = [key.removeprefix(prefix) for key in metrics if key.startswith(prefix)]
        if labels:
            by_label = [(label, ["", "", _percent(metrics[prefix + label])]) for label in labels]
            tables.append(Table(("", "", ""), by_label, f"{title}, F1 by label"))
    return tables


def pruner_line(metrics: Metrics) -> str:
    """What the pruner of an entity model keeps, and what it costs; empty for a model without a pruner."""
    if "pruner_spans" not in metrics:
        return ""
    line = f"pruner: {metrics['pruner_spans']:.1f} spans a sentence get markers"
    line += f", and {_percent(metrics['pruner_recall'])}% of the entities"
    if "unpruned_ent_f1" in metrics:
        line += f"; Ent F1 with markers for all spans {_percent(metrics['unpruned_ent_f1'])}"
    return line


def errors_tables(errors: Mapping[str, Counter[str]]) -> list[Table]:
    """Errors by kind, the most frequent first."""
    return [
        Table(
            ("",),
            [(kind, [str(count)]) for kind, count in kinds.most_common()],
            f"{TITLES[name]}, errors by kind",
            widths=(32, 6),
        )
        for name, kinds in errors.items()
        if kinds
    ]


def constraints_tables(changes: Mapping[str, ConstraintChanges], metrics: Metrics) -> list[Table]:
    """What each constraint removed or changed, how much of it was right, and F1 without and with the constraints."""
    tables = []
    for source, found in changes.items():
        prefix = "gold_" if source.startswith("gold") else ""
        names = ("removed", "removed_right", "changed", "changed_right")
        rows = [(f"{row['label']} {row['constraint']}", [str(row[name]) for name in names]) for row in found.rows()]
        added = (str(found.added["added"]), str(found.added["added_right"]))
        tables.append(Table(("removed", "right", "changed", "right"), rows, corner=f"Constraints, {source}"))
        tables.append(Table(("added", "right"), [("relations added", added)], corner=f"Constraints, {source}"))
        figures = [
            (title, [_percent(metrics[f"{prefix}{kind}{name}_f1"]) for kind in ("unconstrained_", "")])
            for name, title in (("rel", "Rel F1"), ("rel_strict", "Rel+ F1"))
        ]
        tables.append(Table(("without", "with"), figures, corner=f"Constraints, {source}"))
    return tables


def false_relations_table(found: Mapping[tuple[str, str], FalseRelations]) -> Table:
    """The share of sentences without a relation in which a model returns one, in percent, by the least score."""
    rows = []
    for (kind, source), false in found.items():
        shares = [false.share(value) for value in THRESHOLDS]
        cells = [str(len(false.best)), *("-" if share is None else _percent(share) for share in shares)]
        rows.append((f"{kind}, {source}", cells))
    heads = ["sentences", *(f"from {value}" if value else "all" for value in THRESHOLDS)]
    return Table(heads, rows, corner="Sentences with a false relation, in percent", widths=(50, 10))


def runs_table(metrics_of_runs: Mapping[str, Metrics]) -> Table:
    """F1 in percent for each run, by seed or fold, with mean and standard deviation."""
    runs = list(metrics_of_runs)
    rows = []
    for name, title in ROWS:
        values = [metrics[f"{name}_f1"] for metrics in metrics_of_runs.values() if f"{name}_f1" in metrics]
        if len(values) == len(runs):
            summary = [statistics.mean(values), statistics.stdev(values)]
            rows.append((title, [_percent(value) for value in (*values, *summary)]))
    return Table([*runs, "mean", "deviation"], rows, corner="F1")


def reported_line(reported: Mapping[str, Any]) -> str:
    """The published figures of an experiment."""
    names = {"ent_f1": "Ent", "rel_f1": "Rel", "rel_strict_f1": "Rel+"}
    figures = ", ".join(f"{names[key]} {value}" for key, value in reported.items() if key in names)
    return f"published: {figures} ({reported.get('source', 'no source given')})"


def _percent(fraction: float) -> str:
    return f"{100 * fraction:.1f}"
