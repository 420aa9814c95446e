"""What the two task models share: an encoder that reads text first, and markers against the text."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, ClassVar, TypeVar

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint
from transformers import AutoModel

from .attention_plmarker import LEVITATED, MarkerLayout, TextLayout
from .base_plmarker import PLMarkerBaseModel
from .configuration_plmarker import PLMarkerTaskConfig
from .encoders_plmarker import check_encoder, check_late_markers, encoder_kwargs, position_offset
from .internals_plmarker import attention_implementation
from .schema_plmarker import PLMarkerError
from .states_plmarker import (
    LateEntry,
    TextStates,
    join_arguments,
    read_tokens,
    run_markers,
    run_text,
    watch_layers,
)
from .task_plmarker import Task
from .tasks_plmarker import task_of

# Markers of a chunk. On a CPU larger chunks are no faster, and their states take more memory.
MARKER_TOKENS = 512

Model = TypeVar("Model", bound="PLMarkerPreTrainedModel")


class PLMarkerPreTrainedModel(PLMarkerBaseModel):
    """An encoder that reads text first, and markers against the text; the base of the two task models.

    Text never sees a marker. So `encode_text` reads windows once, and keeps the keys and values of every layer;
    `encode_markers` reads any number of markers against them, in chunks of at most `marker_tokens` markers. Set
    `model.marker_tokens` to bound memory. With `gradient_checkpointing_enable()` training keeps no chunk: each is
    computed again when its gradient is needed.
    """

    config: PLMarkerTaskConfig
    config_class: type[PLMarkerTaskConfig]
    base_model_prefix = "encoder"
    # The losses take num_items_in_batch, so that accumulated batches weigh every candidate alike.
    accepts_loss_kwargs = True
    marker_tokens: int = MARKER_TOKENS
    # The dense reference, for `eager` and `sdpa`; see `plmarker.original.dense`. The package sets it too.
    dense: ClassVar[Callable[..., tuple[Tensor, ...]] | None] = None

    def __init__(self, config: PLMarkerTaskConfig, encoder: nn.Module | None = None) -> None:
        """Build a model with random weights.

        Args:
            config: the configuration.
            encoder: the encoder of another model, to share it. It stays a part of the other model alone, which saves
                its weights.
        """
        super().__init__(config)
        encoder_config: Any = config.encoder_config
        if encoder is not None:
            # torch registers every module that is set in the usual way.
            self.__dict__["encoder"] = encoder
        else:
            self._build_encoder(encoder_config)
        if getattr(config, "late_layers", None) is not None:
            check_late_markers(self.encoder, config.late_layers)
        self.late_entry = LateEntry(self.encoder.config.hidden_size) if self.enter_at else None
        self.position_offset = position_offset(self.encoder)
        dropout = config.head_dropout
        if dropout is None:
            # DistilBERT has another name for it.
            dropout = getattr(encoder_config, "hidden_dropout_prob", getattr(encoder_config, "dropout", 0.0))
        self.dropout = nn.Dropout(dropout)

    def _build_encoder(self, encoder_config: Any) -> None:
        # The dtype is the model's, not the one that the encoder was saved in.
        self.encoder = AutoModel.from_config(
            encoder_config,
            attn_implementation=attention_implementation(self),
            dtype=torch.get_default_dtype(),
            **encoder_kwargs(encoder_config),
        )
        check_encoder(self.encoder)
        watch_layers(self.encoder)

    @property
    def task(self) -> Task[Any, Any]:
        """The model's way of reading: candidates, rows, what the head reads, and decoding."""
        return task_of(self.config)

    def heads(self, text: Tensor, markers: Tensor) -> tuple[Tensor, ...]:
        """The logits of each head.

        Args:
            text: what the head reads of the text; shape (candidates, text states, hidden size).
            markers: shape (candidates, markers, hidden size).

        Returns:
            Shape (candidates, classes) for each head.
        """
        raise NotImplementedError

    def encode_text(self, input_ids: Tensor, lengths: Sequence[int], skip_last_layer: bool = False) -> TextStates:
        """Read windows of text once. The result does not depend on any marker.

        Args:
            input_ids: the subwords of all windows, one behind the other; shape (tokens,).
            lengths: tokens of each window.
            skip_last_layer: leave out the last layer's attention and feed-forward where the encoder allows it. Markers
                do not need them, and `read_tokens` computes them for single tokens.
        """
        return self._encode_text(self._embed(input_ids), lengths, skip_last_layer)

    def read_windows(self, input_ids: Tensor, window_sizes: Tensor, read_tokens: Tensor) -> TextStates | None:
        """The text states of a batch, as `Task.batch` makes it, for several passes over markers.

        None for the dense reference, which reads text and markers together.
        """
        if attention_implementation(self) != LEVITATED:
            return None
        # One layer for all tokens costs more than the same layer for a few of them.
        skip_last_layer = 2 * len(read_tokens) < len(input_ids)
        return self.encode_text(input_ids, window_sizes[:, 0].tolist(), skip_last_layer)

    def _embed(self, input_ids: Tensor) -> Tensor:
        embedded: Tensor = self.encoder.get_input_embeddings()(input_ids)
        return embedded

    @property
    def enter_at(self) -> int:
        """The layer at which markers enter; 0 is the first one."""
        n_layers: int = self.encoder.config.num_hidden_layers
        return max(0, n_layers - (getattr(self.config, "late_layers", None) or n_layers))

    def _encode_text(self, embedded: Tensor, lengths: Sequence[int], skip_last_layer: bool) -> TextStates:
        enter_at = self.enter_at
        if not self._recomputes:
            return run_text(self.encoder, embedded, lengths, self.position_offset, skip_last_layer, enter_at)
        parts: list[tuple[Tensor, ...]] = []
        arguments: list[dict[int, dict[str, Any]]] = []
        groups = list(_groups(lengths, self.marker_tokens))
        for group, part in zip(groups, embedded.split([sum(group) for group in groups]), strict=True):

            def run(inputs: Tensor, group: Sequence[int] = group) -> tuple[Tensor, ...]:
                states = run_text(self.encoder, inputs, group, self.position_offset, False, enter_at)
                arguments.append(states.arguments)
                assert states.hidden is not None
                return (states.hidden, states.inputs.get(enter_at, states.hidden), *states.keys, *states.values)

            parts.append(checkpoint(run, part, use_reentrant=False))
        hidden, entry, *kept = zip(*parts, strict=True)
        joined = [torch.cat(states, dim=2) for states in kept]
        half = len(joined) // 2
        return TextStates(
            TextLayout(lengths, embedded.device),
            joined[:half],
            joined[half:],
            torch.cat(hidden),
            {enter_at: torch.cat(entry)} if enter_at else {},
            join_arguments(arguments),
        )

    def encode_markers(
        self, text: TextStates, counts: Sequence[int], marker_ids: Tensor, marker_positions: Tensor
    ) -> Tensor:
        """Read markers against kept text, in chunks. The chunks change no number.

        Args:
            text: what `encode_text` has returned.
            counts: candidates of each window.
            marker_ids: ids of the markers of each candidate, window by window; shape (candidates, markers).
            marker_positions: the positions that they borrow, from 0 in each window; shape (candidates, markers).

        Returns:
            The encoder's output for the markers; shape (candidates, markers, hidden size).
        """
        embedded = self._embed(marker_ids)
        parts = self._in_chunks(text, counts, embedded, marker_positions, lambda states, place: (states,))
        return torch.cat([states for (states,) in parts])

    def score(
        self,
        input_ids: Tensor,
        window_sizes: Tensor,
        read_tokens: Tensor,
        read_index: Tensor,
        marker_ids: Tensor,
        marker_positions: Tensor,
        marker_groups: Tensor | None = None,
        choose: Callable[[Tensor, Tensor, Tensor], Tensor] | None = None,
        text: TextStates | None = None,
        heads: Callable[[Tensor, Tensor], tuple[Tensor, ...]] | None = None,
    ) -> tuple[Tensor, ...]:
        """The logits of each head for a batch, as `Task.batch` makes it; shape (candidates, classes) each.

        Args:
            choose: decides which candidates get markers, from the read text states, `read_index` and
                `marker_positions`. It returns a boolean of shape (candidates,); only these candidates have logits.
            text: the states of the text where they are there already; `input_ids` is not read then.
            heads: in place of the model's `heads`.
        """
        heads = heads or self.heads
        # This and the counts of chosen candidates are the only synchronisations with the device in a pass.
        lengths, counts, reads = window_sizes.T.tolist()
        if attention_implementation(self) != LEVITATED:
            if self.dense is None:
                name = attention_implementation(self)
                raise PLMarkerError(f"attention {name!r}, the dense reference, needs the package plmarker")
            batch = (input_ids, lengths, counts, read_tokens, read_index, marker_ids, marker_positions)
            return self.dense(*batch, choose, marker_groups, heads)
        if text is not None:
            embedded_markers = self._embed(marker_ids)
        elif choose is None:
            # One look-up for text and markers: the gradient of each look-up is as large as the vocabulary.
            embedded = self._embed(torch.cat([input_ids, marker_ids.flatten()]))
            embedded_text, embedded_markers = embedded.split([len(input_ids), marker_ids.numel()])
            embedded_markers = embedded_markers.unflatten(0, marker_ids.shape)
        else:
            embedded_text = self._embed(input_ids)
        # One layer for all tokens costs more than the same layer for a few of them.
        if text is None:
            text = self._encode_text(embedded_text, lengths, skip_last_layer=2 * len(read_tokens) < len(input_ids))
        read = self.dropout(self._read(text, read_tokens, reads))
        if choose is not None:
            chosen = choose(read, read_index, marker_positions)
            windows = torch.arange(len(lengths), device=input_ids.device).repeat_interleave(window_sizes[:, 1])
            counts = torch.bincount(windows[chosen], minlength=len(lengths)).tolist()
            read_index, marker_ids, marker_positions = read_index[chosen], marker_ids[chosen], marker_positions[chosen]
            embedded_markers = self._embed(marker_ids)

        def logits(markers: Tensor, place: slice) -> tuple[Tensor, ...]:
            return heads(read[read_index[place]], self.dropout(markers))

        parts = self._in_chunks(text, counts, embedded_markers, marker_positions, logits, marker_groups)
        return tuple(torch.cat(head) for head in zip(*parts, strict=True))

    def _read(self, text: TextStates, index: Tensor, reads: Sequence[int]) -> Tensor:
        if not len(index):
            size: int = self.encoder.config.hidden_size
            return torch.zeros(0, size, dtype=self.dtype, device=index.device)
        return read_tokens(self.encoder, text, index, reads)

    def _in_chunks(
        self,
        text: TextStates,
        counts: Sequence[int],
        embedded: Tensor,
        marker_positions: Tensor,
        use: Callable[[Tensor, slice], tuple[Tensor, ...]],
        groups: Tensor | None = None,
    ) -> Iterator[tuple[Tensor, ...]]:
        """Run markers in chunks, and pass their states, (candidates, markers, hidden size), to `use`.

        Where chunks are recomputed, so is what `use` makes of them: only its results are kept.

        Args:
            embedded: the word embeddings of the markers; shape (candidates, markers, embedding size).
            groups: the group of each candidate, ascending; shape (candidates,). No chunk cuts a group.
        """
        block, joined = self.task.n_markers, self.task.joined
        if not sum(counts):
            size = self.encoder.config.hidden_size
            yield use(torch.zeros(0, block, size, dtype=self.dtype, device=embedded.device), slice(0, 0))
            return
        enter_at, index = self.enter_at, marker_positions
        if enter_at and block:
            starts = torch.tensor(text.layout.starts[:-1], device=embedded.device)
            index = marker_positions + starts.repeat_interleave(torch.tensor(counts, device=embedded.device))[:, None]
        limit = max(1, self.marker_tokens // max(block, 1))
        pieces = None
        if groups is not None:
            pieces = _group_sizes(counts, groups)
        elif any(joined):
            pieces = [[count] for count in counts]
        chunks = list(_chunks(counts, limit) if pieces is None else _whole_chunks(pieces, limit))
        inputs = embedded.split([sum(sizes) for _, _, sizes, _ in chunks])
        for (first, stop, sizes, place), part_embedded in zip(chunks, inputs, strict=True):
            part = text.part(first, stop)
            positions = marker_positions[place].flatten()
            numbers = None if groups is None else groups[place].repeat_interleave(block)
            layout = MarkerLayout(part.layout, tuple(size * block for size in sizes), positions, block, joined, numbers)

            def run(inputs: Tensor, *kept: Tensor, layout: Any = layout, place: slice = place) -> tuple[Tensor, ...]:
                if not block:
                    return use(text.keys[0].new_zeros(len(inputs), 0, self.encoder.config.hidden_size), place)
                half = len(kept) // 2
                states = TextStates(layout.text, list(kept[:half]), list(kept[half:]), arguments=text.arguments)
                tokens = index[place].flatten()
                if enter_at:
                    if self.late_entry is None:
                        raise PLMarkerError("late_layers was set on a model that was made without late markers")
                    inputs = self.late_entry(inputs, text.inputs[enter_at][index[place]])
                markers = run_markers(
                    self.encoder, states, layout, inputs.flatten(0, 1), self.position_offset, enter_at, tokens
                )
                return use(markers.unflatten(0, (-1, block)), place)

            kept = (*part.keys, *part.values)
            if self._recomputes:
                yield checkpoint(run, part_embedded, *kept, use_reentrant=False)
            else:
                yield run(part_embedded, *kept)

    @property
    def _recomputes(self) -> bool:
        return self.gradient_checkpointing and self.training and torch.is_grad_enabled()


def _groups(lengths: Sequence[int], limit: int) -> Iterator[list[int]]:
    """Lengths of consecutive windows that have at most `limit` tokens together. A longer window is alone."""
    group: list[int] = []
    for length in lengths:
        if group and sum(group) + length > limit:
            yield group
            group = []
        group.append(length)
    if group:
        yield group


# The first window of a chunk, the window behind its last one, the candidates of each window in it, and all of them.
Chunk = tuple[int, int, list[int], slice]


def _chunks(counts: Sequence[int], limit: int) -> Iterator[Chunk]:
    """Cut the candidates of windows into chunks of at most `limit`."""
    first = start = 0
    sizes: list[int] = []
    for number, count in enumerate(counts):
        left = count
        while left:
            if sum(sizes) == limit:
                yield first, first + len(sizes), sizes, slice(start, start + limit)
                start, sizes = start + limit, []
            if not sizes:
                first = number
            taken = min(left, limit - sum(sizes))
            sizes = sizes + [0] * (number - first - len(sizes)) + [taken]
            left -= taken
    if sizes:
        yield first, first + len(sizes), sizes, slice(start, start + sum(sizes))


def _whole_chunks(pieces: Sequence[Sequence[int]], limit: int) -> Iterator[Chunk]:
    """As `_chunks`, without cutting the pieces of a window. A larger piece is a chunk alone.

    Args:
        pieces: the sizes of the pieces of each window.
    """
    first = start = 0
    sizes: list[int] = []
    for number, window in enumerate(pieces):
        for size in filter(None, window):
            if sizes and sum(sizes) + size > limit:
                yield first, first + len(sizes), sizes, slice(start, start + sum(sizes))
                start, sizes = start + sum(sizes), []
            if not sizes:
                first = number
            sizes += [0] * (number - first + 1 - len(sizes))
            sizes[-1] += size
    if sizes:
        yield first, first + len(sizes), sizes, slice(start, start + sum(sizes))


def _group_sizes(counts: Sequence[int], groups: Tensor) -> list[list[int]]:
    """The sizes of the groups of each window."""
    return [part.unique_consecutive(return_counts=True)[1].tolist() for part in groups.split(list(counts))]
