"""Tests of the reader and the writer of CoNLL columns."""

import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from reading import entities

from plmarker.data import PLMarkerError, typed_document
from plmarker.data.formats import ReadingOptions, read_corpus
from plmarker.data.formats.columns import INVISIBLE, document_of_words, read_columns, write_columns
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


def test_a_file_in_the_original_layout_of_conll_2003_is_read(tmp_path):
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


def test_without_document_marks_every_sentence_is_a_document(tmp_path):
    path = written(tmp_path, "\n\nAda\tB-PER\n\n \t\nin\tO\nNew\tB-LOC\nYork\tI-LOC")
    documents, report = read(path)
    assert report.problems == []
    assert [document["doc_key"] for document in documents] == ["corpus-1", "corpus-2"]
    assert documents[1]["ner"] == [[{"start": 1, "end": 2, "label": "LOC"}]]


def test_every_sentence_before_the_first_mark_is_a_document(tmp_path):
    text = "Ada B-PER\n\nBob B-PER\n# newdoc id = c d\nEve B-PER\n\nYes O\n-DOCEND- O\n\n-DOCSTART-\nNo O\n"
    documents, _ = read(written(tmp_path, text))
    assert [document["doc_key"] for document in documents] == ["corpus-1", "corpus-2", "c d", "corpus-5"]
    assert [len(document["sentences"]) for document in documents] == [1, 1, 2, 1]


@pytest.mark.parametrize("ends", ["\n", "\r\n"])
def test_columns_are_separated_by_tabs_or_by_spaces(tmp_path, ends):
    lines = ["\ufeffNew York\tNNP\tB-LOC", "is NN   O", " big  O ", "10\u00a0000\u2028 B-NUM", "#\tO", "a\u0085b\tO"]
    documents, report = read(written(tmp_path, ends.join([*lines, ""])))
    assert report.problems == []
    assert documents[0]["sentences"] == [["New York", "is", "big", "10\u00a0000", "#", "a\u0085b"]]
    assert entities(documents[0]) == [("New York", "LOC"), ("10\u00a0000", "NUM")]


def test_the_scheme_is_guessed_from_the_whole_file_or_given(tmp_path):
    path = written(tmp_path, "Ada I-PER\nBob I-PER\n\nin O\nOslo S-LOC\n")
    assert [entities(document) for document in read(path)[0]] == [[("Ada Bob", "PER")], [("Oslo", "LOC")]]
    report = read(path, scheme="iob1")[1]
    assert [(problem.line, problem.fatal) for problem in report.problems] == [(5, True)]
    documents, report = read(path, scheme="none")
    assert report.problems == []
    assert entities(documents[0]) == [("Ada Bob", "I-PER")]


def test_every_problem_is_reported_with_its_line(tmp_path):
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
    expected = [
        (4, True, "'alone'"),
        (6, True, "'word'"),
        (8, True, "'word'"),
        (10, True, "'PER'"),
        (11, True, "'X-PER'"),
        (13, False, "'I-LOC'"),
    ]
    assert [(problem.line, problem.fatal) for problem in report.problems] == [case[:2] for case in expected]
    assert all(part in problem.message for problem, (_, _, part) in zip(report.problems, expected, strict=True))
    assert all(problem.path == str(path) for problem in report.problems)
    assert len(documents) == 2


@pytest.mark.parametrize("text", ["", "\n \n\t\n", "-DOCSTART- O\n\n# newdoc id = a\n"])
def test_a_file_without_words_is_reported(tmp_path, text):
    documents, report = read(written(tmp_path, text))
    assert documents == []
    [problem] = report.problems
    assert (problem.line, problem.fatal) == (0, True)
    assert "no words" in problem.message


def test_a_file_in_another_encoding_is_an_error(tmp_path):
    path = tmp_path / "latin.conll"
    path.write_bytes("Zoé B-PER\n".encode("latin-1"))
    with pytest.raises(PLMarkerError, match=r"latin\.conll.* UTF-8"):
        read(path)


