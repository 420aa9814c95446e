"""Tests of guessing a format, and of the checks that all readers share."""

import inspect
import json
import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from reading import found

from plmarker.data import PLMarkerError, typed_document, write_documents
from plmarker.data.formats import FORMATS, ReadingOptions, check_options, folder_corpora, guess_format, read_corpus
from plmarker.data.report import ReadingReport

LINE = {"doc_key": "a", "sentences": [["Ada", "left"]], "ner": [[[0, 0, "PER"]]]}


@pytest.mark.parametrize(
    ("name", "content", "format"),
    [
        ("a.jsonl", json.dumps(LINE), "jsonl"),
        ("a.json", "\n\n" + json.dumps({**LINE, "text": "Ada left"}), "jsonl"),
        ("a.jsonl", json.dumps({"id": 1, "data": {"text": "x"}}), "offsets"),
        ("a.jsonl", "\n" + json.dumps({"text": "x", "spans": []}), "offsets"),
        ("a.json", " [\n" + json.dumps({"text": "x"}) + "]", "offsets"),
        ("a.json", "\ufeff[]", "offsets"),
        # Invalid JSON is reported by the reader, with its lines.
        ("a.jsonl", "{", "jsonl"),
        ("a.jsonl", "", "jsonl"),
        ("a.conll", "", "conll"),
        ("a.iob", "", "conll"),
        ("a.iob2", "", "conll"),
        ("a.bio", "", "conll"),
        ("a.tsv", "", "conll"),
        ("a.txt", "", "conll"),
        ("a.ann", "", "brat"),
        ("a.spacy", "", "docbin"),
        ("a.v4_gold_conll", "", "conll2012"),
        ("a.sgm", "", "ace"),
        ("b/c/a.ann", "", "brat"),
        ("b/c/a.sgm", "", "ace"),
    ],
)
def test_the_format_is_guessed_from_the_name_and_from_the_first_object(tmp_path, name, content, format):
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")
    assert guess_format(tmp_path / Path(name).parts[0]) is FORMATS[format]


@pytest.mark.parametrize("name", ["a.pdf", "noending", "folder/a.pdf"])
def test_an_unknown_ending_is_an_error(tmp_path, name):
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("x")
    top = tmp_path / Path(name).parts[0]
    for call in (lambda: guess_format(top), lambda: read(top)):
        with pytest.raises(PLMarkerError) as error:
            call()
        assert all(part in str(error.value) for part in (str(top), *FORMATS))


def read(path: Path, format: str | None = None, **options: Any) -> tuple[list[dict[str, Any]], ReadingReport]:
    report = ReadingReport()
    return list(read_corpus(path, report, format, **options)), report


@pytest.mark.parametrize("format", [None, *FORMATS])
def test_a_missing_path_is_an_error(tmp_path, format):
    with pytest.raises(PLMarkerError, match=r"nowhere\.jsonl: no such file"):
        read(tmp_path / "nowhere.jsonl", format)


def test_an_unknown_format_is_an_error(tmp_path):
    with pytest.raises(PLMarkerError) as error:
        read(tmp_path, "xml")
    assert all(part in str(error.value) for part in ("'xml'", *FORMATS))


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("scheme", "bio", ["auto", "iob1", "iob2", "bioes", "bilou", "none"]),
        ("words", "nltk", ["plmarker", "spacy", "spaces"]),
        ("extent", "tail", ["head", "full"]),
    ],
)
def test_an_unknown_option_is_an_error(name, value, allowed):
    with pytest.raises(PLMarkerError) as error:
        ReadingOptions(**{name: value})
    assert all(part in str(error.value) for part in (name, f"got {value!r}", *allowed))


def test_the_format_can_be_given_for_a_name_without_a_known_ending(tmp_path):
    path = tmp_path / "test.annotated"
    path.write_text("Ada\tB-PER\n")
    (document,), report = read(path, "conll")
    assert report.problems == []
    assert document["ner"] == [[{"start": 0, "end": 0, "label": "PER"}]]


def test_a_second_document_with_the_same_name_is_reported_and_left_out(tmp_path):
    path = tmp_path / "a.conll"
    path.write_text("# newdoc id = x\nAda B-PER\n\n# newdoc id = y\nBob B-PER\n\n# newdoc id = x\nEve B-PER\n")
    documents, report = read(path)
    assert [document["doc_key"] for document in documents] == ["x", "y"]
    assert documents[0]["sentences"] == [["Ada"]]
    [(line, fatal, message)] = found(report)
    assert (line, fatal) == (0, True)
    assert "document 'x'" in message


def test_a_document_that_breaks_the_exchange_format_is_reported_and_left_out(tmp_path):
    path = tmp_path / "a.conll"
    path.write_text("Ada B-NIL\n\nBob B-PER\n")
    documents, report = read(path)
    assert [document["sentences"] for document in documents] == [[["Bob"]]]
    [(line, fatal, message)] = found(report)
    assert (line, fatal) == (0, True)
    assert all(part in message for part in ("document 'a-1'", "sentence 0", "'NIL'"))


