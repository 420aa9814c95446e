"""The pages of an evaluation."""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import Any

from plmarker.reports.evaluation import evaluation_page

METRICS = {"ent_precision": 0.5, "ent_recall": 0.25, "ent_f1": 1 / 3, "ent_f1/<PER>": 0.5}


def entity(start: int, end: int, label: str) -> dict[str, Any]:
    return {"start": start, "end": end, "label": label}


def relation(head: int, tail: int, label: str) -> dict[str, Any]:
    return {"head_start": head, "head_end": head, "tail_start": tail, "tail_end": tail, "label": label}


DOCUMENT = {
    "ner": [[entity(0, 0, "<PER>"), entity(2, 3, "ORG"), entity(9, 9, "ORG")]],
    "predicted_ner": [[entity(0, 0, "<PER>"), entity(2, 3, "<PER>"), entity(5, 5, "ORG")]],
    "relations": [[relation(0, 2, "A"), relation(0, 9, "A")]],
    "predicted_relations": [[relation(0, 2, "A"), relation(2, 0, "A")]],
}


def test_figures_errors_confusion_and_charts_are_on_the_page():
    page = evaluation_page(METRICS, {"ent": Counter({"wrong label": 2})}, [DOCUMENT], "<b>")
    assert "<b>" not in page
    found = re.search(r'id="data">(.*?)</script>', page, re.DOTALL)
    assert found is not None
    data = json.loads(found[1])
    tables = {table["caption"]: table for table in data["tables"]}
    assert tables["Figures, in percent"]["rows"] == [["Ent", "50.0", "25.0", "33.3"]]
    assert tables["Ent F1 by label"]["rows"] == [["<PER>", "50.0"]]
    assert tables["Ent: errors by kind"]["rows"] == [["wrong label", 2]]
    confusion = tables["Gold types (rows) and predicted types"]
    assert confusion["head"] == ["", "<PER>", "ORG", "nothing"]
    assert confusion["rows"] == [["<PER>", 1, 0, 0], ["ORG", 1, 0, 1], ["nothing", 0, 1, 0]]
    width, distance = data["charts"]
    assert width["bars"] == [["1", 0.5, 2], ["2", 0.0, 1]]
    assert distance["bars"] == [["1", 2 / 3, 1], ["8+", 0.0, 1]]
