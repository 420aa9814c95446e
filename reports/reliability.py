"""Reliability pictures: how often predictions of a score are right."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence

SIZE, MARGIN = 220, 46
# Mean score, share of right predictions, and number of predictions.
Bins = Sequence[tuple[float, float, int]]


def reliability_picture(tasks: Mapping[str, Mapping[str, Bins]]) -> str:
    """An SVG with a panel for each task: shares of right predictions over scores, before and after calibration.

    Args:
        tasks: for each task the bins of `before` and `after`. Points on the diagonal are calibrated.
    """
    width = len(tasks) * (SIZE + MARGIN) + MARGIN
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {SIZE + 2 * MARGIN}" role="img"'
        ' font-family="system-ui, sans-serif" font-size="11">',
        f"<title>Reliability of {html.escape(', '.join(tasks))}</title>",
        '<rect width="100%" height="100%" fill="#fff"/>',
    ]
    for number, (name, kinds) in enumerate(tasks.items()):
        left, top = MARGIN + number * (SIZE + MARGIN), MARGIN / 2
        parts.append(f'<g transform="translate({left} {top})">')
        parts.append(f'<rect width="{SIZE}" height="{SIZE}" fill="none" stroke="#889"/>')
        parts.append(f'<path d="M0 {SIZE}L{SIZE} 0" stroke="#889" stroke-dasharray="4 3"/>')
        for kind, color in (("before", "#b3261e"), ("after", "#1b6fb3")):
            points = [(score * SIZE, (1 - right) * SIZE, count) for score, right, count in kinds[kind]]
            line = " ".join(f"{x:.1f},{y:.1f}" for x, y, _ in points)
            parts.append(f'<polyline points="{line}" fill="none" stroke="{color}" stroke-width="2"/>')
            for x, y, count in points:
                dot = f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{color}">'
                parts.append(f"{dot}<title>{count} predictions</title></circle>")
        middle = SIZE / 2
        turned = f'text-anchor="middle" transform="rotate(-90 -10 {middle})"'
        parts.append(f'<text x="{middle}" y="{SIZE + 16}" text-anchor="middle">score of {html.escape(name)}</text>')
        parts.append(f'<text x="-10" y="{middle}" {turned}>share that is right</text>')
        parts.append('<text x="8" y="16" fill="#b3261e">before</text>')
        parts.append('<text x="8" y="30" fill="#1b6fb3">after</text></g>')
    return "\n".join([*parts, "</svg>"]) + "\n"
