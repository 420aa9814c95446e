"""Loading a model with its tokenizer by name. Every problem gives one sentence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from transformers import AutoConfig, AutoModel, PreTrainedTokenizerBase

from ..hub_access import check_reachable
from ..modeling.base_plmarker import PLMarkerBaseModel, to_device
from ..modeling.internals_plmarker import file_beside
from ..modeling.schema_plmarker import PLMarkerError, one_sentence

# What a training writes into its folder when it begins.
EXPERIMENT_FILE = "experiment.json"
MODEL_TYPES = ("plmarker", "plmarker-ner", "plmarker-re")


def load_model(
    name: str, device: Any = "cpu", model_types: tuple[str, ...] = MODEL_TYPES
) -> tuple[PLMarkerBaseModel, PreTrainedTokenizerBase]:
    """Load a model and the tokenizer beside it. No remote code is run, and nothing is taken from another repository.

    Args:
        name: a Hub id or a local folder.
        device: where the model goes.
        model_types: what it may be.

    Raises:
        PLMarkerError: where no such model with its tokenizer is, for an adapter, and for a device that cannot be used.
    """
    check_reachable(str(name))
    if Path(name).is_file():
        raise PLMarkerError(f"{name}: this is a file, expected the folder of a model, or a Hub id")
    if (Path(name) / EXPERIMENT_FILE).is_file() and not (Path(name) / "config.json").is_file():
        raise PLMarkerError(
            f"{name}: this training has not ended, so there is no model yet; `plmarker train CONFIG --resume` goes on"
        )
    try:
        # transformers would load the model that an adapter names in its place.
        if file_beside(name, "adapter_config.json") is not None:
            raise PLMarkerError(f"{name}: an adapter; load its model, and the adapter onto it by peft")
        config = AutoConfig.from_pretrained(name, trust_remote_code=False)
        if config.model_type not in model_types:
            raise PLMarkerError(
                f"{name}: a model of type {config.model_type!r}, expected a plmarker model ({', '.join(model_types)})"
            )
        model: Any = AutoModel.from_pretrained(name, config=config, trust_remote_code=False)
    except PLMarkerError:
        raise
    except Exception as error:
        # Damaged files reach many libraries, and each has errors of its own.
        raise PLMarkerError(f"{name}: no plmarker model here: {one_sentence(error)}") from error
    if model.tokenizer is None:
        raise PLMarkerError(f"{name}: there is no tokenizer beside the model")
    to_device(model, device)
    return model, model.tokenizer
