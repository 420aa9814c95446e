"""Values in YAML: those of YAML 1.2, and not those of YAML 1.1 as PyYAML reads it."""

import math
from pathlib import Path
from typing import Any

import pytest

from plmarker.data.presets import load_preset
from plmarker.data.settings import read_settings, read_value
from plmarker.modeling.schema_plmarker import PLMarkerError

VALUES: list[tuple[str, Any]] = [
    ("NO", "NO"),
    ("on", "on"),
    ("Y", "Y"),
    ("yes", "yes"),
    ("Off", "Off"),
    ("true", True),
    ("False", False),
    ("1:30", "1:30"),
    ("2024-01-31", "2024-01-31"),
    ("1_000", "1_000"),
    ("0b11", "0b11"),
    ("=", "="),
    ("010", 10),
    ("-08", -8),
    ("+7", 7),
    ("0", 0),
    ("0o17", 15),
    ("0x1F", 31),
    ("1e-4", 1e-4),
    ("3E5", 3e5),
    ("-.5", -0.5),
    ("1.", 1.0),
    ("-.inf", -math.inf),
    ("1e", "1e"),
    ("~", None),
    ("null", None),
    ("", None),
    ("'010'", "010"),
    ("[NO, 010, 1e-4]", ["NO", 10, 1e-4]),
]


@pytest.mark.parametrize(("text", "value"), VALUES)
def test_a_value_means_what_yaml_1_2_says(text: str, value: object, tmp_path: Path) -> None:
    found = read_value(text)
    assert (found, type(found)) == (value, type(value))
    path = tmp_path / "a.yaml"
    path.write_text(f"outer:\n  inner: {text}\n")
    assert read_settings(path, "outer").values == {"outer": {"inner": value}}


def test_labels_that_older_yaml_reads_as_truth_values_or_times_stay_text(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("entity_labels: [NO, ON, Y, 1:30, 2024-01-31]\nrelation_labels: [off]\n")
    schema = load_preset(path).schema
    assert schema.entity_labels == ("NO", "ON", "Y", "1:30", "2024-01-31")
    assert schema.relation_labels == ("off",)


def test_merged_mappings_and_anchors_are_read(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("base: &base {a: 1, b: 2}\nmore: {<<: *base, b: 010}\n")
    assert read_settings(path, "base").values["more"] == {"a": 1, "b": 10}


def test_a_tag_with_a_value_that_does_not_fit_is_broken_yaml() -> None:
    with pytest.raises(PLMarkerError, match=r"^'!!int 1:30': broken YAML, "):
        read_value("!!int 1:30")
