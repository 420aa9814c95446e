"""Statistics of a corpus, as tables, JSON and a picture."""

import json
from typing import Any

import pytest

from plmarker.data import load_documents, typed_document
from plmarker.data.picture import draw_statistics
from plmarker.data.statistics import collect_statistics, statistics_table
from plmarker.modeling.schema_plmarker import PLMarkerError
from plmarker.modeling.windows_plmarker import WordTokenizer

PNG = b"\x89PNG"


@pytest.fixture
def document() -> dict[str, Any]:
    """Two sentences with a nested entity and a relation between the sentences."""
    raw = {
        "doc_key": "d",
        "sentences": [["Ann", "of", "Acme", "sings", "."], ["Bob", "hums", "."]],
        "ner": [[[0, 2, "PER"], [2, 2, "ORG"]], [[5, 5, "PER"]]],
        "relations": [[[0, 2, 2, 2, "WORKS_FOR"], [2, 2, 5, 5, "OWNS"]], []],
    }
    return typed_document(raw)


def test_everything_is_counted(document):
    found = collect_statistics([document, document])
    assert found.counts == {
        "documents": 2,
        "sentences": 4,
        "words": 16,
        "entities": 6,
        "relations": 4,
        "nested": 4,
        "across": 2,
    }
    assert found.entity_labels == {"PER": 4, "ORG": 2}
    assert found.relation_labels == {"WORKS_FOR": 2, "OWNS": 2}
    assert found.entity_widths == {3: 2, 1: 4}
    # The distance of overlapping ends is 0. There are two words between the words 2 and 5.
    assert found.relation_distances == {0: 2, 2: 2}
    assert found.count_too_wide(2) == 2


def test_spans_that_are_longer_than_a_window_are_lost(document, minilm_tokenizer):
    document["sentences"][0][0] = "Annapurnananda"
    found = collect_statistics([document], WordTokenizer(minilm_tokenizer))
    widest = len(minilm_tokenizer.tokenize("Annapurnananda of Acme"))
    sentence = len(minilm_tokenizer.tokenize("Annapurnananda of Acme sings ."))
    # Two subwords of a window are special tokens.
    assert found.count_outside_window(widest + 1)["entities"] == 1
    assert found.count_outside_window(widest + 2)["entities"] == 0
    assert found.count_outside_window(sentence + 1)["sentences"] == 1
    assert found.count_outside_window(sentence + 2)["sentences"] == 0
    # For relations, two more are the markers of the subject. The other relation, "Acme sings . Bob", is shorter.
    assert found.count_outside_window(widest + 3)["relations"] == 1
    assert found.count_outside_window(widest + 4)["relations"] == 0


def test_the_table_has_a_column_per_split_and_percentages(document):
    table = statistics_table({"train": collect_statistics([document]), "test": collect_statistics([])})
    assert "|  | train | test |" in table
    assert "| nested or overlapping entities | 2 (66.7%) | 0 |" in table
    assert "| relations across sentences | 1 (50.0%) | 0 |" in table
    assert "| `max_span_length` 4 | 0 (0.0%) | 0 |" in table
    # Without a tokenizer there are no counts of subwords.
    assert "max_seq_length" not in table


def test_large_widths_are_grouped_in_the_table():
    spans = [(0, 0), (0, 8), (0, 9), (0, 20)]
    words = [f"w{number}" for number in range(30)]
    raw = {"doc_key": "d", "sentences": [words], "ner": [[[*span, "X"] for span in spans]]}
    table = statistics_table({"train": collect_statistics([typed_document(raw)])})
    assert "| 1 | 1 |" in table
    assert "| 9 to 10 | 2 |" in table
    assert "| 15 to 22 | 1 |" in table


def test_the_table_has_no_rows_for_relations_if_there_are_none():
    raw = {"doc_key": "d", "sentences": [["Ann"]], "ner": [[[0, 0, "PER"]]]}
    assert "relation" not in statistics_table({"train": collect_statistics([typed_document(raw)])})


def test_statistics_can_be_written_as_json(document, minilm_tokenizer):
    values = json.loads(json.dumps(collect_statistics([document], WordTokenizer(minilm_tokenizer)).to_dict()))
    assert values["entities"] == 3
    assert values["widths"] == {"1": 2, "3": 1}
    assert values["max_span_length_loses"]["4"] == 0
    assert values["max_seq_length_loses"]["128"] == {"sentences": 0, "entities": 0, "relations": 0}


@pytest.mark.parametrize("ending", ["png", "svg"])
def test_the_picture_is_written(tmp_path, ending):
    path = tmp_path / "new" / f"corpus.{ending}"
    found = {split: collect_statistics(documents) for split, documents in load_documents("sample").items()}
    # matplotlib would draw the text between two dollar signs as a formula.
    found["train"].entity_labels["$price"] = 3
    draw_statistics(path, found, title="costs $5")
    content = path.read_bytes()
    assert content.startswith(PNG) if ending == "png" else b"<svg" in content
    assert len(content) > 10_000


def test_an_unsupported_ending_of_the_picture_is_an_error(tmp_path, document):
    with pytest.raises(PLMarkerError, match=r"corpus\.xyz: "):
        draw_statistics(tmp_path / "corpus.xyz", {"train": collect_statistics([document])})
