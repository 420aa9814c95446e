"""Draw the statistics of a corpus."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..modeling.schema_plmarker import PLMarkerError
from .statistics import Statistics

# Largest number of bars in a chart. The last bar counts everything beyond it.
MAX_LABEL_BARS, MAX_VALUE_BARS = 20, 24


def draw_statistics(path: str | Path, splits: Mapping[str, Statistics], title: str = "") -> None:
    """Draw the entities by type and width, and the relations by type and distance.

    Each split has its own colour. Widths and distances are in words.

    Example:
        `draw_statistics("corpus.png", {"train": collect_statistics(documents)})`

    Args:
        path: the file. Its ending selects the image format, such as `.png` or `.svg`.
        splits: the statistics of each split.
        title: the title of the picture.

    Raises:
        PLMarkerError: if matplotlib is not installed, or if it does not support the ending.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise PLMarkerError("drawing needs the package matplotlib: pip install 'plmarker[corpora]'") from None
    has_relations = any(split.relation_labels for split in splits.values())
    figure = Figure(figsize=(12, 8 if has_relations else 4.5), layout="constrained")
    axes = figure.subplots(2 if has_relations else 1, 2, squeeze=False)
    _draw_labels(axes[0][0], "entities by type", {name: split.entity_labels for name, split in splits.items()})
    widths = {name: split.entity_widths for name, split in splits.items()}
    _draw_values(axes[0][1], "entities by width in words", widths, 1)
    if has_relations:
        _draw_labels(axes[1][0], "relations by type", {name: split.relation_labels for name, split in splits.items()})
        distances = {name: split.relation_distances for name, split in splits.items()}
        _draw_values(axes[1][1], "relations by distance in words", distances, 0)
    if title:
        figure.suptitle(_escape_dollars(title))
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        figure.savefig(path)
    except ValueError as error:
        raise PLMarkerError(f"{path}: matplotlib cannot write this file: {error}") from None


def _escape_dollars(text: str) -> str:
    """Escape dollar signs. matplotlib would draw the text between two of them as a formula."""
    return text.replace("$", r"\$")


def _draw_labels(axis: Any, title: str, counters: Mapping[str, Counter[str]]) -> None:
    """Draw a horizontal bar for each label, with the most frequent label at the top."""
    totals = sum(counters.values(), Counter())
    labels = [label for label, _ in sorted(totals.items(), key=lambda item: (-item[1], item[0]))]
    shown, rest = labels[:MAX_LABEL_BARS], labels[MAX_LABEL_BARS:]
    names = [*shown, *([f"{len(rest)} others"] if rest else [])]
    left = [0] * len(names)
    for split, counter in counters.items():
        counts = [counter[label] for label in shown] + ([sum(counter[label] for label in rest)] if rest else [])
        axis.barh(range(len(names)), counts, left=left, label=split)
        left = [before + count for before, count in zip(left, counts, strict=True)]
    axis.set_yticks(range(len(names)), [_escape_dollars(name) for name in names])
    axis.invert_yaxis()
    axis.set_title(title)
    axis.legend()


def _draw_values(axis: Any, title: str, counters: Mapping[str, Counter[int]], first: int) -> None:
    """Draw a vertical bar for each value from `first`. The last bar also counts all larger values."""
    last = first + MAX_VALUE_BARS - 1
    largest = max((max(counter, default=first) for counter in counters.values()), default=first)
    values = list(range(first, min(last, largest) + 1))
    bottom = [0] * len(values)
    for split, counter in counters.items():
        counts = [counter[value] for value in values]
        counts[-1] += sum(count for value, count in counter.items() if value > values[-1])
        axis.bar(values, counts, bottom=bottom, label=split)
        bottom = [before + count for before, count in zip(bottom, counts, strict=True)]
    ticks = values if len(values) <= 12 else [*values[:-2:2], values[-1]]
    names = [f"{value}+" if value == values[-1] and largest > value else str(value) for value in ticks]
    axis.set_xticks(ticks, names)
    axis.set_title(title)
    axis.legend()
