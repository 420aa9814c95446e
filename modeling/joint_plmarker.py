"""Entities and relations from one text pass: rows for training, and the reading of documents."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, TypeVar

import torch
from torch import Tensor

from .decoding_plmarker import ScoredSpan, remove_overlaps
from .pair_tasks_plmarker import SharedTask
from .prediction_plmarker import BATCH_TOKENS, by_example, evaluation_view, read_ahead
from .rows_plmarker import PairRow, SpanRow
from .schema_plmarker import Threshold, least_scores
from .span_tasks_plmarker import SpanTask
from .task_plmarker import Batch, Document, Example, Scored, Task
from .windows_plmarker import WordTokenizer

Item = TypeVar("Item")
# The inputs of the relation part have this prefix. Its text is that of the entity part.
PAIR_PREFIX = "pair_"
# `cross_entropy` passes over this label.
UNCOUNTED = -100


@dataclass(frozen=True)
class JointRow(SpanRow, PairRow):
    """A window with candidate spans, and with pairs of its entities.

    Args:
        pair_sentences: the sentence of each pair; shape (pairs,).
        pair_labels: the relation class of each pair; shape (pairs,).
    """

    pair_sentences: list[int] = field(default_factory=list)
    pair_labels: list[int] = field(default_factory=list)

    @property
    def pair_row(self) -> PairRow:
        """The pairs as a row of the relation part."""
        columns = {item.name: getattr(self, item.name) for item in fields(PairRow)}
        sizes = [len(self.pair_labels)]
        return PairRow(**columns | {"sentences": self.pair_sentences, "labels": self.pair_labels, "examples": sizes})


class JointTask(Task[Any, JointRow]):
    """Candidate spans, and pairs of entities that share their windows.

    Args:
        config: the config of a combined model with a shared encoder.
        spans, pairs: the tasks of its parts.
    """

    row_class = JointRow

    def __init__(self, config: Any, spans: SpanTask, pairs: SharedTask) -> None:
        super().__init__(config)
        self.spans, self.pairs = spans, pairs
        self.n_text_states, self.n_markers = spans.n_text_states, spans.n_markers

    def rows(
        self, document: Document, tokenize: WordTokenizer, training: bool = False, annotated: bool = True
    ) -> list[JointRow]:
        """See `Task.rows`. Only training reads pairs of the given entities; evaluation pairs what it finds."""
        pair_rows = self.pairs.rows(document, tokenize, training, annotated) if training else []
        found = {(tuple(row.input_ids), sentence): row for row in pair_rows for sentence in row.sentences}
        rows = []
        for row in self.spans.rows(document, tokenize, training, annotated):
            places = ((tuple(row.input_ids), sentence) for sentence in dict.fromkeys(row.sentences))
            pairs = next((found[place] for place in places if place in found), PairRow(row.doc_key))
            columns = {**vars(pairs), **vars(row), "examples": [len(row.labels)] if row.labels else []}
            rows.append(JointRow(**columns, pair_sentences=pairs.sentences, pair_labels=pairs.labels))
        return rows

    def examples(self, rows: Sequence[JointRow]) -> list[Example[JointRow]]:
        return [self.example(row, 0, len(row.labels)) for row in rows if row.labels]

    def batch(self, examples: Sequence[Example[JointRow]], labels: bool = True) -> Batch:
        """See `Task.batch`. The inputs of the relation part that differ have the prefix `pair_`."""
        batch = self.spans.batch(examples, labels)  # type: ignore[arg-type]
        rows = [(example.row.pair_row, example.weight) for example in examples]
        pair_examples = [replace(self.pairs.example(row, 0, len(row.labels)), weight=weight) for row, weight in rows]
        pairs = self.pairs.batch(pair_examples, labels).inputs
        del pairs["input_ids"]
        prefixed = {f"{PAIR_PREFIX}{name.removeprefix(PAIR_PREFIX)}": value for name, value in pairs.items()}
        return Batch(batch.inputs | prefixed, batch.places)


@dataclass(frozen=True)
class JointScored:
    """What a model with a shared encoder reads of one document.

    Args:
        spans: the scored candidate spans.
        entities: the entities of each sentence, without overlaps.
        pairs: the scored pairs of these entities.
    """

    spans: list[Scored[SpanRow]]
    entities: list[list[ScoredSpan]]
    pairs: list[Scored[PairRow]]


class JointScorer:
    """Reads windows once, finds entities, and scores pairs of them against the same text states.

    Pairs are read within a window. So relations are not found between the windows of a sentence that is longer than a
    window.

    Args:
        model: a combined model with a shared encoder; it is not changed.
        batch_tokens: most text tokens of a batch. A longer sentence makes a batch of its own.
        entity_threshold: least score of an entity, for all labels or by label.
        pruner_threshold: in place of the config's; None for models without a pruner.
    """

    def __init__(
        self,
        model: Any,
        batch_tokens: int = BATCH_TOKENS,
        entity_threshold: Threshold = 0.0,
        pruner_threshold: float | None = None,
    ) -> None:
        self.model = evaluation_view(model)
        self.task: JointTask = model.task
        self.batch_tokens = batch_tokens
        self.least = least_scores(entity_threshold, model.config.schema.entity_classes)
        self.options = {} if pruner_threshold is None else {"pruner_threshold": pruner_threshold}

    def stream(self, items: Iterable[tuple[Item, Sequence[SpanRow], int]]) -> Iterator[tuple[Item, JointScored]]:
        """Read the rows of documents, a few batches at a time: a stream of any length takes bounded memory.

        Args:
            items: anything with the rows and the number of sentences of one document.

        Yields:
            Each item, in order, with what is read of it.
        """
        for waiting in read_ahead(items, self.batch_tokens, lambda item: sum(len(row.input_ids) for row in item[1])):
            yield from self._flush(waiting)

    def _flush(self, waiting: Sequence[tuple[Item, Sequence[SpanRow], int]]) -> Iterator[tuple[Item, JointScored]]:
        results = [JointScored([], [[] for _ in range(count)], []) for _, _, count in waiting]
        pieces = [
            (result, piece)
            for result, (_, rows, _) in zip(results, waiting, strict=True)
            for piece in _whole_sentences([row for row in rows if row.labels])
        ]
        batch: list[tuple[JointScored, list[SpanRow]]] = []
        n_tokens = 0
        for result, piece in pieces:
            cost = sum(len(row.input_ids) for row in piece)
            if batch and n_tokens + cost > self.batch_tokens:
                self._read(batch)
                batch, n_tokens = [], 0
            batch.append((result, piece))
            n_tokens += cost
        if batch:
            self._read(batch)
        yield from ((item, result) for (item, _, _), result in zip(waiting, results, strict=True))

    @torch.inference_mode()
    def _read(self, batch: Sequence[tuple[JointScored, list[SpanRow]]]) -> None:
        """Read a batch of windows, and add what is found to the results."""
        entity, relation = self.model.entity, self.model.relation
        spans, pairs = self.task.spans, self.task.pairs
        examples = [example for _, rows in batch for example in spans.examples(rows)]
        span_batch = spans.batch(examples, labels=False)
        inputs = self._inputs(span_batch)
        text = entity.read_windows(inputs["input_ids"], inputs["window_sizes"], inputs["read_tokens"])
        rows = iter(by_example(examples, span_batch, entity(**inputs, text=text, **self.options)))
        pair_rows = []
        for result, piece in batch:
            found = [next(rows) for _ in piece]
            result.spans.extend(found)
            for sentence, kept in self._entities(found).items():
                result.entities[sentence] = kept
            pair_rows += [pairs.row_of(item.example.row, result.entities) for item in found]
        if not any(row.labels for row in pair_rows):
            return
        pair_examples = [pairs.example(row, 0, len(row.labels)) for row in pair_rows]
        pair_batch = pairs.batch(pair_examples, labels=False)
        output = relation(**self._inputs(pair_batch), text=text)
        scored_pairs = iter(by_example(pair_examples, pair_batch, output))
        for result, piece in batch:
            result.pairs.extend([item for item in [next(scored_pairs) for _ in piece] if item.example.row.labels])

    def _entities(self, scored: Sequence[Scored[SpanRow]]) -> dict[int, list[ScoredSpan]]:
        """The entities of the sentences that were read."""
        sentences = sorted({sentence for item in scored for sentence in item.example.values("sentences")})
        decoded = self.task.spans.decode(scored, sentences[-1] + 1, self.least[0])
        return {
            sentence: remove_overlaps(
                [span for span in decoded[sentence] if span.score >= self.least[span.label]],
                self.task.spans.config.flat,
            )
            for sentence in sentences
        }

    def _inputs(self, batch: Batch) -> dict[str, Any]:
        return {name: tensor.to(self.model.device) for name, tensor in batch.inputs.items()}


def _whole_sentences(rows: Sequence[SpanRow]) -> Iterator[list[SpanRow]]:
    """Cut the windows of a document where no sentence lies on both sides."""
    piece: list[SpanRow] = []
    last = -1
    for row in rows:
        if piece and min(row.sentences) > last:
            yield piece
            piece = []
        piece.append(row)
        last = max(last, *row.sentences)
    if piece:
        yield piece


def without_some_pairs(labels: Tensor, pair_index: Tensor, n_entities: Tensor, share: float) -> Tensor:
    """The labels of pairs, where those of a share of the windows do not count. The windows are drawn anew.

    Args:
        labels: shape (pairs,).
        pair_index: subject and object of each pair; shape (pairs, 2).
        n_entities: marked entities of each window; shape (windows,).
    """
    dropped = torch.rand(len(n_entities), device=labels.device) < share
    return labels.masked_fill(dropped.repeat_interleave(n_entities)[pair_index[:, 0]], UNCOUNTED)