def test_documents_are_written_as_iob2_with_their_names(tmp_path):
    document = document_of_words("a b", [["Ada", "Bell", "Bob"], [], ["Yes"]], [[(0, 1, "X"), (2, 2, "X")], [], []])
    unannotated = {**document_of_words("c", [["No"]], [[]]), "ner": None}
    write_columns(tmp_path / "new" / "out.conll", [document, unannotated])
    assert (tmp_path / "new" / "out.conll").read_bytes().decode() == (
        "# newdoc id = a b\nAda\tB-X\nBell\tI-X\nBob\tB-X\n\nYes\tO\n\n# newdoc id = c\nNo\tO\n\n"
    )


RELATION = {"head_start": 0, "head_end": 0, "tail_start": 1, "tail_end": 1, "label": "R"}


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        ({"sentences": [["Ada", "met  Bob"]]}, ["'met  Bob'", "'O'"]),
        ({"sentences": [["Ada", "\u00a0"]]}, [repr("\u00a0")]),
        ({"sentences": [["Ada", "a\nb"]]}, [repr("a\nb")]),
        ({"sentences": [["Ada", ""]]}, ["''"]),
        ({"sentences": [["Ada", "-DOCSTART-"]]}, ["'-DOCSTART-'"]),
        ({"ner": [[{"start": 0, "end": 0, "label": "A B"}]]}, ["'Ada'", "'B-A B'"]),
        ({"ner": [[{"start": 0, "end": 1, "label": "X"}, {"start": 1, "end": 1, "label": "Y"}]]}, ["'Y'"]),
        ({"relations": [[RELATION]]}, ["relations"]),
        ({"doc_key": "b\nc"}, ["name", repr("b\nc")]),
        ({"doc_key": " b"}, ["name", "' b'"]),
    ],
)
def test_a_document_that_columns_cannot_hold_is_an_error_and_no_file_is_left(tmp_path, changes, parts):
    valid = document_of_words("a", [["Ada", "Bell"]], [[(0, 0, "X")]])
    path = tmp_path / "out.conll"
    invalid = {**valid, "doc_key": "b", **changes}
    with pytest.raises(PLMarkerError) as error:
        write_columns(path, [valid, invalid])
    assert all(part in str(error.value) for part in [f"document {invalid['doc_key']!r}", *parts])
    assert list(tmp_path.iterdir()) == []


@given(data=st.data())
def test_flat_documents_are_preserved(data, typed_documents, without_empty_sentences):
    documents = data.draw(typed_documents(flat=True))
    # The reader leaves out words that nobody can see.
    assume(all(word.translate(INVISIBLE).strip() for d in documents for words in d["sentences"] for word in words))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "out.conll")
        write_columns(path, documents)
        report = ReadingReport()
        back = list(read_corpus(path, report, "conll", annotated=False))
    assert report.problems == []
    assert list(map(without_empty_sentences, back)) == list(map(without_empty_sentences, documents))


@pytest.mark.parametrize(
    ("name", "sentences", "n_entities"),
    [("wnut17train.conll", 3394, 1975), ("emerging.dev.conll", 1009, 836), ("emerging.test.annotated", 1287, 1079)],
)
def test_all_of_wnut_17_is_read(shared, name, sentences, n_entities):
    path = shared / "data" / "wnut17" / name
    if not path.is_file():
        pytest.skip("WNUT 17 is not in the folder 'shared'")
    documents, report = read(path)
    assert report.fatal == []
    assert sum(len(document["sentences"]) for document in documents) == len(documents) == sentences
    assert sum(len(entities(document)) for document in documents) == n_entities


def test_comments_before_a_sentence_are_counted_but_not_read(tmp_path):
    path = tmp_path / "a.conll"
    path.write_text("# id 1 domain=en\nAnn\tB-PER\n# O\n\n# text = # sings\n#\tO\n")
    report = ReadingReport()
    documents = list(read_columns(path, report, ReadingOptions(scheme="none")))
    assert [document["sentences"] for document in documents] == [[["Ann", "#"]], [["#"]]]
    assert report.counts["comments"] == 2


