"""Tests of the reader and the writer of brat files."""

import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from reading import counts, entities, found

from plmarker.data import PLMarkerError
from plmarker.data.formats import ReadingOptions, read_corpus
from plmarker.data.formats.brat import write_brat
from plmarker.data.formats.columns import document_of_words
from plmarker.data.formats.folders import same_corpus
from plmarker.data.report import ReadingReport

TEXT = "Ada Bell runs the Acme\nLabs of Zürich. She hired Bob and Eve Stone.\n"


def annotation(name: str, label: str, part: str, text: str = TEXT) -> str:
    start = text.index(part)
    return f"{name}\t{label} {start} {start + len(part)}\t{' '.join(part.split())}"


def written(folder: Path, *lines: str, text: str | None = TEXT, name: str = "a", ends: str = "\n") -> Path:
    path = folder / f"{name}.ann"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes("".join(line + ends for line in lines).encode())
    if text is not None:
        path.with_suffix(".txt").write_bytes(text.encode())
    return path


def read(path: Path, words: str = "plmarker", **options: Any) -> tuple[list[dict[str, Any]], ReadingReport]:
    report = ReadingReport()
    return list(read_corpus(path, report, "brat", ReadingOptions(words=words), **options)), report


REALISTIC = (
    # A relation may precede its entities.
    "R1\tRUNS Arg1:T1 Arg2:T2\t",
    annotation("T1", "PER", "Ada Bell"),
    annotation("T2", "ORG", "the Acme\nLabs of Zürich"),
    annotation("T3", "LOC", "Zürich"),
    # This entity has two pieces only because of the line break between them.
    f"T4\tORG {TEXT.index('Acme')} {TEXT.index('Acme') + 4};{TEXT.index('Labs')} {TEXT.index('Labs') + 4}\tAcme Labs",
    f"T5\tPER {TEXT.index('Bob')} {TEXT.index('Bob') + 3};{TEXT.index('Stone')} {TEXT.index('Stone') + 5}\tBob Stone",
    annotation("T6", "PER", "Eve Stone"),
    "R2\tHIRED Arg1:T1 Arg2:T6",
    "R3\tHIRED Arg1:T1 Arg2:T5",
    # The text of an entity is optional.
    f"T7\tHIRE {TEXT.index('hired')} {TEXT.index('hired') + 5}",
    "E1\tHIRE:T7 Agent:T1",
    "A1\tNegated E1",
    "M1\tNegated E1",
    "*\tAlias T1 T3",
    "N1\tReference T1 Wikipedia:1\tAda",
    "#1\tAnnotatorNotes T1\tis she?",
    "",
)


@pytest.mark.parametrize("ends", ["\n", "\r\n"])
@pytest.mark.parametrize("folder", [True, False])
def test_a_realistic_file_is_read(tmp_path, ends, folder):
    path = written(tmp_path, *REALISTIC, ends=ends)
    (document,), report = read(tmp_path if folder else path)
    assert document["doc_key"] == "a"
    assert document["sentences"][0] == ["Ada", "Bell", "runs", "the", "Acme", "Labs", "of", "Zürich", "."]
    assert entities(document) == [
        ("Ada Bell", "PER"),
        ("the Acme Labs of Zürich", "ORG"),
        ("Acme Labs", "ORG"),
        ("Zürich", "LOC"),
        ("Eve Stone", "PER"),
    ]
    assert document["relations"][0] == [
        {"head_start": 0, "head_end": 1, "tail_start": 3, "tail_end": 7, "label": "RUNS"},
        {"head_start": 0, "head_end": 1, "tail_start": 13, "tail_end": 14, "label": "HIRED"},
        {"head_start": 0, "head_end": 1, "tail_start": 7, "tail_end": 7, "label": "Alias"},
    ]
    line, fatal, message = found(report)[0]
    assert (line, fatal) == (6, False)
    assert "T5" in message
    assert "'Bob Stone'" in message
    assert counts(report) == {
        "discontinuous": 1,
        "other annotations": 5,
        "event triggers": 1,
        "exact": 5,
        "dropped relations": 1,
        "relations across sentences": 1,
    }


def heads_and_tails(document: dict[str, Any]) -> list[tuple[int, int]]:
    return [(row["head_start"], row["tail_start"]) for rows in document["relations"] for row in rows]


ROLES = (
    annotation("T1", "PER", "Ada Bell"),
    annotation("T2", "ORG", "Acme"),
    annotation("T3", "LOC", "Zürich"),
    "R1\tLives_In Person:T1 Place:T3",
    "R2\tLives_In Place:T2 Person:T1",
    "R3\tNear Arg2:T3 Arg1:T2",
)


