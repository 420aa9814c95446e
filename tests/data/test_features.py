"""Documents to features through `Dataset.map`, and what features cannot reach."""

import os
import pickle
import subprocess
import sys
from typing import Any

import pytest
from datasets import Dataset
from datasets.fingerprint import Hasher

from plmarker.data import EntityFeatures, LabelSchema, PLMarkerError, RelationFeatures, dataset_of, load_documents
from plmarker.data.coverage import entity_coverage, relation_coverage
from plmarker.data.documents import typed_document
from plmarker.data.features import ENTITY_FEATURE_TYPES, RELATION_FEATURE_TYPES
from plmarker.modeling.configuration_plmarker import PLMarkerEntityConfig, PLMarkerRelationConfig
from plmarker.modeling.encoders_plmarker import load_tokenizer
from plmarker.modeling.processing_plmarker import entity_features, features_of, relation_features
from plmarker.modeling.windows_plmarker import WordTokenizer

BOTH = pytest.mark.parametrize(
    ("make", "types", "function"),
    [
        (EntityFeatures, ENTITY_FEATURE_TYPES, entity_features),
        (RelationFeatures, RELATION_FEATURE_TYPES, relation_features),
    ],
)


@pytest.fixture(scope="module")
def sample_schema() -> LabelSchema:
    return LabelSchema.from_documents(
        (document for split in load_documents("sample").values() for document in split), ["SPOUSE_OF"]
    )


@pytest.fixture(scope="module")
def documents() -> Dataset:
    return load_documents("sample")["test"]


def mapped(documents: Dataset, function: Any) -> Dataset:
    return documents.map(function, batched=True, batch_size=3, remove_columns=documents.column_names)


@BOTH
def test_map_gives_the_features_of_all_documents_in_order(
    documents, minilm_tokenizer, sample_schema, make, types, function
):
    features = mapped(documents, make(minilm_tokenizer, sample_schema, max_pair_length=3))
    tokenize = WordTokenizer(minilm_tokenizer)
    expected = [
        feature for document in documents for feature in function(document, tokenize, sample_schema, max_pair_length=3)
    ]
    assert len(features) > len(documents)
    assert set(features.column_names) == set(types)
    for feature, want in zip(features, expected, strict=True):
        assert feature == want


@BOTH
def test_mapped_features_have_their_declared_types(documents, minilm_tokenizer, sample_schema, make, types, function):
    features = documents.map(
        make(minilm_tokenizer, sample_schema), batched=True, remove_columns=documents.column_names, features=types
    )
    assert features.features == types


def test_a_document_without_instances_gives_no_feature(minilm_tokenizer, sample_schema):
    documents = dataset_of([typed_document({"doc_key": "a", "sentences": [["Yes"]], "ner": [[]]})])
    assert len(mapped(documents, RelationFeatures(minilm_tokenizer, sample_schema))) == 0
    assert len(mapped(documents, EntityFeatures(minilm_tokenizer, sample_schema))) == 1


@BOTH
def test_a_label_outside_the_schema_is_an_error(documents, minilm_tokenizer, make, types, function):
    with pytest.raises(PLMarkerError, match="unknown entity label"):
        mapped(documents, make(minilm_tokenizer, LabelSchema(("Martian",))))


@BOTH
def test_equal_instances_have_one_fingerprint_even_after_use(
    documents, minilm_tokenizer, sample_schema, make, types, function
):
    """Otherwise `datasets` would compute again what it has cached."""
    used, fresh = (make(minilm_tokenizer, sample_schema, max_seq_length=128) for _ in range(2))
    before = Hasher.hash(used)
    used(documents[:4])
    assert Hasher.hash(used) == Hasher.hash(fresh) == before
    assert Hasher.hash(make(minilm_tokenizer, sample_schema, max_seq_length=64)) != before


FINGERPRINT = """
from datasets.fingerprint import Hasher
from plmarker import EntityFeatures, LabelSchema, load_tokenizer
tokenizer = load_tokenizer("minilm")
# Padding and truncation are a state of fast tokenizers.
tokenizer(["a b", "c"], padding=True, truncation=True, max_length=4)
print(Hasher.hash(EntityFeatures(tokenizer, LabelSchema(("PER",)), max_seq_length=64)))
"""


def test_other_runs_find_the_features_in_the_cache():
    """The fingerprint is the same in another process."""
    environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
    other = subprocess.run([sys.executable, "-c", FINGERPRINT], check=True, capture_output=True, env=environment)
    features = EntityFeatures(load_tokenizer("minilm"), LabelSchema(("PER",)), max_seq_length=64)
    assert other.stdout.decode().strip() == Hasher.hash(features)


def test_several_processes_give_what_one_gives(documents, minilm_tokenizer, sample_schema):
    features = EntityFeatures(minilm_tokenizer, sample_schema, max_seq_length=64)
    columns = documents.column_names
    one, two = (
        documents.map(features, batched=True, remove_columns=columns, num_proc=n, load_from_cache_file=False)
        for n in (1, 2)
    )
    assert one.to_list() == two.to_list()


