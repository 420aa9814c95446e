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

from plmarker.modeling.decoding_plmarker import label_words
from plmarker.modeling.grouping_plmarker import Candidate, group_spans
from plmarker.modeling.modeling_plmarker import PLMarkerForEntityRecognition, PLMarkerForRelationExtraction
from plmarker.modeling.prediction_plmarker import BATCH_TOKENS, score_features
from plmarker.modeling.processing_plmarker import (
    candidate_spans,
    entity_features,
    features_of,
    pairs_of_feature,
    relation_features,
    sentence_ranges,
)
from plmarker.modeling.schema_plmarker import LabelSchema
from plmarker.modeling.windows_plmarker import WordTokenizer
from plmarker.trainers.evaluation import evaluate_scored

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


def items(model: Any, documents: list[dict[str, Any]], tokenizer: Any, training: bool = False) -> list[dict[str, Any]]:
    """Features of the size of the original's items."""
    options = {**model.config.feature_options(training), "max_pair_length": model.config.max_pair_length}
    tokenize = WordTokenizer(tokenizer, options.pop("map_brackets"))
    make = entity_features if isinstance(model, PLMarkerForEntityRecognition) else relation_features
    features = [f for document in documents for f in make(document, tokenize, model.config.schema, **options)]
    return [feature for feature in features if feature["input_ids"]]


def original_tokens(model: Any, feature: dict[str, Any], block: int) -> tuple[list[int], list[int]]:
    """Ids and positions in the original's order: text, then all markers of one kind after the other."""
    row = model.pack([feature])
    ids, positions = row["input_ids"][0].tolist(), row["position_ids"][0].tolist()
    text = int(row["window_lengths"][0, 0])
    order = [*range(text)]
    for kind in range(block):
        order += range(text + kind, len(ids), block or 1)
    return [ids[place] for place in order], [positions[place] for place in order]


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
    features = items(model, scierc_dev[: N_TRAINING_DOCUMENTS if training else N_DOCUMENTS], minilm_tokenizer, training)
    block = {"ner_tconcat": 0, "re_levitatedpair": 4}.get(name, 2)
    tokens = [original_tokens(model, feature, block) for feature in features]
    np.testing.assert_array_equal([len(ids) for ids, _ in tokens], np.diff(want["input_ids.offsets"]))
    np.testing.assert_array_equal(np.concatenate([ids for ids, _ in tokens]), want["input_ids"])
    np.testing.assert_array_equal(np.concatenate([places for _, places in tokens]), want["position_ids"])
    labels = np.array([label for feature in features for label in feature["labels"]])
    np.testing.assert_array_equal(labels, want["labels" if name.startswith("ner") else "rel_labels"])
    if name.startswith("re"):
        subjects, objects = zip(*(pair for feature in features for pair in pairs_of_feature(feature)), strict=True)
        np.testing.assert_array_equal(objects, want["obj_word_spans"])
        if "sub_word_spans" in want:
            np.testing.assert_array_equal(subjects, want["sub_word_spans"])
    scored = score_features(model, features, BATCH_TOKENS)
    heads = {
        "ner_tconcat": ("logits",),
        "re_levitatedpair": ("re_logits", "obj_ner_logits", "sub_ner_logits"),
    }.get(name, ("re_logits", "ner_logits"))
    for head, key in enumerate(heads):
        logits = np.concatenate([logits[head].numpy() for _, logits in scored])
        np.testing.assert_allclose(logits, want[key], rtol=0, atol=TOLERANCE, err_msg=key)
    key = next(key for key in want if key.startswith("loss"))
    size = int(key.rsplit("_", 1)[1])
    with torch.no_grad():
        output = model(**model.pack(features[:size]))
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
        documents.append({**document, "ner": entities})
    features = items(model, documents, minilm_tokenizer)
    scored = score_features(model, features, BATCH_TOKENS)
    n_items = len(want["input_ids.offsets"]) - 1
    np.testing.assert_array_equal(np.concatenate([f["input_ids"] for f in features[:n_items]]), want["input_ids"])
    np.testing.assert_array_equal(
        np.concatenate([f["span_starts"] for f in features[:n_items]]), want["start_positions"]
    )
    labels = np.concatenate([feature["labels"] for feature in features[:n_items]])
    np.testing.assert_array_equal(labels, want["labels"][want["labels"] >= 0])
    logits = np.concatenate([heads[0].numpy() for _, heads in scored[:n_items]])
    np.testing.assert_allclose(logits, want["logits_at_start_positions"], rtol=0, atol=TOLERANCE)
    with torch.no_grad():
        loss = model(**model.pack(features[:4])).loss
    np.testing.assert_allclose(float(loss), want["loss_per_batch_of_4"][0], rtol=1e-4)
    predicted = correct = gold = 0
    for (feature, heads), tags in zip(scored, sequences["sequences"]["pred"], strict=True):
        found = label_words(feature["word_starts"][0], heads[0].numpy(), "iob1")
        spans = {(span.start, span.end, CONLL.entity_classes[span.label]) for span in found}
        original = entities_of(tags, feature["word_starts"][0])
        assert spans == {(e["start"], e["end"], e["label"]) for e in original}
        truth = {(start, end, CONLL.entity_classes[label]) for start, end, label in feature["gold"]}
        predicted, correct, gold = predicted + len(spans), correct + len(spans & truth), gold + len(truth)
    assert 2 * correct / (predicted + gold) == pytest.approx(sequences["results_dev"]["f1"], abs=1e-12)


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


