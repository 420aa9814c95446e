"""Levitated attention is the dense masked attention, without the dense mask."""

from typing import Any

import pytest
import torch
from transformers import AutoConfig, AutoModel

from plmarker.modeling.attention_plmarker import PackedLayout, _dropout
from plmarker.modeling.configuration_plmarker import PLMarkerEntityConfig
from plmarker.modeling.modeling_plmarker import PLMarkerForEntityRecognition

SIZES = {
    "vocab_size": 60,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "max_position_embeddings": 80,
    "pad_token_id": 0,
}
FAMILIES = {
    "bert": {},
    "roberta": {"pad_token_id": 1},
    "xlm-roberta": {"pad_token_id": 1},
    "albert": {"embedding_size": 16},
    "electra": {"embedding_size": 16},
    # One layer sees all of the window, the other four subwords to either side.
    "modernbert": {"local_attention": 8, "global_attn_every_n_layers": 2},
}
# Floating-point sums in another order.
TOLERANCE = {"rtol": 0, "atol": 1e-4}

WINDOWS = [
    # Two sentences that share a window, one window with a single span, one with none at all.
    {"doc_key": "a", "input_ids": list(range(5, 35)), "spans": [(1, 1), (1, 4), (3, 28), (20, 22)]},
    {"doc_key": "b", "input_ids": list(range(10, 19)), "spans": [(7, 7)]},
    {"doc_key": "a", "input_ids": list(range(5, 35)), "spans": [(28, 28), (1, 4)]},
    {"doc_key": "c", "input_ids": list(range(20, 45)), "spans": []},
]


def features(windows: list[dict[str, Any]] = WINDOWS) -> list[dict[str, Any]]:
    return [
        {
            "doc_key": window["doc_key"],
            "input_ids": window["input_ids"],
            "span_starts": [start for start, _ in window["spans"]],
            "span_ends": [end for _, end in window["spans"]],
            "labels": [0] * len(window["spans"]),
        }
        for window in windows
    ]


def tiny_model(family: str) -> PLMarkerForEntityRecognition:
    torch.manual_seed(0)
    encoder = AutoConfig.for_model(family, **{**SIZES, **FAMILIES[family]})
    for name in ("hidden_dropout_prob", "attention_probs_dropout_prob", "attention_dropout", "mlp_dropout"):
        if hasattr(encoder, name):
            setattr(encoder, name, 0.0)
    model = PLMarkerForEntityRecognition(
        PLMarkerEntityConfig(encoder_config=encoder, entity_labels=["A"], marker_token_ids=[3, 4], head_dropout=0.0)
    )
    # Weights as large as this make attention choose: with the usual initialisation it would be a mean of everything.
    for parameter in model.parameters():
        if parameter.dim() > 1:
            torch.nn.init.normal_(parameter, std=0.3)
    return model.eval()


def encode(model: PLMarkerForEntityRecognition, row: dict[str, torch.Tensor]) -> torch.Tensor:
    return model.encode(row["input_ids"], row["position_ids"], row["window_lengths"])


