"""The three models: saving, combining, extracting."""

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch.nn import functional as F
from transformers import AutoModel

import plmarker
from plmarker.modeling.modeling_plmarker import (
    PLMarkerForEntityRecognition,
    PLMarkerForRelationExtraction,
    PLMarkerModel,
)
from plmarker.modeling.prediction_plmarker import BATCHES_AHEAD, Scorer, predict_relations, predict_spans
from plmarker.modeling.schema_plmarker import LabelSchema, PLMarkerError
from plmarker.modeling.windows_plmarker import WordTokenizer

TEXT = (
    "Ada Morrow, who founded the Kelmoor Institute in 1998, married Tom Vell. "
    "He works for the University of Lisk 🙂 — naïvely.\n\nNobody  (yet) knows\twhy."
)


def document(n_sentences: int = 3) -> dict[str, Any]:
    sentences = [["Ada", "Bell", "met", "Cyril", "of", "Acme", "."], ["Acme", "owns", "Zuleika-Works", "."], ["Yes"]]
    ner = [[(0, 1, "PER"), (3, 3, "PER"), (5, 5, "ORG")], [(7, 7, "ORG"), (9, 9, "ORG")], []]
    return {
        "doc_key": "d",
        "sentences": sentences[:n_sentences],
        "ner": [[{"start": a, "end": b, "label": label} for a, b, label in rows] for rows in ner[:n_sentences]],
    }


def batch_of(model: Any, document: dict[str, Any], tokenize: WordTokenizer) -> dict[str, torch.Tensor]:
    """Everything that a model reads of a document, in one batch."""
    return model.task.batch(model.task.examples(model.task.rows(document, tokenize))).inputs


@pytest.fixture
def model(tiny_entity_model, tiny_relation_model, minilm_tokenizer) -> PLMarkerModel:
    return PLMarkerModel.from_models(tiny_entity_model, tiny_relation_model, minilm_tokenizer)


@pytest.fixture
def tokenize(minilm_tokenizer) -> WordTokenizer:
    return WordTokenizer(minilm_tokenizer)


def test_the_entity_model_is_saved_and_loaded_exactly(tiny_entity_model, tokenize, schema, tmp_path):
    tiny_entity_model.save_pretrained(tmp_path)
    loaded = AutoModel.from_pretrained(tmp_path).eval()
    assert type(loaded) is PLMarkerForEntityRecognition
    assert loaded.config.schema == schema
    assert loaded.encoder.config._attn_implementation == "levitated"
    batch = batch_of(tiny_entity_model, document(), tokenize)
    with torch.no_grad():
        assert torch.equal(loaded(**batch).logits, tiny_entity_model(**batch).logits)
    # The tokenizer comes with it.
    assert loaded.extract(TEXT) == tiny_entity_model.extract(TEXT)


def test_the_relation_model_is_saved_and_loaded_exactly(tiny_relation_model, tokenize, schema, tmp_path):
    tiny_relation_model.save_pretrained(tmp_path)
    loaded = AutoModel.from_pretrained(tmp_path).eval()
    assert type(loaded) is PLMarkerForRelationExtraction
    batch = batch_of(tiny_relation_model, document(2), tokenize)
    with torch.no_grad():
        before, after = tiny_relation_model(**batch), loaded(**batch)
    assert torch.equal(before.logits, after.logits)
    assert torch.equal(before.entity_logits, after.entity_logits)


def test_the_model_of_both_is_saved_and_loaded_exactly_with_its_tokenizer(model, tmp_path):
    model.save_pretrained(tmp_path)
    loaded = AutoModel.from_pretrained(tmp_path)
    assert type(loaded) is PLMarkerModel
    assert loaded.state_dict().keys() == model.state_dict().keys()
    assert all(torch.equal(tensor, loaded.state_dict()[name]) for name, tensor in model.state_dict().items())
    assert loaded.extract(TEXT) == model.extract(TEXT)


def test_the_attention_is_the_caller_s_choice(model, tmp_path):
    model.save_pretrained(tmp_path)
    dense = AutoModel.from_pretrained(tmp_path, attn_implementation="sdpa")
    assert dense.relation.encoder.config._attn_implementation == "sdpa"
    found, expected = dense.extract(TEXT).to_dict(), model.extract(TEXT).to_dict()
    assert [(e["start"], e["end"], e["label"]) for e in found["entities"]] == [
        (e["start"], e["end"], e["label"]) for e in expected["entities"]
    ]


