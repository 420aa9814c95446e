"""Labels by the name of a known corpus, from a file, or from a dataset."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from huggingface_hub import DatasetCard

from ..hub_access import check_reachable
from ..modeling.schema_plmarker import LabelSchema
from .loading import SAMPLE, load_documents
from .presets import KEYS, Preset, load_preset, preset_names
from .repository import CARD_KEY, read_card


def is_dataset(name: str | Path) -> bool:
    """Whether a name means a dataset: `sample`, a folder, or a Hub id. Other names mean a preset or a file."""
    if str(name) in preset_names():
        return False
    return str(name) == SAMPLE or Path(name).is_dir() or (not Path(name).exists() and str(name).count("/") == 1)


def load_schema(name: str | Path) -> Preset:
    """Load labels, and the usual limits of models where they are known.

    Args:
        name: a preset (`preset_names`), a YAML or JSON file with the same keys, or a dataset for `load_documents`: a
            folder, a Hub id, or `sample`. A dataset that `plmarker data build` made has its labels on its card. Labels
            that are collected from documents are in alphabetical order, and none of them is symmetric.

    Raises:
        PLMarkerError: for a name that means nothing, and for a wrong file or dataset.

    Example:
        >>> load_schema("scierc").schema.n_symmetric
        3
        >>> load_schema("sample").schema.entity_labels[:2]
        ('Award', 'Date')
    """
    if not is_dataset(name):
        return load_preset(name)
    labels = _card(name).get(CARD_KEY) or {}
    if labels.get("entity_labels"):
        entities, relations, symmetric = (tuple(labels.get(key) or ()) for key in KEYS[:3])
        return Preset(LabelSchema(entities, relations, symmetric, labels.get("constraints") or {}))
    splits = load_documents(name)
    return Preset(LabelSchema.from_documents(document for split in splits.values() for document in split))


def same_labels(schema: LabelSchema) -> str | None:
    """The preset that has the same labels in another order, if there is one. The relation labels may be missing."""
    for name in preset_names():
        known = load_preset(name).schema
        if set(known.entity_labels) != set(schema.entity_labels):
            continue
        if schema.relation_labels and set(known.relation_labels) != set(schema.relation_labels):
            continue
        same_order = known.entity_labels == schema.entity_labels
        return None if same_order and (known == schema or not schema.relation_labels) else name
    return None


def _card(name: str | Path) -> dict[str, Any]:
    """The metadata of a dataset's card; empty where there is none."""
    if str(name) == SAMPLE or Path(name).is_dir():
        return read_card(Path(name))
    check_reachable(str(name), "dataset")
    try:
        return DatasetCard.load(str(name)).data.to_dict()
    except Exception:
        # Loading the dataset itself says what is wrong with the name.
        return {}
