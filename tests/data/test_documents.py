"""The exchange format, and the checks of JSONL files."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plmarker.data import (
    DOCUMENT_FEATURES,
    LabelSchema,
    PLMarkerError,
    check_file,
    dataset_of,
    raw_document,
    read_documents,
    typed_document,
    write_documents,
)

SCHEMA = LabelSchema(("PER", "ORG"), ("OWNS",))


def raw(**changes: Any) -> dict[str, Any]:
    """Make a valid document with changes. A field that is changed to None is removed."""
    # The relations refer to the default entities.
    if "ner" in changes:
        changes = {"relations": None, **changes}
    document = {
        "doc_key": "a",
        "sentences": [["Ada", "owns", "Acme", "."], ["Yes", "."]],
        "ner": [[[0, 0, "PER"], [2, 2, "ORG"]], []],
        "relations": [[[0, 0, 2, 2, "OWNS"]], []],
        **changes,
    }
    return {name: value for name, value in document.items() if value is not None}


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Write lines to a file. A line is a text or a document."""

    def write(*lines: str | dict[str, Any]) -> Path:
        path = tmp_path / "corpus.jsonl"
        texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
        path.write_text("\n".join(texts) + "\n", encoding="utf-8")
        return path

    return write


def problems_of(path: Path, **options: Any) -> list[tuple[int, bool, str]]:
    return [(problem.line, problem.fatal, problem.message) for problem in check_file(path, **options)[1]]


WORDS = st.text('aé🙂\u2028"\\ ', max_size=3)


@st.composite
def raw_documents(draw: st.DrawFn) -> dict[str, Any]:
    sentences = draw(st.lists(st.lists(WORDS, max_size=4), max_size=3))
    document: dict[str, Any] = {"doc_key": draw(st.text("ab", min_size=1)), "sentences": sentences}
    for name in ("ner", "predicted_ner"):
        if draw(st.booleans()):
            document[name] = [[[0, 1, draw(WORDS)]] * draw(st.integers(0, 2)) for _ in sentences]
    for name in ("relations", "predicted_relations"):
        if draw(st.booleans()):
            document[name] = [[[0, 1, 2, 3, draw(WORDS)]] * draw(st.integers(0, 2)) for _ in sentences]
    return document


@given(raw_documents())
def test_a_document_is_unchanged_after_conversion_to_the_typed_form_and_back(document):
    typed = typed_document(document)
    assert raw_document(typed) == document
    assert raw_document(dataset_of([typed])[0]) == document


@given(documents=st.lists(raw_documents(), max_size=3, unique_by=lambda document: document["doc_key"]))
def test_documents_are_unchanged_after_writing(documents, tmp_path_factory):
    path = tmp_path_factory.mktemp("documents") / "new" / "corpus.jsonl"
    write_documents(path, [typed_document(document) for document in documents])
    lines = path.read_text(encoding="utf-8").split("\n")[:-1]
    assert [json.loads(line) for line in lines] == documents


def test_an_interrupted_write_keeps_the_old_file(tmp_path):
    def interrupted():
        yield typed_document(raw())
        raise OSError("the disk is gone")

    path = tmp_path / "corpus.jsonl"
    path.write_text("old")
    with pytest.raises(OSError, match="disk"):
        write_documents(path, interrupted())
    assert path.read_text() == "old"


def test_a_valid_file_gives_typed_documents_without_problems(write):
    documents, problems = check_file(write(raw(), "", raw(doc_key="b", relations=None)), SCHEMA)
    assert problems == []
    assert documents[0]["ner"][0][1] == {"start": 2, "end": 2, "label": "ORG"}
    assert documents[0]["relations"][0] == [
        {"head_start": 0, "head_end": 0, "tail_start": 2, "tail_end": 2, "label": "OWNS"}
    ]
    assert documents[1]["relations"] is None
    assert dataset_of(documents).features == DOCUMENT_FEATURES


def test_an_unknown_key_is_a_warning_and_is_left_out(write):
    documents, problems = check_file(write(raw(clusters=[[[0, 0], [2, 2]]], title="x")))
    assert [problem.fatal for problem in problems] == [False]
    assert "'title'" in problems[0].message
    assert documents == [typed_document(raw())]


