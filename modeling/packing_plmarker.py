"""Features to packed rows: one sequence of tokens without padding, up to a token budget."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import cast

import numpy as np
import torch
from torch import Tensor

from .configuration_plmarker import PLMarkerRelationConfig, PLMarkerTaskConfig
from .processing_plmarker import Feature

Row = dict[str, Tensor]
RowMaker = Callable[[Sequence[Feature]], Row]


def row_maker(config: PLMarkerTaskConfig) -> RowMaker:
    """The function that makes a model's rows of features; it can be sent to other processes."""
    if config.finds_entities:
        return partial(entity_row, marker_ids=config.marker_token_ids)
    config = cast(PLMarkerRelationConfig, config)
    if config.subject_markers == "levitated":
        return partial(pair_row, marker_ids=config.marker_token_ids)
    return partial(
        relation_row,
        marker_ids=config.marker_token_ids,
        n_types=config.n_marker_types,
        share=shares_windows(config),
    )


def shares_windows(config: PLMarkerTaskConfig) -> bool:
    """Whether features with the same text share it; not where the objects of one feature see each other."""
    return config.finds_entities or not any(cast(PLMarkerRelationConfig, config).joined)


def split_by_tokens(features: Iterable[Feature], max_tokens: int | None, share: bool = True) -> Iterator[list[Feature]]:
    """Cut features, in their order, into lists that make rows of at most `max_tokens` tokens.

    A feature that is longer by itself makes a row of its own; one without tokens is left out.

    Args:
        max_tokens: the budget; None puts everything into one row.
        share: features with the same text share it.
    """
    batch: list[Feature] = []
    windows: set[tuple] = set()
    n_tokens = 0
    for feature in features:
        if not feature["input_ids"]:
            continue
        key = _window_key(feature)
        cost = feature["length"] - (_text_length(feature) if share and key in windows else 0)
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
        marker_ids: ids of the start and the end marker; empty for a model without markers.

    Returns:
        `input_ids`, `position_ids` of shape (1, tokens); `window_lengths` (windows, 2), text and marker tokens;
        `span_index` (spans, 4), where in the row the start marker, the end marker, the first and the last subword
        stand, or (spans, 2) without markers; `labels` (spans,); spans in the order of the features.
    """
    texts = [feature["input_ids"] for feature in features]
    places = [_columns(feature, "span_starts", "span_ends") for feature in features]
    ids = np.asarray(marker_ids, dtype=np.int64)
    markers = [np.broadcast_to(ids, (len(spans), len(ids))) for spans in places]
    row, text_at, markers_at = _pack(
        [_window_key(f) for f in features], texts, markers, [p[:, : len(ids)] for p in places]
    )
    index = []
    for text, first, spans in zip(text_at, markers_at, places, strict=True):
        index.append(np.concatenate([_marker_places(first, len(spans), len(ids)), text + spans], axis=1))
    row["span_index"] = torch.from_numpy(np.concatenate(index))
    row["labels"] = _concatenate(features, "labels")
    return row


def relation_row(features: Sequence[Feature], marker_ids: Sequence[int], n_types: int = 1, share: bool = True) -> Row:
    """Pack features of the relation model into one row, with the solid markers put into the text.

    Args:
        features: as `relation_features` makes them.
        marker_ids: ids of the two solid markers of the subject, then of the two levitated ones of an object; with type
            markers those of a missing subject first, then `n_types` of each kind.
        n_types: of how many types markers may be; 1 where they say nothing of types.
        share: let features with the same text share it; not where objects of one feature see each other.

    Returns:
        `input_ids`, `position_ids`, `window_lengths` as in `entity_row`; `subject_index` (objects, 2), where the
        solid markers of each object's subject stand; `object_index` (objects, 2), where its own markers stand;
        `labels` (objects,) and `object_labels` (objects,); objects in the order of the features.
    """
    ids = np.asarray(marker_ids, dtype=np.int64)
    typed = ids[-4 * n_types :].reshape(4, n_types)
    texts: list[np.ndarray] = []
    places: list[np.ndarray] = []
    markers: list[np.ndarray] = []
    solid: list[tuple[int, int]] = []
    for feature in features:
        text = np.asarray(feature["input_ids"], dtype=np.int64)
        first, last = feature["subject_start"], feature["subject_end"]
        subject_markers = typed[:2, feature["subject_type"] if n_types > 1 else 0]
        if first < 0:
            first, last = len(text), len(text) - 1
            subject_markers = ids[:2]
        texts.append(np.insert(text, [first, last + 1], subject_markers))
        solid.append((first, last + 2))
        spans = _columns(feature, "object_starts", "object_ends")
        places.append(spans + (spans >= first) + (spans > last))
        types = feature["object_types"] if n_types > 1 else [0] * len(spans)
        markers.append(typed[2:, types].T)
    keys = [(_window_key(feature), 0 if share else number) for number, feature in enumerate(features)]
    row, text_at, markers_at = _pack(keys, texts, markers, places)
    subjects = [
        np.tile([[begin + opening, begin + closing]], (len(spans), 1))
        for begin, spans, (opening, closing) in zip(text_at, places, solid, strict=True)
    ]
    objects = [_marker_places(first, len(spans), 2) for first, spans in zip(markers_at, places, strict=True)]
    row["subject_index"] = torch.from_numpy(np.concatenate(subjects))
    row["object_index"] = torch.from_numpy(np.concatenate(objects))
    row["labels"] = _concatenate(features, "labels")
    row["object_labels"] = _concatenate(features, "object_labels")
    return row


def pair_row(features: Sequence[Feature], marker_ids: Sequence[int]) -> Row:
    """Pack features of the relation model whose subjects have levitated markers too.

    Args:
        features: as `relation_features` makes them with `levitated`.
        marker_ids: ids of the two markers of a subject, then of the two of an object.

    Returns:
        As `relation_row`, one row of scores for each pair; also `subject_labels` (pairs,).
    """
    texts = [np.asarray(feature["input_ids"], dtype=np.int64) for feature in features]
    places = [
        _columns(feature, "subject_starts", "subject_ends", "object_starts", "object_ends") for feature in features
    ]
    markers = [np.broadcast_to(np.asarray(marker_ids, dtype=np.int64), pairs.shape) for pairs in places]
    row, _, markers_at = _pack([_window_key(feature) for feature in features], texts, markers, places)
    index = np.concatenate(
        [_marker_places(first, len(pairs), 4) for first, pairs in zip(markers_at, places, strict=True)]
    )
    row["subject_index"], row["object_index"] = torch.from_numpy(index[:, :2]), torch.from_numpy(index[:, 2:])
    for name in ("labels", "subject_labels", "object_labels"):
        row[name] = _concatenate(features, name)
    return row


def _window_key(feature: Feature) -> tuple:
    """Features with the same key read the same text: one document, same subwords, same place of the solid markers."""
    return (
        feature["doc_key"],
        feature.get("subject_start"),
        feature.get("subject_end"),
        feature.get("subject_type"),
        tuple(feature["input_ids"]),
    )


def _text_length(feature: Feature) -> int:
    return len(feature["input_ids"]) + (2 if "subject_start" in feature else 0)


def _columns(feature: Feature, *names: str) -> np.ndarray:
    """Lists of a feature as the columns of an array."""
    return np.stack([np.asarray(feature[name], dtype=np.int64) for name in names], axis=1)


def _marker_places(first: int, n_items: int, n_markers: int) -> np.ndarray:
    """Where the markers of consecutive items stand, shape (items, markers)."""
    return first + np.arange(n_items * n_markers).reshape(n_items, n_markers)


def _concatenate(features: Sequence[Feature], name: str) -> Tensor:
    return torch.tensor([label for feature in features for label in feature[name]], dtype=torch.long)


def _pack(
    keys: Sequence[tuple],
    texts: Sequence[Sequence[int] | np.ndarray],
    markers: Sequence[np.ndarray],
    places: Sequence[np.ndarray],
) -> tuple[Row, list[int], list[int]]:
    """Lay out windows one after the other, each with the markers of all features that share it.

    Args:
        keys: features with the same key share a window.
        texts: for each feature the tokens of its window.
        markers, places: for each feature the ids of its markers and the positions they borrow, shape (items, markers
            of an item).

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
        for number in numbers:
            text_at[number], markers_at[number] = text_place, place
            ids.append(markers[number].reshape(-1))
            positions.append(places[number].reshape(-1))
            place += markers[number].size
        lengths.append((len(text), place - text_place - len(text)))
    row = {
        "input_ids": torch.from_numpy(np.concatenate(ids))[None],
        "position_ids": torch.from_numpy(np.concatenate(positions))[None],
        "window_lengths": torch.tensor(lengths, dtype=torch.long),
    }
    return row, text_at, markers_at