def test_from_models_copies_no_weights(model, tiny_entity_model, tiny_relation_model):
    assert model.entity is tiny_entity_model
    assert model.relation is tiny_relation_model
    assert not any(parameter.is_meta for parameter in model.parameters())


def test_from_models_refuses_models_of_other_labels(make_tiny_model, tiny_relation_model, minilm_tokenizer):
    other = make_tiny_model(PLMarkerForEntityRecognition, schema=LabelSchema(("GPE",)))
    with pytest.raises(PLMarkerError, match=r"\['GPE'\].*\['PER', 'ORG'\]"):
        PLMarkerModel.from_models(other, tiny_relation_model, minilm_tokenizer)


def test_from_models_refuses_a_tokenizer_with_other_markers(make_tiny_model, minilm_tokenizer):
    other = make_tiny_model(PLMarkerForEntityRecognition)
    other.config.marker_token_ids = [1, 9]
    with pytest.raises(PLMarkerError, match=r"\[unused1\]"):
        PLMarkerModel.from_models(other, None, minilm_tokenizer)


def test_a_model_of_entities_alone_finds_them_and_no_relations(tiny_entity_model, model, minilm_tokenizer, tmp_path):
    PLMarkerModel.from_models(tiny_entity_model, None, minilm_tokenizer).save_pretrained(tmp_path)
    loaded = AutoModel.from_pretrained(tmp_path)
    extraction = loaded.extract(TEXT)
    assert extraction.relations == []
    assert extraction.entities == model.extract(TEXT).entities


def test_entities_are_where_their_offsets_say(model):
    extraction = model.extract(TEXT)
    assert isinstance(extraction, plmarker.Extraction)
    assert len(extraction.entities) > 3
    assert len(extraction.relations) > 1
    assert extraction.text == TEXT
    for entity in extraction.entities:
        assert TEXT[entity.start : entity.end] == entity.text != ""
        assert entity.label in ("PER", "ORG")
        assert 0 < entity.score <= 1
        assert all(word in entity.text or entity.text in word for word in entity.text.split())
    for relation in extraction.relations:
        assert relation.label in ("MARRIED", "WORKS_FOR", "OWNS")
        assert 0 < relation.score <= 1
        assert relation.head.sentence == relation.tail.sentence
        assert any(relation.head is entity for entity in extraction.entities)
        assert any(relation.tail is entity for entity in extraction.entities)
    places = [(entity.sentence, entity.start, entity.end) for entity in extraction.entities]
    assert places == sorted(places)


def test_an_extraction_is_json(model):
    extraction = model.extract(TEXT)
    plain = json.loads(json.dumps(extraction.to_dict()))
    assert len(plain["entities"]) == len(extraction.entities)
    for relation, found in zip(plain["relations"], extraction.relations, strict=True):
        assert plain["entities"][relation["head"]]["start"] == found.head.start
        assert plain["entities"][relation["tail"]]["text"] == found.tail.text


def test_several_texts_are_answered_in_their_order_as_if_alone(model):
    texts = [TEXT, "", "Ada met Tom.", TEXT[:40], "🙂"]
    together = model.extract(texts, batch_tokens=150)
    assert [extraction.text for extraction in together] == texts
    for text, extraction in zip(texts, together, strict=True):
        alone = model.extract(text)
        assert extraction.sentences == alone.sentences
        assert [(e.start, e.end, e.label) for e in extraction.entities] == [
            (e.start, e.end, e.label) for e in alone.entities
        ]
        assert [e.score for e in extraction.entities] == pytest.approx([e.score for e in alone.entities], abs=1e-4)
    assert model.extract([]) == []


ODD_TEXTS = [
    "",
    " \n",
    "🙂👩‍👩‍👧 ❤️",
    "\x00",
    "a" * 400,
    "x. " * 150,
    "日本語のテキスト。",
    "شركة أكمي في باريس. דנה גרה בחיפה.",
    "Ann\tBell\r\n\r\nmet\u2028Bob.",
    "[unused0] [SEP] <s>",
]


@pytest.mark.parametrize("text", ODD_TEXTS)
def test_odd_texts_are_read_without_harm(model, text):
    extraction = model.extract(text)
    assert extraction.text == text
    assert all(text[entity.start : entity.end] == entity.text for entity in extraction.entities)
    if not text.strip():
        assert (extraction.sentences, extraction.entities, extraction.relations) == ([], [], [])