def test_scores_after_predicted_labels_are_left_out(write):
    documents, problems = check_file(write(raw(predicted_ner=[[[0, 0, "PER", 0.9]], []])))
    assert problems == []
    assert documents[0]["predicted_ner"][0] == [{"start": 0, "end": 0, "label": "PER"}]


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("{", "broken JSON"),
        ('{"doc_key": "b", }', "broken JSON"),
        ("[]", "got list"),
        ("[" * 100_000, "broken JSON"),
        (raw(doc_key=None), "the key 'doc_key' is missing"),
        (raw(doc_key=""), "got ''"),
        (raw(doc_key=7), "got 7"),
        (raw(doc_key=["b"]), "got ['b']"),
        (raw(sentences=None), "the key 'sentences' is missing"),
        (raw(sentences=["Ada", "Bell"]), "got ['Ada', 'Bell']"),
        (raw(sentences=[["Ada", 1]]), "got [['Ada', 1]]"),
        (raw(ner=[[]]), "got 1 lists"),
        (raw(ner={}), "got {}"),
        (raw(ner=[[], 7]), "got 7"),
        (raw(ner=[[[0, "PER"]], []]), "got [0, 'PER']"),
        (raw(ner=[[[0, 0, "PER", 0.5]], []]), "got [0, 0, 'PER', 0.5]"),
        (raw(ner=[[["0", "0", "PER"]], []]), "got ['0', '0', 'PER']"),
        (raw(ner=[[[True, True, "PER"]], []]), "got [True, True, 'PER']"),
        (raw(ner=[[[0, 0, None]], []]), "got [0, 0, None]"),
        (raw(ner=[[[1, 0, "PER"]], []]), "1..0"),
        (raw(ner=[[[-1, 0, "PER"]], []]), "-1..0"),
        (raw(ner=[[], [[3, 4, "PER"]]]), "3..4"),
        (raw(ner=[[], [[0, 0, "PER"]]]), "0..0"),
        (raw(ner=[[[0, 0, "GPE"]], []]), "'GPE'"),
        (raw(relations=[[[0, 0, 6, 6, "OWNS"]], []]), "6..6"),
        (raw(ner=[[[0, 0, "NIL"]], []]), "'NIL'"),
        (raw(relations=[[[0, 0, 2, "OWNS"]], []]), "got [0, 0, 2, 'OWNS']"),
        (raw(relations=[[[0, 0, 2, 2, "EATS"]], []]), "'EATS'"),
        (raw(predicted_ner=[[[0, 9, "PER", 0.5]], []]), "0..9"),
        (raw(predicted_relations=[[[0, 0, 2, 2, "EATS"]], []]), "'EATS'"),
        # One half of a surrogate pair cannot be encoded.
        ('{"doc_key": "b", "sentences": [["\\ud800"]], "ner": [[[0, 0, "PER"]]]}', "\\ud800"),
    ],
)
def test_a_fatal_problem_names_the_line_and_the_found_value(write, line, found):
    if isinstance(line, dict) and line.get("doc_key") == "a":
        line = {**line, "doc_key": "b"}
    path = write(raw(), line, raw(doc_key="c"))
    documents, problems = check_file(path, SCHEMA)
    assert [document["doc_key"] for document in documents] == ["a", "c"]
    assert {problem.line for problem in problems} == {2}
    assert [problem.fatal for problem in problems].count(True) == 1
    assert problems[0].fatal
    assert found in problems[0].message
    assert str(problems[0]).startswith(f"{path}:2: ")
    with pytest.raises(PLMarkerError) as error:
        read_documents(path, SCHEMA)
    assert str(error.value) == str(problems[0])
    dataset_of(documents)


def test_a_repeated_name_is_fatal_and_names_the_first_line(write):
    problems = problems_of(write(raw(), raw(doc_key="b"), raw()))
    assert [(line, fatal) for line, fatal, _ in problems] == [(3, True)]
    assert "'a'" in problems[0][2]
    assert "line 1" in problems[0][2]


def test_line_numbers_count_empty_lines(write):
    assert [line for line, _, _ in problems_of(write("", raw(), "", "", "{"))] == [5]


@pytest.mark.parametrize(
    ("document", "found"),
    [
        (
            raw(sentences=[["Ada", "owns", "Acme", "."], [], ["."]], ner=[[[0, 0, "PER"]], [], []], relations=None),
            "sentence 1",
        ),
        (raw(ner=[[[0, 0, "PER"], [0, 0, "PER"]], []]), "[0, 0, 'PER']"),
        (raw(relations=[[[0, 0, 2, 2, "OWNS"]] * 2, []]), "[0, 0, 2, 2, 'OWNS']"),
        (raw(predicted_ner=[[[0, 0, "PER", 0.5]] * 2, []]), "[0, 0, 'PER', 0.5]"),
        (raw(relations=[[[0, 0, 1, 1, "OWNS"]], []]), "[0, 0, 1, 1, 'OWNS']"),
        (raw(relations=[[[0, 0, 4, 4, "OWNS"]], []]), "[0, 0, 4, 4, 'OWNS']"),
        (raw(relations=[[[0, 0, 0, 0, "OWNS"]], []]), "[0, 0, 0, 0, 'OWNS']"),
        (raw(relations=[[[0, 0, 2, 2, "OWNS"], [2, 2, 0, 0, "OWNS"]], []]), "[2, 2, 0, 0, 'OWNS']"),
        (raw(ner=[[[0, 0, "PER"], [0, 0, "ORG"]], []], relations=None), "0..0 has 2 labels"),
    ],
)
def test_a_warning_names_the_found_value_and_keeps_the_document(write, document, found):
    path = write(document)
    documents, problems = check_file(path)
    assert len(documents) == 1
    assert [(problem.line, problem.fatal) for problem in problems] == [(1, False)]
    assert found in problems[0].message
    assert f"{path}:1: warning: " in str(problems[0])
    assert len(read_documents(path)) == 1


