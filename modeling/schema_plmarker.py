"""The label schema: entity types, relation types, which relations are symmetric, and what relations may join."""

from __future__ import annotations

import math
import reprlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from numbers import Real
from typing import Any

NIL = "NIL"
# Least score of a kept span or relation: one for all labels, or one for each label. Other labels have no threshold. NIL
# may have one too: where its score is lower, the best label is taken although NIL is more probable.
Threshold = float | Mapping[str, float]


class PLMarkerError(ValueError):
    """Bad input. The message is one sentence that names the place, what was found and what was expected."""


def one_line(error: BaseException) -> str:
    """The whole message of an error in one line."""
    return " ".join(str(error).split())


def one_sentence(error: BaseException) -> str:
    """The whole message of an error in one line. The errors of other libraries begin with their kind."""
    message = one_line(error)
    return message if isinstance(error, PLMarkerError) else f"{type(error).__name__}: {message}".removesuffix(": ")


# With this many chances to see two relations at an end and not one seen, at most 3 % of the ends have two, at a
# confidence of 95 % (the rule of three).
LEAST_CHANCES = 100


@dataclass(frozen=True)
class RelationConstraint:
    """What the relations of one label may join.

    Args:
        types: the entity types of head and tail that are permitted, as pairs; None permits all. The order is the
            direction. It means nothing for a symmetric label.
        counts: how often each pair of types occurs in the documents from which it was learned; empty otherwise.
        one_per_head, one_per_tail: an entity is the head, or the tail, of at most one relation of the label. For a
            symmetric label either means that an entity has at most one such relation.

    Example:
        >>> RelationConstraint(types=(("Person", "Company"),), one_per_head=True).to_dict()
        {'types': [['Person', 'Company']], 'one_per_head': True}
    """

    types: tuple[tuple[str, str], ...] | None = None
    counts: tuple[int, ...] = ()
    one_per_head: bool = False
    one_per_tail: bool = False

    @classmethod
    def from_value(cls, label: str, value: Any) -> RelationConstraint:
        """A constraint as it is, or from plain values, as JSON and YAML have them.

        Raises:
            PLMarkerError: naming the relation label, for anything else.
        """
        if isinstance(value, RelationConstraint):
            return value
        name = f"constraint of {label!r}"
        if not isinstance(value, Mapping) or not set(value) <= set(cls.__dataclass_fields__):
            known = ", ".join(cls.__dataclass_fields__)
            raise PLMarkerError(f"{name}: expected a mapping with {known}, got {reprlib.repr(value)}")
        for key in ("one_per_head", "one_per_tail"):
            if not isinstance(value.get(key, False), bool):
                raise PLMarkerError(f"{name}: {key} is true or false, got {reprlib.repr(value[key])}")
        types, counts = value.get("types"), value.get("counts") or ()
        if types is not None:
            pairs: Any = types if isinstance(types, Sequence) and not isinstance(types, str) else [None]
            if not all(isinstance(p, Sequence) and len(p) == 2 and all(isinstance(t, str) for t in p) for p in pairs):
                raise PLMarkerError(f"{name}: types is a list of [head type, tail type], got {reprlib.repr(types)}")
            types = tuple(tuple(pair) for pair in pairs)
        if counts and (types is None or not isinstance(counts, Sequence) or len(counts) != len(types)):
            raise PLMarkerError(f"{name}: counts has a number for each pair of types, got {reprlib.repr(counts)}")
        flags = {key: value.get(key, False) for key in ("one_per_head", "one_per_tail")}
        return cls(types, tuple(counts), **flags)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, without those that say nothing."""
        values: dict[str, Any] = {} if self.types is None else {"types": [list(pair) for pair in self.types]}
        values |= {"counts": list(self.counts)} if self.counts else {}
        return values | {key: True for key in ("one_per_head", "one_per_tail") if getattr(self, key)}


@dataclass(frozen=True)
class LabelSchema:
    """The labels of a dataset, without NIL, which is always class 0 of a model.

    Relation classes are numbered as in the original: NIL, the symmetric labels, the
    directed labels, then one inverse class for each directed label.

    Args:
        entity_labels: entity types, in the order of the model's classes.
        relation_labels: relation types. Symmetric types are moved to the front. Empty for a corpus without relations.
        symmetric_labels: the relation types for which (a, b) and (b, a) mean the same.
        constraints: by relation type, what its relations may join: a [`RelationConstraint`], or its values as a
            mapping. A type without one is free. Decoding keeps them.

    Raises:
        PLMarkerError: for a repeated label, a label named NIL, a symmetric label that is no relation label, and a
            constraint of an unknown label or with an unknown entity type.
    """

    entity_labels: tuple[str, ...]
    relation_labels: tuple[str, ...] = ()
    symmetric_labels: tuple[str, ...] = ()
    constraints: Mapping[str, RelationConstraint] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        unknown = [label for label in self.symmetric_labels if label not in self.relation_labels]
        if unknown:
            known = ", ".join(map(repr, self.relation_labels)) or "there are no relations"
            raise PLMarkerError(f"symmetric label {unknown[0]!r} is not one of the relation labels: {known}")
        symmetric = tuple(label for label in self.relation_labels if label in self.symmetric_labels)
        directed = tuple(label for label in self.relation_labels if label not in self.symmetric_labels)
        object.__setattr__(self, "entity_labels", tuple(self.entity_labels))
        object.__setattr__(self, "relation_labels", symmetric + directed)
        object.__setattr__(self, "symmetric_labels", symmetric)
        for kind, labels in (("entity", self.entity_labels), ("relation", self.relation_labels)):
            for label in labels:
                if label in ("", NIL) or labels.count(label) > 1:
                    what = {"": "is empty", NIL: "is reserved for 'no label'"}.get(label, "is given twice")
                    raise PLMarkerError(f"{kind} label {label!r} {what}")
        object.__setattr__(self, "constraints", self._checked_constraints())

    def _checked_constraints(self) -> dict[str, RelationConstraint]:
        """The constraints that say something, in the order of the labels."""
        given: Any = self.constraints
        if not isinstance(given, Mapping):
            raise PLMarkerError(f"constraints is a mapping from relation labels, got {reprlib.repr(given)}")
        if not given:
            return {}
        for label in given:
            self.relation_class(label)
        checked = {}
        for label in self.relation_labels:
            found = RelationConstraint.from_value(label, given.get(label, {}))
            for kind in (kind for pair in found.types or () for kind in pair):
                if kind not in self.entity_labels:
                    known = list(self.entity_labels)
                    raise PLMarkerError(
                        f"constraint of {label!r}: unknown entity label {kind!r}; the schema has {known}"
                    )
            if label in self.symmetric_labels and (found.one_per_head or found.one_per_tail):
                found = RelationConstraint(found.types, found.counts, True, True)
            if found.to_dict():
                checked[label] = found
        return checked

    def learn_constraints(self, documents: Iterable[Mapping[str, Any]], least: int = 1) -> LabelSchema:
        """The same labels with the constraints that annotated documents show, in place of those that are there.

        A relation type joins the pairs of entity types that it joins in the documents, and `counts` says how often. It
        has at most one tail for each head where no head has two, although the documents have at least 100 heads that
        could have: their sentences have two or more entities that are permitted as tails. The same goes for heads. A
        relation type that does not occur stays free.

        Args:
            documents: typed documents with `ner` and `relations`: those of training, not those of evaluation.
            least: a pair of entity types that occurs less often is not permitted.

        Raises:
            PLMarkerError: for documents whose annotations are lists, as in the original's files.

        Example:
            >>> person, firm = {"start": 0, "end": 0, "label": "PER"}, {"start": 2, "end": 2, "label": "ORG"}
            >>> works = {"head_start": 0, "head_end": 0, "tail_start": 2, "tail_end": 2, "label": "WORKS_FOR"}
            >>> document = {"ner": [[person, firm]], "relations": [[works]]}
            >>> LabelSchema(("PER", "ORG"), ("WORKS_FOR",)).learn_constraints([document]).to_dict()["constraints"]
            {'WORKS_FOR': {'types': [['PER', 'ORG']], 'counts': [1]}}
        """
        seen: dict[str, Counter[tuple[str, str]]] = defaultdict(Counter)
        # For each sentence with relations of a label: the types of its entities, and the (head, tail) pairs.
        sentences: dict[str, list[tuple[dict[Any, set[str]], set[tuple[Any, Any]]]]] = defaultdict(list)
        for document in documents:
            annotated = _annotations(document, "ner"), _annotations(document, "relations")
            for entities, relations in zip(*annotated, strict=False):
                types: dict[Any, set[str]] = defaultdict(set)
                for entity in entities:
                    types[entity["start"], entity["end"]].add(entity["label"])
                pairs: dict[str, set[tuple[Any, Any]]] = defaultdict(set)
                for r in relations:
                    ends = (r["head_start"], r["head_end"]), (r["tail_start"], r["tail_end"])
                    pairs[r["label"]].add(ends if r["label"] not in self.symmetric_labels else (min(ends), max(ends)))
                for label, found in pairs.items():
                    sentences[label].append((dict(types), found))
                    for head, tail in found:
                        for kinds in {self._ordered(label, a, b) for a in types[head] for b in types[tail]}:
                            seen[label][kinds] += 1
        learned = {}
        for label, counter in seen.items():
            counts = {kinds: count for kinds, count in counter.most_common() if count >= least}
            single = [_never_two(sentences[label], counts, end, label in self.symmetric_labels) for end in (0, 1)]
            learned[label] = RelationConstraint(tuple(counts), tuple(counts.values()), *single)
        return LabelSchema(self.entity_labels, self.relation_labels, self.symmetric_labels, learned)

    def permits(self, label: str, head: str, tail: str) -> bool:
        """Whether the constraints let a relation of a label join entities of these types."""
        types = self.constraints[label].types if label in self.constraints else None
        return types is None or (head, tail) in types or (label in self.symmetric_labels and (tail, head) in types)

    def _ordered(self, label: str, head: str, tail: str) -> tuple[str, str]:
        """The entity types of a relation, in the order of the labels where it has no direction."""
        swapped = label in self.symmetric_labels and self.entity_class(head) > self.entity_class(tail)
        return (tail, head) if swapped else (head, tail)

    @classmethod
    def from_documents(
        cls, documents: Iterable[Mapping[str, Any]], symmetric_labels: Iterable[str] = ()
    ) -> LabelSchema:
        """Collect the labels that occur in `documents` (typed JSONL documents), in alphabetical order.

        Args:
            documents: documents with `ner` and `relations` as lists, per sentence, of objects with a `label`.
            symmetric_labels: the symmetric relation labels. The data does not show them.

        Raises:
            PLMarkerError: for documents whose annotations are lists, as in the original's files.
        """
        entity_labels: set[str] = set()
        relation_labels: set[str] = set()
        for document in documents:
            entity_labels.update(e["label"] for sentence in _annotations(document, "ner") for e in sentence)
            relation_labels.update(r["label"] for sentence in _annotations(document, "relations") for r in sentence)
        return cls(tuple(sorted(entity_labels)), tuple(sorted(relation_labels)), tuple(symmetric_labels))

    @property
    def entity_classes(self) -> list[str]:
        """Class names of the entity head, NIL first."""
        return [NIL, *self.entity_labels]

    @property
    def relation_classes(self) -> list[str]:
        """Class names of the relation head: NIL, symmetric, directed, and the inverses of the directed labels."""
        inverses = [f"{label}^-1" for label in self.relation_labels if label not in self.symmetric_labels]
        return [NIL, *self.relation_labels, *inverses]

    @property
    def n_forward(self) -> int:
        """Number of relation classes that are not inverses, NIL included."""
        return 1 + len(self.relation_labels)

    @property
    def n_symmetric(self) -> int:
        """Number of relation classes that are their own inverse, NIL included."""
        return 1 + len(self.symmetric_labels)

    def inverse(self, relation_class: int) -> int:
        """The class of (object, subject) when (subject, object) has `relation_class`."""
        if relation_class < self.n_symmetric:
            return relation_class
        if relation_class < self.n_forward:
            return relation_class + self.n_forward - self.n_symmetric
        return relation_class - self.n_forward + self.n_symmetric

    @property
    def inverse_order(self) -> list[int]:
        """`scores[inverse_order]` are the scores of the swapped pair; shape (relation classes,)."""
        return [self.inverse(index) for index in range(len(self.relation_classes))]

    def entity_class(self, label: str) -> int:
        """Class index of an entity label. Raises `PLMarkerError` for an unknown one."""
        return _index(label, self.entity_labels, "entity")

    def relation_class(self, label: str) -> int:
        """Class index of a (forward) relation label. Raises `PLMarkerError` for an unknown one."""
        return _index(label, self.relation_labels, "relation")

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as written into a model's config. `constraints` is there where there are any."""
        values: dict[str, Any] = {
            "entity_labels": list(self.entity_labels),
            "relation_labels": list(self.relation_labels),
            "symmetric_labels": list(self.symmetric_labels),
        }
        if self.constraints:
            values["constraints"] = {label: found.to_dict() for label, found in self.constraints.items()}
        return values


