"""Text first: markers read against kept text equal text and markers under a dense mask, in states and gradients."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_models import (
    FAMILIES,
    TEXTS,
    TOLERANCE,
    assert_equal_gradients,
    gradients,
    pair_batch,
    span_batch,
    tiny_model,
)

from plmarker.modeling.internals_plmarker import encoder_layers
from plmarker.modeling.states_plmarker import run_text

CASES = [
    ("entity", {}, span_batch),
    ("entity", {"method": "t-concat"}, span_batch),
    ("relation", {}, pair_batch),
    ("relation", {"att_left": True}, pair_batch),
    ("relation", {"subject_markers": "levitated"}, pair_batch),
]


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(("task", "values", "make"), CASES, ids=["markers", "t-concat", "solid", "joined", "levitated"])
def test_logits_and_gradients_equal_those_under_a_dense_mask(family, task, values, make):
    model = tiny_model(family, task, **values)
    batch = make(model)
    with torch.no_grad():
        logits = model(**batch).logits
    expected = gradients(model, batch)
    for chunk in (2, 6, 1000):
        model.marker_tokens = chunk
        with torch.no_grad():
            torch.testing.assert_close(model(**batch).logits, logits, **TOLERANCE)
        torch.testing.assert_close(model(**batch).logits, logits, **TOLERANCE)
        assert_equal_gradients(gradients(model, batch), expected)
    for dense in ("eager", "sdpa"):
        model.set_attn_implementation(dense)
        torch.testing.assert_close(model(**batch).logits, logits, **TOLERANCE)
        assert_equal_gradients(gradients(model, batch), expected)


@pytest.mark.filterwarnings("ignore:.*gradient_checkpointing")
@pytest.mark.parametrize("dropout", [0.0, 0.2])
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(("task", "make"), [("entity", span_batch), ("relation", pair_batch)])
def test_recomputed_chunks_give_the_same_gradients(family, task, make, dropout):
    model = tiny_model(family, task, dropout).train()
    # One chunk and one group of windows: without recomputation the same random numbers are drawn in the same order.
    model.marker_tokens = 1000
    batch = make(model)
    if dropout:
        # The last layer is always computed for all text where it is recomputed.
        batch["read_tokens"], batch["read_index"] = _all_tokens(batch)
    expected = gradients(model, batch)
    model.gradient_checkpointing_enable()
    assert model.is_gradient_checkpointing
    assert_equal_gradients(gradients(model, batch), expected)
    if not dropout:
        for chunk in (2, 12):
            model.marker_tokens = chunk
            assert_equal_gradients(gradients(model, batch), expected)
    model.gradient_checkpointing_disable()
    assert not model.is_gradient_checkpointing
    assert_equal_gradients(gradients(model, batch), expected) if not dropout else None


def _all_tokens(batch: dict[str, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    """Read every token, so that the last layer is computed for all of them; the heads still read the same ones."""
    tokens = torch.arange(len(batch["input_ids"]))
    batch["window_sizes"] = batch["window_sizes"].clone()
    batch["window_sizes"][:, 2] = batch["window_sizes"][:, 0]
    return tokens, batch["read_tokens"][batch["read_index"]]


@pytest.mark.parametrize("family", FAMILIES)
def test_the_last_layer_runs_for_the_read_tokens_alone_with_the_same_states(family):
    model = tiny_model(family)
    ids, lengths = torch.tensor(TEXTS[0] + TEXTS[1]), [len(TEXTS[0]), len(TEXTS[1])]
    index = torch.tensor([0, 7, 29, 33])
    with torch.no_grad():
        whole = model.encode_text(ids, lengths)
        short = model.encode_text(ids, lengths, skip_last_layer=True)
        skips = encoder_layers(model.encoder) is not None
        assert (short.hidden is None) == skips == (family != "albert")
        for one, other in zip(short.keys + short.values, whole.keys + whole.values, strict=True):
            torch.testing.assert_close(one, other, **TOLERANCE)
        torch.testing.assert_close(model._read(short, index, [3, 1]), whole.hidden[index], **TOLERANCE)


@torch.no_grad()
@pytest.mark.parametrize("family", FAMILIES)
def test_text_states_are_those_of_the_encoder_alone(family):
    model = tiny_model(family)
    states = model.encode_text(torch.tensor([n for text in TEXTS for n in text]), [len(text) for text in TEXTS])
    model.set_attn_implementation("sdpa")
    for number, text in enumerate(TEXTS):
        alone = model.encoder(input_ids=torch.tensor([text])).last_hidden_state[0]
        start, stop = states.layout.starts[number : number + 2]
        torch.testing.assert_close(states.hidden[start:stop], alone, **TOLERANCE)


@torch.no_grad()
@given(
    spans=st.lists(
        st.lists(st.tuples(st.integers(0, 8), st.integers(0, 8)), max_size=5), min_size=3, max_size=3
    ).filter(any),
    chunk=st.integers(2, 12),
)
@settings(max_examples=25)
def test_chunks_and_neighbours_change_no_marker(spans, chunk):
    model = MODEL
    ids, lengths = torch.tensor([n for text in TEXTS for n in text]), [len(text) for text in TEXTS]
    text = model.encode_text(ids, lengths)
    flat = [span for members in spans for span in members]
    marker_ids = torch.tensor([[3, 4]] * len(flat))
    model.marker_tokens = chunk
    together = model.encode_markers(text, [len(members) for members in spans], marker_ids, torch.tensor(flat))
    place = 0
    for window, members in enumerate(spans):
        for span in members:
            counts = [int(number == window) for number in range(3)]
            alone = model.encode_markers(text, counts, torch.tensor([[3, 4]]), torch.tensor([span]))
            torch.testing.assert_close(together[place], alone[0], **TOLERANCE)
            place += 1


MODEL = tiny_model("bert")


def test_a_batch_without_markers_or_read_tokens_has_no_logits():
    model = tiny_model("bert")
    batch = {
        "input_ids": torch.tensor(TEXTS[0]),
        "window_sizes": torch.tensor([[30, 0, 0]]),
        "read_tokens": torch.zeros(0, dtype=torch.long),
        "read_index": torch.zeros(0, 2, dtype=torch.long),
        "marker_ids": torch.zeros(0, 2, dtype=torch.long),
        "marker_positions": torch.zeros(0, 2, dtype=torch.long),
    }
    assert model(**batch).logits.shape == (0, 2)


def test_the_pass_of_another_thread_does_not_disturb_the_hook():
    """Two passes over one encoder at once keep their own inputs of the last layer."""
    model = tiny_model("bert")
    embed = model.encoder.get_input_embeddings()
    with torch.no_grad():
        first = run_text(model.encoder, embed(torch.tensor(TEXTS[0])), [30], 0, True)
        second = run_text(model.encoder, embed(torch.tensor(TEXTS[1])), [9], 0, True)
    assert [len(states) for states in first.inputs.values()] == [30]
    assert [len(states) for states in second.inputs.values()] == [9]