def test_a_label_keeps_the_direction_of_its_first_roles(tmp_path):
    (document,), report = read(written(tmp_path, *ROLES))
    # "Ada" is word 0, "Acme" word 4, "Zürich" word 7.
    assert sorted(heads_and_tails(document)) == [(0, 4), (0, 7), (4, 7)]
    assert counts(report)["relations with roles in the other order"] == 1


def test_the_schema_says_which_role_comes_first(tmp_path):
    written(tmp_path, *ROLES)
    (tmp_path / "annotation.conf").write_text("[entities]\nPER\n[relations]\nLives_In  Place:LOC|ORG, Person:PER\n")
    (document,), report = read(tmp_path)
    assert sorted(heads_and_tails(document)) == [(4, 0), (4, 7), (7, 0)]
    assert counts(report)["relations with roles in the other order"] == 1


def test_many_annotations_inside_words_are_a_warning(tmp_path):
    text = "철수는 서울에서 산다."
    lines = (annotation("T1", "PER", "철수", text), annotation("T2", "LOC", "서울", text))
    _, report = read(written(tmp_path, *lines, text=text))
    (problem,) = [problem for problem in report.problems if "--words" in problem.message]
    assert not problem.fatal
    assert "2 annotations (100%)" in problem.message


def test_a_group_is_relations_of_its_first_entity_and_equivalences_are_not_read(tmp_path):
    lines = [*ROLES[:3], "*\tSynonym-of T1 T2 T3", "*\tEquiv T1 T2"]
    (document,), report = read(written(tmp_path, *lines))
    assert sorted(heads_and_tails(document)) == [(0, 4), (0, 7)]
    assert counts(report)["other annotations"] == 1


def test_offsets_count_every_character(tmp_path):
    text = "\ufeffA 👩🏽\u200d🚀 flew.\r\n\r\nZoe\u0301 stayed\r\nin Lodz.\r\n"
    parts = ["👩🏽\u200d🚀", "Zoe\u0301", "stayed\r\nin Lodz"]
    lines = [annotation(f"T{number}", "X", part, text) for number, part in enumerate(parts)]
    for words in ("plmarker", "spacy", "spaces"):
        lines_without_stop = lines if words != "spaces" else lines[:2]
        (document,), report = read(written(tmp_path, *lines_without_stop, text=text), words)
        assert found(report) == []
        assert counts(report)["exact"] == len(lines_without_stop)
        assert ("Zoe\u0301", "X") in entities(document)


def test_a_byte_order_mark_in_the_annotations_is_ignored(tmp_path):
    (document,), report = read(written(tmp_path, "\ufeff" + annotation("T1", "PER", "Ada Bell")))
    assert found(report) == []
    assert entities(document) == [("Ada Bell", "PER")]


def test_the_pieces_of_an_entity_may_be_in_any_order(tmp_path):
    start = TEXT.index("Labs")
    (document,), report = read(written(tmp_path, f"T1\tORG {start} {start + 4};18 22\tLabs Acme"))
    assert found(report) == []
    assert entities(document) == [("Acme Labs", "ORG")]


def test_every_problem_is_reported_with_its_line(tmp_path):
    length = len(TEXT)
    cases = [
        (annotation("T1", "PER", "Ada Bell"), None),
        ("T2 PER 0 3 Ada", ["'T2 PER 0 3 Ada'"]),
        ("T3\tPER 0\tAda", ["'T3\\tPER 0\\tAda'"]),
        ("T4\tPER 0 -3\tAda", ["'T4\\tPER 0 -3\\tAda'"]),
        ("T5\tPER 0 3\tBob", ["T5", "0 3", "'Ada'", "'Bob'"]),
        (f"T6\tPER 66 {length + 1}\tx", ["T6", f"66 {length + 1}", str(length)]),
        (f"T7\tPER 0 {length + 1};4 8\tx", ["T7", f"0 {length + 1};4 8", str(length)]),
        ("T8\tPER 3 3\t", ["T8", "3 3", str(length)]),
        ("T9\tPER 8 4\tx", ["T9", "8 4", str(length)]),
        ("T1\tPER 4 8\tBell", ["T1"]),
        ("R1 RUNS Arg1:T1 Arg2:T1", ["'R1 RUNS Arg1:T1 Arg2:T1'"]),
        ("R2\tRUNS Arg1:T1", ["'R2\\tRUNS Arg1:T1'"]),
        ("R3\tRUNS Arg1:T1 Arg2:T77", ["R3", "T77"]),
        # The entity T5 is invalid, so the relation has no such entity.
        ("R4\tRUNS Arg1:T5 Arg2:T1", ["R4", "T5"]),
        ("?", ["'?'"]),
        (" T10\tPER 0 3\tAda", ["' T10\\tPER 0 3\\tAda'"]),
    ]
    path = written(tmp_path, *(line for line, _ in cases))
    (document,), report = read(path)
    expected = {number: parts for number, (_, parts) in enumerate(cases, start=1) if parts}
    assert sorted(problem.line for problem in report.problems) == list(expected)
    for problem in report.problems:
        assert all(part in problem.message for part in expected[problem.line])
        assert problem.path == str(path)
        assert problem.fatal
    assert entities(document) == [("Ada Bell", "PER")]


