"""Every variant predicts: on short and long sentences, without entities, and in two stages."""

import pickle
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch

from plmarker.modeling.modeling_plmarker import (
    PLMarkerForEntityRecognition,
    PLMarkerForRelationExtraction,
    PLMarkerModel,
)
from plmarker.modeling.prediction_plmarker import (
    BATCHES_AHEAD,
    evaluation_view,
    predict_relations,
    predict_spans,
)
from plmarker.modeling.schema_plmarker import PLMarkerError
from plmarker.modeling.windows_plmarker import WordTokenizer
from plmarker.trainers.candidates import predict_candidates
from plmarker.trainers.evaluation import evaluate_documents

NAMES = ["Ada", "Bob", "Acme", "Eve", "Dan", "Initech"]
LONG = [word for number in range(30) for word in (NAMES[number % 6], "met", "and", "paid")]
DOCUMENT: dict[str, Any] = {
    "doc_key": "a",
    "sentences": [["Ada", "works", "for", "Acme", "."], [], ["Yes"], LONG],
    "ner": [
        [{"start": 0, "end": 0, "label": "PER"}, {"start": 3, "end": 3, "label": "ORG"}],
        [],
        [],
        [{"start": 6 + 4 * number, "end": 6 + 4 * number, "label": "PER"} for number in range(0, 30, 5)],
    ],
    "relations": [[{"head_start": 0, "head_end": 0, "tail_start": 3, "tail_end": 3, "label": "WORKS_FOR"}], [], [], []],
}
ENTITY_VARIANTS: list[dict[str, Any]] = [
    {},
    {"method": "t-concat"},
    {"method": "bio"},
    {"method": "bio", "tags": "io"},
    {"grouping": "edge", "flat": True},
]
RELATION_VARIANTS: list[dict[str, Any]] = [
    {},
    {"bidirectional": False},
    {"entity_head": False},
    {"bidirectional": False, "entity_head": False},
    {"subject_markers": "levitated"},
    {"type_markers": True},
    {"att_left": True, "att_right": True, "max_pair_length": 3},
    {"decode_each_direction": True, "pair_scores": "softmax"},
    {"subject_markers": "levitated", "compat": "original", "max_pair_length": 3},
]


def name(values: dict[str, Any]) -> str:
    return " ".join(f"{key}={value}" for key, value in values.items()) or "default"


@pytest.mark.parametrize("values", ENTITY_VARIANTS, ids=name)
def test_entity_variants_label_sentences_of_any_length(make_tiny_model, minilm_tokenizer, values):
    model = make_tiny_model(PLMarkerForEntityRecognition, max_seq_length=48, max_span_length=3, **values)
    ((_, sentences),) = predict_spans(model, WordTokenizer(minilm_tokenizer), [DOCUMENT])
    assert len(sentences) == 4
    assert not sentences[1]
    first = [0, 5, 5, 6]
    for start, spans, words in zip(first, sentences, DOCUMENT["sentences"], strict=True):
        assert all(start <= span.start <= span.end < start + len(words) for span in spans)
        assert all(1 <= span.label <= 2 for span in spans)
    assert any(sentences)
    assert 0 <= evaluate_documents([DOCUMENT], minilm_tokenizer, model).metrics["ent_f1"] <= 1
    alone = model.extract("Ada works for Acme.").to_dict()
    assert alone == PLMarkerModel.from_models(model, None, minilm_tokenizer).extract("Ada works for Acme.").to_dict()
    assert alone["text"] == "Ada works for Acme."


