"""`datasets.map` with a model as its function."""

import pickle
from typing import Any

import pytest
import torch
from datasets import Dataset
from datasets.fingerprint import Hasher

from plmarker import (
    Extractor,
    PLMarkerError,
    PLMarkerForEntityRecognition,
    PLMarkerForRelationExtraction,
    PLMarkerModel,
)

TEXTS = ["Ann Bell met Bob of Acme.", "", "Acme grew.", "Bob left."]


@pytest.fixture
def model(make_tiny_model: Any, minilm_tokenizer: Any) -> PLMarkerModel:
    entity = make_tiny_model(PLMarkerForEntityRecognition, max_seq_length=64)
    relation = make_tiny_model(PLMarkerForRelationExtraction, seed=3, max_seq_length=64)
    return PLMarkerModel.from_models(entity, relation, minilm_tokenizer)


def test_map_adds_what_extract_finds(model: PLMarkerModel) -> None:
    dataset = Dataset.from_dict({"id": list(range(4)), "text": TEXTS})
    expected = [extraction.to_dict() for extraction in model.extract(TEXTS)]
    assert expected[0]["relations"]
    found = dataset.map(Extractor(model), batched=True)
    assert found["id"] == dataset["id"]
    assert [{name: row[name] for name in ("text", "entities", "relations")} for row in found] == expected
    # The first batch that is written has nothing in it.
    extractor = Extractor(model, entity_threshold=0.3)
    empty = Dataset.from_dict({"text": ["", TEXTS[0]]})
    rows = empty.map(extractor, batched=True, batch_size=1, writer_batch_size=1, features=extractor.features(empty))
    assert rows[0]["entities"] == []
    assert rows[1]["entities"]


def test_documents_of_words_are_a_column_too(model: PLMarkerModel) -> None:
    words = [[["Ann", "met", "Bob"], ["Acme", "grew"]], [["Bob"]]]
    found = Dataset.from_dict({"sentences": words}).map(Extractor(model, "sentences"), batched=True)
    assert found[0]["entities"] == model.extract(words=words)[0].to_dict()["entities"]


def test_several_processes_find_the_same(model: PLMarkerModel) -> None:
    dataset = Dataset.from_dict({"text": TEXTS})
    one = dataset.map(Extractor(model), batched=True, batch_size=1)
    two = dataset.map(Extractor(model), batched=True, batch_size=1, num_proc=2, load_from_cache_file=False)
    assert one.to_list() == two.to_list()


def test_the_hash_is_that_of_the_model_and_the_options(model: PLMarkerModel, make_tiny_model: Any) -> None:
    hashed = Hasher.hash(Extractor(model))
    again = pickle.loads(pickle.dumps(Extractor(model)))
    assert again.model.extract(TEXTS) == model.extract(TEXTS)
    # Hooks have other numbers in the second model.
    assert Hasher.hash(again) == hashed
    assert Hasher.hash(Extractor(model, entity_threshold=0.5)) != hashed
    with torch.no_grad():
        again.model.entity.classifier.bias[0] += 1
    assert Hasher.hash(again) != hashed


def test_a_batch_of_empty_documents_has_nothing_in_it(model: PLMarkerModel) -> None:
    found = Extractor(model, "sentences")({"sentences": [[], []]})
    assert found == {"entities": [[], []], "relations": [[], []]}


def test_a_bad_row_is_named(model: PLMarkerModel) -> None:
    with pytest.raises(PLMarkerError, match="no column 'body', found 'text'"):
        Extractor(model, "body")({"text": ["a"]})
    with pytest.raises(PLMarkerError, match="row 1 of a batch"):
        Extractor(model)({"text": ["a", None]})
    # A column of words, where sentences of words are expected.
    with pytest.raises(PLMarkerError, match="row 0 of a batch"):
        Extractor(model, "words")({"words": [["Ann", "met"], ["Bob"]]})


def test_a_text_alone_is_no_batch(model: PLMarkerModel) -> None:
    with pytest.raises(PLMarkerError, match="batched=True"):
        Extractor(model)({"text": "Ann met Bob."})


def test_scores_that_are_no_numbers_are_an_error(model: PLMarkerModel) -> None:
    assert model.entity is not None
    next(model.entity.classifier.parameters()).data[0, 0] = float("nan")
    with pytest.raises(PLMarkerError, match="no numbers"):
        model.extract("Ann met Bob.")
