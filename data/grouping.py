"""Dividing the candidate spans of a sentence into training examples (paper, section 3.2)."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from typing import Any, Protocol

from ..modeling.configuration_plmarker import PLMarkerEntityConfig
from ..modeling.rows_plmarker import SpanRow
from ..modeling.span_tasks_plmarker import SpanTask
from ..modeling.task_plmarker import Task, slices
from ..modeling.windows_plmarker import Span, WordTokenizer


class Generator(Protocol):
    """The methods of a random number generator that grouping needs. `random.Random` has them."""

    def shuffle(self, items: list, /) -> None: ...

    def randrange(self, stop: int, /) -> int: ...


def training_rows(
    task: Task[Any, Any], document: Mapping[str, Any], tokenize: WordTokenizer, seed: int = 0
) -> list[Any]:
    """The rows of one document for training, its spans in groups as the config says.

    Args:
        seed: seed of a random grouping.
    """
    generators: dict[int, random.Random] = {}
    rows: list[Any] = task.rows(document, tokenize, training=True)
    for row in rows:
        if isinstance(task, SpanTask):
            _group(row, task.config, f"{seed} {row.doc_key}", generators)
    return rows


def _group(row: SpanRow, config: PLMarkerEntityConfig, seed: str, generators: dict[int, random.Random]) -> None:
    """Order the spans of a row by groups. A sentence draws its numbers by itself."""
    order: list[int] = []
    sizes: list[int] = []
    for first, stop in row.bounds:
        sentence = row.sentences[first]
        generator = generators.setdefault(sentence, random.Random(f"{seed} {sentence}"))
        places = list(zip(row.starts[first:stop], row.ends[first:stop], strict=True))
        for group in group_spans(places, config.max_pair_length, config.grouping, generator):
            order += [first + number for number in group]
            sizes.append(len(group))
    for item in fields(row):
        column = getattr(row, item.name)
        if item.name not in ("doc_key", "input_ids", "examples"):
            column[:] = [column[number] for number in order]
    row.examples[:] = sizes


def group_spans(
    places: Sequence[Span], size: int | None, grouping: str, generator: Generator, axis: int | None = None
) -> Iterator[list[int]]:
    """Divide spans into groups of at most `size`.

    The division changes no score. In training it decides which spans share an example, and so a batch.

    Args:
        places: first and last subword of each span, by start, then by end.
        size: None puts all into one group.
        grouping: `consecutive` keeps the order, `shuffle` draws one. `sort` orders by start or end, up or down; the
            generator chooses. `edge` sorts too, and puts spans with the same start (or end) into one group where they
            fit.
        axis: for `edge`, 0 sorts by starts and 1 by ends. None lets the generator choose.

    Yields:
        The numbers of the spans of each group.
    """
    order = list(range(len(places)))
    if grouping == "shuffle":
        generator.shuffle(order)
    if grouping in ("sort", "edge"):
        first = axis if axis is not None and grouping == "edge" else generator.randrange(2)
        descending = bool(generator.randrange(2))
        order.sort(key=lambda number: (places[number][first], places[number][1 - first]), reverse=descending)
        if grouping == "edge" and size is not None:
            yield from _slices_at_edges(order, [places[number][first] for number in order], size)
            return
    yield from slices(order, size)


def _slices_at_edges(items: list[int], edges: list[int], size: int) -> Iterator[list[int]]:
    """Slices of at most `size` items that are cut where the edge changes, if it changes at all."""
    start = 0
    while start < len(items):
        stop = min(start + size, len(items))
        cut = stop
        while start < cut < len(items) and edges[cut - 1] == edges[cut]:
            cut -= 1
        stop = cut if cut > start else stop
        yield items[start:stop]
        start = stop
