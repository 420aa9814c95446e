"""Levitated attention over packed rows.

A packed row is a batch without padding: for each window its text, then its marker pairs, interleaved
(start, end, start, end, ...). Text attends to the text of its own window; a marker attends to the text of its
window, to itself and to its partner. So the keys of a marker are the window's text and one 2 x 2 block on the
diagonal, and nothing of size (text + markers) squared is ever made. Variants have blocks of four markers, or let the
markers of one kind see each other in all blocks of a window.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

LEVITATED = "levitated"
MARKERS_PER_SPAN = 2


@dataclass(frozen=True)
class PackedLayout:
    """How the tokens of a packed row belong together.

    Args:
        text_lengths: text tokens of each window.
        marker_lengths: marker tokens of each window, a multiple of 2.
        position_ids: positions of all tokens, shape (tokens,); needed only by encoders with local attention layers.
        block: how many consecutive markers belong together and see each other: a pair, or two pairs.
        joined: for each place in a block, whether the markers at that place see each other in all blocks of a window.
    """

    text_lengths: tuple[int, ...]
    marker_lengths: tuple[int, ...]
    position_ids: Tensor
    block: int = MARKERS_PER_SPAN
    joined: tuple[bool, ...] = ()

    @classmethod
    @torch.compiler.disable
    def from_lengths(
        cls,
        window_lengths: Tensor,
        position_ids: Tensor,
        block: int = MARKERS_PER_SPAN,
        joined: tuple[bool, ...] = (),
    ) -> PackedLayout:
        """Read `window_lengths` of shape (windows, 2): text and marker tokens of each window.

        Raises:
            ValueError: when they do not add up to the row, or markers do not come in whole blocks.
        """
        text, markers = zip(*window_lengths.tolist(), strict=True)
        if sum(text) + sum(markers) != position_ids.shape[-1]:
            raise ValueError(
                f"the windows hold {sum(text)} text and {sum(markers)} marker tokens, "
                f"the row has {position_ids.shape[-1]} tokens"
            )
        if any(length % block for length in markers):
            kind = "pairs" if block == MARKERS_PER_SPAN else f"blocks of {block}"
            raise ValueError(f"marker tokens come in {kind}, got windows with {list(markers)} of them")
        return cls(text, markers, position_ids.reshape(-1), block, joined)

    def marker_mask(self, n_markers: int) -> Tensor:
        """Which markers of a window see which, shape (markers, markers)."""
        number = torch.arange(n_markers, device=self.position_ids.device)
        blocks, places = number // self.block, number % self.block
        mask = blocks[:, None] == blocks[None]
        for place, is_joined in enumerate(self.joined):
            if is_joined:
                mask |= (places[:, None] == place) & (places[None] == place)
        return mask

    @property
    def is_text(self) -> Tensor:
        """Which tokens of the row are text, shape (tokens,)."""
        kinds = torch.tensor([True, False]).repeat(len(self.text_lengths))
        lengths = torch.tensor(list(zip(self.text_lengths, self.marker_lengths, strict=True))).flatten()
        return kinds.repeat_interleave(lengths).to(self.position_ids.device)

    def windows(self) -> Iterator[tuple[int, int, int]]:
        """Where each window begins, where its text ends and where its markers end."""
        start = 0
        for text, markers in zip(self.text_lengths, self.marker_lengths, strict=True):
            yield start, start + text, start + text + markers
            start += text + markers

    @cached_property
    def padded_index(self) -> Tensor:
        """Row index of every place of a (windows, longest window) batch, -1 where there is nothing."""
        width = max(t + m for t, m in zip(self.text_lengths, self.marker_lengths, strict=True))
        index = torch.full((len(self.text_lengths), width), -1, dtype=torch.long)
        for row, (start, _, stop) in zip(index, self.windows(), strict=True):
            row[: stop - start] = torch.arange(start, stop)
        return index.to(self.position_ids.device)

    def dense_mask(self, sliding_window: int | None = None) -> Tensor:
        """Who sees whom, as a boolean mask of shape (windows, 1, width, width), width the longest window.

        Args:
            sliding_window: keep only text whose position is at most this far from the query's.
        """
        index = self.padded_index
        mask = torch.zeros(index.shape[0], index.shape[1], index.shape[1], dtype=torch.bool, device=index.device)
        positions = self.position_ids[index.clamp(min=0)]
        near = (positions[:, :, None] - positions[:, None, :]).abs() <= (sliding_window or positions.max())
        for number, (text, markers) in enumerate(zip(self.text_lengths, self.marker_lengths, strict=True)):
            stop = text + markers
            mask[number, :stop, :text] = near[number, :stop, :text]
            # A marker's partner is never too far away, however wide the span.
            mask[number, text:stop, text:stop] = self.marker_mask(markers)
        # A padding token sees itself: a row without any key would be all NaN.
        mask |= torch.eye(index.shape[1], dtype=torch.bool, device=index.device) & (index == -1)[:, None, :]
        return mask[:, None]


def levitated_attention_forward(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    sliding_window: int | None = None,
    layout: PackedLayout | None = None,
    **kwargs,
) -> tuple[Tensor, None]:
    """Attention function for transformers' `AttentionInterface`, under the name `levitated`.

    Args:
        query, key, value: shape (1, heads, tokens, head size).
        attention_mask: ignored for a packed row; `layout` says who sees whom.
        layout: the packed row's layout. Without it this is plain scaled-dot-product attention, so that the
            encoder still works as the encoder that it is.
        sliding_window: as ModernBERT passes it, one more than the largest distance that its local layers see.

    Returns:
        The attended values, shape (1, tokens, heads, head size), and None for the weights, which are never made.
    """
    if layout is None:
        if sliding_window is not None:
            kwargs["sliding_window"] = sliding_window
        return sdpa_attention_forward(
            module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **kwargs
        )
    scaling = query.shape[-1] ** -0.5 if scaling is None else scaling
    return _attend_windows(query, key, value, layout, scaling, dropout, sliding_window), None


# `torch.compile` would unroll the loop, and compile anew for every number of windows.
@torch.compiler.disable
def _attend_windows(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    layout: PackedLayout,
    scaling: float,
    dropout: float,
    sliding_window: int | None,
) -> Tensor:
    """Attend window by window; shape (1, tokens, heads, head size)."""
    needs_gradient = torch.is_grad_enabled() and (query.requires_grad or key.requires_grad or value.requires_grad)
    fused = query.device.type == "cpu" and dropout == 0.0 and not needs_gradient
    attend = _attend_fused if fused else _attend_plain
    pieces = []
    for start, text_stop, stop in layout.windows():
        local = _local_mask(layout.position_ids[start:stop], text_stop - start, sliding_window)
        q, k, v = (states[:, :, start:stop] for states in (query, key, value))
        blocks = _Blocks.of_window(layout, stop - text_stop)
        pieces.append(attend(q, k, v, text_stop - start, blocks, scaling, dropout, local))
    return torch.cat(pieces, dim=2).transpose(1, 2).contiguous()


def _local_mask(positions: Tensor, text_length: int, sliding_window: int | None) -> Tensor | None:
    """Which text keys a local layer sees, shape (tokens, text), or None where it sees all of them."""
    if sliding_window is None or text_length <= sliding_window:
        return None
    return (positions[:, None] - positions[None, :text_length]).abs() < sliding_window


@dataclass(frozen=True)
class _Blocks:
    """How the markers of one window see each other: in blocks, or in one block with a mask.

    Args:
        size: markers of a block.
        mask: which markers of the one block see which, shape (markers, markers); None where all of a block do.
    """

    size: int
    mask: Tensor | None = None

    @classmethod
    def of_window(cls, layout: PackedLayout, n_markers: int) -> _Blocks:
        if any(layout.joined) and n_markers:
            return cls(n_markers, layout.marker_mask(n_markers))
        return cls(layout.block)

    def split(self, states: Tensor) -> Tensor:
        """(1, heads, markers, size) -> (1, heads, blocks, markers of a block, size)."""
        return states.unflatten(2, (-1, self.size))

    def scores(self, query: Tensor, key: Tensor) -> Tensor:
        """What markers think of those in their block, unscaled: shape (1, heads, markers, markers of a block)."""
        scores = (self.split(query) @ self.split(key).transpose(-1, -2)).flatten(2, 3)
        return scores if self.mask is None else scores.masked_fill(~self.mask, float("-inf"))

    def attend(self, weights: Tensor, value: Tensor) -> Tensor:
        """The values of a block's markers, weighted: shape (1, heads, markers, size)."""
        return (self.split(weights) @ self.split(value)).flatten(2, 3)


