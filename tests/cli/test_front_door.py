"""The command line itself: help, completion, usage errors, spellings of options, tables and chatter."""

import errno
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from plmarker import PLMarkerError, __version__
from plmarker.cli import main
from plmarker.cli.main import application
from plmarker.cli.running import disk_is_full

COMMANDS = {
    "train", "evaluate", "predict", "calibrate", "constrain", "show", "serve", "app", "convert", "export", "data"
}  # fmt: skip
DATA_COMMANDS = {"build", "push", "check", "stats", "export"}


def commands_of(lines: str) -> set[str]:
    return {line.split()[0] for line in lines.partition("Commands:")[2].splitlines() if line.strip()}


def test_help_names_every_command_and_takes_it_from_the_docstrings(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, expected in ((["--help"], COMMANDS), (["data", "-h"], DATA_COMMANDS)):
        assert main(arguments) == 0
        assert commands_of(capsys.readouterr().out) == expected
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"plmarker {__version__}\n"
    assert main(["show", "--help"]) == 0
    shown = capsys.readouterr().out
    for text in ("Write a page that shows predictions.", "--gold FILE", "--json FILE", "--debug", "-v, --verbose"):
        assert text in shown


def test_every_option_has_help() -> None:
    for app in (application(), *(group.typer_instance for group in application().registered_groups)):
        assert app is not None
        for info in app.registered_commands:
            assert info.callback is not None
            assert info.callback.__doc__
            for name, kind in info.callback.__annotations__.items():
                for parameter in getattr(kind, "__metadata__", ()):
                    assert parameter.help, (info.callback.__name__, name)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], "Missing command"),
        (["trian"], "No such command 'trian'"),
        (["show"], "Missing argument"),
        (["show", "x"], "Missing option '--out'"),
        (["show", "x", "--out", "y", "--limit", "many"], "--limit"),
        (["show", "x", "--out", "y", "--colour"], "No such option"),
        (["data", "check", "x", "--format", "xml"], "'xml' is not one of jsonl, conll"),
        (["data", "push", "x", "--repo", "a/b", "--private", "--public"], "--private and --public exclude each other"),
        (["train", "demo", "--resume", "--overwrite"], "--resume and --overwrite exclude each other"),
        (["data", "export", "x", "--out", "y", "--tool", "prodigy", "--to", "conll"], "--to means nothing with --tool"),
        (["evaluate", "m", "--dataset", "sample", "--max_candidates", "9"], "--max_candidates needs --candidates_from"),
        (
            ["evaluate", "m", "--dataset", "sample", "--candidates_from", "n", "--given_entities"],
            "--candidates_from has no effect with --given_entities",
        ),
        (["constrain", "m", "--schema", "s", "--out", "o", "--least", "1"], "--least needs --dataset"),
        (["constrain", "m", "--remove", "--out", "o", "--split", "dev"], "--split needs --dataset"),
        (
            ["calibrate", "m", "--dataset", "sample", "--out", "o", "--at_least_found", "0.9", "--confidence", "0.5"],
            "--confidence needs --at_most_wrong",
        ),
        (["calibrate", "m", "--dataset", "sample", "--out", "o", "--task", "entities"], "--task needs --at_most_wrong"),
        (["predict", "m", "--text", "x", "--batch_documents", "9"], "--batch_documents needs INPUT"),
        (["predict", "m", "--text", "x", "--engine", "local"], "--engine needs INPUT"),
        (["predict", "m", "--text", "x", "--given_entities"], "--given_entities needs INPUT"),
        (["predict", "m", "--text", "x", "--workers", "2"], "--workers needs --engine ray"),
        (
            ["predict", "m", "in.jsonl", "--out", "o", "--given_entities", "--pruner_threshold", "0.1"],
            "--pruner_threshold has no effect with --given_entities",
        ),
        (["train", "demo", "--seed", "1", "--seeds", "1", "2"], "seed is given twice"),
        (["train", "demo", "--learning_rate", "1e-5", "training.learning_rate=2e-5"], "learning_rate is given twice"),
        (["train", "demo", "--encoder", "minilm", "encoder=minilm"], "encoder is given twice"),
        (["calibrate", "m", "--dataset", "sample", "--dtype", "auto"], "No such option"),
        (["app", "m", "--batch_tokens", "9"], "No such option"),
        (["predict", "m", "--text", "x", "--entity_threshold", "high"], "'high' is neither a number nor LABEL=NUMBER"),
    ],
)
def test_wrong_usage_ends_with_status_2_and_says_why(
    arguments: list[str], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert expected in output.err
    assert "Traceback" not in output.err


def test_the_files_of_one_split_are_exported_to_one_file(tmp_path: Path) -> None:
    for name in ("train-0", "train-1"):
        line = f'{{"doc_key": "{name}", "sentences": [["Ada"]], "ner": [[[0, 0, "PER"]]]}}\n'
        (tmp_path / f"{name}.jsonl").write_text(line, encoding="utf-8")
    assert main(["data", "export", str(tmp_path), "--out", str(tmp_path / "all.conll")]) == 0
    assert (tmp_path / "all.conll").read_text(encoding="utf-8").count("# newdoc") == 2


def test_hyphens_do_as_well_as_underscores(capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("--entity_threshold", "--entity-threshold"):
        assert main(["predict", "m", "--text", "x", name, "high"]) == 2
        assert "neither a number" in capsys.readouterr().err


def test_train_takes_several_seeds_and_what_it_does_not_know(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from plmarker.trainers.experiment import Experiment

    runs: list[Experiment] = []

    def run(experiment: Experiment, *_: Any) -> None:
        runs.append(experiment)

    monkeypatch.setattr("plmarker.trainers.training.run_experiment", run)
    words = ["entity.model.max_span_length=3", "training.weight_decay=0.5", "--learning-rate", "3e-5", "--bf16"]
    words += ["--warmup_steps=7", "--seeds", "1", "2", "--output-dir", str(tmp_path / "out"), "--max_steps", "-1"]
    assert main(["train", "demo", *words]) == 0
    assert [run.seed for run in runs] == [1, 2]
    assert [run.output_dir for run in runs] == [str(tmp_path / "out" / f"seed-{seed}") for seed in (1, 2)]
    for task in runs[0].tasks.values():
        given = {"learning_rate": 3e-5, "bf16": True, "warmup_steps": 7, "weight_decay": 0.5, "max_steps": -1}
        assert {name: task.training[name] for name in given} == given
    assert runs[0].tasks["entity"].model["max_span_length"] == 3


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("plmarker data ch", ["check"]),
        ("plmarker data export x --to j", ["jsonl"]),
        ("plmarker predict --dtype bf", ["bfloat16"]),
    ],
)
def test_the_shell_completes_commands_and_values(words: str, expected: list[str]) -> None:
    environment = {**os.environ, "_PLMARKER_COMPLETE": "complete_bash", "COMP_WORDS": words}
    environment["COMP_CWORD"] = str(len(words.split()) - 1)
    done = subprocess.run([sys.executable, "-m", "plmarker"], env=environment, capture_output=True, text=True)
    assert done.stdout.split() == expected


def test_a_full_disk_is_one_sentence(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    import plmarker.cli.show as command

    full = [
        OSError(errno.ENOSPC, "No space left on device"),
        RuntimeError("Error while serializing: I/O error: No space left on device (os error 28)"),
    ]
    caused = PLMarkerError("the folder cannot be written")
    caused.__cause__ = full[0]
    circle = PLMarkerError("another problem")
    circle.__context__ = ValueError("x")
    circle.__context__.__context__ = circle
    assert not disk_is_full(circle)
    for error in (*full, caused):

        def fail(*_: object, error: Exception = error) -> None:
            raise error

        monkeypatch.setattr(command, "read_extractions", fail)
        assert main(["show", "x.jsonl", "--out", "y.html"]) == 2
        assert capsys.readouterr().err.startswith("plmarker: error: the disk is full: ")


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (["data", "check", ""], "paths is empty"),
        (["data", "check", "a.jsonl", "--schema", ""], "schema is empty"),
        (["predict", "", "--text", "x"], "model is empty"),
        (["predict", "model", "a.txt", "--out", ""], "out is empty"),
        (["data", "check", "a.jsonl", "--json", "/"], "/: this is a folder, expected a file"),
    ],
)
def test_an_empty_name_or_a_folder_in_place_of_a_file_is_refused_at_once(
    call: list[str], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(call) == 2
    assert f"plmarker: error: {expected}" in capsys.readouterr().err
