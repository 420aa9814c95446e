"""Columns of words and tags."""

import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from reading import entities

from plmarker.data import PLMarkerError, typed_document
from plmarker.data.formats import ReadingOptions, read_corpus
from plmarker.data.formats.columns import document_of_words, read_columns, write_columns
from plmarker.data.report import ReadingReport

CONLL2003 = """\
-DOCSTART- -X- -X- O

Ada NNP I-NP I-PER
Bell NNP I-NP I-PER
Bob NNP I-NP B-PER
left VBD I-VP O
Acme NNP I-NP I-ORG

Yes UH O O

-DOCSTART- -X- O O

Berlin NNP I-NP I-LOC
"""


def written(folder: Path, text: str, name: str = "corpus.conll") -> Path:
    path = folder / name
    path.write_bytes(text.encode("utf-8"))
    return path


def read(path: Path, **options: Any) -> tuple[list[dict[str, Any]], ReadingReport]:
    report = ReadingReport()
    return list(read_corpus(path, report, "conll", ReadingOptions(**options))), report


def test_a_file_as_conll_2003_came_is_read(tmp_path):
    documents, report = read(written(tmp_path, CONLL2003))
    assert report.problems == []
    assert [document["doc_key"] for document in documents] == ["corpus-1", "corpus-2"]
    assert documents[0]["sentences"] == [["Ada", "Bell", "Bob", "left", "Acme"], ["Yes"]]
    assert documents[0]["ner"][0][2] == {"start": 4, "end": 4, "label": "ORG"}
    assert documents[0]["relations"] is None
    assert [entities(document) for document in documents] == [
        [("Ada Bell", "PER"), ("Bob", "PER"), ("Acme", "ORG")],
        [("Berlin", "LOC")],
    ]


def test_without_marks_every_sentence_is_a_document_and_entities_count_in_it(tmp_path):
    path = written(tmp_path, "\n\nAda\tB-PER\n\n \t\nin\tO\nNew\tB-LOC\nYork\tI-LOC")
    documents, report = read(path)
    assert report.problems == []
    assert [document["doc_key"] for document in documents] == ["corpus-1", "corpus-2"]
    assert documents[1]["ner"] == [[{"start": 1, "end": 2, "label": "LOC"}]]


def test_sentences_before_the_first_mark_are_documents_of_their_own(tmp_path):
    text = "Ada B-PER\n\nBob B-PER\n# newdoc id = c d\nEve B-PER\n\nYes O\n-DOCSTART-\n\n-DOCSTART-\nNo O\n"
    documents, _ = read(written(tmp_path, text))
    assert [document["doc_key"] for document in documents] == ["corpus-1", "corpus-2", "c d", "corpus-5"]
    assert [len(document["sentences"]) for document in documents] == [1, 1, 2, 1]


@pytest.mark.parametrize("ends", ["\n", "\r\n"])
def test_words_are_parted_by_tabs_or_else_by_spaces(tmp_path, ends):
    lines = ["\ufeffNew York\tNNP\tB-LOC", "is NN   O", " big  O ", "10\u00a0000\u2028 B-NUM", "#\tO", "a\u0085b\tO"]
    documents, report = read(written(tmp_path, ends.join([*lines, ""])))
    assert report.problems == []
    assert documents[0]["sentences"] == [["New York", "is", "big", "10\u00a0000", "#", "a\u0085b"]]
    assert entities(documents[0]) == [("New York", "LOC"), ("10\u00a0000", "NUM")]


def test_the_scheme_is_told_from_the_whole_file_or_given(tmp_path):
    path = written(tmp_path, "Ada I-PER\nBob I-PER\n\nin O\nOslo S-LOC\n")
    assert [entities(document) for document in read(path)[0]] == [[("Ada Bob", "PER")], [("Oslo", "LOC")]]
    report = read(path, scheme="iob1")[1]
    assert [(problem.line, problem.fatal) for problem in report.problems] == [(5, True)]
    documents, report = read(path, scheme="none")
    assert report.problems == []
    assert entities(documents[0]) == [("Ada Bob", "I-PER")]


def test_every_mistake_is_told_with_its_line(tmp_path):
    lines = {
        1: "-DOCSTART- O",
        3: "Ada B-PER",
        4: "alone",
        5: "Bell I-PER",
        6: "word\t",
        7: "\tO",
        8: "word\t  ",
        9: "He I-PER",
        10: "went PER",
        11: "home X-PER",
        13: "to I-LOC",
        15: "# newdoc id = b",
        16: "Bob B-PER",
    }
    path = written(tmp_path, "\n".join(lines.get(number, "") for number in range(1, 17)))
    documents, report = read(path)
    assert [(problem.line, problem.fatal, problem.message) for problem in report.problems] == [
        (4, True, "a line is a word and its tag in columns, got 'alone' alone"),
        (6, True, "a line is a word and its tag in columns, got 'word' alone"),
        (7, True, "a line is a word and its tag in columns, got no word"),
        (8, True, "a line is a word and its tag in columns, got 'word' alone"),
        (10, True, "tag 'PER' is none of the scheme iob2"),
        (11, True, "tag 'X-PER' is none of the scheme iob2"),
        (13, False, "tag 'I-LOC' begins an entity, which iob2 does with B-"),
    ]
    assert all(problem.path == str(path) for problem in report.problems)
    assert len(documents) == 2


