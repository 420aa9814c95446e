"""The models compute what the published implementation computed, number by number."""

import json
from collections.abc import Callable, Iterable
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from plmarker.data.grouping import training_rows
from plmarker.modeling.decoding_plmarker import decode_relations, label_spans, remove_overlaps
from plmarker.modeling.modeling_plmarker import PLMarkerForEntityRecognition, PLMarkerForRelationExtraction
from plmarker.modeling.prediction_plmarker import BATCH_TOKENS, Scorer
from plmarker.modeling.task_plmarker import Example, Task
from plmarker.modeling.windows_plmarker import WordTokenizer

ATTENTION = ("levitated", "eager", "sdpa")
TOLERANCE = 1e-4
# The recordings hold the items of the first documents.
N_DOCUMENTS = 5
N_TRAINING_DOCUMENTS = 2
N_DENSE_ITEMS = 6

ENTITY_HEADS = {"classifier": "ner_classifier"}
RELATION_HEADS = {
    "entity_classifier": "ner_classifier",
    "subject_classifier": "re_classifier_m1",
    "object_classifier": "re_classifier_m2",
}


@pytest.fixture(scope="module")
def fixtures(shared: Path) -> Path:
    return shared / "reference" / "fixtures"


@pytest.fixture(scope="module")
def recorded(fixtures: Path) -> Callable[[str], dict[str, np.ndarray]]:
    return lambda name: dict(np.load(fixtures / f"{name}.npz"))


def read_json(source: Path | str) -> Any:
    return json.loads(source if isinstance(source, str) else source.read_text(encoding="utf-8"))


@torch.no_grad()
def set_heads(model: Any, tensors: dict[str, torch.Tensor], names: dict[str, str], prefix: str = "") -> None:
    for ours, theirs in names.items():
        getattr(model, ours).weight.copy_(tensors[f"{prefix}{theirs}.weight"])
        getattr(model, ours).bias.copy_(tensors[f"{prefix}{theirs}.bias"])


@torch.no_grad()
def set_markers(model: Any, rows: torch.Tensor) -> None:
    model.encoder.get_input_embeddings().weight[model.config.marker_token_ids] = rows


@pytest.fixture(scope="module")
def entity_model(fixtures: Path, scierc_schema) -> PLMarkerForEntityRecognition:
    model = PLMarkerForEntityRecognition.from_encoder("minilm", scierc_schema).eval()
    heads = load_file(fixtures / "ner_marker.heads.safetensors")
    set_heads(model, heads, ENTITY_HEADS)
    set_markers(model, heads["bert.embeddings.word_embeddings.rows"])
    return model


@pytest.fixture(scope="module")
def relation_model(fixtures: Path, scierc_schema) -> PLMarkerForRelationExtraction:
    model = PLMarkerForRelationExtraction.from_encoder("minilm", scierc_schema).eval()
    heads = load_file(fixtures / "re_sub.heads.safetensors")
    set_heads(model, heads, RELATION_HEADS)
    set_markers(model, heads["bert.embeddings.word_embeddings.rows"])
    return model


def original_items(
    task: Task, documents: Iterable[dict[str, Any]], tokenize: WordTokenizer, training: bool
) -> Iterable[Example]:
    """What the original packs into one item each, in its order."""
    for document in documents:
        rows = training_rows(task, document, tokenize) if training else task.rows(document, tokenize)
        for row in rows:
            yield from task.training_examples(row)


@pytest.fixture(scope="module")
def entity_items(entity_model, scierc_dev, minilm_tokenizer) -> list[Example]:
    # The original groups spans in evaluation too; here training alone does it.
    tokenize = WordTokenizer(minilm_tokenizer)
    return list(original_items(entity_model.task, scierc_dev[:N_DOCUMENTS], tokenize, training=True))


