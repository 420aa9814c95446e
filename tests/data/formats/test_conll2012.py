"""Tests of the reader of gold_conll files."""

from pathlib import Path
from typing import Any

import pytest

from plmarker.data.formats import guess_format, read_corpus
from plmarker.data.report import ReadingReport


def row(word: str, entity: str = "*") -> str:
    """Return the line of a word with twelve columns."""
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


def test_entities_are_read_from_brackets_and_relations_are_none(tmp_path):
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
        # There is no empty line before the end, and there are several between documents. Part 010 is number 10.
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


def test_windows_line_ends_are_read(tmp_path):
    path = write(tmp_path, begin(), row("Ada", "(PERSON)"), "", row("left"), "", END)
    unix = read(path)[0]
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert read(path)[0] == unix
    assert unix[0]["sentences"] == [["Ada"], ["left"]]


def test_a_document_without_words_is_left_out(tmp_path):
    documents, report = read(write(tmp_path, begin("a"), END, begin("b"), row("Ada"), "", END))
    assert [document["doc_key"] for document in documents] == ["b_0"]
    assert report.problems == []


ADA = row("Ada")


@pytest.mark.parametrize(
    ("lines", "line", "part"),
    [
        ((begin("a"), ADA, begin("b"), ADA, END), 3, "'a_0'"),
        (("#begin document tiny", ADA, END), 1, "'#begin document tiny'"),
        ((ADA, begin(), ADA, END), 1, "#begin document"),
        ((begin(), ADA, END, ADA), 4, "#begin document"),
        ((begin(), ADA, "bc/tiny 0 0 Bell NN * - - - - *", END), 3, "got 11"),
        ((begin(), ADA, row("[WORD]"), END), 3, "[WORD]"),
        ((begin(), ADA, row("Bell", "*)"), END), 3, "'*)'"),
        ((begin(), ADA, row("Bell", "GPE)"), END), 3, "'GPE)'"),
        ((begin(), row("Ada", "(GPE*"), row("Bell", "(ORG*)"), END), 3, "'(ORG*)'"),
        ((begin(), row("Ada", "(GPE(ORG*))"), END), 2, "'(GPE(ORG*))'"),
        ((begin(), row("Ada", "(GPE*"), "", ADA, END), 3, "'GPE'"),
        ((begin(), row("Ada", "(GPE*"), END), 3, "'GPE'"),
        ((begin("a"), ADA, END, begin("b"), ADA), 0, "'b_0'"),
        ((), 0, "no words"),
        ((begin(), "", END), 0, "no words"),
        # Two parts of a document need different numbers.
        ((begin(), ADA, END, begin(), ADA, END), 0, "'bc/tiny/00/tiny_0000_0'"),
    ],
)
def test_every_problem_is_reported_with_its_line(tmp_path, lines, line, part):
    path = write(tmp_path, *lines)
    _, report = read(path)
    assert [(problem.path, problem.line, problem.fatal) for problem in report.problems] == [(str(path), line, True)]
    assert part in report.problems[0].message


def test_several_problems_are_all_reported(tmp_path):
    lines = [begin(), row("Ada", "*)"), row("Bell", "(GPE*"), "", "Lund", END, ADA]
    _, report = read(write(tmp_path, *lines))
    assert [problem.line for problem in report.problems] == [2, 4, 5, 7]
