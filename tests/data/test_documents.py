"""The exchange format and its checks."""

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
    """A right line, with changes; a change to None takes the field away. Other entities come without the relations."""
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
    """Writes lines, given as text or as documents, into a file."""

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
def test_a_document_survives_the_typed_form(document):
    typed = typed_document(document)
    assert raw_document(typed) == document
    assert raw_document(dataset_of([typed])[0]) == document


@given(documents=st.lists(raw_documents(), max_size=3, unique_by=lambda document: document["doc_key"]))
def test_documents_survive_a_file(documents, tmp_path_factory):
    path = tmp_path_factory.mktemp("documents") / "new" / "corpus.jsonl"
    write_documents(path, [typed_document(document) for document in documents])
    lines = path.read_text(encoding="utf-8").split("\n")[:-1]
    assert [json.loads(line) for line in lines] == documents


def test_a_file_that_cannot_be_written_whole_does_not_appear(tmp_path):
    def broken():
        yield typed_document(raw())
        raise OSError("the disk is gone")

    path = tmp_path / "corpus.jsonl"
    path.write_text("old")
    with pytest.raises(OSError, match="disk"):
        write_documents(path, broken())
    assert path.read_text() == "old"


def test_a_right_file_has_no_problems_and_its_documents_are_typed(write):
    documents, problems = check_file(write(raw(), "", raw(doc_key="b", relations=None)), SCHEMA)
    assert problems == []
    assert documents[0]["ner"][0][1] == {"start": 2, "end": 2, "label": "ORG"}
    assert documents[0]["relations"][0] == [
        {"head_start": 0, "head_end": 0, "tail_start": 2, "tail_end": 2, "label": "OWNS"}
    ]
    assert documents[1]["relations"] is None
    assert dataset_of(documents).features == DOCUMENT_FEATURES


def test_fields_that_are_not_of_the_format_are_left_out(write):
    documents, problems = check_file(write(raw(clusters=[[[0, 0], [2, 2]]], title="x")))
    assert [problem.fatal for problem in problems] == [False]
    assert "unknown key 'title'" in problems[0].message
    assert documents == [typed_document(raw())]


def test_scores_behind_predictions_are_left_out(write):
    documents, problems = check_file(write(raw(predicted_ner=[[[0, 0, "PER", 0.9]], []])))
    assert problems == []
    assert documents[0]["predicted_ner"][0] == [{"start": 0, "end": 0, "label": "PER"}]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "broken JSON"),
        ('{"doc_key": "b", }', "broken JSON"),
        ("[]", "a document is a JSON object, got list"),
        ("[" * 100_000, "broken JSON"),
        (raw(doc_key=None), "doc_key is a non-empty string, got None"),
        (raw(doc_key=""), "doc_key is a non-empty string, got ''"),
        (raw(doc_key=7), "doc_key is a non-empty string, got 7"),
        (raw(doc_key=["b"]), "doc_key is a non-empty string, got ['b']"),
        (raw(sentences=None), "sentences is a list of lists of words, got None"),
        (raw(sentences=["Ada", "Bell"]), "sentences is a list of lists of words, got ['Ada', 'Bell']"),
        (raw(sentences=[["Ada", 1]]), "sentences is a list of lists of words, got [['Ada', 1]]"),
        (raw(ner=[[]]), "ner has one list for each of the 2 sentences, got 1 lists"),
        (raw(ner={}), "ner has one list for each of the 2 sentences, got {}"),
        (raw(ner=[[], 7]), "ner of sentence 1 is a list, got 7"),
        (raw(ner=[[[0, "PER"]], []]), "entity is [start, end, label], got [0, 'PER']"),
        (raw(ner=[[[0, 0, "PER", 0.5]], []]), "entity is [start, end, label], got [0, 0, 'PER', 0.5]"),
        (raw(ner=[[["0", "0", "PER"]], []]), "word indices and a string, got ['0', '0', 'PER']"),
        (raw(ner=[[[True, True, "PER"]], []]), "word indices and a string, got [True, True, 'PER']"),
        (raw(ner=[[[0, 0, None]], []]), "word indices and a string, got [0, 0, None]"),
        (raw(ner=[[[1, 0, "PER"]], []]), "span 1..0 ends before it starts"),
        (raw(ner=[[[-1, 0, "PER"]], []]), "span -1..0 is outside its sentence, words 0..3"),
        (raw(ner=[[], [[3, 4, "PER"]]]), "span 3..4 is outside its sentence, words 4..5"),
        (raw(ner=[[], [[0, 0, "PER"]]]), "span 0..0 is outside its sentence, words 4..5"),
        (raw(ner=[[[0, 0, "GPE"]], []]), "unknown entity label 'GPE'; the schema has ['PER', 'ORG']"),
        (raw(relations=[[[0, 0, 6, 6, "OWNS"]], []]), "span 6..6 is outside its document, words 0..5"),
        (raw(ner=[[[0, 0, "NIL"]], []]), "'NIL' cannot be a label"),
        (raw(relations=[[[0, 0, 2, "OWNS"]], []]), "relation is [head_start, head_end, tail_start, tail_end, label]"),
        (raw(relations=[[[0, 0, 2, 2, "EATS"]], []]), "unknown relation label 'EATS'; the schema has ['OWNS']"),
        (raw(predicted_ner=[[[0, 9, "PER", 0.5]], []]), "span 0..9 is outside its sentence, words 0..3"),
        (raw(predicted_relations=[[[0, 0, 2, 2, "EATS"]], []]), "unknown relation label 'EATS'"),
        # Half of a character, as a broken escape leaves it: it is in no encoding.
        ('{"doc_key": "b", "sentences": [["\\ud800"]], "ner": [[[0, 0, "PER"]]]}', ""),
    ],
)
def test_every_fault_is_told_with_its_line_and_its_document_is_left_out(write, line, message):
    if isinstance(line, dict) and line.get("doc_key") == "a":
        line = {**line, "doc_key": "b"}
    path = write(raw(), line, raw(doc_key="c"))
    documents, problems = check_file(path, SCHEMA)
    assert [document["doc_key"] for document in documents] == ["a", "c"]
    assert {problem.line for problem in problems} == {2}
    assert [problem.fatal for problem in problems].count(True) == 1
    assert problems[0].fatal
    assert message in problems[0].message
    assert str(problems[0]).startswith(f"{path}:2: ")
    with pytest.raises(PLMarkerError) as error:
        read_documents(path, SCHEMA)
    assert str(error.value) == str(problems[0])
    dataset_of(documents)


