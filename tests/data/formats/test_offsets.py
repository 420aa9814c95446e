"""Tests of the reader of exports of Label Studio, Prodigy and Doccano."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from reading import counts, entities

from plmarker.data.formats import ReadingOptions, read_corpus
from plmarker.data.formats.json_entries import json_entries
from plmarker.data.formats.offsets import UNCHECKED
from plmarker.data.report import ReadingReport

TEXT = "Ada Bell runs Acme. 👩🏽\u200d🚀 left\nNew  York."
ENTITIES = [("Ada Bell", "PER"), ("Acme", "ORG"), ("New York", "LOC")]
OWNS = {"head_start": 0, "head_end": 1, "tail_start": 3, "tail_end": 3, "label": "RUNS"}

Write = Callable[..., Path]
Documents = list[dict[str, Any]]


@pytest.fixture(params=["lines", "array", "indented array"])
def write(request: pytest.FixtureRequest, tmp_path: Path) -> Write:
    """Return a function that writes entries as JSONL, as an array in one line, or as an array over several lines."""

    def write(*entries: Any) -> Path:
        path = tmp_path / "export.json"
        if request.param == "lines":
            text = "".join(json.dumps(entry) + "\n" for entry in entries)
        else:
            text = json.dumps(entries, indent=2 if request.param == "indented array" else None, ensure_ascii=False)
        path.write_text(text, encoding="utf-8")
        return path

    return write


def read(path: Path, **options: Any) -> tuple[Documents, ReadingReport]:
    report = ReadingReport()
    return list(read_corpus(path, report, "offsets", ReadingOptions(), **options)), report


def guessed(path: Path) -> tuple[Documents, ReadingReport]:
    report = ReadingReport()
    return list(read_corpus(path, report)), report


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


def test_an_export_of_label_studio_is_read(write):
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
    # "Ada Bell" has the words 0 to 1, "Acme" the word 3, and "New York" the words 7 to 8.
    assert [list(row.values()) for rows in document["relations"] for row in rows] == [
        [0, 1, 3, 3, "RUNS"],
        [0, 1, 7, 8, "LEFT_TO"],
        [0, 1, 7, 8, "KNOWS"],
        [3, 3, 7, 8, "RELATED"],
    ]
    assert counts(report) == {"other annotations": 1, "exact": 3, "relations across sentences": 3}


def test_each_label_of_a_region_is_an_entity_and_relations_refer_to_the_first(write):
    again = region("r1", "Ada Bell", "BOSS")
    result = [region("r1", "Ada Bell", "PER", "CEO"), region("r2", "Acme", "ORG"), again, relation("r1", "r2", "RUNS")]
    (document,), report = read(write(task(*result)))
    assert report.fatal == []
    assert entities(document) == [("Ada Bell", "PER"), ("Ada Bell", "CEO"), ("Ada Bell", "BOSS"), ("Acme", "ORG")]
    assert document["relations"][0] == [OWNS]


@pytest.mark.parametrize(
    "annotations",
    [
        [{"result": REGIONS, "ground_truth": True}, {"result": [region("r9", "Acme", "WRONG")]}],
        [{"result": [region("r9", "Acme", "WRONG")]}, {"result": REGIONS}],
        [
            {"result": REGIONS, "updated_at": "2026-02-01T00:00:00Z"},
            {"result": [region("r9", "Acme", "WRONG")], "created_at": "2026-01-01T00:00:00Z"},
        ],
    ],
    ids=["ground truth", "last", "newest"],
)
def test_one_annotation_of_label_studio_is_read(write, annotations):
    cancelled = {"was_cancelled": True, "updated_at": "2027", "result": [region("r9", "Acme", "WRONG")]}
    predicted = {"annotations": [], "predictions": [{"result": REGIONS}]}
    entries = [
        task(annotations=[cancelled, *annotations]),
        task(id=8, annotations=[cancelled]),
        task(id=9, **predicted),
    ]
    documents, report = read(write(*entries))
    assert report.problems == []
    assert [(document["doc_key"], entities(document)) for document in documents] == [("7", ENTITIES)]
    expected = {"further annotations of a text": 1, "exact": 3, "rejected": 2, "predictions alone": 1}
    assert counts(report) == expected


def test_exports_before_version_1_have_completions(write):
    entry = {**task(*REGIONS), "completions": task(*REGIONS)["annotations"]}
    del entry["annotations"]
    (document,), report = read(write(entry))
    assert report.problems == []
    assert entities(document) == ENTITIES


def test_the_regions_find_the_key_of_the_text(write):
    data = {"source": "news from Acme", "Full_Text": TEXT, "url": "http://example.org"}
    flat = {"id": 1, **data, "label": [region["value"] for region in REGIONS], "annotation_id": 5}
    for entry in (task(*REGIONS, data=data), flat):
        (document,), report = read(write(entry))
        assert report.problems == []
        assert entities(document) == ENTITIES


@pytest.mark.parametrize("address", ["/data/upload/3/a.txt", "https://example.org/a.txt", "s3://bucket/a"])
def test_an_address_is_no_text(write, address):
    _, report = read(write(task(region("r1", "Ada Bell", "PER"), data={"text": address})))
    assert address in report.fatal[0].message


def test_a_shorter_text_of_a_region_on_word_borders_is_counted(write):
    (document,), report = read(write(task(region("r1", "Ada Bell", "PER", text="Ada"))))
    assert report.fatal == []
    assert entities(document) == [("Ada Bell", "PER")]
    assert counts(report)["regions whose text differs from that at their offsets"] == 1


@pytest.mark.parametrize(
    "entry",
    [
        {"id": 1, "data": TEXT, "label": [[0, 8, "PER"]]},
        {"text": TEXT, "entities": [[0, 8, "PER"]]},
        {"text": TEXT, "entities": [{"name": "Ada Bell", "span": [0, 8], "type": "PER"}]},
    ],
    ids=["doccano of 2021", "spaCy", "spans with types"],
)
def test_other_shapes_of_spans_are_read(write, entry):
    (document,), report = read(write(entry))
    assert report.fatal == []
    assert entities(document) == [("Ada Bell", "PER")]


def test_json_min_of_label_studio_is_read(write):
    kept = {"annotator": 1, "annotation_id": 5, "lead_time": 2.5}
    regions = [region["value"] for region in REGIONS]
    entries = [
        {"id": 1, "text": TEXT, "label": regions, "sentiment": "good", **kept},
        # The labelling interface defines the key of the regions. A text without regions has no such key.
        {"id": 2, "text": TEXT, "names": regions, "ratings": [{"rating": 3}], **kept},
        {"id": 3, "text": TEXT, **kept},
        {"id": 4, "text": TEXT, "label": regions},
    ]
    documents, report = read(write(*entries))
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


def test_an_export_of_prodigy_is_read_without_rejected_texts(write):
    unanswered = {name: value for name, value in prodigy().items() if name not in ("answer", "relations", "tokens")}
    without_spans = {"text": TEXT, "answer": "accept"}
    entries = [
        prodigy(),
        prodigy(answer="reject"),
        prodigy(answer="ignore"),
        unanswered,
        prodigy(spans=None),
        without_spans,
    ]
    entries[4].pop("relations")
    documents, report = read(write(*entries))
    assert report.problems == []
    assert [document["doc_key"] for document in documents] == ["export-1", "export-4", "export-5", "export-6"]
    assert [entities(document) for document in documents] == [ENTITIES, ENTITIES, [], []]
    assert documents[0]["relations"] == [[OWNS], []]
    assert counts(report) == {"exact": 6, "rejected": 2, UNCHECKED: 2}


def doccano(**changes: Any) -> dict[str, Any]:
    entities = [
        {"id": 10 + number, "label": label, "start_offset": offsets(part)["start"], "end_offset": offsets(part)["end"]}
        for number, (part, label) in enumerate(ENTITIES)
    ]
    relations = [{"id": 1, "from_id": 10, "to_id": 11, "type": "RUNS"}]
    return {"id": 1, "text": TEXT, "entities": entities, "relations": relations, "Comments": [], **changes}


def test_exports_of_doccano_are_read(write):
    rows = [[*offsets(part).values(), label] for part, label in ENTITIES]
    entries = [
        {"id": 1, "text": TEXT, "label": rows},
        {"id": 2, "text": TEXT, "labels": rows},
        {"id": 3, "text": TEXT, "label": []},
        doccano(id=4),
    ]
    documents, report = read(write(*entries))
    assert report.problems == []
    assert [document["doc_key"] for document in documents] == ["1", "2", "3", "4"]
    assert [entities(document) for document in documents] == [ENTITIES, ENTITIES, [], ENTITIES]
    assert [document["relations"] for document in documents] == [*[[[], []]] * 3, [[OWNS], []]]


# Invalid entries, and parts of the messages that report them.
INVALID: list[tuple[Any, list[str]]] = [
    ([1], ["list"]),
    ("text", ["str"]),
    ({}, ["'text'"]),
    ({"text": 7, "label": []}, ["'text'", "int"]),
    ({"text": TEXT}, ["'entities'"]),
    ({"text": TEXT, "label": [[0, 3]]}, ["[0, 3]"]),
    ({"text": TEXT, "label": [[0, 300, "X"]]}, ["entity 0", "0 to 300", str(len(TEXT))]),
    ({"text": TEXT, "label": [[-1, 3, "X"]]}, ["entity 0", "-1 to 3"]),
    ({"text": TEXT, "label": [[3, 3, "X"]]}, ["entity 0", "3 to 3"]),
    ({"text": TEXT, "label": [["0", "3", "X"]]}, ["entity 0", "got '0' and '3'"]),
    ({"text": TEXT, "label": [[0, 3, ""]]}, ["entity 0", "''"]),
    ({"text": TEXT, "label": [[0, 3, None]]}, ["entity 0", "None"]),
    ({"text": TEXT, "label": [[0, 3, ["X"]]]}, ["entity 0", "['X']"]),
    ({"text": TEXT, "label": 7}, ["Label Studio, Prodigy or Doccano"]),
    (doccano(entities=[{"id": 1}]), ["'start_offset'"]),
    (doccano(entities=doccano()["entities"] * 2), ["entity 10"]),
    (doccano(relations=[{"from_id": 10, "to_id": 99, "type": "X"}]), ["relation", "99"]),
    (doccano(relations=[{"from_id": [10], "to_id": 11, "type": "X"}]), ["Label Studio, Prodigy or Doccano"]),
    (doccano(relations=[{"from_id": 10, "to_id": 11}]), ["'type'"]),
    (doccano(relations=[{"from_id": 10, "to_id": 11, "type": ["X"]}]), ["relation", "['X']"]),
    (prodigy(spans=[{"start": 0, "end": 3}]), ["'label'"]),
    (prodigy(spans=[7]), ["Label Studio, Prodigy or Doccano"]),
    (prodigy(spans=prodigy()["spans"][:1]), ["child_span", "14 to 18"]),
    (prodigy(relations=[{"head": 1, "child": 3, "label": "X"}]), ["'head_span'"]),
    (task(annotations=[{}]), ["'result'"]),
    (task(data={"html": "x", "title": "y"}), ["'text'"]),
    (task(data=None), ["Label Studio, Prodigy or Doccano"]),
    (task(region("r1", "Acme", "X", text="Bob")), ["region 'r1'", "14 to 18", "'Acme'", "'Bob'"]),
    (task(region("r1", "Acme", "X", start=1e999)), ["Label Studio, Prodigy or Doccano"]),
    (task(region("r1", "Acme", "X", start="/div[1]/text()[1]")), ["region 'r1'", "'/div[1]/text()[1]'"]),
    (task(region("r1", "Acme", labels="ORG")), ["region 'r1'", "'ORG'"]),
    (task(region("r1", "Acme", "X"), relation("r1", "r2", "R")), ["relation", "'r2'"]),
    (task({"id": "r1", "type": "relation"}), ["'from_id'"]),
]


@pytest.mark.parametrize(("invalid", "parts"), INVALID)
def test_every_problem_is_reported_and_its_entry_is_left_out(tmp_path, invalid, parts):
    path = tmp_path / "export.jsonl"
    path.write_text("\n".join(["", *map(json.dumps, [doccano(id=100), invalid, doccano(id=200)])]), encoding="utf-8")
    documents, report = read(path)
    assert [document["doc_key"] for document in documents] == ["100", "200"]
    assert [(problem.line, problem.fatal, problem.path) for problem in report.problems] == [(3, True, str(path))]
    assert all(part in report.problems[0].message for part in parts)


def test_every_problem_of_an_array_is_reported_with_the_first_line_of_its_entry(tmp_path):
    path = tmp_path / "export.json"
    entries = [json.dumps(invalid, indent=1) for invalid, _ in INVALID]
    path.write_text("\n[\n" + ",\n\n".join(entries) + "\n]\n", encoding="utf-8")
    documents, report = read(path)
    assert documents == []
    lines, number = [], 3
    for entry in entries:
        lines.append(number)
        number += entry.count("\n") + 2
    assert [problem.line for problem in report.problems] == lines
    for problem, (_, parts) in zip(report.problems, INVALID, strict=True):
        assert all(part in problem.message for part in parts)


@pytest.mark.parametrize(
    ("text", "line", "part"),
    [
        ("", 0, "no documents"),
        ("[]", 0, "no documents"),
        ("{\n", 1, "JSON"),
        ("[\n", 2, "JSON"),
        ("[\n{GOOD},\n{\n", 3, "JSON"),
        ("[\n{GOOD}\n", 3, "JSON"),
        ("[\n{GOOD},\n" + "[" * 100_000, 3, "nested too deeply"),
        ('[\n{"id": ' + "1" * 5000 + "}]", 2, "JSON"),
        ("[{GOOD}]\n[{GOOD}]\n", 1, "end of the file"),
        ("[]\n{GOOD}\n", 1, "end of the file"),
    ],
)
def test_invalid_json_is_reported_with_its_line(tmp_path, text, line, part):
    path = tmp_path / "export.json"
    path.write_text(text.replace("{GOOD}", json.dumps(doccano())), encoding="utf-8")
    _, report = read(path)
    assert (report.problems[0].line, report.problems[0].fatal) == (line, True)
    assert part in report.problems[0].message


def test_a_byte_order_mark_is_ignored(tmp_path):
    path = tmp_path / "export.json"
    for text in ("[\r\n" + json.dumps(doccano()) + "\r\n]\r\n", json.dumps(doccano()) + "\r\n"):
        path.write_bytes(("\ufeff" + text).encode("utf-8"))
        documents, report = read(path)
        assert report.problems == []
        assert [entities(document) for document in documents] == [ENTITIES]


def test_the_time_for_an_array_is_linear_in_its_length(tmp_path):
    """It would take minutes here to count the lines from the beginning for every entry."""
    entry = json.dumps({"text": "Ann sings. " * 40, "label": [[0, 3, "PER"]]})
    path = tmp_path / "a.json"
    path.write_text("[\n" + ",\n".join([entry] * 4000) + "\n]")
    started = time.process_time()
    lines = [line for line, _ in json_entries(path, ReadingReport())]
    assert lines == list(range(2, 4002))
    assert time.process_time() - started < 5


def test_several_problems_of_an_entry_are_all_reported(tmp_path):
    path = tmp_path / "export.jsonl"
    relations = [{"from_id": 10, "to_id": 98, "type": "X"}, {"from_id": 99, "to_id": 11, "type": ""}]
    path.write_text(json.dumps(doccano(relations=relations)))
    _, report = read(path)
    assert len(report.problems) == 3
    for problem, part in zip(report.problems, ("98", "got ''", "99"), strict=True):
        assert part in problem.message


def test_the_text_of_label_studio_may_have_another_key(write):
    entry = task(region("r1", "Acme", "ORG"))
    entry["data"] = {"article": entry["data"]["text"], "year": 1999}
    (document,), report = read(write(entry))
    assert report.problems == []
    assert entities(document) == [("Acme", "ORG")]


def test_the_annotations_of_one_person_are_read(write):
    def annotation(person: Any, label: str, time: str) -> dict[str, Any]:
        value = {"start": 0, "end": 3, "text": "Ada", "labels": [label]}
        region = {"id": "a", "type": "labels", "value": value}
        return {"completed_by": person, "result": [region], "updated_at": time}

    tasks = [
        {"id": 1, "data": {"text": TEXT}, "annotations": [annotation(7, "PER", "2"), annotation(8, "ORG", "1")]},
        {
            "id": 2,
            "data": {"text": TEXT},
            "annotations": [annotation({"id": 8, "email": "bo@example.org"}, "ORG", "1")],
        },
    ]
    path = write(*tasks)
    for annotator, expected, left in (("8", ["ORG", "ORG"], 1), ("bo@example.org", ["ORG"], 2), ("7", ["PER"], 2)):
        report = ReadingReport()
        found = list(read_corpus(path, report, "offsets", ReadingOptions(annotator=annotator)))
        assert [document["ner"][0][0]["label"] for document in found] == expected
        assert report.counts["annotations of others"] == left
    lines = [
        {"text": TEXT, "spans": [{"start": 0, "end": 3, "label": label}], "_annotator_id": person, "answer": "accept"}
        for person, label in (("ada", "PER"), ("bo", "ORG"))
    ]
    path = write(*lines)
    report = ReadingReport()
    assert len(list(read_corpus(path, report, "offsets"))) == 2
    assert report.counts["texts of several annotators"] == 1
    (document,) = read_corpus(path, ReadingReport(), "offsets", ReadingOptions(annotator="bo"))
    assert document["ner"][0][0]["label"] == "ORG"


@pytest.mark.parametrize("start", ["0", 0.0, False])
def test_an_offset_that_is_no_whole_number_is_named(write: Write, start: Any) -> None:
    documents, report = read(write({"text": "Ada sings", "label": [[start, 3, "PER"]]}))
    (problem,) = report.problems
    assert documents == []
    assert f"expected whole numbers as start and end, got {start!r} and 3" in problem.message


FOUND = [("Acme", "ORG"), ("Anna", "PER")]
SHORT = "Acme met Anna at Acme."


@pytest.mark.parametrize(
    ("start", "end"),
    [
        ("startOffset", "endOffset"),
        ("start_char", "end_char"),
        ("start_idx", "end_idx"),
        ("start_pos", "end_pos"),
        ("startIndex", "endIndex"),
        ("beginOffset", "endOffset"),
        ("from", "to"),
    ],
)
def test_places_have_many_names(tmp_path, start, end):
    """The second Acme is the entity, and not the first one."""
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps({"text": SHORT, "entities": [{"text": "Acme", "type": "ORG", start: 17, end: 21}]}))
    documents, report = guessed(path)
    assert report.problems == []
    assert documents[0]["ner"] == [[{"start": 4, "end": 4, "label": "ORG"}]]


@pytest.mark.parametrize("name", ["pos", "position", "char_span", "span"])
def test_places_may_be_pairs(tmp_path, name):
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps({"text": SHORT, "entities": [{"text": "Acme", "type": "ORG", name: [17, 21]}]}))
    documents, _ = guessed(path)
    assert documents[0]["ner"] == [[{"start": 4, "end": 4, "label": "ORG"}]]


@pytest.mark.parametrize(
    "entry",
    [
        {"tokens": ["Acme", "met"], "label": [[0, 4, "ORG"], [9, 13, "PER"]]},
        {"spans": [], "entities": [[0, 4, "ORG"], [9, 13, "PER"]]},
        {"answer": "accept", "entities": [[0, 4, "ORG"], [9, 13, "PER"]]},
        {"tokens": [{"id": 0, "start": 0, "end": 4}], "ents": [{"start": 0, "end": 4, "label": "ORG"},
                                                              {"start": 9, "end": 13, "label": "PER"}]},
    ],
)  # fmt: skip
def test_entities_beside_words_or_an_answer_are_read(tmp_path, entry):
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps({"text": SHORT, **entry}))
    documents, report = read(path)
    assert report.problems == []
    assert entities(documents[0]) == FOUND


@pytest.mark.parametrize(
    ("text", "start", "reason"),
    [
        ("\U0001f600 Anna ran.", 3, "UTF-16"),
        ("Acme.\r\nAnna ran.", 6, "line end"),
        ("Hi Anna ran.", 2, None),
    ],
)
def test_offsets_that_count_otherwise_are_named(tmp_path, text, start, reason):
    path = tmp_path / "a.jsonl"
    row = {"start": start, "end": start + 4, "text": "Anna", "label": "PER"}
    path.write_text(json.dumps({"text": text, "entities": [row]}))
    documents, report = read(path)
    assert documents == []
    message = report.fatal[0].message
    assert "expected 'Anna'" in message
    assert ("its offsets count" in message) == (reason is not None)
    assert (reason or "") in message


def test_white_space_in_the_repeated_text_may_differ(tmp_path):
    region = {"value": {"start": 0, "end": 10, "text": "AnnaBrown", "labels": ["PER"]}, "type": "labels", "id": "a"}
    path = tmp_path / "a.json"
    path.write_text(json.dumps([{"data": {"text": "Anna\nBrown ran."}, "annotations": [{"result": [region]}]}]))
    documents, report = read(path)
    assert report.fatal == []
    assert len(documents) == 1


def test_regions_of_several_texts_are_refused(tmp_path):
    regions = [
        {"type": "labels", "id": name, "to_name": name, "value": {"start": 0, "end": 4, "labels": ["X"]}}
        for name in ("title", "text")
    ]
    data = {"title": "Acme buys Zed", "text": "Anna joined Acme."}
    path = tmp_path / "a.json"
    path.write_text(json.dumps([{"data": data, "annotations": [{"result": regions}]}]))
    documents, report = read(path)
    assert documents == []
    assert "several texts, text, title" in report.fatal[0].message


def test_lists_that_are_not_read_are_counted(tmp_path):
    entry = {"text": SHORT, "entities": [[0, 4, "ORG"]], "triples": [{"head": 0, "tail": 0}], "tags": ["a"]}
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps(entry))
    _, report = read(path)
    assert counts(report) == {"exact": 1, "texts whose key 'triples' is not read": 1}


def test_the_text_of_a_span_of_prodigy_is_compared(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps({"text": SHORT, "spans": [{"start": 0, "end": 4, "label": "X", "text": "Anna"}]}))
    documents, report = read(path)
    assert documents == []
    assert "is 'Acme', expected 'Anna'" in report.fatal[0].message


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        # Doccano 1 writes the name of who approved, beside the text of labels.
        ({"meta": {}, "annotation_approver": None, "labels": [[0, 4, "ORG"]]}, [("Acme", "ORG")]),
        # Labels of the whole text in Prodigy.
        ({"spans": [], "label": "NEWS", "answer": "accept"}, []),
        ({"spans": [], "labels": ["NEWS", "MUSIC"], "answer": "accept"}, []),
        # The name in a knowledge base, which is no text at a place.
        ({"entities": [{"start": 0, "end": 4, "label": "ORG", "name": "Acme Incorporated"}]}, [("Acme", "ORG")]),
        ({"tokens": ["Acme", "met"], "entities": [{"start": 0, "end": 4, "label": "ORG"}]}, [("Acme", "ORG")]),
    ],
)
def test_forms_of_these_tools_that_look_like_others(tmp_path, entry, expected):
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps({"text": SHORT, **entry}))
    report = ReadingReport()
    documents = list(read_corpus(path, report, annotated=False))
    assert report.fatal == []
    assert [entities(document) for document in documents] == [expected]


def test_long_texts_take_linear_time(tmp_path):
    text = "Acme ran. " * 20_000
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps({"text": text, "label": [[start, start + 4, "ORG"] for start in range(0, 20_000, 10)]}))
    start = time.process_time()
    documents, _ = read(path)
    assert len(entities(documents[0])) == 2_000
    assert time.process_time() - start < 20


def test_a_place_behind_the_text_is_no_place_behind_a_wide_character(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps({"text": "Ada sings.", "label": [[0, 3, "PER"], [4, 999, "ACT"]]}), encoding="utf-8")
    report = ReadingReport()
    assert list(read_corpus(path, report)) == []
    assert "4 to 999 is not a span of the text" in report.fatal[0].message
    assert not any("behind" in kind for kind, count in report.counts.items() if count)
