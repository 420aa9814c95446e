"""Extractions: the entities and relations of a text, with character offsets."""

from __future__ import annotations

import html
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any, ClassVar

from .decoding_plmarker import ScoredRelation, ScoredSpan
from .schema_plmarker import LabelSchema, PLMarkerError, one_sentence
from .text_plmarker import Offsets


@dataclass(frozen=True)
class Entity:
    """An entity in a text: `text[start:end] == entity.text`.

    Args:
        text: the characters of the entity.
        label: its type.
        start, end: character offsets into the input, end exclusive.
        score: probability of the type, between 0 and 1.
        sentence: index of the sentence.
    """

    text: str
    label: str
    start: int
    end: int
    score: float
    sentence: int

    def check(self, text: str) -> None:
        """Make sure that the entity is one of this text. Values that come from outside may not be.

        Raises:
            TypeError: naming the entity.
        """
        are_numbers = all(map(_is_number, (self.start, self.end, self.sentence, self.score)))
        is_labelled = isinstance(self.label, str) and text[self.start : self.end] == self.text
        if not (are_numbers and is_labelled and 0 <= self.score <= 1):
            raise TypeError(f"{self} is no entity of the text")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


@dataclass(frozen=True)
class ExplainedWord:
    """A word that a relation was read from.

    Args:
        text: the word; `start` and `end` are characters of the input, end exclusive.
        head, tail: for each layer, the share of their attention that the markers of the head (tail) pay to the word.
        drop: how much the score of the relation falls where the word is masked.
    """

    text: str
    start: int
    end: int
    head: tuple[float, ...]
    tail: tuple[float, ...]
    drop: float


@dataclass(frozen=True)
class Explanation:
    """The words to which the markers of a relation paid most attention, most first."""

    words: tuple[ExplainedWord, ...]

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Explanation:
        """The explanation that `dataclasses.asdict` was called for."""
        rows = ({**row, "head": tuple(row["head"]), "tail": tuple(row["tail"])} for row in values["words"])
        return cls(tuple(ExplainedWord(**row) for row in rows))


@dataclass(frozen=True)
class Relation:
    """A relation between two entities of one sentence. The direction of a symmetric relation means nothing.

    Args:
        head, tail: the entities.
        label: the relation type.
        score: geometric mean of the probabilities from both directions, between 0 and 1.
        explanation: what it was read from, where `explain=True` asked for that.
    """

    head: Entity
    tail: Entity
    label: str
    score: float
    explanation: Explanation | None = None


@dataclass(frozen=True)
class Extraction:
    """Everything found in one text.

    Args:
        text: the text that the offsets count in. Pre-tokenized words are joined by spaces.
        sentences: the words that the model read.
        entities: by sentence, then by place.
        relations: by sentence, then best first.
    """

    text: str
    sentences: list[list[str]] = field(default_factory=list)
    entities: list[Entity] = field(default_factory=list)
    relations: list[Relation] = field(default_factory=list)

    # The package sets it, see `plmarker.reports`.
    page: ClassVar[Callable[..., str] | None] = None

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values. Relations name their head and tail by index into `entities`.

        An end of a relation that was changed in `entities` since is found by its span and its label, or by its span.

        Raises:
            PLMarkerError: for a relation whose head or tail is not among the entities.
        """
        index: dict[Any, int] = {}

        def keys_of(entity: Entity) -> tuple[Any, ...]:
            place = (entity.sentence, entity.start, entity.end)
            return entity, (*place, entity.label), place

        for number, entity in enumerate(self.entities):
            for key in keys_of(entity):
                index.setdefault(key, number)

        def number_of(entity: Entity) -> int:
            found = next((index[key] for key in keys_of(entity) if key in index), None)
            if found is None:
                raise PLMarkerError(f"a relation joins {entity.text!r}, which is not among the entities")
            return found

        return {
            "text": self.text,
            "entities": [asdict(entity) for entity in self.entities],
            "relations": [
                {"head": number_of(r.head), "tail": number_of(r.tail), "label": r.label, "score": r.score}
                | ({} if r.explanation is None else {"explanation": asdict(r.explanation)})
                for r in self.relations
            ],
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Extraction:
        """The extraction that `to_dict` was called for, without the words that the model read.

        Raises:
            PLMarkerError: for values that `to_dict` does not return.
        """
        try:
            text = values["text"]
            if not isinstance(text, str):
                raise TypeError(f"text is {text!r}")
            entities = [Entity(**{item.name: row[item.name] for item in fields(Entity)}) for row in values["entities"]]
            for entity in entities:
                entity.check(text)
            relations = []
            for row in values["relations"]:
                why = None if row.get("explanation") is None else Explanation.from_dict(row["explanation"])
                if min(row["head"], row["tail"]) < 0:
                    raise IndexError(f"a relation joins entity {min(row['head'], row['tail'])}")
                if not (_is_number(row["score"]) and 0 <= row["score"] <= 1):
                    raise TypeError(f"the score of a relation is {row['score']}")
                relations.append(
                    Relation(entities[row["head"]], entities[row["tail"]], row["label"], row["score"], why)
                )
        except (KeyError, TypeError, IndexError, AttributeError) as error:
            raise PLMarkerError(f"expected what Extraction.to_dict returns: {one_sentence(error)}") from None
        return cls(text, entities=entities, relations=relations)

    def to_html(self, title: str = "Entities and relations") -> str:
        """A self-contained HTML page that draws the entities and relations into the text.

        Raises:
            PLMarkerError: where the package plmarker is not installed.

        Example:
            >>> Path("page.html").write_text(model.extract(text).to_html(), encoding="utf-8")  # doctest: +SKIP
        """
        if self.page is None:
            raise PLMarkerError("to_html needs the package plmarker: import plmarker")
        page: str = self.page(title)
        return page

    def _repr_html_(self) -> str:
        """What a notebook shows. A frame keeps the page's styles and scripts to itself."""
        page = html.escape(self.to_html())
        return f'<iframe srcdoc="{page}" style="width: 100%; height: 24rem; border: 0" title="extraction"></iframe>'


def build_extraction(
    text: str,
    located: Sequence[Sequence[Offsets]],
    spans: Sequence[Sequence[ScoredSpan]],
    relations: Sequence[Sequence[ScoredRelation]],
    schema: LabelSchema,
) -> Extraction:
    """Turn spans of words into spans of characters.

    Args:
        located: character offsets of the words of every sentence.
        spans, relations: the spans and relations of every sentence, by words of the document.
    """
    words = [offsets for sentence in located for offsets in sentence]
    result = Extraction(text, [[text[start:end] for start, end in sentence] for sentence in located])
    for sentence, (found, linked) in enumerate(zip(spans, relations, strict=True)):
        entity_of: dict[tuple[int, int], Entity] = {}
        # A relation joins the most probable of several entities with one span.
        for span in sorted(found, key=lambda span: (span.start, span.end, -span.score)):
            start, end = words[span.start][0], words[span.end][1]
            label = schema.entity_classes[span.label]
            entity = Entity(text[start:end], label, start, end, span.score, sentence)
            result.entities.append(entity)
            entity_of.setdefault((span.start, span.end), entity)
        seen: set[tuple] = set()
        for relation in linked:
            # A model of single directions may find a symmetric relation twice.
            if relation.label < schema.n_symmetric and (relation.tail, relation.head, relation.label) in seen:
                continue
            seen.add((relation.head, relation.tail, relation.label))
            label = schema.relation_classes[relation.label]
            head, tail = entity_of[relation.head], entity_of[relation.tail]
            result.relations.append(Relation(head, tail, label, relation.score))
    return result