def test_words_are_read_as_they_are_cut(model):
    words = [["Ada", "Morrow", "met", "Tom-Vell", "."], [], ["He", "left", "-LRB-", "soon", "-RRB-"]]
    extraction = model.extract(words=words)
    assert extraction.sentences == words
    assert extraction.text.split() == [word for sentence in words for word in sentence]
    assert extraction.entities
    assert all(extraction.text[e.start : e.end] == e.text for e in extraction.entities)
    assert model.extract(words=[]).entities == []


def test_extract_takes_text_or_words(model):
    for arguments in ({}, {"text": TEXT, "words": [["a"]]}):
        with pytest.raises(ValueError, match="either text or words"):
            model.extract(**arguments)


@pytest.mark.parametrize("wrong", [5, b"abc", [b"abc"], [TEXT, None], {"text": TEXT}])
def test_an_input_that_is_no_text_is_an_error(model, wrong):
    with pytest.raises(PLMarkerError, match="a text or a list of texts"):
        model.extract(wrong)


@pytest.mark.parametrize("wrong", [5, "Ann", ["Ann"], [["Ann", 3]], [b"Ann"]])
def test_words_that_are_no_sentences_are_an_error(model, wrong):
    with pytest.raises(PLMarkerError, match="a list of sentences, each a list of words"):
        model.extract(words=wrong)


def test_texts_may_come_in_an_array(model):
    assert model.extract(np.array([TEXT, "Ann."])) == model.extract([TEXT, "Ann."])


def test_models_are_combined_and_loaded_by_their_kind(model, tmp_path):
    for parts in ((model.relation, None), (None, model.relation), (model.entity, model.entity), (model, None)):
        with pytest.raises(PLMarkerError, match="expected a PLMarkerFor"):
            PLMarkerModel.from_models(*parts, model.tokenizer)
    model.save_pretrained(tmp_path)
    with pytest.raises(PLMarkerError, match="a model of type 'plmarker', expected 'plmarker-ner'"):
        PLMarkerForEntityRecognition.from_pretrained(tmp_path)
    with pytest.raises(PLMarkerError, match="batch_tokens is a whole number"):
        model.extract(TEXT, batch_tokens=0)


def test_thresholds_keep_the_surer_findings_only(model):
    everything = model.extract(TEXT)
    entity_threshold = sorted(entity.score for entity in everything.entities)[1]
    surer = model.extract(TEXT, entity_threshold=entity_threshold)
    assert 0 < len(surer.entities) < len(everything.entities)
    assert all(entity.score >= entity_threshold for entity in surer.entities)
    relation_threshold = sorted(relation.score for relation in everything.relations)[1]
    surer = model.extract(TEXT, relation_threshold=relation_threshold)
    assert 0 < len(surer.relations) < len(everything.relations)


def test_thresholds_by_label_leave_other_labels_alone(model, tokenize):
    document = {"sentences": [["Ann", "Bell", "met", "Bob", "of", "Acme", "."]]}
    head, logits = model.entity.classifier, []
    with head.register_forward_hook(lambda module, inputs, output: logits.append(output)):
        list(predict_spans(model.entity, tokenize, [document]))
    # A random head gives all spans one label.
    head.bias.data -= torch.cat(logits).median(0).values
    ((_, [everything]),) = predict_spans(model.entity, tokenize, [document])
    classes = model.config.schema.entity_classes
    assert len({span.label for span in everything}) > 1
    for label in {span.label for span in everything}:
        least = sorted(span.score for span in everything if span.label == label)[-1]
        ((_, [kept]),) = predict_spans(model.entity, tokenize, [document], threshold={classes[label]: least})
        assert kept == [span for span in everything if span.label != label or span.score >= least]
    (relation, *_) = model.extract(TEXT).relations
    kept = model.extract(TEXT, relation_threshold={relation.label: 1.0}).relations
    assert relation.label not in {found.label for found in kept}