def test_a_document_without_words_cannot_be_written(tmp_path):
    with pytest.raises(PLMarkerError, match=r"document 'd'.* no words"):
        write_columns(tmp_path / "a.conll", [typed_document({"doc_key": "d", "sentences": [[]]})])


NUMBERED = "1\tAnna\tB-PER\tO\n2\tBell\tI-PER\tB-LOC\n3\tsings\tO\tO\n\n1\tBob\tB-PER\tO\n2\tsings\tO\tO\n3\t.\tO\tO\n"


@pytest.mark.parametrize(
    ("text", "words", "expected"),
    [
        # Running numbers, a tag, and an annotator, which is missing in some rows.
        (
            "# sent_id = 1\n1\tAnna\tB-PER\t-\teva\n2\tsees\tO\n3\tOslo\tB-LOC\t-\teva\n",
            ["Anna", "sees", "Oslo"],
            [("Anna", "PER"), ("Oslo", "LOC")],
        ),
        # Two layers, with the source of a sentence before it.
        (
            "#\thttps://example.org/a [2009]\n" + NUMBERED.split("\n\n")[0],
            ["Anna", "Bell", "sings"],
            [("Anna Bell", "PER"), ("Bell", "LOC")],
        ),
        # A header row.
        (
            "TOKEN\tNE-COARSE-LIT\tNE-NESTED\tMISC\nLe\tO\tO\t_\nDupont\tB-pers\tO\t_\n",
            ["Le", "Dupont"],
            [("Dupont", "pers")],
        ),
        # A tag before another column.
        ("It O +\nBrellin B-LOC -\nsings O +\n", ["It", "Brellin", "sings"], [("Brellin", "LOC")]),
        # The tag is a value in the last column.
        (
            "1\tAnna\tPROPN\tname=B-PER|gender=f\n2\tbor\tVERB\tname=O\n3\tOslo\tPROPN\tname=B-LOC\n",
            ["Anna", "bor", "Oslo"],
            [("Anna", "PER"), ("Oslo", "LOC")],
        ),
        # Label Studio's labels may have spaces.
        ("Aspirin -X- _ B-Drug Name\nhelps -X- _ O\n", ["Aspirin", "helps"], [("Aspirin", "Drug Name")]),
    ],
)
def test_known_layouts_are_found(tmp_path, text, words, expected):
    documents, report = read(written(tmp_path, text))
    assert report.fatal == []
    assert documents[0]["sentences"] == [words]
    assert sorted(entities(documents[0])) == sorted(expected)


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ("word=2,tag=3", [("Anna Bell", "PER")]),
        ("word=2,tag=4", [("Bell", "LOC")]),
        ("word=2,tag=last", [("Bell", "LOC")]),
        ("word=2,tag=3,tag=4", [("Anna Bell", "PER"), ("Bell", "LOC")]),
    ],
)
def test_columns_can_be_named(tmp_path, columns, expected):
    documents, _ = read(written(tmp_path, NUMBERED), columns=columns)
    assert entities(documents[0]) == expected


def test_columns_can_be_named_by_the_header_row(tmp_path):
    text = "id\tsurface\tmain\n7\tAnna\tB-PER\n9\tsings\tO\n"
    documents, report = read(written(tmp_path, text), columns="word=surface,tag=main")
    assert report.fatal == []
    assert documents[0]["sentences"] == [["Anna", "sings"]]
    assert entities(documents[0]) == [("Anna", "PER")]


@pytest.mark.parametrize("columns", ["word=2", "tag=x", "word=last,tag=1", "2,3", "tag=0"])
def test_columns_that_do_not_exist_are_refused(tmp_path, columns):
    with pytest.raises(PLMarkerError, match="columns"):
        read(written(tmp_path, NUMBERED), columns=columns)


