"""The text pass and the marker pass of an encoder, as modules of padded tensors that an exporter can trace.

They compute what `modeling.states_plmarker` computes, over batches of padded windows in place of one row.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..modeling.attention_plmarker import Heads
from ..modeling.encoders_plmarker import position_offset
from ..modeling.states_plmarker import no_masks


@dataclass
class _PaddedText:
    """Text attends to the text of its window.

    Args:
        seen: whether a token is one, and no padding; shape (windows, tokens).
        positions: shape (1, tokens).
    """

    seen: Tensor
    positions: Tensor
    keys: list[Tensor] = field(default_factory=list)
    values: list[Tensor] = field(default_factory=list)

    def attend(self, heads: Heads) -> Tensor:
        self.keys.append(heads.key)
        self.values.append(heads.value)
        mask = _near(self.seen[:, None, None], self.positions, self.positions, heads.reach)
        return _attention(heads, heads.key, heads.value, mask)


@dataclass
class _PaddedMarkers:
    """Markers attend to the text of their window and to the markers that they see."""

    keys: Tensor
    values: Tensor
    seen_text: Tensor
    seen_markers: Tensor
    positions: Tensor
    layer: int = 0

    def attend(self, heads: Heads) -> Tensor:
        layer, self.layer = self.layer, self.layer + 1
        n_markers, n_text = self.positions.shape[1], self.seen_text.shape[1]
        text_positions = torch.arange(n_text, device=self.positions.device)[None]
        text = _near(self.seen_text[:, None, None], self.positions, text_positions, heads.reach)
        text = text.expand(-1, 1, n_markers, n_text)
        mask = torch.cat([text, self.seen_markers[:, None]], dim=3)
        key = torch.cat([self.keys[layer], heads.key], dim=2)
        value = torch.cat([self.values[layer], heads.value], dim=2)
        return _attention(heads, key, value, mask)


def _attention(heads: Heads, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
    # Padding may see nothing. A large negative number gives it a mean, where minus infinity gives it no number.
    bias = torch.zeros(mask.shape, dtype=heads.query.dtype, device=mask.device).masked_fill(~mask, -1e9)
    return F.scaled_dot_product_attention(heads.query, key, value, bias, scale=heads.scaling)


def _near(seen: Tensor, positions: Tensor, text_positions: Tensor, reach: int | None) -> Tensor:
    """Which text each element sees; shape (windows, 1, elements or 1, text)."""
    if reach is None:
        return seen
    return seen & ((positions[:, None, :, None] - text_positions[:, None, None]).abs() < reach)


class _Pass(nn.Module):
    def __init__(self, encoder: Any) -> None:
        super().__init__()
        self.encoder = encoder
        self.offset = position_offset(encoder)
        self.masks = no_masks(encoder)

    def run(self, embedded: Tensor, positions: Tensor, reading: Any) -> Tensor:
        states: Tensor = self.encoder(
            inputs_embeds=embedded,
            position_ids=positions + self.offset,
            attention_mask=self.masks,
            reading=reading,
        ).last_hidden_state
        return states


class TextPass(_Pass):
    """Reads windows of text."""

    def forward(self, input_ids: Tensor, text_mask: Tensor) -> dict[str, Tensor]:
        """Read a batch.

        Args:
            input_ids: subwords; shape (windows, tokens). Padding has any id.
            text_mask: 1 for a subword and 0 for padding; shape (windows, tokens), int64.

        Returns:
            `hidden` of shape (windows, tokens, hidden size); `keys` and `values` of shape (layers, windows, heads,
            tokens, head size).
        """
        positions = torch.arange(input_ids.shape[1], device=input_ids.device)[None]
        reading = _PaddedText(text_mask > 0, positions)
        embedded = self.encoder.get_input_embeddings()(input_ids)
        hidden = self.run(embedded, positions.expand(input_ids.shape[0], -1), reading)
        return {"hidden": hidden, "keys": torch.stack(reading.keys), "values": torch.stack(reading.values)}


class MarkerPass(_Pass):
    """Reads markers against text that was read.

    Args:
        marker_ids: the ids of the markers in the vocabulary. Parts with one encoder have one table of them.
    """

    def __init__(self, encoder: Any, marker_ids: list[int]) -> None:
        super().__init__(encoder)
        # The other word embeddings are in the graph of the text pass alone.
        self.register_buffer("markers", encoder.get_input_embeddings().weight[marker_ids].detach().clone())

    def forward(
        self,
        markers: Tensor,
        marker_positions: Tensor,
        marker_mask: Tensor,
        text_mask: Tensor,
        keys: Tensor,
        values: Tensor,
    ) -> dict[str, Tensor]:
        """Read a batch.

        Args:
            markers: numbers of the markers in `marker_ids`; shape (windows, markers).
            marker_positions: the positions that they borrow, from 0; shape (windows, markers).
            marker_mask: 1 where a marker sees another one; shape (windows, markers, markers), int64.
            text_mask, keys, values: those of `TextPass`.

        Returns:
            `hidden` of shape (windows, markers, hidden size).
        """
        reading = _PaddedMarkers(keys, values, text_mask > 0, marker_mask > 0, marker_positions)
        embedded = F.embedding(markers, self.markers)  # type: ignore[arg-type]
        return {"hidden": self.run(embedded, marker_positions, reading)}


def sample_inputs(encoder: Any, n_markers: int) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Small inputs of both passes, with axes of different sizes."""
    config = encoder.config
    windows, tokens, markers = 2, 7, 6
    heads = config.num_attention_heads
    size = (config.num_hidden_layers, windows, heads, tokens, config.hidden_size // heads)
    text_mask = torch.ones(windows, tokens, dtype=torch.long)
    text_mask[1, 5:] = 0
    text = {"input_ids": torch.arange(windows * tokens).view(windows, tokens) % config.vocab_size}
    # Two separate tensors: an exporter takes one tensor under two names for one input.
    marker_mask = torch.eye(markers, dtype=torch.long).expand(windows, -1, -1).contiguous()
    generator = torch.Generator().manual_seed(0)
    return text | {"text_mask": text_mask}, {
        "markers": torch.arange(windows * markers).view(windows, markers) % n_markers,
        "marker_positions": torch.arange(windows * markers).view(windows, markers) % 5,
        "marker_mask": marker_mask,
        "text_mask": text_mask.clone(),
        "keys": torch.randn(size, generator=generator),
        "values": torch.randn(size, generator=generator),
    }


AXES: dict[str, dict[int, str]] = {
    "input_ids": {0: "windows", 1: "tokens"},
    "text_mask": {0: "windows", 1: "tokens"},
    "markers": {0: "windows", 1: "markers"},
    "marker_positions": {0: "windows", 1: "markers"},
    "marker_mask": {0: "windows", 1: "markers", 2: "markers"},
    "keys": {1: "windows", 3: "tokens"},
    "values": {1: "windows", 3: "tokens"},
}
