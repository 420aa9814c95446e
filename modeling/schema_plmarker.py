"""The label schema: entity types, relation types, and which relations are symmetric."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
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


@dataclass(frozen=True)
class LabelSchema:
    """The labels of a dataset, without NIL, which is always class 0 of a model.

    Relation classes are numbered as in the original: NIL, the symmetric labels, the
    directed labels, then one inverse class for each directed label.

    Args:
        entity_labels: entity types, in the order of the model's classes.
        relation_labels: relation types. Symmetric types are moved to the front. Empty for a corpus without relations.
        symmetric_labels: the relation types for which (a, b) and (b, a) mean the same.

    Raises:
        PLMarkerError: for a repeated label, a label named NIL, or a symmetric label that is no relation label.
    """

    entity_labels: tuple[str, ...]
    relation_labels: tuple[str, ...] = ()
    symmetric_labels: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        unknown = [label for label in self.symmetric_labels if label not in self.relation_labels]
        if unknown:
            raise PLMarkerError(
                f"symmetric label {unknown[0]!r} is not one of the relation labels {list(self.relation_labels)}"
            )
        symmetric = tuple(label for label in self.relation_labels if label in self.symmetric_labels)
        directed = tuple(label for label in self.relation_labels if label not in self.symmetric_labels)
        object.__setattr__(self, "entity_labels", tuple(self.entity_labels))
        object.__setattr__(self, "relation_labels", symmetric + directed)
        object.__setattr__(self, "symmetric_labels", symmetric)
        for kind, labels in (("entity", self.entity_labels), ("relation", self.relation_labels)):
            for label in labels:
                if label == NIL or labels.count(label) > 1:
                    what = "is reserved for 'no label'" if label == NIL else "is given twice"
                    raise PLMarkerError(f"{kind} label {label!r} {what}")

    @classmethod
    def from_documents(
        cls, documents: Iterable[Mapping[str, Any]], symmetric_labels: Iterable[str] = ()
    ) -> LabelSchema:
        """Collect the labels that occur in `documents` (typed JSONL documents), in alphabetical order.

        Args:
            documents: documents with `ner` and `relations` as lists, per sentence, of objects with a `label`.
            symmetric_labels: the symmetric relation labels. The data does not show them.
        """
        entity_labels: set[str] = set()
        relation_labels: set[str] = set()
        for document in documents:
            entity_labels.update(e["label"] for sentence in document.get("ner") or () for e in sentence)
            relation_labels.update(r["label"] for sentence in document.get("relations") or () for r in sentence)
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

    def to_dict(self) -> dict[str, list[str]]:
        """Plain lists, as written into a model's config."""
        return {
            "entity_labels": list(self.entity_labels),
            "relation_labels": list(self.relation_labels),
            "symmetric_labels": list(self.symmetric_labels),
        }


def least_scores(threshold: Threshold, classes: Sequence[str]) -> list[float]:
    """The least score of each class.

    Args:
        classes: class names, NIL first.

    Raises:
        PLMarkerError: for a threshold of an unknown label, and for a threshold that is no number.
    """
    for score in threshold.values() if isinstance(threshold, Mapping) else [threshold]:
        if isinstance(score, bool) or not isinstance(score, int | float) or score != score:
            raise PLMarkerError(f"a threshold is a number, or a number for each label, got {threshold!r}")
    if not isinstance(threshold, Mapping):
        return [0.0, *[threshold] * (len(classes) - 1)]
    unknown = [label for label in threshold if label not in classes]
    if unknown:
        raise PLMarkerError(f"threshold for an unknown label {unknown[0]!r}; the model has {list(classes[1:])}")
    return [threshold.get(label, 0.0) for label in classes]


def _index(label: str, labels: tuple[str, ...], kind: str) -> int:
    try:
        return 1 + labels.index(label)
    except ValueError:
        raise PLMarkerError(f"unknown {kind} label {label!r}; the schema has {list(labels)}") from None