@pytest.mark.parametrize(
    "text",
    [
        "Anna Acme\nsees Oslo\nthe sea\n",
        "1 Anna x eva\n2 sees x eva\n3 Oslo x eva\n",
        "".join(f"Anna w{number}\n" if number % 9 else "Anna O\n" for number in range(400)),
    ],
)
def test_files_without_a_column_of_tags_are_refused(tmp_path, text):
    documents, report = read(written(tmp_path, text))
    assert documents == []
    assert "--columns" in report.fatal[0].message


def tabs(rows: str) -> str:
    """Rows that `/` ends, with cells between spaces; `//` ends a sentence."""
    return rows.replace("/", "\n").replace(" ", "\t") + "\n"


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ("1-1 Anna B-PER/1-2 sees O/1-3 Oslo B-LOC//2-1 Bob B-PER/2-2 ran O", ["Anna sees Oslo", "Bob ran"]),
        ("t1 Anna B-PER/t2 ran O//t1 Bob B-PER/t2 left O", ["Anna ran", "Bob left"]),
        ("1. Anna B-PER/2. ran O//1. Bob B-PER/2. left O", ["Anna ran", "Bob left"]),
        # Places of the words in a text.
        ("0 Anna B-PER/5 sees O/10 Oslo B-LOC//16 Bob B-PER/20 ran O", ["Anna sees Oslo", "Bob ran"]),
        ("0 4 Anna B-PER/5 9 sees O/10 14 Oslo B-LOC//16 19 Bob B-PER/20 23 ran O", ["Anna sees Oslo", "Bob ran"]),
        # Words that a header row names.
        ("tokens ner_tags/Anna B-PER/ran O//Bob B-PER/left O", ["Anna ran", "Bob left"]),
        ("Words Labels/Anna PER/ran O//Bob PER/left O", ["Anna ran", "Bob left"]),
    ],
)
def test_the_words_are_found_behind_their_numbers_and_places(tmp_path, rows, expected):
    documents, report = read(written(tmp_path, tabs(rows)))
    assert report.fatal == []
    assert [" ".join(words) for document in documents for words in document["sentences"]] == expected
    people = [item for document in documents for item in entities(document) if item[1] == "PER"]
    assert people == [("Anna", "PER"), ("Bob", "PER")]


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ("0 Anna B-PER/0 ran O/1 Bob B-PER/1 left O", "numbers that do not grow"),
        ("d1 1 Anna B-PER/d1 2 ran O//d1 1 Bob B-PER/d1 2 left O", "one value in a whole sentence"),
        ("pain HB-DIS/in O/left DB-DIS/arm DI-DIS/and O/leg DB-DIS", "discontinuous"),
        ("Anna sees Oslo\tB-PER O B-LOC", "each line is a sentence"),
    ],
)
def test_rows_that_are_no_words_with_tags_are_refused(tmp_path, rows, reason):
    documents, report = read(written(tmp_path, rows + "\n" if "\t" in rows else tabs(rows)))
    assert documents == []
    assert reason in report.fatal[0].message


def test_phrases_behind_the_entities_are_no_entities(tmp_path):
    rows = "Anna NNP B-PER B-NP/sees VBZ O B-VP/Oslo NNP B-LOC B-NP/. . O O"
    documents, report = read(written(tmp_path, tabs(rows)))
    assert report.fatal == []
    assert entities(documents[0]) == [("Anna", "PER"), ("Oslo", "LOC")]