def test_all_labels_are_allowed_without_a_schema(write):
    assert problems_of(write(raw(ner=[[[0, 0, "GPE"]], []]))) == []


@pytest.mark.parametrize("lines", [[], ["", "  "]])
def test_a_file_without_documents_is_a_fatal_problem(write, lines):
    ((line, fatal, message),) = problems_of(write(*lines))
    assert (line, fatal) == (0, True)
    assert "zero documents" in message


@pytest.mark.parametrize("ner", [None, [[], []]])
def test_a_file_without_gold_entities_is_a_problem_only_if_they_are_required(write, ner):
    path = write(raw(ner=ner))
    ((line, fatal, message),) = problems_of(path)
    assert (line, fatal) == (0, True)
    assert "zero gold entities in 1 documents" in message
    assert problems_of(path, annotated=False) == []
    assert len(read_documents(path, annotated=False)) == 1


def test_an_error_lists_the_first_problems_and_counts_the_rest(write):
    path = write(raw(), *["{"] * 14)
    with pytest.raises(PLMarkerError) as error:
        read_documents(path)
    lines = str(error.value).split("\n")
    assert [line.split(": ")[0] for line in lines[:10]] == [f"{path}:{number}" for number in range(2, 12)]
    assert lines[10:] == ["... and 4 more problems"]


def test_a_missing_file_is_an_error(tmp_path):
    with pytest.raises(PLMarkerError, match=r"nowhere\.jsonl: no such file"):
        check_file(tmp_path / "nowhere.jsonl")


def test_a_file_in_another_encoding_is_an_error(tmp_path):
    path = tmp_path / "latin.jsonl"
    path.write_bytes('{"doc_key": "é"}'.encode("latin-1"))
    with pytest.raises(PLMarkerError, match=r"latin\.jsonl: .*UTF-8"):
        check_file(path)


@pytest.mark.parametrize(
    ("split", "sentences", "entities", "relations", "duplicates"),
    [("train", 1861, 5598, 3219, 4), ("dev", 275, 811, 455, 0), ("test", 551, 1685, 974, 0)],
)
def test_scierc_has_the_published_counts(shared, scierc_schema, split, sentences, entities, relations, duplicates):
    documents, problems = check_file(shared / "data" / "scierc" / f"{split}.json", scierc_schema)
    assert sum(len(document["sentences"]) for document in documents) == sentences
    assert sum(len(rows) for document in documents for rows in document["ner"]) == entities
    assert sum(len(rows) for document in documents for rows in document["relations"]) == relations
    assert not any(problem.fatal for problem in problems)
    assert sum("relations has" in problem.message and "twice" in problem.message for problem in problems) == duplicates


@pytest.mark.parametrize("ner", [[[[0, 0, "PER"]]], [[{"start": "x", "end": 0, "label": "PER"}]], 5])
def test_a_table_of_documents_that_are_not_typed_is_refused(ner: Any) -> None:
    with pytest.raises(PLMarkerError, match="expected typed documents, such as typed_document gives"):
        dataset_of([{"doc_key": "a", "sentences": [["Ada"]], "ner": ner}])


def test_labels_that_a_person_would_take_for_one_are_named(tmp_path: Path) -> None:
    path = tmp_path / "train.jsonl"
    rows = [[[0, 0, "PER"], [1, 1, "Per "], [2, 2, "ORG"]]]
    write = {"doc_key": "a", "sentences": [["Ada", "Bell", "Acme"]], "ner": rows, "relations": [[[0, 0, 2, 2, "OWNS"]]]}
    path.write_text(json.dumps(write))
    _, (problem,) = check_file(path)
    assert not problem.fatal
    assert "'PER', 'Per '" in problem.message
    path.write_text(path.read_text().replace("Per ", "LOC"))
    assert check_file(path)[1] == []
