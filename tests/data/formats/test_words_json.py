"""JSON whose annotations count words."""

import json
from pathlib import Path
from typing import Any

import pytest
from reading import entities

from plmarker.data.formats import ReadingOptions, guess_format, read_corpus
from plmarker.data.report import ReadingReport

WORDS = ["Ada", "Bell", "runs", "Acme"]
GLINER = {"tokenized_text": WORDS, "ner": [[0, 1, "PER"], [3, 3, "ORG"]]}
ENDS = {"head": {"mention": "Ada Bell", "position": [0, 1]}, "tail": {"mention": "Acme", "position": [3, 3]}}
SPERT = {
    "tokens": WORDS,
    "entities": [{"type": "PER", "start": 0, "end": 2}, {"type": "ORG", "start": 3, "end": 4}],
    "relations": [{"type": "RUNS", "head": 0, "tail": 1}],
    "orig_id": 5,
}
DOCUMENT = {"doc_key": "d", "sentences": [WORDS], "ner": [[[0, 1, "PER"], [3, 3, "ORG"]]], "relations": [[]]}


def read(path: Path, **options: Any) -> tuple[list[dict[str, Any]], ReadingReport]:
    report = ReadingReport()
    return list(read_corpus(path, report, None, ReadingOptions(**options))), report


@pytest.mark.parametrize(
    "entry",
    [
        GLINER,
        {**GLINER, "relations": [{**ENDS, "relation_text": "RUNS"}]},
        SPERT,
        {"tokens": WORDS, "ner_tags": ["B-PER", "I-PER", "O", "B-ORG"]},
        {"words": WORDS, "tags": ["B_PER", "I_PER", "O", "B_ORG"]},
        DOCUMENT,
    ],
    ids=["gliner", "glirel", "spert", "tokens", "underscores", "document"],
)
@pytest.mark.parametrize("shape", ["array", "lines", "indented"])
def test_the_program_is_told_by_its_keys(tmp_path, entry, shape):
    path = tmp_path / "corpus.json"
    path.write_text(json.dumps([entry] if shape == "array" else entry, indent=1 if shape == "indented" else None))
    (document,), report = read(path)
    assert report.fatal == []
    assert document["sentences"] == [WORDS]
    assert entities(document) == [("Ada Bell", "PER"), ("Acme", "ORG")]
    relations = [row for rows in document["relations"] or () for row in rows]
    assert [(row["head_start"], row["tail_end"], row["label"]) for row in relations] == (
        [(0, 3, "RUNS")] if entry.get("relations") not in (None, [[]]) else []
    )


def test_documents_are_named_by_their_ids_or_by_the_file(tmp_path):
    path = tmp_path / "corpus.jsonl"
    path.write_text(json.dumps(SPERT) + "\n" + json.dumps(GLINER) + "\n")
    documents, _ = read(path)
    assert [document["doc_key"] for document in documents] == ["5", "corpus-2"]
    assert guess_format(path).name == "words"


@pytest.mark.parametrize(
    ("entry", "part"),
    [
        ({"tokens": WORDS, "ner_tags": ["O"]}, "4 words and 1 tags"),
        ({"tokens": WORDS, "ner_tags": [0, 0, 0, 1]}, "numbers"),
        ({"tokens": WORDS}, "keys tokens"),
        ({"tokns": WORDS, "entities": []}, "keys tokns"),
        ({"tokenized_text": WORDS}, "'ner'"),
        ({**SPERT, "relations": [{"type": "RUNS", "head": 0, "tail": 7}]}, "entity 7, expected"),
        ({**SPERT, "relations": [{"type": "RUNS", "head": 0, "tail": -1}]}, "entity -1, expected"),
        ({**GLINER, "ner": [[0, 9, "PER"]]}, "9"),
    ],
)
def test_problems_name_their_line(tmp_path, entry, part):
    path = tmp_path / "corpus.jsonl"
    path.write_text(json.dumps(GLINER) + "\n" + json.dumps(entry) + "\n")
    documents, report = read(path)
    assert len(documents) == 1
    assert part in report.fatal[0].message


def test_relations_beside_tags_are_reported(tmp_path: Path) -> None:
    entry = {"tokens": ["Ada", "left"], "ner_tags": ["B-PER", "O"], "relations": [{"head": 0, "tail": 0, "type": "x"}]}
    (tmp_path / "a.json").write_text(json.dumps([entry]))
    report = ReadingReport()
    (document,) = read_corpus(tmp_path / "a.json", report)
    assert document["ner"] == [[{"start": 0, "end": 0, "label": "PER"}]]
    assert [problem.fatal for problem in report.problems] == [False]
    assert "1 relations left out" in report.problems[0].message


@pytest.mark.parametrize(
    "entry",
    [
        {"words": WORDS, "tags": ["NNP", "NNP", "VBZ", "NNP"], "ner": ["B-PER", "I-PER", "O", "B-ORG"]},
        {"words": WORDS, "ner": ["B-PER", "I-PER", "O", "B-ORG"], "labels": ["news", "sport", "x", "y"]},
        {"text": " ".join(WORDS), "tokens": WORDS, "ner_tags": ["B-PER", "I-PER", "O", "B-ORG"]},
        {"text": " ".join(WORDS), **SPERT},
    ],
)
def test_the_tags_of_entities_are_found_beside_others(tmp_path, entry):
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps(entry))
    (document,), _ = read(path)
    assert entities(document) == [("Ada Bell", "PER"), ("Acme", "ORG")]


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        ({"tokens": WORDS, "tags": ["NNP", "NNP", "VBZ", "NNP"]}, "no tag is 'O'"),
        ({"tokens": WORDS, "tags": ["1", "2", "0", "3"]}, "numbers"),
        ({"tokens": WORDS, "ner": [{"start": 0, "end": 1, "label": "PER"}]}, "objects"),
        ({"tokenized_text": WORDS, "ner": [[0, 2, "PER", "Ada Bell"]]}, "are 'Ada Bell runs', expected 'Ada Bell'"),
    ],
)
def test_what_are_no_tags_is_refused(tmp_path, entry, reason):
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps(entry))
    documents, report = read(path)
    assert documents == []
    assert reason in report.fatal[0].message


def test_places_that_are_words_of_the_text_count_characters(tmp_path):
    row = {
        "text": "EU rejects it",
        "tokens": ["EU", "rejects", "it"],
        "entities": [{"start": 0, "end": 2, "type": "ORG"}],
    }
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps(row))
    (document,), _ = read(path)
    assert entities(document) == [("EU", "ORG")]
