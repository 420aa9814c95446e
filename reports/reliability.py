"""Reliability as a picture: how often predictions of a score are right."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from .chart import BLUE, RED, Line, Panel, chart

# Mean score, share of right predictions, and number of predictions.
Bins = Sequence[tuple[float, ...]]


def reliability_picture(tasks: Mapping[str, Mapping[str, Bins]]) -> str:
    """An SVG with one square for each task: the share of right predictions over their score.

    Args:
        tasks: for each task the bins of `before` and `after`. Points on the diagonal are calibrated.
    """
    panels = [
        reliability_panel(name, [("before", kinds["before"], RED), ("after", kinds["after"], BLUE)])
        for name, kinds in tasks.items()
    ]
    return chart(f"Reliability of {', '.join(tasks)}", panels)


def reliability_panel(name: str, lines: Iterable[tuple[str, Bins, str]]) -> Panel:
    """A square with the share of right predictions over their score.

    Args:
        name: what was predicted.
        lines: name, bins and colour of each line.
    """
    drawn = [
        Line(
            kind,
            [(score, right) for score, right, _ in bins],
            color,
            [f"score {score:.2f}, {100 * right:.1f} % of {count} are right" for score, right, count in bins],
        )
        for kind, bins, color in lines
    ]
    return Panel(f"score of {name}", "share that is right", drawn, diagonal=True, has_ticks=True)