@pytest.mark.parametrize("values", RELATION_VARIANTS, ids=name)
def test_relation_variants_link_entities_and_survive_saving(make_tiny_model, minilm_tokenizer, values, tmp_path):
    model = make_tiny_model(PLMarkerForRelationExtraction, seed=3, max_seq_length=48, **values)
    ((_, sentences),) = predict_relations(model, WordTokenizer(minilm_tokenizer), [DOCUMENT])
    given = {(e["start"], e["end"]) for sentence in DOCUMENT["ner"] for e in sentence}
    found = [relation for sentence in sentences for relation in sentence]
    assert found
    assert all({relation.head, relation.tail} <= given for relation in found)
    assert all(0 < relation.label < 4 and 0 <= relation.score <= 1 for relation in found)
    assert [len(sentence) for sentence in sentences[1:3]] == [0, 0]
    for sentence in sentences:
        # Best first: the scores that are returned are what sorts them, but for raw and soft ones.
        if not values.get("pair_scores") and not values.get("compat"):
            assert [r.score for r in sentence] == sorted((r.score for r in sentence), reverse=True)
    metrics = evaluate_documents([DOCUMENT], minilm_tokenizer, relation=model).metrics
    assert {"gold_rel_f1", "gold_rel_strict_f1"} <= metrics.keys()
    model.save_pretrained(tmp_path)
    again = PLMarkerForRelationExtraction.from_pretrained(tmp_path)
    ((_, repeated),) = predict_relations(again.eval(), WordTokenizer(minilm_tokenizer), [DOCUMENT])
    assert [[(r.head, r.tail, r.label) for r in s] for s in repeated] == [
        [(r.head, r.tail, r.label) for r in s] for s in sentences
    ]


@pytest.mark.parametrize("values", RELATION_VARIANTS, ids=name)
def test_shared_windows_and_batches_change_no_score_of_a_variant(make_tiny_model, minilm_tokenizer, values):
    model = make_tiny_model(PLMarkerForRelationExtraction, seed=3, max_seq_length=64, **values)
    tokenize = WordTokenizer(minilm_tokenizer)
    ((_, together),) = predict_relations(model, tokenize, [DOCUMENT], batch_tokens=4096)
    ((_, alone),) = predict_relations(model, tokenize, [DOCUMENT], batch_tokens=1)
    for one, other in zip(together, alone, strict=True):
        assert [(r.head, r.tail, r.label) for r in one] == [(r.head, r.tail, r.label) for r in other]
        torch.testing.assert_close(
            torch.tensor([r.score for r in one]), torch.tensor([r.score for r in other]), rtol=0, atol=1e-4
        )


@pytest.mark.parametrize("values", ENTITY_VARIANTS[:4], ids=name)
def test_the_first_of_two_stages_leaves_the_likeliest_spans_to_the_second(make_tiny_model, minilm_tokenizer, values):
    first = make_tiny_model(PLMarkerForEntityRecognition, max_seq_length=48, max_span_length=3, **values)
    second = make_tiny_model(PLMarkerForEntityRecognition, seed=5, max_seq_length=48, max_span_length=3)
    tokenize = WordTokenizer(minilm_tokenizer)
    (document,) = predict_candidates(first, tokenize, [DOCUMENT], limit=4)
    assert [len(spans) for spans in document["candidates"]] == [4, 0, 1, 4]
    ((_, found),) = predict_spans(second, tokenize, [document])
    ((_, everything),) = predict_spans(second, tokenize, [DOCUMENT])
    for candidates, spans, free in zip(document["candidates"], found, everything, strict=True):
        assert candidates == sorted(candidates)
        # Restricting spans changes the score of none that is left.
        assert {(s.start, s.end, s.label) for s in spans} == {
            (s.start, s.end, s.label) for s in free if (s.start, s.end) in candidates
        }


def test_a_stream_of_documents_without_words_is_answered_while_it_is_read(make_tiny_model, minilm_tokenizer):
    model = make_tiny_model(PLMarkerForEntityRecognition, max_seq_length=48)
    seen = 0

    def empty_documents():
        nonlocal seen
        for _ in range(100_000):
            seen += 1
            yield {"sentences": []}

    found = predict_spans(model, WordTokenizer(minilm_tokenizer), empty_documents(), batch_tokens=32)
    assert next(found)[1] == []
    assert seen <= 32 * BATCHES_AHEAD


def combined_model(make_tiny_model: Any, minilm_tokenizer: Any) -> PLMarkerModel:
    entity = make_tiny_model(PLMarkerForEntityRecognition, max_seq_length=48, max_span_length=3)
    relation = make_tiny_model(PLMarkerForRelationExtraction, seed=3, max_seq_length=48)
    return PLMarkerModel.from_models(entity, relation, minilm_tokenizer)