@pytest.fixture(scope="module")
def relation_items(relation_model, scierc_dev, minilm_tokenizer) -> dict[str, list[Example]]:
    # The original's relation scripts do not map brackets (docs/original.md, Q1).
    tokenize = WordTokenizer(minilm_tokenizer, map_brackets=False)

    def items(n_documents: int, training: bool) -> list[Example]:
        return list(original_items(relation_model.task, scierc_dev[:n_documents], tokenize, training))

    return {"re_sub": items(N_DOCUMENTS, False), "re_sub.train_mode": items(N_TRAINING_DOCUMENTS, True)}


def concatenated(items: list[Example], *names: str) -> np.ndarray:
    """The values of all items in one array, with a column for each name where there are several."""
    columns = [np.array([value for item in items for value in item.values(name)]) for name in names]
    return columns[0] if len(names) == 1 else np.stack(columns, axis=1)


def original_row(task: Task, item: Example) -> tuple[np.ndarray, np.ndarray]:
    """Ids and positions in the original's order: text, then the markers of one kind after those of the other."""
    inputs = {name: tensor.numpy() for name, tensor in task.batch([item]).inputs.items()}
    ids = np.concatenate([inputs["input_ids"], inputs["marker_ids"].T.flatten()])
    positions = np.concatenate([np.arange(len(inputs["input_ids"])), inputs["marker_positions"].T.flatten()])
    return ids, positions


def assert_same_rows(task: Task, items: list[Example], want: dict[str, np.ndarray]) -> None:
    rows = [original_row(task, item) for item in items]
    np.testing.assert_array_equal([len(ids) for ids, _ in rows], np.diff(want["input_ids.offsets"]))
    np.testing.assert_array_equal(np.concatenate([ids for ids, _ in rows]), want["input_ids"])
    np.testing.assert_array_equal(np.concatenate([places for _, places in rows]), want["position_ids"])


def test_entity_items_are_the_original_s(entity_model, entity_items, recorded):
    want = recorded("ner_marker")
    assert_same_rows(entity_model.task, entity_items, want)
    np.testing.assert_array_equal(concatenated(entity_items, "word_starts", "word_ends"), want["word_spans"])
    np.testing.assert_array_equal(concatenated(entity_items, "starts", "ends"), want["mention_pos"])
    np.testing.assert_array_equal(concatenated(entity_items, "labels"), want["labels"])


@pytest.mark.parametrize("name", ["re_sub", "re_sub.train_mode"])
def test_relation_items_are_the_original_s(relation_model, relation_items, recorded, name):
    want, items = recorded(name), relation_items[name]
    assert_same_rows(relation_model.task, items, want)
    spans = concatenated(items, "object_word_starts", "object_word_ends")
    np.testing.assert_array_equal(spans, want["obj_word_spans"])
    np.testing.assert_array_equal(concatenated(items, "labels"), want["rel_labels"])
    np.testing.assert_array_equal(concatenated(items, "object_labels"), want["obj_ner_labels"])
    subjects = np.array([(i.values("subject_word_starts")[0], i.values("subject_word_ends")[0]) for i in items])
    named = subjects[:, 0] >= 0
    np.testing.assert_array_equal(subjects[named], want["sub_word_span"].reshape(-1, 2)[named])
    assert all(named) == (name == "re_sub")