@pytest.mark.parametrize("name", ["entity_threshold", "relation_threshold"])
def test_a_threshold_of_an_unknown_label_is_an_error(model, name):
    with pytest.raises(PLMarkerError, match="threshold for an unknown label 'NO'"):
        model.extract("Ann.", **{name: {"NO": 0.5}})
    for wrong in ([], "0.5", {"PER": "0.5"}, 50, -0.1, {"PER": 1.01}):
        with pytest.raises(PLMarkerError, match="a threshold is from 0 to 1"):
            model.extract("Ann.", **{name: wrong})
    alone = PLMarkerModel.from_models(model.entity, None, model.tokenizer)
    with pytest.raises(PLMarkerError, match="threshold for an unknown label 'NOPE'"):
        alone.extract("Ann.", **{name: {"NOPE": 0.5}})


def test_a_model_without_a_tokenizer_says_so(model):
    model.tokenizer = None
    with pytest.raises(PLMarkerError, match="no tokenizer"):
        model.extract(TEXT)


@pytest.mark.parametrize("training", [True, False])
def test_extraction_leaves_the_training_mode_as_it_was(model, training):
    model.train(training)
    first = model.extract(TEXT)
    assert model.entity.training is model.relation.training is model.entity.encoder.training is training
    # Dropout stays out of it in either mode.
    assert model.extract(TEXT) == first


def test_a_stream_that_breaks_leaves_the_model_as_it_was(tiny_entity_model, tokenize):
    tiny_entity_model.train()

    def broken() -> Iterator[dict[str, Any]]:
        yield document()
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="disk"):
        list(predict_spans(tiny_entity_model, tokenize, broken()))
    assert tiny_entity_model.training


def test_a_stream_is_read_only_as_far_ahead_as_batches_need(tiny_entity_model, tokenize):
    n_read = 0

    def documents() -> Iterator[dict[str, Any]]:
        nonlocal n_read
        for _ in range(100):
            n_read += 1
            yield document()

    next(predict_spans(tiny_entity_model, tokenize, documents(), batch_tokens=20))
    assert n_read < BATCHES_AHEAD * 20 / 10


def by_candidate(scored: list[Any]) -> dict[tuple, np.ndarray]:
    """Logits of every span or pair, in any example."""
    logits = {}
    for item in scored:
        row = item.example.row
        keys = list(zip(row.subjects, row.objects, strict=True)) if hasattr(row, "subjects") else row.spans
        for number, key in enumerate(keys[item.example.first : item.example.stop]):
            logits[key] = np.concatenate([head[number] for head in item.logits])
    return logits


@pytest.mark.parametrize("model_class", [PLMarkerForEntityRecognition, PLMarkerForRelationExtraction])
@pytest.mark.parametrize("group", [None, 5, 1])
@pytest.mark.parametrize(("batch_tokens", "marker_tokens"), [(1, 2), (90, 14), (10_000, 10_000)])
def test_grouping_batches_and_chunks_change_no_logit(
    make_tiny_model, tokenize, model_class, group, batch_tokens, marker_tokens
):
    model = make_tiny_model(model_class, max_seq_length=64, max_pair_length=group)
    rows = model.task.rows(document(), tokenize)
    expected = by_candidate(Scorer.of_model(model, 10_000).score(model.task.examples(rows)))
    model.marker_tokens = marker_tokens
    grouped = model.task.rows(document(), tokenize, training=model_class is PLMarkerForEntityRecognition)
    examples = [example for row in grouped for example in model.task.training_examples(row)]
    found = by_candidate(Scorer.of_model(model, batch_tokens).score(examples))
    assert found.keys() == expected.keys()
    for candidate, logits in found.items():
        np.testing.assert_allclose(logits, expected[candidate], rtol=0, atol=1e-4)


def test_sentences_longer_than_the_window_are_labelled_to_their_end(make_tiny_model, tokenize):
    entity = make_tiny_model(PLMarkerForEntityRecognition, max_seq_length=18, max_span_length=2)
    sentence = ["Ada", "met", "Cyril", "and", "Acme", "of", "Lisk", ","] * 12
    ((_, (found,)),) = predict_spans(entity, tokenize, [{"doc_key": "d", "sentences": [sentence]}])
    assert max(span.end for span in found) > 80
    assert len({(span.start, span.end) for span in found}) == len(found)


