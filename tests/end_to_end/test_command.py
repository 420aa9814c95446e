"""The command on a tiny encoder: train, evaluate, predict, data check, and every kind of bad input."""

import gzip
import json
import pickle
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from accelerate import PartialState
from transformers import AutoModel, AutoTokenizer, BertConfig, BertModel, PreTrainedTokenizerBase

import plmarker
from plmarker.cli import main
from plmarker.data.files import sole_writer
from plmarker.modeling.extracting_plmarker import build_extraction
from plmarker.modeling.modeling_plmarker import PLMarkerForEntityRecognition
from plmarker.trainers.trainer import PLMarkerTrainer

TEXT = "Ada Morrow founded the Kelmoor Institute in 1998. 🙂 She married Tom Vell.\n\nHe writes songs."


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory, minilm_tokenizer: PreTrainedTokenizerBase) -> str:
    folder = tmp_path_factory.mktemp("encoder")
    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    BertModel(BertConfig(vocab_size=len(minilm_tokenizer), **sizes)).save_pretrained(folder)
    minilm_tokenizer.save_pretrained(folder)
    return str(folder)


def experiment(encoder: str, folder: Path, **values: Any) -> Path:
    """An experiment of a few steps on the sample corpus, as a file."""
    training = {
        "max_steps": 15,
        "learning_rate": 1e-2,
        "eval_strategy": "no",
        "save_strategy": "no",
        "disable_tqdm": True,
    }
    training["load_best_model_at_end"] = False
    task = {"model": {"max_seq_length": 64}, "training": training}
    content = {
        "encoder": encoder,
        "dataset": "sample",
        "symmetric_labels": ["SPOUSE_OF"],
        "output_dir": str(folder / "run"),
        "entity": {**task, "model": {"max_seq_length": 64, "max_span_length": 4}},
        "relation": task,
        **values,
    }
    path = folder / "experiment.yaml"
    path.write_text(yaml.safe_dump({key: value for key, value in content.items() if value is not None}))
    return path


