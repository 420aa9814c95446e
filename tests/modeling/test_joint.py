"""Entities and relations from one text pass."""

from __future__ import annotations

import copy
import pickle
import random
from itertools import permutations
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tiny_models import FAMILIES, TEXTS, TOLERANCE, assert_equal_gradients, gradients, tiny_model
from transformers import AutoModel

from plmarker import (
    PLMarkerConfig,
    PLMarkerError,
    PLMarkerForEntityRecognition,
    PLMarkerForRelationExtraction,
    PLMarkerModel,
)
from plmarker.modeling.decoding_plmarker import ScoredSpan
from plmarker.modeling.joint_plmarker import JointScorer, without_some_pairs
from plmarker.modeling.pair_tasks_plmarker import SharedTask
from plmarker.modeling.rows_plmarker import PairRow
from plmarker.modeling.task_model_plmarker import _chunks, _whole_chunks
from plmarker.modeling.windows_plmarker import WordTokenizer

DOCUMENT = {
    "doc_key": "d",
    "sentences": [
        ["Ada", "met", "Bob", "and", "Cy", "near", "Rome", "."],
        ["Bob", "left", "Acme", "."],
        [],
        ["Go", "!"],
    ],
    "ner": [
        [[0, 0, "PER"], [2, 2, "PER"], [4, 4, "PER"], [6, 6, "ORG"]],
        [[8, 8, "PER"], [10, 10, "ORG"]],
        [],
        [],
    ],
    "relations": [[[0, 0, 2, 2, "MARRIED"], [4, 4, 6, 6, "WORKS_FOR"]], [[8, 8, 10, 10, "OWNS"]], [], []],
}

WORDS = ["Ada", "Bob", "Rome", "met", "left", "in", "Acme", "."]


def typed(document: dict[str, Any]) -> dict[str, Any]:
    names = ("head_start", "head_end", "tail_start", "tail_end", "label")
    ner = [[dict(zip(("start", "end", "label"), row, strict=True)) for row in rows] for rows in document["ner"]]
    relations = [[dict(zip(names, row, strict=True)) for row in rows] for rows in document["relations"]]
    return {**document, "ner": ner, "relations": relations}


@pytest.fixture
def joint(make_tiny_model: Any, schema: Any) -> Any:
    """Builds a combined model with a shared encoder and weights so large that it finds things."""

    def make(shared_windows: bool = False, seed: int = 4, **entity: Any) -> PLMarkerModel:
        common = {"max_seq_length": 14, "shared_windows": shared_windows}
        parts = [
            make_tiny_model(PLMarkerForEntityRecognition, max_span_length=3, **common, **entity),
            make_tiny_model(PLMarkerForRelationExtraction, subject_markers="shared", **common),
        ]
        config = PLMarkerConfig(entity_config=parts[0].config, relation_config=parts[1].config, shared_encoder=True)
        # The markers of the two parts are other tokens.
        config.relation_config.marker_token_ids = [token + 2 for token in config.relation_config.marker_token_ids]
        torch.manual_seed(seed)
        model = PLMarkerModel(config)
        for name, parameter in model.named_parameters():
            if parameter.dim() > 1:
                torch.nn.init.normal_(parameter, std=0.3 if "layer" in name else 1.0)
        model.tokenizer = model.entity.tokenizer = model.relation.tokenizer = parts[0].tokenizer
        return model.eval()

    return make


def shared_batch(model: Any, texts: list[list[int]] = TEXTS) -> dict[str, torch.Tensor]:
    """Three, two and no entities in windows of their own."""
    examples = []
    places = [[(2, 4), (9, 9), (3, 9)], [(1, 1), (5, 6)], []]
    for text, entities in zip(texts, places, strict=True):
        row = PairRow("d", text)
        for pair in permutations(entities, 2):
            row.sentences.append(0)
            row.labels.append(1)
            for kind, (start, end) in zip(("subject", "object"), pair, strict=True):
                values = {"word_starts": start, "word_ends": end, "starts": start, "ends": end, "types": 1, "labels": 1}
                for name, value in values.items():
                    getattr(row, f"{kind}_{name}").append(value)
        row.examples.append(len(row.labels))
        examples.append(model.task.example(row, 0, len(row.labels)))
    return model.task.batch(examples).inputs


