"""Encoders that cannot carry levitated markers, and tokenizers that do not belong together."""

from __future__ import annotations

from collections.abc import Sequence

from transformers import PreTrainedConfig, PreTrainedTokenizerBase

from ..modeling.schema_plmarker import PLMarkerError
from ..modeling.windows_plmarker import is_unused

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
}


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
