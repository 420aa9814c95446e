"""Decoding with constraints: the best-scoring relations that keep them."""

from collections import Counter
from itertools import combinations, permutations, product
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from plmarker.modeling.constraints_plmarker import Constraints
from plmarker.modeling.decoding_plmarker import decode_directed, decode_relations, log_softmax
from plmarker.modeling.schema_plmarker import LabelSchema

A, B, C = SPANS = [(0, 0), (2, 2), (4, 4)]
LIMITS = st.fixed_dictionaries({"one_per_head": st.booleans(), "one_per_tail": st.booleans()})
TYPES = st.lists(st.sampled_from(["PER", "ORG"]), min_size=2, max_size=2)
CONSTRAINTS = st.fixed_dictionaries(
    {}, optional=dict.fromkeys(("MARRIED", "WORKS_FOR", "OWNS"), LIMITS)
)  # fmt: skip
PERMITTED = st.one_of(st.none(), st.lists(TYPES, max_size=3))
LOGITS = arrays.arrays(np.float64, (6, 6), elements=st.integers(-4, 4).map(lambda value: value / 2))


def schema_of(limits: dict[str, Any], permitted: Any) -> LabelSchema:
    values = {label: dict(found) for label, found in limits.items()}
    if permitted is not None:
        values.setdefault("WORKS_FOR", {})["types"] = permitted
    return LabelSchema(("PER", "ORG"), ("MARRIED", "WORKS_FOR", "OWNS"), ("MARRIED",), values)


def keeps(schema: LabelSchema, types: dict[Any, int], relations: list[tuple[Any, Any, int]]) -> bool:
    """Whether relations of (head, tail, forward class) keep all constraints."""
    for label, constraint in schema.constraints.items():
        own = {(head, tail) for head, tail, found in relations if schema.relation_classes[found] == label}
        if any(not schema.permits(label, *(schema.entity_classes[types[s]] for s in pair)) for pair in own):
            return False
        if label in schema.symmetric_labels:
            partners = Counter(span for pair in {frozenset(pair) for pair in own} for span in pair)
            if constraint.one_per_head and max(partners.values(), default=0) > 1:
                return False
            continue
        for end, is_single in ((0, constraint.one_per_head), (1, constraint.one_per_tail)):
            if is_single and max(Counter(pair[end] for pair in own).values(), default=0) > 1:
                return False
    return True


def as_relation(schema: LabelSchema, pair: Any, found: int) -> tuple[Any, Any, int]:
    return (*pair, found) if found < schema.n_forward else (*pair[::-1], schema.inverse(found))


@settings(max_examples=25)
@given(LOGITS, CONSTRAINTS, PERMITTED, st.lists(st.integers(1, 2), min_size=3, max_size=3))
def test_no_consistent_set_of_classes_has_a_higher_sum_of_scores(logits, limits, permitted, kinds):
    schema = schema_of(limits, permitted)
    types = dict(zip(SPANS, kinds, strict=True))
    pairs = list(combinations(SPANS, 2))
    scores = log_softmax(logits[:3])
    found = Constraints(schema).best_classes(pairs, types, scores, np.ones_like(scores, dtype=bool)).tolist()

    def relations(classes: Any) -> list[tuple[Any, Any, int]]:
        return [as_relation(schema, pair, c) for pair, c in zip(pairs, classes, strict=True) if c]

    def total(classes: Any) -> float:
        return sum(row[c] for row, c in zip(scores, classes, strict=True))

    assert keeps(schema, types, relations(found))
    best = max(total(c) for c in product(range(6), repeat=3) if keeps(schema, types, relations(c)))
    assert total(found) == pytest.approx(best)


@settings(max_examples=25)
@given(LOGITS, CONSTRAINTS, PERMITTED, st.lists(st.integers(1, 2), min_size=3, max_size=3))
def test_each_direction_by_itself_is_decoded_as_well_as_possible(logits, limits, permitted, kinds):
    schema = schema_of(limits, permitted)
    types = dict(zip(SPANS, kinds, strict=True))
    pairs = [(A, B), (B, A), (A, C), (C, B)]
    scores = log_softmax(logits[:4])[:, :4]
    returned = np.ones_like(scores, dtype=bool)
    full = np.pad(scores, ((0, 0), (0, 2)), constant_values=-1e9)
    found = Constraints(schema).best_classes(pairs, types, full, np.pad(returned, ((0, 0), (0, 2))), True).tolist()

    def relations(classes: Any) -> list[tuple[Any, Any, int]]:
        return [(*pair, c) for pair, c in zip(pairs, classes, strict=True) if c]

    def total(classes: Any) -> float:
        return sum(row[c] for row, c in zip(scores, classes, strict=True))

    assert keeps(schema, types, relations(found))
    best = max(total(c) for c in product(range(4), repeat=4) if keeps(schema, types, relations(c)))
    assert total(found) == pytest.approx(best)


