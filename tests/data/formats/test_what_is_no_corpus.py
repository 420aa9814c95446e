"""Files that look like columns or JSON of a corpus and are none: refused, and not read as something else."""

import gzip
import json
from pathlib import Path

import pytest
from reading import found

from plmarker.data import PLMarkerError
from plmarker.data.formats import guess_format, read_corpus
from plmarker.data.report import ReadingReport

ROWS = "Ada\tB-PER\nsings\tO\n\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Ada Byron works at Acme Corp.\nBob sings.\n", "different numbers of columns, such as 2, 6; raw text has no"),
        # The numbers at the ends of two lines are not the tag "outside".
        ("We saw 0\nAda Byron sings well O\n" + "Bob met Ada.\n" * 9, "different numbers of columns, such as 3, 5"),
        ("Ada B-first name\nByron I-first name\nsings O\n\n", "words or labels with spaces need tabs"),
        ("doc1\t7\tAda\tB-PER\ndoc1\t8\tsings\tO\ndoc1\t9\t.\tO\n\n", "the first column has one value in a whole"),
        ("Ada\t1\nByron\t2\nsings\t0\n\n", "the tags are numbers, such as '1', expected labels"),
        ("The/O Ada/B-PER Byron/I-PER sings/O\n", "the last column is never 'O'"),
    ],
)
def test_raw_text_is_not_read_as_columns(tmp_path: Path, text: str, expected: str) -> None:
    path = tmp_path / "a.txt"
    path.write_text(text)
    report = ReadingReport()
    assert list(read_corpus(path, report)) == []
    assert expected in report.fatal[0].message


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("a.txt", b"<html><body><p>Ada <b>sings</b></p></body></html>\n", "this is a page of HTML"),
        ("a.txt", b'<ENAMEX TYPE="PERSON">Ada</ENAMEX> sings .\n', "this is text with entities as markup"),
        ("a.tsv", "Ada\tB-PER\n".encode("utf-16"), "this is text in UTF-16 or UTF-32: save it as UTF-8"),
        ("a.csv", b"word,tag\nAda,B-PER\n", "this is a table of comma-separated values"),
        ("a.json", json.dumps({"train": [{"text": "a"}], "dev": []}).encode(), "one object with the splits dev, train"),
        ("a.tsv", b"#FORMAT=WebAnno TSV 2\n1-1\tAda\tB-PER\n", "version 3 is read"),
        ("a.json", b'[{"documentName": "a", "document": "Ada", "tokens": [], "relations": []}]', "UBIAI"),
        ("a.json", b'{"examples": [{"example_id": "1"}], "relations": []}', "LightTag"),
        ("a.json", b'{"annotatable": {}, "anncomplete": true, "entities": []}', "tagtog"),
        ("a.jsonl", b'{"input": "a", "output": {"entities": {}}}', "GLiNER2"),
        ("a.jsonl", b'{"sentence": "Ada sings.", "ner": [["Ada", "PER"]], "rel": []}', "SciER"),
        ("a.txt", b'1\t"The <e1>ship</e1> left the <e2>port</e2>."\nOther\nComment:\n\n', "SemEval-2010"),
        ("a.rel", b"1|Ada fell ill.|ill|9|12|rum|20|23\n", "ADE"),
        ("a_entities.tsv", b"12\tT1\tCHEMICAL\t0\t3\trum\n", "ChemProt"),
        ("a_relations.tsv", b"12\tCPR:3\tY \tACTIVATOR\tArg1:T1\tArg2:T2\n", "ChemProt"),
        ("a_relations.tsv", b"12\tACTIVATOR\tArg1:T1\tArg2:T2\n", "ChemProt"),
        ("a.jsonl.gz", gzip.compress(b'{"doc_key": "a"}', mtime=0), "this file is packed: unpack it"),
    ],
)
def test_what_a_file_is_that_no_reader_takes(tmp_path: Path, name: str, content: bytes, expected: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(PLMarkerError, match=expected):
        guess_format(path)


def test_remarks_in_front_of_numbered_rows_are_no_words(tmp_path: Path) -> None:
    path = tmp_path / "a.tsv"
    path.write_text("# corpus X version 1\n# columns: id token label\n1\tAda\tB-PER\n2\t#\tO\n3\tsings\tO\n\n")
    report = ReadingReport()
    (document,) = read_corpus(path, report)
    assert document["sentences"] == [["Ada", "#", "sings"]]
    assert report.counts["comments"] == 2
    assert [fatal for _, fatal, _ in found(report)] == [False]


@pytest.mark.parametrize(
    "text",
    [
        # Numbers that go on in the next sentence.
        "1\tAda\tB-PER\n2\tsings\tO\n\n3\tBob\tB-PER\n4\tleft\tO\n\n",
        # Columns that spaces align.
        "1   Ada     B-PER\n2   sings   O\n\n1   Bob     B-PER\n2   left    O\n",
    ],
)
def test_numbers_are_no_words(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.tsv"
    path.write_text(text)
    documents = list(read_corpus(path, ReadingReport()))
    assert [document["sentences"] for document in documents] == [[["Ada", "sings"]], [["Bob", "left"]]]


def test_a_word_with_a_space_in_a_few_lines_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.conll"
    path.write_text("Ada B-PER\nsings O\n\n" * 20 + "10 000 O\n")
    report = ReadingReport()
    assert len(list(read_corpus(path, report))) == 21
    assert found(report) == [(61, False, "more than the usual 2 columns are in 1 of 41 lines, such as '10 000 O'")]


def test_the_splits_of_conll_2003_are_columns_by_their_names(tmp_path: Path) -> None:
    for name in ("eng.train", "eng.testa", "eng.testb"):
        (tmp_path / name).write_text(ROWS)
        assert guess_format(tmp_path / name).name == "conll"
    report = ReadingReport()
    documents = list(read_corpus(tmp_path, report))
    assert [document["doc_key"] for document in documents] == ["eng.testa-1", "eng.testb-1", "eng.train-1"]
    assert report.problems == []


def test_rows_of_conll_2012_are_known_by_their_first_line(tmp_path: Path) -> None:
    path = tmp_path / "a.conll"
    path.write_text("#begin document (a); part 000\n")
    assert guess_format(path).name == "conll2012"


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"a.txt": "Ada sings.\n", "a.a1": "T1\tPER 0 3\tAda\n", "a.a2": ""}, "BioNLP"),
        ({"train_abstracts.tsv": "1\tRum\tAda.\n", "train_entities.tsv": "1\tT1\tPER\t4\t7\tAda\n"}, "ChemProt"),
        ({"readme.md": "# Ada\n", "train.zip": "PK\x03\x04"}, "an archive"),
        ({"more/a.xml": "<?xml version='1.0'?>\n<document/>"}, "XML, which is read only from ACE"),
    ],
)
def test_a_folder_without_a_corpus_says_what_it_has(tmp_path: Path, files: dict[str, str], expected: str) -> None:
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    with pytest.raises(PLMarkerError, match=expected):
        guess_format(tmp_path)


def test_comments_of_klue_are_no_words(tmp_path: Path) -> None:
    path = tmp_path / "a.tsv"
    path.write_text("## klue-1\t<Ada:PER> sings\nAda\tB-PER\n \tO\n##\tO\nsings\tO\n\n", encoding="utf-8")
    report = ReadingReport()
    (document,) = read_corpus(path, report)
    assert document["sentences"] == [["Ada", "##", "sings"]]
    assert report.fatal == []
    assert report.counts["comments"] == 1