@pytest.mark.parametrize("family", FAMILIES)
def test_shared_markers_are_exact_in_chunks_and_under_a_dense_mask(family):
    model = tiny_model(family, "relation", subject_markers="shared")
    batch = shared_batch(model)
    # Each entity has one marker pair, whatever the number of its pairs.
    assert batch["marker_ids"].shape == (5, 2)
    assert batch["window_sizes"][:, 1].tolist() == [3, 2, 0]
    assert batch["pair_index"].shape == (8, 2)
    with torch.no_grad():
        expected = model(**batch).logits
        model.marker_tokens = 2
        torch.testing.assert_close(model(**batch).logits, expected, **TOLERANCE)
    found = gradients(model, batch)
    model.gradient_checkpointing_enable()
    model.train()
    assert_equal_gradients(gradients(model, batch), found)
    model.gradient_checkpointing_disable()
    model.eval()
    for attention in ("eager", "sdpa"):
        model.set_attn_implementation(attention)
        torch.testing.assert_close(model(**batch).logits, expected, **TOLERANCE)
        assert_equal_gradients(gradients(model, batch), found)


def test_entities_of_a_sentence_see_each_other_and_no_other_sentence():
    model = tiny_model("bert", "relation", subject_markers="shared")
    batch = shared_batch(model)
    with torch.no_grad():
        expected = model(**batch).logits
        moved = {**batch, "marker_positions": batch["marker_positions"].clone()}
        moved["marker_positions"][2] += 1
        found = model(**moved).logits
    changed = (found - expected).abs().amax(dim=1) > 1e-3
    # The pairs of the first window all change, also those that do not have the third entity in them.
    assert changed.tolist() == [True] * 6 + [False] * 2


@given(
    counts=st.lists(st.integers(0, 7), max_size=6),
    limit=st.integers(1, 9),
    cuts=st.randoms(use_true_random=False),
)
def test_chunks_hold_every_candidate_once_in_order_and_cut_no_piece(counts, limit, cuts):
    pieces = []
    for count in counts:
        places = sorted(cuts.sample(range(count + 1), cuts.randint(0, count)))
        pieces.append([b - a for a, b in zip([0, *places], [*places, count], strict=True)])
    for chunks, uncut in ((_chunks(counts, limit), None), (_whole_chunks(pieces, limit), pieces)):
        found, position = [0] * len(counts), 0
        for first, stop, sizes, place in chunks:
            assert (place.start, place.stop) == (position, position + sum(sizes))
            assert len(sizes) == stop - first
            position = place.stop
            borders = {sum(counts[:w]) + sum(part[:n]) for w, part in enumerate(pieces) for n in range(len(part) + 1)}
            if uncut is None:
                assert 0 < sum(sizes) <= limit
            else:
                assert position in borders
                assert sum(sizes) <= limit or sum(map(bool, sizes)) == 1
            for window, size in zip(range(first, stop), sizes, strict=True):
                found[window] += size
        assert found == counts


def test_pairs_of_a_row_are_those_of_the_entities_in_it(joint, schema, minilm_tokenizer):
    model, document = joint(), typed(DOCUMENT)
    tokenize = WordTokenizer(minilm_tokenizer)
    rows = model.task.rows(document, tokenize, training=True)
    assert [len(row.pair_labels) for row in rows] == [12, 2]
    assert rows[0].pair_labels[0] == schema.relation_class("MARRIED")
    owns = schema.relation_class("OWNS")
    assert rows[1].pair_labels == [owns, schema.inverse(owns)]
    assert [row.examples for row in rows] == [[len(row.labels)] for row in rows]
    # Evaluation makes the same pairs from the entities that were found.
    pairs = SharedTask(model.config.relation_config)
    entities = [[_span(*row, schema) for row in sentence] for sentence in DOCUMENT["ner"]]
    for row in rows:
        made, expected = pairs.row_of(row, entities), row.pair_row
        for name in ("sentences", "subjects", "objects", "subject_starts", "object_ends", "subject_types"):
            assert getattr(made, name) == getattr(expected, name)


def _span(start: int, end: int, label: str, schema: Any) -> Any:
    return ScoredSpan(start, end, schema.entity_class(label), 0.5)


