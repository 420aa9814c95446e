"""The dense reference: text and markers in one padded batch under a dense mask, as the published scripts read them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ..modeling.attention_plmarker import MarkerLayout, TextLayout
from ..modeling.internals_plmarker import attention_implementation
from ..modeling.schema_plmarker import PLMarkerError
from ..modeling.states_plmarker import has_local_layers
from ..modeling.task_model_plmarker import PLMarkerPreTrainedModel


def score_dense(
    model: PLMarkerPreTrainedModel,
    input_ids: Tensor,
    lengths: Sequence[int],
    counts: Sequence[int],
    index: Tensor,
    read_index: Tensor,
    marker_ids: Tensor,
    marker_positions: Tensor,
    choose: Callable[[Tensor, Tensor, Tensor], Tensor] | None,
    marker_groups: Tensor | None,
    heads: Callable[[Tensor, Tensor], tuple[Tensor, ...]],
) -> tuple[Tensor, ...]:
    """The reference: text and markers in one padded batch under a dense mask."""
    task = model.task
    if model.enter_at:
        raise PLMarkerError("late_layers needs levitated attention: a dense mask cannot let markers enter late")
    groups = None
    if marker_groups is not None:
        groups = marker_groups.repeat_interleave(task.n_markers)
    text = TextLayout(lengths, input_ids.device)
    sizes = tuple(count * task.n_markers for count in counts)
    layout = MarkerLayout(text, sizes, marker_positions.flatten(), task.n_markers, task.joined, groups)
    is_eager = attention_implementation(model) == "eager"
    states, markers = run_dense(
        model.encoder, input_ids, lengths, layout, marker_ids.flatten(), model.position_offset, is_eager
    )
    read = model.dropout(states)[index]
    markers = model.dropout(markers).reshape(*marker_ids.shape, markers.shape[-1])
    if choose is not None:
        chosen = choose(read, read_index, marker_positions)
        read_index, markers = read_index[chosen], markers[chosen]
    return heads(read[read_index], markers)


def run_dense(
    encoder: nn.Module,
    input_ids: Tensor,
    lengths: Sequence[int],
    layout: MarkerLayout,
    marker_ids: Tensor,
    position_offset: int,
    additive: bool,
) -> tuple[Tensor, Tensor]:
    """The reference: a padded batch of windows, each with its text and its markers, under a dense mask.

    Args:
        additive: eager attention adds its mask to the scores, even a boolean one. Others take a boolean mask.

    Returns:
        The encoder's output for the text, shape (tokens, hidden size), and for the markers, (markers, hidden size).
    """
    device, n_text = input_ids.device, input_ids.shape[0]
    text, counts = TextLayout(lengths, device), layout.counts
    width = max((length + count for length, count in zip(lengths, counts, strict=True)), default=0)
    index = torch.full((len(lengths), width), -1, dtype=torch.long, device=device)
    marker = n_text
    for row, start, length, count in zip(index, text.starts, lengths, counts, strict=False):
        row[:length] = torch.arange(start, start + length, device=device)
        row[length : length + count] = torch.arange(marker, marker + count, device=device)
        marker += count
    places = index.clamp(min=0)
    positions = torch.cat([text.positions, layout.positions])[places]
    is_text, is_token = (index >= 0) & (index < n_text), index >= 0
    numbers = index - n_text
    own = layout.visible(numbers[:, :, None], numbers[:, None]) & ~is_text[:, :, None] & ~is_text[:, None]
    own &= is_token[:, None]

    def mask(reach: int | None) -> Tensor:
        seen = is_text[:, None].expand(-1, width, -1)
        if reach is not None:
            seen = seen & ((positions[:, :, None] - positions[:, None]).abs() <= reach)
        # A token of the padding sees itself: a softmax over nothing would be NaN.
        seen = (seen | own) & is_token[:, :, None] | torch.eye(width, dtype=torch.bool, device=device) & ~is_token[
            :, :, None
        ]
        if not additive:
            return seen[:, None]
        dtype = next(encoder.parameters()).dtype
        return torch.zeros(seen.shape, dtype=dtype, device=device).masked_fill_(~seen, torch.finfo(dtype).min)[:, None]

    attention_mask: Any = mask(None)
    if has_local_layers(encoder):
        # A single mask would be used for local layers too.
        reach = getattr(encoder.config, "sliding_window", None)
        attention_mask = {"full_attention": attention_mask, "sliding_attention": mask(reach)}
    batch: dict[str, Any] = {
        "input_ids": torch.cat([input_ids, marker_ids])[places],
        "position_ids": positions + position_offset,
    }
    states = encoder(**batch, attention_mask=attention_mask).last_hidden_state[is_token]
    order = index[is_token]
    output = torch.empty_like(states).index_copy(0, order, states)
    return output[:n_text], output[n_text:]