@pytest.mark.parametrize("attention", ATTENTION)
def test_entity_logits_are_the_original_s(entity_model, entity_items, recorded, attention):
    entity_model.set_attn_implementation(attention)
    # The dense masks are slow: the first sentences are enough for them.
    items, budget = (entity_items, BATCH_TOKENS) if attention == "levitated" else (entity_items[:N_DENSE_ITEMS], 1)
    scored = Scorer.of_model(entity_model, budget).score(items)
    logits = np.concatenate([item.logits[0] for item in scored])
    np.testing.assert_allclose(logits, recorded("ner_marker")["logits"][: len(logits)], rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("attention", ATTENTION)
@pytest.mark.parametrize("name", ["re_sub", "re_sub.train_mode"])
def test_relation_logits_are_the_original_s(relation_model, relation_items, recorded, name, attention):
    relation_model.set_attn_implementation(attention)
    items = relation_items[name] if attention == "levitated" else relation_items[name][:N_DENSE_ITEMS]
    scored = Scorer.of_model(relation_model).score(items)
    for head, key in enumerate(("re_logits", "ner_logits")):
        logits = np.concatenate([item.logits[head] for item in scored])
        np.testing.assert_allclose(logits, recorded(name)[key][: len(logits)], rtol=0, atol=TOLERANCE)


@torch.no_grad()
def test_states_of_text_and_markers_are_the_original_s(
    entity_model, relation_model, entity_items, relation_items, recorded
):
    for model, items, name, suffix in (
        (entity_model, entity_items, "ner_marker", "_first8"),
        (relation_model, relation_items["re_sub"], "re_sub", ""),
    ):
        model.set_attn_implementation("levitated")
        want, inputs = recorded(name), model.task.batch(items[:1]).inputs
        text = model.encode_text(inputs["input_ids"], [len(inputs["input_ids"])])
        counts = [len(inputs["marker_ids"])]
        markers = model.encode_markers(text, counts, inputs["marker_ids"], inputs["marker_positions"])
        np.testing.assert_allclose(text.hidden.numpy(), want["hidden0.text"], rtol=0, atol=TOLERANCE)
        for number, kind in enumerate(("start", "end")):
            states = want[f"hidden0.{kind}_markers{suffix}"]
            np.testing.assert_allclose(markers[: len(states), number].numpy(), states, rtol=0, atol=TOLERANCE)


def test_losses_are_the_original_s(entity_model, relation_model, entity_items, relation_items, recorded):
    for model in (entity_model, relation_model):
        model.set_attn_implementation("levitated")
    with torch.no_grad():
        entity = entity_model(**entity_model.task.batch(entity_items[:4]).inputs)
        relation = relation_model(**relation_model.task.batch(relation_items["re_sub.train_mode"][:8]).inputs)
    assert float(entity.loss) == pytest.approx(recorded("ner_marker")["loss_per_batch_of_4"][0], rel=1e-4)
    losses = [loss.item() for loss in (relation.loss, relation.relation_loss, relation.entity_loss)]
    assert losses == pytest.approx(recorded("re_sub.train_mode")["loss_re_ner_per_batch_of_8"][0].tolist(), rel=1e-4)


def test_empty_subject_instances_are_as_many_as_the_original_s(relation_model, scierc_dev, minilm_tokenizer, fixtures):
    counts = read_json(fixtures / "re_sub.json")
    tokenize = WordTokenizer(minilm_tokenizer, map_brackets=False)
    for training, key in ((False, "n_examples_dev"), (True, "n_train_mode_examples_dev")):
        items = original_items(relation_model.task, scierc_dev, tokenize, training)
        assert sum(1 for _ in items) == counts[key]


@pytest.mark.parametrize(("flat", "name"), [(False, "ner_marker"), (True, "ner_marker.flat")])
def test_entities_decoded_from_the_recorded_logits_are_the_original_s(
    scierc_dev, scierc_schema, fixtures, recorded, flat, name
):
    want = recorded("ner_marker")
    found: dict[tuple[int, int], list] = {}
    for item, (document, sentence) in enumerate(want["example_index"].tolist()):
        rows = slice(*want["logits.offsets"][item : item + 2])
        spans = label_spans(want["word_spans"][rows].tolist(), want["logits"][rows])
        found.setdefault((document, sentence), []).extend(spans)
    lines = (fixtures / f"{name}.ent_pred_dev.json").read_text(encoding="utf-8").splitlines()
    for (document, sentence), spans in found.items():
        kept = [(s.start, s.end, scierc_schema.entity_classes[s.label]) for s in remove_overlaps(spans, flat)]
        predicted = read_json(lines[document])["predicted_ner"][sentence]
        assert kept == sorted(map(tuple, predicted))


def test_relations_decoded_from_the_recorded_logits_are_the_original_s(scierc_schema, fixtures, recorded):
    want = recorded("re_sub")
    predicted = read_json(fixtures / "re_sub.gold.logsoftmax.pred_results.json")
    rows_of: dict[tuple[int, int], list[int]] = {}
    subjects = np.repeat(want["sub_word_span"].reshape(-1, 2), np.diff(want["rel_labels.offsets"]), axis=0)
    for item, index in enumerate(want["example_index"].tolist()):
        rows_of.setdefault(tuple(index), []).extend(range(*want["rel_labels.offsets"][item : item + 2]))
    n_relations = 0
    for (document, sentence), rows in rows_of.items():
        decoded = decode_relations(
            [tuple(span) for span in subjects[rows].tolist()],
            [tuple(span) for span in want["obj_word_spans"][rows].tolist()],
            want["re_logits"][rows],
            want["ner_logits"][rows],
            scierc_schema,
        )
        found = {(r.head, r.tail, scierc_schema.relation_classes[r.label]) for r in decoded}
        original = dict(map(tuple, predicted[str(document)])).get(sentence, [])
        assert found == {(tuple(head), tuple(tail), label) for head, tail, label in original}
        n_relations += len(found)
    assert n_relations > 50


@pytest.mark.parametrize(
    ("model_class", "name", "heads", "max_seq_length", "max_pair_length"),
    [
        (PLMarkerForEntityRecognition, "traj_ner", ENTITY_HEADS, 320, 64),
        (PLMarkerForRelationExtraction, "traj_re", RELATION_HEADS, 256, 16),
    ],
)
def test_six_training_steps_are_the_original_s(
    fixtures, scierc_dev, scierc_schema, minilm_tokenizer, model_class, name, heads, max_seq_length, max_pair_length
):
    recording, tensors = read_json(fixtures / f"{name}.json"), load_file(fixtures / f"{name}.safetensors")
    limits = {"max_seq_length": max_seq_length, "max_pair_length": max_pair_length}
    model = model_class.from_encoder("minilm", scierc_schema, marker_init="lm", head_dropout=0.0, **limits)
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
        if hasattr(module, "dropout_prob"):
            module.dropout_prob = 0.0
    set_heads(model, tensors, heads, "init.")
    tokenize = WordTokenizer(minilm_tokenizer, map_brackets=model_class is PLMarkerForEntityRecognition)
    stream = original_items(model.task, scierc_dev, tokenize, training=True)
    items = list(islice(stream, 4 * len(recording["losses"])))
    spared = [p for n, p in model.named_parameters() if n.endswith("bias") or "LayerNorm" in n]
    decayed = [p for n, p in model.named_parameters() if not (n.endswith("bias") or "LayerNorm" in n)]
    optimizer = torch.optim.AdamW([{"params": decayed, "weight_decay": 0.01}, {"params": spared, "weight_decay": 0.0}])
    model.train()
    for step, (rate, want) in enumerate(zip(recording["lrs"], recording["losses"], strict=True)):
        for group in optimizer.param_groups:
            # The original's AdamW adds epsilon before the bias correction, torch's after it.
            group.update(lr=rate, eps=1e-8 / (1 - 0.999 ** (step + 1)) ** 0.5)
        output = model(**model.task.batch(items[4 * step : 4 * step + 4]).inputs)
        losses = [output.loss, output.get("relation_loss"), output.get("entity_loss")][: len(want)]
        assert [loss.item() for loss in losses] == pytest.approx(want, rel=1e-3), f"step {step}"
        optimizer.zero_grad()
        output.loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    for ours, theirs in heads.items():
        torch.testing.assert_close(getattr(model, ours).weight, tensors[f"final.{theirs}.weight"], rtol=0, atol=1e-5)
    query = model.encoder.encoder.layer[5].attention.self.query.weight
    torch.testing.assert_close(
        query, tensors["final.bert.encoder.layer.5.attention.self.query.weight"], rtol=0, atol=1e-5
    )