def test_a_key_given_twice_is_a_fault_that_names_the_first_line(write):
    problems = problems_of(write(raw(), raw(doc_key="b"), raw()))
    assert [(line, fatal) for line, fatal, _ in problems] == [(3, True)]
    assert "doc_key 'a' stands at line 1 too" in problems[0][2]


def test_empty_lines_count_as_lines(write):
    assert [line for line, _, _ in problems_of(write("", raw(), "", "", "{"))] == [5]


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (
            raw(sentences=[["Ada", "owns", "Acme", "."], [], ["."]], ner=[[[0, 0, "PER"]], [], []], relations=None),
            "1 is empty",
        ),
        (raw(ner=[[[0, 0, "PER"], [0, 0, "PER"]], []]), "ner [0, 0, 'PER'] is given twice, counted once"),
        (raw(relations=[[[0, 0, 2, 2, "OWNS"]] * 2, []]), "relations [0, 0, 2, 2, 'OWNS'] is given twice"),
        (raw(predicted_ner=[[[0, 0, "PER", 0.5]] * 2, []]), "is given twice"),
        (raw(relations=[[[0, 0, 1, 1, "OWNS"]], []]), "relation [0, 0, 1, 1, 'OWNS'] has an end that is no entity"),
        (raw(relations=[[[0, 0, 4, 4, "OWNS"]], []]), "relation [0, 0, 4, 4, 'OWNS'] has an end that is no entity"),
        (raw(relations=[[[0, 0, 0, 0, "OWNS"]], []]), "holds between a span and itself"),
        (raw(relations=[[[0, 0, 2, 2, "OWNS"], [2, 2, 0, 0, "OWNS"]], []]), "is the second one of its pair"),
        (raw(ner=[[[0, 0, "PER"], [0, 0, "ORG"]], []], relations=None), "span 0..0 has 2 labels"),
    ],
)
def test_what_does_no_harm_is_a_warning_and_the_document_stays(write, document, message):
    path = write(document)
    documents, problems = check_file(path)
    assert len(documents) == 1
    assert [(problem.line, problem.fatal) for problem in problems] == [(1, False)]
    assert message in problems[0].message
    assert f"{path}:1: warning: " in str(problems[0])
    assert len(read_documents(path)) == 1


def test_labels_are_free_without_a_schema(write):
    assert problems_of(write(raw(ner=[[[0, 0, "GPE"]], []]))) == []


@pytest.mark.parametrize("lines", [[], ["", "  "]])
def test_a_file_without_documents_is_a_fault(write, lines):
    assert problems_of(write(*lines)) == [(0, True, "zero documents")]


@pytest.mark.parametrize("ner", [None, [[], []]])
def test_a_file_without_gold_entities_is_a_fault_only_where_they_are_needed(write, ner):
    path = write(raw(ner=ner))
    assert problems_of(path) == [(0, True, "zero gold entities in 1 documents")]
    assert problems_of(path, annotated=False) == []
    assert len(read_documents(path, annotated=False)) == 1


def test_an_error_lists_the_first_faults_and_counts_the_rest(write):
    path = write(raw(), *["{"] * 14)
    with pytest.raises(PLMarkerError) as error:
        read_documents(path)
    lines = str(error.value).split("\n")
    assert [line.split(": ")[0] for line in lines[:10]] == [f"{path}:{number}" for number in range(2, 12)]
    assert lines[10:] == ["... and 4 more problems"]


def test_a_missing_file_is_one_sentence(tmp_path):
    with pytest.raises(PLMarkerError, match=r"nowhere\.jsonl: no such file"):
        check_file(tmp_path / "nowhere.jsonl")


def test_a_file_in_another_encoding_is_one_sentence(tmp_path):
    path = tmp_path / "latin.jsonl"
    path.write_bytes('{"doc_key": "é"}'.encode("latin-1"))
    with pytest.raises(PLMarkerError, match="not UTF-8 text"):
        check_file(path)


@pytest.mark.parametrize(
    ("split", "sentences", "entities", "relations", "duplicates"),
    [("train", 1861, 5598, 3219, 4), ("dev", 275, 811, 455, 0), ("test", 551, 1685, 974, 0)],
)
def test_scierc_has_its_known_counts(shared, scierc_schema, split, sentences, entities, relations, duplicates):
    documents, problems = check_file(shared / "data" / "scierc" / f"{split}.json", scierc_schema)
    assert sum(len(document["sentences"]) for document in documents) == sentences
    assert sum(len(rows) for document in documents for rows in document["ner"]) == entities
    assert sum(len(rows) for document in documents for rows in document["relations"]) == relations
    assert not any(problem.fatal for problem in problems)
    assert sum("relations" in p.message and "is given twice" in p.message for p in problems) == duplicates
