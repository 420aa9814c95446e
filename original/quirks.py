"""The quirks of the published scripts: faults and accidents that change results, Q1 to Q6 of docs/original.md.

`compat="original"` wraps a model's task into one of the tasks here. Nobody else runs this code.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..modeling.configuration_plmarker import PLMarkerTaskConfig
from ..modeling.pair_tasks_plmarker import LevitatedPairTask, SubjectTask
from ..modeling.rows_plmarker import PairRow, Row
from ..modeling.schema_plmarker import PLMarkerError
from ..modeling.span_tasks_plmarker import Candidates, SpanTask, TagTask
from ..modeling.task_plmarker import Array, Batch, Document, Example, Task
from ..modeling.windows_plmarker import SegmentedDocument, Span, Window, WordTokenizer

QUIRKS = {
    "raw_brackets": "Q1: -LRB- and its relatives are read as words and not as brackets",
    "marker_positions": "Q2: on RoBERTa, markers lack the position offset of 2 that text has",
    "inverse_score": "Q3: a relation found in its inverse class is sorted by the score of the forward class",
    "last_group": "Q4: only the last group of a sentence's levitated pairs counts; a pair of a span with itself counts "
    "too, and a symmetric relation found in one direction counts once",
    "word_parts": "Q5: spans that end inside a word are candidates too, as NIL",
    "merged_sentences": "Q6: entities of one type on both sides of a sentence border count as one",
}
# These encoders count positions from padding_idx + 1.
ROBERTA_FAMILY = ("roberta", "xlm-roberta", "camembert", "xlm-roberta-xl")


def default_quirks(config: PLMarkerTaskConfig) -> list[str]:
    """The quirks of the published scripts for ACE, SciERC and OntoNotes."""
    if config.model_type == "plmarker-ner":
        return ["marker_positions"]
    levitated = getattr(config, "subject_markers", "solid") == "levitated"
    return ["raw_brackets", "last_group" if levitated else "inverse_score"]


def quirks_of(config: PLMarkerTaskConfig) -> set[str]:
    """The quirks that a model has; none without `compat="original"`.

    Raises:
        PLMarkerError: for an unknown quirk, or a quirk of another variant.
    """
    if config.compat != "original":
        return set()
    quirks = set(default_quirks(config) if config.quirks is None else config.quirks)
    unknown = sorted(quirks - set(QUIRKS))
    if unknown:
        raise PLMarkerError(f"unknown quirk {unknown[0]!r}, the original has {', '.join(QUIRKS)}")
    if "last_group" in quirks and getattr(config, "subject_markers", "levitated") != "levitated":
        raise PLMarkerError("quirk 'last_group' needs subject_markers 'levitated'")
    return quirks


def raw_tokenizer(tokenize: WordTokenizer) -> WordTokenizer:
    """The same tokenizer, which reads brackets as they are spelled. It is made once."""
    if not tokenize.brackets:
        return tokenize
    if "raw" not in tokenize.__dict__:
        tokenize.__dict__["raw"] = WordTokenizer(tokenize.tokenizer, map_brackets=False)
    raw: WordTokenizer = tokenize.__dict__["raw"]
    return raw


def merged_sentences(gold: Sequence[Sequence[Sequence[int]]]) -> list[list[list[int]]]:
    """Join annotated entities of one label that touch across a sentence border (Q6).

    On CoNLL-2003 the original reads gold entities from tags of whole documents, where two such entities look like one.
    It does not join what it predicts.

    Args:
        gold: for each sentence of a document, in order, rows of [start, end, class].
    """
    merged: list[list[list[int]]] = []
    last: list[int] | None = None
    for rows in gold:
        ordered = sorted(list(row) for row in rows)
        if last is not None and ordered and ordered[0][0] == last[1] + 1 and ordered[0][2] == last[2]:
            last[1] = ordered.pop(0)[1]
        merged.append(ordered)
        last = ordered[-1] if ordered else last
    return merged


class _Original(Task[Any, Any]):
    """Q1 and Q2, which any task may have."""

    quirks: set[str]

    def rows(
        self, document: Document, tokenize: WordTokenizer, training: bool = False, annotated: bool = True
    ) -> list[Any]:
        tokenize = raw_tokenizer(tokenize) if "raw_brackets" in self.quirks else tokenize
        return super().rows(document, tokenize, training, annotated)

    def batch(self, examples: Sequence[Example[Row]], labels: bool = True) -> Batch:
        batch = super().batch(examples, labels)
        encoder_config = self.config.encoder_config
        if "marker_positions" in self.quirks and encoder_config.model_type in ROBERTA_FAMILY:
            # The model adds the offset to all positions.
            batch.inputs["marker_positions"] -= encoder_config.pad_token_id + 1
        return batch


class OriginalSpanTask(_Original, SpanTask):
    """Q5 and Q6."""

    def places(self, spans: Sequence[Span], segmented: SegmentedDocument, window: Window, training: bool) -> Candidates:
        whole = super().places(spans, segmented, window, training)
        if not training or "word_parts" not in self.quirks:
            return whole
        found: list[tuple[Span, int, int]] = []
        parts: list[int] = []
        for span, start, end in zip(whole.spans, whole.starts, whole.ends, strict=True):
            inside = range(segmented.position(window, span[1]), end)
            parts += range(len(found), len(found) + len(inside))
            found += [(span, start, last) for last in (*inside, end)]
        return Candidates([span for span, *_ in found], [s for _, s, _ in found], [e for *_, e in found], parts)

    def merge_gold(self, gold: Sequence[Sequence[Sequence[int]]]) -> Any:
        """The gold entities of the sentences of a document, as the original counts them."""
        return merged_sentences(gold) if "merged_sentences" in self.quirks else gold


class OriginalTagTask(OriginalSpanTask, TagTask):
    """Q5 and Q6, for tags."""


class OriginalSubjectTask(_Original, SubjectTask):
    """Q3."""

    def sorting_score(self, scores: Array, winner: int, label: int) -> float:
        return float(scores[label if "inverse_score" in self.quirks else winner])


class OriginalPairTask(_Original, LevitatedPairTask):
    """Q4."""

    @property
    def keeps_self_pairs(self) -> bool:  # type: ignore[override]
        return "last_group" in self.quirks

    @property
    def counts_directions(self) -> bool:  # type: ignore[override]
        return "last_group" in self.quirks

    def examples(self, rows: Sequence[PairRow]) -> list[Example[PairRow]]:
        if "last_group" not in self.quirks:
            return super().examples(rows)
        last: dict[int, Example[PairRow]] = {}
        for row in rows:
            for example in self.training_examples(row):
                last[example.row.sentences[example.first]] = example
        return list(last.values())


ORIGINALS: dict[type[Task[Any, Any]], Any] = {
    SpanTask: OriginalSpanTask,
    TagTask: OriginalTagTask,
    SubjectTask: OriginalSubjectTask,
    LevitatedPairTask: OriginalPairTask,
}


def original_task(task: Task[Any, Any]) -> Task[Any, Any]:
    """The task as the published scripts do it, with the quirks that the model's config names."""
    found: Any = ORIGINALS[type(task)](task.config)
    found.quirks = quirks_of(task.config)
    return found