@pytest.mark.parametrize(("shared_windows", "late_layers"), [(False, None), (True, None), (False, 1), (True, 1)])
def test_one_pass_gives_what_both_models_give_alone(joint, shared_windows, late_layers, minilm_tokenizer):
    model = joint(shared_windows, late_layers=late_layers, pruner_size=4)
    rows = model.task.rows(typed(DOCUMENT), WordTokenizer(minilm_tokenizer), training=True)
    batch = model.task.batch(model.task.examples(rows)).inputs
    model.config.pair_weight = 1.0
    output = model(**batch)
    spans = {name: value for name, value in batch.items() if not name.startswith("pair_")}
    names = [name for name in batch if name.startswith("pair_") and name != "pair_index"]
    pairs = {name.removeprefix("pair_"): batch[name] for name in names}
    entity = model.entity(**spans)
    relation = model.relation(batch["input_ids"], **pairs, pair_index=batch["pair_index"])
    torch.testing.assert_close(output.logits, entity.logits, **TOLERANCE)
    torch.testing.assert_close(output.pair_logits, relation.logits, **TOLERANCE)
    # Every decision weighs alike.
    share = len(batch["pair_labels"]) / len(batch["labels"])
    torch.testing.assert_close(output.loss, entity.loss + share * relation.loss, **TOLERANCE)
    model.config.pair_weight = 3.0
    torch.testing.assert_close(model(**batch).loss, entity.loss + 3 * share * relation.loss, **TOLERANCE)
    model.config.pair_weight = 1.0
    halved = model(**batch, num_items_in_batch=2 * len(batch["labels"]))
    torch.testing.assert_close(halved.loss, output.loss / 2, **TOLERANCE)


def test_pair_dropout_leaves_out_the_pairs_of_whole_windows_in_training_alone(joint, minilm_tokenizer, monkeypatch):
    model = joint(pruner_size=4)
    rows = [model.task.rows({**typed(DOCUMENT), "doc_key": key}, WordTokenizer(minilm_tokenizer), training=True)[0]
            for key in "abc"]  # fmt: skip
    batch = model.task.batch(model.task.examples(rows)).inputs
    sizes = batch["pair_window_sizes"][:, 1]
    n_pairs = len(batch["pair_labels"]) // 3
    numbers = set()
    for seed in range(20):
        torch.manual_seed(seed)
        labels = without_some_pairs(batch["pair_labels"], batch["pair_index"], sizes, 0.5).reshape(3, n_pairs)
        kept = batch["pair_labels"].reshape(3, n_pairs)
        dropped = (labels == -100).all(dim=1)
        assert torch.equal(labels[~dropped], kept[~dropped])
        assert (labels[dropped] == -100).all()
        numbers.add(int(dropped.sum()))
    assert len(numbers) > 1
    shares = []
    model.config.pair_dropout = 0.5
    monkeypatch.setattr(
        "plmarker.modeling.modeling_plmarker.without_some_pairs",
        lambda *given: shares.append(given[-1]) or without_some_pairs(*given),
    )
    model.train()(**batch)
    model.eval()(**batch)
    model.config.pair_dropout = 0.0
    # No random number is drawn where none is needed.
    model.train()(**batch)
    assert shares == [0.5]
    model.eval()
    # Without any pair the loss is that of the spans.
    spans = {name: value for name, value in batch.items() if not name.startswith("pair_")}
    dropped = {**batch, "pair_labels": torch.full_like(batch["pair_labels"], -100)}
    torch.testing.assert_close(model(**dropped).loss, model.entity(**spans).loss)


def test_a_batch_without_pairs_has_a_loss(joint, minilm_tokenizer):
    model = joint()
    document = {**typed(DOCUMENT), "ner": [[], [], [], []], "relations": [[], [], [], []]}
    rows = model.task.rows(document, WordTokenizer(minilm_tokenizer), training=True)
    batch = model.task.batch(model.task.examples(rows)).inputs
    assert batch["pair_labels"].dtype == torch.long
    output = model(**batch, num_items_in_batch=torch.tensor([9.0, 9.0]))
    assert torch.isfinite(output.loss)
    # A mean over no pairs must not make the loss of the step not a number.
    assert torch.isfinite(model(**batch).loss)
    assert model.task.batch([]).inputs["pair_labels"].shape == (0,)


