"""Guarantees: thresholds that keep a promise about new documents."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from plmarker import (
    LabelSchema,
    PLMarkerError,
    PLMarkerForEntityRecognition,
    PLMarkerForRelationExtraction,
    PLMarkerModel,
    load_documents,
)
from plmarker.cli import main
from plmarker.modeling.decoding_plmarker import label_spans
from plmarker.modeling.rows_plmarker import Annotations
from plmarker.trainers.findings import Findings, Found, entity_findings, relation_findings
from plmarker.trainers.guarantees import (
    THRESHOLDS,
    documents_for_found,
    documents_for_wrong,
    guarantee,
    is_below,
    missed_shares,
    threshold_for_found,
    threshold_for_wrong,
    wrong_shares,
)


def drawn(draw: np.random.Generator, n_documents: int) -> list[Findings]:
    """Documents that differ from each other: some are hard throughout, and some annotations are no candidates."""
    documents = []
    for ease in draw.normal(0.0, 0.7, n_documents):
        logits = draw.normal(1.0, 2.0, draw.integers(1, 30))
        right = draw.random(len(logits)) < 1 / (1 + np.exp(-(logits + ease)))
        scores = 1 / (1 + np.exp(-logits))
        found = [Found("A", float(s), bool(r)) for s, r in zip(scores, right, strict=True)]
        documents.append(Findings(found, Counter(A=int(right.sum()) + int(draw.random() < 0.2))))
    return documents


@pytest.fixture(scope="module")
def truth() -> list[Findings]:
    """So many documents that their mean is that of all documents."""
    return drawn(np.random.default_rng(99), 4000)


def test_at_most_wrong_holds_as_often_as_it_says(truth: list[Findings]) -> None:
    draw = np.random.default_rng(0)
    means = wrong_shares(truth, THRESHOLDS)[0].mean(axis=1)
    shares = [means[THRESHOLDS.index(threshold_for_wrong(drawn(draw, 80), 0.2, 0.9))] for _ in range(100)]
    assert np.mean(np.array(shares) <= 0.2) >= 0.9
    # It is no empty promise: more than half of the level is used.
    assert np.mean(shares) > 0.1


def test_at_least_found_holds_on_average(truth: list[Findings]) -> None:
    truth = [one for one in truth if one.annotated.total()]
    draw = np.random.default_rng(1)
    thresholds = [threshold_for_found(drawn(draw, 60), 0.8) for _ in range(100)]
    found = 1 - missed_shares(truth, thresholds).mean(axis=1)
    # 0.8, and at most the loss of one document in 61 more, but for the noise of 150 draws.
    assert 0.8 - 0.005 <= np.mean(found) <= 0.8 + 1 / 61 + 0.005


def test_the_bet_is_won_by_chance_at_most_as_often_as_it_says() -> None:
    draw = np.random.default_rng(2)
    # The mean of these is exactly the level.
    wins = [is_below(draw.beta(0.2, 0.8, size=60), 0.2, 0.9) for _ in range(2000)]
    assert np.mean(wins) <= 0.1
    wins = [is_below((draw.random(60) < 0.2).astype(float), 0.2, 0.9) for _ in range(2000)]
    assert 0.01 < np.mean(wins) <= 0.1
    assert all(is_below(np.full(60, 0.05), 0.2, confidence) for confidence in (0.5, 0.9, 0.99))


def test_too_few_documents_are_refused_with_the_number_that_would_do() -> None:
    for level, confidence in ((0.1, 0.9), (0.05, 0.9), (0.3, 0.99)):
        n = documents_for_wrong(level, confidence)
        perfect = [Findings([Found("A", 1.0, True)], Counter(A=1))] * n
        assert threshold_for_wrong(perfect, level, confidence) == THRESHOLDS[-1]
        with pytest.raises(PLMarkerError, match=f"takes at least {n}"):
            threshold_for_wrong(perfect[1:], level, confidence)
        assert not is_below(np.zeros(n - 1), level, confidence)
    for level, n in ((0.95, 19), (0.9, 9), (0.5, 1)):
        assert documents_for_found(level) == n
        perfect = [Findings([Found("A", 0.75, True)], Counter(A=1))] * n
        # Documents without annotations do not count.
        assert threshold_for_found([*perfect, Findings([], Counter())], level) == 0.75
        with pytest.raises(PLMarkerError, match=f"takes at least {n}"):
            threshold_for_found(perfect[1:], level)


def test_what_cannot_be_reached_is_refused_with_what_can() -> None:
    half = [Findings([Found("A", 0.9, n % 2 == 0)], Counter(A=2)) for n in range(100)]
    with pytest.raises(PLMarkerError, match="the least level that they allow is 0"):
        threshold_for_wrong(half, 0.3, 0.9)
    # A quarter is found, and one more document may miss all.
    with pytest.raises(PLMarkerError, match=r"without any threshold 0.250 of them are, and 0.248"):
        threshold_for_found(half, 0.3)
    assert threshold_for_found(half, 0.24) == 0.9
    # Where nothing is returned, nothing is promised.
    with pytest.raises(PLMarkerError, match="cannot be shown"):
        threshold_for_wrong([Findings([], Counter(A=1))] * 100, 0.1, 0.9)


def test_shares_are_those_of_each_document() -> None:
    found = [
        Findings([Found("A", 0.9, True), Found("A", 0.5, False), Found("B", 0.5, True)], Counter(A=3, B=1)),
        Findings([Found("A", 0.4, False)], Counter(B=2)),
    ]
    wrong, returned = wrong_shares(found, [0.95, 0.9, 0.5, 0.0])
    assert returned.tolist() == [[0, 0], [1, 0], [3, 0], [3, 1]]
    assert wrong[:, 0].tolist() == pytest.approx([0, 0, 1 / 3, 1 / 3])
    assert wrong[:, 1].tolist() == [0, 0, 0, 1]
    assert missed_shares(found, [0.95, 0.9, 0.5]).tolist() == [[1.0, 1.0], [0.75, 1.0], [0.5, 1.0]]


def test_with_a_least_score_nil_gives_way() -> None:
    logits = np.log([[0.7, 0.1, 0.2], [0.3, 0.6, 0.1], [1.0, 1e-300, 1e-300]])
    places = [(0, 0), (1, 1), (2, 2)]
    assert [span.label for span in label_spans(places, logits)] == [1]
    found = label_spans(places, logits, least_nil=0.71)
    assert [(span.start, span.label, round(span.score, 3)) for span in found] == [(0, 2, 0.2), (1, 1, 0.6)]
    assert label_spans(places, logits, least_nil=0.7 - 1e-9) == label_spans(places, logits)
    # What is certainly NIL, such as a pruned span, stays NIL.
    assert len(label_spans(places, logits, least_nil=1.0)) == 2


def test_a_promise_is_saved_and_kept_by_extract(model: PLMarkerModel, tmp_path: Path, capsys: Any) -> None:
    documents = list(load_documents("sample")["test"])
    found = guarantee(model, documents, at_least_found=0.02, task="entities")["entities"]
    assert found.documents == len(documents)
    assert found.thresholds == model.entity.config.thresholds
    assert set(found.thresholds) == {"NIL", *model.config.schema.entity_labels}
    assert model.relation is not None
    assert model.relation.config.thresholds == {}
    assert found.missed <= 0.98
    # What extract returns is what was counted.
    shares = []
    for document in documents:
        truth = {(e["start"], e["end"], e["label"]) for sentence in document["ner"] for e in sentence}
        _, sentences, _ = next(iter(model.predict([document])))
        classes = model.config.schema.entity_classes
        returned = {(s.start, s.end, classes[s.label]) for spans in sentences for s in spans}
        assert all(s.score >= found.threshold for spans in sentences for s in spans)
        if truth:
            shares.append(1 - len(truth & returned) / len(truth))
    assert np.mean(shares) == pytest.approx(found.missed)
    model.save_pretrained(tmp_path / "model")
    command = ["calibrate", str(tmp_path / "model"), "--dataset", "sample", "--split", "test"]
    assert main([*command, "--at_least_found", "0.01", "--task", "entities"]) == 0
    assert "at least 1 % of what is annotated is returned" in capsys.readouterr().out
    for options, expected in (
        (["--at_most_wrong", "0.01"], "takes at least"),
        (["--at_most_wrong", "0.5", "--picture", "a.svg"], "leave it out"),
        (["--task", "entities"], "needs --at_most_wrong"),
    ):
        assert main([*command, *options]) == 2
        assert expected in capsys.readouterr().err


def test_a_promise_is_kept_whole_or_not_at_all(model: PLMarkerModel) -> None:
    documents = list(load_documents("sample")["test"])
    model.entity.config.thresholds = {"Person": 0.5}
    for options, expected in (
        ({}, "one of them"),
        ({"at_most_wrong": 0.1, "at_least_found": 0.9}, "one of them"),
        ({"at_least_found": 1.0}, "above 0 and below 1"),
        ({"at_most_wrong": 0.1, "confidence": 2}, "confidence is above 0"),
        ({"at_most_wrong": 0.1, "task": "labels"}, "entities or relations"),
        # The relations of this model are wrong.
        ({"at_least_found": 0.01}, "relations are found cannot be promised"),
    ):
        with pytest.raises(PLMarkerError, match=expected):
            guarantee(model, documents, **options)
    assert model.entity.config.thresholds == {"Person": 0.5}
    model.entity.config.compat = "original"
    with pytest.raises(PLMarkerError, match="compat"):
        guarantee(model, documents, at_least_found=0.5, task="entities")


def test_relations_that_compete_for_a_place_get_no_promise(model: PLMarkerModel) -> None:
    documents = list(load_documents("sample")["test"])
    assert model.relation is not None
    label = model.config.schema.relation_labels[0]
    for part in (model.entity, model.relation):
        part.config.constraints = {label: {"one_per_head": True}}
    with pytest.raises(PLMarkerError, match="makes room for another one"):
        guarantee(model, documents, at_most_wrong=0.5, task="relations")
    # Entities do not depend on it.
    assert guarantee(model, documents, at_least_found=0.02, task="entities")["entities"].missed <= 0.98


def test_findings_count_what_is_no_candidate_and_symmetric_relations_once(make_tiny_model: Any) -> None:
    labels = LabelSchema(("Person",), ("OWNS", "SPOUSE_OF"), ("SPOUSE_OF",))
    entity = make_tiny_model(PLMarkerForEntityRecognition, schema=labels, max_span_length=2)
    annotations = Annotations([[0, 0, 4, 1]], [[0, 0, 0, 2, 2, 1], [0, 2, 2, 0, 0, 1], [0, 0, 0, 2, 2, 2]])
    assert entity_findings(entity.task, [], annotations, 1) == Findings([], Counter(Person=1))
    relation = make_tiny_model(PLMarkerForRelationExtraction, schema=labels)
    assert relation_findings(relation.task, [], annotations, 1).annotated == Counter(SPOUSE_OF=1, OWNS=1)
