"""Levitated attention: text attends to its window, a marker attends to its window's text and to its own block.

The softmax of a marker runs over the text keys and the block keys together. The two parts are computed apart and
merged, so that nothing of size (text + markers) squared is ever made. Three forms compute the same numbers; only
`choose_form` knows when each of them is used.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from .internals_plmarker import attention_with_lse

LEVITATED = "levitated"


@dataclass(frozen=True, eq=False)
class Padding:
    """How a row without padding fills a batch of windows.

    Args:
        places: element of the row at each place of the batch, -1 for padding; shape (windows, longest window).
        flat: place of each element in the flattened batch; shape (elements,). It spares a synchronisation per layer.
    """

    places: Tensor
    flat: Tensor

    @classmethod
    def of_lengths(cls, lengths: Sequence[int], device: torch.device) -> Padding:
        """The batch of windows of these lengths. It is made on the CPU, so that the device need not wait."""
        places = torch.full((len(lengths), max(lengths, default=0)), -1, dtype=torch.long)
        start = 0
        for row, length in zip(places, lengths, strict=True):
            row[:length] = torch.arange(start, start + length)
            start += length
        flat = (places.flatten() >= 0).nonzero()[:, 0]
        return cls(places.to(device), flat.to(device))

    def pad(self, states: Tensor) -> Tensor:
        """(1, heads, elements, size) -> (windows, heads, longest window, size)."""
        return states[0][:, self.places.clamp(min=0)].transpose(0, 1)

    def unpad(self, states: Tensor) -> Tensor:
        """(windows, heads, longest window, size) -> (1, heads, elements, size)."""
        return states.transpose(1, 2).flatten(0, 1)[self.flat].transpose(0, 1)[None]


class TextLayout:
    """Windows of text, one behind the other in one row without padding.

    Args:
        lengths: tokens of each window.
        device: where the tensors of the layout are made.
    """

    def __init__(self, lengths: Sequence[int], device: torch.device) -> None:
        self.lengths = tuple(lengths)
        self.device = device
        starts = [0]
        for length in self.lengths:
            starts.append(starts[-1] + length)
        self.starts = tuple(starts)

    def part(self, first: int, stop: int) -> TextLayout:
        """The layout of the windows from `first` to before `stop`."""
        return TextLayout(self.lengths[first:stop], self.device)

    @cached_property
    def window_ids(self) -> Tensor:
        """The window of each token; shape (tokens,)."""
        return _numbers(self.lengths).to(self.device)

    @cached_property
    def positions(self) -> Tensor:
        """Position of each token in its window, from 0; shape (tokens,)."""
        if not self.lengths:
            return torch.zeros(0, dtype=torch.long, device=self.device)
        return torch.cat([torch.arange(length) for length in self.lengths]).to(self.device)

    @cached_property
    def padding(self) -> Padding:
        """How the tokens fill a (windows, longest window) batch."""
        return Padding.of_lengths(self.lengths, self.device)


@dataclass(frozen=True, eq=False)
class MarkerLayout:
    """Markers behind the windows of a text, window by window.

    Args:
        text: the windows.
        counts: markers of each window.
        positions: the positions that the markers borrow, from 0 in each window; shape (markers,).
        block: how many consecutive markers see each other. With 0 a marker sees the text alone, not even itself.
        joined: for each place in a block, whether the markers at that place see each other in all blocks of a window.
        groups: the group of each marker; shape (markers,). The markers of a group see each other. None has no groups.
    """

    text: TextLayout
    counts: tuple[int, ...]
    positions: Tensor
    block: int
    joined: tuple[bool, ...] = ()
    groups: Tensor | None = None

    @property
    def is_joined(self) -> bool:
        """Whether markers of different blocks see each other."""
        return self.groups is not None or any(self.joined)

    @cached_property
    def window_ids(self) -> Tensor:
        """The window of each marker; shape (markers,)."""
        return _numbers(self.counts).to(self.text.device)

    @cached_property
    def padding(self) -> Padding:
        """How the markers fill a (windows, most markers) batch."""
        return Padding.of_lengths(self.counts, self.text.device)

    def visible(self, first: Tensor, second: Tensor) -> Tensor:
        """Whether markers of one window see each other, by their numbers in the row."""
        if not self.block:
            return torch.zeros_like(first + second, dtype=torch.bool)
        if self.groups is not None:
            # FlexAttention asks for the keys of text too, whose numbers are below 0 here. It leaves the answer out.
            return self.groups[first.clamp(min=0)] == self.groups[second.clamp(min=0)]
        seen = first // self.block == second // self.block
        for place, is_joined in enumerate(self.joined):
            if is_joined:
                seen = seen | ((first % self.block == place) & (second % self.block == place))
        return seen

    def block_mask(self, markers: slice) -> Tensor | None:
        """Which markers of a window see which; None where blocks are enough to say it."""
        if not self.is_joined:
            return None
        numbers = torch.arange(markers.start, markers.stop, device=self.text.device)
        return self.visible(numbers[:, None], numbers[None])


@dataclass(frozen=True, eq=False)
class Heads:
    """What the heads of one layer are given.

    Args:
        query, key, value: shape (1, heads, tokens, head size).
        scaling: factor of the scores.
        dropout: share of the weights that become 0.
        reach: one more than the largest distance that a local layer sees. None sees the whole window.
    """

    query: Tensor
    key: Tensor
    value: Tensor
    scaling: float
    dropout: float = 0.0
    reach: int | None = None

    @property
    def states(self) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values."""
        return self.query, self.key, self.value


