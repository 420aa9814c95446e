"""Every variant of the paper learns the sample corpus better than a guess."""

from collections import Counter
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoModel, AutoTokenizer, TrainingArguments, set_seed

from plmarker import (
    LabelSchema,
    PLMarkerForEntityRecognition,
    PLMarkerForRelationExtraction,
    PLMarkerTrainer,
    load_documents,
)
from plmarker.encoders.loading import resolve_encoder
from plmarker.modeling.decoding_plmarker import ScoredRelation, ScoredSpan
from plmarker.modeling.rows_plmarker import Annotations
from plmarker.modeling.windows_plmarker import sentence_ranges
from plmarker.trainers.metrics import EntityMetrics, RelationMetrics

ENTITY_STEPS = 100
RELATION_STEPS = 70


@pytest.fixture(scope="module")
def sample() -> Any:
    return load_documents("sample")


@pytest.fixture(scope="module")
def schema(sample: Any) -> LabelSchema:
    return LabelSchema.from_documents((d for split in sample.values() for d in split), ["SPOUSE_OF"])


@pytest.fixture(scope="module", params=[1])
def encoder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    """MiniLM's embeddings and first layers. They learn something in seconds. Relations need two layers."""
    folder = tmp_path_factory.mktemp("encoder")
    path = resolve_encoder("minilm")
    AutoModel.from_pretrained(path, num_hidden_layers=request.param).save_pretrained(folder)
    AutoTokenizer.from_pretrained(path).save_pretrained(folder)
    return str(folder)


TWO_LAYERS = pytest.mark.parametrize("encoder", [2], indirect=True)


@pytest.fixture(scope="module")
def guessed_entities(sample: Any, schema: LabelSchema) -> float:
    """Ent F1 of a guess: every run of capitalised words is an entity of the commonest type."""
    labels = Counter(row["label"] for d in sample["train"] for rows in d["ner"] for row in rows)
    label = schema.entity_class(labels.most_common(1)[0][0])
    metrics = EntityMetrics(schema)
    for document in sample["validation"]:
        annotations = Annotations.of_document(document, schema)
        for sentence, (first, _) in enumerate(sentence_ranges(document["sentences"])):
            words = enumerate(document["sentences"][sentence], start=first)
            runs = [[n for n, _ in run] for upper, run in groupby(words, lambda word: word[1][0].isupper()) if upper]
            spans = [ScoredSpan(run[0], run[-1], label, 1.0) for run in runs]
            metrics.add(annotations.entities(sentence), spans, spans)
    return metrics.compute()["ent_f1"]


@pytest.fixture(scope="module")
def guessed_relations(sample: Any, schema: LabelSchema) -> float:
    """Rel F1 of a guess: two neighbouring entities have the commonest relation."""
    labels = Counter(row["label"] for d in sample["train"] for rows in d["relations"] for row in rows)
    label = schema.relation_class(labels.most_common(1)[0][0])
    metrics = RelationMetrics(schema)
    for document in sample["validation"]:
        annotations = Annotations.of_document(document, schema)
        for sentence in range(len(document["sentences"])):
            gold = annotations.entities(sentence)
            found = [
                ScoredRelation((a[0], a[1]), (b[0], b[1]), label, 1.0, a[2], b[2]) for a, b in pairwise(sorted(gold))
            ]
            metrics.add(gold, annotations.relations(sentence), gold, found)
    return metrics.compute()["rel_f1"]


def train(
    model_class: Any, encoder: str, schema: LabelSchema, sample: Any, folder: Path, values: dict[str, Any]
) -> dict[str, float]:
    tokenizer = AutoTokenizer.from_pretrained(encoder)
    set_seed(0)
    model = model_class.from_encoder(encoder, schema, max_seq_length=48, marker_init="lm", **values)
    args = TrainingArguments(
        output_dir=str(folder),
        max_steps=ENTITY_STEPS if model_class is PLMarkerForEntityRecognition else RELATION_STEPS,
        learning_rate=1e-3,
        warmup_steps=0.1,
        per_device_train_batch_size=8,
        per_device_eval_batch_size=64,
        save_strategy="no",
        disable_tqdm=True,
        report_to="none",
    )
    trainer = PLMarkerTrainer(
        model, args, train_dataset=sample["train"], eval_dataset=sample["validation"], processing_class=tokenizer
    )
    trainer.train()
    return trainer.evaluate()


@pytest.mark.parametrize(
    "values",
    [{"method": "t-concat"}, {"method": "bio"}, {"grouping": "edge"}],
    ids=str,
)
def test_entity_variants_learn(encoder, schema, sample, tmp_path, guessed_entities, values):
    options = {"max_span_length": 5, "max_pair_length": 64, **values}
    metrics = train(PLMarkerForEntityRecognition, encoder, schema, sample, tmp_path, options)
    assert metrics["eval_ent_f1"] > guessed_entities > 0.05


@TWO_LAYERS
@pytest.mark.parametrize(
    "values",
    [
        {"bidirectional": False},
        {"entity_head": False},
        {"subject_markers": "levitated", "pair_scores": "raw"},
        {"type_markers": True},
        {"att_left": True, "att_right": True},
    ],
    ids=str,
)
def test_relation_variants_learn(encoder, schema, sample, tmp_path, guessed_relations, values):
    metrics = train(PLMarkerForRelationExtraction, encoder, schema, sample, tmp_path, values)
    assert metrics["eval_rel_f1"] > guessed_relations > 0.05


@TWO_LAYERS
def test_without_symmetric_labels_every_relation_has_a_direction(encoder, schema, sample, tmp_path, guessed_relations):
    directed = LabelSchema(schema.entity_labels, schema.relation_labels)
    assert len(directed.relation_classes) == len(schema.relation_classes) + 1
    metrics = train(PLMarkerForRelationExtraction, encoder, directed, sample, tmp_path, {})
    assert metrics["eval_rel_f1"] > guessed_relations
