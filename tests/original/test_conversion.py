"""The original's checkpoints become models of this project, or are refused with the name of what is wrong."""

import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, models
from transformers import AutoConfig, AutoModel, AutoTokenizer, PreTrainedTokenizerFast

from plmarker.cli import main
from plmarker.modeling.modeling_plmarker import PLMarkerForEntityRecognition, PLMarkerForRelationExtraction
from plmarker.modeling.schema_plmarker import LabelSchema, PLMarkerError
from plmarker.original.conversion import convert_checkpoint

SIZES = {
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 16,
    "max_position_embeddings": 80,
}
LIMITS = {"entity": {"max_seq_length": 64}, "relation": {"max_seq_length": 64}}
RELATION_HEADS = {"ner_classifier": (3, 32), "re_classifier_m1": (6, 32), "re_classifier_m2": (6, 32)}


def write_checkpoint(folder: Path, heads: dict[str, tuple[int, int]], family: str = "bert", n_words: int = 40) -> Path:
    """A checkpoint as the original's scripts leave it, with random weights."""
    torch.manual_seed(0)
    sizes = {**SIZES, "embedding_size": 8} if family == "albert" else SIZES
    config = AutoConfig.for_model(family, vocab_size=n_words, **sizes)
    encoder = AutoModel.from_config(config)
    state = {f"{family}.{name}": tensor for name, tensor in encoder.state_dict().items()}
    state[f"{family}.embeddings.position_ids"] = torch.arange(80)[None]
    for head, shape in heads.items():
        state |= {f"{head}.weight": torch.randn(shape), f"{head}.bias": torch.randn(shape[0])}
    checkpoint = folder / "checkpoint-7"
    checkpoint.mkdir(parents=True)
    torch.save(state, checkpoint / "pytorch_model.bin")
    values = {**config.to_dict(), "num_labels": 7, "id2label": {"0": "LABEL_0", "1": "LABEL_1"}, "use_full_layer": -1}
    (checkpoint / "config.json").write_text(json.dumps(values))
    words = ["[PAD]", *(f"[unused{n}]" for n in range(20)), "[UNK]", "[CLS]", "[SEP]", "[MASK]", "ada", "works", "at"]
    words += [f"word{number}" for number in range(n_words - len(words))]
    (folder / "vocab.txt").write_text("\n".join(words))
    return folder


def change(folder: Path, edit: Callable[[dict[str, torch.Tensor]], Any]) -> None:
    """Edit the weights of a checkpoint in place."""
    path = folder / "checkpoint-7" / "pytorch_model.bin"
    state = torch.load(path, weights_only=True)
    edit(state)
    torch.save(state, path)


@pytest.mark.parametrize(
    ("heads", "model_class", "values"),
    [
        ({"ner_classifier": (3, 64)}, PLMarkerForEntityRecognition, {"method": "marker"}),
        ({"ner_classifier": (3, 32)}, PLMarkerForEntityRecognition, {"method": "t-concat"}),
        ({"classifier": (5, 16)}, PLMarkerForEntityRecognition, {"method": "bio", "tags": "iob1"}),
        ({"classifier": (3, 16)}, PLMarkerForEntityRecognition, {"method": "bio", "tags": "io"}),
        (RELATION_HEADS, PLMarkerForRelationExtraction, {"bidirectional": True, "entity_head": True}),
        (
            {"ner_classifier": (3, 32), "re_classifier_m1": (4, 32), "re_classifier_m2": (4, 32)},
            PLMarkerForRelationExtraction,
            {"bidirectional": False},
        ),
        (
            {"re_classifier_m1": (7, 32), "re_classifier_m2": (7, 32)},
            PLMarkerForRelationExtraction,
            {"bidirectional": True, "entity_head": False, "symmetric_labels": []},
        ),
        (
            {"ner_classifier": (3, 32), "re_classifier": (4, 64)},
            PLMarkerForRelationExtraction,
            {
                "subject_markers": "levitated",
                "bidirectional": False,
                "max_pair_length": 64,
                "pair_scores": "raw",
                "max_seq_length": 80,
            },
        ),
    ],
)
def test_the_variant_is_told_by_the_heads(tmp_path, schema, heads, model_class, values):
    limits = {"max_seq_length": 80, "max_pair_length": 16}
    defaults = {"entity": limits, "relation": limits}
    model, tokenizer = convert_checkpoint(write_checkpoint(tmp_path / "a", heads), schema, defaults=defaults)
    assert type(model) is model_class
    assert {name: getattr(model.config, name) for name in values} == values
    assert model.config.compat is None
    assert tokenizer.convert_ids_to_tokens(model.config.marker_token_ids) == model.config.marker_tokens
    state = torch.load(tmp_path / "a" / "checkpoint-7" / "pytorch_model.bin", weights_only=True)
    query = "encoder.layer.0.attention.self.query.weight"
    torch.testing.assert_close(model.encoder.state_dict()[query], state[f"bert.{query}"])
    if "re_classifier" in heads:
        states = torch.randn(3, 64)
        subject, entity = states.chunk(2, dim=1)
        torch.testing.assert_close(
            model.subject_classifier(subject) + model.object_classifier(entity),
            torch.nn.functional.linear(states, state["re_classifier.weight"], state["re_classifier.bias"]),
        )


