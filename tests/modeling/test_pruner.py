"""The pruner, and markers that enter late."""

from __future__ import annotations

import pytest
import torch
from tiny_models import FAMILIES, SPANS, TEXTS, TOLERANCE, assert_equal_gradients, gradients, span_batch, tiny_model

from plmarker import PLMarkerEntityConfig, PLMarkerError
from plmarker.modeling.pruner_plmarker import (
    FIRST_LOGIT,
    PRUNED,
    TRAINING_THRESHOLD,
    SpanPruner,
    pruner_loss,
    survivors,
)
from plmarker.modeling.states_plmarker import LateEntry

# ALBERT shares its layers; this ELECTRA has word embeddings of another size.
LATE = [family for family in FAMILIES if family not in ("albert", "electra")]


def test_the_pruner_scores_a_span_by_its_ends_and_its_width():
    torch.manual_seed(0)
    pruner = SpanPruner(6, 4, max_width=3)
    text = torch.randn(5, 6)
    index = torch.tensor([[0, 2], [2, 2], [0, 4]])
    widths = torch.tensor([3, 1, 9])
    for number, logit in enumerate(pruner(text, index, widths)):
        first, last = text[index[number]]
        # A span that is wider than the widest one shares its weight.
        hidden = pruner.start(first) + pruner.end(last) + pruner.width.weight[min(int(widths[number]), 3) - 1]
        torch.testing.assert_close(logit, pruner.output(torch.nn.functional.gelu(hidden))[0] + FIRST_LOGIT)


def test_a_new_pruner_lets_all_spans_have_markers():
    torch.manual_seed(0)
    pruner = SpanPruner(384, 128, max_width=16)
    for module in (pruner.start, pruner.end, pruner.width, pruner.output):
        # As transformers initialises new layers.
        torch.nn.init.normal_(module.weight, std=0.02)
    logits = pruner(torch.randn(50, 384), torch.randint(50, (1000, 2)), torch.randint(1, 9, (1000,)))
    assert (logits.sigmoid() > TRAINING_THRESHOLD).all()


def test_the_threshold_is_a_probability_and_entities_survive_training():
    logits = torch.tensor([-9.0, -1.0, 0.0, 3.0])
    assert survivors(logits, 0.0).all()
    assert survivors(logits, 0.5).tolist() == [False, False, True, True]
    labels = torch.tensor([2, 0, 0, 0])
    assert survivors(logits, 0.99, labels).all()
    torch.manual_seed(0)
    easy = survivors(torch.full((10000,), -9.0), 0.0, torch.zeros(10000, dtype=torch.long))
    assert 0.02 < easy.float().mean() < 0.04
    assert TRAINING_THRESHOLD < 0.5


def test_the_loss_of_the_pruner_is_the_mean_surprise():
    logits, labels = torch.tensor([0.25, 0.75]).logit(), torch.tensor([0, 3])
    expected = -torch.tensor(0.75).log()
    torch.testing.assert_close(pruner_loss(logits, labels, None), expected)
    torch.testing.assert_close(pruner_loss(logits, labels, 4), expected / 2)


@pytest.mark.parametrize("family", FAMILIES)
def test_survivors_have_the_logits_that_they_have_without_a_pruner(family):
    model = tiny_model(family, pruner_size=4)
    batch = span_batch(model)
    with torch.no_grad():
        exact = model(**batch)
        threshold = float(exact.pruner_logits.sigmoid().median())
        for attention in ("levitated", "sdpa"):
            model.set_attn_implementation(attention)
            pruned = model(**batch, pruner_threshold=threshold)
            kept = pruned.pruner_logits.sigmoid() >= threshold
            assert 0 < kept.sum() < len(kept)
            torch.testing.assert_close(pruned.logits[kept], exact.logits[kept], **TOLERANCE)
            assert (pruned.logits[~kept][:, 0] == 0).all()
            assert (pruned.logits[~kept][:, 1:] == PRUNED).all()
            assert model(**batch, pruner_threshold=0.9999999).logits[:, 0].eq(0).all()


def test_a_pruned_entity_counts_against_recall_and_the_config_has_the_threshold():
    model = tiny_model("bert", pruner_size=4)
    batch = span_batch(model)
    with torch.no_grad():
        exact = model(**batch)
        model.config.pruner_threshold = 0.9999999
        assert model(**batch).logits.softmax(-1)[:, 0].eq(1).all()
        torch.testing.assert_close(model(**batch, pruner_threshold=0.0).logits, exact.logits)


