"""Calibration: temperatures that make scores probabilities, and thresholds by label that reach a target."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..modeling.prediction_plmarker import BATCH_TOKENS
from ..modeling.schema_plmarker import PLMarkerError
from ..modeling.task_plmarker import Document
from ..modeling.windows_plmarker import WordTokenizer
from .findings import Found, score_bins
from .scoring import findings_of, parts_of, scored_documents, with_found_entities

# With fewer predictions the error of calibration says nothing.
MIN_PREDICTIONS = 50
# A label with fewer annotations keeps all predictions.
MIN_ANNOTATIONS = 10
# Natural logarithms of the temperatures that are tried.
LOG_TEMPERATURES = np.linspace(-0.7, 2.1, 29)


@dataclass
class TaskCalibration:
    """The calibration of one task.

    Args:
        temperature: what logits are divided by.
        thresholds: the least score of each label.
        predictions: how many predictions there were.
        error_before: expected calibration error with temperature 1: the mean distance between the scores of a bin and
            the share of right predictions in it.
        error_after: the same with a temperature that was fitted on the other half of the documents.
        f1_before, f1_after: micro F1 without and with the thresholds, on these documents.
        unreached: labels for which no threshold reaches the target.
        rare: the labels that have no threshold since they are annotated too rarely, and how often.
        bins: for a picture: mean score, share of right predictions, and number of predictions of each bin that has any,
            before and after.
    """

    temperature: float
    thresholds: dict[str, float]
    predictions: int
    error_before: float
    error_after: float
    f1_before: float
    f1_after: float
    unreached: list[str] = field(default_factory=list)
    rare: dict[str, int] = field(default_factory=dict)
    bins: dict[str, list[tuple[float, float, int]]] = field(default_factory=dict)


def calibrate(
    model: Any,
    documents: Iterable[Document],
    precision: float | None = None,
    recall: float | None = None,
    batch_tokens: int = BATCH_TOKENS,
) -> dict[str, TaskCalibration]:
    """Fit temperatures and thresholds on documents that the model was not trained on, and write them into its config.

    `extract`, `predict`, the pipeline and the spaCy component use them unless they are given other thresholds. Figures
    of `evaluate` use the temperatures, which change no best class, and not the thresholds.

    Args:
        model: any model with its tokenizer. The relations of a combined model join the entities that it finds; those of
            a relation model join gold entities.
        documents: typed documents with `ner`, and `relations` for a model that finds relations.
        precision: for each label, the lowest threshold that reaches this precision.
        recall: for each label, the highest threshold that reaches this recall. Without both, the thresholds that
            maximise the F1 of each label.
        batch_tokens: most text tokens of a batch.

    Returns:
        The calibration of `entities` and of `relations`, as far as the model finds them.

    Raises:
        PLMarkerError: for a target that is not above 0 and at most 1, two targets, documents without annotations, and
            too few predictions.

    Example:
        >>> calibrate(model, ds["validation"], precision=0.9)["entities"].error_after  # doctest: +SKIP
        0.021
    """
    for target in (precision, recall):
        if target is not None and not 0.0 < target <= 1.0:
            raise PLMarkerError(f"a target is above 0 and at most 1, got {target}")
    if precision is not None and recall is not None:
        raise PLMarkerError("give precision or recall, not both")
    documents = list(documents)
    named = parts_of(model)
    earlier = {name: (part.config.temperature, part.config.thresholds) for name, part in named.items()}
    results: dict[str, TaskCalibration] = {}
    try:
        for name, part in named.items():
            checked, tokenize = model.checked_documents(documents, batch_tokens)
            read = _read(part, checked, tokenize, batch_tokens)
            found = results[name] = _calibrate(name, read, precision, recall)
            found.rare = _rare(part, name, read[1])
            part.config.temperature, part.config.thresholds = found.temperature, found.thresholds
            if name == "entities" and len(named) > 1:
                documents = with_found_entities(part, documents, batch_tokens)
    except PLMarkerError:
        # A model is calibrated whole, or not at all.
        for name, part in named.items():
            part.config.temperature, part.config.thresholds = earlier[name]
        raise
    return results


# The predictions of each document at a temperature, and how many of each label are annotated in it.
Read = tuple[Callable[[float], list[list[Found]]], list[Counter[str]]]


def _read(part: Any, documents: Sequence[Document], tokenize: WordTokenizer, batch_tokens: int) -> Read:
    """Score documents once. Decoding is repeated for each temperature."""
    scored = list(scored_documents(part, documents, tokenize, batch_tokens))

    def at(temperature: float) -> list[list[Found]]:
        return [findings.found for findings in findings_of(part, scored, temperature)]

    return at, [findings.annotated for findings in findings_of(part, scored)]


def _rare(part: Any, name: str, annotated: Sequence[Counter[str]]) -> dict[str, int]:
    """The labels that are annotated too rarely for a threshold, and how often."""
    schema, total = part.config.schema, sum(annotated, Counter())
    labels = schema.entity_labels if name == "entities" else schema.relation_labels
    return {label: total[label] for label in labels if total[label] < MIN_ANNOTATIONS}


def _calibrate(name: str, read: Read, precision: float | None, recall: float | None) -> TaskCalibration:
    at, gold = read
    annotated = sum(gold, Counter())
    if not annotated:
        raise PLMarkerError(f"the documents have no annotated {name} to calibrate on")
    before = at(1.0)
    flat = [found for document in before for found in document]
    n_right = sum(found.is_right for found in flat)
    if len(flat) < MIN_PREDICTIONS or not n_right:
        raise PLMarkerError(
            f"{len(flat)} predicted {name}, {n_right} of them right: calibration needs {MIN_PREDICTIONS} predictions, "
            "and some that are right"
        )
    losses = {float(np.exp(value)): _loss_by_document(at(float(np.exp(value)))) for value in LOG_TEMPERATURES}

    def best(half: int | None) -> float:
        chosen = slice(None) if half is None else slice(half, None, 2)
        return min(losses, key=lambda temperature: sum(losses[temperature][chosen]))

    temperature = best(None)
    # Each half of the documents gets the temperature of the other half.
    halves = [at(best(1 - half))[half::2] for half in (0, 1)]
    crossed = [found for part in halves for document in part for found in document]
    final = [found for document in at(temperature) for found in document]
    thresholds, unreached = _thresholds(final, annotated, precision, recall)
    kept = [found for found in final if found.score >= thresholds.get(found.label, 0.0)]
    return TaskCalibration(
        temperature=temperature,
        thresholds=thresholds,
        predictions=len(flat),
        error_before=_error(score_bins(flat)),
        error_after=_error(score_bins(crossed)),
        f1_before=_f1(final, annotated),
        f1_after=_f1(kept, annotated),
        unreached=unreached,
        bins={"before": score_bins(flat), "after": score_bins(crossed)},
    )


def _loss_by_document(documents: Sequence[Sequence[Found]]) -> list[float]:
    """The surprise at what is right and what is wrong, by document."""
    losses = []
    for found in documents:
        scores = np.clip([one.score for one in found], 1e-6, 1 - 1e-6)
        right = np.array([one.is_right for one in found], dtype=bool)
        losses.append(float(-np.log(np.where(right, scores, 1 - scores)).sum()) if found else 0.0)
    return losses


def _error(bins: Sequence[tuple[float, float, int]]) -> float:
    total = sum(count for _, _, count in bins)
    return sum(abs(score - right) * count for score, right, count in bins) / total if total else 0.0


def _f1(found: Sequence[Found], annotated: Counter[str]) -> float:
    total = len(found) + sum(annotated.values())
    return 2 * sum(one.is_right for one in found) / total if total else 0.0


def _thresholds(
    found: Sequence[Found], annotated: Counter[str], precision: float | None, recall: float | None
) -> tuple[dict[str, float], list[str]]:
    """The threshold of each label that has enough annotations, and the labels that do not reach the target."""
    thresholds: dict[str, float] = {}
    unreached: list[str] = []
    for label, total in sorted(annotated.items()):
        if total < MIN_ANNOTATIONS:
            continue
        own = sorted((one for one in found if one.label == label), key=lambda one: -one.score)
        right = np.cumsum([one.is_right for one in own])
        returned = np.arange(1, len(own) + 1)
        # A threshold returns all predictions of one score or none of them.
        ends = [n for n in range(len(own)) if n + 1 == len(own) or own[n + 1].score < own[n].score]
        if precision is not None:
            reached = [n for n in ends if right[n] / returned[n] >= precision]
            place = reached[-1] if reached else None
        elif recall is not None:
            reached = [n for n in ends if right[n] / total >= recall]
            place = reached[0] if reached else None
        else:
            place = max(ends, key=lambda n: 2 * right[n] / (returned[n] + total), default=None)
        if place is not None:
            # Rounded down, so that the prediction itself stays.
            thresholds[label] = float(np.floor(own[place].score * 1e6) / 1e6)
        elif precision is not None or recall is not None:
            unreached.append(label)
    return thresholds, unreached
