"""The answer does not depend on how it is computed: order, batches, chunks, threads, processes, attention.

SciERC is read by a small random model, and by trained models where `PLMARKER_SAME_ANSWER_MODELS` names them: folders,
separated as in PATH. `ENTITY+RELATION` joins two models into one. `pytest -s` prints how much each of them found.
"""

from __future__ import annotations

import multiprocessing
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModel

from plmarker import (
    LabelSchema,
    PLMarkerConfig,
    PLMarkerForEntityRecognition,
    PLMarkerForRelationExtraction,
    PLMarkerModel,
    load_documents,
)

DEMO = Path(__file__).parents[2] / "out" / "demo"
TRAINED = [name for name in os.environ.get("PLMARKER_SAME_ANSWER_MODELS", "").split(os.pathsep) if name]


def answers(model: Any, documents: list[Any], **options: Any) -> list[Any]:
    """Entities and relations by words and classes, without scores."""
    return [
        (
            [[(s.start, s.end, s.label) for s in row] for row in spans],
            [sorted((r.head, r.tail, r.label) for r in row) for row in relations],
        )
        for _, spans, relations in model.predict(documents, **options)
    ]


def answers_of(folder: str, documents: list[Any]) -> list[Any]:
    """In a process of its own."""
    torch.set_num_threads(1)
    return answers(AutoModel.from_pretrained(folder), documents)


@pytest.fixture(scope="module")
def documents() -> list[Any]:
    return [{"doc_key": d["doc_key"], "sentences": d["sentences"]} for d in load_documents("sample")["test"]][:6]


@pytest.fixture(params=["two encoders", "shared encoder", "demo"])
def model(request: pytest.FixtureRequest, make_tiny_model: Any) -> Any:
    if request.param == "demo":
        if not (DEMO / "config.json").is_file():
            pytest.skip("needs the demo's model (make demo)")
        return AutoModel.from_pretrained(DEMO)
    return tiny_model(request.param, make_tiny_model)


def tiny_model(kind: str, make_tiny_model: Any, **values: Any) -> Any:
    """A random model that finds things."""
    common = {"max_seq_length": 64, **values}
    entity = make_tiny_model(PLMarkerForEntityRecognition, max_span_length=4, **common)
    if kind == "two encoders":
        relation = make_tiny_model(PLMarkerForRelationExtraction, seed=3, **common)
        return PLMarkerModel.from_models(entity, relation, entity.tokenizer)
    relation = make_tiny_model(PLMarkerForRelationExtraction, subject_markers="shared", **common)
    relation.config.marker_token_ids = [token + 2 for token in relation.config.marker_token_ids]
    torch.manual_seed(4)
    model = PLMarkerModel(
        PLMarkerConfig(entity_config=entity.config, relation_config=relation.config, shared_encoder=True)
    )
    for name, parameter in model.named_parameters():
        if parameter.dim() > 1:
            torch.nn.init.normal_(parameter, std=0.3 if "layer" in name else 1.0)
    model.tokenizer = entity.tokenizer
    return model.eval()


def test_the_answer_is_always_the_same(model: Any, documents: list[Any], tmp_path: Path) -> None:
    check_answers(model, documents, tmp_path)


@pytest.mark.parametrize("name", [*TRAINED, "shared encoder"], ids=lambda name: Path(name).name)
def test_the_answer_on_scierc_is_always_the_same(
    name: str, scierc_dev: list[Any], scierc_schema: LabelSchema, make_tiny_model: Any, tmp_path: Path
) -> None:
    read = [{"doc_key": d["doc_key"], "sentences": d["sentences"]} for d in scierc_dev]
    read.sort(key=lambda document: sum(map(len, document["sentences"])))
    if name not in TRAINED:
        check_answers(tiny_model(name, make_tiny_model, schema=scierc_schema), read[:3], tmp_path)
        return
    loaded = [AutoModel.from_pretrained(folder) for folder in name.split("+")]
    model = loaded[0] if len(loaded) == 1 else PLMarkerModel.from_models(*loaded, loaded[0].tokenizer)
    check_answers(model, read[:3], tmp_path)


def check_answers(model: Any, documents: list[Any], folder: Path) -> None:
    expected = answers(model, documents)
    n_entities = sum(len(row) for spans, _ in expected for row in spans)
    n_relations = sum(len(row) for _, relations in expected for row in relations)
    print(f"{len(documents)} documents, {n_entities} entities, {n_relations} relations")
    assert n_entities > 10
    assert n_relations > 3
    assert answers(model, documents[::-1])[::-1] == expected
    assert [answers(model, [document])[0] for document in documents] == expected
    for batch_tokens in (1, 200, 100_000):
        assert answers(model, documents, batch_tokens=batch_tokens) == expected
    for part in (model.entity, model.relation):
        part.marker_tokens = 16
    assert answers(model, documents) == expected
    for part in (model.entity, model.relation):
        part.marker_tokens = 512
    threads = torch.get_num_threads()
    for count in (1, 2):
        torch.set_num_threads(count)
        assert answers(model, documents) == expected
    torch.set_num_threads(threads)
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda document: answers(model, [document])[0], documents)) == expected
    model.save_pretrained(folder)
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        found = pool.starmap(answers_of, [(str(folder), documents[:2]), (str(folder), documents[2:])])
    assert [answer for part in found for answer in part] == expected
    for attention in ("eager", "sdpa"):
        model.set_attn_implementation(attention)
        assert answers(model, documents) == expected
