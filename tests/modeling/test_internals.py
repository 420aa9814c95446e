"""The private interfaces of torch and transformers are there and do what the models need.

A test that fails here says which function of internals_plmarker.py needs another way.
"""

import pytest
import torch
from transformers import AutoConfig, AutoModel, BertModel

from plmarker.modeling.internals_plmarker import (
    attention_implementation,
    attention_with_lse,
    call_layer,
    encoder_layers,
    file_beside,
    model_class_of,
    uses_attention_interface,
)

SIZES = {
    "vocab_size": 20,
    "hidden_size": 16,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "intermediate_size": 16,
    "pad_token_id": 0,
}


def encoder(family: str) -> torch.nn.Module:
    torch.manual_seed(0)
    return AutoModel.from_config(AutoConfig.for_model(family, **SIZES)).eval()


@pytest.mark.parametrize("biased", [False, True])
def test_the_fused_kernel_returns_values_and_the_log_sum_exp(biased):
    query, key, value = torch.randn(3, 1, 2, 5, 8).unbind(0)
    bias = torch.randn(5, 5) if biased else None
    scores = query @ key.transpose(-1, -2) * 0.3 + (0 if bias is None else bias)
    output, lse = attention_with_lse(query, key, value, bias, 0.3)
    torch.testing.assert_close(output, scores.softmax(-1) @ value)
    torch.testing.assert_close(lse, scores.logsumexp(-1))


def test_the_attention_implementation_can_be_read():
    model = encoder("bert")
    for name in ("eager", "sdpa"):
        model.set_attn_implementation(name)
        assert attention_implementation(model) == name


def test_encoders_say_whether_they_take_a_registered_attention():
    assert uses_attention_interface(encoder("bert"))


def test_the_class_of_a_config_is_known_without_building_it():
    assert model_class_of(AutoConfig.for_model("bert")) is BertModel


@pytest.mark.parametrize("family", ["bert", "roberta", "electra", "modernbert"])
def test_layers_are_found_in_their_order(family):
    model = encoder(family)
    layers, called = encoder_layers(model), []
    assert len(layers) == 3
    for number, layer in enumerate(layers):
        layer.register_forward_pre_hook(lambda module, args, number=number: called.append(number))
    model(torch.tensor([[1, 2, 3]]))
    assert called == [0, 1, 2]


def test_shared_layers_are_not_taken_for_single_ones():
    assert encoder_layers(encoder("albert")) is None
    assert encoder_layers(torch.nn.Linear(1, 1)) is None


@pytest.mark.parametrize("family", ["bert", "modernbert"])
def test_a_layer_is_called_again_with_the_arguments_of_its_encoder(family):
    model = encoder(family)
    layer, seen = encoder_layers(model)[-1], []
    layer.register_forward_pre_hook(lambda module, args, kwargs: seen.append((args[0], kwargs)), with_kwargs=True)
    output = []
    layer.register_forward_hook(lambda module, args, result: output.append(result))
    model(torch.tensor([[1, 2, 3, 4]]))
    hidden, kwargs = seen[0]
    found = call_layer(layer, hidden, torch.arange(4), {**kwargs, "attention_mask": None})
    expected = output[0][0] if isinstance(output[0], tuple) else output[0]
    torch.testing.assert_close(found, expected)


def test_a_file_that_a_checkpoint_does_not_have_is_none(tmp_path):
    (tmp_path / "here.json").write_text("{}")
    assert file_beside(str(tmp_path), "here.json") == str(tmp_path / "here.json")
    assert file_beside(str(tmp_path), "missing.json") is None
    assert file_beside("nobody/nothing", "here.json", local_files_only=True) is None
