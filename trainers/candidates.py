"""The first of two stages: an entity model chooses the spans that a second one scores (the paper's two-stage model)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..modeling.decoding_plmarker import log_softmax, softmax
from ..modeling.prediction_plmarker import BATCH_TOKENS, score_documents
from ..modeling.rows_plmarker import SpanRow
from ..modeling.span_tasks_plmarker import SpanTask, TagTask, by_sentence
from ..modeling.task_plmarker import Array, Document, Scored
from ..modeling.windows_plmarker import Span, WordTokenizer

# Most spans of a sentence that are left to the second stage.
MAX_CANDIDATES = 256


def predict_candidates(
    model: Any,
    tokenize: WordTokenizer,
    documents: Iterable[Document],
    limit: int = MAX_CANDIDATES,
    batch_tokens: int = BATCH_TOKENS,
) -> Iterator[dict[str, Any]]:
    """Choose the spans that a second entity model is to score.

    Args:
        model: the entity model of the first stage.
        limit: most spans of a sentence: those that are least probably NIL.

    Yields:
        Each document with `candidates`: for each sentence spans as [start, end], by start, then end.
    """
    for document, scored in score_documents(model, tokenize, documents, batch_tokens):
        yield {**document, "candidates": likeliest_spans(model.task, scored, len(document["sentences"]), limit)}


def likeliest_spans(
    task: SpanTask, scored: Sequence[Scored[SpanRow]], n_sentences: int, limit: int
) -> list[list[Span]]:
    """The spans of each sentence that are least probably NIL, by place: at most `limit` of them."""
    found = []
    for spans, logits in by_sentence(scored, n_sentences):
        if isinstance(task, TagTask) and spans:
            spans, scores = span_probabilities(spans, logits, task.config.tags, task.config.max_span_length)
        else:
            scores = 1 - softmax(logits)[:, 0] if spans else np.zeros(0)
        best = np.argsort(-scores, kind="stable")[:limit]
        found.append(sorted(spans[number] for number in best))
    return found


def span_probabilities(
    words: Sequence[Span], logits: Array, tags: str, max_span_length: int
) -> tuple[list[Span], NDArray[np.floating]]:
    """The probability of each span for a sequence tagger: that of the best label's tags over all words of the span.

    Args:
        words: the words of a sentence, as spans.
        logits: shape (words, tag classes), see `tag_classes`.

    Returns:
        All spans of at most `max_span_length` words, and a probability for each. It is the geometric mean of the
        probabilities of its tags, and of the next word not continuing it. So wide spans have no disadvantage.
    """
    log_scores = log_softmax(np.asarray(logits, dtype=np.float64))
    if tags == "io":
        begin = inside = log_scores[:, 1:]
    else:
        begin, inside = log_scores[:, 1::2], log_scores[:, 2::2]
        # In IOB1 most entities begin with `I-`.
        begin = np.maximum(begin, inside) if tags == "iob1" else begin
    # Probability that the next word does not continue an entity of each label. Nothing continues behind the last word.
    ends = np.vstack([np.log1p(-np.minimum(np.exp(inside), 1 - 1e-12))[1:], np.zeros((1, inside.shape[1]))])
    spans: list[Span] = []
    scores: list[float] = []
    for first, (start, _) in enumerate(words):
        total = begin[first].copy()
        for last in range(first, min(first + max_span_length, len(words))):
            if last > first:
                if words[last][0] != words[last - 1][0] + 1:
                    break
                total += inside[last]
            spans.append((start, words[last][1]))
            scores.append(float(np.exp((total + ends[last]).max() / (last - first + 2))))
    return spans, np.array(scores)
