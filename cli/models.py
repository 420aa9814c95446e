"""Loading the models that a command names."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers import PreTrainedTokenizerBase

from ..encoders.checks import check_same_vocabulary
from ..hub.loading import load_model
from ..modeling.modeling_plmarker import (
    PLMarkerForEntityRecognition,
    PLMarkerForRelationExtraction,
    PLMarkerModel,
)
from ..modeling.schema_plmarker import PLMarkerError
from ..precision import bfloat16_gain, fastest_cpu_dtype

logger = logging.getLogger(__name__)


@dataclass
class Models:
    """An entity model and a relation model, either of which may be missing, and their tokenizer."""

    entity: PLMarkerForEntityRecognition | None
    relation: PLMarkerForRelationExtraction | None
    tokenizer: PreTrainedTokenizerBase

    @property
    def parts(self) -> list[PLMarkerForEntityRecognition | PLMarkerForRelationExtraction]:
        """The models that are there."""
        return [part for part in (self.entity, self.relation) if part is not None]

    def reader(self) -> Any:
        """One model that reads text: both models together, or the one that is there."""
        if self.entity is not None:
            return PLMarkerModel.from_models(self.entity, self.relation, self.tokenizer)
        model: Any = self.relation
        model.tokenizer = self.tokenizer
        return model

    def fingerprint(self) -> str:
        """A hash of all that the answers of the models depend on: configs, weights and tokenizer."""
        found = hashlib.sha256()
        for part in self.parts:
            config = part.config.to_dict()
            for name in ("training_run", "_name_or_path", "transformers_version"):
                config.pop(name, None)
            found.update(json.dumps(config, sort_keys=True, default=str).encode())
            for name, weights in part.state_dict().items():
                found.update(f"{name} {weights.dtype} {tuple(weights.shape)}".encode())
                # NumPy has no bfloat16.
                found.update(weights.detach().contiguous().cpu().flatten().view(torch.uint8).numpy().data)
        # Tokenizers that are written in Python have no backend.
        backend = getattr(self.tokenizer, "backend_tokenizer", None)
        tokens = json.dumps(self.tokenizer.get_vocab(), sort_keys=True) if backend is None else backend.to_str()
        found.update(tokens.encode())
        return found.hexdigest()


def load_models(
    names: Sequence[str], device: str | None, compat: str | None = None, dtype: str | None = None
) -> Models:
    """Load the models of one checkpoint, or of an entity checkpoint and a relation checkpoint.

    Args:
        dtype: the number type, or `auto`: on a CPU what [`fastest_cpu_dtype`] says, elsewhere as None. None keeps the
            type in which a model was saved.

    Raises:
        PLMarkerError: for two models of one task, and for models that do not fit each other.
    """
    device = device_of(device)
    loaded = [load_model(name, device) for name in names]
    parts = [part for model, _ in loaded for part in _parts(model)]
    entities = [part for part in parts if isinstance(part, PLMarkerForEntityRecognition)]
    relations = [part for part in parts if isinstance(part, PLMarkerForRelationExtraction)]
    if len(entities) > 1 or len(relations) > 1:
        raise PLMarkerError(f"{' and '.join(names)}: expected one entity model and one relation model at most")
    if dtype == "auto":
        dtype = str(fastest_cpu_dtype()).removeprefix("torch.") if device == "cpu" else None
    elif dtype == "bfloat16" and device == "cpu" and bfloat16_gain() < 1:
        logger.warning(
            "bfloat16 linear layers run at %.2f times the speed of float32 here; --dtype auto takes the faster type",
            bfloat16_gain(),
        )
    for part in parts:
        if dtype is not None and isinstance(part, torch.nn.Module):
            part.to(dtype=getattr(torch, dtype))
    check_same_vocabulary([tokenizer for _, tokenizer in loaded], names)
    models = Models(next(iter(entities), None), next(iter(relations), None), loaded[0][1])
    if models.entity is not None and models.relation is not None:
        # This also makes sure that the two know the same labels and marker tokens.
        PLMarkerModel.from_models(models.entity, models.relation, models.tokenizer)
    for model in models.parts:
        if compat is not None:
            model.config.compat = compat
    return models


def device_of(given: str | None) -> str:
    """The device that was given, or else an accelerator if there is one."""
    if given is not None:
        return given
    return str(torch.accelerator.current_accelerator()) if torch.accelerator.is_available() else "cpu"


def _parts(model: object) -> list[object]:
    return [model.entity, model.relation] if isinstance(model, PLMarkerModel) else [model]


def save_changed(model: Any, name: str, out: str | None) -> None:
    """Save a model in another folder, or else its config in its own folder."""
    if out is None:
        model.config.save_pretrained(name)
    else:
        model.save_pretrained(out)
