"""The original's quirks (docs/original.md, Q1 to Q6): there with `compat="original"`, else not."""

from typing import Any

import numpy as np
import pytest
import torch
from huggingface_hub.errors import StrictDataclassError
from transformers import AutoConfig

from plmarker.data.presets import load_preset
from plmarker.modeling.configuration_plmarker import PLMarkerEntityConfig, PLMarkerRelationConfig
from plmarker.modeling.decoding_plmarker import decode_relations
from plmarker.modeling.modeling_plmarker import (
    PLMarkerForEntityRecognition,
    PLMarkerForRelationExtraction,
    PLMarkerModel,
)
from plmarker.modeling.rows_plmarker import SpanRow
from plmarker.modeling.schema_plmarker import LabelSchema, PLMarkerError
from plmarker.modeling.task_plmarker import Scored
from plmarker.modeling.tasks_plmarker import task_of
from plmarker.modeling.windows_plmarker import WordTokenizer
from plmarker.original.quirks import QUIRKS, quirks_of
from plmarker.trainers.evaluation import evaluate_documents
from plmarker.trainers.metrics import RelationMetrics

COMPAT = pytest.mark.parametrize("compat", [None, "original"])
SENTENCES = [["Ada", "-LRB-", "Kensington", ")", "met", "Bob"]]
NER = [[{"start": 0, "end": 0, "label": "PER"}, {"start": 5, "end": 5, "label": "PER"}]]
DOCUMENT: dict[str, Any] = {"doc_key": "a", "sentences": SENTENCES, "ner": NER, "relations": [[]]}


def config(kind: Any, schema: LabelSchema, **values: Any) -> Any:
    return kind(**schema.to_dict(), **values)


def test_quirks_are_off_by_default_and_each_script_has_its_own(schema: LabelSchema) -> None:
    assert quirks_of(config(PLMarkerEntityConfig, schema)) == set()
    assert quirks_of(config(PLMarkerEntityConfig, schema, compat="original")) == {"marker_positions"}
    relation = config(PLMarkerRelationConfig, schema, compat="original")
    assert quirks_of(relation) == {"raw_brackets", "inverse_score"}
    pairs = config(PLMarkerRelationConfig, schema, compat="original", subject_markers="levitated")
    assert quirks_of(pairs) == {"raw_brackets", "last_group"}
    assert quirks_of(PLMarkerRelationConfig.from_dict(pairs.to_dict())) == quirks_of(pairs)
    assert {"merged_sentences", "word_parts"} < set(QUIRKS)
    with pytest.raises(StrictDataclassError):
        config(PLMarkerRelationConfig, schema, compat="apex")
    for wrong in ("fp16", "last_group"):
        with pytest.raises(PLMarkerError, match=wrong):
            task_of(config(PLMarkerRelationConfig, schema, compat="original", quirks=[wrong]))


@COMPAT
def test_q1_relations_read_brackets_as_they_are_spelled(compat, schema, minilm_tokenizer):
    tokenize = WordTokenizer(minilm_tokenizer)
    ids = {}
    for kind in (PLMarkerEntityConfig, PLMarkerRelationConfig):
        row = task_of(config(kind, schema, compat=compat)).rows(DOCUMENT, tokenize)[0]
        ids[kind] = minilm_tokenizer.convert_ids_to_tokens(row.input_ids)
    assert "(" in ids[PLMarkerEntityConfig]
    assert ("(" in ids[PLMarkerRelationConfig]) == (compat is None)


@pytest.mark.parametrize("name", ["conll2003", "fewnerd"])
@COMPAT
def test_q1_the_scripts_for_flat_corpora_read_brackets_as_they_are_spelled_too(compat, name, minilm_tokenizer):
    preset = load_preset(name)
    assert "raw_brackets" in preset.entity["quirks"]
    setting = config(PLMarkerEntityConfig, preset.schema, compat=compat, **preset.entity)
    (row,) = task_of(setting).rows({"sentences": SENTENCES}, WordTokenizer(minilm_tokenizer))
    tokens = minilm_tokenizer.convert_ids_to_tokens(row.input_ids)
    assert ("(" in tokens) == (compat is None)


@pytest.mark.parametrize("family", ["bert", "roberta"])
@COMPAT
def test_q2_markers_on_roberta_lack_the_offset_of_positions(compat, family, schema):
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    encoder = AutoConfig.for_model(family, vocab_size=30, max_position_embeddings=40, pad_token_id=1, **sizes)
    values = {"encoder_config": encoder, "marker_token_ids": [3, 4], "compat": compat}
    model = PLMarkerForEntityRecognition(config(PLMarkerEntityConfig, schema, **values)).eval()
    seen: list[torch.Tensor] = []
    model.encoder.register_forward_pre_hook(
        lambda module, args, kwargs: seen.append(kwargs["position_ids"]), with_kwargs=True
    )
    row = SpanRow("a", [5, 6, 7, 8], [0, 0], [0, 0], [2], [0, 1], [1, 1], [1, 2], [2, 2])
    model(**model.task.batch(model.task.training_examples(row)).inputs)
    offset = 2 if family == "roberta" else 0
    marker_offset = 0 if compat else offset
    assert seen[0][0].tolist() == [n + offset for n in range(4)]
    assert seen[1][0].tolist() == [n + marker_offset for n in (1, 2, 2, 2)]