def gradients(model: PLMarkerForEntityRecognition, row: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Gradients of a sum of the states with fixed random weights."""
    model.zero_grad()
    states = encode(model, row)
    weights = torch.randn(states.shape, generator=torch.Generator().manual_seed(1))
    (states * weights).sum().backward()
    return {name: p.grad.clone() for name, p in model.encoder.named_parameters() if p.grad is not None}


@pytest.fixture(params=FAMILIES)
def model(request: pytest.FixtureRequest) -> PLMarkerForEntityRecognition:
    return tiny_model(request.param)


@pytest.mark.parametrize("dense", ["eager", "sdpa"])
def test_states_and_gradients_equal_those_under_the_dense_mask(model, dense):
    row = model.pack(features())
    states, grads = encode(model, row).detach(), gradients(model, row)
    model.set_attn_implementation(dense)
    assert model.encoder.config._attn_implementation == dense
    torch.testing.assert_close(encode(model, row).detach(), states, **TOLERANCE)
    dense_grads = gradients(model, row)
    assert grads.keys() == dense_grads.keys()
    assert len(grads) > 10
    for name, grad in grads.items():
        scale = max(1.0, float(grad.abs().max()))
        torch.testing.assert_close(dense_grads[name] / scale, grad / scale, **TOLERANCE, msg=f"gradient of {name}")


def test_fused_inference_equals_the_differentiable_path(model):
    row = model.pack(features())
    plain = encode(model, row)
    assert plain.requires_grad
    with torch.no_grad():
        fused = encode(model, row)
    torch.testing.assert_close(fused, plain.detach(), **TOLERANCE)


def test_fused_inference_takes_a_window_whose_keys_are_far_apart_in_score(model):
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "query" in name or "Wqkv" in name:
                parameter.mul_(40)
    row = model.pack(features())
    plain = encode(model, row).detach()
    with torch.no_grad():
        fused = encode(model, row)
    assert fused.isfinite().all()
    torch.testing.assert_close(fused, plain, rtol=0, atol=1e-3)


@torch.no_grad()
def test_text_states_are_those_of_the_encoder_alone(model):
    row = model.pack(features())
    states = encode(model, row)
    model.set_attn_implementation("sdpa")
    for start, length, window in ((0, 30, WINDOWS[0]), (42, 9, WINDOWS[1]), (53, 25, WINDOWS[3])):
        alone = model.encoder(input_ids=torch.tensor([window["input_ids"]])).last_hidden_state[0]
        torch.testing.assert_close(states[start : start + length], alone, **TOLERANCE)


@torch.no_grad()
def test_a_marker_pair_changes_neither_the_text_nor_another_pair(model):
    row = model.pack(features())
    before = encode(model, row)
    # The second pair of the first window, put elsewhere and given other tokens.
    pair = slice(32, 34)
    row["input_ids"][0, pair] = torch.tensor([50, 51])
    row["position_ids"][0, pair] = torch.tensor([12, 17])
    change = (encode(model, row) - before).abs().amax(dim=1)
    assert (change[pair] > 1e-3).all()
    others = torch.cat([change[: pair.start], change[pair.stop :]])
    assert others.max() < 1e-5


@torch.no_grad()
def test_a_marker_sees_its_partner_the_text_and_its_own_position(model):
    row = model.pack(features())
    before = encode(model, row)
    # Token 30 opens the span (1, 1), token 31 closes it. Position 0 is within every local layer's sight.
    for place, key, value, seen_by in (
        (31, "input_ids", 50, 30),
        (0, "input_ids", 50, 30),
        (30, "position_ids", 3, 30),
    ):
        changed = {name: tensor.clone() for name, tensor in row.items()}
        changed[key][0, place] = value
        assert (encode(model, changed) - before)[seen_by].abs().max() > 1e-3, (place, key)


@torch.no_grad()
def test_windows_do_not_see_each_other(model):
    together = encode(model, model.pack(features()))
    alone = encode(model, model.pack(features([WINDOWS[1]])))
    torch.testing.assert_close(together[42:53], alone, **TOLERANCE)


@torch.no_grad()
def test_sharing_a_window_changes_no_state(model):
    shared = model.pack(features([WINDOWS[0], WINDOWS[2]]))
    apart = model.pack(features([WINDOWS[0], {**WINDOWS[2], "doc_key": "another document"}]))
    assert len(shared["window_lengths"]) == 1
    assert len(apart["window_lengths"]) == 2
    states = [encode(model, row)[row["span_index"]] for row in (shared, apart)]
    torch.testing.assert_close(*states, **TOLERANCE)


@torch.no_grad()
def test_local_layers_hide_text_that_is_far_from_a_marker():
    model = tiny_model("modernbert")
    model.config.encoder_config.layer_types = ["sliding_attention"] * 2
    local = PLMarkerForEntityRecognition(model.config).eval()
    row = local.pack(features([WINDOWS[0]]))
    before = encode(local, row)
    # Two layers that see 4 subwords each way: 8 from position 1 on.
    for place, seen in ((29, False), (4, True)):
        changed = {name: tensor.clone() for name, tensor in row.items()}
        changed["input_ids"][0, place] = 50
        assert bool((encode(local, changed) - before)[30].abs().max() > 1e-6) is seen


# transformers cannot checkpoint ALBERT, whose layers are one.
@pytest.mark.parametrize("model", [family for family in FAMILIES if family != "albert"], indirect=True)
def test_gradient_checkpointing_gives_the_same_gradients(model):
    row = model.pack(features())
    model.train()
    grads = gradients(model, row)
    # transformers 5.23 has a new name for it.
    name = "activation" if hasattr(model, "activation_checkpointing_enable") else "gradient"
    getattr(model, f"{name}_checkpointing_enable")()
    assert getattr(model, f"is_{name}_checkpointing")
    checkpointed = gradients(model, row)
    assert grads.keys() == checkpointed.keys()
    for name, grad in grads.items():
        torch.testing.assert_close(checkpointed[name], grad, rtol=1e-4, atol=1e-4, msg=f"gradient of {name}")


@torch.no_grad()
def test_dropout_reaches_the_attention_of_text_and_of_markers():
    config = AutoConfig.for_model("bert", **SIZES, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.5)
    model = PLMarkerForEntityRecognition(
        PLMarkerEntityConfig(encoder_config=config, entity_labels=["A"], marker_token_ids=[3, 4])
    )
    row = model.pack(features())
    model.train()
    torch.manual_seed(0)
    change = (encode(model, row) - encode(model, row)).abs().amax(dim=1)
    assert (change > 0).all()


@torch.no_grad()
@pytest.mark.parametrize("family", FAMILIES)
def test_the_encoder_without_a_layout_still_heeds_a_padding_mask(family):
    config = AutoConfig.for_model(family, **{**SIZES, **FAMILIES[family]})
    torch.manual_seed(0)
    encoder = AutoModel.from_config(config, attn_implementation="levitated").eval()
    ids = torch.tensor([list(range(5, 25)), [*range(30, 42), *[config.pad_token_id] * 8]])
    mask = (torch.arange(20) < torch.tensor([[20], [12]])).long()
    states = encoder(input_ids=ids, attention_mask=mask).last_hidden_state
    alone = encoder(input_ids=ids[1:, :12]).last_hidden_state
    torch.testing.assert_close(states[1, :12], alone[0], **TOLERANCE)
    encoder.set_attn_implementation("sdpa")
    torch.testing.assert_close(encoder(input_ids=ids, attention_mask=mask).last_hidden_state[0], states[0], **TOLERANCE)


@pytest.mark.parametrize(
    ("lengths", "tokens", "message"),
    [
        ([[4, 2], [3, 0]], 10, "7 text and 2 marker tokens, the row has 10"),
        ([[4, 3]], 7, "marker tokens come in pairs"),
    ],
)
def test_a_layout_that_does_not_fit_its_row_is_an_error(lengths, tokens, message):
    with pytest.raises(ValueError, match=message):
        PackedLayout.from_lengths(torch.tensor(lengths), torch.zeros(1, tokens, dtype=torch.long))


def test_the_dense_mask_says_who_sees_whom():
    layout = PackedLayout.from_lengths(torch.tensor([[2, 4], [1, 0]]), torch.tensor([[0, 1, 0, 0, 1, 1, 0]]))
    first, second = layout.dense_mask()[:, 0].int().tolist()
    assert first == [
        [1, 1, 0, 0, 0, 0],
        [1, 1, 0, 0, 0, 0],
        [1, 1, 1, 1, 0, 0],
        [1, 1, 1, 1, 0, 0],
        [1, 1, 0, 0, 1, 1],
        [1, 1, 0, 0, 1, 1],
    ]
    # A padded place sees itself only, and nobody sees it.
    assert [row[0] for row in second] == [1, 0, 0, 0, 0, 0]
    assert [row[1:] for row in second[1:]] == torch.eye(5, dtype=torch.int).tolist()


JOINED = {"pairs": (2, ()), "starts": (2, (True, False)), "both": (2, (True, True)), "quadruples": (4, ())}


@pytest.mark.parametrize("dense", ["eager", "sdpa"])
@pytest.mark.parametrize(("block", "joined"), JOINED.values(), ids=JOINED)
def test_markers_of_the_variants_see_what_the_dense_mask_lets_them(block, joined, dense):
    model = tiny_model("bert")
    model.marker_block, model.joined_markers = block, joined
    # An even number of pairs in every window, so that they make quadruples too.
    row = model.pack(features([{**window, "spans": 2 * window["spans"]} for window in WINDOWS]))
    states, grads = encode(model, row).detach(), gradients(model, row)
    with torch.no_grad():
        torch.testing.assert_close(encode(model, row), states, **TOLERANCE)
    model.set_attn_implementation(dense)
    torch.testing.assert_close(encode(model, row).detach(), states, **TOLERANCE)
    dense_grads = gradients(model, row)
    for name, grad in grads.items():
        scale = max(1.0, float(grad.abs().max()))
        torch.testing.assert_close(dense_grads[name] / scale, grad / scale, **TOLERANCE, msg=f"gradient of {name}")


@pytest.mark.parametrize(
    ("block", "joined", "expected"),
    [
        (2, (), ["1100", "1100", "0011", "0011"]),
        (2, (True, False), ["1110", "1100", "1011", "0011"]),
        (2, (False, True), ["1100", "1101", "0011", "0111"]),
        (4, (), ["1111"] * 4),
    ],
)
def test_who_sees_whom_among_the_markers(block, joined, expected):
    layout = PackedLayout.from_lengths(torch.tensor([[3, 4]]), torch.arange(7), block, joined)
    assert ["".join("01"[int(seen)] for seen in row) for row in layout.marker_mask(4)] == expected
    assert layout.is_text.tolist() == [True] * 3 + [False] * 4


def test_markers_that_do_not_fill_a_block_are_an_error():
    with pytest.raises(ValueError, match="blocks of 4"):
        PackedLayout.from_lengths(torch.tensor([[3, 6]]), torch.arange(9), 4)


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_dropout_of_attention_weights_is_dropout(p):
    torch.manual_seed(3)
    weights = torch.ones(3, 7, 101, 103, requires_grad=True)
    dropped = _dropout(weights, p)
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
    again = _dropout(weights, p)
    assert torch.equal(again, dropped)
    assert not torch.equal(_dropout(weights, p), dropped)
    assert torch.equal(_dropout(weights, 0.0), weights)
