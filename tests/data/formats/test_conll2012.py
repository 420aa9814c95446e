"""The reader of OntoNotes' gold_conll files."""

from pathlib import Path
from typing import Any

import pytest

from plmarker.data.formats import guess_format, read_corpus
from plmarker.data.report import ReadingReport


def row(word: str, entity: str = "*") -> str:
    """The line of a word, with its twelve columns."""
    return f"bc/tiny/00/tiny_0000   0    0    {word}   NN   (TOP*)   -   -   -   Ida   {entity}   -"


def begin(name: str = "bc/tiny/00/tiny_0000", part: str = "000") -> str:
    return f"#begin document ({name}); part {part}"


END = "#end document"


def write(folder: Path, *lines: str) -> Path:
    path = folder / "tiny_0000.v4_gold_conll"
    path.write_text("\n".join([*lines, ""]), encoding="utf-8")
    return path


def read(path: Path) -> tuple[list[dict[str, Any]], ReadingReport]:
    report = ReadingReport()
    return list(read_corpus(path, report, annotated=False)), report


def test_bracketed_entities_are_read_and_relations_are_none(tmp_path):
    lines = [
        *(begin(), row("Ada", "(PERSON*"), row("Bell", "*)"), row("left", "*"), row("Lund", "(GPE)"), row("."), ""),
        *(row("Two", "(CARDINAL)"), row("May", "(DATE*"), row("or"), row("June", "*)"), "", END),
    ]
    path = write(tmp_path, *lines)
    assert guess_format(path).name == "conll2012"
    documents, report = read(path)
    assert report.problems == []
    assert documents == [
        {
            "doc_key": "bc/tiny/00/tiny_0000_0",
            "sentences": [["Ada", "Bell", "left", "Lund", "."], ["Two", "May", "or", "June"]],
            "ner": [
                [{"start": 0, "end": 1, "label": "PERSON"}, {"start": 3, "end": 3, "label": "GPE"}],
                [{"start": 5, "end": 5, "label": "CARDINAL"}, {"start": 6, "end": 8, "label": "DATE"}],
            ],
            "relations": None,
            "predicted_ner": None,
            "predicted_relations": None,
        }
    ]


def test_each_part_of_each_document_is_a_document(tmp_path):
    lines = [
        *(begin("a"), row("One"), "", END),
        *(begin("a", "001"), row("Two", "(CARDINAL)"), "", END),
        # No empty line before the end, and several between documents; a part of 010 is the tenth.
        *("", "", begin("b (c)", "010"), row("Three"), END),
    ]
    documents, report = read(write(tmp_path, *lines))
    assert report.problems == []
    assert [(document["doc_key"], document["sentences"]) for document in documents] == [
        ("a_0", [["One"]]),
        ("a_1", [["Two"]]),
        ("b (c)_10", [["Three"]]),
    ]
    assert [document["ner"] for document in documents] == [[[]], [[{"start": 0, "end": 0, "label": "CARDINAL"}]], [[]]]


def test_line_ends_of_windows_are_line_ends(tmp_path):
    path = write(tmp_path, begin(), row("Ada", "(PERSON)"), "", row("left"), "", END)
    unix = read(path)[0]
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert read(path)[0] == unix
    assert unix[0]["sentences"] == [["Ada"], ["left"]]


def test_a_document_without_words_is_none(tmp_path):
    documents, report = read(write(tmp_path, begin("a"), END, begin("b"), row("Ada"), "", END))
    assert [document["doc_key"] for document in documents] == ["b_0"]
    assert report.problems == []


ADA = row("Ada")


@pytest.mark.parametrize(
    ("lines", "line", "message"),
    [
        ((begin(), ADA, begin(part="001"), ADA, END), 3, "a document begins inside another"),
        (("#begin document tiny", ADA, END), 1, "expected '#begin document (NAME); part N'"),
        ((ADA, begin(), ADA, END), 1, "a word outside any document"),
        ((begin(), ADA, END, ADA), 4, "a word outside any document"),
        ((begin(), ADA, "bc/tiny 0 0 Bell NN * - - - - *", END), 3, "11 columns, expected 12 or more"),
        ((begin(), ADA, row("[WORD]"), END), 3, "[WORD] in place of a word; first fill the skeleton with OntoNotes"),
        ((begin(), ADA, row("Bell", "*)"), END), 3, "named entity '*)' does not fit what is open before it"),
        ((begin(), ADA, row("Bell", "GPE)"), END), 3, "named entity 'GPE)' does not fit what is open before it"),
        ((begin(), row("Ada", "(GPE*"), row("Bell", "(ORG*)"), END), 3, "named entity '(ORG*)' does not fit"),
        ((begin(), row("Ada", "(GPE(ORG*))"), END), 2, "named entity '(GPE(ORG*))' does not fit"),
        ((begin(), row("Ada", "(GPE*"), "", ADA, END), 3, "entity of type 'GPE' is not closed in its sentence"),
        ((begin(), row("Ada", "(GPE*"), END), 3, "entity of type 'GPE' is not closed in its sentence"),
        ((begin("a"), ADA, END, begin("b"), ADA), 0, "document 'b_0' has no '#end document'"),
        ((), 0, "zero words"),
        ((begin(), "", END), 0, "zero words"),
        # Parts are told apart by their numbers.
        ((begin(), ADA, END, begin(), ADA, END), 0, "document 'bc/tiny/00/tiny_0000_0': a second document"),
    ],
)
def test_every_mistake_is_told_with_its_line(tmp_path, lines, line, message):
    path = write(tmp_path, *lines)
    _, report = read(path)
    assert [(problem.path, problem.line, problem.fatal) for problem in report.problems] == [(str(path), line, True)]
    assert report.problems[0].message.startswith(message)


def test_several_mistakes_are_all_told(tmp_path):
    lines = [begin(), row("Ada", "*)"), row("Bell", "(GPE*"), "", "Lund", END, ADA]
    _, report = read(write(tmp_path, *lines))
    assert [problem.line for problem in report.problems] == [2, 4, 5, 7]