def _attend_plain(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    text_length: int,
    blocks: _Blocks,
    scaling: float,
    dropout: float,
    local: Tensor | None,
) -> Tensor:
    """One window in plain, differentiable operations."""
    text_key, text_value = key[:, :, :text_length], value[:, :, :text_length]
    if dropout == 0.0:
        text = F.scaled_dot_product_attention(
            query[:, :, :text_length],
            text_key,
            text_value,
            attn_mask=None if local is None else local[:text_length],
            scale=scaling,
        )
    else:
        text_scores = _text_scores(query[:, :, :text_length], text_key, scaling, local)
        text = _dropout(torch.softmax(text_scores, dim=-1), dropout) @ text_value
    if query.shape[2] == text_length:
        return text
    query, key, value = (states[:, :, text_length:] for states in (query, key, value))
    text_scores = _text_scores(query, text_key, scaling, None if local is None else local[text_length:])
    marker_scores = blocks.scores(query, key) * scaling
    weights = torch.softmax(torch.cat([text_scores, marker_scores], dim=-1), dim=-1)
    weights = _dropout(weights, dropout)
    text_weights, marker_weights = weights.split([text_length, blocks.size], dim=-1)
    markers = text_weights @ text_value + blocks.attend(marker_weights, value)
    return torch.cat([text, markers], dim=2)