def test_duplicate_annotations_are_kept_once_and_counted(tmp_path):
    lines = [annotation("T1", "PER", "Ada Bell"), annotation("T2", "PER", "Ada Bell"), annotation("T3", "ORG", "Acme")]
    path = written(tmp_path, *lines, "R1\tRUNS Arg1:T1 Arg2:T3", "R2\tRUNS Arg1:T2 Arg2:T3")
    (document,), report = read(path)
    assert found(report) == []
    assert len(document["relations"][0]) == 1
    assert counts(report) == {"exact": 3, "duplicates": 2}


def test_a_folder_is_read_with_its_subfolders_and_missing_files_are_reported(tmp_path):
    line = annotation("T1", "PER", "Ada Bell")
    written(tmp_path, line, name="b/x.y")
    written(tmp_path, line, name="a%2Fb c")
    lonely = written(tmp_path, line, name="lonely", text=None)
    (tmp_path / "b" / "plain.txt").write_text("No annotations.")
    documents, report = read(tmp_path)
    assert [document["doc_key"] for document in documents] == ["a/b c", "b/x.y"]
    assert [(problem.path, problem.line, problem.fatal) for problem in report.problems] == [
        (str(tmp_path / "b" / "plain.txt"), 0, False),
        (str(lonely), 0, True),
    ]
    assert "plain.ann" in report.problems[0].message
    assert "lonely.txt" in report.problems[1].message


def test_a_folder_without_annotations_is_reported(tmp_path):
    [(line, fatal, message)] = found(read(tmp_path)[1])
    assert (line, fatal) == (0, True)
    assert ".ann" in message


def test_an_empty_ann_file_is_a_document_without_entities(tmp_path):
    (document,), report = read(written(tmp_path), annotated=False)
    assert found(report) == []
    assert document["ner"] == [[], []]


def test_a_text_in_another_encoding_is_an_error(tmp_path):
    path = written(tmp_path, "T1\tPER 0 3\tZoé")
    path.with_suffix(".txt").write_bytes("Zoé".encode("latin-1"))
    with pytest.raises(PLMarkerError, match=r"a\.txt.* UTF-8"):
        read(tmp_path)


def document(**changes: Any) -> dict[str, Any]:
    relation = {"head_start": 0, "head_end": 1, "tail_start": 3, "tail_end": 3, "label": "OWNS"}
    sentences = [["Ada", "Bell"], [], ["owns", "Acme", "."]]
    valid = document_of_words("a", sentences, [[(0, 1, "PER"), (1, 1, "NAME")], [], [(1, 1, "ORG")]])
    return {**valid, "relations": [[relation], [], []], **changes}


def test_every_sentence_is_written_as_a_line(tmp_path):
    write_brat(tmp_path / "new", [document(), document(doc_key="b/c", ner=None, relations=None)])
    files = {path.name: path.read_bytes().decode() for path in (tmp_path / "new").iterdir()}
    assert files == {
        "a.txt": "Ada Bell\nowns Acme .\n",
        "a.ann": "T1\tPER 0 8\tAda Bell\nT2\tNAME 4 8\tBell\nT3\tORG 14 18\tAcme\nR1\tOWNS Arg1:T1 Arg2:T3\n",
        "b%2Fc.txt": "Ada Bell\nowns Acme .\n",
        "b%2Fc.ann": "",
    }


@pytest.mark.parametrize(
    ("changes", "value"),
    [
        ({"sentences": [["Ada", "B ell"], [], ["owns", "Acme", "."]]}, "B ell"),
        ({"sentences": [["Ada", "Bell\u2028"], [], ["owns", "Acme", "."]]}, "Bell\u2028"),
        ({"sentences": [["Ada", "B\x1fell"], [], ["owns", "Acme", "."]]}, "B\x1fell"),
        ({"ner": [[{"start": 0, "end": 1, "label": "A B"}], [], []]}, "A B"),
        ({"ner": [[{"start": 0, "end": 1, "label": "PER"}], [], []]}, "OWNS"),
        ({"ner": None}, "OWNS"),
    ],
)
def test_a_document_that_brat_cannot_hold_is_an_error_and_no_file_is_left(tmp_path, changes, value):
    with pytest.raises(PLMarkerError, match="document 'b'") as error:
        write_brat(tmp_path / "new", [document(), document(doc_key="b", **changes)])
    assert repr(value) in str(error.value)
    assert list(tmp_path.rglob("*.*")) == []


