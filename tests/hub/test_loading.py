"""Models by name: what a config names is neither run nor fetched, and what is wrong is one sentence."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoModel

from plmarker import PLMarkerError, PLMarkerForEntityRecognition, PLMarkerForRelationExtraction, PLMarkerModel
from plmarker.hub.loading import load_model
from plmarker.modeling.encoders_plmarker import vocabulary_hash


@pytest.fixture
def folder(make_tiny_model: Any, minilm_tokenizer: Any, tmp_path: Path) -> Path:
    entity = make_tiny_model(PLMarkerForEntityRecognition, max_seq_length=64)
    relation = make_tiny_model(PLMarkerForRelationExtraction, max_seq_length=64)
    PLMarkerModel.from_models(entity, relation, minilm_tokenizer).save_pretrained(tmp_path / "both")
    # A model of one task comes without a tokenizer where somebody has saved its weights alone.
    entity.tokenizer = None
    entity.save_pretrained(tmp_path / "entity")
    return tmp_path


def test_a_model_comes_with_its_tokenizer(folder, minilm_tokenizer):
    model, tokenizer = load_model(str(folder / "both"))
    assert isinstance(model, PLMarkerModel)
    assert tokenizer is model.tokenizer
    with pytest.raises(PLMarkerError, match="there is no tokenizer beside the model"):
        load_model(str(folder / "entity"))
    minilm_tokenizer.save_pretrained(folder / "entity")
    model, tokenizer = load_model(str(folder / "entity"))
    assert isinstance(model, PLMarkerForEntityRecognition)
    assert tokenizer.get_vocab() == minilm_tokenizer.get_vocab()


def test_a_config_does_not_choose_a_kernel_from_elsewhere(folder):
    path = folder / "both" / "config.json"
    config = json.loads(path.read_text())
    for place in (config, config["entity_config"], config["entity_config"]["encoder_config"]):
        place["attn_implementation"] = place["_attn_implementation"] = "evil/kernel"
    path.write_text(json.dumps(config))
    model = AutoModel.from_pretrained(folder / "both")
    assert model.entity.encoder.config._attn_implementation == "levitated"
    # The user does.
    model = AutoModel.from_pretrained(folder / "both", attn_implementation="eager")
    assert model.entity.encoder.config._attn_implementation == "eager"


def test_what_an_adapter_names_is_not_loaded(folder):
    (folder / "both" / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": "evil/other"}))
    with pytest.raises(PLMarkerError, match="both: an adapter; load its model"):
        load_model(str(folder / "both"))


def test_what_is_no_model_of_plmarker_is_told(folder, tmp_path):
    with pytest.raises(PLMarkerError, match="nowhere: no plmarker model here"):
        load_model(str(tmp_path / "nowhere"))
    with pytest.raises(PLMarkerError, match=r"of type 'plmarker', expected .* \(plmarker-ner\)"):
        load_model(str(folder / "both"), model_types=("plmarker-ner",))
    with pytest.raises(PLMarkerError, match="device 'moon' cannot be used"):
        load_model(str(folder / "both"), device="moon")


def test_a_tokenizer_that_cannot_be_read_is_not_a_missing_one(folder):
    path = folder / "both" / "tokenizer.json"
    path.write_text(path.read_text()[:500])
    for load in (load_model, AutoModel.from_pretrained):
        with pytest.raises(PLMarkerError, match="both: the tokenizer beside the model cannot be read"):
            load(str(folder / "both"))


def test_threads_that_save_at_once_each_get_what_they_ask_for(folder, tmp_path):
    model = AutoModel.from_pretrained(folder / "both")

    def save(number: int) -> bool:
        model.save_pretrained(tmp_path / str(number), include_code=bool(number % 2))
        names_code = "auto_map" in json.loads((tmp_path / str(number) / "config.json").read_text())
        return names_code == bool(number % 2) == (tmp_path / str(number) / "modeling_plmarker.py").exists()

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(save, range(16)))


def test_a_model_recognises_its_own_tokenizer(folder, minilm_tokenizer, tmp_path):
    config = json.loads((folder / "both" / "config.json").read_text())
    hashes = {config[part]["tokenizer_hash"] for part in ("entity_config", "relation_config")}
    assert hashes == {vocabulary_hash(minilm_tokenizer)}
    tokens = json.loads((folder / "both" / "tokenizer.json").read_text())
    vocabulary = tokens["model"]["vocab"]
    vocabulary["man"], vocabulary["woman"] = vocabulary["woman"], vocabulary["man"]
    (folder / "both" / "tokenizer.json").write_text(json.dumps(tokens))
    for load in (load_model, AutoModel.from_pretrained):
        with pytest.raises(PLMarkerError, match="both: the tokenizer beside the model has another vocabulary"):
            load(str(folder / "both"))
    vocabulary["man"], vocabulary["woman"] = vocabulary["woman"], vocabulary["man"]
    (folder / "both" / "tokenizer.json").write_text(json.dumps(tokens))
    load_model(str(folder / "both"))
    settings = folder / "both" / "tokenizer_config.json"
    before = settings.read_text()
    settings.write_text(json.dumps(json.loads(before) | {"do_lower_case": False}))
    with pytest.raises(PLMarkerError, match="or other settings"):
        load_model(str(folder / "both"))
    settings.write_text(before)
    # Older models have a hash of the vocabulary alone, or none.
    for part in ("entity_config", "relation_config"):
        config[part]["tokenizer_hash"] = config[part]["tokenizer_hash"].partition("-")[0]
    (folder / "both" / "config.json").write_text(json.dumps(config))
    load_model(str(folder / "both"))
    for part in ("entity_config", "relation_config"):
        del config[part]["tokenizer_hash"]
    (folder / "both" / "config.json").write_text(json.dumps(config))
    assert load_model(str(folder / "both"))[0].entity.config.tokenizer_hash is None


def test_a_training_that_has_not_ended_is_no_model_yet(tmp_path: Path) -> None:
    (tmp_path / "experiment.json").write_text("{}")
    with pytest.raises(PLMarkerError, match="has not ended"):
        load_model(str(tmp_path))
    with pytest.raises(PLMarkerError, match="this is a file"):
        load_model(str(tmp_path / "experiment.json"))


def test_a_pickle_in_place_of_the_weights_is_not_loaded(folder: Path) -> None:
    (folder / "both" / "model.safetensors").unlink()
    (folder / "both" / "pytorch_model.bin").write_bytes(b"cos\nsystem\n(S'false'\ntR.")
    with pytest.raises(PLMarkerError, match="safetensors"):
        load_model(str(folder / "both"))


def test_a_temperature_without_an_end_is_refused(folder: Path) -> None:
    path = folder / "both" / "config.json"
    config = json.loads(path.read_text())
    config["entity_config"]["temperature"] = float("inf")
    path.write_text(json.dumps(config))
    with pytest.raises(PLMarkerError, match="temperature is a number above 0"):
        load_model(str(folder / "both"))
