"""Reliability pictures: how often predictions of a score are right."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .chart import BLUE, RED, Line, Panel, chart

# Mean score, share of right predictions, and number of predictions.
Bins = Sequence[tuple[float, float, int]]


def reliability_picture(tasks: Mapping[str, Mapping[str, Bins]]) -> str:
    """An SVG with a panel for each task: shares of right predictions over scores, before and after calibration.

    Args:
        tasks: for each task the bins of `before` and `after`. Points on the diagonal are calibrated.
    """
    panels = [
        Panel(
            f"score of {name}",
            "share that is right",
            [
                Line(
                    kind,
                    [(score, right) for score, right, _ in kinds[kind]],
                    color,
                    [f"{count} predictions" for *_, count in kinds[kind]],
                )
                for kind, color in (("before", RED), ("after", BLUE))
            ],
            diagonal=True,
        )
        for name, kinds in tasks.items()
    ]
    return chart(f"Reliability of {', '.join(tasks)}", panels)