@pytest.mark.parametrize(
    "key", [".", "..", "a.txt", "a.ann", ".ann", "a/../b", "C:\\x", " ", "100%", "%41", "中文", "~"]
)
def test_document_names_are_preserved(tmp_path, key):
    write_brat(tmp_path, [document(doc_key=key)])
    (back,), report = read(tmp_path, "spaces")
    assert report.fatal == []
    assert back["doc_key"] == key
    # Files with a dot in front would be hidden.
    assert not list(tmp_path.glob(".*"))


@given(data=st.data())
def test_documents_are_preserved(data, typed_documents, without_empty_sentences):
    documents = data.draw(typed_documents())
    with tempfile.TemporaryDirectory() as folder:
        write_brat(folder, documents)
        back, report = read(Path(folder), "spaces", annotated=False)
    assert report.fatal == []
    assert set(counts(report)) <= {"exact", "relations across sentences"}
    expected = {document["doc_key"]: without_empty_sentences(document) for document in documents}
    assert {document["doc_key"]: without_empty_sentences(document) for document in back} == expected


@pytest.mark.parametrize("words", ["plmarker", "spaces", "spacy"])
def test_all_entities_of_litbank_are_on_word_borders(shared, words):
    folder = shared / "data" / "litbank"
    if not folder.is_dir():
        pytest.skip("LitBank is not in the folder 'shared'")
    documents, report = read(folder, words)
    assert len(documents) == 3
    assert report.fatal == []
    assert report.counts["exact"] == 466
    assert report.counts["widened"] == report.counts["dropped"] == 0
    assert sum(len(entities(document)) for document in documents) == 466 - report.counts["duplicates"]


PEOPLE = "Ann Lee works for Acme Corp in Oslo."
STANDOFF = "T1\tPer 0 7\tAnn Lee\nT2\tOrg 18 27\tAcme Corp\nT3\tLoc 31 35\tOslo\n"


def heads(folder: Path) -> list[int]:
    """The first word of the head of each relation."""
    documents = read_corpus(folder, ReadingReport(), "brat")
    return [row["head_start"] for document in documents for rows in document["relations"] for row in rows]


def put(folder: Path, relation: str) -> None:
    folder.mkdir(parents=True)
    (folder / "d.txt").write_text(PEOPLE)
    (folder / "d.ann").write_text(STANDOFF + relation + "\n")


def test_all_splits_have_one_direction(tmp_path):
    put(tmp_path / "train", "R1\tAt Place:T3 Org:T2")
    put(tmp_path / "test", "R1\tAt Org:T2 Place:T3")
    assert heads(tmp_path / "train") == heads(tmp_path / "test") == [7]


@pytest.mark.parametrize(
    "schema",
    [
        "[relations]\nAt Org:Org, Place:Loc\n",
        "\ufeff[relations]\r\nAt Org:Org, Place:Loc\r\n",
        "[relations]\n\tAt Org:Org, Place:Loc\n",
        "[relations]\n!At Org:Org, Place:Loc\n",
        "[ Relations ]\nAt Org:Org, Place:Loc\n",
    ],
)
def test_the_schema_is_read_however_it_is_written_and_from_above_the_splits(tmp_path, schema):
    put(tmp_path / "data" / "train", "R1\tAt Place:T3 Org:T2")
    (tmp_path / "annotation.conf").write_bytes(schema.encode())
    assert heads(tmp_path / "data" / "train") == [4]


def test_roles_that_the_schema_does_not_name_have_the_order_of_the_first_relation(tmp_path):
    put(tmp_path / "a", "R1\tAt Org:T2 Place:T3\nR2\tAt Place:T3 Org:T1")
    (tmp_path / "annotation.conf").write_text("[relations]\nAt Arg1:<ENTITY>, Arg2:<ENTITY>\n")
    assert sorted(heads(tmp_path / "a")) == [0, 4]


def test_the_splits_of_a_corpus_differ_in_one_word(tmp_path):
    for name in ("corpus_train", "corpus_test", "test_photos", "trainings", "corpus"):
        (tmp_path / name).mkdir()
    (tmp_path / "corpus_dev").touch()
    assert [path.name for path in same_corpus(tmp_path / "corpus_test")] == ["corpus_train", "corpus_test"]
    assert [path.name for path in same_corpus(tmp_path / "test_photos")] == ["test_photos"]
    assert [path.name for path in same_corpus(tmp_path / "corpus")] == ["corpus"]


def test_a_bad_file_of_another_split_does_not_matter(tmp_path):
    put(tmp_path / "train", "R1\tAt Place:T3 Org:T2")
    put(tmp_path / "test", "R1\tAt Org:T2 Place:T3")
    (tmp_path / "test" / "d.ann").write_bytes(b"T1\tPer 0 7\tAnn L\xe9e\n")
    assert heads(tmp_path / "train") == [7]
