"""A task is one way of reading: it owns candidates, rows, what the head reads, and decoding."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Generic, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .configuration_plmarker import PLMarkerTaskConfig
from .rows_plmarker import Row
from .windows_plmarker import WordTokenizer

Document = Mapping[str, Any]
Array = NDArray[np.floating]
Item = TypeVar("Item")
RowType = TypeVar("RowType", bound=Row)
ConfigType = TypeVar("ConfigType", bound=PLMarkerTaskConfig)

# [CLS] and [SEP].
SPECIAL_TOKENS = 2


@dataclass(frozen=True)
class Example(Generic[RowType]):
    """Consecutive candidates of a row: a training example, or all that is read together in evaluation.

    Args:
        row: the window.
        first, stop: the candidates, as a slice.
        text: examples with an equal value read the same text, once. It names the row, and the subject whose solid
            markers are in the text.
        text_length: tokens of that text, solid markers included.
        weight: what the example counts in the loss. None where no document of the data has a weight.
    """

    row: RowType
    first: int
    stop: int
    text: tuple[Any, ...]
    text_length: int
    weight: float | None = None

    def __len__(self) -> int:
        return self.stop - self.first

    def values(self, name: str) -> list[Any]:
        """A column of the row, for the example's candidates."""
        column: list[Any] = getattr(self.row, name)[self.first : self.stop]
        return column


@dataclass(frozen=True)
class Scored(Generic[RowType]):
    """An example with the logits of each head; shape (candidates, classes) each, in float32."""

    example: Example[RowType]
    logits: tuple[Array, ...]


@dataclass(frozen=True)
class Batch:
    """Examples as flat tensors.

    Args:
        inputs: the arguments of the model's `forward`.
        places: the candidates of each example, as a slice of all candidates of the batch.
    """

    inputs: dict[str, Tensor]
    places: list[slice]


