"""`plmarker data`: build, push, check, stats, convert."""

import json
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest
from datasets import load_dataset

from plmarker.cli import main
from plmarker.data import load_documents
from plmarker.data.loading import SAMPLE_FOLDER

COLUMNS = "-DOCSTART- -X- O O\n\nAnn NN I-NP B-PER\nsings NN I-NP O\n\nBob NN I-NP B-PER\n"


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    """Runs a command, and returns its status, its output, its error output and its JSON."""

    def run(*arguments: object) -> tuple[int, str, str, Any]:
        file = tmp_path / "result.json"
        status = main(["data", *map(str, arguments), "--json", str(file)])
        output = capsys.readouterr()
        return status, output.out, output.err, json.loads(file.read_text()) if file.exists() else None

    return run


@pytest.fixture
def columns(tmp_path: Path) -> Path:
    folder = tmp_path / "columns"
    folder.mkdir()
    for split in ("train", "valid", "test"):
        (folder / f"{split}.txt").write_text(COLUMNS)
    return folder


def test_build_makes_what_load_dataset_reads(run, columns, tmp_path):
    out = tmp_path / "mine"
    status, output, _, result = run("build", "conll", "--source", columns, "--out", out, "--title", "My corpus")
    assert status == 0
    assert "validation: 1 documents, 2 sentences, 2 entities, 0 relations" in output
    assert result["splits"]["documents"]["test"]["words"] == 3
    assert load_dataset(str(out), split="validation", cache_dir=str(tmp_path / "cache"))[0]["doc_key"] == "valid-1"
    assert "# My corpus" in (out / "README.md").read_text()


def test_a_known_corpus_is_built_from_an_archive(run, columns, tmp_path):
    archive = tmp_path / "corpus.tgz"
    with tarfile.open(archive, "w:gz") as file:
        file.add(columns, "conll2003")
    status, output, _, _ = run("build", "conll2003", "--source", archive, "--out", tmp_path / "out")
    assert status == 0
    assert "2 sentences" in output
    assert "14041" in output
    assert len(load_documents(tmp_path / "out")["test"]) == 1


def test_an_archive_cannot_write_elsewhere(run, columns, tmp_path):
    archive = tmp_path / "corpus.tgz"
    with tarfile.open(archive, "w:gz") as file:
        file.add(columns / "train.txt", "../outside.txt")
    status, _, error, _ = run("build", "conll2003", "--source", archive, "--out", tmp_path / "out")
    assert status == 2
    assert "corpus.tgz" in error
    assert "outside.txt" in error
    assert not (tmp_path.parent / "outside.txt").exists()


def test_an_archive_with_one_folder_keeps_its_splits(run, columns, tmp_path):
    archive = tmp_path / "corpus.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for path in columns.iterdir():
            file.write(path, f"corpus/{path.name}")
        # Two dots in a name are no way out of the folder.
        file.writestr("corpus/what now...txt", "Ann\tO\n")
    status, _, _, result = run("build", "conll", "--source", archive, "--out", tmp_path / "out")
    assert status == 0
    assert set(result["splits"]["documents"]) == {"train", "validation", "test"}
    assert any("what now...txt" in warning for warning in result["warnings"])
    assert all(str(archive) in warning for warning in result["warnings"])


@pytest.mark.parametrize(("arguments", "said"), [
    (["build", "ace99", "--source", "x", "--out", "y"], "no corpus or format 'ace99', only ace04"),
    (["build", "scierc", "--source", "nowhere", "--out", "y"], "nowhere: no such file or folder"),
    (["build", "fewnerd", "--source", ".", "--out", "y", "--config", "dev"], "'dev', only supervised"),
    (["build", "conll", "--source", "data/sample", "--out", "y", "--config", "a"], "there is no folder 'a' with"),
    (["build", "scierc", "--source", ".", "--out", "y", "--title", "a"], "--title means nothing for scierc"),
    (["check", "nowhere.jsonl"], "nowhere.jsonl: no such file or folder"),
    (["stats", "nowhere/at/all"], "nowhere/at/all: no such file or folder"),
    (["convert", "nowhere.conll", "--out", "x.jsonl"], "nowhere.conll: no such file or folder"),
    (["push", "nowhere", "--repo", "me/x"], "nowhere: no dataset that `plmarker data build` made"),
])  # fmt: skip
def test_bad_arguments_are_one_sentence(run, arguments, said):
    status, _, error, _ = run(*arguments)
    assert status == 2
    assert said in error
    assert len(error.splitlines()) == 1


def test_build_refuses_bad_files_with_the_first_ten_problems(run, tmp_path):
    bad = tmp_path / "train.conll"
    bad.write_text("alone\n" * 11)
    status, _, error, _ = run("build", "conll", "--source", bad, "--out", tmp_path / "out")
    assert status == 2
    assert f"{bad}:10: a line is a word and its tag" in error
    assert f"{bad}:11:" not in error
    assert "... and 2 more problems" in error
    assert not (tmp_path / "out").exists()


