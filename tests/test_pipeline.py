"""The pipeline `entity-relation-extraction`: whatever goes in, plain dictionaries come out, in order."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from datasets import Dataset
from transformers import pipeline
from transformers.pipelines.pt_utils import KeyDataset

from plmarker import PLMarkerError, PLMarkerForEntityRecognition, PLMarkerForRelationExtraction, PLMarkerModel

TEXTS = ["Ann Bell met Bob of Acme.", "", "Acme grew. Bob married Ann in Oslo 🙂 on a Monday.", "Bob left."]
WORDS = {"words": [["Ann", "met", "Bob"], ["Acme", "grew"]]}


@pytest.fixture
def folder(make_tiny_model: Any, minilm_tokenizer: Any, tmp_path: Path) -> Path:
    entity = make_tiny_model(PLMarkerForEntityRecognition, max_seq_length=64)
    relation = make_tiny_model(PLMarkerForRelationExtraction, seed=3, max_seq_length=64)
    PLMarkerModel.from_models(entity, relation, minilm_tokenizer).save_pretrained(tmp_path / "both")
    for name, model in (("entity", entity), ("relation", relation)):
        model.save_pretrained(tmp_path / name)
        minilm_tokenizer.save_pretrained(tmp_path / name)
    return tmp_path


@pytest.fixture
def extractor(folder: Path) -> Any:
    return pipeline("entity-relation-extraction", model=str(folder / "both"), device="cpu")


def places(found: dict[str, Any]) -> list[tuple[int, int, str]]:
    """What batches, which round differently, have in common."""
    return [(entity["start"], entity["end"], entity["label"]) for entity in found["entities"]]


def test_a_text_gives_a_dictionary_and_a_list_a_list(extractor):
    found = extractor(TEXTS)
    assert [one["text"] for one in found] == TEXTS
    assert found == [extraction.to_dict() for extraction in extractor.model.extract(TEXTS)]
    assert json.loads(json.dumps(found)) == found
    assert found[0]["entities"]
    assert found[0]["relations"]
    assert places(extractor(TEXTS[0])) == places(found[0])
    assert extractor([]) == []


@pytest.mark.parametrize(
    "make",
    [
        lambda texts: (text for text in texts),
        lambda texts: KeyDataset(Dataset.from_dict({"text": texts}), "text"),
    ],
    ids=["generator", "dataset"],
)
def test_streams_give_streams(extractor, make):
    found = extractor(make(TEXTS))
    assert not isinstance(found, list)
    assert list(map(places, found)) == list(map(places, extractor(TEXTS)))


def test_words_stand_beside_texts(extractor):
    found = extractor([TEXTS[0], WORDS, TEXTS[3]])
    assert [one["text"] for one in found] == [TEXTS[0], "Ann met Bob\nAcme grew", TEXTS[3]]
    assert found[1] == extractor(WORDS)
    for wrong in ({"word": []}, {"text": 5}):
        with pytest.raises(PLMarkerError, match="got keys"):
            extractor(wrong)


def test_rows_with_a_text_are_texts(extractor):
    rows = Dataset.from_dict({"text": TEXTS, "number": list(range(len(TEXTS)))})
    found = list(extractor(rows))
    assert list(map(places, found)) == list(map(places, extractor(TEXTS)))
    assert extractor({"text": TEXTS[0]}) == extractor(TEXTS[0])


def test_options_of_a_call_go_before_those_of_the_pipeline(folder, extractor):
    strict = pipeline("entity-relation-extraction", model=str(folder / "both"), device="cpu", entity_threshold=1.0)
    assert strict(TEXTS[0])["entities"] == []
    assert strict(TEXTS[0], entity_threshold=0.0) == extractor(TEXTS[0])
    label = extractor(TEXTS[0])["relations"][0]["label"]
    kept = extractor(TEXTS[0], relation_threshold={label: 1.0}, batch_tokens=64)["relations"]
    assert label not in {relation["label"] for relation in kept}


def test_a_saved_pipeline_is_found_by_its_name_again(extractor, tmp_path):
    extractor.save_pretrained(tmp_path / "saved")
    assert not list((tmp_path / "saved").glob("*.py"))
    again = pipeline("entity-relation-extraction", model=str(tmp_path / "saved"), device="cpu")
    assert again(TEXTS) == extractor(TEXTS)


def test_half_precision_is_an_option_of_loading(folder):
    half = pipeline("entity-relation-extraction", model=str(folder / "both"), device="cpu", dtype=torch.bfloat16)
    assert half.model.dtype == torch.bfloat16
    found = half(TEXTS)
    assert [one["text"] for one in found] == TEXTS
    assert all(0 <= entity["score"] <= 1 for one in found for entity in one["entities"])


def test_an_entity_model_alone_finds_entities_and_a_relation_model_alone_says_what_it_lacks(folder, extractor):
    entities = pipeline("entity-relation-extraction", model=str(folder / "entity"), device="cpu")
    found = entities(TEXTS)
    assert [one["relations"] for one in found] == [[]] * len(TEXTS)
    assert list(map(places, found)) == list(map(places, extractor(TEXTS)))
    with pytest.raises(PLMarkerError, match="finds no entities"):
        pipeline("entity-relation-extraction", model=str(folder / "relation"), device="cpu")


def test_given_entities_stand_beside_texts_and_words(extractor):
    given = {"text": TEXTS[0], "entities": [(0, 8, "PER"), (13, 16, "PER")]}
    words = {**WORDS, "entities": [(0, 0, "PER"), (2, 2, "PER")]}
    found = extractor([TEXTS[0], given, words, WORDS, TEXTS[3], given])
    assert [one["text"] for one in found] == [
        TEXTS[0],
        TEXTS[0],
        "Ann met Bob\nAcme grew",
        "Ann met Bob\nAcme grew",
        *(TEXTS[3], TEXTS[0]),
    ]
    assert places(found[1]) == [(0, 8, "PER"), (13, 16, "PER")] == places(found[5])
    assert places(found[2]) == [(0, 3, "PER"), (8, 11, "PER")]
    assert places(found[3]) == places(extractor(WORDS))
    assert places(extractor(given)) == places(found[1])
    # A row of a dataset with more columns is a text.
    assert places(extractor({**given, "id": 1})) == places(found[0])


def test_documents_without_words_find_nothing(extractor: Any) -> None:
    nothing = {"text": "", "entities": [], "relations": []}
    empty = {"words": []}
    assert extractor(empty) == nothing
    assert extractor([empty, empty, {"words": [], "entities": []}]) == [nothing] * 3
    assert extractor([TEXTS[0], empty])[1] == nothing


def test_what_is_no_text_is_refused(extractor: Any) -> None:
    with pytest.raises(PLMarkerError, match="expected a text"):
        extractor(5)
