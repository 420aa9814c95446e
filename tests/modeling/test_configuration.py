"""Configurations of the three models."""

import json

import pytest
from huggingface_hub.errors import StrictDataclassError
from transformers import AutoConfig

import plmarker  # noqa: F401  (registers the model types)
from plmarker.modeling.configuration_plmarker import (
    PLMarkerConfig,
    PLMarkerEntityConfig,
    PLMarkerRelationConfig,
    is_hub_id,
)

ENCODER = {"model_type": "roberta", "vocab_size": 50, "hidden_size": 32, "num_attention_heads": 4}
LABELS = {"entity_labels": ["PER", "ORG"], "relation_labels": ["MARRIED", "OWNS"], "symmetric_labels": ["MARRIED"]}
MARKERS = {"marker_tokens": ["<a>", "<b>"], "marker_token_ids": [4, 5]}


def entity_config(**values) -> PLMarkerEntityConfig:
    return PLMarkerEntityConfig(encoder_config=ENCODER, max_span_length=5, flat=True, **LABELS, **MARKERS, **values)


def relation_config(**values) -> PLMarkerRelationConfig:
    return PLMarkerRelationConfig(encoder_config=ENCODER, max_pair_length=None, nil_weight=0.5, **LABELS, **values)


def both_configs() -> PLMarkerConfig:
    return PLMarkerConfig(entity_config=entity_config(), relation_config=relation_config())


@pytest.mark.parametrize("make", [entity_config, relation_config, both_configs])
def test_a_config_survives_saving_and_is_found_by_its_type(make, tmp_path):
    config = make()
    config.save_pretrained(tmp_path)
    loaded = AutoConfig.from_pretrained(tmp_path)
    assert type(loaded) is type(config)
    # Where it was loaded from is no part of what it says.
    loaded.name_or_path = config.name_or_path
    assert loaded.to_dict() == config.to_dict()
    assert loaded.schema == config.schema
    json.loads((tmp_path / "config.json").read_text())


def test_no_saved_config_names_a_folder(tmp_path):
    config = both_configs()
    config.entity_config.name_or_path = str(tmp_path)
    config.relation_config.name_or_path = "me/relations"
    config.entity_config.encoder_config.name_or_path = "/home/somebody/encoder"
    config.relation_config.encoder_config.name_or_path = "me/encoder"
    config.save_pretrained(tmp_path)
    saved = json.loads((tmp_path / "config.json").read_text())
    assert saved["relation_config"]["_name_or_path"] == "me/relations"
    assert saved["relation_config"]["encoder_config"]["_name_or_path"] == "me/encoder"
    assert "_name_or_path" not in saved["entity_config"]
    assert "_name_or_path" not in saved["entity_config"]["encoder_config"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("bert-base-cased", True),
        ("me/encoder_v1.2", True),
        ("", False),
        (None, False),
        (5, False),
        (["x"], False),
        ("/home/somebody/encoder", False),
        ("runs/exp/entity", False),
        ("./runs", False),
        ("../encoder", False),
        ("~/models", False),
        ("C:\\models\\x", False),
        ("x" * 300, False),
    ],
)
def test_names_on_the_hub(name, expected):
    assert is_hub_id(name) is expected


def test_the_encoder_s_own_configuration_is_kept_whole(tmp_path):
    both_configs().save_pretrained(tmp_path)
    loaded = AutoConfig.from_pretrained(tmp_path)
    for config in (loaded.entity_config, loaded.relation_config):
        assert (config.encoder_config.model_type, config.encoder_config.hidden_size) == ("roberta", 32)


def test_class_names_are_those_of_the_schema():
    assert entity_config().id2label == {0: "NIL", 1: "PER", 2: "ORG"}
    config = relation_config()
    assert config.id2label == {0: "NIL", 1: "MARRIED", 2: "OWNS", 3: "OWNS^-1"}
    assert config.label2id == {label: index for index, label in config.id2label.items()}
    assert config.num_labels == 4


def test_a_model_of_entities_alone_has_the_entity_model_s_schema(tmp_path):
    PLMarkerConfig(entity_config=entity_config()).save_pretrained(tmp_path)
    loaded = AutoConfig.from_pretrained(tmp_path)
    assert loaded.relation_config is None
    assert loaded.schema == entity_config().schema


def test_a_value_of_the_wrong_type_is_an_error_that_names_the_field():
    with pytest.raises(Exception, match="max_seq_length"):
        entity_config(max_seq_length="long")


def test_whole_numbers_are_numbers(tmp_path):
    values = {"nil_weight": 2, "temperature": 1, "head_dropout": 0, "pruner_size": 8, "pruner_keep_f1": 1}
    entity = PLMarkerEntityConfig(encoder_config=ENCODER, **LABELS, **values)
    config = PLMarkerConfig(entity_config=entity, pair_weight=5, pair_dropout=0)
    config.save_pretrained(tmp_path)
    loaded = AutoConfig.from_pretrained(tmp_path)
    assert (loaded.pair_weight, loaded.pair_dropout) == (5, 0)
    assert {name: getattr(loaded.entity_config, name) for name in values} == values
    for wrong in ({"pair_dropout": 30}, {"pair_weight": 0}):
        with pytest.raises(StrictDataclassError, match=f"{next(iter(wrong))} is"):
            PLMarkerConfig(entity_config=entity, **wrong)


def test_two_configs_share_no_list():
    PLMarkerEntityConfig().entity_labels.append("PER")
    assert PLMarkerEntityConfig().entity_labels == []


def test_weights_and_thresholds_that_no_training_can_have_are_refused():
    label = LABELS["entity_labels"][0]
    nan = float("nan")
    for wrong in ({"nil_weight": float("inf")}, {"nil_weight": nan}, {"thresholds": {"NOPE": 0.5}},
                  {"thresholds": {label: nan}}, {"thresholds": {"OWNS": 0.5}}):  # fmt: skip
        with pytest.raises(StrictDataclassError):
            PLMarkerEntityConfig(encoder_config=ENCODER, **LABELS, **wrong)
    # A threshold above all scores switches a label off.
    off = {label: 1.01}
    assert PLMarkerEntityConfig(encoder_config=ENCODER, thresholds=off, **LABELS).thresholds == off
