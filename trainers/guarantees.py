"""Guarantees: the threshold for which, in new documents, little of what is returned is wrong, or little is missed.

Documents are the unit: sentences of one document resemble each other, so they are no independent draws. Both guarantees
need calibration documents that are drawn as the new ones are, and that the model was not trained or calibrated on.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..modeling.prediction_plmarker import BATCH_TOKENS
from ..modeling.schema_plmarker import NIL, PLMarkerError
from ..modeling.task_plmarker import Document
from .findings import Findings, counts_from
from .scoring import findings_of, parts_of, scored_documents, with_found_entities

# The thresholds that are tried for `at_most_wrong`, highest first. They are fixed before any score is seen. Near 0 and
# near 1 they lie close to each other.
THRESHOLDS: list[float] = (1 / (1 + np.exp(-np.arange(12.0, -6.05, -0.1)))).tolist()
Array = NDArray[np.floating]


@dataclass(frozen=True)
class Guarantee:
    """A threshold and what it promises.

    Args:
        threshold: the least score of all labels.
        documents: how many documents it was fitted on.
        wrong: the share of what is returned that is wrong, as the mean over these documents.
        missed: the share of what is annotated that is missed, as the mean over these documents.
        pooled_wrong, pooled_missed: the same shares of all that is returned (annotated) in these documents together.
        thresholds: what stands in the model's config.
    """

    threshold: float
    documents: int
    wrong: float
    missed: float
    pooled_wrong: float
    pooled_missed: float
    thresholds: dict[str, float]


def guarantee(
    model: Any,
    documents: Iterable[Document],
    at_most_wrong: float | None = None,
    at_least_found: float | None = None,
    confidence: float = 0.9,
    task: str | None = None,
    batch_tokens: int = BATCH_TOKENS,
) -> dict[str, Guarantee]:
    """Fit thresholds that keep a promise about new documents, and write them into the model's config.

    - `at_most_wrong=0.1`: with the given confidence, in new documents at most 10 % of what is returned is wrong, as the
      mean over documents. A document in which nothing is returned has nothing wrong. The confidence is about the draw
      of the calibration documents. Method: learn then test (Angelopoulos et al., 2021), by the betting bound of
      Waudby-Smith and Ramdas (2024).
    - `at_least_found=0.95`: in new documents with annotations 95 % of them are returned, as the mean over documents and
      over draws of the calibration documents. Method: conformal risk control (Angelopoulos et al., 2024). To reach such
      a share, a label may be returned although NIL is more probable.

    The temperature stays as it is: one that was fitted on the same documents would break the promise. So would
    thresholds of entities, on which relations depend: where a model finds both, each task gets half of the documents.

    Args:
        model: any model with its tokenizer, see `calibrate`.
        documents: typed documents with `ner`, and `relations` for a model that finds relations.
        at_most_wrong, at_least_found: the promise; one of them.
        confidence: how sure `at_most_wrong` is.
        task: `entities` or `relations`, to leave the other's thresholds as they are, and to use all documents.

    Raises:
        PLMarkerError: for bad arguments, too few documents, and a promise that these documents do not allow.

    Example:
        >>> guarantee(model, ds["validation"], at_most_wrong=0.1)["entities"].threshold  # doctest: +SKIP
        0.93
    """
    level = _checked_level(at_most_wrong, at_least_found, confidence)
    documents = list(documents)
    parts = parts_of(model)
    if task is not None and task not in parts:
        raise PLMarkerError(f"task is {' or '.join(parts)} here, got {task!r}")
    chosen = list(parts) if task is None else [task]
    earlier = {name: part.config.thresholds for name, part in parts.items()}
    results = {}
    try:
        for number, name in enumerate(chosen):
            part = parts[name]
            _check_order(name, part)
            own = documents[number :: len(chosen)]
            if name == "relations" and "entities" in parts:
                own = with_found_entities(parts["entities"], own, batch_tokens)
            own, tokenize = model.checked_documents(own, batch_tokens)
            scored = list(scored_documents(part, own, tokenize, batch_tokens))
            # A tagger has no scores for spans that it does not find.
            least_nil = 1.0 if at_least_found is not None and getattr(part.task, "scores_spans", True) else 0.0
            found = findings_of(part, scored, least_nil=least_nil)
            if at_most_wrong is not None:
                threshold = threshold_for_wrong(found, level, confidence, name)
            else:
                threshold = threshold_for_found(found, level, name)
            schema = part.config.schema
            labels = schema.entity_labels if name == "entities" else schema.relation_labels
            thresholds = dict.fromkeys(labels, threshold) | ({NIL: least_nil} if least_nil else {})
            part.config.thresholds = thresholds
            results[name] = _guarantee(found, threshold, thresholds)
    except PLMarkerError:
        for name, part in parts.items():
            part.config.thresholds = earlier[name]
        raise
    return results


def threshold_for_wrong(found: Sequence[Findings], level: float, confidence: float, name: str = "predictions") -> float:
    """The lowest threshold with which the mean share of wrong predictions is at most `level`, with a confidence.

    Thresholds are tested from the highest one down, and the first that fails ends the search. So many may be tested
    at the price of one (fixed-sequence testing).

    Raises:
        PLMarkerError: for too few documents, and where no threshold that returns anything passes.
    """
    least = documents_for_wrong(level, confidence)
    if len(found) < least:
        raise PLMarkerError(
            f"{len(found)} documents: that at most {level:g} of the {name} are wrong, with confidence {confidence:g}, "
            f"takes at least {least}"
        )
    wrong, returned = wrong_shares(found, THRESHOLDS)
    threshold = _lowest_that_passes(wrong, returned, level, confidence)
    if threshold is None:
        levels = [step / 100 for step in range(1, 100) if step / 100 > level]
        reached = (one for one in levels if _lowest_that_passes(wrong, returned, one, confidence) is not None)
        raise PLMarkerError(
            f"that at most {level:g} of the {name} are wrong cannot be shown on these documents; the least level that "
            f"they allow is {next(reached, 1.0):g}"
        )
    return threshold


def _lowest_that_passes(wrong: Array, returned: Array, level: float, confidence: float) -> float | None:
    """None where nothing is returned with any threshold that passes."""
    passes = is_below(wrong, level, confidence)
    n_passed = len(passes) if passes.all() else int(passes.argmin())
    if not n_passed or not returned[n_passed - 1].any():
        return None
    return THRESHOLDS[n_passed - 1]


def threshold_for_found(found: Sequence[Findings], level: float, name: str = "annotations") -> float:
    """The highest threshold with which the mean share of annotations that are found is at least `level`.

    Documents without annotations are left out: nothing can be missed in them.

    Raises:
        PLMarkerError: for too few documents, and where even all predictions are not enough.
    """
    found = [one for one in found if one.annotated.total()]
    n, least = len(found), documents_for_found(level)
    if n < least:
        raise PLMarkerError(
            f"{n} documents with annotated {name}: that {level:g} of them are found takes at least {least}"
        )
    # Rounded down, so that the prediction itself stays.
    scores = {math.floor(one.score * 1e6) / 1e6 for document in found for one in document.found if one.is_right}
    thresholds = sorted(scores | {0.0}, reverse=True)
    missed = missed_shares(found, thresholds)
    # One more document could miss all that it has.
    expected = (missed.sum(axis=1) + 1) / (n + 1)
    reached = np.flatnonzero(expected <= 1 - level + 1e-12)
    if not len(reached):
        allowed, present = max(1 - expected[-1], 0.0), 1 - missed[-1].mean()
        raise PLMarkerError(
            f"that {level:g} of the {name} are found cannot be promised: without any threshold {present:.3f} of them "
            f"are, and {allowed:.3f} is what these documents allow"
        )
    return thresholds[reached[0]]


def documents_for_wrong(level: float, confidence: float) -> int:
    """How many documents `at_most_wrong` needs where nothing in them is wrong."""
    return math.ceil(-math.log(1 - confidence) / math.log1p(level) - 1e-9)


def documents_for_found(level: float) -> int:
    """How many documents with annotations `at_least_found` needs where all is found."""
    return max(1, math.ceil(1 / (1 - level) - 1 - 1e-9))


def wrong_shares(found: Sequence[Findings], thresholds: Sequence[float]) -> tuple[Array, Array]:
    """The share of what is returned that is wrong, and how much is returned; shape (thresholds, documents) each."""
    right, returned = counts_from(found, thresholds)
    return np.where(returned > 0, 1 - right / np.maximum(returned, 1), 0.0), returned


def missed_shares(found: Sequence[Findings], thresholds: Sequence[float]) -> Array:
    """The share of the annotations of documents that is missed; shape (thresholds, documents).

    Args:
        found: documents that all have annotations.
    """
    right, _ = counts_from(found, thresholds)
    missed: Array = 1 - right / np.array([document.annotated.total() for document in found])
    return missed


def is_below(losses: Array, level: float, confidence: float) -> NDArray[np.bool_]:
    """Whether the mean of a distribution is below a level, as its draws show with a confidence; shape (...).

    A bet against "the mean is at least `level`": fair money is multiplied by 1 / (1 - confidence) with a probability of
    at most 1 - confidence (Waudby-Smith and Ramdas, 2024, "Estimating means of bounded random variables by betting").

    Args:
        losses: independent draws, from 0 to 1, in an order that does not depend on them; shape (..., draws).
    """
    n, numbers = losses.shape[-1], np.arange(1, losses.shape[-1] + 1)
    means = (0.5 + np.cumsum(losses, axis=-1)) / (1 + numbers)
    variances = (0.25 + np.cumsum((losses - means) ** 2, axis=-1)) / (1 + numbers)
    # Each stake depends on earlier draws alone.
    earlier = np.concatenate([np.full_like(variances[..., :1], 0.25), variances[..., :-1]], axis=-1)
    stakes = np.minimum(1.0, np.sqrt(-2 * math.log(1 - confidence) / (n * earlier)))
    wealth = np.cumsum(np.log1p(-stakes * (losses - level)), axis=-1)
    won: NDArray[np.bool_] = wealth.max(axis=-1, initial=-np.inf) >= -math.log(1 - confidence)
    return won


def _guarantee(found: Sequence[Findings], threshold: float, thresholds: dict[str, float]) -> Guarantee:
    wrong, _ = wrong_shares(found, [threshold])
    right, returned = (counts.sum() for counts in counts_from(found, [threshold]))
    annotated = [document for document in found if document.annotated.total()]
    total = sum(document.annotated.total() for document in annotated)
    return Guarantee(
        threshold=threshold,
        documents=len(found),
        wrong=float(wrong.mean()),
        missed=float(missed_shares(annotated, [threshold]).mean()) if annotated else 0.0,
        pooled_wrong=float(1 - right / returned) if returned else 0.0,
        pooled_missed=float(1 - right / total) if total else 0.0,
        thresholds=thresholds,
    )


def _checked_level(at_most_wrong: float | None, at_least_found: float | None, confidence: float) -> float:
    if (at_most_wrong is None) == (at_least_found is None):
        raise PLMarkerError("give at_most_wrong or at_least_found, one of them")
    level = at_most_wrong if at_most_wrong is not None else at_least_found
    for name, value in (("at_most_wrong or at_least_found", level), ("confidence", confidence)):
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0.0 < value < 1.0:
            raise PLMarkerError(f"{name} is above 0 and below 1, got {value!r}")
    assert level is not None
    return level


def _check_order(name: str, part: Any) -> None:
    """A higher threshold must return a part of what a lower one returns, and nothing else."""
    config = part.config
    if config.compat is not None or getattr(config, "pair_scores", "log_softmax") != "log_softmax":
        raise PLMarkerError(
            "a guarantee needs predictions that are sorted by their score: set pair_scores to log_softmax, and compat "
            "to None"
        )
    for label, constraint in config.schema.constraints.items() if name == "relations" else ():
        if constraint.one_per_head or constraint.one_per_tail:
            raise PLMarkerError(
                f"a guarantee cannot be given with the constraint one_per_head or one_per_tail, which {label!r} has: a "
                "relation below the threshold makes room for another one"
            )