def _annotations(document: Mapping[str, Any], key: str) -> Sequence[Sequence[Mapping[str, Any]]]:
    """The annotations of each sentence of a typed document."""
    sentences: Sequence[Sequence[Mapping[str, Any]]] = document.get(key) or ()
    for annotation in (annotation for sentence in sentences for annotation in sentence):
        if not isinstance(annotation, Mapping):
            name = document.get("doc_key", "a document without doc_key")
            reason = "expected a mapping; plmarker.data.typed_document makes one"
            raise PLMarkerError(f"{name}: {key} has {annotation!r}, {reason}")
    return sentences


def least_scores(threshold: Threshold, classes: Sequence[str], most: float = math.inf) -> list[float]:
    """The least score of each class.

    Args:
        classes: class names, NIL first.
        most: the highest threshold. A config may switch a label off by one above all scores.

    Raises:
        PLMarkerError: for a threshold of an unknown label, and for a threshold that is no such number.
    """
    for score in threshold.values() if isinstance(threshold, Mapping) else [threshold]:
        if isinstance(score, bool) or not isinstance(score, Real) or not 0 <= float(score) <= most:
            raise PLMarkerError(f"a threshold is from 0 to 1, or one for each label, got {threshold!r}")
    if not isinstance(threshold, Mapping):
        return [0.0, *[threshold] * (len(classes) - 1)]
    unknown = [label for label in threshold if label not in classes]
    if unknown:
        raise PLMarkerError(f"threshold for an unknown label {unknown[0]!r}; the model has {list(classes[1:])}")
    return [threshold.get(label, 0.0) for label in classes]


