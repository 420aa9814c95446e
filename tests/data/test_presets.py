"""Presets: labels and limits of known corpora, and of one's own."""

from pathlib import Path

import pytest

from plmarker.data import load_documents
from plmarker.data.builders import FilesBuilder
from plmarker.data.presets import load_preset, preset_names
from plmarker.data.repository import CARD_KEY, build_repository, read_card
from plmarker.data.schemas import load_schema, same_labels
from plmarker.modeling.configuration_plmarker import PLMarkerEntityConfig, PLMarkerRelationConfig
from plmarker.modeling.schema_plmarker import LabelSchema, PLMarkerError


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


def test_a_schema_is_a_preset_a_file_or_a_dataset(tmp_path: Path) -> None:
    assert load_schema("ace05") == load_preset("ace05")
    path = tmp_path / "mine.json"
    path.write_text('{\n\t"entity_labels": ["B", "A"],\n\t"relation_labels": ["R"], "symmetric_labels": ["R"]}')
    assert load_schema(path).schema == LabelSchema(("B", "A"), ("R",), ("R",))
    sample = load_schema("sample").schema
    documents = load_documents("sample")
    assert sample == LabelSchema.from_documents(d for split in documents.values() for d in split)
    # The card of a dataset that was built goes before its documents.
    (tmp_path / "train.conll").write_text("Ann B-PER\n\nRome B-LOC\n")
    builder = FilesBuilder(data_dir=tmp_path / "train.conll", format="conll", title="Mine")
    build_repository([builder], tmp_path / "built")
    assert read_card(tmp_path / "built")[CARD_KEY]["entity_labels"] == ["LOC", "PER"]
    card = tmp_path / "built" / "README.md"
    card.write_text(card.read_text().replace("- LOC\n  - PER", "- PER\n  - LOC"))
    assert load_schema(tmp_path / "built").schema.entity_labels == ("PER", "LOC")
    with pytest.raises(PLMarkerError, match="nor one of the presets"):
        load_schema("ace06")


def test_the_labels_of_a_preset_in_another_order_are_recognised() -> None:
    known = load_preset("scierc").schema
    entities = tuple(sorted(known.entity_labels))
    assert same_labels(known) is None
    assert same_labels(LabelSchema(known.entity_labels)) is None
    assert same_labels(LabelSchema(entities)) == "scierc"
    assert same_labels(LabelSchema(known.entity_labels, known.relation_labels)) == "scierc"
    assert same_labels(LabelSchema(("A", "B"))) is None