def test_options_of_the_training_are_named_by_the_user(tmp_path, schema):
    folder = write_checkpoint(tmp_path / "a", RELATION_HEADS)
    model, _ = convert_checkpoint(folder, schema, relation_values={"type_markers": True, "max_seq_length": 64})
    assert model.config.max_seq_length == 64
    assert model.config.marker_tokens == [f"[unused{number}]" for number in range(2 + 4 * 3)]
    with pytest.raises(PLMarkerError, match="max_seq_lenght"):
        convert_checkpoint(folder, schema, relation_values={"max_seq_lenght": 64})


def test_a_window_longer_than_the_encoder_s_positions_is_an_error(tmp_path, schema, caplog):
    folder = write_checkpoint(tmp_path / "a", {"ner_classifier": (3, 64)})
    with pytest.raises(PLMarkerError, match="max_seq_length is 512, but encoder 'bert' has positions for 80"):
        convert_checkpoint(folder, schema)
    path = folder / "checkpoint-7" / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "max_seq_length": 48}))
    assert convert_checkpoint(folder, schema, defaults=LIMITS)[0].config.max_seq_length == 64
    assert "trained with max_seq_length=48, converted with the preset's 64" in caplog.text


def test_safetensors_and_half_precision_are_read_too(tmp_path, schema):
    folder = write_checkpoint(tmp_path / "a", {"ner_classifier": (3, 64)})
    path = folder / "checkpoint-7" / "pytorch_model.bin"
    state = {name: tensor.half() for name, tensor in torch.load(path, weights_only=True).items()}
    path.unlink()
    save_file(state, path.with_name("model.safetensors"))
    model, _ = convert_checkpoint(path.parent, schema, defaults=LIMITS)
    assert model.dtype == torch.float32
    torch.testing.assert_close(model.classifier.weight, state["ner_classifier.weight"].float())


def rename(state: dict[str, torch.Tensor]) -> None:
    state["bert.encoder.layer.0.attention.self.frage.weight"] = state.pop(
        "bert.encoder.layer.0.attention.self.query.weight"
    )


@pytest.mark.parametrize(
    ("edit", "expected"),
    [
        (
            rename,
            "unknown 'bert.encoder.layer.0.attention.self.frage.weight' and "
            "missing 'bert.encoder.layer.0.attention.self.query.weight'",
        ),
        (lambda state: state.pop("ner_classifier.bias"), "missing 'ner_classifier.bias'"),
        (lambda state: state.update(extra=torch.ones(1)), "unknown 'extra"),
        (
            lambda state: state.update({"ner_classifier.weight": torch.ones(4, 64)}),
            r"'ner_classifier.weight' has shape \(4, 64\), the schema and the encoder ask for \(3, 64\)",
        ),
        (
            lambda state: state.update({"bert.embeddings.LayerNorm.bias": torch.ones(9)}),
            r"'bert.embeddings.LayerNorm.bias' has shape \(9,\)",
        ),
        (lambda state: state.pop("bert.embeddings.word_embeddings.weight"), "word_embeddings.weight' is missing"),
        (
            lambda state: [state.pop(name) for name in list(state) if name.startswith("ner_")],
            "no head that is known .* only an encoder",
        ),
        (lambda state: [state.pop(name) for name in list(state) if name.startswith("bert.")], "expected tensors named"),
    ],
)
def test_every_tensor_is_accounted_for(tmp_path, schema, edit, expected):
    folder = write_checkpoint(tmp_path / "a", {"ner_classifier": (3, 64)})
    change(folder, edit)
    with pytest.raises(PLMarkerError, match=expected) as caught:
        convert_checkpoint(folder, schema, defaults=LIMITS)
    assert "\n" not in str(caught.value)


