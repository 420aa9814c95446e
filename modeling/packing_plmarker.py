"""Features to packed rows: one sequence of tokens without padding, up to a token budget."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from .processing_plmarker import Feature

Row = dict[str, Tensor]


def split_by_tokens(features: Iterable[Feature], max_tokens: int | None) -> Iterator[list[Feature]]:
    """Cut features, in their order, into lists that make rows of at most `max_tokens` tokens.

    A feature that is longer by itself makes a row of its own; one without tokens is left out.

    Args:
        max_tokens: the budget; None puts everything into one row.
    """
    batch: list[Feature] = []
    windows: set[tuple] = set()
    n_tokens = 0
    for feature in features:
        if not feature["input_ids"]:
            continue
        key = _window_key(feature)
        cost = feature["length"] - (_text_length(feature) if key in windows else 0)
        if batch and max_tokens is not None and n_tokens + cost > max_tokens:
            yield batch
            batch, windows, n_tokens, cost = [], set(), 0, feature["length"]
        batch.append(feature)
        windows.add(key)
        n_tokens += cost
    if batch:
        yield batch


def entity_row(features: Sequence[Feature], marker_ids: Sequence[int]) -> Row:
    """Pack features of the entity model into one row; windows with the same text in one document share it.

    Args:
        features: as `entity_features` makes them.
        marker_ids: ids of the start and the end marker.

    Returns:
        `input_ids`, `position_ids` of shape (1, tokens); `window_lengths` (windows, 2), text and marker tokens;
        `span_index` (spans, 4), where in the row the start marker, the end marker, the first and the last subword
        stand; `labels` (spans,); spans in the order of the features.
    """
    texts = [feature["input_ids"] for feature in features]
    starts = [np.asarray(feature["span_starts"], dtype=np.int64) for feature in features]
    ends = [np.asarray(feature["span_ends"], dtype=np.int64) for feature in features]
    row, text_at, markers_at = _pack([_window_key(f) for f in features], texts, starts, ends, marker_ids)
    index = []
    for text, markers, start, end in zip(text_at, markers_at, starts, ends, strict=True):
        first_marker = markers + 2 * np.arange(len(start))
        index.append(np.stack([first_marker, first_marker + 1, text + start, text + end], axis=1))
    row["span_index"] = torch.from_numpy(np.concatenate(index))
    row["labels"] = _concatenate(features, "labels")
    return row


def relation_row(features: Sequence[Feature], marker_ids: Sequence[int]) -> Row:
    """Pack features of the relation model into one row, with the solid markers put into the text.

    Args:
        features: as `relation_features` makes them.
        marker_ids: ids of the two solid markers of the subject, then of the two levitated ones of an object.

    Returns:
        `input_ids`, `position_ids`, `window_lengths` as in `entity_row`; `subject_index` (objects, 2), where the
        solid markers of each object's subject stand; `object_index` (objects, 2), where its own markers stand;
        `labels` (objects,) and `object_labels` (objects,); objects in the order of the features.
    """
    texts: list[np.ndarray] = []
    starts: list[np.ndarray] = []
    ends: list[np.ndarray] = []
    solid: list[tuple[int, int]] = []
    for feature in features:
        text = np.asarray(feature["input_ids"], dtype=np.int64)
        first, last = feature["subject_start"], feature["subject_end"]
        if first < 0:
            first, last = len(text), len(text) - 1
        texts.append(np.insert(text, [first, last + 1], marker_ids[:2]))
        solid.append((first, last + 2))
        for shifted, name in ((starts, "object_starts"), (ends, "object_ends")):
            places = np.asarray(feature[name], dtype=np.int64)
            shifted.append(places + (places >= first) + (places > last))
    row, text_at, markers_at = _pack([_window_key(f) for f in features], texts, starts, ends, marker_ids[2:])
    subjects, objects = [], []
    for begin, markers, start, (open_marker, close_marker) in zip(text_at, markers_at, starts, solid, strict=True):
        first_marker = markers + 2 * np.arange(len(start))
        objects.append(np.stack([first_marker, first_marker + 1], axis=1))
        subjects.append(np.tile([[begin + open_marker, begin + close_marker]], (len(start), 1)))
    row["subject_index"] = torch.from_numpy(np.concatenate(subjects))
    row["object_index"] = torch.from_numpy(np.concatenate(objects))
    row["labels"] = _concatenate(features, "labels")
    row["object_labels"] = _concatenate(features, "object_labels")
    return row


def _window_key(feature: Feature) -> tuple:
    """Features with the same key read the same text: one document, same subwords, same place of the solid markers."""
    return (
        feature["doc_key"],
        feature.get("subject_start"),
        feature.get("subject_end"),
        tuple(feature["input_ids"]),
    )


def _text_length(feature: Feature) -> int:
    return len(feature["input_ids"]) + (2 if "subject_start" in feature else 0)


def _concatenate(features: Sequence[Feature], name: str) -> Tensor:
    return torch.tensor([label for feature in features for label in feature[name]], dtype=torch.long)


def _pack(
    keys: Sequence[tuple],
    texts: Sequence[Sequence[int] | np.ndarray],
    starts: Sequence[np.ndarray],
    ends: Sequence[np.ndarray],
    marker_ids: Sequence[int],
) -> tuple[Row, list[int], list[int]]:
    """Lay out windows one after the other, each with the marker pairs of all features that share it.

    Returns:
        The row; where in it each feature's text begins; where each feature's markers begin.
    """
    members: dict[tuple, list[int]] = {}
    for number, key in enumerate(keys):
        members.setdefault(key, []).append(number)
    ids, positions, lengths = [], [], []
    text_at, markers_at = [0] * len(keys), [0] * len(keys)
    place = 0
    for numbers in members.values():
        text = np.asarray(texts[numbers[0]], dtype=np.int64)
        ids.append(text)
        positions.append(np.arange(len(text)))
        text_place, place = place, place + len(text)
        n_markers = 0
        for number in numbers:
            n_spans = len(starts[number])
            text_at[number], markers_at[number] = text_place, place
            ids.append(np.tile(np.asarray(marker_ids, dtype=np.int64), n_spans))
            positions.append(np.stack([starts[number], ends[number]], axis=1).reshape(-1))
            place += 2 * n_spans
            n_markers += 2 * n_spans
        lengths.append((len(text), n_markers))
    row = {
        "input_ids": torch.from_numpy(np.concatenate(ids))[None],
        "position_ids": torch.from_numpy(np.concatenate(positions))[None],
        "window_lengths": torch.tensor(lengths, dtype=torch.long),
    }
    return row, text_at, markers_at