@COMPAT
def test_q3_an_inverse_class_is_sorted_by_the_score_of_the_forward_one(compat):
    schema = LabelSchema(("PER",), ("OWNS",))
    # Of two overlapping pairs the first is found in the inverse class, by far the surer.
    scores = np.full((4, 3), -9.0)
    pairs = [((0, 0), (4, 4)), ((4, 4), (0, 0)), ((4, 4), (0, 1)), ((0, 1), (4, 4))]
    scores[0, 2] = scores[1, 1] = 9.0
    scores[2, 1], scores[2, 0], scores[3, 2], scores[3, 0] = 1.0, 0.5, 1.0, 0.5
    subjects, objects = zip(*pairs, strict=True)
    types = np.tile([0.0, 1.0], (4, 1))
    task: Any = task_of(config(PLMarkerRelationConfig, schema, compat=compat))
    (found,) = decode_relations(subjects, objects, scores, types, schema, sorting_score=task.sorting_score)
    assert (found.head, found.tail) == ((4, 4), (0, 1) if compat else (0, 0))


@COMPAT
def test_q4_of_levitated_pairs_in_groups_only_the_last_group_counts(compat, schema, minilm_tokenizer):
    values = {"subject_markers": "levitated", "max_pair_length": 2, "pair_scores": "raw", "compat": compat}
    setting = config(PLMarkerRelationConfig, schema, **values)
    task: Any = task_of(setting)
    examples = task.examples(task.rows(DOCUMENT, WordTokenizer(minilm_tokenizer)))
    assert [len(example) for example in examples] == ([2] if compat else [4])
    married, types = np.array([[0.0, 5.0, 0.0, 0.0]]), np.array([[0.0, 5.0, 0.0]])
    scored = [Scored(e, tuple(head.repeat(len(e), axis=0) for head in (married, types, types))) for e in examples]
    (relations,) = task.decode(scored, 1)
    pairs = {(relation.head, relation.tail) for relation in relations}
    # The last group holds Bob as a subject, and both as objects; a span may be its own.
    bob, ada = (5, 5), (0, 0)
    assert pairs == ({(bob, ada), (bob, bob)} if compat else {(ada, bob), (bob, ada)})
    metrics = RelationMetrics(schema, directed=task.counts_directions)
    metrics.add([[0, 0, 1], [5, 5, 1]], [[0, 0, 5, 5, 1]], [[0, 0, 1], [5, 5, 1]], relations[:1])
    figures = metrics.compute()
    # Found in one direction: half of gold to the original, all of it here.
    assert figures["rel_recall"] == (0.5 if compat else 1.0)


@COMPAT
def test_q5_parts_of_words_are_candidates_in_training(compat, schema, minilm_tokenizer):
    tokenize = WordTokenizer(minilm_tokenizer)
    word = "antidisestablishmentarianism"
    document = {"doc_key": "a", "sentences": [["Of", word]], "ner": [[{"start": 0, "end": 1, "label": "ORG"}]]}
    setting = config(PLMarkerEntityConfig, schema, compat=compat, quirks=["word_parts"])
    (training,) = task_of(setting).rows(document, tokenize, training=True)
    (evaluation,) = task_of(setting).rows(document, tokenize)
    n_subwords = len(minilm_tokenizer.tokenize(word))
    n_parts = 2 * (n_subwords - 1) if compat else 0
    assert len(evaluation.labels) == 3
    assert len(training.labels) == 3 + n_parts
    assert sum(training.labels) == sum(evaluation.labels) == 2
    spans = list(zip(training.starts, training.ends, strict=True))
    assert len(set(spans)) == len(spans)
    assert spans == sorted(spans)


@COMPAT
def test_q6_entities_that_touch_across_a_sentence_border_count_as_one(compat, make_tiny_model, minilm_tokenizer):
    model = make_tiny_model(PLMarkerForEntityRecognition, max_seq_length=64, quirks=["merged_sentences"], compat=compat)
    ner = [[{"start": 1, "end": 1, "label": "PER"}], [{"start": 2, "end": 2, "label": "PER"}], []]
    ner[2].append({"start": 3, "end": 3, "label": "ORG"})
    document = {"doc_key": "a", "sentences": [["met", "Ada"], ["Ada"], ["Acme"]], "ner": ner}
    with torch.no_grad():
        # Every span of one word is a person.
        model.classifier.weight.zero_()
        model.classifier.bias.copy_(torch.tensor([0.0, 9.0, 0.0]))
    metrics = evaluate_documents([document], minilm_tokenizer, model).metrics
    # Three gold entities, or two where the persons are one; of the predicted persons two are right, or none.
    assert metrics["ent_recall"] == (0.0 if compat else pytest.approx(2 / 3))


def test_the_combined_model_has_one_switch(make_tiny_model, minilm_tokenizer, tmp_path):
    entity, relation = (make_tiny_model(kind) for kind in (PLMarkerForEntityRecognition, PLMarkerForRelationExtraction))
    PLMarkerModel.from_models(entity, relation, minilm_tokenizer).save_pretrained(tmp_path)
    model = PLMarkerModel.from_pretrained(tmp_path)
    assert model.config.compat is None
    model.config.compat = "original"
    assert "marker_positions" in quirks_of(model.entity.config)
    assert "raw_brackets" in quirks_of(model.relation.config)
    model.save_pretrained(tmp_path)
    assert PLMarkerModel.from_pretrained(tmp_path).config.compat == "original"