@pytest.mark.parametrize("batch_tokens", [1, 24, 768])
@pytest.mark.parametrize(("shared_windows", "late_layers"), [(False, None), (True, None), (False, 1), (True, 1)])
def test_prediction_is_that_of_two_passes(joint, batch_tokens, shared_windows, late_layers):
    # Both find many entities and relations.
    model = joint(shared_windows, seed=3 if late_layers else 4, late_layers=late_layers, pruner_size=4)
    draw = random.Random(batch_tokens)
    lengths = [[draw.randrange(9) for _ in range(draw.randrange(6))] for _ in range(8)]
    sentences = [[[draw.choice(WORDS) for _ in range(length)] for length in document] for document in lengths]
    documents = [DOCUMENT, *({"doc_key": str(n), "sentences": words} for n, words in enumerate(sentences))]
    found = list(model.predict(documents, batch_tokens))
    assert [document for document, _, _ in found] == documents
    assert sum(len(row) for _, _, relations in found for row in relations) > 20
    entities = list(model.entity.predict(documents, batch_tokens))
    for (_, spans, _), (_, expected, _) in zip(found, entities, strict=True):
        assert [[(s.start, s.end, s.label) for s in row] for row in spans] == [
            [(s.start, s.end, s.label) for s in row] for row in expected
        ]
    classes = model.config.schema.entity_classes
    given_entities = [
        {
            "sentences": document["sentences"],
            "predicted_ner": [
                [{"start": s.start, "end": s.end, "label": classes[s.label]} for s in row] for row in spans
            ],
        }
        for document, spans, _ in found
    ]
    for (_, _, relations), (_, expected) in zip(found, model.relation.predict(given_entities), strict=True):
        assert [[(r.head, r.tail, r.label) for r in row] for row in relations] == [
            [(r.head, r.tail, r.label) for r in row] for row in expected
        ]


@pytest.mark.parametrize("late_layers", [None, 1])
def test_a_model_with_a_shared_encoder_saves_it_once(joint, late_layers, tmp_path):
    model = joint(late_layers=late_layers)
    expected = model.extract(words=DOCUMENT["sentences"])
    model.save_pretrained(tmp_path)
    for loaded in (AutoModel.from_pretrained(tmp_path), pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
        assert loaded.relation.encoder is loaded.entity.encoder
        assert loaded.relation.encoder is not model.entity.encoder
        assert loaded.extract(words=DOCUMENT["sentences"]) == expected
    assert not any(name.startswith("relation.encoder") for name in model.state_dict())


def test_a_model_in_training_is_read_without_its_dropout(joint):
    model = joint()
    model.entity.encoder.config.hidden_dropout_prob = 0.5
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.5
    expected = model.extract(words=DOCUMENT["sentences"])
    model.train()
    assert model.extract(words=DOCUMENT["sentences"]) == expected
    assert list(model.relation.predict([typed(DOCUMENT)])) == list(model.eval().relation.predict([typed(DOCUMENT)]))
    assert not JointScorer(model).model.training


def test_what_cannot_share_an_encoder_is_refused(make_tiny_model, schema):
    entity = make_tiny_model(PLMarkerForEntityRecognition, max_seq_length=64).config
    solid = make_tiny_model(PLMarkerForRelationExtraction, max_seq_length=64).config
    narrow = make_tiny_model(PLMarkerForRelationExtraction, subject_markers="shared", max_seq_length=32).config
    for relation, reason in ((None, "relation_config"), (solid, "subject_markers"), (narrow, "max_seq_length")):
        with pytest.raises(Exception, match=reason):
            PLMarkerConfig(entity_config=entity, relation_config=relation, shared_encoder=True)
    two = PLMarkerModel(PLMarkerConfig(entity_config=entity, relation_config=solid))
    assert not hasattr(two, "task")
    with pytest.raises(PLMarkerError, match="two encoders"):
        two(*torch.zeros(3, 1, dtype=torch.long))


def test_from_encoder_gives_each_part_its_own_marker_tokens(schema):
    model = PLMarkerModel.from_encoder("minilm", schema=schema, shared_encoder=True, max_seq_length=64)
    parts = [set(part.marker_token_ids) for part in model.config.parts]
    assert [len(ids) for ids in parts] == [2, 6]
    assert not parts[0] & parts[1]
    assert model.relation.encoder is model.entity.encoder
    assert [part.max_seq_length for part in model.config.parts] == [64, 64]
    assert isinstance(model.extract("Ada met Bob.").entities, list)
    late = PLMarkerModel.from_encoder("minilm", schema=schema, shared_encoder=True, entity={"late_layers": 2})
    # Markers of pairs pass all layers.
    assert [part.enter_at for part in (late.entity, late.relation)] == [4, 0]
    assert isinstance(late.extract("Ada met Bob.").entities, list)
    two = PLMarkerModel.from_encoder("minilm", schema=schema, relation={"max_seq_length": 64})
    assert two.relation.encoder is not two.entity.encoder
    assert two.config.relation_config.subject_markers == "solid"
    with pytest.raises(PLMarkerError, match="shared_windows"):
        PLMarkerModel.from_encoder("minilm", schema=schema, shared_encoder=True, relation={"shared_windows": True})
    with pytest.raises(PLMarkerError, match="a field of PLMarkerEntityConfig"):
        PLMarkerModel.from_encoder("minilm", schema=schema, shared_encoder=True, late_layers=2)
