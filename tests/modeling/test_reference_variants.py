"""The paper's baselines and ablations compute what the published implementation computed."""

import copy
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from plmarker.data.grouping import group_spans, training_rows
from plmarker.modeling.modeling_plmarker import PLMarkerForEntityRecognition, PLMarkerForRelationExtraction
from plmarker.modeling.prediction_plmarker import Scorer
from plmarker.modeling.rows_plmarker import Annotations
from plmarker.modeling.schema_plmarker import LabelSchema
from plmarker.modeling.span_tasks_plmarker import candidate_spans
from plmarker.modeling.task_plmarker import Example, Scored, Task
from plmarker.modeling.tasks_plmarker import task_of
from plmarker.modeling.windows_plmarker import WordTokenizer, sentence_ranges
from plmarker.trainers.evaluator import EntityEvaluator, RelationEvaluator

TOLERANCE = 1e-4
N_DOCUMENTS = 5
N_TRAINING_DOCUMENTS = 2
CONLL = LabelSchema(("MISC", "PER", "ORG", "LOC"))

# Options of the model, the original's names of its heads, and how it was evaluated.
ENTITY_HEAD = {"classifier": "ner_classifier"}
RELATION_HEADS = {
    "entity_classifier": "ner_classifier",
    "subject_classifier": "re_classifier_m1",
    "object_classifier": "re_classifier_m2",
}
VARIANTS: dict[str, tuple[type, dict[str, Any], dict[str, str]]] = {
    # Evaluated with shorter windows than its items have.
    "ner_marker": (PLMarkerForEntityRecognition, {"max_seq_length": 320}, ENTITY_HEAD),
    "re_sub": (PLMarkerForRelationExtraction, {}, RELATION_HEADS),
    "ner_tconcat": (
        PLMarkerForEntityRecognition,
        {"method": "t-concat", "max_pair_length": 1000},
        ENTITY_HEAD,
    ),
    "re_typemarker": (
        PLMarkerForRelationExtraction,
        {"type_markers": True},
        RELATION_HEADS,
    ),
    "re_unidirect": (
        PLMarkerForRelationExtraction,
        {"bidirectional": False},
        RELATION_HEADS,
    ),
    "re_levitatedpair": (
        PLMarkerForRelationExtraction,
        {"subject_markers": "levitated", "max_pair_length": 64},
        {"entity_classifier": "ner_classifier"},
    ),
}


@pytest.fixture(scope="module")
def fixtures(shared: Path) -> Path:
    return shared / "reference" / "fixtures"


@pytest.fixture(scope="module")
def recorded(fixtures: Path) -> Callable[[str], dict[str, np.ndarray]]:
    return lambda name: dict(np.load(fixtures / f"{name}.npz"))


@torch.no_grad()
def build(fixtures: Path, schema: LabelSchema, name: str) -> Any:
    model_class, options, names = VARIANTS[name]
    model = model_class.from_encoder("minilm", schema, compat="original", **options).eval()
    tensors = load_file(fixtures / f"{name}.heads.safetensors")
    for ours, theirs in names.items():
        getattr(model, ours).weight.copy_(tensors[f"{theirs}.weight"])
        getattr(model, ours).bias.copy_(tensors[f"{theirs}.bias"])
    if name == "re_levitatedpair":
        subject, objects = tensors["re_classifier.weight"].chunk(2, dim=1)
        model.subject_classifier.weight.copy_(subject)
        model.subject_classifier.bias.zero_()
        model.object_classifier.weight.copy_(objects)
        model.object_classifier.bias.copy_(tensors["re_classifier.bias"])
    if name != "ner_tconcat":
        # The rows of the first four reserved tokens; type markers reach further, to rows that were left as they are.
        rows = tensors["bert.embeddings.word_embeddings.rows"]
        model.encoder.get_input_embeddings().weight[model.config.marker_token_ids[: len(rows)]] = rows
    return model