@pytest.fixture(scope="module")
def scored_dev(models, scierc_dev, minilm_tokenizer) -> Callable[[str], tuple[Any, list[tuple[dict[str, Any], Any]]]]:
    """All of SciERC's development documents scored by a variant, with gold entities."""
    known: dict[str, list[tuple[dict[str, Any], Any]]] = {}

    def get(name: str) -> tuple[Any, list[tuple[dict[str, Any], Any]]]:
        model = models(name)
        if name not in known:
            tokenize = WordTokenizer(minilm_tokenizer)
            features = [f for document in scierc_dev for f in features_of(model.config, document, tokenize)]
            scored = {id(feature): logits for feature, logits in score_features(model, features, BATCH_TOKENS)}
            known[name] = [(feature, scored.get(id(feature))) for feature in features]
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
    config, scored = scored_dev(name)
    metrics = evaluate_scored(changed(config, flat=flat), scored)
    got = {"f1": "ent_f1", "f1_overlap": "ent_f1_overlap", "precision": "ent_precision", "recall": "ent_recall"}
    assert {name: metrics[ours] for name, ours in got.items()} == pytest.approx(want, abs=1e-12)


@pytest.mark.parametrize("name", ["re_sub", "re_unidirect", "re_levitatedpair"])
def test_relation_figures_are_the_original_s(scored_dev, fixtures, name):
    wanted = json.loads((fixtures / f"{name}.json").read_text(encoding="utf-8"))["results_dev_gold_entities"]
    config, scored = scored_dev(name)
    for settings, want in wanted.items():
        form, *rest = settings.split("_")
        metrics = evaluate_scored(
            changed(
                config,
                pair_scores={"logsoftmax": "log_softmax"}.get(form, form),
                decode_each_direction="unidirect" in rest,
            ),
            scored,
            "input" if "nerresults" in rest else "relation",
        )
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
            spans = [
                Candidate(subwords.word_starts[start], subwords.word_starts[end + 1] - 1, (start, end))
                for start, end in candidate_spans(first, last, 8)
            ]
            for group in group_spans(spans, 64, grouping, generator, axis):
                found.append(([number, sentence], [list(span.words) for span in group]))
    assert found == [(item["example_index"], item["word_spans"]) for item in want]