@pytest.mark.parametrize("nil_weight", [1.0, 0.2])
def test_the_entity_loss_is_the_weighted_mean_over_all_spans(make_tiny_model, tokenize, schema, nil_weight):
    model = make_tiny_model(PLMarkerForEntityRecognition, nil_weight=nil_weight)
    row = batch_of(model, document(), tokenize)
    with torch.no_grad():
        output = model(**row)
        unlabelled = model(**{name: tensor for name, tensor in row.items() if name != "labels"})
        halved = model(**row, num_items_in_batch=2 * len(row["labels"]))
    losses = F.cross_entropy(output.logits, row["labels"], reduction="none")
    weights = torch.where(row["labels"] == 0, nil_weight, 1.0)
    torch.testing.assert_close(output.loss, (losses * weights).sum() / weights.sum())
    assert unlabelled.loss is None
    torch.testing.assert_close(halved.loss, (losses * weights).sum() / (2 * len(losses)))
    assert torch.equal(unlabelled.logits, output.logits)


def test_the_relation_loss_weighs_nil_in_its_relation_part_only(make_tiny_model, tokenize, schema):
    annotated = document()
    keys = ("head_start", "head_end", "tail_start", "tail_end")
    annotated["relations"] = [[dict(zip(keys, (0, 1, 3, 3), strict=True), label="MARRIED")], [], []]
    model = make_tiny_model(PLMarkerForRelationExtraction, nil_weight=0.2)
    row = batch_of(model, annotated, tokenize)
    with torch.no_grad():
        output = model(**row)
    weight = torch.tensor([0.2, 1, 1, 1, 1, 1])
    relation_loss = F.cross_entropy(output.logits, row["labels"], weight=weight)
    entity_loss = F.cross_entropy(output.entity_logits, row["object_labels"])
    torch.testing.assert_close(output.relation_loss, relation_loss)
    torch.testing.assert_close(output.loss, relation_loss + entity_loss)


def test_relations_are_found_between_given_entities_only(tiny_relation_model, tokenize):
    given = document()
    ((_, relations),) = predict_relations(tiny_relation_model, tokenize, [given], entity_types="input")
    spans = [{(e["start"], e["end"]) for e in rows} for rows in given["ner"]]
    assert any(relations)
    for sentence, found in zip(spans, relations, strict=True):
        assert all({relation.head, relation.tail} <= sentence for relation in found)
    types = {(e["start"], e["end"]): e["label"] for rows in given["ner"] for e in rows}
    names = tiny_relation_model.config.schema.entity_classes
    for relation in (relation for found in relations for relation in found):
        assert (names[relation.head_label], names[relation.tail_label]) == (types[relation.head], types[relation.tail])


def test_entity_types_come_from_the_model_or_from_the_input(tiny_relation_model, tokenize):
    with pytest.raises(ValueError, match="'gold'"):
        list(predict_relations(tiny_relation_model, tokenize, [document()], entity_types="gold"))


def test_minilm_reads_language_through_levitated_markers(schema):
    """Markers read the text at their position: the same word in another context has other states."""
    model = PLMarkerForEntityRecognition.from_encoder("minilm", schema, marker_init="lm").eval()
    tokenize = WordTokenizer(model.tokenizer)
    states = []
    for words in (["The", "bank", "of", "the", "river"], ["The", "shore", "of", "the", "river"], ["Run", "fast"]):
        ids = torch.tensor(tokenize.with_special_tokens(tokenize(words).ids))
        with torch.no_grad():
            text = model.encode_text(ids, [len(ids)])
            marker_ids = torch.tensor([model.config.marker_token_ids])
            markers = model.encode_markers(text, [1], marker_ids, torch.tensor([[2, 2]]))
        states.append(markers[0, 0])
    near, far = (F.cosine_similarity(states[0], other, dim=0) for other in states[1:])
    assert near > far + 0.03


