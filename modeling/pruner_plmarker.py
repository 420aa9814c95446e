"""The pruner: a small head on text states that decides which candidate spans get markers."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

# A span below this probability gets no markers in training. It is about the share of entities among all spans.
TRAINING_THRESHOLD = 0.02
# About the logit of every span before training, a little above the threshold: all spans get markers until the pruner
# has learnt something. So no warm-up is needed.
FIRST_LOGIT = -3.5
# This share of the other spans gets markers too, so that the model learns easy spans as well.
EASY_SHARE = 0.03
# The logits of a pruned span: NIL has 0, every other class this. Its softmax is exactly 0.
PRUNED = -1e4


class SpanPruner(nn.Module):
    """Scores candidate spans by the states of their first and last subword and by their width.

    Args:
        hidden_size: size of the encoder's states.
        size: width of the hidden layer.
        max_width: the widest span that has a weight of its own, in subwords. Wider spans share it.
    """

    def __init__(self, hidden_size: int, size: int, max_width: int) -> None:
        super().__init__()
        self.start = nn.Linear(hidden_size, size)
        self.end = nn.Linear(hidden_size, size)
        self.width = nn.Embedding(max_width, size)
        self.output = nn.Linear(size, 1)

    def forward(self, text: Tensor, index: Tensor, widths: Tensor) -> Tensor:
        """The logit of each span for being an entity.

        Args:
            text: states of the text tokens that are read; shape (read tokens, hidden size).
            index: the read tokens of each span, first and last; shape (spans, 2).
            widths: subwords of each span; shape (spans,).

        Returns:
            Shape (spans,).
        """
        # Tokens are projected once, and not once for each span.
        states = self.start(text)[index[:, 0]] + self.end(text)[index[:, 1]]
        states = states + self.width(widths.clamp(max=self.width.num_embeddings) - 1)
        logits: Tensor = self.output(F.gelu(states))[:, 0]
        return logits + FIRST_LOGIT


def survivors(logits: Tensor, threshold: float, labels: Tensor | None = None) -> Tensor:
    """Which spans get markers.

    Args:
        logits: the pruner's logits; shape (spans,).
        threshold: least probability of a span that gets markers.
        labels: the classes of the spans in training; shape (spans,). Entities always get markers then, and so do some
            easy spans.

    Returns:
        Shape (spans,), boolean.
    """
    if labels is None:
        return logits.sigmoid() >= threshold
    easy = torch.rand(logits.shape, device=logits.device) < EASY_SHARE
    return (logits.detach().sigmoid() >= TRAINING_THRESHOLD) | (labels > 0) | easy


def pruner_loss(logits: Tensor, labels: Tensor, total: Tensor | int | None, weights: Tensor | None = None) -> Tensor:
    """Binary cross entropy of the pruner: whether each span is an entity.

    Args:
        logits: shape (spans,).
        labels: shape (spans,), class indices.
        total: the divisor; None takes the number of spans, or the sum of their weights.
        weights: what each span counts; shape (spans,).
    """
    loss = F.binary_cross_entropy_with_logits(logits.float(), (labels > 0).float(), weights, reduction="sum")
    if total is None:
        total = len(labels) if weights is None else weights.sum()
    return loss / total
