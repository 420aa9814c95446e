"""The text pass and the marker pass over an unmodified encoder (paper, section 3.1)."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from .attention_plmarker import Heads, MarkerLayout, TextLayout, choose_form
from .internals_plmarker import call_layer, encoder_layers


@dataclass
class TextStates:
    """What the text pass leaves of windows. Any number of markers can be read against it.

    Args:
        layout: how the windows lie in the row of text tokens.
        keys, values: of every layer; shape (1, heads, tokens, head size) each.
        hidden: the encoder's output; shape (tokens, hidden size). None where the last layer was left out.
        inputs: the input of single layers, by their number, shape (tokens, hidden size): of the last layer where it was
            left out, and of the layer at which markers enter late.
        arguments: the further arguments of the layers from there on, by the number of the layer.
        pieces: the keys and values by window, made where gradients are needed.
    """

    layout: TextLayout
    keys: list[Tensor] = field(default_factory=list)
    values: list[Tensor] = field(default_factory=list)
    hidden: Tensor | None = None
    inputs: dict[int, Tensor] = field(default_factory=dict)
    arguments: dict[int, dict[str, Any]] = field(default_factory=dict)
    pieces: dict[int, tuple[Tensor, ...]] = field(default_factory=dict, repr=False)

    def part(self, first: int, stop: int) -> TextStates:
        """The keys and values of the windows from `first` to before `stop`."""
        if (first, stop) == (0, len(self.layout.lengths)):
            return self
        layers = (self.keys, self.values)
        keys, values = ([self._windows(states, first, stop) for states in kind] for kind in layers)
        return TextStates(self.layout.part(first, stop), keys, values, arguments=self.arguments)

    def _windows(self, states: Tensor, first: int, stop: int) -> Tensor:
        if not states.requires_grad:
            return states[:, :, self.layout.starts[first] : self.layout.starts[stop]]
        # The gradient of a slice is as large as the whole row, and there are many slices. Pieces share one gradient.
        if id(states) not in self.pieces:
            self.pieces[id(states)] = states.split(self.layout.lengths, dim=2)
        pieces = self.pieces[id(states)][first:stop]
        return pieces[0] if len(pieces) == 1 else torch.cat(pieces, dim=2)


class _LastLayerReached(Exception):
    """Ends a text pass whose last layer is not needed for all tokens. It carries nothing and is never an error."""


@dataclass
class _TextReading:
    """Text attends to its window, and leaves its keys and values."""

    states: TextStates
    # The layer whose attention and feed-forward are left out; its keys and values are still made.
    stop_at: int | None = None
    # The layer at which markers enter late.
    enter_at: int | None = None

    def attend(self, heads: Heads) -> Tensor:
        self.states.keys.append(heads.key)
        self.states.values.append(heads.value)
        if self.stop_at == len(self.states.keys) - 1 and self.stop_at in self.states.inputs:
            raise _LastLayerReached
        return choose_form(heads.query.device, heads.dropout).text(heads, self.states.layout)


@dataclass
class _MarkerReading:
    """Markers attend to the kept keys and values of their windows, and to their blocks."""

    text: TextStates
    layout: MarkerLayout
    layer: int = 0

    def attend(self, heads: Heads) -> Tensor:
        text = self.text.keys[self.layer], self.text.values[self.layer]
        self.layer += 1
        return choose_form(heads.query.device, heads.dropout).markers(heads, text, self.layout)


def watch_layers(encoder: nn.Module) -> None:
    """Let a text pass keep the input of a layer, to leave that layer out or to let markers enter there.

    The hooks act on passes that ask for it, and change nothing.
    """
    for number, layer in enumerate(encoder_layers(encoder) or []):
        layer.register_forward_pre_hook(partial(_keep_input, number), with_kwargs=True)


def _keep_input(number: int, layer: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    reading = kwargs.get("reading")
    if not isinstance(reading, _TextReading):
        return
    is_entry = number == reading.enter_at
    if number == reading.stop_at or is_entry:
        reading.states.inputs[number] = (args[0] if args else kwargs["hidden_states"])[0]
    if number == reading.stop_at or (reading.enter_at is not None and number >= reading.enter_at):
        # Layers name their second argument alike, and take it by position or by name.
        named = {"attention_mask": args[1]} if len(args) > 1 else {}
        rest = {name: value for name, value in kwargs.items() if name not in ("hidden_states", "reading")}
        reading.states.arguments[number] = {**rest, **named}


def run_text(
    encoder: nn.Module,
    embedded: Tensor,
    lengths: Sequence[int],
    position_offset: int,
    skip_last_layer: bool,
    enter_at: int = 0,
) -> TextStates:
    """One pass over text.

    Args:
        embedded: the word embeddings of the subwords of all windows; shape (tokens, embedding size).
        lengths: tokens of each window.
        position_offset: position id of the first token of a window.
        skip_last_layer: leave out the last layer's attention and feed-forward, where the encoder allows it;
            `read_tokens` computes them for single tokens.
        enter_at: keep what markers need to enter at this layer; 0 is the first one.
    """
    states = TextStates(TextLayout(lengths, embedded.device))
    layers = encoder_layers(encoder) if skip_last_layer and not torch.compiler.is_compiling() else None
    reading = _TextReading(states, None if layers is None else len(layers) - 1, enter_at or None)
    with suppress(_LastLayerReached):
        states.hidden = call_encoder(encoder, embedded, states.layout.positions + position_offset, reading)
    return states


def run_markers(
    encoder: nn.Module,
    text: TextStates,
    layout: MarkerLayout,
    embedded: Tensor,
    position_offset: int,
    enter_at: int = 0,
    index: Tensor | None = None,
) -> Tensor:
    """One pass over markers.

    Args:
        text: the states of exactly the windows of `layout`.
        embedded: the word embeddings of the markers; shape (markers, embedding size). For markers that enter late, the
            states with which they enter; shape (markers, hidden size).
        enter_at: the layer at which the markers enter; 0 is the first one.
        index: for markers that enter late, the numbers of the tokens in the row of text tokens whose positions they
            borrow; shape (markers,).

    Returns:
        The encoder's output for the markers; shape (markers, hidden size).
    """
    reading = _MarkerReading(text, layout, enter_at)
    if not enter_at:
        return call_encoder(encoder, embedded, layout.positions + position_offset, reading)
    assert index is not None
    return _call_layers(encoder, embedded, index, text, reading)


class LateEntry(nn.Module):
    """The states with which markers enter late: from text states at their place and their partner's, and an embedding.

    A word embedding is short beside the states between layers: at most a tenth of their length in MiniLM. Added as it
    is, it would hardly change the text state. So it is made as long as that state. The layers that are left are few,
    and markers that know the other end of their span need none of them to find it.

    Args:
        hidden_size: size of the encoder's states.
    """

    def __init__(self, hidden_size: int) -> None:
        super().__init__()
        self.partner = nn.Linear(hidden_size, hidden_size)

    def forward(self, embedded: Tensor, states: Tensor) -> Tensor:
        """The states of the markers; shape (candidates, markers, hidden size).

        Args:
            embedded: the word embeddings of the markers; shape (candidates, markers, hidden size). Start and end of a
                span are neighbours.
            states: the text states at their positions; the same shape.
        """
        partners = states.unflatten(1, (-1, 2)).flip(2).flatten(1, 2)
        # The default is 0 in float16, and an embedding of zeros would become NaN.
        smallest = torch.finfo(embedded.dtype).tiny
        own = nn.functional.normalize(embedded, dim=-1, eps=smallest) * states.norm(dim=-1, keepdim=True)
        return states + own + self.partner(partners)


def join_arguments(groups: Sequence[dict[int, dict[str, Any]]]) -> dict[int, dict[str, Any]]:
    """The arguments of layers that were called for groups of windows, as one call for all windows has them."""
    joined = dict(groups[0])
    for number, arguments in joined.items():
        if arguments.get("position_embeddings") is not None:
            parts = zip(*(group[number]["position_embeddings"] for group in groups), strict=True)
            joined[number] = {**arguments, "position_embeddings": tuple(torch.cat(part, dim=1) for part in parts)}
    return joined


def read_tokens(encoder: nn.Module, text: TextStates, index: Tensor, counts: Sequence[int]) -> Tensor:
    """The encoder's output for some text tokens.

    Args:
        index: numbers of the tokens in the row, ascending; shape (read tokens,).
        counts: how many of them each window has.

    Returns:
        Shape (read tokens, hidden size).
    """
    if text.hidden is not None:
        return text.hidden[index]
    # These tokens see the text, themselves included, and nothing else.
    layout = MarkerLayout(text.layout, tuple(counts), text.layout.positions[index], block=0)
    last = max(text.inputs)
    return _call_layers(encoder, text.inputs[last][index], index, text, _MarkerReading(text, layout, last))


def _call_layers(
    encoder: nn.Module, hidden: Tensor, index: Tensor, text: TextStates, reading: _MarkerReading
) -> Tensor:
    """Call the layers from that of a reading to the last one; shape (tokens, hidden size), as `hidden`."""
    layers = encoder_layers(encoder)
    assert layers is not None
    states = hidden[None]
    for number in range(reading.layer, len(layers)):
        states = call_layer(layers[number], states, index, {**text.arguments[number], "reading": reading})
    final_norm: nn.Module | None = getattr(encoder, "final_norm", None)
    return states[0] if final_norm is None else final_norm(states)[0]


def has_local_layers(encoder: nn.Module) -> bool:
    """Whether some layers of an encoder see near text alone."""
    return "sliding_attention" in (getattr(getattr(encoder, "config", None), "layer_types", None) or ())


def no_masks(encoder: nn.Module) -> dict[str, None] | None:
    """The argument `attention_mask` that lets an encoder make no mask."""
    # Without a mask for each kind, encoders with local layers would make a mask over the whole row for them.
    return {"full_attention": None, "sliding_attention": None} if has_local_layers(encoder) else None


def call_encoder(encoder: nn.Module, embedded: Tensor, position_ids: Tensor, reading: Any) -> Tensor:
    """The encoder's output for one row of tokens, whose attention `reading` computes; shape (tokens, hidden size)."""
    batch: dict[str, Any] = {
        "inputs_embeds": embedded[None],
        "position_ids": position_ids[None],
        "attention_mask": no_masks(encoder),
    }
    states: Tensor = encoder(**batch, reading=reading).last_hidden_state[0]
    return states