def _text_scores(query: Tensor, text_key: Tensor, scaling: float, local: Tensor | None) -> Tensor:
    scores = query @ text_key.transpose(-1, -2) * scaling
    return scores if local is None else scores.masked_fill(~local, float("-inf"))


def _dropout(weights: Tensor, p: float) -> Tensor:
    """Attention dropout, where on a CPU drawing the mask costs more than anything else that is done with the weights.

    There 16 random bits are drawn for each weight, by NumPy from a seed of torch's, so that torch's generator still
    decides. `p` is rounded to a multiple of 2 ** -16, by which the kept weights are scaled too.
    """
    if p == 0.0 or weights.device.type != "cpu":
        return F.dropout(weights, p=p)
    n_dropped = round(p * 2**16)
    seed = int(torch.randint(2**63 - 1, ()))
    bits = np.random.SFC64(seed).random_raw(-(-weights.numel() // 4)).view(np.int16)
    dropped = torch.from_numpy(bits[: weights.numel()] < n_dropped - 2**15).view(weights.shape)
    zero = torch.zeros((), dtype=weights.dtype)
    return torch.where(dropped, zero, weights * (2**16 / (2**16 - n_dropped)))


def _attend_fused(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    text_length: int,
    blocks: _Blocks,
    scaling: float,
    dropout: float,
    local: Tensor | None,
) -> Tensor:
    """One window by the fused CPU kernel, for inference.

    The kernel attends all tokens to the text and returns the log-sum-exp of the scores; the further keys of the
    markers are merged into the same softmax with it.
    """
    mask = None if local is None else torch.zeros(local.shape, dtype=query.dtype).masked_fill(~local, float("-inf"))
    output, text_lse = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(
        query,
        key[:, :, :text_length],
        value[:, :, :text_length],
        attn_mask=mask,
        scale=scaling,
    )
    if query.shape[2] == text_length:
        return output
    query, key, value = (states[:, :, text_length:] for states in (query, key, value))
    text_lse = text_lse[:, :, text_length:, None]
    marker_scores = blocks.scores(query, key).float() * scaling
    total_lse = torch.logaddexp(text_lse, marker_scores.logsumexp(dim=-1, keepdim=True))
    marker_weights = (marker_scores - total_lse).exp().to(value.dtype)
    markers = output[:, :, text_length:]
    markers *= (text_lse - total_lse).exp().to(markers.dtype)
    markers += blocks.attend(marker_weights, value)
    return output


AttentionInterface.register(LEVITATED, levitated_attention_forward)
# Without a mask function of its own name, transformers drops the padding mask of an ordinary batch silently.
AttentionMaskInterface.register(LEVITATED, sdpa_mask)