@pytest.mark.parametrize(
    ("rows", "advice"),
    [
        ("Anna NNP B-PER B-PER/sees VBZ O O/Oslo NNP B-LOC B-ORG/Bell NNP B-PER B-PER", "word=1,tag=3"),
        ("1 Anna B-PER B-PER/2 sees O O/3 Oslo B-LOC B-LOC", "word=2,tag=3"),
        ("Anna B-PER 0.9 B-PER/sees O 0.8 O/Oslo B-LOC 0.9 B-LOC", "word=1,tag=2"),
        ("Anna PER PER/sees O O/Oslo LOC LOC", "word=1,tag=2"),
        # Few predictions are right.
        ("Anna B-PER B-PER/Bell B-PER O/sees O O/Oslo B-LOC B-LOC/Rome B-LOC B-ORG/Acme B-ORG B-LOC", "word=1,tag=2"),
    ],
)
def test_annotated_beside_predicted_tags_are_refused(tmp_path, rows, advice):
    """conlleval takes such files. The union of both columns would be silently wrong."""
    documents, report = read(written(tmp_path, tabs(rows)))
    assert documents == []
    assert f"--columns {advice}" in report.fatal[0].message


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ("B_PER I_PER O", [("a b", "PER")]),
        ("PER-B PER-I O", [("a b", "PER")]),
        ("B:PER I:PER O", [("a b", "PER")]),
        ("B\u2013PER I\u2013PER O", [("a b", "PER")]),
        ("b-per i-per o", [("a b", "per")]),
        ("B I O", [("a b", "ENTITY")]),
        ("PER PER 0", [("a b", "PER")]),
        ("B-PER I-PER B-O", [("a b", "PER")]),
        ("I-O I-PER O", [("b", "PER")]),
    ],
)
def test_other_ways_to_write_tags_are_read_and_reported(tmp_path, tags, expected):
    text = "".join(f"{word}\t{tag}\n" for word, tag in zip("abc", tags.split(), strict=True))
    documents, report = read(written(tmp_path, text))
    assert report.fatal == []
    assert [
        problem.message
        for problem in report.problems
        if "is read as" in problem.message or "are read as" in problem.message
    ]
    assert entities(documents[0]) == expected


def test_blank_words_are_left_out_and_counted(tmp_path):
    text = "Anna\tB-PER\n\u3000\tI-PER\n\u200b\tO\n\tO\nOslo\tB-LOC\n\n###MEDLINE:12\n\nBob\tB-PER\n"
    documents, report = read(written(tmp_path, text))
    assert report.fatal == []
    assert report.counts["blank words"] == 3
    assert [document["doc_key"] for document in documents][1:] == ["12"]
    assert entities(documents[0]) == [("Anna", "PER"), ("Oslo", "LOC")]


def test_a_blank_word_that_begins_an_entity_is_a_problem(tmp_path):
    _, report = read(written(tmp_path, "Anna\tO\n\u3000\tB-PER\n"))
    assert report.fatal[0].line == 2


@pytest.mark.parametrize(
    ("text", "options", "expected"),
    [
        ("Hello world\n", {}, "the last column is never 'O'"),
        ("Ann works.\n", {}, "the last column is never 'O'"),
        ("Ada;B-PER\nsings;O\n", {}, "';' separates the columns, expected tabs or spaces"),
        ("word,tag\nAda,B-PER\n", {}, "',' separates the columns"),
        ("Ada B-PER\nsings O\n", {"columns": "word=1,tag=9"}, "word=1,tag=9 are not all there, since the rows have 2"),
        ("Ada B-PER\nsings O\n", {"columns": "word=1,tag=1"}, "column 1 cannot be the word and its tag"),
    ],
)
def test_raw_text_other_separators_and_columns_that_are_not_there_are_one_problem(
    tmp_path: Path, text: str, options: dict[str, Any], expected: str
) -> None:
    documents, report = read(written(tmp_path, text), **options)
    (problem,) = report.problems
    assert (documents, expected in problem.message, problem.fatal) == ([], True, True)


def test_the_language_before_all_words_is_left_out(tmp_path):
    documents, report = read(written(tmp_path, tabs("en:Anna B-PER/en:sings O//en:Bob B-PER/en:left O")))
    assert [document["sentences"] for document in documents] == [[["Anna", "sings"]], [["Bob", "left"]]]
    assert "'en:'" in report.problems[0].message


def test_layers_of_nested_entities_may_have_a_few_in_common(tmp_path):
    rows = ["Anna B-PER B-PER/Bell I-PER I-PER/ran O O"] * 2 + ["Oslo B-LOC O/is O O/big O O"] * 18
    documents, report = read(written(tmp_path, tabs("//".join(rows))))
    assert report.fatal == []
    assert entities(documents[0]) == [("Anna Bell", "PER")]
