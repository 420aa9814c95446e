"""The pictures of price.py and sweep.py, as SVG."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import matplotlib

matplotlib.use("svg")
# Words stay words, and two runs that measure the same draw the same.
matplotlib.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "plmarker", "font.size": 9})
from matplotlib import pyplot  # noqa: E402

METADATA = {"Date": None}


def draw_bars(file: Path, ratios: Mapping[str, float]) -> None:
    """Throughput of each model as a share of the token classifier's.

    Args:
        ratios: the share by the name of the model.
    """
    figure, axes = pyplot.subplots(figsize=(6, 0.4 * len(ratios) + 1), layout="constrained")
    names, values = list(ratios)[::-1], list(ratios.values())[::-1]
    bars = axes.barh(names, values, color="#4477aa")
    axes.bar_label(bars, [f" {value:.2f}" for value in values])
    axes.axvline(1.0, color="#888888", linestyle="--")
    axes.set_xlabel("throughput, token classifier = 1")
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(file, metadata=METADATA)
    pyplot.close(figure)


def draw_lines(file: Path, panels: Mapping[str, Mapping[str, Mapping[int, float]]], label: str) -> None:
    """Some panels of lines over a logarithmic axis.

    Args:
        panels: by the label of the horizontal axis: the values of each line, by their place on that axis.
        label: the label of the vertical axis.
    """
    figure, all_axes = pyplot.subplots(
        1, len(panels), figsize=(4 * len(panels), 3), layout="constrained", squeeze=False
    )
    for axes, (title, lines) in zip(all_axes[0], panels.items(), strict=True):
        for name, points in lines.items():
            axes.plot(list(points), list(points.values()), marker="o", markersize=3, label=name)
        axes.set_xscale("log", base=2)
        places = sorted({place for points in lines.values() for place in points})
        axes.set_xticks(places, [str(place) for place in places])
        axes.set_ylim(bottom=0)
        axes.set_xlabel(title)
        axes.set_ylabel(label)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False)
    figure.savefig(file, metadata=METADATA)
    pyplot.close(figure)