@pytest.fixture(scope="module")
def models(fixtures: Path, scierc_schema: LabelSchema) -> Callable[[str], Any]:
    built: dict[str, Any] = {}

    def get(name: str) -> Any:
        if name not in built:
            built[name] = build(fixtures, scierc_schema, name)
        return built[name]

    return get


def original_items(
    task: Task, documents: list[dict[str, Any]], tokenizer: Any, training: bool = False
) -> list[Example]:
    """What the original packs into one item each, in its order."""
    tokenize = WordTokenizer(tokenizer)
    read = training_rows if training else type(task).rows
    rows = [row for document in documents for row in read(task, document, tokenize)]
    return [example for row in rows for example in task.training_examples(row)]


def original_tokens(task: Task, item: Example) -> tuple[np.ndarray, np.ndarray]:
    """Ids and positions in the original's order: text, then all markers of one kind after the other."""
    inputs = {name: tensor.numpy() for name, tensor in task.batch([item]).inputs.items()}
    ids = np.concatenate([inputs["input_ids"], inputs["marker_ids"].T.flatten()])
    positions = np.concatenate([np.arange(len(inputs["input_ids"])), inputs["marker_positions"].T.flatten()])
    return ids, positions


def column(items: list[Example], *names: str) -> np.ndarray:
    """The values of all items in one array, with a column for each name where there are several."""
    columns = [np.array([value for item in items for value in item.values(name)]) for name in names]
    return columns[0] if len(names) == 1 else np.stack(columns, axis=1)


@pytest.mark.parametrize(
    ("name", "recording", "training"),
    [
        ("ner_tconcat", "ner_tconcat", False),
        ("re_typemarker", "re_typemarker", False),
        ("re_unidirect", "re_unidirect", False),
        ("re_unidirect", "re_unidirect.train_mode", True),
        ("re_levitatedpair", "re_levitatedpair", False),
    ],
)
def test_items_logits_and_losses_are_the_original_s(
    models, recorded, scierc_dev, minilm_tokenizer, name, recording, training
):
    model, want = models(name), recorded(recording)
    documents = scierc_dev[: N_TRAINING_DOCUMENTS if training else N_DOCUMENTS]
    items = original_items(model.task, documents, minilm_tokenizer, training)
    tokens = [original_tokens(model.task, item) for item in items]
    np.testing.assert_array_equal([len(ids) for ids, _ in tokens], np.diff(want["input_ids.offsets"]))
    np.testing.assert_array_equal(np.concatenate([ids for ids, _ in tokens]), want["input_ids"])
    np.testing.assert_array_equal(np.concatenate([places for _, places in tokens]), want["position_ids"])
    labels = want["labels" if name.startswith("ner") else "rel_labels"]
    np.testing.assert_array_equal(column(items, "labels"), labels)
    if name.startswith("re"):
        objects = column(items, "object_word_starts", "object_word_ends")
        np.testing.assert_array_equal(objects, want["obj_word_spans"])
        if "sub_word_spans" in want:
            subjects = column(items, "subject_word_starts", "subject_word_ends")
            np.testing.assert_array_equal(subjects, want["sub_word_spans"])
    scored = Scorer.of_model(model).score(items)
    heads = {
        "ner_tconcat": ("logits",),
        "re_levitatedpair": ("re_logits", "obj_ner_logits", "sub_ner_logits"),
    }.get(name, ("re_logits", "ner_logits"))
    for head, key in enumerate(heads):
        logits = np.concatenate([item.logits[head] for item in scored])
        np.testing.assert_allclose(logits, want[key], rtol=0, atol=TOLERANCE, err_msg=key)
    key = next(key for key in want if key.startswith("loss"))
    size = int(key.rsplit("_", 1)[1])
    with torch.no_grad():
        output = model(**model.task.batch(items[:size]).inputs)
    losses = [output.loss, output.get("relation_loss"), output.get("entity_loss")][: np.size(want[key][0])]
    np.testing.assert_allclose([float(loss) for loss in losses], np.atleast_1d(want[key][0]), rtol=1e-4)


