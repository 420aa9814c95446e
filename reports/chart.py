"""Small line charts as SVG, drawn without a plotting library."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass, field

SIZE, MARGIN = 220, 46
RED, BLUE, GREEN = "#b3261e", "#1b6fb3", "#2e7d32"
GREY = "#889"


@dataclass
class Line:
    """One line of a panel.

    Args:
        name: its name in the panel.
        points: x and y of each point, in the units of the panel.
        color: a CSS colour.
        hints: a text for each point, shown where the mouse rests on it; may be empty.
    """

    name: str
    points: Sequence[tuple[float, float]]
    color: str
    hints: Sequence[str] = ()


@dataclass
class Panel:
    """A square with axes and lines.

    Args:
        x_title, y_title: what the axes show.
        lines: the lines; all points lie in the ranges.
        x_range, y_range: the smallest and the largest value of each axis.
        diagonal: draw the line from the lower left to the upper right corner.
        has_ticks: write the ends of the ranges at the axes.
    """

    x_title: str
    y_title: str
    lines: Sequence[Line] = field(default_factory=list)
    x_range: tuple[float, float] = (0.0, 1.0)
    y_range: tuple[float, float] = (0.0, 1.0)
    diagonal: bool = False
    has_ticks: bool = False


def chart(title: str, panels: Sequence[Panel]) -> str:
    """An SVG with the panels side by side.

    Each point is a `<circle>` with its hint as `<title>`.

    Args:
        title: the title that screen readers read.
        panels: what is drawn.

    Example:
        >>> line = Line("F1", [(1, 0.4), (2, 0.6)], BLUE)
        >>> chart("A training", [Panel("epoch", "F1", [line], x_range=(0, 2))]).count("<circle")
        2
    """
    width = len(panels) * (SIZE + MARGIN) + MARGIN
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {SIZE + MARGIN}" role="img"'
        ' font-family="system-ui, sans-serif" font-size="11">',
        f"<title>{html.escape(title)}</title>",
        '<rect width="100%" height="100%" fill="#fff"/>',
    ]
    for number, panel in enumerate(panels):
        parts.append(f'<g transform="translate({MARGIN + number * (SIZE + MARGIN)} {MARGIN / 2})">')
        parts += _panel(panel)
        parts.append("</g>")
    return "\n".join([*parts, "</svg>"]) + "\n"


def _panel(panel: Panel) -> list[str]:
    parts = [f'<rect width="{SIZE}" height="{SIZE}" fill="none" stroke="{GREY}"/>']
    if panel.diagonal:
        parts.append(f'<path d="M0 {SIZE}L{SIZE} 0" stroke="{GREY}" stroke-dasharray="4 3"/>')
    for line in panel.lines:
        places = [(SIZE * _share(x, panel.x_range), SIZE * (1 - _share(y, panel.y_range))) for x, y in line.points]
        joined = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        parts.append(f'<polyline points="{joined}" fill="none" stroke="{line.color}" stroke-width="2"/>')
        for index, (x, y) in enumerate(places):
            hint = f"<title>{html.escape(line.hints[index])}</title>" if line.hints else ""
            parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{line.color}">{hint}</circle>')
    middle = SIZE / 2
    turned = f'text-anchor="middle" transform="rotate(-90 -10 {middle})"'
    parts.append(f'<text x="{middle}" y="{SIZE + 16}" text-anchor="middle">{html.escape(panel.x_title)}</text>')
    parts.append(f'<text x="-10" y="{middle}" {turned}>{html.escape(panel.y_title)}</text>')
    if panel.has_ticks:
        (left, right), (bottom, top) = panel.x_range, panel.y_range
        parts.append(f'<text x="0" y="{SIZE + 16}">{left:.3g}</text>')
        parts.append(f'<text x="{SIZE}" y="{SIZE + 16}" text-anchor="end">{right:.3g}</text>')
        parts.append(f'<text x="-4" y="{SIZE}" text-anchor="end">{bottom:.3g}</text>')
        parts.append(f'<text x="-4" y="9" text-anchor="end">{top:.3g}</text>')
    parts += [
        # A white edge keeps the name readable above a line.
        f'<text x="8" y="{16 + 14 * index}" fill="{line.color}" stroke="#fff" stroke-width="3" paint-order="stroke">'
        f"{html.escape(line.name)}</text>"
        for index, line in enumerate(panel.lines)
    ]
    return parts


def _share(value: float, ends: tuple[float, float]) -> float:
    """How far a value is from the first end of a range to the second, from 0 to 1."""
    first, last = ends
    return (value - first) / (last - first) if last > first else 0.5
