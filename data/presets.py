"""Labels and limits of known corpora, for checkpoints and experiments that do not name them."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

from ..modeling.schema_plmarker import LabelSchema, PLMarkerError
from .settings import Settings, checked, read_settings

PRESETS_FILE = Path(__file__).parent / "presets.yaml"


@dataclass
class PresetFile:
    """The keys of a preset in YAML."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}

    entity_labels: tuple[str, ...] = ()
    relation_labels: tuple[str, ...] = ()
    symmetric_labels: tuple[str, ...] = ()
    constraints: dict[str, Any] = field(default_factory=dict)
    entity: dict[str, Any] = field(default_factory=dict)
    relation: dict[str, Any] = field(default_factory=dict)


KEYS = [item.name for item in fields(PresetFile)]


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
    return list(_known().values)


def load_preset(name: str | Path) -> Preset:
    """Load a preset by the name of its corpus, or from a YAML or JSON file with the same keys.

    Raises:
        PLMarkerError: for an unknown name, or a file with unknown keys or without `entity_labels`.
    """
    presets = _known().values
    if str(name) in presets:
        return _preset(name, Settings(presets[str(name)], {(): str(name)}))
    path = Path(name)
    if not path.is_file():
        raise PLMarkerError(f"{name}: no such file, nor one of the presets {', '.join(presets)}")
    return _preset(name, _read(path))


@lru_cache
def _known() -> Settings:
    """The presets of the file, read once: every builder of a corpus needs its labels at import."""
    return _read(PRESETS_FILE)


def _read(path: Path) -> Settings:
    return read_settings(path, ", ".join(KEYS))


def _preset(name: str | Path, settings: Settings) -> Preset:
    settings.values = {key: value for key, value in settings.values.items() if value is not None}
    values = checked(PresetFile, settings, unknown=lambda _: f"; a preset has {', '.join(KEYS)}")
    if not values.entity_labels:
        raise PLMarkerError(f"{name}: 'entity_labels' is missing")
    labels = (values.entity_labels, values.relation_labels, values.symmetric_labels)
    try:
        schema = LabelSchema(*labels, values.constraints)
    except PLMarkerError as error:
        raise PLMarkerError(f"{name}: {error}") from None
    return Preset(schema, values.entity, values.relation)
