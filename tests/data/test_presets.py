"""Presets: labels and limits of known corpora, and of one's own."""

from pathlib import Path

import pytest

from plmarker.data.presets import load_preset, preset_names
from plmarker.modeling.configuration_plmarker import PLMarkerEntityConfig, PLMarkerRelationConfig
from plmarker.modeling.schema_plmarker import PLMarkerError


@pytest.mark.parametrize(
    ("name", "n_entity_classes", "n_relation_classes"),
    [
        ("scierc", 7, 13),
        ("ace05", 8, 12),
        ("ace04", 8, 12),
        ("conll2003", 5, 1),
        ("ontonotes", 19, 1),
        ("fewnerd", 67, 1),
    ],
)
def test_classes_are_as_many_as_the_original_s(name: str, n_entity_classes: int, n_relation_classes: int) -> None:
    preset = load_preset(name)
    assert len(preset.schema.entity_classes) == n_entity_classes
    assert len(preset.schema.relation_classes) == n_relation_classes
    for config_class, values in ((PLMarkerEntityConfig, preset.entity), (PLMarkerRelationConfig, preset.relation)):
        config = config_class(**preset.schema.to_dict(), **values)
        assert all(getattr(config, key) == value for key, value in values.items())
    assert name in preset_names()


def test_a_preset_of_one_s_own_is_a_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("entity_labels: [PER]\nrelation_labels: [KNOWS]\nentity: {max_span_length: 3}\n")
    preset = load_preset(path)
    assert (preset.schema.relation_labels, preset.entity) == (("KNOWS",), {"max_span_length": 3})


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("entity_labels: PER", "mine.yaml:1: 'entity_labels' should be a list, got 'PER'"),
        ("relation_labels: [A]", "'entity_labels' is missing"),
        ("labels: [A]", "unknown key 'labels'"),
        ("- a", "expected a mapping"),
        ("a: [", "broken YAML"),
    ],
)
def test_what_is_wrong_in_a_preset_is_named(tmp_path: Path, content: str, expected: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(content)
    with pytest.raises(PLMarkerError, match=expected):
        load_preset(path)