@pytest.mark.parametrize("text", ["", "\n \n\t\n", "-DOCSTART- O\n\n# newdoc id = a\n"])
def test_a_file_without_words_is_a_fault_of_the_file(tmp_path, text):
    documents, report = read(written(tmp_path, text))
    assert documents == []
    assert [(problem.line, problem.fatal, problem.message) for problem in report.problems] == [
        (0, True, "zero words with a tag, such as 'O'")
    ]


def test_a_file_in_another_encoding_is_one_sentence(tmp_path):
    path = tmp_path / "latin.conll"
    path.write_bytes("Zoé B-PER\n".encode("latin-1"))
    with pytest.raises(PLMarkerError, match=r"latin\.conll: not UTF-8 text"):
        read(path)


def test_what_is_written_is_iob2_with_names(tmp_path):
    document = document_of_words("a b", [["Ada", "Bell", "Bob"], [], ["Yes"]], [[(0, 1, "X"), (2, 2, "X")], [], []])
    unannotated = {**document_of_words("c", [["No"]], [[]]), "ner": None}
    write_columns(tmp_path / "new" / "out.conll", [document, unannotated])
    assert (tmp_path / "new" / "out.conll").read_bytes().decode() == (
        "# newdoc id = a b\nAda\tB-X\nBell\tI-X\nBob\tB-X\n\nYes\tO\n\n# newdoc id = c\nNo\tO\n\n"
    )


RELATION = {"head_start": 0, "head_end": 0, "tail_start": 1, "tail_end": 1, "label": "R"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sentences": [["Ada", "met  Bob"]]}, "'met  Bob', tagged 'O', cannot stand in a column"),
        ({"sentences": [["Ada", "\u00a0"]]}, "cannot stand in a column"),
        ({"sentences": [["Ada", "a\nb"]]}, "cannot stand in a column"),
        ({"sentences": [["Ada", ""]]}, "cannot stand in a column"),
        ({"sentences": [["Ada", "-DOCSTART-"]]}, "'-DOCSTART-', tagged 'O', cannot stand in a column"),
        ({"ner": [[{"start": 0, "end": 0, "label": "A B"}]]}, "'Ada', tagged 'B-A B', cannot stand in a column"),
        ({"ner": [[{"start": 0, "end": 1, "label": "X"}, {"start": 1, "end": 1, "label": "Y"}]]}, "nested"),
        ({"relations": [[RELATION]]}, "relations cannot be written as columns"),
        ({"doc_key": "b\nc"}, "its name cannot stand in a line"),
        ({"doc_key": " b"}, "its name cannot stand in a line"),
    ],
)
def test_what_columns_cannot_hold_is_refused_and_no_file_is_left(tmp_path, changes, message):
    right = document_of_words("a", [["Ada", "Bell"]], [[(0, 0, "X")]])
    path = tmp_path / "out.conll"
    with pytest.raises(PLMarkerError, match="document ") as error:
        write_columns(path, [right, {**right, "doc_key": "b", **changes}])
    assert message in str(error.value)
    assert list(tmp_path.iterdir()) == []


@given(data=st.data())
def test_flat_documents_survive_columns(data, typed_documents, without_empty_sentences):
    documents = data.draw(typed_documents(flat=True))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "out.conll")
        write_columns(path, documents)
        found, report = read(path)
    assert [problem for problem in report.problems if "zero gold entities" not in problem.message] == []
    assert found == [without_empty_sentences(document) for document in documents]


@pytest.mark.parametrize(
    ("name", "sentences", "n_entities"),
    [("wnut17train.conll", 3394, 1975), ("emerging.dev.conll", 1009, 836), ("emerging.test.annotated", 1287, 1079)],
)
def test_wnut_17_is_read_whole(shared, name, sentences, n_entities):
    path = shared / "data" / "wnut17" / name
    if not path.is_file():
        pytest.skip("needs WNUT 17 in the folder 'shared'")
    documents, report = read(path)
    assert report.fatal == []
    assert sum(len(document["sentences"]) for document in documents) == len(documents) == sentences
    assert sum(len(entities(document)) for document in documents) == n_entities


def test_comments_before_a_sentence_are_counted_not_read(tmp_path):
    path = tmp_path / "a.conll"
    path.write_text("# id 1 domain=en\nAnn\tB-PER\n# O\n\n# text = # sings\n#\tO\n")
    report = ReadingReport()
    documents = list(read_columns(path, report, ReadingOptions(scheme="none")))
    assert [document["sentences"] for document in documents] == [[["Ann", "#"]], [["#"]]]
    assert report.counts["comments"] == 2


def test_a_document_without_words_cannot_be_written(tmp_path):
    with pytest.raises(PLMarkerError, match="document 'd': without words"):
        write_columns(tmp_path / "a.conll", [typed_document({"doc_key": "d", "sentences": [[]]})])
