"""Private interfaces of torch and transformers that the models use. Nothing else in `modeling` touches one.

Each function says why it is needed. `tests/modeling/test_internals.py` fails when one of them goes or changes.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoModel, PreTrainedConfig, PreTrainedModel
from transformers.modeling_layers import GradientCheckpointingLayer
from transformers.utils import cached_file


def attention_with_lse(
    query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None, scaling: float
) -> tuple[Tensor, Tensor]:
    """Attention and the log-sum-exp of its scores, by the fused CPU kernel.

    torch has no public function that returns the log-sum-exp on a CPU.

    Args:
        query, key, value: shape (1, heads, tokens, head size).
        bias: what is added to the scores; shape (queries, keys).

    Returns:
        Values of shape (1, heads, queries, head size), and log-sum-exps of shape (1, heads, queries). Neither has a
        gradient that can be trusted.
    """
    output, lse = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(
        query, key, value, attn_mask=bias, scale=scaling
    )
    return output, lse


def attention_implementation(model: PreTrainedModel) -> str:
    """The name of the attention function of a model. transformers has a public setter and no public getter."""
    return str(model.config._attn_implementation)


def uses_attention_interface(encoder: PreTrainedModel) -> bool:
    """Whether an encoder takes a registered attention function. transformers keeps this as a private class flag."""
    return bool(encoder._supports_attention_backend)


def model_class_of(config: PreTrainedConfig) -> Any:
    """The class that `AutoModel` makes of a config. transformers has no public look-up that builds nothing."""
    return AutoModel._model_mapping[type(config)]


def encoder_layers(encoder: nn.Module) -> list[nn.Module] | None:
    """The layers of an encoder, in order; None where layers share weights or are not found.

    transformers has no public name for them. They are the one list of blocks that can be recomputed.
    """
    n_layers = getattr(getattr(encoder, "config", None), "num_hidden_layers", None)
    for module in encoder.modules():
        if (
            isinstance(module, nn.ModuleList)
            and len(module) == n_layers
            and all(isinstance(layer, GradientCheckpointingLayer) for layer in module)
        ):
            return list(module)
    return None


def file_beside(source: Any, name: str, **hub: Any) -> str | None:
    """The path of a file of a checkpoint, on disk or in the cache; None where the checkpoint does not have it.

    Without a network, a file that is not in the cache is None too. The public arguments of `cached_file` cannot tell a
    missing file from a Hub that answers with an error; this raises `OSError` for such a Hub alone.
    """
    path: str | None = cached_file(source, name, _raise_exceptions_for_missing_entries=False, **hub)
    return path


def call_layer(layer: nn.Module, hidden: Tensor, index: Tensor, kwargs: dict[str, Any]) -> Tensor:
    """Call an encoder layer for a few of its tokens, with the arguments that the encoder gave it for all of them.

    Args:
        hidden: states of these tokens; shape (1, tokens, hidden size).
        index: the numbers of these tokens in the row that `kwargs` is for; shape (tokens,).

    Returns:
        States of shape (1, tokens, hidden size).
    """
    kwargs = dict(kwargs)
    if kwargs.get("position_embeddings") is not None:
        # ModernBERT rotates queries and keys by the cosine and the sine of each position.
        kwargs["position_embeddings"] = tuple(part[:, index] for part in kwargs["position_embeddings"])
    output = layer(hidden, **kwargs)
    return output[0] if isinstance(output, tuple) else output