def test_tags_and_the_tagger_s_logits_are_the_original_s(fixtures, recorded, scierc_dev, minilm_tokenizer):
    want = recorded("bio_conll03")
    sequences = json.loads((fixtures / "bio_conll03.json").read_text(encoding="utf-8"))
    model = PLMarkerForEntityRecognition.from_encoder(
        "minilm", CONLL, method="bio", tags="iob1", compat="original", quirks=["raw_brackets"]
    ).eval()
    assert model.config.classes == sequences["label_list"]
    tensors = load_file(fixtures / "bio_conll03.heads.safetensors")
    with torch.no_grad():
        model.classifier.weight.copy_(tensors["classifier.weight"])
        model.classifier.bias.copy_(tensors["classifier.bias"])
    documents, number = [], 0
    for document in scierc_dev:
        if number == len(sequences["sequences"]["gold"]):
            break
        entities = []
        for first, last in sentence_ranges(document["sentences"]):
            tags = sequences["sequences"]["gold"][number]
            assert len(tags) == last - first + 1
            entities.append(entities_of(tags, first))
            number += 1
        # CoNLL has no relations.
        documents.append({**document, "ner": entities, "relations": None})
    items = original_items(model.task, documents, minilm_tokenizer)
    scored = Scorer.of_model(model).score(items)
    n_items = len(want["input_ids.offsets"]) - 1
    np.testing.assert_array_equal(np.concatenate([i.row.input_ids for i in items[:n_items]]), want["input_ids"])
    np.testing.assert_array_equal(column(items[:n_items], "starts"), want["start_positions"])
    np.testing.assert_array_equal(column(items[:n_items], "labels"), want["labels"][want["labels"] >= 0])
    logits = np.concatenate([item.logits[0] for item in scored[:n_items]])
    np.testing.assert_allclose(logits, want["logits_at_start_positions"], rtol=0, atol=TOLERANCE)
    with torch.no_grad():
        loss = model(**model.task.batch(items[:4]).inputs).loss
    np.testing.assert_allclose(float(loss), want["loss_per_batch_of_4"][0], rtol=1e-4)
    evaluator, tagged = EntityEvaluator(model.task), iter(sequences["sequences"]["pred"])
    answers = iter(scored)
    for document in documents:
        ranges = sentence_ranges(document["sentences"])
        found = evaluator.add(Annotations.of_document(document, CONLL), [next(answers) for _ in ranges], len(ranges))
        for (first, _), spans in zip(ranges, found, strict=True):
            original = {(e["start"], e["end"], e["label"]) for e in entities_of(next(tagged), first)}
            assert {(s.start, s.end, CONLL.entity_classes[s.label]) for s in spans} == original
    assert next(tagged, None) is next(answers, None) is None
    assert evaluator.compute()["ent_f1"] == pytest.approx(sequences["results_dev"]["f1"], abs=1e-12)


def entities_of(tags: list[str], first: int) -> list[dict[str, Any]]:
    """Entities of a sentence tagged in IOB1."""
    entities: list[dict[str, Any]] = []
    for word, tag in enumerate(tags, start=first):
        label = tag[2:]
        if tag == "O":
            continue
        previous = entities[-1] if entities else {"end": -2, "label": ""}
        if tag[0] == "I" and previous["end"] == word - 1 and previous["label"] == label:
            previous["end"] = word
        else:
            entities.append({"start": word, "end": word, "label": label})
    return entities


ScoredDocument = tuple[Annotations, list[Scored], int]


@pytest.fixture(scope="module")
def scored_dev(models, scierc_dev, minilm_tokenizer) -> Callable[[str], tuple[Any, list[ScoredDocument]]]:
    """All of SciERC's development documents scored by a variant, with gold entities."""
    known: dict[str, list[ScoredDocument]] = {}

    def get(name: str) -> tuple[Any, list[ScoredDocument]]:
        model = models(name)
        if name not in known:
            tokenize = WordTokenizer(minilm_tokenizer)
            documents = ((document, model.task.rows(document, tokenize)) for document in scierc_dev)
            known[name] = [
                (Annotations.of_document(document, model.config.schema), scored, len(document["sentences"]))
                for document, scored in Scorer.of_model(model).stream(documents)
            ]
        return model.config, known[name]

    return get


