"""Temperatures and thresholds: fitted on documents, saved, and used."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from transformers import AutoModel

from plmarker import (
    PLMarkerError,
    PLMarkerModel,
    load_documents,
)
from plmarker.cli import main
from plmarker.trainers.calibration import _calibrate, _error, _thresholds, calibrate
from plmarker.trainers.findings import Found, score_bins


def overconfident(seed: int, n_documents: int = 200) -> Any:
    """Predictions whose logits are three times too large, as `_read` gives them."""
    draw = np.random.default_rng(seed)
    logits = draw.normal(1.0, 1.0, size=(n_documents, 10))
    right = draw.random(logits.shape) < 1 / (1 + np.exp(-logits))

    def at(temperature: float) -> list[list[Found]]:
        scores = 1 / (1 + np.exp(-3 * logits / temperature))
        return [
            [Found("AB"[n % 2], float(s), bool(r)) for n, (s, r) in enumerate(zip(row, truth, strict=True))]
            for row, truth in zip(scores, right, strict=True)
        ]

    gold = [Counter({"A": int(row[::2].sum()) + 1, "B": int(row[1::2].sum())}) for row in right]
    return (at, gold)


def test_a_temperature_undoes_overconfidence():
    found = _calibrate("entities", overconfident(0), None, None)
    assert found.temperature == pytest.approx(3.0, rel=0.15)
    assert found.error_before > 0.05
    assert found.error_after < 0.03
    assert found.f1_after >= found.f1_before
    assert sum(count for _, _, count in found.bins["after"]) == found.predictions == 2000


@pytest.mark.parametrize(("precision", "recall"), [(0.9, None), (None, 0.7)])
def test_thresholds_reach_what_is_named_and_no_more(precision, recall):
    at, gold = overconfident(1)
    found = [one for document in at(3.0) for one in document]
    annotated = sum(gold, Counter())
    thresholds, unreached = _thresholds(found, annotated, precision, recall)
    assert not unreached

    def figures(label: str, least: float) -> tuple[float, float]:
        own = [one for one in found if one.label == label and one.score >= least]
        right = sum(one.is_right for one in own)
        return right / max(len(own), 1), right / annotated[label]

    for label in "AB":
        scores = sorted({one.score for one in found if one.label == label})
        reached = figures(label, thresholds[label])
        if precision is not None:
            assert reached[0] >= precision
            # No lower threshold reaches it.
            assert all(figures(label, s)[0] < precision for s in scores if s < thresholds[label] - 1e-5)
        else:
            assert reached[1] >= recall
            assert all(figures(label, s)[1] < recall for s in scores if s > thresholds[label] + 1e-5)


def test_what_cannot_be_reached_is_named_and_rare_labels_keep_all():
    found = [Found("A", 0.9, False)] * 20 + [Found("B", 0.9, True)]
    annotated = Counter({"A": 20, "B": 3})
    assert _thresholds(found, annotated, 0.9, None) == ({}, ["A"])
    assert _thresholds(found, annotated, None, None)[0].keys() == {"A"}


def test_the_error_is_the_mean_distance_from_the_diagonal():
    found = [Found("A", 0.9, True)] * 3 + [Found("A", 0.9, False)] + [Found("A", 1.0, True)] * 4
    assert score_bins(found)[0][2] == 8
    found = [Found("A", 0.85, True)] * 4 + [Found("A", 0.15, False)] * 4
    assert _error(score_bins(found)) == pytest.approx(0.15)


def test_a_model_is_calibrated_saved_and_used(model: PLMarkerModel, tmp_path: Path, capsys: Any) -> None:
    documents = load_documents("sample")["test"]
    # No relation of this model is right. Then the entities are not calibrated either.
    with pytest.raises(PLMarkerError, match="0 of them right"):
        calibrate(model, documents)
    assert (model.entity.config.temperature, model.entity.config.thresholds) == (1.0, {})
    model = PLMarkerModel.from_models(model.entity, None, model.tokenizer)
    before = model.extract(words=documents[0]["sentences"])
    found = calibrate(model, documents)
    assert found.keys() == {"entities"}
    assert model.entity.config.temperature == found["entities"].temperature > 1.0
    assert model.entity.config.thresholds == found["entities"].thresholds != {}
    after = model.extract(words=documents[0]["sentences"])
    assert len(after.entities) < len(before.entities)
    # A call may name its own thresholds.
    every = model.extract(words=documents[0]["sentences"], entity_threshold=0.0, relation_threshold=0.0)
    assert len(every.entities) > len(after.entities)
    assert max(e.score for e in every.entities) < max(e.score for e in before.entities)
    model.save_pretrained(tmp_path / "model")
    loaded = AutoModel.from_pretrained(tmp_path / "model")
    assert [e.start for e in loaded.extract(words=documents[0]["sentences"]).entities] == [
        e.start for e in after.entities
    ]
    command = ["calibrate", str(tmp_path / "model"), "--dataset", "sample", "--split", "test", "--recall", "0.01"]
    assert main([*command, "--picture", str(tmp_path / "picture.svg")]) == 0
    output = capsys.readouterr().out
    assert "expected calibration error" in output
    assert "<svg" in (tmp_path / "picture.svg").read_text()
    again = AutoModel.from_pretrained(tmp_path / "model")
    assert again.entity.config.thresholds != loaded.entity.config.thresholds
    assert again.entity.config.temperature == pytest.approx(loaded.entity.config.temperature)


def test_what_cannot_be_calibrated_is_one_sentence(model: PLMarkerModel) -> None:
    documents = list(load_documents("sample")["test"])
    for given, options, expected in (
        (documents, {"precision": 0.0}, "above 0"),
        (documents, {"precision": 0.5, "recall": 0.5}, "not both"),
        (documents[:1], {}, "calibration needs 50 predictions"),
        ([{**d, "ner": [[] for _ in d["sentences"]], "relations": None} for d in documents], {}, "no annotated"),
    ):
        with pytest.raises(PLMarkerError, match=expected):
            calibrate(model, given, **options)
    assert model.entity.config.temperature == 1.0
    assert model.entity.config.thresholds == {}
