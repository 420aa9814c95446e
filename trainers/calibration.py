"""Calibration: temperatures that make scores probabilities, and thresholds by label that reach a target."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..modeling.decoding_plmarker import remove_overlaps
from ..modeling.prediction_plmarker import BATCH_TOKENS, Scorer, as_annotations
from ..modeling.rows_plmarker import Annotations
from ..modeling.schema_plmarker import PLMarkerError
from ..modeling.task_plmarker import Document
from ..modeling.tasks_plmarker import task_of

# Scores of this many bins of equal width are compared with what is right.
BINS = 10
# With fewer predictions the error of calibration says nothing.
MIN_PREDICTIONS = 50
# A label with fewer annotations keeps all predictions.
MIN_ANNOTATIONS = 10
# Natural logarithms of the temperatures that are tried.
LOG_TEMPERATURES = np.linspace(-0.7, 2.1, 29)


@dataclass(frozen=True)
class Found:
    """A prediction: its label, its score, and whether it is right."""

    label: str
    score: float
    is_right: bool


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
    parts = [getattr(model, "entity", None), getattr(model, "relation", None)]
    entity, relation = parts if any(parts) else (model, None) if hasattr(model, "pruner") else (None, model)
    named = {name: part for name, part in (("entities", entity), ("relations", relation)) if part is not None}
    earlier = {name: (part.config.temperature, part.config.thresholds) for name, part in named.items()}
    results: dict[str, TaskCalibration] = {}
    try:
        for name, part in named.items():
            read = _read(model, part, documents, batch_tokens)
            found = results[name] = _calibrate(name, read, precision, recall)
            part.config.temperature, part.config.thresholds = found.temperature, found.thresholds
            if name == "entities" and relation is not None:
                documents = _with_entities(model.entity, documents, batch_tokens)
    except PLMarkerError:
        # A model is calibrated whole, or not at all.
        for name, part in named.items():
            part.config.temperature, part.config.thresholds = earlier[name]
        raise
    return results


def _with_entities(entity: Any, documents: Sequence[Document], batch_tokens: int) -> list[Document]:
    """Documents with the entities that a model finds in them."""
    classes = entity.config.schema.entity_classes
    found = entity.predict(documents, batch_tokens)
    return [
        {**document, "predicted_ner": [as_annotations(spans, classes) for spans in sentences]}
        for document, (_, sentences, _) in zip(documents, found, strict=True)
    ]


# The predictions of each document at a temperature, and how many of each label are annotated in it.
Read = tuple[Callable[[float], list[list[Found]]], list[Counter[str]]]


def _read(model: Any, part: Any, documents: Sequence[Document], batch_tokens: int) -> Read:
    """Score documents once. Decoding is repeated for each temperature."""
    checked, tokenize = model.checked_documents(documents, batch_tokens)
    schema = part.config.schema
    items = (
        ((Annotations.of_document(document, schema), len(document["sentences"])), part.task.rows(document, tokenize))
        for document in checked
    )
    scored = list(Scorer.of_model(part, batch_tokens).stream(items))
    is_entity = hasattr(part, "pruner")
    classes = schema.entity_classes if is_entity else schema.relation_classes
    gold: list[Counter[str]] = []
    for (beside, _), _ in scored:
        rows = beside.gold_entities if is_entity else beside.gold_relations
        gold.append(Counter(classes[row[-1]] for row in rows))

    def at(temperature: float) -> list[list[Found]]:
        config = copy.copy(part.config)
        config.temperature = temperature
        task: Any = task_of(config)
        found = []
        for (beside, n_sentences), examples in scored:
            one: list[Found] = []
            decoded = task.decode(examples, n_sentences)
            for sentence, rows in enumerate(decoded):
                if is_entity:
                    truth = {tuple(row) for row in beside.entities(sentence)}
                    kept = remove_overlaps(rows, config.flat)
                    one += [Found(classes[s.label], s.score, (s.start, s.end, s.label) in truth) for s in kept]
                    continue
                truth = {tuple(row) for row in beside.relations(sentence)}
                for r in rows:
                    keys = [(*r.head, *r.tail, r.label)]
                    if r.label < schema.n_symmetric:
                        keys.append((*r.tail, *r.head, r.label))
                    one.append(Found(classes[r.label], r.score, any(key in truth for key in keys)))
            found.append(one)
        return found

    return at, gold


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
        error_before=_error(_bins(flat)),
        error_after=_error(_bins(crossed)),
        f1_before=_f1(final, annotated),
        f1_after=_f1(kept, annotated),
        unreached=unreached,
        bins={"before": _bins(flat), "after": _bins(crossed)},
    )


def _loss_by_document(documents: Sequence[Sequence[Found]]) -> list[float]:
    """The surprise at what is right and what is wrong, by document."""
    losses = []
    for found in documents:
        scores = np.clip([one.score for one in found], 1e-6, 1 - 1e-6)
        right = np.array([one.is_right for one in found], dtype=bool)
        losses.append(float(-np.log(np.where(right, scores, 1 - scores)).sum()) if found else 0.0)
    return losses


def _bins(found: Sequence[Found]) -> list[tuple[float, float, int]]:
    """Mean score, share of right predictions, and number of predictions of each bin that has any."""
    members: dict[int, list[Found]] = {}
    for one in found:
        members.setdefault(min(int(one.score * BINS), BINS - 1), []).append(one)
    return [
        (float(np.mean([o.score for o in part])), float(np.mean([o.is_right for o in part])), len(part))
        for _, part in sorted(members.items())
    ]


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
