"""Predictions become tasks of annotation tools, and the readers read what the tools give back."""

import json
from pathlib import Path

import pytest

from plmarker.cli import main
from plmarker.data.formats import read_corpus
from plmarker.data.report import ReadingReport

TEXT = "Ada Bell runs Acme-Corp 🙂 in Oslo."
ROWS = [(0, 8, "PER", 0.9), (14, 18, "ORG", 0.3), (29, 33, "LOC", 0.8)]
FOUND = {
    "doc_key": "a",
    "text": TEXT,
    "entities": [{"start": s, "end": e, "label": label, "score": score} for s, e, label, score in ROWS],
    "relations": [{"head": 0, "tail": 1, "label": "RUNS", "score": 0.7}],
}
SURE = {"doc_key": "b", "text": "Ada.", "entities": [{"start": 0, "end": 3, "label": "PER", "score": 0.99}]}
NOTHING = {"doc_key": "c", "text": "No.", "entities": [], "relations": []}


@pytest.mark.parametrize("tool", ["label-studio", "prodigy", "doccano"])
def test_tasks_go_to_a_tool_and_come_back(tool: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, out = tmp_path / "found.jsonl", tmp_path / "tasks.jsonl"
    source.write_text("".join(json.dumps(row) + "\n" for row in (NOTHING, SURE, FOUND)))
    command = ["data", "export", str(source), "--tool", tool, "--order", "uncertainty", "--out", str(out)]
    assert main(command) == 0
    assert "3 tasks, 4 entities, 1 relations" in capsys.readouterr().out
    if tool == "label-studio":
        tasks = json.loads(out.read_text(encoding="utf-8"))
        assert [task["data"]["doc_key"] for task in tasks] == ["a", "b", "c"]
        assert tasks[0]["predictions"][0]["score"] == pytest.approx(0.3)
        # A person accepts the predictions.
        for number, task in enumerate(tasks):
            task |= {"id": number, "annotations": task.pop("predictions")}
        out.write_text(json.dumps(tasks))
    if tool == "prodigy":
        lines = [json.loads(line) | {"answer": "accept"} for line in out.read_text(encoding="utf-8").splitlines()]
        assert [token["text"] for token in lines[0]["tokens"]][:5] == ["Ada", "Bell", "runs", "Acme", "-Corp"]
        assert lines[0]["tokens"][3]["ws"] is False
        assert (lines[0]["spans"][0]["token_start"], lines[0]["spans"][0]["token_end"]) == (0, 1)
        out.write_text("".join(json.dumps(line) + "\n" for line in lines))
    report = ReadingReport()
    documents = list(read_corpus(out, report, "offsets"))
    assert report.fatal == []
    # Label Studio's own numbers are unique, and go before the names that several of its tasks may share.
    names = ["0", "1", "2"] if tool == "label-studio" else ["a", "b", "c"]
    assert [document["doc_key"] for document in documents] == names
    (words, *_), (ner, *_), (relations, *_) = (documents[0][key] for key in ("sentences", "ner", "relations"))
    found = [(" ".join(words[row["start"] : row["end"] + 1]), row["label"]) for row in ner]
    # Acme is a part of the word Acme-Corp here.
    assert found == [("Ada Bell", "PER"), ("Acme-Corp", "ORG"), ("Oslo", "LOC")]
    assert [row["label"] for row in relations] == ["RUNS"]
    assert main(command) == 2
    assert "exists" in capsys.readouterr().err


def test_order_and_tool_belong_together(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = tmp_path / "found.jsonl"
    source.write_text(json.dumps(SURE) + "\n")
    assert main(["data", "export", str(source), "--order", "uncertainty", "--out", str(tmp_path / "x.jsonl")]) == 2
    assert "--order needs --tool" in capsys.readouterr().err