@pytest.fixture(scope="module")
def model(encoder: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A combined model, as `plmarker train` leaves it."""
    folder = tmp_path_factory.mktemp("model")
    assert main(["train", str(experiment(encoder, folder)), "--json", str(folder / "train.json")]) == 0
    assert json.loads((folder / "train.json").read_text()).keys() == {"42"}
    return folder / "run"


def test_train_leaves_a_model_that_automodel_loads(model: Path) -> None:
    loaded = AutoModel.from_pretrained(model)
    assert isinstance(loaded, plmarker.PLMarkerModel)
    assert loaded.config.schema.symmetric_labels == ("SPOUSE_OF",)
    assert {"ent_f1", "rel_f1", "rel_strict_f1", "gold_rel_f1"} <= json.loads(
        (model / "metrics.json").read_text()
    ).keys()


def test_evaluate_names_the_source_of_the_entities(
    model: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert (
        main(["evaluate", str(model), "--dataset", "sample", "--split", "dev", "--json", str(tmp_path / "m.json")]) == 0
    )
    output = capsys.readouterr().out
    for row in (
        "Ent ",
        "Rel   predicted entities",
        "Rel+  predicted entities",
        "Rel   gold entities",
        "Rel+  gold entities",
        "Types predicted entities",
        "Types gold entities",
    ):
        assert row in output
    assert "errors by kind" in output
    assert {"ent_f1_overlap", "retyped_ent_f1", "gold_rel_strict_f1"} <= json.loads(
        (tmp_path / "m.json").read_text()
    ).keys()


def test_evaluate_writes_pages(model: Path, tmp_path: Path) -> None:
    command = ["evaluate", str(model), "--dataset", "sample", "--report", str(tmp_path / "report")]
    assert main(command) == 0
    assert "Figures, in percent" in (tmp_path / "report" / "index.html").read_text(encoding="utf-8")
    assert '"has_gold": true' in (tmp_path / "report" / "documents.html").read_text(encoding="utf-8")


def test_predict_writes_character_offsets_for_texts_and_documents(model: Path, tmp_path: Path) -> None:
    texts = tmp_path / "texts.txt"
    texts.write_text(TEXT.replace("\n", " ") + "\n\n" + "Nothing here\n", encoding="utf-8")
    documents = tmp_path / "documents.jsonl"
    lines = [{"doc_key": "a", "sentences": [["Ada", "Morrow", "sings", "."], []]}, {"text": TEXT}]
    documents.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    for path, keys in ((texts, ["texts-1", "texts-3"]), (documents, ["a", "documents-2"])):
        out = tmp_path / "out.jsonl"
        assert main(["predict", str(model), str(path), "--out", str(out)]) == 0
        results = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
        assert [result["doc_key"] for result in results] == keys
        for result in results:
            for entity in result["entities"]:
                assert result["text"][entity["start"] : entity["end"]] == entity["text"]
        assert not out.with_name("out.jsonl.partial").exists()


def interrupt(model: Path, inputs: Path, out: Path, after: int, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Interrupt a prediction behind some texts. Return the lines that were written."""
    calls = 0

    def build(*args: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls > after:
            raise KeyboardInterrupt
        return build_extraction(*args)

    with monkeypatch.context() as patch:
        patch.setattr("plmarker.modeling.extracting_plmarker.build_extraction", build)
        assert main(["predict", str(model), str(inputs), "--out", str(out)]) == 130
    lines = out.with_name(out.name + ".partial").read_text(encoding="utf-8").splitlines(keepends=True)
    assert len(lines) == after
    return lines


def test_predict_relates_given_entities(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, out = tmp_path / "given.jsonl", tmp_path / "out.jsonl"
    lines = [
        {"text": TEXT, "entities": [[0, 10, "Person"], {"start": 23, "end": 40, "label": "Organization"}]},
        {"sentences": [["Ada", "left"], ["Bob", "sang"]], "predicted_ner": [[[0, 0, "Person"]], [[2, 2, None]]]},
    ]
    source.write_text("".join(json.dumps(line) + "\n" for line in lines))
    command = ["predict", str(model), str(source), "--out", str(out), "--given_entities"]
    assert main(command) == 0
    first, second = (json.loads(line) for line in out.read_text().splitlines())
    assert [(e["text"], e["label"], e["score"]) for e in first["entities"]] == [
        ("Ada Morrow", "Person", 1.0),
        ("Kelmoor Institute", "Organization", 1.0),
    ]
    assert [e["text"] for e in second["entities"]] == ["Ada", "Bob"]
    for line, expected in (
        ({"text": TEXT}, "under 'entities'"),
        ({"text": TEXT, "entities": [[0, 3, "Gene"]]}, "does not know the label 'Gene'"),
        ({"text": TEXT, "entities": [{"text": "Ada", "label": "Person"}]}, "got {'label': 'Person', 'text': 'Ada'}"),
        ({"sentences": [["Ada"]]}, "under 'predicted_ner'"),
        ({"sentences": [["Ada"]], "predicted_ner": [[[0, 1, "Person"]]]}, "not inside 0 to 0"),
    ):
        source.write_text(json.dumps(line) + "\n")
        assert main([*command[:4], str(tmp_path / "bad.jsonl"), "--given_entities"]) == 2
        assert f"{source}:1: " in (message := capsys.readouterr().err)
        assert expected in message
        for rest in tmp_path.glob("bad*"):
            rest.unlink()


def test_an_interrupted_prediction_goes_on_where_it_stopped(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inputs, out = tmp_path / "in.txt", tmp_path / "out.jsonl"
    inputs.write_text("".join(f"Text number {n} by Ada Morr\u00e9.\n" for n in range(4)), encoding="utf-8")
    call = ["predict", str(model), str(inputs), "--out", str(out)]
    assert main(call) == 0
    lines = out.read_text(encoding="utf-8").splitlines(keepends=True)
    out.unlink()
    partial = out.with_name("out.jsonl.partial")
    # The second line is cut off inside the two bytes of a character.
    first, second = interrupt(model, inputs, out, 2, monkeypatch)
    marked = first.replace("{", '{"kept": true, ', 1)
    cut = second.encode()[: second.encode().index("\u00e9".encode()) + 1]
    partial.write_bytes(marked.encode() + cut)
    # Without its digest, as calls of earlier versions left it, the marked line is taken for one of `predict`.
    words = out.with_name("out.jsonl.partial.words")
    words.write_text("".join(f"{line.split()[0]}\n" for line in words.read_text().splitlines()))
    assert main(call) == 0
    assert out.read_text(encoding="utf-8") == marked + "".join(lines[1:])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.txt", "out.jsonl"]
    # Lines of nobody knows which model are written anew.
    partial.write_text(marked, encoding="utf-8")
    settings = out.with_name("out.jsonl.partial.settings")
    settings.write_text('{"models": ["')
    assert main(call) == 0
    assert out.read_text(encoding="utf-8") == "".join(lines)


def test_documents_with_one_text_and_other_words_are_not_mixed(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    inputs, out = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    documents = [{"doc_key": str(n), "sentences": [["Ada", "Lane", "left"]]} for n in range(3)]
    inputs.write_text("".join(json.dumps(document) + "\n" for document in documents))
    interrupt(model, inputs, out, 2, monkeypatch)
    documents[0]["sentences"] = [["Ada Lane", "left"]]
    inputs.write_text("".join(json.dumps(document) + "\n" for document in documents))
    assert main(["predict", str(model), str(inputs), "--out", str(out)]) == 2
    assert "out.jsonl.partial:1: begun with another input" in capsys.readouterr().err


def test_an_interrupted_prediction_is_not_mixed_with_another(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inputs, out = tmp_path / "in.txt", tmp_path / "out.jsonl"
    inputs.write_text("".join(f"Text number {n} by Ada Morrow.\n" for n in range(4)), encoding="utf-8")
    interrupt(model, inputs, out, 2, monkeypatch)
    # The same weights in another order have the same sum.
    other = AutoModel.from_pretrained(model)
    with torch.no_grad():
        other.entity.classifier.weight.copy_(other.entity.classifier.weight.flip(0))
    other.save_pretrained(tmp_path / "other")
    call = ["predict", str(model), str(inputs), "--out", str(out)]
    assert main([*call, "--entity_threshold", "0.5"]) == 2
    assert main(["predict", str(tmp_path / "other"), *call[2:]]) == 2
    inputs.write_text("Other text.\n" * 4, encoding="utf-8")
    assert main(call) == 2


def test_one_process_at_a_time_writes_a_file_or_a_run(
    model: Path, encoder: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "in.txt").write_text("Ada sings.\n")
    predict = ["predict", str(model), str(tmp_path / "in.txt"), "--out", str(tmp_path / "out.jsonl")]
    train = ["train", str(experiment(encoder, tmp_path)), "--max_steps", "1"]
    for call, written in ((predict, tmp_path / "out.jsonl"), (train, tmp_path / "run")):
        with sole_writer(written):
            assert main(call) == 2
        assert f"{written}: another process" in capsys.readouterr().err
        assert not written.exists()
    assert main(predict) == 0


def test_a_lock_dies_with_its_process(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys\nfrom plmarker.data.files import sole_writer\n"
        "with sole_writer(sys.argv[1]):\n    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "out")])
    assert done.returncode == -signal.SIGKILL
    with sole_writer(tmp_path / "out"):
        pass


@pytest.mark.parametrize(
    "name", ["in.txt", "out.jsonl", "out.jsonl.partial", "out.jsonl.partial.settings", "out.jsonl.partial.words"]
)
def test_no_output_overwrites_an_input_or_another_output(
    model: Path, tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "in.txt").write_text(TEXT)
    call = ["predict", str(model), str(tmp_path / "in.txt")]
    assert main([*call, "--out", str(tmp_path / "out.jsonl"), "--json", str(tmp_path / name)]) == 2
    assert "would write over it" in capsys.readouterr().err
    assert main([*call, "--out", str(tmp_path / "in.txt")]) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["in.txt"]
    assert (tmp_path / "in.txt").read_text() == TEXT


def test_predict_reads_standard_input_and_packed_files(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = "".join(json.dumps({"text": f"Ada Morrow sings {n}. \u00e9"}) + "\n" for n in range(3))
    texts = "".join(f"Ada Morrow sings {n}. \u00e9\n" for n in range(3))
    (tmp_path / "in.jsonl").write_text(lines, encoding="utf-8")
    (tmp_path / "in.jsonl.gz").write_bytes(gzip.compress(lines.encode()))
    (tmp_path / "cut.txt.gz").write_bytes(gzip.compress(texts.encode())[:40])
    out = tmp_path / "out.jsonl"

    def found(source: str, given: str | None = None) -> list[Any]:
        if given is not None:
            (tmp_path / "stdin").write_text(given, encoding="utf-8")
            monkeypatch.setattr(sys, "stdin", (tmp_path / "stdin").open())
        assert main(["predict", str(model), source, "--out", str(out)]) == 0
        results = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
        assert [result.pop("doc_key").rpartition("-")[2] for result in results] == ["1", "2", "3"]
        return results

    expected = found(str(tmp_path / "in.jsonl"))
    assert found(str(tmp_path / "in.jsonl.gz")) == expected
    assert found("-", lines) == expected
    assert found("-", texts) == expected
    assert main(["predict", str(model), str(tmp_path / "cut.txt.gz"), "--out", str(tmp_path / "cut.jsonl")]) == 2
    assert "cut.txt.gz: not a whole gzip file" in capsys.readouterr().err


def truncate(folder: Path) -> None:
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])


def change_config(folder: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    config = json.loads((folder / "config.json").read_text())
    change(config)
    (folder / "config.json").write_text(json.dumps(config))


def name_a_shard_outside(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder.parent / "x.safetensors")
    index = {"metadata": {}, "weight_map": {"entity.classifier.weight": "../x.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


DAMAGES: dict[str, Callable[[Path], Any]] = {
    "truncated weights": truncate,
    "empty weights": lambda folder: (folder / "model.safetensors").write_bytes(b""),
    "a pickle": lambda folder: (folder / "model.safetensors").write_bytes(pickle.dumps({"a": 1})),
    "other shapes": lambda folder: change_config(
        folder, lambda config: config["entity_config"]["encoder_config"].update(hidden_size=48)
    ),
    "windows without positions": lambda folder: change_config(
        folder, lambda config: config["entity_config"].update(max_seq_length=100_000)
    ),
    "a config with wrong types": lambda folder: change_config(
        folder, lambda config: config["entity_config"].update(max_seq_length="long")
    ),
    "a config without labels": lambda folder: change_config(
        folder, lambda config: config["entity_config"].update(entity_labels=5)
    ),
    "a config that is a list": lambda folder: (folder / "config.json").write_text("[1]"),
    "a deep config": lambda folder: (folder / "config.json").write_text('{"a":' * 5000 + "1" + "}" * 5000),
    "a config that is cut off": lambda folder: (folder / "config.json").write_text('{"model_type": "plm'),
    "a broken tokenizer": lambda folder: (folder / "tokenizer.json").write_text('{"model": 5}'),
    "no tokenizer": lambda folder: [path.unlink() for path in folder.glob("tokenizer*")],
    "a shard outside": name_a_shard_outside,
    "an index that is a list": lambda folder: (folder / "model.safetensors.index.json").write_text("[]"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_model_is_one_sentence(
    model: Path, tmp_path: Path, damage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(model, folder)
    DAMAGES[damage](folder)
    assert main(["predict", str(folder), "--text", TEXT]) == 2
    output = capsys.readouterr()
    assert TEXT not in output.out
    # A sentence of ours, which names the model, and no error that got through to the end.
    (line,) = [line for line in output.err.splitlines() if "plmarker:" in line]
    assert line.startswith(f"plmarker: error: {folder}")
    if damage == "other shapes":
        assert re.search(r": the weights 'entity\.\S+' have the shape \(", line)


def test_debug_shows_where_an_error_comes_from(
    model: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*args: Any) -> Any:
        raise KeyError("inside")

    monkeypatch.setattr("plmarker.modeling.extracting_plmarker.build_extraction", broken)
    call = ["predict", str(model), "--text", TEXT]
    assert main(call) == 2
    assert "plmarker: error: KeyError: 'inside'" in capsys.readouterr().err
    with pytest.raises(KeyError, match="inside"):
        main([*call, "--debug"])
    monkeypatch.setenv("PLMARKER_DEBUG", "1")
    with pytest.raises(KeyError, match="inside"):
        main(call)


def test_a_mistyped_threshold_leaves_nothing_behind(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "t.txt").write_text(TEXT)
    call = ["predict", str(model), str(tmp_path / "t.txt"), "--out", str(tmp_path / "o.jsonl"), "--entity_threshold"]
    for wrong in ("Nope=0.5", "nan"):
        assert main([*call, wrong]) == 2
    # An inverse class has no threshold of its own, and an entity model none for relations.
    for wrong in ("WORKS_FOR^-1=0.5", "Nope=0.5"):
        assert main([*call, "0.5", "--relation_threshold", wrong]) == 2
    alone = tmp_path / "alone"
    AutoModel.from_pretrained(model).entity.save_pretrained(alone)
    AutoTokenizer.from_pretrained(model).save_pretrained(alone)
    for option in (["--relation_threshold", "0.5"], ["--explain"], ["--no_constraints"]):
        assert main(["predict", str(alone), *call[2:], "0.5", *option]) == 2
        assert f"{option[0]} needs a relation model and has no effect without it" in capsys.readouterr().err
    for option in (["--entity_types", "input"], ["--joined_sentences", "5"]):
        assert main(["evaluate", str(alone), "--dataset", "sample", *option]) == 2
        assert f"{option[0]} needs a relation model" in capsys.readouterr().err
    assert not list(tmp_path.glob("o.jsonl*"))
    assert main([*call, "0.5"]) == 0


def test_predict_prints_one_text(model: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["predict", str(model), "--text", TEXT, "--json", str(tmp_path / "t.json")]) == 0
    assert capsys.readouterr().out.startswith(TEXT)
    assert json.loads((tmp_path / "t.json").read_text())["text"] == TEXT


def test_one_task_alone_is_trained_and_used(encoder: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", str(experiment(encoder, tmp_path, relation=None)), "--max_steps=1"]) == 0
    run = str(tmp_path / "run")
    assert main(["evaluate", run, "--dataset", "sample"]) == 0
    assert "Rel" not in capsys.readouterr().out.split("errors")[0].split("Ent")[1]
    assert main(["predict", run, "--text", TEXT]) == 0
    assert main(["train", str(experiment(encoder, tmp_path, entity=None)), "--max_steps", "1", "--overwrite"]) == 0
    assert main(["evaluate", run, "--dataset", "sample"]) == 0
    output = capsys.readouterr().out
    assert "gold entities" in output
    assert "predicted entities" not in output.split("Rel   gold")[-1]
    assert main(["predict", run, "--text", TEXT]) == 2


def test_several_seeds_give_a_table_with_mean_and_deviation(
    encoder: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = experiment(encoder, tmp_path, relation=None)
    assert main(["train", str(path), "--seeds", "1", "2", "--max_steps", "1", "--json", str(tmp_path / "s.json")]) == 0
    assert "deviation" in capsys.readouterr().out
    assert json.loads((tmp_path / "s.json").read_text()).keys() == {"1", "2"}
    assert (tmp_path / "run" / "seed-2" / "model.safetensors").exists()


def test_only_the_main_process_writes_results(encoder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("plmarker.trainers.training.run_experiment", lambda *_: None)
    monkeypatch.setattr(PartialState, "is_main_process", False)
    assert main(["train", str(experiment(encoder, tmp_path)), "--json", str(tmp_path / "m.json")]) == 0
    assert not list(tmp_path.glob("m.json*"))


def test_data_check_lists_problems_and_says_so_by_its_status(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = tmp_path / "bad.jsonl"
    bad.write_text('{"doc_key": "a", "sentences": [["x"]], "ner": [[[0, 3, "A"]]]}\n{broken\n')
    assert main(["data", "check", str(bad)]) == 1
    output = capsys.readouterr().out
    assert f"{bad}:1: " in output
    assert f"{bad}:2: broken JSON" in output


GOOD = {"doc_key": "a", "sentences": [["Ann", "sings"]], "ner": [[[0, 0, "PER"]]], "relations": [[]]}
BAD_FILES = {
    "broken JSON": ('{"doc_key": ', ":1: broken JSON"),
    "a span outside its sentence": (json.dumps({**GOOD, "ner": [[[0, 2, "PER"]]]}), "is outside its sentence"),
    "zero documents": ("", "zero documents"),
    "zero gold entities": (json.dumps({**GOOD, "ner": [[]]}), "zero gold entities"),
    "no words": (json.dumps({**GOOD, "sentences": "Ann sings"}), "list of lists of words"),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_bad_data_is_one_line_that_names_the_file(
    name: str, encoder: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content, expected = BAD_FILES[name]
    path = tmp_path / "train.jsonl"
    path.write_text(content)
    assert main(["train", str(experiment(encoder, tmp_path, dataset=str(path)))]) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert str(path) in error
    assert expected in error


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["train", "nowhere"], "nowhere: no such file"),
        (["train", "demo", "--dataset", "nowhere/train.jsonl"], "no such file or folder"),
        (["train", "demo", "--run_name", "a: b: c"], "mapping values are not allowed here"),
        (["train", "demo", "--learning_rat", "1"], "unknown option '--learning_rat'"),
        (
            ["train", "demo", "--learning_rate", "fast"],
            "--learning_rate fast: 'entity.training.learning_rate' should be a",
        ),
        (["train", "demo", "--encoder", "nowhere/encoder"], "nowhere/encoder"),
        (
            ["evaluate", "nowhere", "--dataset", "sample"],
            "nowhere: no such file or folder, and the Hub cannot be reached",
        ),
    ],
)
def test_bad_arguments_are_one_line(
    arguments: list[str], expected: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    extra = ["--output_dir", str(tmp_path)] if arguments[0] == "train" else []
    assert main([*arguments, *extra]) == 2
    assert expected in capsys.readouterr().err.strip().splitlines()[-1]


def test_unknown_labels_missing_splits_and_missing_files_are_named(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "test.jsonl"
    path.write_text(json.dumps({**GOOD, "ner": [[[0, 0, "Spaceship"]]]}))
    (tmp_path / "corpus").mkdir()
    (tmp_path / "corpus" / "test.jsonl").write_text(json.dumps({**GOOD, "ner": [[[0, 0, "Person"]]]}))
    for dataset, split, expected in (
        (str(path), "test", "unknown entity label 'Spaceship'"),
        (str(tmp_path / "gone.jsonl"), "test", "no such file"),
        (str(tmp_path / "corpus"), "dev", "no split 'validation', only 'test'"),
    ):
        assert main(["evaluate", str(model), "--dataset", dataset, "--split", split]) == 2
        assert expected in capsys.readouterr().err


def test_a_tokenizer_with_other_marker_tokens_is_refused(
    model: Path, tmp_path: Path, minilm_tokenizer: PreTrainedTokenizerBase, capsys: pytest.CaptureFixture[str]
) -> None:
    import shutil

    shutil.copytree(model, tmp_path / "copy")
    config = json.loads((tmp_path / "copy" / "config.json").read_text())
    config["entity_config"]["marker_token_ids"] = [5, 6]
    (tmp_path / "copy" / "config.json").write_text(json.dumps(config))
    assert main(["predict", str(tmp_path / "copy"), "--text", "Ann sings"]) == 2
    error = capsys.readouterr().err
    assert "'[unused0]' the id 1" in error
    assert "with 5" in error


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--lr_scheduler_type", "foo"], "entity.training: "),
        (
            ["--per_device_train_batch_size", "many"],
            "_train_batch_size' should be a valid integer",
        ),
    ],
)
def test_bad_training_arguments_are_one_line(
    arguments: list[str], expected: str, encoder: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", str(experiment(encoder, tmp_path)), *arguments]) == 2
    assert expected in capsys.readouterr().err.strip().splitlines()[-1]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"entity": {"model": {"max_span_lenght": 3}}}, "has no field 'max_span_lenght'"),
        ({"entity": {"model": {"max_seq_length": "64"}}}, "max_seq_length"),
        ({"entity": {"training": {"seed": 3}}}, "entity.training.seed"),
        ({"symmetric_labels": "SPOUSE_OF"}, "'symmetric_labels' should be a list"),
        ({"relation": {"model": {"subject_markers": "x"}}}, "relation.model: PLMarkerRelationConfig"),
        ({"epochs": 3}, "unknown key 'epochs'"),
        ({"entity": None, "relation": None}, "nothing to train"),
    ],
)
def test_a_wrong_experiment_gives_one_line(
    values: dict[str, Any], expected: str, encoder: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", str(experiment(encoder, tmp_path, **values))]) == 2
    assert expected in capsys.readouterr().err.strip().splitlines()[-1]


def test_checkpoints_are_continued_or_overwritten_but_never_lost_unasked(
    encoder: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = experiment(encoder, tmp_path, relation=None)
    saving = ["--save_strategy", "steps", "--save_steps", "1", "--max_steps", "2"]
    other = tmp_path / "run" / "entity" / "notes.txt"
    assert main(["train", str(path), *saving]) == 0
    other.write_text("mine")
    assert main(["train", str(path), *saving]) == 2
    error = capsys.readouterr().err
    assert "--resume" in error
    assert "--overwrite" in error
    # --resume skips a checkpoint that was cut off while it was written.
    (tmp_path / "run" / "entity" / "checkpoint-9").mkdir()
    assert main(["train", str(path), *saving, "--resume"]) == 0
    assert main(["train", str(path), *saving, "--overwrite"]) == 0
    assert other.read_text() == "mine"


@pytest.mark.parametrize(
    "name", ["model.safetensors", "optimizer.pt", "scheduler.pt", "trainer_state.json", "rng_state.pth"]
)
def test_a_damaged_checkpoint_is_named(
    name: str, encoder: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = experiment(encoder, tmp_path, relation=None)
    saving = ["--save_strategy", "steps", "--save_steps", "1", "--eval_strategy", "no", "--max_steps", "2"]
    assert main(["train", str(path), *saving]) == 0
    checkpoint = tmp_path / "run" / "entity" / "checkpoint-2"
    for file in (tmp_path / "run" / "metrics.json", checkpoint.parent / "finished"):
        file.unlink(missing_ok=True)
    (checkpoint / name).write_bytes((checkpoint / name).read_bytes()[:9])
    capsys.readouterr()
    assert main(["train", str(path), *saving, "--resume"]) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert f"{checkpoint} cannot be read" in error
    assert "--overwrite" in error


def test_a_resumed_run_must_be_the_same_experiment_and_does_nothing_twice(
    encoder: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, output = experiment(encoder, tmp_path), tmp_path / "run"
    assert main(["train", str(path)]) == 0
    assert main(["train", str(path)]) == 2
    assert str(output) in capsys.readouterr().err
    assert main(["train", str(path), "--resume", "--seeds", "7"]) == 2
    assert "seed: 42, now 7" in capsys.readouterr().err
    assert main(["train", str(path), "--resume", "--max_steps", "3"]) == 2
    assert "entity.training.max_steps: 15, now 3" in capsys.readouterr().err
    # Both models are finished, but the figures are missing. The model that is saved again has the same files.
    saved = {file.name: file.read_bytes() for file in output.iterdir() if file.is_file()}
    (output / "metrics.json").unlink()
    weights = (output / "entity" / "model.safetensors").stat().st_mtime_ns
    assert main(["train", str(path), "--resume"]) == 0
    assert (output / "entity" / "model.safetensors").stat().st_mtime_ns == weights
    again = {file.name: file.read_bytes() for file in output.iterdir() if file.is_file()}
    assert [name for name in saved.keys() | again.keys() if saved.get(name) != again.get(name)] == []
    (output / "metrics.json").write_text('{"ent_f1": 0.5, "ent_precision": 0.5, "ent_recall": 0.5}')
    capsys.readouterr()
    assert main(["train", str(path), "--resume"]) == 0
    assert "50.0" in capsys.readouterr().out


def test_candidates_come_from_another_model(
    make_tiny_model: Any,
    minilm_tokenizer: PreTrainedTokenizerBase,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name, values in (("spans", {}), ("tags", {"method": "bio", "max_span_length": 4})):
        entity = make_tiny_model(PLMarkerForEntityRecognition, **{"max_seq_length": 64, "max_span_length": 4, **values})
        entity.save_pretrained(tmp_path / name)
        minilm_tokenizer.save_pretrained(tmp_path / name)
    (tmp_path / "test.jsonl").write_text(json.dumps({**GOOD, "ner": [[[0, 0, "PER"]]], "relations": [[]]}))
    model, first = str(tmp_path / "spans"), str(tmp_path / "tags")
    dataset = ["--dataset", str(tmp_path / "test.jsonl")]

    def n_predicted(*options: str) -> int:
        folder = tmp_path / "predictions"
        assert main(["evaluate", model, *dataset, *options, "--predictions", str(folder)]) == 0
        lines = (folder / "ent_pred_test.json").read_text().splitlines()
        return sum(len(rows) for line in lines for rows in json.loads(line)["predicted_ner"])

    free = n_predicted()
    assert n_predicted("--candidates_from", first, "--max_candidates", "1") < free
    assert n_predicted("--candidates_from", first, "--max_candidates", "9999") == free
    assert main(["evaluate", first, *dataset, "--candidates_from", model]) == 2
    assert "--candidates_from" in capsys.readouterr().err


def test_labels_that_training_never_shows_are_named(
    encoder: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    for split, label in (("train", "PER"), ("dev", "PRE")):
        line = {"doc_key": split, "sentences": [["Ada", "sings"]], "ner": [[[0, 0, label]]]}
        (corpus / f"{split}.json").write_text(json.dumps(line))
    assert (
        main(
            ["train", str(experiment(encoder, tmp_path, relation=None, symmetric_labels=[])), "--dataset", str(corpus)]
        )
        == 0
    )
    assert "entity labels PRE: in validation, never in train" in caplog.text


def test_an_experiment_is_run_over_folds_and_seeds_and_set_beside_what_was_published(
    encoder: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for fold in ("fold0", "fold1"):
        (tmp_path / "corpus" / fold).mkdir(parents=True)
        for split in ("train", "test"):
            # The folds differ: only the first has entities in test that a model finds anywhere.
            ner = [[0, 0, "PER"]] if split == "train" or fold == "fold0" else [[1, 1, "PER"]]
            line = {"doc_key": split, "sentences": [["Ada", "sings"]], "ner": [ner]}
            (tmp_path / "corpus" / fold / f"{split}.json").write_text(json.dumps(line))
    values = {"folds": ["fold0", "fold1"], "reported": {"ent_f1": 88.8, "source": "somewhere"}, "symmetric_labels": []}
    path = experiment(encoder, tmp_path, relation=None, dataset=str(tmp_path / "corpus"), **values)
    steps = ["--max_steps", "20"]
    assert main(["train", str(path), "--seeds", "1", "2", "--json", str(tmp_path / "m.json"), *steps]) == 0
    results = json.loads((tmp_path / "m.json").read_text())
    assert list(results) == ["fold0 1", "fold1 1", "fold0 2", "fold1 2"]
    assert [results[run]["ent_recall"] for run in results] == [1.0, 0.0, 1.0, 0.0]
    assert (tmp_path / "run" / "fold1" / "seed-2" / "metrics.json").is_file()
    output = capsys.readouterr().out
    assert "mean" in output
    assert "published: Ent 88.8 (somewhere)" in output
    # After an interruption, a finished fold is not trained again.
    weights = [tmp_path / "run" / fold / "seed-1" / "entity" / "model.safetensors" for fold in ("fold0", "fold1")]
    (weights[1].parent / "finished").unlink()
    (weights[1].parent.parent / "metrics.json").unlink()
    before = [path.stat().st_mtime_ns for path in weights]
    assert main(["train", str(path), "--seeds", "1", "2", "--resume", *steps]) == 0
    after = [path.stat().st_mtime_ns for path in weights]
    assert (after[0] == before[0], after[1] > before[1]) == (True, True)
    path = experiment(encoder, tmp_path, relation=None, dataset=str(tmp_path / "corpus"), folds=["fold7"])
    assert main(["train", str(path), "--overwrite"]) == 2
    assert "no folder 'fold7' in it, only fold0, fold1" in capsys.readouterr().err


def test_an_overwritten_run_takes_nothing_from_the_earlier_one(
    encoder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = experiment(encoder, tmp_path)
    assert main(["train", str(path), "--max_steps", "1"]) == 0
    seen = []
    train = PLMarkerTrainer.train

    def interrupted(self: PLMarkerTrainer, *args: Any, **kwargs: Any) -> Any:
        seen.append(self.task_config.model_type)
        if len(seen) == 1:
            raise KeyboardInterrupt
        return train(self, *args, **kwargs)

    monkeypatch.setattr(PLMarkerTrainer, "train", interrupted)
    changed = ["train", str(path), "--max_steps", "2"]
    assert main([*changed, "--overwrite"]) == 130
    assert main([*changed, "--resume"]) == 0
    assert seen == ["plmarker-ner", "plmarker-ner", "plmarker-re"]
    # A model that was cut off while it was saved is trained again.
    (tmp_path / "run" / "metrics.json").unlink()
    (tmp_path / "run" / "relation" / "finished").unlink()
    (tmp_path / "run" / "relation" / "model.safetensors").unlink()
    assert main([*changed, "--resume"]) == 0
    assert seen[3:] == ["plmarker-re"]


def test_the_training_data_are_named(
    encoder: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    path = experiment(encoder, tmp_path, relation=None, train_splits=["train", "validation"])
    capsys.readouterr()
    with caplog.at_level("INFO"):
        assert main(["train", str(path), "--max_steps", "1"]) == 0
    assert "training data: 89 documents" in caplog.text
    path = experiment(encoder, tmp_path, relation=None, train_splits=["trian"])
    assert main(["train", str(path), "--overwrite"]) == 2
    assert "no split 'trian', only 'train', 'validation', 'test'" in capsys.readouterr().err


def test_an_adapter_is_trained_saved_and_merged(encoder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("peft")
    task = {"model": {"max_seq_length": 64}, "training": {"max_steps": 3, "save_strategy": "no", "eval_strategy": "no"}}
    path = experiment(encoder, tmp_path, entity={**task, "peft": {"r": 2}}, relation=None)
    assert main(["train", str(path)]) == 0
    assert (tmp_path / "run" / "entity" / "adapter" / "adapter_model.safetensors").exists()
    model = AutoModel.from_pretrained(tmp_path / "run")
    assert not any("lora" in name for name, _ in model.named_parameters())
    assert "`peft` `{'r': 2}`" in (tmp_path / "run" / "README.md").read_text()
    # The snippet on the adapter's card makes the model that the adapter needs.
    card = (tmp_path / "run" / "entity" / "adapter" / "README.md").read_text()
    (snippet,) = re.findall(r"```python\n(.*?)```", card, re.DOTALL)
    assert "max_seq_length=64" in snippet
    monkeypatch.chdir(tmp_path / "run" / "entity")
    (tmp_path / "run" / "entity" / Path(encoder).name).symlink_to(encoder)
    found: dict[str, Any] = {}
    exec(snippet, found)
    merged, weights = found["model"].merge_and_unload().state_dict(), model.state_dict()
    assert merged.keys() == weights.keys()
    assert all(torch.allclose(merged[name], weights[name], atol=1e-6) for name in weights)