@pytest.mark.parametrize(
    ("model_class", "training"), [(PLMarkerForEntityRecognition, True), (PLMarkerForRelationExtraction, False)]
)
def test_many_candidates_stay_in_a_gibibyte(model_class, training, tmp_path):
    """500 words with 8-word spans, or 60 entities in a sentence, in a process of its own."""
    script = tmp_path / "read.py"
    script.write_text(MANY)
    done = subprocess.run(
        [sys.executable, str(script), model_class.__name__, str(training)], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr[-2000:]
    n_candidates, mebibytes = map(float, done.stdout.split()[-2:])
    assert n_candidates == (3972 if model_class is PLMarkerForEntityRecognition else 3600)
    assert mebibytes < 1024


MANY = """
import resource, sys
from pathlib import Path
import torch, plmarker
from plmarker import LabelSchema
from plmarker.modeling.windows_plmarker import WordTokenizer

name, training = sys.argv[1], sys.argv[2] == "True"
model = getattr(plmarker, name).from_encoder("minilm", LabelSchema(("A",), ("R",)), max_seq_length=512)
sentence = ["the"] * 500
ner = [[{"start": 8 * n, "end": 8 * n, "label": "A"} for n in range(60)]]
task = model.task
rows = task.rows({"sentences": [sentence], "ner": ner}, WordTokenizer(model.tokenizer))
examples = task.examples(rows)
if not training:
    # Only the evaluation of all subjects at once: batches are cut by the scorer.
    from plmarker.modeling.prediction_plmarker import Scorer
    level = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    scored = Scorer.of_model(model).score(examples)
    count = sum(len(item.example) for item in scored)
else:
    model.train()
    model.activation_checkpointing_enable() if hasattr(model, "activation_checkpointing_enable") else (
        model.gradient_checkpointing_enable()
    )
    level = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    members = examples if "Entity" in name else examples[:4]
    count = sum(map(len, examples))
    model(**task.batch(members).inputs).loss.backward()
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(count, (peak - level) / 1024)
"""


def test_from_encoder_takes_the_options_of_loading(schema):
    model = PLMarkerForEntityRecognition.from_encoder(
        "minilm", schema, dtype="bfloat16", attn_implementation="sdpa", device_map="cpu"
    )
    assert model.dtype == torch.bfloat16
    assert model.encoder.config._attn_implementation == "sdpa"
    assert model.device.type == "cpu"
    for wrong in ({"dtype": "int8"}, {"device_map": {"": "cpu"}}, {"device_map": "nowhere"}):
        with pytest.raises(PLMarkerError):
            PLMarkerForEntityRecognition.from_encoder("minilm", schema, **wrong)


@pytest.mark.parametrize("model_class", [PLMarkerForEntityRecognition, PLMarkerForRelationExtraction])
def test_loading_takes_the_options_of_any_model(make_tiny_model, model_class, tmp_path):
    """Sharded, in a subfolder, in another precision, with another attention, on a device map."""
    model = make_tiny_model(model_class)
    model.save_pretrained(tmp_path / "sub", max_shard_size="100KB")
    assert len(list((tmp_path / "sub").glob("*.safetensors"))) > 1
    loaded = AutoModel.from_pretrained(tmp_path, subfolder="sub")
    assert type(loaded) is model_class
    for name, tensor in model.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], tensor)
    half = AutoModel.from_pretrained(tmp_path / "sub", dtype="bfloat16", attn_implementation="eager", device_map="cpu")
    assert half.dtype == torch.bfloat16
    assert half.encoder.config._attn_implementation == "eager"


@pytest.mark.parametrize(
    ("damage", "parts"),
    [
        (lambda weights: weights.pop("classifier.bias"), ["missing", "classifier.bias"]),
        (lambda weights: weights.update(other=torch.zeros(2)), ["unexpected", "other"]),
        (lambda weights: weights["classifier.weight"].fill_(float("nan")), ["classifier.weight", "not finite"]),
        (lambda weights: weights["classifier.bias"].fill_(float("inf")), ["classifier.bias", "not finite"]),
    ],
    ids=["missing", "unexpected", "nan", "infinite"],
)
@pytest.mark.parametrize("load", [AutoModel.from_pretrained, PLMarkerForEntityRecognition.from_pretrained])
def test_damaged_weights_are_refused_by_name(make_tiny_model, tmp_path, damage, parts, load):
    make_tiny_model(PLMarkerForEntityRecognition).save_pretrained(tmp_path)
    file = tmp_path / "model.safetensors"
    weights = load_file(file)
    damage(weights)
    save_file(weights, file, metadata={"format": "pt"})
    with pytest.raises(PLMarkerError) as error:
        load(tmp_path)
    assert all(part in str(error.value) for part in [*parts, str(tmp_path)])


def test_a_file_of_weights_that_was_cut_off_is_named(make_tiny_model, tmp_path):
    make_tiny_model(PLMarkerForEntityRecognition).save_pretrained(tmp_path)
    file = tmp_path / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(PLMarkerError, match=f"{tmp_path}: a file of weights is damaged"):
        AutoModel.from_pretrained(tmp_path)