def changed(config: Any, **values: Any) -> Any:
    changed = copy.copy(config)
    for name, value in values.items():
        setattr(changed, name, value)
    return changed


@pytest.mark.parametrize("name", ["ner_marker", "ner_tconcat"])
@pytest.mark.parametrize(("flat", "key"), [(False, "results_dev"), (True, "results_dev_flat_overlap_rule")])
def test_entity_figures_are_the_original_s(scored_dev, fixtures, name, flat, key):
    want = json.loads((fixtures / f"{name}.json").read_text(encoding="utf-8"))[key]
    config, documents = scored_dev(name)
    evaluator = EntityEvaluator(task_of(changed(config, flat=flat)))
    for document in documents:
        evaluator.add(*document)
    metrics = evaluator.compute()
    got = {"f1": "ent_f1", "f1_overlap": "ent_f1_overlap", "precision": "ent_precision", "recall": "ent_recall"}
    assert {name: metrics[ours] for name, ours in got.items()} == pytest.approx(want, abs=1e-12)


@pytest.mark.parametrize("name", ["re_sub", "re_levitatedpair"])
def test_relation_figures_are_the_original_s(scored_dev, fixtures, name):
    wanted = json.loads((fixtures / f"{name}.json").read_text(encoding="utf-8"))["results_dev_gold_entities"]
    config, documents = scored_dev(name)
    for settings, want in wanted.items():
        form, *rest = settings.split("_")
        pair_scores = {"logsoftmax": "log_softmax"}.get(form, form)
        variant = changed(config, pair_scores=pair_scores, decode_each_direction="unidirect" in rest)
        evaluator = RelationEvaluator(task_of(variant), "input" if "nerresults" in rest else "relation")
        for document in documents:
            evaluator.add(*document)
        metrics = evaluator.compute()
        got = {"f1": "rel_f1", "f1_with_ner": "rel_strict_f1", "ner_f1": "retyped_ent_f1"}
        assert {name: metrics[ours] for name, ours in got.items()} == pytest.approx(want, abs=1e-12), settings


class OriginalRandom:
    """The generators that the original grouped with: Python's for shuffling, NumPy's for axes and directions."""

    def __init__(self) -> None:
        self.python, self.numpy = random.Random(0), np.random.RandomState(0)

    def shuffle(self, items: list, /) -> None:
        self.python.shuffle(items)

    def randrange(self, stop: int, /) -> int:
        return int(self.numpy.randint(stop))


@pytest.mark.parametrize(
    ("name", "grouping", "axis"),
    [
        ("plain", "consecutive", None),
        ("shuffle", "shuffle", None),
        ("group_sort", "sort", None),
        ("group_edge_axis0", "edge", 0),
        ("group_edge_axis1", "edge", 1),
        ("group_edge_random_axis", "edge", None),
    ],
)
def test_groups_of_spans_are_the_original_s(fixtures, scierc_dev, minilm_tokenizer, name, grouping, axis):
    want = json.loads((fixtures / "ner_grouping.json").read_text(encoding="utf-8"))["groups"][name]
    generator, found = OriginalRandom(), []
    tokenize = WordTokenizer(minilm_tokenizer)
    for number, document in enumerate(scierc_dev[:2]):
        subwords = tokenize([word for sentence in document["sentences"] for word in sentence])
        for sentence, (first, last) in enumerate(sentence_ranges(document["sentences"])):
            spans = candidate_spans(first, last, 8)
            starts = subwords.word_starts
            places = [(starts[start], starts[end + 1] - 1) for start, end in spans]
            for group in group_spans(places, 64, grouping, generator, axis):
                found.append(([number, sentence], [list(spans[place]) for place in group]))
    assert found == [(item["example_index"], item["word_spans"]) for item in want]
