"""Explanations: attention that equals the dense reference, and scores without a word."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from plmarker import (
    Extraction,
    LabelSchema,
    PLMarkerError,
    PLMarkerForEntityRecognition,
    PLMarkerForRelationExtraction,
    PLMarkerModel,
)
from plmarker.cli import main
from plmarker.cli.predict import print_extraction
from plmarker.modeling.extracting_plmarker import ExtractsFromText
from plmarker.modeling.prediction_plmarker import predict_relations
from plmarker.modeling.windows_plmarker import WordTokenizer
from plmarker.reports.explanation import MaskedTokenizer, marker_attention, places_of
from plmarker.reports.page import extraction_page

WORDS = [["Ann", "Bell", "met", "Bob", "of", "Acme", "unexpectedly", "."], ["Acme", "grew", "."]]
ENTITIES = [(0, 1, "Person"), (3, 3, "Person"), (5, 5, "Company")]
SCHEMA = LabelSchema(("Person", "Company"), ("SPOUSE_OF", "WORKS_FOR", "OWNS"), ("SPOUSE_OF",))
KINDS: dict[str, dict[str, Any]] = {
    "solid": {},
    "joined": {"att_left": True},
    "directed": {"bidirectional": False},
    "levitated": {"subject_markers": "levitated"},
    "shared": {"subject_markers": "shared"},
}


@pytest.fixture
def make(make_tiny_model: Any) -> Any:
    def make_relation(kind: str, **values: Any) -> PLMarkerForRelationExtraction:
        settings = {"schema": SCHEMA, "max_seq_length": 32, "entity_types": "input", "seed": 5, **KINDS[kind], **values}
        model: PLMarkerForRelationExtraction = make_tiny_model(PLMarkerForRelationExtraction, **settings)
        # So that every pair has a relation.
        (model.subject_classifier if model.pair_scorer is None else model.pair_scorer.output).bias.data[0] = -20.0
        return model

    return make_relation


def document() -> dict[str, Any]:
    given = [{"start": start, "end": end, "label": label} for start, end, label in ENTITIES]
    return {"sentences": WORDS, "predicted_ner": [given, []]}


@pytest.mark.parametrize("kind", KINDS)
def test_weights_equal_those_of_the_dense_reference_and_sum_to_one(make: Any, kind: str) -> None:
    model = make(kind)
    tokenize = WordTokenizer(model.tokenizer)
    example, number = places_of(model.task, document(), tokenize, (0, 1), (5, 5))[0]
    found = marker_attention(model, example, number)
    inputs = model.task.batch([example], labels=False).inputs
    n_text = len(inputs["input_ids"])
    # In the reference the only window is the text with the markers behind it.
    kept: list[torch.Tensor] = []
    model.set_attn_implementation("eager")
    for name, module in model.encoder.named_modules():
        if name.endswith("attention.self"):
            module.register_forward_hook(lambda module, args, output: kept.append(output[1][0].mean(dim=0)))
    with torch.inference_mode():
        model(**inputs)
    dense = torch.stack(kept).numpy()
    for part in (found.subject, found.object):
        np.testing.assert_allclose(part.sum(axis=-1), 1.0, rtol=1e-5)
        width = dense.shape[-1] if part.shape[-1] > n_text else n_text
        assert part.shape == (2, 2, width)
    block = model.task.n_markers
    if kind == "shared":
        subject, entity = inputs["pair_index"][number].tolist()
        rows = [n_text + 2 * subject + np.arange(2), n_text + 2 * entity + np.arange(2)]
    elif kind == "levitated":
        rows = [n_text + block * number + np.arange(2), n_text + block * number + np.arange(2, 4)]
    else:
        rows = [model.task.text_positions(example)[number], n_text + block * number + np.arange(2)]
    for part, places in zip((found.subject, found.object), rows, strict=True):
        np.testing.assert_allclose(part, dense[:, places, : part.shape[-1]], atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_a_drop_is_that_of_reading_the_text_with_the_word_masked(make: Any, kind: str) -> None:
    model = make(kind)
    doc = model.extract(words=WORDS, entities=ENTITIES, explain=True)
    plain = model.extract(words=WORDS, entities=ENTITIES)
    assert plain.relations == [replace(found, explanation=None) for found in doc.relations] != []
    tokenize = WordTokenizer(model.tokenizer)
    names = [word for sentence in WORDS for word in sentence]
    starts = np.cumsum([0, *(len(word) + 1 for word in names)])
    span_of = {"Ann Bell": (0, 1), "Bob": (3, 3), "Acme": (5, 5)}
    classes = SCHEMA.relation_classes
    n_same = 0
    for found in doc.relations:
        assert found.explanation is not None
        words = found.explanation.words
        assert len(words) == 8
        total = [sum(word.head) + sum(word.tail) for word in words]
        assert total == sorted(total, reverse=True)
        assert all(doc.text[word.start : word.end] == word.text for word in words)
        assert all(len(word.head) == len(word.tail) == 2 and min(word.head) >= 0 for word in words)
        for word in words[:3]:
            number = int(np.flatnonzero(starts == word.start)[0])
            masked = MaskedTokenizer(tokenize, number, model.tokenizer.mask_token_id)
            ((_, sentences),) = predict_relations(model, masked, [document()], entity_types="input")
            for other in sentences[0]:
                ends = span_of[found.head.text], span_of[found.tail.text]
                if (other.head, other.tail, classes[other.label]) == (*ends, found.label):
                    assert found.score - word.drop == pytest.approx(other.score, abs=1e-5)
                    n_same += 1
    assert n_same


def test_a_masked_word_is_the_mask_token_of_each_subword(make: Any) -> None:
    tokenizer = make("solid").tokenizer
    tokenize = WordTokenizer(tokenizer)
    read = MaskedTokenizer(tokenize, 6, tokenizer.mask_token_id)(WORDS[0])
    plain = tokenize(WORDS[0])
    assert read.word_starts == plain.word_starts
    start, stop = read.word_starts[6:8]
    assert stop > start
    assert set(read.ids[start:stop]) == {tokenizer.mask_token_id}
    assert read.ids[:start] + read.ids[stop:] == plain.ids[:start] + plain.ids[stop:]


def test_explanations_are_saved_read_and_shown(make: Any, tmp_path: Path, capsys: Any) -> None:
    model = make("solid")
    text = "Ann met <b>Bob."
    entities = [(0, 3, "Person"), (11, 14, "Person")]
    doc = model.extract(text, entities=entities, explain=True)
    assert all(found.explanation for found in doc.relations)
    saved = json.loads(json.dumps(doc.to_dict()))
    assert Extraction.from_dict(saved).relations == doc.relations != []
    assert "explanation" not in model.extract(text, entities=entities).to_dict()["relations"][0]
    page = extraction_page(doc)
    assert "<b>" not in page
    assert '"drop":' in page
    model.save_pretrained(tmp_path / "model")
    source, out, page_file = tmp_path / "texts.jsonl", tmp_path / "out.jsonl", str(tmp_path / "page.html")
    given = [{"start": start, "end": end, "label": label} for start, end, label in entities]
    source.write_text(json.dumps({"doc_key": "a", "text": text, "entities": given}) + "\n", encoding="utf-8")
    command = ["predict", str(tmp_path / "model"), str(source), "--out", str(out), "--given_entities", "--explain"]
    assert main(command) == 0
    row = json.loads(out.read_text(encoding="utf-8"))
    assert row["relations"] == saved["relations"]
    assert main(["show", str(out), "--out", page_file]) == 0
    assert '"drop":' in Path(page_file).read_text(encoding="utf-8")
    row["relations"][0]["explanation"]["words"][0]["end"] = 999
    out.write_text(json.dumps(row), encoding="utf-8")
    capsys.readouterr()
    assert main(["show", str(out), "--out", page_file]) == 2
    assert "out.jsonl:1" in capsys.readouterr().err
    saved["relations"][0]["explanation"] = {"words": [{"text": "of"}]}
    with pytest.raises(PLMarkerError, match="to_dict"):
        Extraction.from_dict(saved)


@pytest.mark.parametrize("is_terminal", [False, True])
def test_the_words_are_printed(is_terminal: bool, monkeypatch: Any, capsys: Any) -> None:
    ends = [{"text": text, "label": "PER", "start": 0, "end": 3, "score": 1.0} for text in ("Ann", "Bob")]
    words = [{"text": "met", "drop": 0.5}, {"text": "so", "drop": -0.1}]
    found = {"head": 0, "tail": 1, "label": "MET", "score": 0.8, "explanation": {"words": words}}
    monkeypatch.setattr("sys.stdout.isatty", lambda: is_terminal)
    print_extraction({"text": "Ann met Bob so.", "entities": ends, "relations": [found]})
    assert "without met 0.30, so 0.90" in capsys.readouterr().out


def test_what_cannot_be_explained_is_one_sentence(
    make: Any, make_tiny_model: Any, monkeypatch: Any, tmp_path: Path, capsys: Any
) -> None:
    entity = make_tiny_model(PLMarkerForEntityRecognition, schema=SCHEMA, max_seq_length=32, max_span_length=2)
    assert entity.extract("Ann met Bob.", explain=True).relations == []
    entity.save_pretrained(tmp_path)
    assert main(["predict", str(tmp_path), "--text", "Ann met Bob.", "--explain"]) == 2
    assert "--explain needs a relation model" in capsys.readouterr().err
    model = make("solid")
    asked = {"words": WORDS, "entities": ENTITIES, "explain": True}
    model.config.compat = "original"
    with pytest.raises(PLMarkerError, match="compat"):
        model.extract(**asked)
    model.config.compat = None
    model.set_attn_implementation("sdpa")
    with pytest.raises(PLMarkerError, match="levitated attention"):
        model.extract(**asked)
    # As in a checkpoint that carries its code.
    monkeypatch.setattr(ExtractsFromText, "explainer", None)
    with pytest.raises(PLMarkerError, match="needs the package plmarker"):
        model.extract(**asked)


def test_a_shared_encoder_is_explained(make: Any, make_tiny_model: Any) -> None:
    relation = make("shared")
    entity = make_tiny_model(PLMarkerForEntityRecognition, schema=SCHEMA, max_seq_length=32, max_span_length=1)
    del relation.encoder
    relation.__dict__["encoder"] = entity.encoder
    combined = PLMarkerModel.from_models(entity, relation, entity.tokenizer)
    assert combined.config.shared_encoder
    doc: Any = combined.extract("Ann met Bob.", entity_threshold={"NIL": 1.0}, explain=True)
    plain: Any = combined.extract("Ann met Bob.", entity_threshold={"NIL": 1.0})
    assert plain.relations == [replace(found, explanation=None) for found in doc.relations] != []
    assert all(found.explanation.words for found in doc.relations)