def test_check_reads_any_format_and_counts_the_alignment(run, tmp_path):
    (tmp_path / "a.txt").write_text("Ann sings.")
    (tmp_path / "a.ann").write_text("T1\tPER 0 3\tAnn\nT2\tX 5 9\tings\n")
    status, output, _, result = run("check", tmp_path)
    assert status == 0
    assert "1 exact, 1 widened" in output
    assert result["alignment"]["widened"] == 1
    assert "ner: PER 1 (Ann, a), X 1 (sings, a)" in output


def test_check_ends_with_a_status_of_its_own_where_there_are_problems(run, tmp_path):
    bad = tmp_path / "bad.conll"
    bad.write_text("Ann B-PER\nalone\n\nBob X\nsings O\n")
    status, output, _, result = run("check", bad)
    assert status == 1
    assert [line.split(": ")[0] for line in result["problems"]] == [f"{bad}:2", f"{bad}:4"]
    assert "1 documents, 2 problems" in output or "2 documents, 2 problems" in output


def test_stats_describe_and_draw(run, tmp_path):
    picture = tmp_path / "sample.svg"
    status, output, _, result = run("stats", "sample", "--encoder", "minilm", "--picture", picture)
    assert status == 0
    assert "| documents | 73 | 16 | 16 |" in output
    assert result["test"]["documents"] == 16
    assert "max_seq_length_loses" in result["train"]
    assert picture.stat().st_size > 10_000


def test_convert_goes_through_brat_and_back_unchanged(run, tmp_path):
    source = SAMPLE_FOLDER / "test.jsonl"
    assert run("convert", source, "--out", tmp_path / "brat")[0] == 0
    status, output, _, _ = run("convert", tmp_path / "brat", "--out", tmp_path / "back.jsonl", "--words", "spaces")
    assert status == 0
    assert " exact" in output
    first, second = (
        {d["doc_key"]: d for d in load_documents(path)["train"]} for path in (source, tmp_path / "back.jsonl")
    )
    assert first.keys() == second.keys()
    for key, document in first.items():
        assert second[key]["sentences"] == document["sentences"]
        for name in ("ner", "relations"):
            for rows, others in zip(document[name], second[key][name], strict=True):
                assert sorted(map(str, rows)) == sorted(map(str, others))


def test_convert_does_not_write_over_anything(run, columns, tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    source = columns / "train.txt"
    (tmp_path / "mine.jsonl").write_text("mine")
    for out in (source, tmp_path / "full", tmp_path / "mine.jsonl"):
        status, _, error, _ = run("convert", source, "--out", out)
        assert status == 2
        assert "would write over it" in error


def test_convert_names_what_a_format_cannot_hold_and_leaves_no_file(run, tmp_path):
    out = tmp_path / "sample.conll"
    status, _, error, _ = run("convert", SAMPLE_FOLDER / "test.jsonl", "--out", out)
    assert status == 2
    assert "relations cannot be written as columns of tags" in error
    assert not any(path.name.startswith("sample.conll") for path in tmp_path.iterdir())


def test_push_is_private_by_default(run, tmp_path, monkeypatch):
    asked: list[tuple[str, str, bool]] = []

    def push(folder: str, repo: str, public: bool) -> dict[str, Any]:
        asked.append((folder, repo, public))
        return {"repo": repo, "private": not public, "url": f"https://hub/{repo}"}

    monkeypatch.setattr("plmarker.data.repository.push_repository", push)
    assert "private" in run("push", "built", "--repo", "me/x")[1]
    assert "private" in run("push", "built", "--repo", "me/x", "--private")[1]
    assert "public" in run("push", "built", "--repo", "me/x", "--public")[1]
    assert [public for _, _, public in asked] == [False, False, True]


def test_options_that_the_format_does_not_use_are_refused_by_every_command(run, columns, tmp_path):
    file, out = columns / "train.txt", tmp_path / "out"
    commands = (
        ["check", file],
        ["export", file, "--out", tmp_path / "a.jsonl"],
        ["build", "--source", columns, "--out", out],
    )
    for words in commands:
        status, _, error, _ = run(*words, "--annotator", "ada")
        assert status == 2
        assert "the option annotator has no effect on the format conll; it is for the formats offsets\n" in error
        assert run(*words, "--scheme", "auto", "--language", "en")[0] == 0


def test_build_takes_a_language_for_the_card_where_reading_does_not_depend_on_it(run, columns, tmp_path):
    status, _, _, _ = run("build", "conll", "--source", columns, "--out", tmp_path / "out", "--language", "de")
    assert status == 0
    assert "language:\n- de\n" in (tmp_path / "out" / "README.md").read_text()
