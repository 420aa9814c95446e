"""Counts of gold, predicted and correct items, and the figures from them. This file needs only Python."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from statistics import fmean


@dataclass
class Score:
    """Counts of gold, predicted and correct items, for each label."""

    gold: Counter[str] = field(default_factory=Counter)
    predicted: Counter[str] = field(default_factory=Counter)
    correct: Counter[str] = field(default_factory=Counter)

    def add(self, gold: Iterable[str], predicted: Iterable[str], correct: Iterable[str]) -> None:
        """Count the labels of some items."""
        for counter, labels in ((self.gold, gold), (self.predicted, predicted), (self.correct, correct)):
            counter.update(labels)

    def merge(self, other: Score) -> None:
        """Add the counts of another process."""
        self.add(other.gold, other.predicted, other.correct)

    def figures(self, label: str | None = None) -> tuple[float, float, float]:
        """Precision, recall and F1 as fractions, of one label or of all labels. A figure without any item is 0."""
        gold, predicted, correct = (
            counter.total() if label is None else counter[label]
            for counter in (self.gold, self.predicted, self.correct)
        )
        precision = correct / predicted if predicted else 0.0
        recall = correct / gold if gold else 0.0
        return precision, recall, 2 * correct / (predicted + gold) if correct else 0.0

    @property
    def labels(self) -> list[str]:
        """All labels that occur, sorted."""
        return sorted(self.gold | self.predicted)

    def macro_f1(self) -> float:
        """Mean F1 of the labels that occur. Without any label it is 0."""
        return fmean(self.figures(label)[2] for label in self.labels) if self.labels else 0.0

    def metrics(self, name: str, by_label: bool = True) -> dict[str, float]:
        """`NAME_precision`, `NAME_recall`, `NAME_f1`, and `NAME_f1/LABEL` for each label that occurs."""
        metrics = dict(zip((f"{name}_precision", f"{name}_recall", f"{name}_f1"), self.figures(), strict=True))
        if by_label:
            for label in self.labels:
                metrics[f"{name}_f1/{label}"] = self.figures(label)[2]
        return metrics