def _never_two(
    sentences: Sequence[tuple[Mapping[Any, set[str]], set[tuple[Any, Any]]]],
    permitted: Iterable[tuple[str, str]],
    end: int,
    is_symmetric: bool,
) -> bool:
    """Whether an entity never has two relations of a label at one end, although it often could.

    Args:
        sentences: the types of the entities of each sentence, and its (head, tail) pairs of the label.
        permitted: the entity types of head and tail.
        end: 0 counts the relations of each head, 1 those of each tail.
    """
    partners: dict[str, set[str]] = defaultdict(set)
    for pair in permitted:
        for this in (0, 1) if is_symmetric else (end,):
            partners[pair[this]].add(pair[1 - this])
    chances = 0
    for types, pairs in sentences:
        ends = Counter(span for pair in pairs for span in (pair if is_symmetric else pair[end : end + 1]))
        if any(count > 1 for count in ends.values()):
            return False
        for span in ends:
            wanted = {kind for own in types.get(span, ()) for kind in partners[own]}
            chances += sum(other != span and bool(kinds & wanted) for other, kinds in types.items()) > 1
    return chances >= LEAST_CHANCES


def _index(label: str, labels: tuple[str, ...], kind: str) -> int:
    try:
        return 1 + labels.index(label)
    except ValueError:
        raise PLMarkerError(f"unknown {kind} label {label!r}; the schema has {list(labels)}") from None


def pair_classes(
    relations: Sequence[Sequence[int]], schema: LabelSchema, reversed_classes: range
) -> dict[tuple[int, ...], int]:
    """Relation class of ordered pairs: as annotated, and the inverse where the other order has none of its own.

    Args:
        relations: rows of [head start, head end, tail start, tail end, class].
        reversed_classes: the classes that give the other order an inverse.
    """
    classes: dict[tuple[int, ...], int] = {tuple(ends): label for *ends, label in relations}
    for (hs, he, ts, te), label in list(classes.items()):
        if label in reversed_classes:
            classes.setdefault((ts, te, hs, he), schema.inverse(label))
    return classes
