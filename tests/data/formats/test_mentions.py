"""Texts with entities by their texts alone: where they are found, and what is said of the others."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from reading import counts, entities, found

from plmarker import PLMarkerError, load_documents
from plmarker.data.alignment import word_locator
from plmarker.data.formats import ReadingOptions, guess_format, read_corpus
from plmarker.data.occurrences import OCCURRENCES, Mention, place_mentions
from plmarker.data.report import ReadingReport

TEXT = "BRCA1 is a gene. Mutated BRCA1 causes breast cancer, a cancer."
GENE = {"text": "BRCA1", "label": "Gene"}
DISEASE = {"text": "breast cancer", "label": "Disease"}
CAUSES = {"head": "BRCA1", "tail": "breast cancer", "label": "causes"}


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    def write(*entries: Any, name: str = "silver.jsonl") -> Path:
        path = tmp_path / name
        path.write_text("".join(json.dumps(entry) + "\n" for entry in entries), encoding="utf-8")
        return path

    return write


def read(path: Path, **options: Any) -> tuple[list[dict[str, Any]], ReadingReport]:
    report = ReadingReport()
    return list(read_corpus(path, report, None, ReadingOptions(**options), annotated=False)), report


def relations(document: dict[str, Any]) -> list[tuple[int, int, int, int, str]]:
    return [tuple(row.values()) for rows in document["relations"] for row in rows]


def test_all_occurrences_are_annotated_and_a_relation_joins_the_nearest_pair_of_a_sentence(write):
    (document,), report = read(write({"text": TEXT, "entities": [GENE, DISEASE], "relations": [CAUSES]}))
    assert entities(document) == [("BRCA1", "Gene"), ("BRCA1", "Gene"), ("breast cancer", "Disease")]
    assert relations(document) == [(6, 6, 8, 9, "causes")]
    assert counts(report) == {"found as written": 2, "of them found several times": 1}
    assert report.problems == []
    assert document["doc_key"] == "silver-1"


def test_nearest_annotates_what_relations_join_and_else_what_follows_the_entity_before(write):
    path = write(
        {"text": TEXT, "entities": [GENE, DISEASE], "relations": [CAUSES]},
        {"text": TEXT, "entities": [{"text": "Mutated", "label": "Word"}, GENE]},
        {
            "text": "Ann met Bob. Ann left.",
            "entities": [{"text": n, "label": "P"} for n in ("Ann", "Bob", "Ann")],
        },
    )
    documents, _ = read(path, occurrences="nearest")
    assert [[row["start"] for rows in document["ner"] for row in rows] for document in documents] == [
        [6, 8],
        [5, 6],
        [0, 2, 4],
    ]
    assert relations(documents[0]) == [(6, 6, 8, 9, "causes")]
    documents, report = read(path, occurrences="first")
    assert [[row["start"] for rows in document["ner"] for row in rows] for document in documents] == [
        [0, 8],
        [0, 5],
        [0, 2, 4],
    ]
    # The only annotated pair lies in two sentences.
    assert counts(report)["relations across sentences"] == 1


def test_the_case_is_ignored_only_where_nothing_is_written_so_and_white_space_may_differ(write):
    text = "The us army of the US.\nbreast\n cancer"
    listed = [
        {"text": "US", "type": "Place"},
        {"text": "THE", "type": "Word"},
        {"text": " Breast  Cancer", "type": "D"},
    ]
    (document,), report = read(write({"text": text, "entities": listed}))
    assert entities(document) == [("The", "Word"), ("the", "Word"), ("US", "Place"), ("breast cancer", "D")]
    assert counts(report)["found as written"] == 1
    assert counts(report)["found in another case"] == 2


def test_what_is_not_on_word_borders_or_not_there_is_counted_with_examples(write):
    listed = [GENE, {"text": "Jane", "label": "P"}, {"text": "TP53", "label": "Gene"}]
    lost = {"head": "TP53", "tail": "BRCA1", "label": "binds"}
    _, report = read(write({"text": "BRCA1-like genes of Mary-Jane; BRCA1.", "entities": listed, "relations": [lost]}))
    assert counts(report) == {"found as written": 1, "not found": 2, "relations left out": 1}
    assert [(line, fatal) for line, fatal, _ in found(report)] == [(1, False)] * 3
    messages = " ".join(message for _, _, message in found(report))
    assert "'Jane' (P) occurs inside words alone" in messages
    assert "'TP53' (Gene) is not in the text" in messages


def test_examples_are_written_out_up_to_a_number(write):
    _, report = read(write(*({"text": f"{n}.", "entities": [GENE]} for n in range(12))))
    assert counts(report) == {"not found": 12}
    assert [line for line, _, _ in found(report)] == [*range(1, 11), 0]
    assert "2 more" in found(report)[-1][2]


def test_an_occurrence_inside_a_longer_entity_is_left_out_unless_there_is_no_other(write):
    cancer, breast = {"text": "cancer", "label": "Disease"}, {"text": "breast", "label": "Organ"}
    (document,), report = read(write({"text": TEXT, "entities": [cancer, DISEASE, breast]}))
    assert entities(document) == [("breast", "Organ"), ("breast cancer", "Disease"), ("cancer", "Disease")]
    assert document["ner"][1][2]["start"] == 12
    assert counts(report)["occurrences inside a longer entity left out"] == 1
    assert counts(report)["nested entities"] == 1


def test_several_labels_of_a_text_follow_the_list_or_are_reported(write):
    text = "Washington met Adams in Washington."
    listed = [{"text": "Washington", "label": label} for label in ("Person", "Place")]
    three = [*listed, {"text": "Washington", "label": "City"}]
    documents, report = read(write({"text": text, "entities": listed}, {"text": text, "entities": three}))
    assert entities(documents[0]) == [("Washington", "Person"), ("Washington", "Place")]
    assert len(entities(documents[1])) == 6
    assert counts(report)["spans with several labels"] == 2
    assert any("Person, Place, City" in message for _, _, message in found(report))


def test_entities_that_cross_each_other_are_reported(write):
    listed = [{"text": "New York", "label": "Place"}, {"text": "York Times", "label": "Org"}]
    _, report = read(write({"text": "The New York Times wrote.", "entities": listed}))
    assert counts(report)["overlapping entities"] == 1


def test_an_end_of_a_relation_may_have_a_label_and_another_case_and_never_joins_a_span_with_itself(write):
    head = {"text": "brca1", "label": "Gene"}
    entry = {"text": TEXT, "entities": [GENE, DISEASE], "relations": [{**CAUSES, "head": head}]}
    itself = {**entry, "relations": [{**CAUSES, "head": "breast cancer"}]}
    documents, report = read(write(entry, itself))
    assert relations(documents[0]) == [(6, 6, 8, 9, "causes")]
    assert relations(documents[1]) == []
    assert counts(report)["relations left out"] == 1


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"entities": [{"text": "x"}]}, "non-empty string as label"),
        ({"entities": [{"text": " ", "label": "A"}]}, "entity 0: expected {'text'"),
        ({"entities": ["BRCA1"]}, "entity 0: expected {'text'"),
        ({"entities": {"Gene": 1}}, "got dict as entities"),
        ({"text": None}, "got the text None"),
        ({"relations": [{"head": "BRCA1"}]}, "relation 0: expected {'head'"),
        ({"relations": [{**CAUSES, "tail": 3}]}, "relation 0, tail: expected the text of an entity"),
        ({"relations": "none"}, "expected a list of relations, got str"),
        ({"weight": -1}, "weight must be a finite number"),
        ({"weight": "high"}, "weight must be a finite number"),
    ],
)
def test_entries_that_are_something_else_name_their_line(change, expected, write):
    good = {"text": TEXT, "entities": [GENE]}
    documents, report = read(write(good, {**good, **change}))
    assert len(documents) == 1
    assert [fatal for _, fatal, _ in found(report)] == [True]
    assert expected in found(report)[0][2]


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        ([{"text": "a", "entities": []}, {"text": TEXT, "entities": [GENE]}], "mentions"),
        ([{"text": TEXT, "annotations": [{"text": "BRCA1", "type": "Gene"}]}], "mentions"),
        ([{"text": TEXT, "entities": [[0, 5, "Gene"]]}], "offsets"),
        ([{"text": TEXT, "entities": [{**GENE, "start_offset": 0, "end_offset": 5, "id": 1}]}], "offsets"),
        ([{"text": TEXT, "label": [{"start": 0, "end": 5, "text": "BRCA1", "labels": ["Gene"]}]}], "offsets"),
        ([{"text": TEXT, "spans": [], "tokens": [{"text": "BRCA1", "start": 0, "end": 5, "id": 0}]}], "offsets"),
        ([{"doc_key": "d", "sentences": [["a"]]}], "jsonl"),
    ],
)
def test_the_shape_tells_the_formats_apart(entries, expected, write):
    assert guess_format(write(*entries)).name == expected


def test_load_documents_reads_such_files_with_their_weights(write, caplog):
    path = write({"text": TEXT, "entities": [GENE], "weight": 0.5}, {"text": TEXT, "entities": [DISEASE], "id": "b"})
    loaded = load_documents(path, occurrences="first")["train"]
    assert loaded["weight"][:] == [0.5, None]
    assert [len(entities(document)) for document in loaded] == [1, 1]
    assert "2 found as written" in caplog.text
    assert len(entities(load_documents(path)["train"][0])) == 2
    bad = write({"text": TEXT, "entities": [{"text": "BRCA1"}]}, {"text": TEXT, "entities": [GENE]}, name="bad.jsonl")
    with pytest.raises(PLMarkerError, match=r"bad\.jsonl:1"):
        load_documents(bad)


def test_a_null_is_no_name(write):
    documents, report = read(write(*2 * [{"id": None, "text": TEXT, "entities": [GENE]}]))
    assert ([document["doc_key"][-2:] for document in documents], report.fatal) == (["-1", "-2"], [])


NAMES = st.sampled_from(["a", "b", "a b", "B", "ab", "c."])


@given(
    st.lists(st.sampled_from(["a", "b", "ab", "B", "c", ".", "-", "\n"]), max_size=12),
    st.lists(st.tuples(NAMES, st.sampled_from("XY")), max_size=5),
    st.lists(st.tuples(NAMES, NAMES), max_size=3),
    st.sampled_from(OCCURRENCES),
)
def test_every_entity_is_counted_once_and_placed_on_word_borders(parts, listed, linked, occurrences):
    text = " ".join(parts)
    located = word_locator()(text)
    noted: list[str] = []
    placed, relations = place_mentions(
        text,
        located,
        [Mention(*pair) for pair in listed],
        [(Mention(head), Mention(tail), "R") for head, tail in linked],
        occurrences,
        lambda kind, message: noted.append(kind),
    )
    kinds = ("found as written", "found in another case", "not found")
    assert sum(noted.count(kind) for kind in kinds) == len(listed)
    assert len(relations) + noted.count("relations left out") == len(linked)
    starts = {start for sentence in located for start, _ in sentence}
    ends = {end for sentence in located for _, end in sentence}
    assert all(start in starts and end in ends for (start, end), _ in placed)
    spans = {place for place, _ in placed}
    assert all(head in spans and tail in spans and head != tail for head, tail, _ in relations)
    # Each entity that was found has a place.
    n_names = len({" ".join(text[start:end].split()).casefold() for start, end in spans})
    assert bool(n_names) == (noted.count("not found") < len(listed))


@pytest.mark.parametrize("place", [{"at": [9, 14]}, {"locations": [{"offset": 9, "length": 5}]}, {"begins": 9}])
def test_a_place_under_an_unknown_name_is_not_left_out_in_silence(write, place):
    documents, report = read(write({"text": TEXT, "entities": [{**GENE, **place}]}))
    assert documents == []
    assert report.fatal


def test_a_place_in_a_later_document_is_a_problem(write):
    path = write({"text": TEXT, "entities": [GENE]}, {"text": TEXT, "entities": [{**GENE, "start": 25, "end": 30}]})
    documents, report = read(path)
    assert [document["doc_key"] for document in documents] == ["silver-1"]
    assert "entity 0 has a place" in report.fatal[0].message


def test_other_names_of_keys(write):
    gene, disease = ({"name": row["text"], "type": row["label"]} for row in (GENE, DISEASE))
    causes = {"source": "BRCA1", "target": "breast cancer", "type": "causes"}
    (document,), report = read(write({"text": TEXT, "entities": [gene, disease], "relations": [causes]}))
    assert report.problems == []
    assert relations(document) == [(6, 6, 8, 9, "causes")]


def test_scores_and_ids_are_no_places(write):
    gene = {**GENE, "id": 3, "score": 1, "sure": True, "sentence": 0, "ncbi": 672, "age": 36, "gender": 1}
    (document,), _ = read(write({"text": TEXT, "entities": [gene]}))
    assert entities(document) == [("BRCA1", "Gene"), ("BRCA1", "Gene")]


def test_lists_that_are_not_read_are_counted(write):
    _, report = read(write({"text": TEXT, "entities": [GENE], "triples": [CAUSES]}))
    assert counts(report)["texts whose key 'triples' is not read"] == 1


def test_an_entity_without_a_label_is_named(write):
    documents, report = read(write({"text": "Ann", "entities": [{"text": "Ann"}], "relations": []}))
    assert documents == []
    assert "as label" in report.fatal[0].message
