"""Dividing the candidate spans of a window into training examples (paper, section 3.2)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Protocol, TypeVar

from .windows_plmarker import Span

Item = TypeVar("Item")


class Generator(Protocol):
    """The methods of a random number generator that grouping needs. `random.Random` has them."""

    def shuffle(self, items: list, /) -> None: ...

    def randrange(self, stop: int, /) -> int: ...


@dataclass(frozen=True)
class Candidate:
    """A span to score.

    Args:
        start, end: its first and last subword in the window.
        words: its first and last word in the document.
        is_part: whether it ends inside its last word.
    """

    start: int
    end: int
    words: Span
    is_part: bool = False


def group_spans(
    spans: Sequence[Candidate], size: int | None, grouping: str, generator: Generator, axis: int | None = None
) -> Iterator[list[Candidate]]:
    """Divide spans into groups of at most `size`.

    The division changes no score. In training it decides which spans share an example, and so a batch.

    Args:
        spans: by start, then by end.
        size: None puts all into one group.
        grouping: `consecutive` keeps the order, `shuffle` draws one. `sort` orders by start or end, up or down; the
            generator chooses. `edge` sorts too, and puts spans with the same start (or end) into one group where they
            fit.
        axis: for `edge`, 0 sorts by starts and 1 by ends. None lets the generator choose.
    """
    spans = list(spans)
    if grouping == "shuffle":
        generator.shuffle(spans)
    if grouping in ("sort", "edge"):
        first = axis if axis is not None and grouping == "edge" else generator.randrange(2)
        descending = bool(generator.randrange(2))
        places = [(span.start, span.end) for span in spans]
        order = sorted(
            range(len(spans)), key=lambda number: (places[number][first], places[number][1 - first]), reverse=descending
        )
        spans = [spans[number] for number in order]
        if grouping == "edge" and size is not None:
            yield from _slices_at_edges(spans, [places[number][first] for number in order], size)
            return
    yield from slices(spans, size)


def _slices_at_edges(spans: list[Candidate], edges: list[int], size: int) -> Iterator[list[Candidate]]:
    """Slices of at most `size` spans that are cut where the edge changes, if it changes at all."""
    start = 0
    while start < len(spans):
        stop = min(start + size, len(spans))
        cut = stop
        while start < cut < len(spans) and edges[cut - 1] == edges[cut]:
            cut -= 1
        stop = cut if cut > start else stop
        yield spans[start:stop]
        start = stop


def slices(items: Sequence[Item], size: int | None) -> Iterator[list[Item]]:
    """Consecutive slices of at most `size` items; all in one for None."""
    iterator = iter(items)
    while group := list(islice(iterator, size)):
        yield group
