"""The self-test believes the clock alone."""

import logging

import pytest
import torch
from transformers import AutoModel

import plmarker
from plmarker import (
    PLMarkerForEntityRecognition,
    PLMarkerForRelationExtraction,
    PLMarkerModel,
    fastest_cpu_dtype,
    precision,
)
from plmarker.cli import models
from plmarker.precision import bfloat16_gain


@pytest.mark.parametrize(
    ("seconds", "expected"), [((3.0, 1.0), torch.bfloat16), ((1.0, 1.0), torch.float32), ((1.0, 100.0), torch.float32)]
)
def test_bfloat16_must_be_faster(seconds, expected, monkeypatch, caplog):
    times = dict(zip((torch.float32, torch.bfloat16), seconds, strict=True))
    monkeypatch.setattr(precision, "_seconds", times.__getitem__)
    bfloat16_gain.cache_clear()
    with caplog.at_level(logging.WARNING):
        assert fastest_cpu_dtype() == expected
    assert ("float32" in caplog.text) == (expected == torch.float32)
    bfloat16_gain.cache_clear()


def test_bfloat16_that_is_slower_is_warned_of(monkeypatch, caplog, make_tiny_model, minilm_tokenizer, tmp_path):
    PLMarkerModel.from_models(make_tiny_model(PLMarkerForEntityRecognition), None, minilm_tokenizer).save_pretrained(
        tmp_path
    )
    for gain in (0.2, 2.0):
        monkeypatch.setattr(models, "bfloat16_gain", lambda gain=gain: gain)
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            loaded = models.load_models([str(tmp_path)], "cpu", dtype="bfloat16")
        assert loaded.entity.dtype == torch.bfloat16
        assert ("--dtype auto" in caplog.text) == (gain < 1)


def test_the_self_test_measures_both_types():
    assert precision._seconds(torch.float32) > 0
    assert precision._seconds(torch.bfloat16) > 0


def test_a_model_in_bfloat16_finds_what_it_finds_in_float32(make_tiny_model, minilm_tokenizer, tmp_path):
    parts = [make_tiny_model(kind) for kind in (PLMarkerForEntityRecognition, PLMarkerForRelationExtraction)]
    PLMarkerModel.from_models(*parts, minilm_tokenizer).save_pretrained(tmp_path)
    single, half = (
        AutoModel.from_pretrained(tmp_path, dtype=dtype).eval() for dtype in (torch.float32, torch.bfloat16)
    )
    assert half.dtype == torch.bfloat16
    text = "Ada Morrow founded the Kelmoor Institute in 1998. She married Tom Vell."
    found, expected = (
        {(entity.start, entity.end): entity.score for entity in model.extract(text).entities}
        for model in (half, single)
    )
    assert expected
    shared = found.keys() & expected.keys()
    assert len(shared) >= 0.8 * len(expected)
    assert plmarker.fastest_cpu_dtype is fastest_cpu_dtype