def decode(schema: LabelSchema, favoured: dict[Any, dict[int, float]], **values: Any) -> list[Any]:
    """Decode pairs of A, B and C whose logits are 0, but for those that are named by pair and class."""
    pairs = list(permutations(SPANS, 2))
    logits = np.array([[favoured.get(pair, {}).get(c, 0.0) for c in range(6)] for pair in pairs])
    logits[:, 0] += 2.0
    types = values.pop("types", dict.fromkeys(SPANS, 1))
    options = {"constraints": Constraints.of_schema(schema), "constrained_types": types, **values}
    subjects, objects = zip(*pairs, strict=True)
    relations = decode_relations(subjects, objects, logits, None, schema, types, **options)
    return [(r.head, r.tail, schema.relation_classes[r.label]) for r in relations]


WORKS_FOR, OWNS = 2, 3
FREE = schema_of({}, None)


def test_the_next_best_permitted_class_wins_or_none():
    strong = {(A, B): {WORKS_FOR: 9.0, OWNS: 8.0}}
    assert decode(FREE, strong) == [(A, B, "WORKS_FOR")]
    assert decode(schema_of({}, [["PER", "ORG"]]), strong) == [(A, B, "OWNS")]
    assert decode(schema_of({}, [["PER", "ORG"]]), {(A, B): {WORKS_FOR: 9.0}}) == []
    # The order of the types is the direction.
    types = {A: 1, B: 2, C: 1}
    assert decode(schema_of({}, [["PER", "ORG"]]), strong, types=types) == [(A, B, "WORKS_FOR")]
    assert decode(schema_of({}, [["ORG", "PER"]]), strong, types=types) == [(A, B, "OWNS")]


def test_one_per_head_takes_the_set_with_the_highest_sum():
    # A works for B or C. What it loses finds another class, if it has one.
    strong = {(A, B): {WORKS_FOR: 9.0, OWNS: 8.9}, (A, C): {WORKS_FOR: 8.5}}
    assert sorted(decode(FREE, strong)) == [(A, B, "WORKS_FOR"), (A, C, "WORKS_FOR")]
    single = schema_of({"WORKS_FOR": {"one_per_head": True}}, None)
    # The best relation by itself, of A and B, makes way: it has a good second class.
    assert sorted(decode(single, strong)) == [(A, B, "OWNS"), (A, C, "WORKS_FOR")]
    assert sorted(decode(schema_of({"WORKS_FOR": {"one_per_tail": True}}, None), strong)) == sorted(
        decode(FREE, strong)
    )


def test_a_relation_below_the_threshold_holds_no_place():
    single = schema_of({"WORKS_FOR": {"one_per_head": True}}, None)
    strong = {(A, B): {WORKS_FOR: 9.0}, (A, C): {WORKS_FOR: 3.0}}
    assert decode(single, strong, threshold=0.0) == [(A, B, "WORKS_FOR")]
    # 0.9 is above the score of A and C in any case.
    assert decode(single, strong, threshold=0.9) == decode(FREE, strong, threshold=0.9, constraints=None)


def test_a_symmetric_relation_found_in_both_directions_is_one_relation():
    schema = schema_of({"MARRIED": {"one_per_head": True}}, None)
    assert schema.constraints["MARRIED"].one_per_tail
    pairs = [(A, B), (B, A), (C, A)]
    logits = np.zeros((3, 6))
    logits[:, 1] = (6.0, 6.0, 5.0)
    subjects, objects = zip(*pairs, strict=True)
    found = decode_directed(
        subjects, objects, logits, schema, [1] * 3, [1] * 3, constraints=Constraints(schema), constrained_types={}
    )
    assert {(r.head, r.tail) for r in found} == {(A, B), (B, A)}