# The keys and the values of text; shape (1, heads, tokens, head size) each.
TextKeys = tuple[Tensor, Tensor]


class Reading(Protocol):
    """One pass over the encoder: it computes the attention of every layer."""

    def attend(self, heads: Heads) -> Tensor:
        """The attended values of the next layer; shape (1, heads, tokens, head size)."""
        ...


def levitated_attention_forward(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    sliding_window: int | None = None,
    reading: Reading | None = None,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    """Attention function for transformers' `AttentionInterface`, under the name `levitated`.

    Args:
        query, key, value: shape (1, heads, tokens, head size).
        attention_mask: ignored in a reading, which knows who sees whom.
        sliding_window: as ModernBERT passes it: one more than the largest distance that its local layers see.
        reading: the pass that is under way. Without one this is plain scaled-dot-product attention, so that the
            encoder still works by itself.

    Returns:
        The attended values, shape (1, tokens, heads, head size), and None for the weights, which are never made.
    """
    if reading is None:
        if sliding_window is not None:
            kwargs["sliding_window"] = sliding_window
        return sdpa_attention_forward(
            module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **kwargs
        )
    scaling = query.shape[-1] ** -0.5 if scaling is None else scaling
    output = reading.attend(Heads(query, key, value, scaling, dropout, sliding_window))
    return output.transpose(1, 2).contiguous(), None


class AttentionForm(Protocol):
    """A way to compute levitated attention. Results have the shape (1, heads, tokens, head size)."""

    def text(self, heads: Heads, layout: TextLayout) -> Tensor:
        """Text attends to the text of its window."""
        ...

    def markers(self, heads: Heads, text: TextKeys, layout: MarkerLayout) -> Tensor:
        """Markers attend to the text of their window and to their block."""
        ...


def choose_form(device: torch.device, dropout: float) -> AttentionForm:
    """The fastest form that is correct here.

    FlexAttention has no dropout, and compiles for CUDA alone. On a CPU padding costs more than a loop over windows.
    """
    if device.type == "cpu":
        return WindowByWindow()
    if device.type == "cuda" and dropout == 0.0:
        return Flex()
    return Padded()


class WindowByWindow:
    """The form for CPUs: a loop over windows, and the fused kernel where no gradient is needed."""

    # `torch.compile` would unroll the loop, and compile anew for every number of windows.
    @torch.compiler.disable
    def text(self, heads: Heads, layout: TextLayout) -> Tensor:
        pieces = []
        windows = (states.split(layout.lengths, dim=2) for states in heads.states)
        for length, q, k, v in zip(layout.lengths, *windows, strict=True):
            local = _local_mask(torch.arange(length, device=layout.device), length, heads.reach)
            if heads.dropout == 0.0:
                pieces.append(F.scaled_dot_product_attention(q, k, v, attn_mask=local, scale=heads.scaling))
            else:
                scores = _text_scores(q, k, heads.scaling, local)
                weights, scale = _dropout(torch.softmax(scores, dim=-1), heads.dropout)
                pieces.append(weights @ (v * scale))
        return torch.cat(pieces, dim=2)

    @torch.compiler.disable
    def markers(self, heads: Heads, text: TextKeys, layout: MarkerLayout) -> Tensor:
        needs_gradient = torch.is_grad_enabled() and (heads.query.requires_grad or text[0].requires_grad)
        if not (needs_gradient or heads.dropout or layout.is_joined):
            return self._markers_fused(heads, text, layout)
        pieces = []
        for place, q, k, v, window_key, window_value, local in _windows(layout, heads.reach, heads.states, text):
            mask = layout.block_mask(place)
            block = layout.block if mask is None else place.stop - place.start
            window = Heads(q, k, v, heads.scaling, heads.dropout)
            pieces.append(_attend_window(window, window_key, window_value, block, mask, local))
        return torch.cat(pieces, dim=2) if len(pieces) != 1 else pieces[0]

    def _markers_fused(self, heads: Heads, text: TextKeys, layout: MarkerLayout) -> Tensor:
        """The fused CPU kernel reads the text of each window; the blocks of all windows join in one step."""
        outputs, text_lses = [], []
        for _, q, window_key, window_value, local in _windows(layout, heads.reach, (heads.query,), text):
            bias = None if local is None else torch.zeros(local.shape, dtype=q.dtype).masked_fill(~local, -torch.inf)
            output, lse = attention_with_lse(q, window_key, window_value, bias, heads.scaling)
            outputs.append(output)
            text_lses.append(lse)
        output = outputs[0] if len(outputs) == 1 else torch.cat(outputs, dim=2)
        if not layout.block:
            return output
        # The text is one more key, whose score is the log-sum-exp of its scores and whose value is its output.
        scores = _block_scores(heads.query, heads.key, layout.block, None).float() * heads.scaling
        weights = torch.cat([torch.cat(text_lses, dim=2)[..., None], scores], dim=-1).softmax(dim=-1)
        weights = weights.to(heads.value.dtype)
        output *= weights[..., :1]
        output += _block_values(weights[..., 1:], heads.value, layout.block)
        return output


def _windows(
    layout: MarkerLayout, reach: int | None, markers: Sequence[Tensor], texts: Sequence[Tensor]
) -> Iterator[tuple[Any, ...]]:
    """The windows that have markers: their place in the row, their part of each tensor, and what a local layer sees.

    Pieces of one split share a gradient. The gradient of a slice would be as large as the whole row.
    """
    pieces = [states.split(layout.counts, dim=2) for states in markers]
    pieces += [states.split(layout.text.lengths, dim=2) for states in texts]
    start = 0
    for length, count, *parts in zip(layout.text.lengths, layout.counts, *pieces, strict=True):
        place = slice(start, start + count)
        start += count
        if count:
            yield place, *parts, _local_mask(layout.positions[place], length, reach)


def _attend_window(
    heads: Heads, text_key: Tensor, text_value: Tensor, block: int, mask: Tensor | None, local: Tensor | None
) -> Tensor:
    """The markers of one window in plain, differentiable operations."""
    scores = _text_scores(heads.query, text_key, heads.scaling, local)
    if block:
        scores = torch.cat([scores, _block_scores(heads.query * heads.scaling, heads.key, block, mask)], dim=-1)
    weights, scale = _dropout(torch.softmax(scores, dim=-1), heads.dropout)
    text_weights, block_weights = weights.split([text_key.shape[2], block], dim=-1)
    output = text_weights @ text_value
    return (output + _block_values(block_weights, heads.value, block) if block else output) * scale


def _local_mask(positions: Tensor, text_length: int, reach: int | None) -> Tensor | None:
    """Which text keys a local layer sees, shape (tokens, text), or None where it sees all of them."""
    if reach is None or text_length <= reach:
        return None
    return (positions[:, None] - torch.arange(text_length, device=positions.device)[None]).abs() < reach


def _text_scores(query: Tensor, text_key: Tensor, scaling: float, local: Tensor | None) -> Tensor:
    # Scaling the queries costs less than scaling the scores.
    scores = (query * scaling) @ text_key.transpose(-1, -2)
    return scores if local is None else scores.masked_fill(~local, float("-inf"))


def _block_scores(query: Tensor, key: Tensor, block: int, mask: Tensor | None) -> Tensor:
    """Unscaled scores of markers for the markers of their block: shape (1, heads, markers, block)."""
    scores = (query.unflatten(2, (-1, block)) @ key.unflatten(2, (-1, block)).transpose(-1, -2)).flatten(2, 3)
    return scores if mask is None else scores.masked_fill(~mask, float("-inf"))


def _block_values(weights: Tensor, value: Tensor, block: int) -> Tensor:
    """The weighted values of a block's markers: shape (1, heads, markers, head size)."""
    return (weights.unflatten(2, (-1, block)) @ value.unflatten(2, (-1, block))).flatten(2, 3)


def _dropout(weights: Tensor, p: float) -> tuple[Tensor, float]:
    """Attention dropout: the weights with zeros in them, and what the sums of values have to be multiplied by.

    On a CPU, drawing the mask by torch costs more than all else that is done with the weights. There NumPy draws 16
    random bits for each weight. The seed comes from torch, so that torch's generator still decides, and recomputation
    draws the same mask. `p` is rounded to a multiple of 2 ** -16, and so is the scale.
    """
    if p == 0.0 or weights.device.type != "cpu":
        return F.dropout(weights, p=p), 1.0
    n_dropped = round(p * 2**16)
    seed = int(torch.randint(2**63 - 1, ()))
    bits = np.random.SFC64(seed).random_raw(-(-weights.numel() // 4)).view(np.int16)
    dropped = torch.from_numpy(bits[: weights.numel()] < n_dropped - 2**15).view(weights.shape)
    return weights.masked_fill(dropped, 0.0), 2**16 / max(2**16 - n_dropped, 1)


class Padded:
    """The form for accelerators with dropout: one batch of padded windows, no loop, no synchronisation."""

    def text(self, heads: Heads, layout: TextLayout) -> Tensor:
        padding = layout.padding
        positions = torch.arange(padding.places.shape[1], device=layout.device)
        mask = _padded_text_mask(padding, positions, padding, heads.reach)[:, None]
        q, k, v = (padding.pad(states) for states in heads.states)
        output = F.scaled_dot_product_attention(q, k, v, mask, heads.dropout, scale=heads.scaling)
        return padding.unpad(output)

    def markers(self, heads: Heads, text: TextKeys, layout: MarkerLayout) -> Tensor:
        padding, of_text = layout.padding, layout.text.padding
        places = padding.places
        mask = _padded_text_mask(padding, layout.positions[places.clamp(min=0)], of_text, heads.reach)
        query, key, value, scaling = *heads.states, heads.scaling
        least = torch.finfo(query.dtype).min
        scores = padding.pad(query) @ of_text.pad(text[0]).transpose(-1, -2) * scaling
        scores = scores.masked_fill(~mask[:, None], least)
        if layout.is_joined:
            seen = layout.visible(places[:, :, None], places[:, None]) & (places[:, None] >= 0)
            own = padding.pad(query) @ padding.pad(key).transpose(-1, -2) * scaling
            own = own.masked_fill(~seen[:, None], least)
        elif layout.block:
            own = padding.pad(_block_scores(query, key, layout.block, None)) * scaling
        else:
            own = scores[..., :0]
        weights = F.dropout(torch.softmax(torch.cat([scores, own], dim=-1), dim=-1), p=heads.dropout)
        text_weights, own_weights = weights.split([scores.shape[-1], own.shape[-1]], dim=-1)
        output = padding.unpad(text_weights @ of_text.pad(text[1]))
        if layout.is_joined:
            return output + padding.unpad(own_weights @ padding.pad(value))
        return output + _block_values(padding.unpad(own_weights), value, layout.block) if layout.block else output


def _padded_text_mask(padding: Padding, positions: Tensor, text: Padding, reach: int | None) -> Tensor:
    """Which text each element of a batch sees, shape (windows, elements, text).

    Padding sees everything: a softmax over nothing would not be finite.
    """
    seen = (text.places >= 0)[:, None]
    if reach is not None:
        text_positions = torch.arange(text.places.shape[1], device=text.places.device)
        seen = seen & ((positions[..., :, None] - text_positions).abs() < reach)
    return seen.expand(-1, padding.places.shape[1], -1) | (padding.places < 0)[:, :, None]


class Flex:
    """The form for CUDA without dropout: FlexAttention over the keys of the text and of the markers."""

    def text(self, heads: Heads, layout: TextLayout) -> Tensor:
        windows, positions, reach = layout.window_ids, layout.positions, heads.reach

        def seen(batch: Any, head: Any, q: Tensor, k: Tensor) -> Tensor:
            near = windows[q] == windows[k]
            return near if reach is None else near & ((positions[q] - positions[k]).abs() < reach)

        return _flex(layout, seen, heads)

    def markers(self, heads: Heads, text: TextKeys, layout: MarkerLayout) -> Tensor:
        n_text, reach = text[0].shape[2], heads.reach
        windows = torch.cat([layout.text.window_ids, layout.window_ids])
        positions, text_positions = layout.positions, layout.text.positions

        def seen(batch: Any, head: Any, q: Tensor, k: Tensor) -> Tensor:
            same_window = windows[q + n_text] == windows[k]
            near = same_window & (k < n_text)
            if reach is not None:
                near = near & ((positions[q] - text_positions[k.clamp(max=n_text - 1)]).abs() < reach)
            return near | (same_window & (k >= n_text) & layout.visible(q, k - n_text))

        key, value = (torch.cat(states, dim=2) for states in zip(text, heads.states[1:], strict=True))
        return _flex(layout, seen, replace(heads, key=key, value=value))


def _flex(layout: Any, seen: Callable[..., Tensor], heads: Heads) -> Tensor:
    """FlexAttention with a block mask that all layers of a pass share."""
    from torch.nn.attention.flex_attention import create_block_mask

    masks = layout.__dict__.setdefault("block_masks", {})
    device, reach = heads.query.device, heads.reach
    if reach not in masks:
        sizes = heads.query.shape[2], heads.key.shape[2]
        masks[reach] = create_block_mask(seen, None, None, *sizes, device=str(device))
    return _compiled_flex(device.type)(*heads.states, block_mask=masks[reach], scale=heads.scaling)


@lru_cache
def _compiled_flex(device_type: str) -> Callable[..., Tensor]:
    from torch.nn.attention.flex_attention import flex_attention

    # Without compilation FlexAttention makes all scores, which is the reference on a CPU and too slow elsewhere.
    flex: Callable[..., Tensor] = flex_attention
    return flex if device_type == "cpu" else torch.compile(flex, dynamic=True)


def _numbers(counts: Sequence[int]) -> Tensor:
    """Number of the group of each element, for groups of these sizes."""
    return torch.arange(len(counts)).repeat_interleave(torch.tensor(counts, dtype=torch.long))


AttentionInterface.register(LEVITATED, levitated_attention_forward)
# Without a mask function of this name, transformers silently drops the padding mask of an ordinary batch.
AttentionMaskInterface.register(LEVITATED, sdpa_mask)
