"""The passes of an encoder as modules and as graphs, and extraction by them."""

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_models import FAMILIES, TOLERANCE, span_batch, tiny_model

from plmarker import PLMarkerError, PLMarkerForEntityRecognition, PLMarkerForRelationExtraction, PLMarkerModel
from plmarker.serving.encoder_passes import MarkerPass, TextPass
from plmarker.serving.exported import SessionEncoder, load_exported, runtime_options
from plmarker.serving.exporting import export

TEXTS = ["Ann Bell met Bob of Acme.", "", "Acme grew. Bob married Ann in Oslo 🙂 on a Monday."]


def in_place_of_graphs(encoder: Any, config: Any) -> SessionEncoder:
    """A session encoder whose graphs are the modules that would be traced."""
    session = SessionEncoder.__new__(SessionEncoder)
    torch.nn.Module.__init__(session)
    text, markers = TextPass(encoder), MarkerPass(encoder, config.marker_token_ids)
    session.prepare(encoder.config, config.marker_token_ids, text, markers)
    return session


@pytest.mark.parametrize("family", FAMILIES)
def test_the_passes_compute_what_the_model_computes(family: str) -> None:
    model = tiny_model(family)
    batch = span_batch(model)
    with torch.inference_mode():
        expected = model(**batch).logits
        model.encoder = in_place_of_graphs(model.encoder, model.config)
        found = model(**batch).logits
    assert expected.abs().max() > 0.1
    torch.testing.assert_close(found, expected, **TOLERANCE)


@pytest.fixture
def model(make_tiny_model: Any, minilm_tokenizer: Any) -> PLMarkerModel:
    entity = make_tiny_model(PLMarkerForEntityRecognition, max_seq_length=64, max_span_length=4)
    relation = make_tiny_model(PLMarkerForRelationExtraction, seed=3, max_seq_length=64)
    return PLMarkerModel.from_models(entity, relation, minilm_tokenizer)


@pytest.mark.parametrize("format", ["onnx", "openvino"])
def test_graphs_extract_what_the_model_extracts(model: PLMarkerModel, tmp_path: Path, format: str) -> None:
    pytest.importorskip("onnxscript" if format == "onnx" else "openvino")
    pytest.importorskip("onnxruntime" if format == "onnx" else "openvino")
    assert export(model, tmp_path / "out", format) == ["entity", "relation"]
    loaded = load_exported(tmp_path / "out")
    assert isinstance(loaded, PLMarkerModel)
    for found, expected in zip(loaded.extract(TEXTS), model.extract(TEXTS), strict=True):
        assert [(e.start, e.end, e.label) for e in found.entities] == [
            (e.start, e.end, e.label) for e in expected.entities
        ]
        assert [e.score for e in found.entities] == pytest.approx([e.score for e in expected.entities], abs=1e-4)
        assert sorted((r.label, r.head.start, r.tail.start) for r in found.relations) == sorted(
            (r.label, r.head.start, r.tail.start) for r in expected.relations
        )


def test_openvino_computes_in_float32_unless_it_is_asked() -> None:
    assert runtime_options("openvino", {"device": "cpu"}) == {
        "device": "cpu",
        "config": {"INFERENCE_PRECISION_HINT": "f32"},
    }
    asked = {"config": {"INFERENCE_PRECISION_HINT": "bf16", "INFERENCE_NUM_THREADS": 2}}
    assert runtime_options("openvino", asked) == asked
    assert runtime_options("onnx", {"device": "cpu"}) == {"device": "cpu"}


def test_what_cannot_be_exported_says_why(make_tiny_model: Any, tmp_path: Path) -> None:
    late = make_tiny_model(PLMarkerForEntityRecognition, max_seq_length=64, late_layers=1)
    for model, options, reason in (
        (late, {}, "late_layers"),
        (late, {"format": "tflite"}, "one of onnx, openvino"),
        (late, {"format": "openvino", "int8": True}, "int8 is for onnx"),
    ):
        with pytest.raises(PLMarkerError, match=f"{reason}|extra"):
            export(model, tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()
    with pytest.raises(PLMarkerError, match="expected a folder that"):
        load_exported(tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        '{"parts": ["entity"]}',
        '{"parts": ["../x"], "markers": {"../x": [1]}}',
        '{"parts": ["entity"], "markers": {}}',
        '{"parts": ["entity"], "markers": {"entity": [1]}}',
    ],
)
def test_a_damaged_export_is_named(minilm_tokenizer: Any, tmp_path: Path, text: str) -> None:
    minilm_tokenizer.save_pretrained(tmp_path)
    (tmp_path / "plmarker_export.json").write_text(text)
    with pytest.raises(PLMarkerError, match=re.escape(str(tmp_path))):
        load_exported(tmp_path)