def test_two_labels_of_one_span_are_a_warning(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps({"text": "Ada left", "label": [[0, 3, "PER"], [0, 3, "ORG"]]}))
    documents, report = read(path)
    assert len(documents) == 1
    [(line, fatal, message)] = found(report)
    assert (line, fatal) == (0, False)
    assert all(part in message for part in ("document 'a-1'", "sentence 0", "2 labels"))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.conll", "Ada O\n\nleft O\n"),
        ("a.jsonl", "".join(json.dumps({**LINE, "doc_key": key, "ner": [[]]}) + "\n" for key in "ab")),
        ("a.json", json.dumps([{"text": "Ada", "label": []}, {"text": "left", "label": []}])),
    ],
)
def test_a_corpus_without_entities_is_reported_only_if_they_are_needed(tmp_path, name, content):
    path = tmp_path / name
    path.write_text(content)
    documents, report = read(path)
    assert len(documents) == 2
    [(line, fatal, message)] = found(report)
    assert (line, fatal) == (0, True)
    assert "gold entities" in message
    assert read(path, annotated=False)[1].problems == []


def test_problems_of_jsonl_are_reported_with_their_lines(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps(LINE) + "\n" + json.dumps(LINE) + "\n{\n")
    documents, report = read(path)
    assert len(documents) == 1
    assert [line for line, _, _ in found(report)] == [2, 3]


@pytest.mark.parametrize("name", [format.name for format in FORMATS.values() if format.write])
def test_a_format_is_guessed_and_read_from_the_files_that_it_writes(tmp_path, name):
    format = FORMATS[name]
    path = tmp_path / ("corpus" if format.folders else f"corpus{format.endings[0]}")
    document = typed_document(LINE)
    assert format.write is not None
    format.write(path, [document])
    (back,), report = read(path)
    assert guess_format(path) is format
    assert report.problems == []
    assert {**back, "relations": None} == document


def test_a_failed_write_of_jsonl_leaves_no_file(tmp_path):
    with pytest.raises(TypeError, match="not JSON serializable"):
        write_documents(tmp_path / "a.jsonl", [typed_document(LINE), typed_document({**LINE, "doc_key": object()})])
    assert list(tmp_path.iterdir()) == []


def test_another_corpus_in_a_folder_of_brat_or_ace_files_is_named(tmp_path):
    (tmp_path / "a.txt").write_text("Ada left.")
    (tmp_path / "a.ann").write_text("T1\tPER 0 3\tAda\n")
    (tmp_path / "labels.json").write_text("{}")
    (tmp_path / "annotation.conf").write_text("")
    assert read(tmp_path)[1].problems == []
    (tmp_path / "train.jsonl").write_text(json.dumps(LINE))
    (document,), report = read(tmp_path)
    assert document["doc_key"] == "a"
    assert found(report) == [(0, False, "left out: this folder is read as brat")]
    (tmp_path / "deeper").mkdir()
    (tmp_path / "deeper" / "b.sgm").write_text("<DOC></DOC>")
    [problem] = read(tmp_path)[1].problems
    assert str(problem).endswith("b.sgm: warning: left out, and 1 more: this folder is read as brat")


def test_another_corpus_beside_splits_of_brat_files_is_named(tmp_path):
    for split in ("train", "dev"):
        (tmp_path / f"{split}.txt").write_text("Ada left.")
        (tmp_path / f"{split}.ann").write_text("T1\tPER 0 3\tAda\n")
    (tmp_path / "test.jsonl").write_text(json.dumps(LINE))
    (tmp_path / "visual.conf").write_text("")
    corpus = folder_corpora(tmp_path)[""]
    assert corpus.splits.keys() == {"train", "validation"}
    assert corpus.left_out == {tmp_path / "test.jsonl": "this folder is read as brat"}


UNUSED = {"scheme": "iob2", "columns": "word=1,tag=2", "words": "spaces", "language": "de", "extent": "full"}
UNUSED |= {"annotator": "ada", "occurrences": "first"}


@pytest.mark.parametrize("name", FORMATS)
def test_an_option_that_a_format_does_not_use_is_an_error_and_not_ignored(tmp_path, name):
    path = tmp_path / "corpus"
    path.touch()
    assert UNUSED.keys() == {item.name for item in fields(ReadingOptions)}
    for option, value in UNUSED.items():
        options = ReadingOptions(**{option: value})
        if option in FORMATS[name].uses:
            check_options(path, name, options)
            continue
        expected = f"^{re.escape(str(path))}: the option {option} has no effect on the format {name}; it is for the for"
        with pytest.raises(PLMarkerError, match=expected):
            list(read_corpus(path, ReadingReport(), name, options))
    check_options(path, name, FORMATS[name].reading)


def test_the_message_about_an_unused_option_names_the_formats_that_use_it(tmp_path):
    path = tmp_path / "a.conll"
    with pytest.raises(PLMarkerError, match=r"extent has no effect on the format conll; it is for the formats ace$"):
        check_options(path, "conll", ReadingOptions(extent="full"))


def test_each_reader_uses_the_options_that_its_format_names():
    """A reader names its options in its own file, or passes them on by name."""
    for format in FORMATS.values():
        code = inspect.getsource(inspect.getmodule(format.read))
        used = set(re.findall(r"\boptions\.(\w+)", code)) if format.name != "jsonl" else set()
        assert used == set(format.uses), format.name


def test_scores_that_a_reading_drops_are_counted(tmp_path: Path) -> None:
    row = {"doc_key": "a", "sentences": [["Ada", "Oslo"]], "predicted_ner": [[[0, 0, "PER", 7.5, 0.9], [1, 1, "LOC"]]]}
    (tmp_path / "a.jsonl").write_text(json.dumps(row) + "\n", encoding="utf-8")
    report = ReadingReport()
    assert len(list(read_corpus(tmp_path / "a.jsonl", report, annotated=False))) == 1
    assert report.problems == []
    assert report.counts["scores of predictions that are not kept"] == 1
