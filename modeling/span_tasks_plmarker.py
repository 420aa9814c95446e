"""Entities by levitated markers, by T-Concat, and by tags (paper, sections 3.2 and 4.2)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .configuration_plmarker import PLMarkerEntityConfig
from .decoding_plmarker import (
    ScoredSpan,
    label_spans,
    label_words,
)
from .rows_plmarker import Annotations, SpanRow
from .tagging_plmarker import tags_of_entities
from .task_plmarker import Array, Document, Example, Scored, Task, columns, rows_of_sentences
from .windows_plmarker import SegmentedDocument, Span, Window, WordTokenizer, segment


@dataclass(frozen=True)
class Candidates:
    """Spans to score in a window, as columns: there are thousands of them.

    Args:
        spans: the first and the last word of each in the document; shape (spans,).
        starts, ends: its first and its last subword in the window; shape (spans,).
        parts: the numbers of those that end inside their last word.
    """

    spans: Sequence[Span]
    starts: list[int]
    ends: list[int]
    parts: Sequence[int] = ()


class SpanTask(Task[PLMarkerEntityConfig, SpanRow]):
    """Every span of up to `max_span_length` words is scored by itself.

    With markers the head reads the start marker, the end marker, and the first and the last subword of the span.
    T-Concat reads the two subwords alone.
    """

    row_class = SpanRow
    n_text_states = 2
    # Whether single spans have scores, so that they can be given.
    scores_spans = True

    @property
    def n_markers(self) -> int:  # type: ignore[override]
        return len(self.marker_words)

    @property
    def marker_words(self) -> tuple[str | None, ...]:
        return (None, "entity") if self.config.method == "marker" else ()

    def rows(
        self, document: Document, tokenize: WordTokenizer, training: bool = False, annotated: bool = True
    ) -> list[SpanRow]:
        """See `Task.rows`. A document with `candidates`, spans of each sentence as [start, end], has no other ones."""
        segmented = segment(document["sentences"], tokenize, self.room, self.config.shared_windows)
        annotations = Annotations.of_document(document, self.config.schema) if annotated else Annotations()
        rows: dict[Window, SpanRow] = {}
        for sentence, (first, last) in enumerate(segmented.sentences):
            if last < first:
                continue
            labels = self.labels(annotations.entities(sentence), first, last)
            for window, spans in self._by_window(document, sentence, segmented).items():
                if window not in rows:
                    ids = segmented.input_ids(window, tokenize)
                    rows[window] = SpanRow(str(document.get("doc_key", "")), ids)
                if spans:
                    _append(rows[window], sentence, self.places(spans, segmented, window, training), labels)
        return list(rows.values())

    def _by_window(
        self, document: Document, sentence: int, segmented: SegmentedDocument
    ) -> Mapping[Window, Sequence[Span]]:
        """The candidate spans of a sentence, by the window that reads them. A window may have none."""
        spans = self.candidates(document, sentence, *segmented.sentences[sentence])
        whole = segmented.whole_window(sentence)
        # Spans that a document gives may be outside of their sentence.
        if whole is not None and document.get("candidates") is None:
            return {whole: spans}
        groups: dict[Window, list[Span]] = {reading.window: [] for reading in segmented.readings(sentence)}
        for span in spans:
            window = segmented.window_of(sentence, *span)
            if window is not None:
                groups.setdefault(window, []).append(span)
        return groups

    def candidates(self, document: Document, sentence: int, first: int, last: int) -> Sequence[Span]:
        """The candidate spans of a sentence, start ascending, then end ascending."""
        if document.get("candidates") is not None:
            return [(start, end) for start, end in document["candidates"][sentence]]
        return candidate_spans(first, last, self.config.max_span_length)

    def labels(self, entities: Sequence[Sequence[int]], first: int, last: int) -> dict[Span, int]:
        """The class of each annotated span of a sentence."""
        return {(start, end): label for start, end, label in entities}

    def places(self, spans: Sequence[Span], segmented: SegmentedDocument, window: Window, training: bool) -> Candidates:
        """What is scored for the spans of a window: their first and last subwords."""
        starts, offset = segmented.subwords.word_starts, window.start
        first = [starts[start] - offset + 1 for start, _ in spans]
        return Candidates(spans, first, [starts[end + 1] - offset for _, end in spans])

    def examples(self, rows: Sequence[SpanRow]) -> list[Example[SpanRow]]:
        return [self.example(row, 0, len(row.labels)) for row in rows if row.labels]

    def text_positions(self, example: Example[SpanRow]) -> NDArray[np.int64]:
        return columns(example, "starts", "ends")

    def markers(self, example: Example[SpanRow]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        ids = np.asarray(self.config.marker_token_ids[: self.n_markers], dtype=np.int64)
        return np.tile(ids, (len(example), 1)), columns(example, "starts", "ends")[:, : self.n_markers]

    def decode(
        self, scored: Sequence[Scored[SpanRow]], n_sentences: int, least_nil: float = 0.0
    ) -> list[list[ScoredSpan]]:
        """Label the spans of one document.

        Args:
            scored: all that was read of the document.
            least_nil: the least score of NIL, see `without_weak_nil`. A tagger has none.

        Returns:
            For each sentence the spans whose class is not NIL, overlaps included.
        """
        return [label_spans(spans, logits, least_nil) for spans, logits in self.by_sentence(scored, n_sentences)]

    def by_sentence(self, scored: Sequence[Scored[SpanRow]], n_sentences: int) -> Iterator[tuple[list[Span], Array]]:
        """The spans of each sentence and their logits over the temperature, shape (spans, classes)."""
        return by_sentence(scored, n_sentences, self.config.temperature)

    def merge_gold(self, gold: Sequence[Sequence[Sequence[int]]]) -> Sequence[Sequence[Sequence[int]]]:
        """The gold entities of the sentences of a document, as they are counted: unchanged."""
        return gold


class TagTask(SpanTask):
    """A sequence tagger: the head reads the first subword of each word."""

    n_text_states = 1
    scores_spans = False

    def candidates(self, document: Document, sentence: int, first: int, last: int) -> Sequence[Span]:
        return candidate_spans(first, last, 1)

    def labels(self, entities: Sequence[Sequence[int]], first: int, last: int) -> dict[Span, int]:
        tags = tags_of_entities(entities, first, last, self.config.tags)
        return {(word, word): tag for word, tag in enumerate(tags, start=first)}

    def text_positions(self, example: Example[SpanRow]) -> NDArray[np.int64]:
        return columns(example, "starts")

    def decode(
        self, scored: Sequence[Scored[SpanRow]], n_sentences: int, least_nil: float = 0.0
    ) -> list[list[ScoredSpan]]:
        found: list[list[ScoredSpan]] = []
        for spans, logits in self.by_sentence(scored, n_sentences):
            if not spans:
                found.append([])
                continue
            # A word that no window holds has no tag.
            first, last = min(spans)[0], max(spans)[0]
            tags = np.zeros((last - first + 1, logits.shape[1]), dtype=logits.dtype)
            tags[:, 0] = 1.0
            for (word, _), row in zip(spans, logits, strict=True):
                tags[word - first] = row
            found.append(label_words(first, tags, self.config.tags))
        return found


def candidate_spans(first_word: int, last_word: int, max_span_length: int) -> list[Span]:
    """All spans of at most `max_span_length` words of a sentence: start ascending, then end ascending."""
    return [
        (start, end)
        for start in range(first_word, last_word + 1)
        for end in range(start, min(start + max_span_length, last_word + 1))
    ]


def _append(row: SpanRow, sentence: int, candidates: Candidates, labels: dict[Span, int]) -> None:
    size = len(candidates.spans)
    classes = [labels.get(span, 0) for span in candidates.spans] if labels else [0] * size
    for number in candidates.parts:
        classes[number] = 0
    row.sentences.extend([sentence] * size)
    row.labels.extend(classes)
    row.examples.append(size)
    row.word_starts.extend([start for start, _ in candidates.spans])
    row.word_ends.extend([end for _, end in candidates.spans])
    row.starts.extend(candidates.starts)
    row.ends.extend(candidates.ends)


def by_sentence(
    scored: Sequence[Scored[SpanRow]], n_sentences: int, temperature: float = 1.0
) -> Iterator[tuple[list[Span], Array]]:
    """The spans of each sentence and their logits over a temperature, shape (spans, classes)."""
    spans = [
        span
        for item in scored
        for span in zip(item.example.values("word_starts"), item.example.values("word_ends"), strict=True)
    ]
    if not spans:
        yield from (([], np.zeros((0, 1))) for _ in range(n_sentences))
        return
    logits = np.concatenate([item.logits[0] for item in scored])
    if temperature != 1.0:
        logits = logits / temperature
    for rows in rows_of_sentences(scored, n_sentences):
        yield [spans[row] for row in rows.tolist()], logits[rows]