def test_a_schema_with_other_labels_is_an_error_that_names_the_head(tmp_path, schema):
    folder = write_checkpoint(tmp_path / "a", RELATION_HEADS)
    other = LabelSchema(schema.entity_labels, (*schema.relation_labels, "LOVES"), schema.symmetric_labels)
    with pytest.raises(PLMarkerError, match=r"'re_classifier_m\d.\w+' has shape \(6"):
        convert_checkpoint(folder, other, defaults=LIMITS)
    with pytest.raises(PLMarkerError, match="the schema has no relation labels"):
        convert_checkpoint(folder, LabelSchema(schema.entity_labels))


class Harmful:
    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return (Path("harmed").touch, ())


@pytest.mark.parametrize(
    "content", [lambda: pickle.dumps({"a": Harmful()}), lambda: b"PK\x03\x04 not a zip", lambda: b""]
)
def test_nothing_is_unpickled(tmp_path, schema, monkeypatch, content):
    monkeypatch.chdir(tmp_path)
    folder = write_checkpoint(tmp_path / "a", {"ner_classifier": (3, 64)})
    path = folder / "checkpoint-7" / "pytorch_model.bin"
    path.write_bytes(content())
    with pytest.raises(PLMarkerError, match=r"pytorch_model\.bin: (holds more than tensors|damaged)"):
        convert_checkpoint(folder, schema)
    assert not (tmp_path / "harmed").exists()
    torch.save({"a": Harmful()}, path)
    with pytest.raises(PLMarkerError, match="holds more than tensors"):
        convert_checkpoint(folder, schema)
    torch.save([torch.ones(1)], path)
    with pytest.raises(PLMarkerError, match="expected tensors by name, got list"):
        convert_checkpoint(folder, schema)


def test_missing_files_are_named(tmp_path, schema):
    folder = write_checkpoint(tmp_path / "a", {"ner_classifier": (3, 64)})
    with pytest.raises(PLMarkerError, match="nowhere: no such folder"):
        convert_checkpoint(tmp_path / "nowhere", schema)
    shutil.copytree(folder / "checkpoint-7", folder / "checkpoint-8")
    with pytest.raises(PLMarkerError, match="found checkpoint-7, checkpoint-8; name one"):
        convert_checkpoint(folder, schema)
    (folder / "vocab.txt").rename(tmp_path / "vocab.txt")
    with pytest.raises(PLMarkerError, match=r"no vocab.txt here or one folder up; name the encoder"):
        convert_checkpoint(folder / "checkpoint-7", schema)
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    assert convert_checkpoint(folder / "checkpoint-7", schema, encoder=str(tmp_path), defaults=LIMITS)
    (folder / "checkpoint-8" / "config.json").unlink()
    with pytest.raises(PLMarkerError, match=r"config.json: no such file"):
        convert_checkpoint(folder / "checkpoint-8", schema)


