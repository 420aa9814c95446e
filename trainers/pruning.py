"""The threshold of a pruner: chosen on validation data, and what it costs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ..modeling.prediction_plmarker import BATCH_TOKENS, Scorer
from ..modeling.pruner_plmarker import PRUNED
from ..modeling.rows_plmarker import Annotations
from ..modeling.schema_plmarker import PLMarkerError
from ..modeling.task_plmarker import Document, Scored
from .evaluator import EntityEvaluator, PrunerCounts
from .examples import EvaluationDocuments


@dataclass(frozen=True)
class PrunerFigures:
    """What a threshold does on some documents.

    Args:
        threshold: least probability of a span that gets markers.
        recall: share of the gold entities among the candidates that get markers.
        spans: spans that get markers, in the mean of all sentences that have words.
        f1: Ent F1 with the threshold.
        unpruned_f1: Ent F1 of the same model with markers for all spans.
    """

    threshold: float
    recall: float
    spans: float
    f1: float
    unpruned_f1: float

    def to_dict(self) -> dict[str, float]:
        """The figures as `eval_pruner_*` names them."""
        return {f"pruner_{name}": value for name, value in asdict(self).items()}


def measure_pruner(
    model: Any,
    documents: Iterable[Document] | EvaluationDocuments,
    thresholds: Sequence[float],
    batch_tokens: int = BATCH_TOKENS,
) -> list[PrunerFigures]:
    """Figures of a pruner for several thresholds, from one pass over documents with markers for all spans.

    Args:
        model: an entity model with a pruner.
        documents: annotated documents, or documents that are mapped to rows.
        thresholds: from 0 to below 1.

    Raises:
        PLMarkerError: for a model without a pruner or without its tokenizer, and where there is no sentence.
    """
    _check_pruner(model)
    task = model.task
    levels = [0.0, *thresholds]
    evaluators = [EntityEvaluator(task) for _ in levels]
    counts = [PrunerCounts() for _ in levels]
    scorer = Scorer.of_model(model, batch_tokens, pruner_threshold=0.0)
    items = (((beside, n), rows) for beside, rows, n in _evaluation_documents(model, documents))
    for (beside, n_sentences), scored in scorer.stream(items):
        for level, count, evaluator in zip(levels, counts, evaluators, strict=True):
            count.add(scored, level)
            evaluator.add(beside, [_prune(item, level) for item in scored], n_sentences)
    if not counts[0].sentences:
        raise PLMarkerError("there is no sentence to measure the pruner on")
    f1 = [evaluator.compute()["ent_f1"] for evaluator in evaluators]
    return [
        PrunerFigures(level, *count.figures, value, f1[0])
        for level, count, value in list(zip(levels, counts, f1, strict=True))[1:]
    ]


def _check_pruner(model: Any) -> None:
    if getattr(model, "pruner", None) is None:
        if getattr(getattr(model, "entity", None), "pruner", None) is not None:
            raise PLMarkerError("this is a combined model: pass model.entity, which has the pruner")
        raise PLMarkerError("the model has no pruner: train it with pruner_size, such as 128")


def _evaluation_documents(
    model: Any, documents: Iterable[Document] | EvaluationDocuments
) -> Iterator[tuple[Annotations, list[Any], int]]:
    """The annotations, the rows and the number of sentences of each document."""
    if isinstance(documents, EvaluationDocuments):
        yield from (documents[number] for number in range(len(documents)))
        return
    checked, tokenize = model.checked_documents(documents, BATCH_TOKENS)
    for document in checked:
        annotations = Annotations.of_document(document, model.config.schema)
        yield annotations, model.task.rows(document, tokenize), len(document["sentences"])


def tune_pruner(
    model: Any,
    documents: Iterable[Document] | EvaluationDocuments,
    keep_f1: float | None = None,
    recall: float | None = None,
    batch_tokens: int = BATCH_TOKENS,
) -> PrunerFigures:
    """Choose the highest threshold that keeps what the user names, and write it into the model's config.

    Args:
        model: an entity model with a pruner.
        documents: annotated documents that the model was not trained on.
        keep_f1: share of the unpruned model's Ent F1 that is kept.
        recall: share of the gold entities among the candidates that get markers. Without both shares, those of the
            model's config count: `pruner_recall`, or else `pruner_keep_f1`.

    Returns:
        What the threshold does on these documents.

    Raises:
        PLMarkerError: as [`measure_pruner`], for both shares, and for a share that is not above 0 and at most 1.

    Example:
        >>> tune_pruner(model, ds["validation"], recall=0.98).spans  # doctest: +SKIP
        9.1
    """
    _check_pruner(model)
    if keep_f1 is not None and recall is not None:
        raise PLMarkerError("give keep_f1 or recall, not both")
    if keep_f1 is None and recall is None:
        keep_f1, recall = model.config.pruner_keep_f1, model.config.pruner_recall
    share = keep_f1 if recall is None else recall
    assert share is not None
    if not 0.0 < share <= 1.0:
        raise PLMarkerError(f"a share is above 0 and at most 1, got {share}")
    thresholds = [0.0, *(float(value) for value in 1 / (1 + np.exp(-np.linspace(-9.0, 2.0, 56))))]
    best = None
    for figures in measure_pruner(model, documents, thresholds, batch_tokens):
        kept = figures.recall if recall is not None else figures.f1 / max(figures.unpruned_f1, 1e-12)
        if best is None or kept >= share:
            best = figures
    assert best is not None
    model.config.pruner_threshold = best.threshold
    return best


def _prune(item: Scored[Any], threshold: float) -> Scored[Any]:
    """The scores of an example as a threshold leaves them."""
    pruned = 1 / (1 + np.exp(-item.logits[1].astype(np.float64))) < threshold
    logits = item.logits[0].copy()
    logits[pruned] = PRUNED
    logits[pruned, 0] = 0.0
    return Scored(item.example, (logits, *item.logits[1:]))
