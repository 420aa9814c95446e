"""What a model asks of its encoder and of its tokenizer."""

from __future__ import annotations

import hashlib
import inspect
from typing import Any

from torch import nn
from transformers import PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

from .configuration_plmarker import PLMarkerTaskConfig
from .internals_plmarker import encoder_layers, model_class_of, uses_attention_interface
from .schema_plmarker import PLMarkerError


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


def check_late_markers(encoder: PreTrainedModel, late_layers: int) -> None:
    """Make sure that markers can enter the encoder late.

    Raises:
        PLMarkerError: for more layers than the encoder has, for layers that share weights, and for word embeddings of
            another size than the states.
    """
    config: Any = encoder.config
    if late_layers > config.num_hidden_layers:
        raise PLMarkerError(f"late_layers is {late_layers}, but the encoder has {config.num_hidden_layers} layers")
    if late_layers == config.num_hidden_layers:
        return
    if encoder_layers(encoder) is None:
        raise PLMarkerError(f"late_layers: the layers of encoder {config.model_type!r} cannot be called one by one")
    if encoder.get_input_embeddings().embedding_dim != config.hidden_size:
        raise PLMarkerError(f"late_layers: encoder {config.model_type!r} has word embeddings of another size")


def check_window(config: PLMarkerTaskConfig, position_offset: int) -> None:
    """Make sure that the encoder has positions for a whole window.

    Args:
        position_offset: position id of a window's first token.

    Raises:
        PLMarkerError: for a window longer than the encoder's positions.
    """
    length: int = config.max_seq_length
    encoder_config: Any = config.encoder_config
    room = getattr(encoder_config, "max_position_embeddings", None)
    if room is not None and length + position_offset > room:
        raise PLMarkerError(
            f"max_seq_length is {length}, but encoder {encoder_config.model_type!r} has positions for "
            f"{room - position_offset} subwords"
        )


def position_offset(encoder: nn.Module) -> int:
    """Position id of a window's first token: RoBERTa's family counts from padding_idx + 1, the others from 0."""
    table = getattr(getattr(encoder, "embeddings", None), "position_embeddings", None)
    padding_idx = getattr(table, "padding_idx", None)
    return 0 if padding_idx is None else padding_idx + 1


def add_marker_tokens(tokenizer: PreTrainedTokenizerBase, tokens: list[str]) -> list[int]:
    """Add the tokens that the tokenizer does not know yet; return the ids of all of them."""
    missing = [token for token in tokens if token not in tokenizer.get_vocab()]
    if missing:
        tokenizer.add_tokens(missing, special_tokens=True)
    vocabulary = tokenizer.get_vocab()
    return [vocabulary[token] for token in tokens]


# Case, accents, digits and punctuation: what the settings of a tokenizer change.
PROBE = "The ÉCOLE d'Ärzte met U.S. officers, at 3.50% _or_ more"


def vocabulary_hash(tokenizer: PreTrainedTokenizerBase) -> str:
    """A hash of the tokens of a tokenizer in the order of their ids, markers included, and one of how it cuts a text.

    A model recognises its own tokenizer by it. A vocabulary of 250,000 tokens takes about 0.3 s.
    """
    ids = tokenizer.get_vocab()
    text = "\n".join([str(max(ids.values(), default=0)), *sorted(ids, key=ids.__getitem__)])
    cut = " ".join(map(str, tokenizer(PROBE, add_special_tokens=False, truncation=False).input_ids))
    return "-".join(hashlib.sha256(part.encode("utf-8", "surrogatepass")).hexdigest() for part in (text, cut))


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