@pytest.mark.parametrize("family", ["roberta", "albert"])
def test_roberta_and_albert_have_markers_of_their_own(tmp_path, schema, family):
    sizes = {"embedding_size": 8} if family == "albert" else {"pad_token_id": 1}
    heads = {"ner_classifier": (3, 64)}
    torch.manual_seed(0)
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    reserved = [f"madeupword{number:04}" for number in range(3)] if family == "roberta" else []
    words = [*special, "ada", "works", *reserved]
    vocabulary = {word: number for number, word in enumerate(words)}
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>")),
        unk_token="<unk>",
        cls_token="<s>",
        sep_token="</s>",
        pad_token="<pad>",
        mask_token="<mask>",
    )
    encoder_folder = tmp_path / "encoder"
    tokenizer.save_pretrained(encoder_folder)
    rows = len(words) + (4 if family == "albert" else 0)
    config = AutoConfig.for_model(family, vocab_size=rows, **{**SIZES, **sizes})
    config.save_pretrained(encoder_folder)
    state = {f"{family}.{name}": tensor for name, tensor in AutoModel.from_config(config).state_dict().items()}
    state |= {"ner_classifier.weight": torch.randn(heads["ner_classifier"]), "ner_classifier.bias": torch.zeros(3)}
    checkpoint = tmp_path / "checkpoint-1"
    checkpoint.mkdir()
    torch.save(state, checkpoint / "pytorch_model.bin")
    (checkpoint / "config.json").write_text(json.dumps({**config.to_dict(), "vocab_size": 5}))
    model, tokenizer = convert_checkpoint(checkpoint, schema, encoder=str(encoder_folder), defaults=LIMITS)
    assert model.config.encoder_config.vocab_size == rows
    start = vocabulary["madeupword0000"] if family == "roberta" else len(words)
    assert model.config.marker_token_ids == [start, start + 1]
    model.save_pretrained(tmp_path / "model")
    tokenizer.save_pretrained(tmp_path / "model")
    again = AutoTokenizer.from_pretrained(tmp_path / "model")
    assert again.convert_tokens_to_ids(model.config.marker_tokens) == model.config.marker_token_ids


def test_albert_s_vocabulary_lies_beside_its_checkpoint(tmp_path, schema):
    sentencepiece = pytest.importorskip("sentencepiece")
    pytest.importorskip("google.protobuf")
    (tmp_path / "text.txt").write_text("ada works at acme and bob met eve in town\n" * 50)
    folder = write_checkpoint(tmp_path / "a", {"ner_classifier": (3, 64)}, "albert", n_words=44)
    (folder / "vocab.txt").unlink()
    sentencepiece.SentencePieceTrainer.train(
        input=str(tmp_path / "text.txt"),
        model_prefix=str(folder / "spiece"),
        vocab_size=40,
        hard_vocab_limit=False,
        pad_id=0,
        unk_id=1,
        bos_id=-1,
        eos_id=-1,
        user_defined_symbols=["[CLS]", "[SEP]", "[MASK]"],
    )
    model, tokenizer = convert_checkpoint(folder, schema, defaults=LIMITS)
    added = tokenizer.convert_tokens_to_ids([f"[unused{number}]" for number in range(4)])
    assert added == list(range(added[0], added[0] + 4))
    assert model.config.marker_token_ids == added[:2]
    assert tokenizer.tokenize("ada")
    (folder / "spiece.model").write_bytes(b"nothing")
    with pytest.raises(PLMarkerError, match="the vocabulary cannot be read"):
        convert_checkpoint(folder, schema, defaults=LIMITS)


def test_the_labels_of_a_dataset_are_said_and_never_taken_in_a_wrong_order(tmp_path, capsys):
    checkpoint = write_checkpoint(tmp_path / "a", {"ner_classifier": (3, 64)})
    corpus = tmp_path / "corpus"
    corpus.mkdir()

    def converted(*labels: str) -> tuple[int, str, str]:
        ner = [[[number, number, label] for number, label in enumerate(labels)]]
        line = {"doc_key": "a", "sentences": [[f"w{n}" for n in range(len(labels))]], "ner": ner}
        (corpus / "train.jsonl").write_text(json.dumps(line))
        shutil.rmtree(tmp_path / "out", ignore_errors=True)
        call = ["convert", str(checkpoint), "--schema", str(corpus), "--out", str(tmp_path / "out")]
        status = main([*call, "--entity", "max_seq_length=64"])
        return (status, *capsys.readouterr())

    status, output, _ = converted("Tool", "Animal")
    assert status == 0
    assert "0 NIL, 1 Animal, 2 Tool" in output
    assert AutoModel.from_pretrained(tmp_path / "out").config.entity_labels == ["Animal", "Tool"]
    status, _, error = converted("Tool", "Animal", "Plant")
    assert status == 2
    assert "'ner_classifier.weight' has shape (3, 64)" in error
    status, _, error = converted("PER", "ORG", "LOC", "MISC")
    assert status == 2
    assert "give --schema conll2003" in error
    assert not (tmp_path / "out").exists()