@pytest.mark.parametrize("family", LATE)
@pytest.mark.parametrize("pruner_size", [0, 4])
def test_late_markers_do_not_depend_on_chunks_neighbours_or_recomputation(family, pruner_size):
    model = tiny_model(family, late_layers=1, pruner_size=pruner_size)
    batch = span_batch(model)
    with torch.no_grad():
        logits = model(**batch).logits
        model.marker_tokens = 2
        torch.testing.assert_close(model(**batch).logits, logits, **TOLERANCE)
        alone = model(**span_batch(model, [[], SPANS[1], []])).logits
        torch.testing.assert_close(alone, logits[len(SPANS[0]) :], **TOLERANCE)
    expected = gradients(model, batch)
    model.train()
    model.gradient_checkpointing_enable()
    if not pruner_size:
        assert_equal_gradients(gradients(model, batch), expected)
    with torch.no_grad():
        torch.testing.assert_close(model.eval()(**batch).logits, logits, **TOLERANCE)


def test_a_late_marker_knows_its_partner_and_is_as_long_as_the_text_state():
    torch.manual_seed(0)
    entry = LateEntry(6)
    embedded, states = torch.randn(3, 4, 6) / 9, torch.randn(3, 4, 6)
    found = entry(embedded, states)
    for marker, partner in enumerate([1, 0, 3, 2]):
        own = found[:, marker] - states[:, marker] - entry.partner(states[:, partner])
        torch.testing.assert_close(own.norm(dim=1), states[:, marker].norm(dim=1))
        torch.testing.assert_close(torch.cosine_similarity(own, embedded[:, marker]), torch.ones(3))
    # An embedding of zeros has no direction.
    for dtype in (torch.float32, torch.float16, torch.bfloat16):
        assert torch.isfinite(entry.to(dtype)(torch.zeros(1, 2, 6, dtype=dtype), states[:1, :2].to(dtype))).all()


def test_late_markers_equal_a_dense_pass_through_the_last_layers():
    model = tiny_model("bert", late_layers=1)
    batch = span_batch(model)
    encoder, n_layers = model.encoder, model.encoder.config.num_hidden_layers
    with torch.no_grad():
        found = model(**batch).logits
        expected, first = [], 0
        for text, count in zip(TEXTS, batch["window_sizes"][:, 1].tolist(), strict=False):
            states = encoder(
                torch.tensor([text]), output_hidden_states=True, attention_mask=torch.ones(1, len(text))
            ).hidden_states
            ids, places = (batch[name][first : first + count] for name in ("marker_ids", "marker_positions"))
            first += count
            entry = states[n_layers - 1][0]
            own = encoder.get_input_embeddings()(ids.flatten())
            # An embedding is as long as the state that it joins.
            at_places = entry[places.flatten()]
            own = own * (at_places.norm(dim=1) / own.norm(dim=1))[:, None]
            partners = entry[places.flip(1).flatten()]
            markers = at_places + own + model.late_entry.partner(partners)
            n = len(text)
            mask = torch.zeros(n + len(markers), n + len(markers), dtype=torch.bool)
            mask[:, :n] = True
            for pair in range(count):
                mask[n + 2 * pair : n + 2 * pair + 2, n + 2 * pair : n + 2 * pair + 2] = True
            output = encoder.encoder.layer[-1](torch.cat([entry, markers])[None], attention_mask=mask[None, None])
            output = (output[0] if isinstance(output, tuple) else output)[0]
            expected += model.heads(output[places], output[n:].unflatten(0, (count, 2)))
    torch.testing.assert_close(found, torch.cat(expected), **TOLERANCE)


def test_all_layers_are_the_exact_method():
    exact, late = tiny_model("bert"), tiny_model("bert", late_layers=2)
    assert late.encoder.config.num_hidden_layers == 2
    late.load_state_dict(exact.state_dict())
    batch = span_batch(exact)
    with torch.no_grad():
        torch.testing.assert_close(late(**batch).logits, exact(**batch).logits)


def test_late_markers_need_a_model_that_was_made_with_them():
    exact = tiny_model("bert")
    exact.config.late_layers = 1
    with pytest.raises(PLMarkerError, match="without late markers"):
        exact(**span_batch(exact))


@pytest.mark.parametrize(
    ("family", "values", "message"),
    [
        ("bert", {"late_layers": 9}, "has 2 layers"),
        ("albert", {"late_layers": 1}, "one by one"),
        ("electra", {"late_layers": 1}, "another size"),
    ],
)
def test_encoders_that_markers_cannot_enter_late_are_refused(family, values, message):
    with pytest.raises(PLMarkerError, match=message):
        tiny_model(family, **values)


@pytest.mark.parametrize(
    "values",
    [
        {"pruner_size": -1},
        {"pruner_threshold": 0.1},
        {"pruner_size": 4, "pruner_threshold": 1.0},
        {"late_layers": 0},
        {"method": "bio", "pruner_size": 4},
        {"method": "t-concat", "late_layers": 1},
    ],
)
def test_impossible_options_are_refused(values):
    with pytest.raises(Exception, match=r"pruner|late_layers"):
        PLMarkerEntityConfig(entity_labels=["A"], **values)
