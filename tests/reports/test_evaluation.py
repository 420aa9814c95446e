"""The pages of an evaluation."""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import Any

from defusedxml import ElementTree

from plmarker.reports.evaluation import evaluation_page
from plmarker.reports.scores import scores_picture
from plmarker.trainers.findings import Findings, Found, scores_of

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


FINDINGS = [
    Findings([Found("A", 0.92, True), Found("A", 0.62, False)], Counter(A=1)),
    Findings([Found("B", 0.32, True)], Counter(B=3)),
]


def test_precision_recall_and_reliability_are_drawn_from_the_scores():
    hints = [
        circle[0].text
        for circle in ElementTree.fromstring(scores_picture("<Ent>", scores_of(FINDINGS))).iter(
            "{http://www.w3.org/2000/svg}circle"
        )
    ]
    # Precision, recall and F1 by the least score, and precision over recall: nothing is returned from 0.95 on.
    for hint in ("from 0: precision 66.7, recall 50.0, F1 57.1", "from 0.65: precision 100.0, recall 25.0, F1 40.0"):
        assert hints.count(hint) == 4
    assert not any("from 0.95" in hint for hint in hints)
    assert "score 0.62, 0.0 % of 1 are right" in hints
    assert len(hints) == 4 * 19 + 3


def test_the_page_shows_the_scores_of_what_was_found_alone():
    nothing = [Findings([], Counter(X=1))]
    page = evaluation_page({}, {}, [], scores={"ent": scores_of(FINDINGS), "rel": scores_of(nothing)})
    assert scores_of([]) == {"by_least_score": [], "bins": []}
    assert page.count('<figure class="scores">') == 1
    assert "Ent: scores" in page
    assert "<svg" not in evaluation_page({}, {}, [])
