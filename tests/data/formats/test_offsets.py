"""Character-offset JSON of Label Studio, Prodigy and Doccano."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from reading import counts, entities

from plmarker.data.formats import ReadingOptions, read_corpus
from plmarker.data.formats.offsets import _items as items_of
from plmarker.data.report import ReadingReport

TEXT = "Ada Bell runs Acme. 👩🏽\u200d🚀 left\nNew  York."
ENTITIES = [("Ada Bell", "PER"), ("Acme", "ORG"), ("New York", "LOC")]
OWNS = {"head_start": 0, "head_end": 1, "tail_start": 3, "tail_end": 3, "label": "RUNS"}

Write = Callable[..., Path]
Items = list[dict[str, Any]]


@pytest.fixture(params=["lines", "array", "indented array"])
def write(request: pytest.FixtureRequest, tmp_path: Path) -> Write:
    """Writes entries as JSONL, as an array in one line, or as an array over many lines."""

    def write(*items: Any) -> Path:
        path = tmp_path / "export.json"
        if request.param == "lines":
            text = "".join(json.dumps(item) + "\n" for item in items)
        else:
            text = json.dumps(items, indent=2 if request.param == "indented array" else None, ensure_ascii=False)
        path.write_text(text, encoding="utf-8")
        return path

    return write


def read(path: Path, **options: Any) -> tuple[Items, ReadingReport]:
    report = ReadingReport()
    return list(read_corpus(path, report, "offsets", ReadingOptions(), **options)), report


def offsets(part: str) -> dict[str, int]:
    part = {"New York": "New  York"}.get(part, part)
    return {"start": TEXT.index(part), "end": TEXT.index(part) + len(part)}


def region(identifier: str, part: str, *labels: str, **changes: Any) -> dict[str, Any]:
    value = {**offsets(part), "text": part, "labels": list(labels), **changes}
    return {"id": identifier, "type": "labels", "from_name": "label", "to_name": "text", "value": value}


def relation(head: str, tail: str, *labels: str, **changes: Any) -> dict[str, Any]:
    return {"type": "relation", "from_id": head, "to_id": tail, "labels": list(labels), "direction": "right", **changes}


def task(*result: dict[str, Any], **changes: Any) -> dict[str, Any]:
    annotation = {"id": 3, "was_cancelled": False, "result": list(result), "lead_time": 2.5}
    return {"id": 7, "data": {"text": TEXT, "meta": 1}, "annotations": [annotation], "predictions": [], **changes}


REGIONS = [region("r1", "Ada Bell", "PER"), region("r2", "Acme", "ORG"), region("r3", "New York", "LOC")]


def test_label_studio_s_export_is_read(write):
    choice = {"id": "c1", "type": "choices", "value": {"choices": ["news"]}}
    result = [
        relation("r1", "r2", "RUNS"),
        *REGIONS,
        relation("r3", "r1", "LEFT_TO", "KNOWS", direction="left"),
        choice,
        relation("r2", "r3"),
    ]
    (document,), report = read(write(task(*result)))
    assert report.fatal == []
    assert document["doc_key"] == "7"
    assert entities(document) == ENTITIES
    # Ada Bell is 0..1, Acme 3, New York 7..8.
    assert [list(row.values()) for rows in document["relations"] for row in rows] == [
        [0, 1, 3, 3, "RUNS"],
        [0, 1, 7, 8, "LEFT_TO"],
        [0, 1, 7, 8, "KNOWS"],
        [3, 3, 7, 8, "RELATED"],
    ]
    assert counts(report) == {"other annotations": 1, "exact": 3, "relations across sentences": 3}


def test_labels_of_one_region_are_entities_each_and_relations_take_the_first(write):
    again = region("r1", "Ada Bell", "BOSS")
    result = [region("r1", "Ada Bell", "PER", "CEO"), region("r2", "Acme", "ORG"), again, relation("r1", "r2", "RUNS")]
    (document,), report = read(write(task(*result)))
    assert report.fatal == []
    assert entities(document) == [("Ada Bell", "PER"), ("Ada Bell", "CEO"), ("Ada Bell", "BOSS"), ("Acme", "ORG")]
    assert document["relations"][0] == [OWNS]


def test_of_label_studio_s_annotations_the_first_that_was_not_cancelled_counts(write):
    cancelled = {"was_cancelled": True, "result": [region("r9", "Acme", "WRONG")]}
    annotations = [cancelled, {"result": REGIONS}, {"result": [region("r9", "Acme", "WRONG")]}]
    items = [task(annotations=annotations), task(id=8, annotations=[cancelled]), task(id=9, annotations=[])]
    documents, report = read(write(*items))
    assert report.problems == []
    assert [(document["doc_key"], entities(document)) for document in documents] == [("7", ENTITIES)]
    assert counts(report) == {"further annotations of a text": 1, "exact": 3, "rejected": 2}


def test_label_studio_s_json_min_is_read(write):
    kept = {"annotator": 1, "annotation_id": 5, "lead_time": 2.5}
    regions = [found["value"] for found in REGIONS]
    items = [
        {"id": 1, "text": TEXT, "label": regions, "sentiment": "good", **kept},
        # The interface may call them otherwise; a text without regions has no list.
        {"id": 2, "text": TEXT, "names": regions, "ratings": [{"rating": 3}], **kept},
        {"id": 3, "text": TEXT, **kept},
        {"id": 4, "text": TEXT, "label": regions},
    ]
    documents, report = read(write(*items))
    assert report.problems == []
    assert [entities(document) for document in documents] == [ENTITIES, ENTITIES, [], ENTITIES]
    assert counts(report) == {"exact": 9, "other annotations": 1}


def prodigy(**changes: Any) -> dict[str, Any]:
    spans = [{**offsets(part), "label": label, "token_start": 0, "token_end": 0} for part, label in ENTITIES]
    head = {"head_span": {**offsets("Ada Bell"), "label": "PER"}, "child_span": {**offsets("Acme"), "label": "ORG"}}
    return {
        "text": TEXT,
        "_input_hash": 1,
        "tokens": [{"text": "Ada", "start": 0, "end": 3, "id": 0, "ws": True}],
        "spans": spans,
        "relations": [{"head": 1, "child": 3, **head, "label": "RUNS"}],
        "answer": "accept",
        **changes,
    }


def test_prodigy_s_export_is_read_without_what_was_rejected(write):
    unanswered = {name: value for name, value in prodigy().items() if name not in ("answer", "relations", "tokens")}
    nothing = {"text": TEXT, "answer": "accept"}
    items = [prodigy(), prodigy(answer="reject"), prodigy(answer="ignore"), unanswered, prodigy(spans=None), nothing]
    items[4].pop("relations")
    documents, report = read(write(*items))
    assert report.problems == []
    assert [document["doc_key"] for document in documents] == ["export-1", "export-4", "export-5", "export-6"]
    assert [entities(document) for document in documents] == [ENTITIES, ENTITIES, [], []]
    assert documents[0]["relations"] == [[OWNS], []]
    assert counts(report) == {"exact": 6, "rejected": 2}


def doccano(**changes: Any) -> dict[str, Any]:
    found = [
        {"id": 10 + number, "label": label, "start_offset": offsets(part)["start"], "end_offset": offsets(part)["end"]}
        for number, (part, label) in enumerate(ENTITIES)
    ]
    relations = [{"id": 1, "from_id": 10, "to_id": 11, "type": "RUNS"}]
    return {"id": 1, "text": TEXT, "entities": found, "relations": relations, "Comments": [], **changes}


def test_doccano_s_exports_are_read(write):
    rows = [[*offsets(part).values(), label] for part, label in ENTITIES]
    items = [
        {"id": 1, "text": TEXT, "label": rows},
        {"id": 2, "text": TEXT, "labels": rows},
        {"id": 3, "text": TEXT, "label": []},
        doccano(id=4),
    ]
    documents, report = read(write(*items))
    assert report.problems == []
    assert [document["doc_key"] for document in documents] == ["1", "2", "3", "4"]
    assert [entities(document) for document in documents] == [ENTITIES, ENTITIES, [], ENTITIES]
    assert [document["relations"] for document in documents] == [*[[[], []]] * 3, [[OWNS], []]]


WRONG: list[tuple[Any, str]] = [
    ([1], "object, got list"),
    ("text", "object, got str"),
    ({}, "no 'text', which is a string; expected an export of Label Studio, Prodigy or Doccano"),
    ({"text": 7, "label": []}, "no 'text', which is a string"),
    ({"text": TEXT}, "export it; no 'labels'"),
    ({"text": TEXT, "label": [[0, 3]]}, "a label is [start, end, label], got [0, 3]"),
    ({"text": TEXT, "label": [[0, 300, "X"]]}, f"entity 0: 0 to 300 is no span of {len(TEXT)} characters"),
    ({"text": TEXT, "label": [[-1, 3, "X"]]}, "entity 0: -1 to 3 is no span"),
    ({"text": TEXT, "label": [[3, 3, "X"]]}, "entity 0: 3 to 3 is no span"),
    ({"text": TEXT, "label": [["0", "3", "X"]]}, "entity 0: 0 to 3 is no span"),
    ({"text": TEXT, "label": [[0, 3, ""]]}, "entity 0: a label is a non-empty string, got ''"),
    ({"text": TEXT, "label": [[0, 3, None]]}, "entity 0: a label is a non-empty string, got None"),
    ({"text": TEXT, "label": [[0, 3, ["X"]]]}, "entity 0: a label is a non-empty string, got ['X']"),
    ({"text": TEXT, "label": 7}, "not as Label Studio, Prodigy or Doccano export it"),
    (doccano(entities=[{"id": 1}]), "export it; no 'start_offset'"),
    (doccano(entities=doccano()["entities"] * 2), "entity 10 is given twice"),
    (doccano(relations=[{"from_id": 10, "to_id": 99, "type": "X"}]), "a relation refers to 99, which is no entity"),
    (doccano(relations=[{"from_id": [10], "to_id": 11, "type": "X"}]), "not as Label Studio"),
    (doccano(relations=[{"from_id": 10, "to_id": 11}]), "export it; no 'type'"),
    (doccano(relations=[{"from_id": 10, "to_id": 11, "type": ["X"]}]), "a relation's label is a non-empty string"),
    (prodigy(spans=[{"start": 0, "end": 3}]), "export it; no 'label'"),
    (prodigy(spans=[7]), "not as Label Studio"),
    (prodigy(spans=prodigy()["spans"][:1]), "a relation's child_span 14 to 18 is none of the spans"),
    (prodigy(relations=[{"head": 1, "child": 3, "label": "X"}]), "export it; no 'head_span'"),
    (task(annotations=[{}]), "export it; no 'result'"),
    (task(data={"html": "x", "title": "y"}), "no 'text', which is a string"),
    (task(data=None), "not as Label Studio"),
    (task(region("r1", "Acme", "X", text="Bob")), "region 'r1': 14 to 18 covers 'Acme', not 'Bob'"),
    (task(region("r1", "Acme", "X", start=1e999)), "not as Label Studio"),
    (task(region("r1", "Acme", "X", start="/div[1]/text()[1]")), "/div[1]"),
    (task(region("r1", "Acme", labels="ORG")), "region 'r1': labels is a list, got 'ORG'"),
    (task(region("r1", "Acme", "X"), relation("r1", "r2", "R")), "a relation refers to 'r2', which is no entity"),
    (task({"id": "r1", "type": "relation"}), "export it; no 'from_id'"),
]


@pytest.mark.parametrize(("wrong", "message"), WRONG)
def test_every_mistake_is_told_and_its_entry_left_out(tmp_path, wrong, message):
    path = tmp_path / "export.jsonl"
    path.write_text("\n".join(["", *map(json.dumps, [doccano(id=100), wrong, doccano(id=200)])]), encoding="utf-8")
    documents, report = read(path)
    assert [document["doc_key"] for document in documents] == ["100", "200"]
    assert [(problem.line, problem.fatal, problem.path) for problem in report.problems] == [(3, True, str(path))]
    assert message in report.problems[0].message


def test_every_mistake_of_an_array_is_told_with_the_line_where_its_entry_begins(tmp_path):
    path = tmp_path / "export.json"
    pieces = [json.dumps(wrong, indent=1) for wrong, _ in WRONG]
    path.write_text("\n[\n" + ",\n\n".join(pieces) + "\n]\n", encoding="utf-8")
    documents, report = read(path)
    assert documents == []
    lines, number = [], 3
    for piece in pieces:
        lines.append(number)
        number += piece.count("\n") + 2
    assert [problem.line for problem in report.problems] == lines
    for problem, (_, message) in zip(report.problems, WRONG, strict=True):
        assert message in problem.message


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("", 0, "zero documents"),
        ("[]", 0, "zero documents"),
        ("{\n", 1, "broken JSON"),
        ("[\n", 2, "broken JSON"),
        ("[\n{GOOD},\n{\n", 3, "broken JSON"),
        ("[\n{GOOD}\n", 3, "broken JSON"),
        ("[\n{GOOD},\n" + "[" * 100_000, 3, "broken JSON, nested too deeply"),
        ('[\n{"id": ' + "1" * 5000 + "}]", 2, "broken JSON"),
        ("[{GOOD}]\n[{GOOD}]\n", 1, "something stands behind the end of the array"),
        ("[]\n{GOOD}\n", 1, "something stands behind the end of the array"),
    ],
)
def test_a_file_that_is_no_json_is_told_with_its_line(tmp_path, text, line, message):
    path = tmp_path / "export.json"
    path.write_text(text.replace("{GOOD}", json.dumps(doccano())), encoding="utf-8")
    _, report = read(path)
    assert (report.problems[0].line, report.problems[0].fatal) == (line, True)
    assert message in report.problems[0].message


def test_the_byte_order_mark_of_a_windows_editor_is_nothing(tmp_path):
    path = tmp_path / "export.json"
    for text in ("[\r\n" + json.dumps(doccano()) + "\r\n]\r\n", json.dumps(doccano()) + "\r\n"):
        path.write_bytes(("\ufeff" + text).encode("utf-8"))
        documents, report = read(path)
        assert report.problems == []
        assert [entities(document) for document in documents] == [ENTITIES]


def test_long_arrays_take_no_longer_by_entry(tmp_path):
    """Counting lines from the beginning for every entry would take minutes here."""
    entry = json.dumps({"text": "Ann sings. " * 40, "label": [[0, 3, "PER"]]})
    path = tmp_path / "a.json"
    path.write_text("[\n" + ",\n".join([entry] * 4000) + "\n]")
    started = time.process_time()
    lines = [line for line, _ in items_of(path, ReadingReport())]
    assert lines == list(range(2, 4002))
    assert time.process_time() - started < 5


def test_several_mistakes_of_an_entry_are_all_told(tmp_path):
    path = tmp_path / "export.jsonl"
    relations = [{"from_id": 10, "to_id": 98, "type": "X"}, {"from_id": 99, "to_id": 11, "type": ""}]
    path.write_text(json.dumps(doccano(relations=relations)))
    _, report = read(path)
    assert [problem.message for problem in report.problems] == [
        "a relation refers to 98, which is no entity",
        "a relation's label is a non-empty string, got ''",
        "a relation refers to 99, which is no entity",
    ]


def test_label_studio_s_text_may_have_another_name(write):
    item = task(region("r1", "Acme", "ORG"))
    item["data"] = {"article": item["data"]["text"], "year": 1999}
    (document,), report = read(write(item))
    assert report.problems == []
    assert entities(document) == [("Acme", "ORG")]