def test_four_threads_and_a_model_in_training_give_what_one_thread_gives(make_tiny_model, minilm_tokenizer):
    model = combined_model(make_tiny_model, minilm_tokenizer)
    texts = ["Ada works for Acme.", "Bob met Eve and paid Dan.", "Yes.", "Initech owns Acme, and Ada owns Initech."]
    expected = [extraction.to_dict() for extraction in model.eval().extract(texts)]
    assert any(found["relations"] for found in expected)
    model.train()
    modes = [module.training for module in model.modules()]
    with ThreadPoolExecutor(4) as pool:
        found = [result.to_dict() for result in pool.map(model.extract, texts * 5)]
    assert [module.training for module in model.modules()] == modes
    for one, other in zip(found, expected * 5, strict=True):
        assert [(e["start"], e["end"], e["label"]) for e in one["entities"]] == [
            (e["start"], e["end"], e["label"]) for e in other["entities"]
        ]
        scores = [relation["score"] for relation in other["relations"]]
        assert [relation["score"] for relation in one["relations"]] == pytest.approx(scores, abs=1e-4)


def test_a_view_for_evaluation_shares_the_weights(make_tiny_model):
    model = make_tiny_model(PLMarkerForEntityRecognition)
    assert evaluation_view(model) is model
    view = evaluation_view(model.train())
    assert not any(module.training for module in view.modules())
    assert all(module.training for module in model.modules())
    for one, other in zip(model.parameters(), view.parameters(), strict=True):
        assert one is other


def test_a_model_can_be_sent_to_another_process(make_tiny_model, minilm_tokenizer):
    model = combined_model(make_tiny_model, minilm_tokenizer)
    again = pickle.loads(pickle.dumps(model))
    text = "Initech owns Acme, and Ada owns Initech."
    assert again.extract(text).to_dict() == model.extract(text).to_dict()


@pytest.mark.parametrize(
    ("document", "part"),
    [
        ("Ada sings.", "str"),
        ({"doc_key": "a"}, "doc_key"),
        ({"sentences": "Ada sings."}, "str"),
        ({"sentences": ["Ada sings."]}, "sentence 0"),
        ({"sentences": [["Ada"], ["sings", 5]]}, "sentence 1"),
        ({"doc_key": "x7", "sentences": [["Ada"], [None]]}, "x7"),
    ],
)
def test_predict_refuses_bad_documents_at_the_call(make_tiny_model, minilm_tokenizer, document, part):
    model = combined_model(make_tiny_model, minilm_tokenizer)
    for found in (model, model.entity, model.relation):
        with pytest.raises(PLMarkerError, match=part):
            found.predict([document])
    # A stream is checked as it comes.
    stream = model.predict(iter([{"sentences": [["Ada"]]}, document]))
    with pytest.raises(PLMarkerError, match="document 1"):
        list(stream)


def test_predict_reads_no_annotations(make_tiny_model, minilm_tokenizer):
    model = combined_model(make_tiny_model, minilm_tokenizer)
    bare = {"doc_key": "a", "sentences": DOCUMENT["sentences"]}
    nonsense = {**bare, "ner": [[{"start": 0, "end": 999, "label": "GPE"}]], "relations": "none"}
    ((_, *expected),) = model.predict([bare])
    ((_, *found),) = model.predict([nonsense])
    assert found == expected
    assert any(expected[0])


def test_a_relation_model_predicts_between_given_entities(make_tiny_model, minilm_tokenizer):
    relation = make_tiny_model(PLMarkerForRelationExtraction, seed=3, max_seq_length=48)
    ((document, sentences),) = relation.predict([DOCUMENT])
    assert document is DOCUMENT
    assert any(sentences)
    with pytest.raises(PLMarkerError, match="OWNZ"):
        relation.predict([DOCUMENT], relation_threshold={"OWNZ": 0.5})


def test_the_entity_types_that_are_saved_with_a_model_are_used(make_tiny_model, minilm_tokenizer):
    relation = make_tiny_model(PLMarkerForRelationExtraction, seed=3, max_seq_length=48, entity_types="input")
    given = {(e["start"], e["end"]): e["label"] for rows in DOCUMENT["ner"] for e in rows}
    classes = relation.config.schema.entity_classes
    ((_, sentences),) = relation.predict([DOCUMENT])
    found = [r for sentence in sentences for r in sentence]
    assert found
    assert all(classes[r.head_label] == given[r.head] and classes[r.tail_label] == given[r.tail] for r in found)
