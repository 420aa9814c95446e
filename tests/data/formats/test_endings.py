"""Names of files in capitals: a file is read as one in small letters is."""

import json
from pathlib import Path
from typing import Any

import pytest

from plmarker import PLMarkerError, load_documents
from plmarker.data.files import has_ending, partner
from plmarker.data.formats import common_format, guess_format, read_corpus
from plmarker.data.records import Inputs, read_lines
from plmarker.data.report import ReadingReport

COLUMNS = "Ada\tB-PER\nsings\tO\n"
TEXT, STANDOFF = "Ada sings", "T1\tPER 0 3\tAda\n"
WEIGHTED = {"doc_key": "a", "sentences": [["Ada", "sings"]], "ner": [[[0, 0, "PER"]]], "weight": 0.25}


def keys(path: Path) -> list[Any]:
    return [document["doc_key"] for document in read_corpus(path, ReadingReport())]


def test_an_ending_is_found_in_any_case(tmp_path):
    assert has_ending("A.JsonL", (".json", ".jsonl"))
    assert not has_ending("A.JSON.bak", ".json")
    (tmp_path / "A.ANN").touch()
    assert partner(tmp_path / "A.txt", ".txt", ".ann") == tmp_path / "A.ANN"
    assert partner(tmp_path / "B.TXT", ".txt", ".ann") == tmp_path / "B.ann"


def test_columns(tmp_path):
    path = tmp_path / "TRAIN.TSV"
    path.write_text(COLUMNS)
    assert keys(tmp_path) == keys(path) == ["TRAIN-1"]


def test_brat(tmp_path):
    (tmp_path / "A.TXT").write_text(TEXT)
    (tmp_path / "A.ANN").write_text(STANDOFF)
    assert guess_format(tmp_path / "A.TXT").name == guess_format(tmp_path).name == "brat"
    assert keys(tmp_path) == keys(tmp_path / "A.TXT") == keys(tmp_path / "A.ANN") == ["A"]


def test_weights(tmp_path):
    """They were lost where the name was in capitals."""
    path = tmp_path / "TRAIN.JSONL"
    path.write_text(json.dumps(WEIGHTED))
    assert load_documents(path)["train"]["weight"] == load_documents(tmp_path)["train"]["weight"] == [0.25]


def test_other_xml_beside_a_corpus(tmp_path):
    (tmp_path / "A.XML").write_text("<foo>bar</foo>")
    (tmp_path / "train.conll").write_text(COLUMNS)
    assert guess_format(tmp_path).name == "conll"
    assert keys(tmp_path) == ["train-1"]


@pytest.mark.parametrize("name", ["a.jsonl", "A.JSONL"])
def test_documents_for_prediction(tmp_path, name):
    path = tmp_path / name
    path.write_text(json.dumps({"text": "Ada sings"}))
    assert [record.is_json for record in read_lines(path)] == [True]


@pytest.mark.parametrize(
    ("name", "reason"), [("a.conll", "is a corpus"), ("A.CONLL", "is a corpus"), ("a.csv", "is a table")]
)
def test_corpora_and_tables_are_no_raw_text(tmp_path, name, reason):
    path = tmp_path / name
    path.write_text(COLUMNS)
    with pytest.raises(PLMarkerError, match=reason):
        Inputs(str(path)).check()


def test_columns_with_tabs_in_a_csv_are_read_where_the_format_is_named(tmp_path):
    path = tmp_path / "train.csv"
    path.write_text(COLUMNS)
    with pytest.raises(PLMarkerError, match="comma-separated"):
        guess_format(path)
    (document,) = read_corpus(path, ReadingReport(), "conll")
    assert document["sentences"] == [["Ada", "sings"]]


def test_hidden_files_and_those_of_a_mac_are_passed_over(tmp_path):
    for folder, name in (("train", "a"), ("__MACOSX/train", "._a"), (".git", "b")):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / f"{name}.txt").write_bytes(b"\0\5" if name == "._a" else TEXT.encode())
        (tmp_path / folder / f"{name}.ann").write_bytes(b"\0\5" if name == "._a" else STANDOFF.encode())
    assert keys(tmp_path) == ["train/a"]


def test_a_split_of_texts_beside_brat_lacks_its_annotations(tmp_path):
    for split in ("train", "test"):
        (tmp_path / split).mkdir()
        (tmp_path / split / "a.txt").write_text(TEXT)
    (tmp_path / "train" / "a.ann").write_text(STANDOFF)
    assert common_format([tmp_path / "train", tmp_path / "test"]).name == "brat"
    report = ReadingReport()
    assert list(read_corpus(tmp_path / "test", report, "brat")) == []
    assert "no .ann file" in report.fatal[0].message
