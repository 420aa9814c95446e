"""Thresholds that change without another reading give what the model gives with them."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from plmarker import LabelSchema, PLMarkerForEntityRecognition, PLMarkerForRelationExtraction, PLMarkerModel
from plmarker.serving.thresholds import above, needs_new_reading

TEXT = "Ada Byron met Bob at Acme. Cy works for Acme."


def test_what_is_above_a_threshold_is_what_the_model_finds_with_it(
    make_tiny_model: Callable[..., Any], minilm_tokenizer: Any
) -> None:
    choose = random.Random(0)
    relation = make_tiny_model(PLMarkerForRelationExtraction, seed=3, max_seq_length=64)
    readings = {True: 0, False: 0}
    for flat in (True, False):
        entity = make_tiny_model(PLMarkerForEntityRecognition, max_seq_length=64, max_span_length=4, flat=flat)
        for model in (entity, PLMarkerModel.from_models(entity, relation, minilm_tokenizer)):
            everything = model.extract(TEXT, entity_threshold=0.0)
            scores = [entity.score for entity in everything.entities]
            linked = [relation.score for relation in everything.relations] or [0.5]
            assert len(scores) > 5
            for _ in range(4):
                least = choose.choice(scores)
                by_label = {"PER": least, "ORG": choose.choice([least, choose.choice(scores)])}
                relations = {"MARRIED": choose.choice(linked), "OWNS": choose.choice(linked)}
                again = needs_new_reading(model, everything, by_label, relations)
                readings[again] += 1
                if not again:
                    has_relations = model.readers[1] is not None
                    found = model.extract(
                        TEXT, entity_threshold=by_label, relation_threshold=relations if has_relations else None
                    )
                    assert above(everything, by_label, relations).to_dict() == found.to_dict()
            assert not needs_new_reading(model, everything, {}, {})
    assert min(readings.values()) > 2


def test_a_shared_encoder_reads_again(make_tiny_model: Callable[..., Any]) -> None:
    class Shared:
        class config:
            shared_encoder = True
            schema = LabelSchema(("PER",))

        readers = (object(), object())

    assert needs_new_reading(Shared, above(_nothing(), {}, {}), {"PER": 0.5}, {})
    assert not needs_new_reading(Shared, above(_nothing(), {}, {}), {"PER": 0.0}, {})


def test_relations_that_compete_are_read_again(make_tiny_model: Callable[..., Any], minilm_tokenizer: Any) -> None:
    """A relation below its threshold holds no place of another one."""
    constraints = {"OWNS": {"one_per_head": True, "one_per_tail": True}}
    schema = LabelSchema(("PER", "ORG"), ("MARRIED", "OWNS", "WORKS_FOR"), ("MARRIED",), constraints)
    entity = make_tiny_model(PLMarkerForEntityRecognition, schema=schema, max_seq_length=64, max_span_length=4)
    relation = make_tiny_model(PLMarkerForRelationExtraction, seed=3, schema=schema, max_seq_length=64)
    model = PLMarkerModel.from_models(entity, relation, minilm_tokenizer)
    everything = model.extract(TEXT)
    for entities, relations in (({"PER": 0.4}, {}), ({}, {"OWNS": 0.4})):
        assert needs_new_reading(model, everything, entities, relations)
    assert not needs_new_reading(model, everything, {"PER": 0.0}, {"OWNS": 0.0})


def _nothing() -> Any:
    from plmarker import Extraction

    return Extraction("")
