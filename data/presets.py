"""Labels and limits of known corpora, for checkpoints and experiments that do not name them."""

from __future__ import annotations

import reprlib
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import count as count_from
from pathlib import Path
from typing import Any

import yaml

from ..modeling.schema_plmarker import LabelSchema, PLMarkerError, one_line

PRESETS_FILE = Path(__file__).parent / "presets.yaml"
LABEL_KEYS = ("entity_labels", "relation_labels", "symmetric_labels")
KEYS = (*LABEL_KEYS, "constraints", "entity", "relation")


@dataclass(frozen=True)
class Preset:
    """The settings that all models of a corpus share.

    Args:
        schema: the labels, in the order of the models' classes.
        entity, relation: fields of the configs of the two models.
    """

    schema: LabelSchema
    entity: dict[str, Any] = field(default_factory=dict)
    relation: dict[str, Any] = field(default_factory=dict)


def preset_names() -> list[str]:
    """The corpora that `load_preset` knows."""
    return list(_known())


def load_preset(name: str | Path) -> Preset:
    """Load a preset by the name of its corpus, or from a YAML file with the same keys.

    Raises:
        PLMarkerError: for an unknown name, or a file with unknown keys or without `entity_labels`.
    """
    presets = _known()
    if str(name) in presets:
        return _preset(name, presets[str(name)])
    path = Path(name)
    if not path.is_file():
        raise PLMarkerError(f"{name}: no such file, nor one of the presets {', '.join(presets)}")
    return _preset(name, _read(path))


@lru_cache
def _known() -> dict[str, Any]:
    """The presets of the file, read once: every builder of a corpus needs its labels at import."""
    return _read(PRESETS_FILE)


def _read(path: Path) -> dict[str, Any]:
    return read_mapping(path, ", ".join(KEYS))


# A few aliases of aliases stand for billions of values.
MAX_YAML_VALUES = 100_000


def read_mapping(path: Path, expected: str) -> dict[str, Any]:
    """Read a YAML file that holds a mapping.

    Args:
        expected: the keys of the mapping, for the message.

    Raises:
        PLMarkerError: naming the file, for broken YAML or anything but a mapping.
    """
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise PLMarkerError(f"{path}: broken YAML, {one_line(error)}") from None
    except RecursionError:
        raise PLMarkerError(f"{path}: broken YAML, lists or mappings are nested too deeply") from None
    if not isinstance(values, dict):
        raise PLMarkerError(f"{path}: expected a mapping with {expected}")
    waiting: list[Any] = [values]
    for count in count_from(1):
        if not waiting:
            break
        if count > MAX_YAML_VALUES:
            raise PLMarkerError(f"{path}: more than {MAX_YAML_VALUES} values, with those that aliases repeat")
        value = waiting.pop()
        waiting += value.values() if isinstance(value, dict) else value if isinstance(value, list) else []
    return values


def _preset(name: str | Path, values: dict[str, Any]) -> Preset:
    unknown = [key for key in values if key not in KEYS]
    if unknown:
        raise PLMarkerError(f"{name}: unknown key {unknown[0]!r}; a preset has {', '.join(KEYS)}")
    labels = {key: values.get(key) or [] for key in LABEL_KEYS}
    for key, value in labels.items():
        if not isinstance(value, list) or not all(isinstance(label, str) for label in value):
            raise PLMarkerError(f"{name}: {key!r} is a list of strings, got {reprlib.repr(value)}")
    if not labels["entity_labels"]:
        raise PLMarkerError(f"{name}: 'entity_labels' is missing")
    try:
        entities, relations, symmetric = (tuple(labels[key]) for key in LABEL_KEYS)
        schema = LabelSchema(entities, relations, symmetric, values.get("constraints") or {})
    except PLMarkerError as error:
        raise PLMarkerError(f"{name}: {error}") from None
    return Preset(schema, dict(values.get("entity") or {}), dict(values.get("relation") or {}))
