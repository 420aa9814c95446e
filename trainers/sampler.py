"""Batches up to a token budget."""

from __future__ import annotations

import random
from collections.abc import Iterator

from torch.utils.data import DataLoader, Sampler

from ..modeling.tasks_plmarker import task_of
from .examples import TrainingExamples


class TokenBatchSampler(Sampler[list[int]]):
    """Batches of whole windows, of at most `max_tokens` tokens of text and markers. A larger window is a batch alone.

    The batches are made once, from shuffled windows, so that an epoch has a fixed number of them. Each epoch shuffles
    their order. Several processes take turns; the first batches fill up the last turn.

    Args:
        examples: the training examples.
        max_tokens: most tokens of a batch.
        seed: seed of both shuffles.
        rank, world_size: the number of this process, and how many there are.
    """

    def __init__(
        self, examples: TrainingExamples, max_tokens: int, seed: int = 0, rank: int = 0, world_size: int = 1
    ) -> None:
        self.seed, self.rank, self.world_size = seed, rank, world_size
        self.epoch = 0
        members = examples.by_row()
        random.Random(seed).shuffle(members)
        self.batches: list[list[int]] = []
        n_tokens = 0
        for indices in members:
            cost = _tokens(examples, indices)
            if not self.batches or n_tokens + cost > max_tokens:
                self.batches.append([])
                n_tokens = 0
            self.batches[-1] += indices
            n_tokens += cost

    def set_epoch(self, epoch: int) -> None:
        """Choose the order of an epoch. Trainer calls this, so that a resumed training sees the same order."""
        self.epoch = epoch

    def __len__(self) -> int:
        return -(-len(self.batches) // self.world_size)

    def __iter__(self) -> Iterator[list[int]]:
        order = list(range(len(self.batches)))
        random.Random(f"{self.seed} {self.epoch}").shuffle(order)
        order += order[: -len(order) % self.world_size]
        return iter([self.batches[number] for number in order[self.rank :: self.world_size]])


class TokenDataLoader(DataLoader):
    """A `DataLoader` that hands the number of the epoch on to its sampler."""

    def set_epoch(self, epoch: int) -> None:
        """As accelerate's loaders have it."""
        self.batch_sampler.set_epoch(epoch)  # type: ignore[union-attr]


def _tokens(examples: TrainingExamples, indices: list[int]) -> int:
    """Tokens of the examples of one row."""
    members = examples.__getitems__(indices)
    texts = {example.text: example.text_length for example in members}
    n_markers = task_of(examples.config).n_markers
    return sum(texts.values()) + n_markers * sum(len(example) for example in members)
