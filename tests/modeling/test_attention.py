"""The three forms of levitated attention compute one softmax over all that is visible."""

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from plmarker.modeling.attention_plmarker import (
    Flex,
    Heads,
    MarkerLayout,
    Padded,
    Padding,
    TextLayout,
    WindowByWindow,
    _dropout,
    choose_form,
)
from plmarker.original.dense import run_dense

CPU = torch.device("cpu")
N_HEADS, HEAD_SIZE, SCALING = 2, 4, 0.7
FORMS = (WindowByWindow(), Padded(), Flex())
# Floating-point sums in another order.
TOLERANCE = {"rtol": 0, "atol": 1e-5}
# Not places in a block: two neighbouring blocks of a window make a group, whose markers see each other.
GROUPS = ("groups",)
JOINED = {
    "text alone": (0, ()),
    "pairs": (2, ()),
    "starts": (2, (True, False)),
    "ends": (2, (False, True)),
    "both": (2, (True, True)),
    "quadruples": (4, ()),
    "groups": (2, GROUPS),
}


@dataclass
class Case:
    """Windows with markers, and random queries, keys and values for them."""

    text: TextLayout
    markers: MarkerLayout
    text_states: tuple[Tensor, ...]
    marker_states: tuple[Tensor, ...]

    @classmethod
    def make(cls, lengths: list[int], blocks: list[int], block: int, joined: tuple[bool, ...], seed: int = 0) -> "Case":
        """`blocks` are the blocks of each window; without blocks, its markers."""
        generator = torch.Generator().manual_seed(seed)
        counts = tuple(number * max(block, 1) for number in blocks)
        places = [torch.randint(length, (n,), generator=generator) for length, n in zip(lengths, counts, strict=True)]
        text = TextLayout(lengths, CPU)
        groups = None
        if joined == GROUPS:
            windows = enumerate(counts)
            groups = torch.tensor([100 * window + marker // 4 for window, count in windows for marker in range(count)])
        layout = MarkerLayout(text, counts, torch.cat(places), block, () if groups is not None else joined, groups)

        def states(n: int) -> tuple[Tensor, ...]:
            return tuple(2 * torch.randn(1, N_HEADS, n, HEAD_SIZE, generator=generator) for _ in range(3))

        return cls(text, layout, states(sum(lengths)), states(sum(counts)))

    def of_text(self, form: Any, reach: int | None, dropout: float = 0.0) -> Tensor:
        return form.text(Heads(*self.text_states, SCALING, dropout, reach), self.text)

    def of_markers(self, form: Any, reach: int | None, dropout: float = 0.0) -> Tensor:
        _, key, value = self.text_states
        return form.markers(Heads(*self.marker_states, SCALING, dropout, reach), (key, value), self.markers)

    def dense_text(self, reach: int | None) -> Tensor:
        """The definition: a softmax over the text of the token's window, within reach."""
        places = places_of(self.text.lengths)
        seen = [[w == v and near(p, q, reach) for v, q in places] for w, p in places]
        return softmax(*self.text_states, torch.tensor(seen))

    def dense_markers(self, reach: int | None) -> Tensor:
        """The definition: a softmax over the text of the marker's window, within reach, and over its block."""
        layout, text = self.markers, places_of(self.text.lengths)
        windows = [window for window, count in enumerate(layout.counts) for _ in range(count)]
        seen = []
        for number, (window, place) in enumerate(zip(windows, layout.positions.tolist(), strict=True)):
            row = [window == other and near(place, q, reach) for other, q in text]
            for other, other_window in enumerate(windows):
                same_block = layout.block > 0 and number // layout.block == other // layout.block
                kind = number % layout.block if layout.block else None
                is_joined = bool(layout.joined) and kind == other % layout.block and layout.joined[kind]
                if layout.groups is not None:
                    first = sum(layout.counts[:window])
                    is_joined = (number - first) // 4 == (other - first) // 4
                row.append(window == other_window and (same_block or is_joined))
            seen.append(row)
        query, key, value = self.marker_states
        keys, values = (torch.cat(pair, dim=2) for pair in ((self.text_states[1], key), (self.text_states[2], value)))
        return softmax(query, keys, values, torch.tensor(seen))


def places_of(lengths: tuple[int, ...]) -> list[tuple[int, int]]:
    """Window and position of each token."""
    return [(window, place) for window, length in enumerate(lengths) for place in range(length)]


def near(first: int, second: int, reach: int | None) -> bool:
    return reach is None or abs(first - second) < reach


def softmax(query: Tensor, key: Tensor, value: Tensor, seen: Tensor) -> Tensor:
    scores = (query @ key.transpose(-1, -2) * SCALING).masked_fill(~seen, float("-inf"))
    return torch.softmax(scores, dim=-1) @ value


LENGTHS, BLOCKS = [5, 1, 7, 3], [2, 0, 3, 1]


@pytest.mark.parametrize("form", FORMS, ids=lambda form: type(form).__name__)
@pytest.mark.parametrize("reach", [None, 1, 3])
@pytest.mark.parametrize(("block", "joined"), JOINED.values(), ids=JOINED)
def test_a_form_equals_the_dense_softmax(form, reach, block, joined):
    case = Case.make(LENGTHS, BLOCKS, block, joined)
    torch.testing.assert_close(case.of_text(form, reach), case.dense_text(reach), **TOLERANCE)
    torch.testing.assert_close(case.of_markers(form, reach), case.dense_markers(reach), **TOLERANCE)


@pytest.mark.parametrize("form", FORMS[:2], ids=lambda form: type(form).__name__)
@pytest.mark.parametrize("reach", [None, 3])
@pytest.mark.parametrize(("block", "joined"), JOINED.values(), ids=JOINED)
def test_the_gradients_of_a_form_equal_those_of_the_dense_softmax(form, reach, block, joined):
    case = Case.make(LENGTHS, BLOCKS, block, joined)
    leaves = (*case.text_states, *case.marker_states)
    for leaf in leaves:
        leaf.requires_grad_()
    weights = [torch.randn(states.shape) for states in (case.text_states[0], case.marker_states[0])]
    gradients = []
    for text, markers in (
        (case.of_text(form, reach), case.of_markers(form, reach)),
        (case.dense_text(reach), case.dense_markers(reach)),
    ):
        torch.testing.assert_close(markers, case.dense_markers(reach), **TOLERANCE)
        total = (text * weights[0]).sum() + (markers * weights[1]).sum()
        gradients.append(torch.autograd.grad(total, leaves, allow_unused=True, materialize_grads=True))
    for found, expected in zip(*gradients, strict=True):
        torch.testing.assert_close(found, expected, rtol=0, atol=5e-5)


@settings(max_examples=40)
@given(
    windows=st.lists(st.tuples(st.integers(1, 9), st.integers(0, 3)), min_size=1, max_size=4),
    variant=st.sampled_from(sorted(JOINED)),
    reach=st.none() | st.integers(1, 10),
    seed=st.integers(0, 5),
)
def test_the_forms_agree_on_any_layout(windows, variant, reach, seed):
    lengths, blocks = [length for length, _ in windows], [number for _, number in windows]
    case = Case.make(lengths, blocks, *JOINED[variant], seed)
    for form in FORMS:
        torch.testing.assert_close(case.of_text(form, reach), case.dense_text(reach), **TOLERANCE)
        if sum(blocks):
            torch.testing.assert_close(case.of_markers(form, reach), case.dense_markers(reach), **TOLERANCE)


@pytest.mark.parametrize("form", FORMS[:2], ids=lambda form: type(form).__name__)
def test_scores_that_are_far_apart_stay_finite(form):
    case = Case.make(LENGTHS, BLOCKS, 2, ())
    case.text_states[0].mul_(200)
    case.marker_states[0].mul_(200)
    found = case.of_markers(form, None)
    assert found.isfinite().all()
    torch.testing.assert_close(found, case.dense_markers(None), rtol=0, atol=1e-3)


@pytest.mark.parametrize(("block", "joined"), JOINED.values(), ids=JOINED)
def test_half_precision_is_near_the_dense_softmax(block, joined):
    case = Case.make(LENGTHS, BLOCKS, block, joined)
    expected = case.dense_markers(3)
    half = Case(
        case.text,
        case.markers,
        tuple(states.bfloat16() for states in case.text_states),
        tuple(states.bfloat16() for states in case.marker_states),
    )
    found = half.of_markers(WindowByWindow(), 3)
    assert found.dtype == torch.bfloat16
    torch.testing.assert_close(found.float(), expected, rtol=0, atol=0.1)


@pytest.mark.parametrize("form", FORMS[:2], ids=lambda form: type(form).__name__)
def test_dropout_of_a_form_has_the_expected_mean_and_one_mask_for_one_seed(form):
    case = Case.make([6, 4], [2, 1], 2, ())
    torch.manual_seed(0)
    first = case.of_text(form, None, 0.3), case.of_markers(form, None, 0.3)
    torch.manual_seed(0)
    again = case.of_text(form, None, 0.3), case.of_markers(form, None, 0.3)
    assert torch.equal(first[0], again[0])
    assert torch.equal(first[1], again[1])
    draws = 1500
    text = sum(case.of_text(form, None, 0.3) for _ in range(draws)) / draws
    markers = sum(case.of_markers(form, None, 0.3) for _ in range(draws)) / draws
    torch.testing.assert_close(text, case.dense_text(None), rtol=0, atol=0.25)
    torch.testing.assert_close(markers, case.dense_markers(None), rtol=0, atol=0.25)


@pytest.mark.parametrize(
    ("device", "dropout", "form"),
    [
        ("cpu", 0.0, WindowByWindow),
        ("cpu", 0.1, WindowByWindow),
        ("cuda", 0.0, Flex),
        ("cuda", 0.1, Padded),
        ("mps", 0.0, Padded),
    ],
)
def test_the_form_depends_on_device_and_dropout(device, dropout, form):
    assert type(choose_form(torch.device(device), dropout)) is form


def test_a_row_fills_a_padded_batch_and_comes_back():
    padding = Padding.of_lengths([2, 0, 3], CPU)
    assert padding.places.tolist() == [[0, 1, -1], [-1, -1, -1], [2, 3, 4]]
    states = torch.randn(1, N_HEADS, 5, HEAD_SIZE)
    padded = padding.pad(states)
    assert padded.shape == (3, N_HEADS, 3, HEAD_SIZE)
    assert torch.equal(padded[2, :, 1], states[0, :, 3])
    assert torch.equal(padding.unpad(padded), states)


def test_a_layout_knows_windows_and_positions():
    text = TextLayout([2, 1, 3], CPU)
    assert text.starts == (0, 2, 3, 6)
    assert text.window_ids.tolist() == [0, 0, 1, 2, 2, 2]
    assert text.positions.tolist() == [0, 1, 0, 0, 1, 2]
    assert text.part(1, 3).lengths == (1, 3)
    assert TextLayout([], CPU).positions.tolist() == []
    markers = MarkerLayout(text, (2, 0, 4), torch.zeros(6, dtype=torch.long), 2)
    assert markers.window_ids.tolist() == [0, 0, 2, 2, 2, 2]


@pytest.mark.parametrize(
    ("block", "joined", "expected"),
    [
        (0, (), ["0000"] * 4),
        (2, (), ["1100", "1100", "0011", "0011"]),
        (2, (True, False), ["1110", "1100", "1011", "0011"]),
        (2, (False, True), ["1100", "1101", "0011", "0111"]),
        (4, (), ["1111"] * 4),
    ],
)
def test_who_sees_whom_among_the_markers(block, joined, expected):
    layout = MarkerLayout(TextLayout([3], CPU), (4,), torch.zeros(4, dtype=torch.long), block, joined)
    numbers = torch.arange(4)
    seen = layout.visible(numbers[:, None], numbers[None])
    assert ["".join("01"[int(cell)] for cell in row) for row in seen] == expected
    mask = layout.block_mask(slice(0, 4))
    assert (mask is None) is not any(joined)
    assert mask is None or torch.equal(mask, seen)


class Recorder(nn.Module):
    """An encoder that keeps what it is called with. Its states are the position ids."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(self, **batch: Tensor) -> SimpleNamespace:
        self.batch = batch
        return SimpleNamespace(last_hidden_state=batch["position_ids"][..., None].float())


@pytest.mark.parametrize("additive", [False, True])
def test_the_dense_mask_says_who_sees_whom(additive):
    encoder = Recorder()
    layout = MarkerLayout(TextLayout([2, 1], CPU), (4, 0), torch.tensor([0, 1, 1, 1]), 2)
    text, markers = run_dense(encoder, torch.tensor([7, 8, 9]), [2, 1], layout, torch.tensor([3, 4, 3, 4]), 2, additive)
    assert encoder.batch["input_ids"][0].tolist() == [7, 8, 3, 4, 3, 4]
    assert encoder.batch["input_ids"][1, 0] == 9
    assert text.flatten().tolist() == [2, 3, 2]
    assert markers.flatten().tolist() == [2, 3, 3, 3]
    mask = encoder.batch["attention_mask"][:, 0]
    seen = mask == 0 if additive else mask
    first, second = seen.int().tolist()
    assert first == [
        [1, 1, 0, 0, 0, 0],
        [1, 1, 0, 0, 0, 0],
        [1, 1, 1, 1, 0, 0],
        [1, 1, 1, 1, 0, 0],
        [1, 1, 0, 0, 1, 1],
        [1, 1, 0, 0, 1, 1],
    ]
    # A padded place sees itself alone, and nobody sees it.
    assert second == torch.eye(6, dtype=torch.int).tolist()


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_dropout_of_attention_weights_is_dropout(p):
    torch.manual_seed(3)
    weights = torch.ones(3, 7, 101, 103, requires_grad=True)
    masked, scale = _dropout(weights, p)
    dropped = masked * scale
    kept = dropped.detach() > 0
    assert float(kept.float().mean()) == pytest.approx(1 - p, abs=5e-3)
    # Along every axis alike.
    for axis in range(4):
        share = kept.float().mean(dim=[other for other in range(4) if other != axis])
        assert float((share - (1 - p)).abs().max()) < 0.05
    torch.testing.assert_close(dropped[kept], torch.full_like(dropped[kept], 1 / (1 - p)), rtol=1e-3, atol=0)
    dropped.sum().backward()
    torch.testing.assert_close(weights.grad, dropped.detach())
    torch.manual_seed(3)
    assert torch.equal(_dropout(weights, p)[0], masked)
    assert not torch.equal(_dropout(weights, p)[0], masked)
    assert torch.equal(_dropout(weights, 0.0)[0], weights)


def test_dropout_of_all_weights_gives_zeros():
    masked, scale = _dropout(torch.ones(2, 3, requires_grad=True), 1.0)
    (masked * scale).sum().backward()
    assert (masked * scale).tolist() == [[0.0] * 3] * 2
