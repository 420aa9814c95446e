"""What annotation tools and libraries export: read right, or refused with what it is."""

import json
from typing import Any

import pytest
from reading import entities

from plmarker.data.formats import read_corpus
from plmarker.data.report import ReadingReport

TEXT = "Ada works for Acme in Oslo."
ADA, ACME = {"start": 0, "end": 3, "label": "PER"}, {"start": 14, "end": 18, "label": "ORG"}
PAIR = [TEXT, {"entities": [[0, 3, "PER"], [14, 18, "ORG"]]}]
WORDS = ["Ada", "Bell", "works"]


def read(path: Any) -> tuple[list[dict[str, Any]], ReadingReport]:
    report = ReadingReport()
    return list(read_corpus(path, report)), report


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.json", [PAIR, ["Nobody.", {"entities": []}]]),
        ("a.jsonl", PAIR),
        ("a.json", {"classes": ["PER", "ORG"], "annotations": [PAIR, None]}),
        ("a.json", [{"text": TEXT, "entities": [ADA, ACME], "relations": [{"head": 0, "tail": 1, "type": "FOR"}]}]),
        (
            "a.json",
            [
                {
                    "text": TEXT,
                    "entities": [
                        {"name": "Ada", "span": [0, 3], "type": "PER"},
                        {"text": "Acme", "pos": [14, 18], "entity_type": "ORG"},
                    ],
                }
            ],
        ),
    ],
    ids=["pairs", "pair a line", "annotations", "objects", "places"],
)
def test_entities_by_character_are_read(name, content, tmp_path):
    path = tmp_path / name
    path.write_text(json.dumps(content), encoding="utf-8")
    documents, report = read(path)
    assert report.problems == []
    assert entities(documents[0]) == [("Ada", "PER"), ("Acme", "ORG")]
    relations = [row["label"] for row in documents[0]["relations"][0]]
    assert relations == (["FOR"] if "FOR" in json.dumps(content) else [])


@pytest.mark.parametrize(
    ("entry", "part"),
    [
        # Ends that are off by one.
        ({"text": TEXT, "entities": [{"start": 0, "end": 2, "label": "PER", "text": "Ada"}]}, "inclusive"),
        ({"text": TEXT, "entities": [{"start": 1, "end": 4, "label": "PER", "text": "Ada"}]}, "'da '"),
        ({"tokens": WORDS, "entities": [{"type": "PER", "start": 0, "end": 1, "text": "Ada Bell"}]}, "'Ada Bell'"),
        # Other structures.
        ({"text": TEXT, "label": {"name": {"Ada": [[0, 2]]}}}, "[start, end, label]"),
        ({"version": "0", "data": [{"tokens": WORDS}]}, "another structure"),
        ({"tokens": WORDS, "ner_tags": [1, 0, 0]}, "numbers"),
    ],
)
def test_what_would_be_read_wrongly_is_refused(entry, part, tmp_path):
    path = tmp_path / "a.json"
    path.write_text(json.dumps([entry]), encoding="utf-8")
    documents, report = read(path)
    assert documents == []
    assert part in report.fatal[0].message


def test_other_names_of_keys_are_known(tmp_path):
    path = tmp_path / "a.jsonl"
    rows = [{"doc_id": 7}, {"id": "x"}, {"doc_key": "y", "doc_id": "z"}]
    lines = [{**row, "sentences": [WORDS], "ners": [[[0, 1, "PER"]]], "rel": [[[0, 0, 1, 1, "R"]]]} for row in rows]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    documents, report = read(path)
    assert [document["doc_key"] for document in documents] == ["7", "x", "y"]
    assert all(entities(document) == [("Ada Bell", "PER")] for document in documents)
    assert [document["relations"][0][0]["label"] for document in documents] == ["R"] * 3
    assert report.fatal == []


def test_tags_that_are_hidden_are_no_entities(tmp_path):
    path = tmp_path / "a.tsv"
    path.write_text("TOKEN\tNE-COARSE-LIT\tMISC\nAda\t_\t_\nruns\t_\t_\n", encoding="utf-8")
    (document,), report = read(path)
    assert document["ner"] == [[]]
    assert "zero gold entities" in report.fatal[0].message


def test_a_column_of_sentences_is_not_lost(tmp_path):
    path = tmp_path / "a.tsv"
    path.write_text("Sentence #\tWord\tTag\nSentence: 1\tAda\tB-per\nSentence: 2\tOslo\tB-geo\n", encoding="utf-8")
    documents, report = read(path)
    assert documents == []
    assert "'Sentence #'" in report.fatal[0].message
