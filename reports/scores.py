"""What the scores of an evaluation say: precision and recall for each least score, and reliability."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .chart import BLUE, GREEN, RED, Line, Panel, chart
from .reliability import reliability_panel

# By kind of row, what `scores_of` gives.
Scores = Mapping[str, Sequence[tuple[float, ...]]]


def scores_picture(name: str, scores: Scores) -> str:
    """An SVG of three panels: precision, recall and F1 by the least score; precision over recall; reliability.

    Args:
        name: what was found.
        scores: `by_least_score` has the least score, precision, recall and F1 of each point. `bins` has the mean score,
            the share of right predictions and the number of predictions of each bin.

    Example:
        >>> scores = {"by_least_score": [(0.0, 0.5, 0.5, 0.5), (0.6, 1.0, 0.5, 2 / 3)], "bins": [(0.62, 1.0, 1)]}
        >>> "from 0.6: precision 100.0, recall 50.0, F1 66.7" in scores_picture("Ent", scores)
        True
    """
    rows = scores["by_least_score"]
    hints = [
        f"from {least:g}: precision {100 * p:.1f}, recall {100 * r:.1f}, F1 {100 * f1:.1f}" for least, p, r, f1 in rows
    ]
    by_score = [
        Line(kind, [(row[0], row[place]) for row in rows], color, hints)
        for place, (kind, color) in enumerate((("precision", RED), ("recall", BLUE), ("F1", GREEN)), start=1)
    ]
    curve = Line("", [(recall, precision) for _, precision, recall, _ in rows], BLUE, hints)
    panels = [
        Panel("least score", "share", by_score, has_ticks=True),
        Panel("recall", "precision", [curve], has_ticks=True),
        reliability_panel(name, [("", scores["bins"], BLUE)]),
    ]
    return chart(f"{name}: precision and recall by the least score, and reliability", panels)
