"""The constraints of a schema in decoding: the best-scoring classes of pairs that keep them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .best_set_plmarker import best_set
from .schema_plmarker import LabelSchema
from .windows_plmarker import Span

# An option: the number of a pair, the forward class, head and tail.
Option = tuple[int, int, Span, Span]


class Constraints:
    """What a schema permits, by classes.

    Args:
        schema: a schema with constraints.
    """

    def __init__(self, schema: LabelSchema) -> None:
        self.schema = schema
        types = len(schema.entity_classes)
        # Which classes a pair may have; shape (subject types, object types, relation classes).
        self.allowed = np.ones((types, types, len(schema.relation_classes)), dtype=bool)
        # Whether a head has one tail, and a tail one head, by forward class; where either is so.
        self.single: dict[int, tuple[bool, bool]] = {}
        for label, constraint in schema.constraints.items():
            forward = schema.relation_class(label)
            if constraint.types is not None:
                permitted = np.zeros((types, types), dtype=bool)
                for first, second in product(schema.entity_labels, repeat=2):
                    place = schema.entity_class(first), schema.entity_class(second)
                    permitted[place] = schema.permits(label, first, second)
                self.allowed[:, :, forward] = permitted
                self.allowed[:, :, schema.inverse(forward)] = permitted.T
            if constraint.one_per_head or constraint.one_per_tail:
                self.single[forward] = (constraint.one_per_head, constraint.one_per_tail)

    @classmethod
    def of_schema(cls, schema: LabelSchema) -> Constraints | None:
        """The constraints of a schema; None where it has none."""
        return cls(schema) if schema.constraints else None

    def best_classes(
        self,
        pairs: Sequence[tuple[Span, Span]],
        types: Mapping[Span, int],
        scores: NDArray[np.floating],
        returned: NDArray[np.bool_],
        directed: bool = False,
    ) -> NDArray[np.int64]:
        """The classes of the pairs of a sentence with the highest sum of scores among those that keep the constraints.

        Without labels that are limited to one at an end, this is the best permitted class of each pair. NIL is always
        permitted.

        Args:
            pairs: subject and object of each pair; shape (pairs,).
            types: the entity classes of the spans.
            scores: shape (pairs, relation classes), with inverse classes where the model has any.
            returned: whether a class would give a relation that is returned; of the same shape. Others hold no place.
            directed: each direction of a pair is a pair of its own, and inverse classes give no relation.

        Returns:
            The class of each pair; shape (pairs,).
        """
        schema = self.schema
        permitted = np.array([self.allowed[types.get(head, 0), types.get(tail, 0)] for head, tail in pairs])
        scores = np.where(permitted[:, : scores.shape[1]], scores, -np.inf)
        best: NDArray[np.int64] = scores.argmax(axis=-1)
        limited = list(self.single)
        if not directed:
            limited = list(dict.fromkeys(c for forward in limited for c in (forward, schema.inverse(forward))))
        free = scores.copy()
        free[:, limited] = -np.inf
        fallback = free.argmax(axis=-1)
        asked = [n for n, c in enumerate(best.tolist()) if c in limited and returned[n, c]]
        gains: list[float] = []
        options: list[Option] = []
        classes: list[int] = []
        for number in asked:
            if scores[number, best[number]] <= scores[number, fallback[number]]:
                # A class that costs nothing to give up competes with no other pair.
                best[number] = fallback[number]
            for relation_class in limited:
                gain = float(scores[number, relation_class] - scores[number, fallback[number]])
                if gain > 0 and returned[number, relation_class]:
                    forward, (head, tail) = relation_class, pairs[number]
                    if relation_class >= schema.n_forward:
                        forward, head, tail = schema.inverse(relation_class), tail, head
                    gains.append(gain)
                    classes.append(relation_class)
                    options.append((number, forward, head, tail))
        groups = self._groups(options, directed)
        wanted = [classes[n] == best[options[n][0]] for n in range(len(options))]
        if all(sum(wanted[n] for n in group) <= 1 for group in groups):
            return best
        best[asked] = fallback[asked]
        for option in best_set(gains, groups):
            best[options[option][0]] = classes[option]
        return best

    def _groups(self, options: Sequence[Option], directed: bool) -> list[list[int]]:
        """The options that exclude each other: of one pair, and at one end."""
        groups: dict[Any, list[int]] = defaultdict(list)
        for option, (number, forward, head, tail) in enumerate(options):
            groups["pair", number].append(option)
            kinds = ("end", "end") if forward < self.schema.n_symmetric and not directed else ("head", "tail")
            for kind, span, is_single in zip(kinds, (head, tail), self.single[forward], strict=True):
                if is_single:
                    groups[kind, forward, span].append(option)
        if directed:
            # A symmetric relation of a pair may be found in both of its directions. They do not exclude each other.
            for (kind, *place), members in [*groups.items()]:
                if kind == "head" and place[0] < self.schema.n_symmetric:
                    for one, other in product(members, groups.get(("tail", *place), ())):
                        if options[one][3] != options[other][2]:
                            groups["both", one, other] = [one, other]
        return list(groups.values())
