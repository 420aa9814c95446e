"""The rows of a mapped dataset: one window with all that is read in it, as ragged lists of integers."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from numbers import Integral
from typing import Any, TypeVar

from .schema_plmarker import LabelSchema, PLMarkerError
from .text_plmarker import sentence_ranges
from .windows_plmarker import Span

RowType = TypeVar("RowType", bound="Row")
# A relation's subject that is missing. Such instances teach entity types without a subject, in training only.
NO_SUBJECT: Span = (-1, -1)


@dataclass(frozen=True)
class Row:
    """A window.

    Args:
        doc_key: the document.
        input_ids: the subwords of the window, special tokens included.
        sentences: the sentence of each candidate of the window; shape (candidates,).
        labels: the class of each candidate; shape (candidates,). All 0 where nothing is annotated.
        examples: how many consecutive candidates make one training example; the sum is (candidates,).
    """

    doc_key: str
    input_ids: list[int] = field(default_factory=list)
    sentences: list[int] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)
    examples: list[int] = field(default_factory=list)

    @classmethod
    def from_mapping(cls: type[RowType], values: Mapping[str, Any]) -> RowType:
        """A row from a row of a mapped dataset, which may have more columns."""
        return cls(**{item.name: values[item.name] for item in fields(cls)})

    @property
    def bounds(self) -> list[Span]:
        """First candidate of each training example, and the first one behind it."""
        bounds, first = [], 0
        for size in self.examples:
            bounds.append((first, first + size))
            first += size
        return bounds


@dataclass(frozen=True)
class SpanRow(Row):
    """A window with candidate spans.

    Args:
        word_starts, word_ends: first and last word of each span, at document level; shape (spans,).
        starts, ends: positions of its first and last subword in the window; shape (spans,).
    """

    word_starts: list[int] = field(default_factory=list)
    word_ends: list[int] = field(default_factory=list)
    starts: list[int] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)

    @property
    def spans(self) -> list[Span]:
        """The spans, as words of the document."""
        return list(zip(self.word_starts, self.word_ends, strict=True))


@dataclass(frozen=True)
class PairRow(Row):
    """A window with pairs of a subject and an object.

    The columns of the subject and those of the object correspond. A missing subject has -1 in all columns.

    Args:
        subject_word_starts, subject_word_ends: first and last word of each subject, at document level; shape (pairs,).
        subject_starts, subject_ends: positions of its first and last subword in the window; shape (pairs,).
        subject_types: class of the given entity, 0 for a missing subject.
        subject_labels: annotated class of the span, 0 where it is no annotated entity.
    """

    subject_word_starts: list[int] = field(default_factory=list)
    subject_word_ends: list[int] = field(default_factory=list)
    subject_starts: list[int] = field(default_factory=list)
    subject_ends: list[int] = field(default_factory=list)
    subject_types: list[int] = field(default_factory=list)
    subject_labels: list[int] = field(default_factory=list)
    object_word_starts: list[int] = field(default_factory=list)
    object_word_ends: list[int] = field(default_factory=list)
    object_starts: list[int] = field(default_factory=list)
    object_ends: list[int] = field(default_factory=list)
    object_types: list[int] = field(default_factory=list)
    object_labels: list[int] = field(default_factory=list)

    @property
    def subjects(self) -> list[Span]:
        """The subjects, as words of the document."""
        return list(zip(self.subject_word_starts, self.subject_word_ends, strict=True))

    @property
    def objects(self) -> list[Span]:
        """The objects, as words of the document."""
        return list(zip(self.object_word_starts, self.object_word_ends, strict=True))


@dataclass(frozen=True)
class Annotations:
    """The annotations of one document: beside the rows of a mapped dataset, for evaluation alone.

    Args:
        gold_entities: annotated entities, as [sentence, start, end, class]; each once.
        gold_relations: annotated relations, as [sentence, head start, head end, tail start, tail end, class]; each
            once.
        given_entities: the entities that a relation model reads, as [sentence, start, end, class].
    """

    gold_entities: list[list[int]] = field(default_factory=list)
    gold_relations: list[list[int]] = field(default_factory=list)
    given_entities: list[list[int]] = field(default_factory=list)

    @classmethod
    def of_document(cls, document: Mapping[str, Any], schema: LabelSchema) -> Annotations:
        """Read `ner`, `relations` and `predicted_ner` of a document.

        Raises:
            PLMarkerError: naming the document, for a label that the schema does not have, an entity outside its
                sentence, a relation outside the document, and annotations of another form.
        """
        try:
            gold, given = (
                _unique([*place, schema.entity_class(label)] for *place, label in entities_of(document, name))
                for name in ("ner", "predicted_ner")
            )
            is_given = document.get("predicted_ner") is not None
            return cls(gold, _unique(_relations(document, schema)), given if is_given else gold)
        except PLMarkerError as error:
            raise PLMarkerError(f"document {document.get('doc_key', '')!r}: {error}") from None

    def entities(self, sentence: int) -> list[list[int]]:
        """Annotated entities of a sentence, as [start, end, class]."""
        return _of_sentence(self.gold_entities, sentence)

    def relations(self, sentence: int) -> list[list[int]]:
        """Annotated relations of a sentence, as [head start, head end, tail start, tail end, class]."""
        return _of_sentence(self.gold_relations, sentence)

    def given(self, sentence: int) -> list[list[int]]:
        """The entities of a sentence that a relation model reads, as [start, end, class]."""
        return _of_sentence(self.given_entities, sentence)

    @property
    def given_is_gold(self) -> bool:
        """Whether the entities that a relation model reads are the annotated ones."""
        return sorted(self.given_entities) == sorted(self.gold_entities)


def entities_of(document: Mapping[str, Any], name: str) -> Iterator[tuple[int, int, int, Any]]:
    """The entities under `ner` or `predicted_ner` of a typed document, as (sentence, start, end, label).

    Raises:
        PLMarkerError: for an entity outside its sentence, and for annotations of another form.
    """
    for number, (start, end, label), (first, last) in _annotations(document, name, ("start", "end", "label")):
        if not first <= start <= end <= last:
            place = f"its sentence {number}, which has the words {first}..{last}"
            raise PLMarkerError(f"{name}: the entity {start}..{end} ({label}) is outside {place}")
        yield number, start, end, label


def _relations(document: Mapping[str, Any], schema: LabelSchema) -> Iterator[list[int]]:
    last = sum(map(len, document["sentences"])) - 1
    names = ("head_start", "head_end", "tail_start", "tail_end", "label")
    for number, (*ends, label), _ in _annotations(document, "relations", names):
        # A relation to another sentence is valid, but no model can find it.
        if not all(0 <= start <= end <= last for start, end in (ends[:2], ends[2:])):
            place = f"its document, which has the words 0..{last}"
            raise PLMarkerError(f"relations: the relation {ends} ({label}) is outside {place}")
        yield [number, *ends, schema.relation_class(label)]


def _annotations(document: Mapping[str, Any], kind: str, names: Sequence[str]) -> Iterator[tuple[int, list[Any], Span]]:
    """The sentence and the values of each annotation, and the first and last word of the sentence."""
    lists, ranges = document.get(kind), sentence_ranges(document["sentences"])
    if lists is None:
        return
    if not isinstance(lists, Collection) or len(lists) != len(ranges):
        found = len(lists) if isinstance(lists, Collection) else repr(lists)
        raise PLMarkerError(f"{kind}: expected a list for each sentence, got {found} for {len(ranges)} sentences")
    for number, rows in enumerate(lists):
        if not isinstance(rows, Collection):
            raise PLMarkerError(f"{kind}: expected a list for sentence {number}, got {rows!r}")
        for row in rows:
            if not isinstance(row, Mapping) or not row.keys() >= set(names):
                raise PLMarkerError(f"{kind}: expected a mapping with {', '.join(names)}, got {row!r}")
            *place, label = (row[name] for name in names)
            if not all(isinstance(word, Integral) for word in place):
                raise PLMarkerError(f"{kind}: a place consists of numbers of words, got {row!r}")
            yield number, [*place, label], ranges[number]


def _of_sentence(rows: Sequence[Sequence[int]], sentence: int) -> list[list[int]]:
    return [list(values) for number, *values in rows if number == sentence]


def _unique(rows: Any) -> list[list[int]]:
    return [list(row) for row in dict.fromkeys(map(tuple, rows))]