class Task(Generic[ConfigType, RowType]):
    """What one way of reading has of its own.

    Args:
        config: the model's configuration.
    """

    row_class: type[RowType]
    # How many text states and how many markers the head reads of each candidate.
    n_text_states: int
    n_markers: int
    # Which markers see those of their kind in other blocks, see `MarkerLayout`.
    joined: tuple[bool, ...] = ()
    # The columns of labels, one for each head.
    label_columns: tuple[str, ...] = ("labels",)

    def __init__(self, config: ConfigType) -> None:
        self.config = config

    @property
    def marker_words(self) -> tuple[str | None, ...]:
        """For each marker token the word from which `marker_init="lm"` copies it. None is the mask token."""
        raise NotImplementedError

    @property
    def room(self) -> int:
        """Subwords of a window, without special tokens and solid markers."""
        return int(getattr(self.config, "max_seq_length", 0)) - SPECIAL_TOKENS

    def rows(
        self, document: Document, tokenize: WordTokenizer, training: bool = False, annotated: bool = True
    ) -> list[RowType]:
        """The rows of one document: its windows with all that is read in them.

        Args:
            document: a mapping with `sentences` of words, and annotations.
            training: add what is read in training alone.
            annotated: read the annotations, to label the candidates.

        Raises:
            PLMarkerError: for a label that the schema does not have.
        """
        raise NotImplementedError

    def examples(self, rows: Sequence[RowType]) -> list[Example[RowType]]:
        """What evaluation reads of the rows of whole documents."""
        raise NotImplementedError

    def training_examples(self, row: RowType) -> list[Example[RowType]]:
        """The training examples of a row."""
        return [self.example(row, first, stop) for first, stop in row.bounds]

    def example(self, row: RowType, first: int, stop: int) -> Example[RowType]:
        """The candidates from `first` to before `stop`."""
        return Example(row, first, stop, (id(row),), len(row.input_ids))

    def batch(self, examples: Sequence[Example[RowType]], labels: bool = True) -> Batch:
        """Lay out examples as flat tensors. Examples with the same text share it.

        Args:
            labels: add the labels.

        Returns:
            `inputs` with:
            - `input_ids`, shape (tokens,): the texts, one behind the other;
            - `window_sizes`, shape (windows, 3): tokens, candidates (or marked entities) and read tokens of each text;
            - `read_tokens`, shape (read tokens,): numbers of the text tokens that the head reads, ascending;
            - `read_index`, shape (candidates, text states): for each candidate, which of the read tokens;
            - `marker_ids`, `marker_positions`, shape (candidates, markers): the markers, and the positions that they
              borrow, from 0 in each window;
            - `labels` and the task's other label columns, shape (candidates,), and `weights` where examples have them;
            - where candidates are pairs of marked entities, `pair_index`, shape (candidates, 2): the entities of each;
              the markers are those of the entities then;
            - where markers of several candidates or entities see each other, `marker_groups`, their group, ascending;
              shape (candidates or entities,).
        """
        members: dict[tuple[Any, ...], list[int]] = {}
        for number, example in enumerate(examples):
            members.setdefault(example.text, []).append(number)
        texts, sizes, read, read_index, marker_ids, positions = [], [], [], [], [], []
        places: list[slice] = [slice(0)] * len(examples)
        order: list[int] = []
        pairs, groups = [], []
        n_tokens = n_candidates = n_read = n_marked = n_groups = 0
        for numbers in members.values():
            text = self.text(examples[numbers[0]])
            states = [self.text_positions(examples[number]) for number in numbers]
            # Each token once: the last layer runs for these alone, and dropout is drawn once for each.
            tokens, inverse = np.unique(np.concatenate(states), return_inverse=True)
            texts.append(text)
            read.append(tokens + n_tokens)
            read_index.append(inverse.reshape(sum(map(len, states)), self.n_text_states) + n_read)
            size = n_in_window = 0
            for number in numbers:
                ids, borrowed = self.markers(examples[number])
                pair_index, group = self.pair_index(examples[number]), self.marker_groups(examples[number])
                if pair_index is not None:
                    pairs.append(pair_index + n_marked)
                if group is not None:
                    groups.append(group + n_groups)
                    n_groups += int(group.max(initial=-1)) + 1
                n_marked, n_in_window = n_marked + len(ids), n_in_window + len(ids)
                marker_ids.append(ids)
                positions.append(borrowed)
                places[number] = slice(n_candidates + size, n_candidates + size + len(examples[number]))
                size += len(examples[number])
            order += numbers
            sizes.append((len(text), n_in_window, len(tokens)))
            n_tokens, n_candidates, n_read = n_tokens + len(text), n_candidates + size, n_read + len(tokens)
        inputs = {
            "input_ids": _tensor(texts),
            "window_sizes": torch.tensor(sizes, dtype=torch.long).reshape(-1, 3),
            "read_tokens": _tensor(read),
            "read_index": _tensor(read_index),
            "marker_ids": _tensor(marker_ids),
            "marker_positions": _tensor(positions),
        }
        inputs |= {name: _tensor(parts) for name, parts in (("pair_index", pairs), ("marker_groups", groups)) if parts}
        if labels:
            for name in self.label_columns:
                inputs[name] = torch.tensor(
                    [label for n in order for label in examples[n].values(name)], dtype=torch.long
                )
            weights = [examples[n].weight for n in order for _ in range(len(examples[n]))]
            if weights and None not in weights:
                inputs["weights"] = torch.tensor(weights)
        return Batch(inputs, places)

    def text(self, example: Example[RowType]) -> NDArray[np.int64]:
        """The tokens that are read for an example; shape (tokens,)."""
        return np.asarray(example.row.input_ids, dtype=np.int64)

    def pair_index(self, example: Example[RowType]) -> NDArray[np.int64] | None:
        """The two marked entities of each candidate, counted from 0; shape (candidates, 2).

        None where each candidate has markers of its own.
        """
        return None

    def marker_groups(self, example: Example[RowType]) -> NDArray[np.int64] | None:
        """The group of each candidate or entity, ascending from 0. Markers of a group see each other.

        None where candidates do not see each other, or where `joined` says which do.
        """
        return None

    def text_positions(self, example: Example[RowType]) -> NDArray[np.int64]:
        """Positions in that text that the head reads; shape (candidates, text states)."""
        raise NotImplementedError

    def markers(self, example: Example[RowType]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Ids of the markers, and the positions that they borrow; shape (candidates or entities, markers) each."""
        raise NotImplementedError


def rows_of_sentences(scored: Sequence[Scored[Any]], n_sentences: int) -> list[NDArray[np.int64]]:
    """The numbers of the candidates of each sentence, in their order, counted over all examples."""
    sentences = np.array([sentence for item in scored for sentence in item.example.values("sentences")], dtype=np.int64)
    order = np.argsort(sentences, kind="stable")
    return np.split(order, np.searchsorted(sentences[order], np.arange(1, n_sentences)))[:n_sentences]


def columns(example: Example[Any], *names: str) -> NDArray[np.int64]:
    """Columns of a row for an example's candidates; shape (candidates, names)."""
    return np.array([example.values(name) for name in names], dtype=np.int64).reshape(len(names), -1).T


def batches(
    examples: Iterable[Example[RowType]], max_tokens: int | None, markers_of: int = 0
) -> Iterator[list[Example[RowType]]]:
    """Cut examples, in their order, into batches of at most `max_tokens` tokens. A longer example makes a batch alone.

    Args:
        max_tokens: None makes one batch of all.
        markers_of: count this many markers for each candidate. With 0 only text counts: markers are read in chunks.
    """
    batch: list[Example[RowType]] = []
    texts: set[tuple[Any, ...]] = set()
    n_tokens = 0
    for example in examples:
        cost = markers_of * len(example) + (0 if example.text in texts else example.text_length)
        if batch and max_tokens is not None and n_tokens + cost > max_tokens:
            yield batch
            batch, texts, n_tokens = [], set(), 0
            cost = markers_of * len(example) + example.text_length
        batch.append(example)
        texts.add(example.text)
        n_tokens += cost
    if batch:
        yield batch


def slices(items: Sequence[Item], size: int | None) -> Iterator[list[Item]]:
    """Consecutive slices of at most `size` items; all in one for None."""
    iterator = iter(items)
    while group := list(islice(iterator, size)):
        yield group


def _tensor(parts: Sequence[NDArray[np.int64]]) -> Tensor:
    return torch.from_numpy(np.concatenate(parts)) if parts else torch.zeros(0, dtype=torch.long)