@BOTH
def test_instances_travel_to_other_processes(documents, minilm_tokenizer, sample_schema, make, types, function):
    features = make(minilm_tokenizer, sample_schema)
    columns = features(documents[:2])
    assert pickle.loads(pickle.dumps(features))(documents[:2]) == columns


def test_the_empty_subject_is_asked_for(documents, minilm_tokenizer, sample_schema):
    plain, training = (
        mapped(documents, RelationFeatures(minilm_tokenizer, sample_schema, empty_subject=choice))
        for choice in (False, True)
    )
    assert -1 not in plain["subject_start"]
    assert -1 in training["subject_start"]


def covered(**changes: Any) -> dict[str, Any]:
    return typed_document(
        {
            "doc_key": "a",
            "sentences": [["Ada", "of", "the", "old", "town", "owns", "Acme", "."], ["Yes", "."]],
            "ner": [[[0, 4, "PER"], [0, 0, "PER"], [6, 6, "ORG"]], []],
            "relations": [[[0, 0, 6, 6, "OWNS"], [0, 4, 6, 6, "OWNS"]], []],
            **changes,
        }
    )


@pytest.mark.parametrize(
    ("max_seq_length", "max_span_length", "counts"),
    [(64, 8, (3, 0, 0)), (64, 4, (3, 1, 0)), (6, 8, (3, 0, 1)), (6, 4, (3, 1, 0))],
)
def test_entities_out_of_reach_are_counted_by_reason(minilm_tokenizer, schema, max_seq_length, max_span_length, counts):
    features = entity_features(covered(), WordTokenizer(minilm_tokenizer), schema, max_seq_length, max_span_length, 2)
    coverage = entity_coverage(features, PLMarkerEntityConfig(max_span_length=max_span_length))
    assert (coverage.entities, coverage.too_wide, coverage.entities_outside) == counts
    lost = sum(counts[1:])
    assert (f"{lost} of 3 entities" in str(coverage)) == bool(lost)


@pytest.mark.parametrize(
    ("max_seq_length", "predicted", "counts"),
    [
        (64, None, (2, 0, 0)),
        (64, [[[0, 0, "PER"], [6, 6, "PER"]], []], (2, 1, 0)),
        (64, [[[0, 0, "PER"]], []], (2, 2, 0)),
        (64, [[], []], (2, 2, 0)),
        # Six subwords: the ends of both relations lie seven apart.
        (10, None, (2, 0, 2)),
    ],
)
def test_relations_out_of_reach_are_counted_by_reason(minilm_tokenizer, schema, max_seq_length, predicted, counts):
    document = covered(predicted_ner=predicted)
    features = relation_features(document, WordTokenizer(minilm_tokenizer), schema, max_seq_length, 2)
    coverage = relation_coverage(features, PLMarkerRelationConfig())
    assert (coverage.relations, coverage.without_entity, coverage.relations_outside) == counts
    lost = sum(counts[1:])
    assert (f"{lost} of 2 relations" in str(coverage)) == bool(lost)


def test_full_coverage_says_so(minilm_tokenizer, schema):
    features = entity_features(covered(), WordTokenizer(minilm_tokenizer), schema)
    assert str(entity_coverage(features, PLMarkerEntityConfig())) == "every annotation can be found"


@pytest.mark.parametrize(("split", "too_wide"), [("train", 41), ("dev", 5), ("test", 11)])
def test_scierc_entities_wider_than_eight_words_are_as_many_as_known(
    shared, minilm_tokenizer, scierc_schema, split, too_wide
):
    documents = load_documents(shared / "data" / "scierc" / f"{split}.json")["train"]
    wide = [document for document in documents if any(e["end"] - e["start"] >= 8 for s in document["ner"] for e in s)]
    tokenize = WordTokenizer(minilm_tokenizer)
    features = (feature for document in wide for feature in entity_features(document, tokenize, scierc_schema))
    coverage = entity_coverage(features, PLMarkerEntityConfig())
    assert (coverage.too_wide, coverage.entities_outside) == (too_wide, 0)


def test_a_model_of_single_directions_can_find_both_relations_of_a_pair(minilm_tokenizer, schema):
    rows = [[0, 0, 6, 6, "OWNS"], [6, 6, 0, 0, "WORKS_FOR"], [0, 0, 0, 0, "OWNS"]]
    document = covered(relations=[rows, []])
    for values, lost in (({}, 2), ({"bidirectional": False}, 1), ({"subject_markers": "levitated"}, 1)):
        config = PLMarkerRelationConfig(**schema.to_dict(), **values)
        features = features_of(config, document, WordTokenizer(minilm_tokenizer))
        assert relation_coverage(features, config).second_relation_label == lost
