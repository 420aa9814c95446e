"""What all formats have in common: telling them apart, and the checks of what they give."""

import json
from pathlib import Path
from typing import Any

import pytest
from reading import found

from plmarker.data import PLMarkerError, typed_document, write_documents
from plmarker.data.formats import FORMATS, ReadingOptions, guess_format, read_corpus
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
        # What is wrong with them is told with their lines when they are read.
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
def test_the_format_is_told_from_the_name_and_from_the_first_object(tmp_path, name, content, format):
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")
    assert guess_format(tmp_path / Path(name).parts[0]) is FORMATS[format]


@pytest.mark.parametrize("name", ["a.pdf", "noending", "a.jsonl.gz", "folder/a.pdf"])
def test_a_format_that_cannot_be_told_is_one_sentence(tmp_path, name):
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("x")
    top = tmp_path / Path(name).parts[0]
    for call in (lambda: guess_format(top), lambda: read(top)):
        with pytest.raises(PLMarkerError, match="which format it has cannot be told; it is one of jsonl, conll, brat"):
            call()


def read(path: Path, format: str | None = None, **options: Any) -> tuple[list[dict[str, Any]], ReadingReport]:
    report = ReadingReport()
    return list(read_corpus(path, report, format, **options)), report


@pytest.mark.parametrize("format", [None, *FORMATS])
def test_a_missing_path_is_one_sentence(tmp_path, format):
    with pytest.raises(PLMarkerError, match=r"nowhere\.jsonl: no such file or folder"):
        read(tmp_path / "nowhere.jsonl", format)


def test_an_unknown_format_is_one_sentence(tmp_path):
    with pytest.raises(PLMarkerError, match="there is no format 'xml', only jsonl, conll, brat"):
        read(tmp_path, "xml")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"scheme": "bio"}, "scheme is one of auto, iob1, iob2, bioes, bilou, none, got 'bio'"),
        ({"words": "nltk"}, "words is one of plmarker, spacy, spaces, got 'nltk'"),
        ({"extent": "tail"}, "extent is one of head, full, got 'tail'"),
    ],
)
def test_an_unknown_option_is_one_sentence(options, message):
    with pytest.raises(PLMarkerError, match=message):
        ReadingOptions(**options)


def test_the_format_is_given_where_the_name_does_not_tell_it(tmp_path):
    path = tmp_path / "test.annotated"
    path.write_text("Ada\tB-PER\n")
    (document,), report = read(path, "conll")
    assert report.problems == []
    assert document["ner"] == [[{"start": 0, "end": 0, "label": "PER"}]]


def test_documents_of_one_name_are_a_fault_and_the_first_is_kept(tmp_path):
    path = tmp_path / "a.conll"
    path.write_text("# newdoc id = x\nAda B-PER\n\n# newdoc id = y\nBob B-PER\n\n# newdoc id = x\nEve B-PER\n")
    documents, report = read(path)
    assert [document["doc_key"] for document in documents] == ["x", "y"]
    assert documents[0]["sentences"] == [["Ada"]]
    assert found(report) == [(0, True, "document 'x': a second document of this name; every one needs its own")]


def test_what_a_format_allows_and_documents_do_not_is_a_fault(tmp_path):
    path = tmp_path / "a.conll"
    path.write_text("Ada B-NIL\n\nBob B-PER\n")
    documents, report = read(path)
    assert [document["sentences"] for document in documents] == [[["Bob"]]]
    assert found(report) == [(0, True, "document 'a-1': sentence 0: entity [0, 0, 'NIL']: 'NIL' cannot be a label")]


def test_what_no_model_can_give_is_a_warning(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps({"text": "Ada left", "label": [[0, 3, "PER"], [0, 3, "ORG"]]}))
    documents, report = read(path)
    assert len(documents) == 1
    assert found(report) == [(0, False, "document 'a-1': sentence 0: span 0..0 has 2 labels, a model gives one")]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.conll", "Ada O\n\nleft O\n"),
        ("a.jsonl", "".join(json.dumps({**LINE, "doc_key": key, "ner": [[]]}) + "\n" for key in "ab")),
        ("a.json", json.dumps([{"text": "Ada", "label": []}, {"text": "left", "label": []}])),
    ],
)
def test_a_corpus_without_entities_is_a_fault_only_where_they_are_needed(tmp_path, name, content):
    path = tmp_path / name
    path.write_text(content)
    documents, report = read(path)
    assert len(documents) == 2
    assert found(report) == [(0, True, "zero gold entities in 2 documents")]
    assert read(path, annotated=False)[1].problems == []


def test_the_lines_of_jsonl_are_told(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps(LINE) + "\n" + json.dumps(LINE) + "\n{\n")
    documents, report = read(path)
    assert len(documents) == 1
    assert [line for line, _, _ in found(report)] == [2, 3]


@pytest.mark.parametrize("name", [format.name for format in FORMATS.values() if format.write])
def test_what_a_format_writes_it_reads_and_is_known_by(tmp_path, name):
    format = FORMATS[name]
    path = tmp_path / ("corpus" if format.folders else f"corpus{format.endings[0]}")
    document = typed_document(LINE)
    assert format.write is not None
    format.write(path, [document])
    (back,), report = read(path)
    assert guess_format(path) is format
    assert report.problems == []
    assert {**back, "relations": None} == document


def test_jsonl_that_cannot_be_written_leaves_no_file(tmp_path):
    with pytest.raises(TypeError, match="not JSON serializable"):
        write_documents(tmp_path / "a.jsonl", [typed_document(LINE), typed_document({**LINE, "doc_key": object()})])
    assert list(tmp_path.iterdir()) == []
