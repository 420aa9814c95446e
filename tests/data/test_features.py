"""Documents to features through `Dataset.map`, and what features cannot reach."""

import os
import pickle
import subprocess
import sys
from typing import Any

import pytest
from datasets import Dataset
from datasets.fingerprint import Hasher

from plmarker.data import (
    EntityFeatures,
    LabelSchema,
    PLMarkerError,
    RelationFeatures,
    dataset_of,
    load_documents,
)
from plmarker.data.coverage import Coverage, entity_coverage, relation_coverage
from plmarker.data.documents import typed_document
from plmarker.data.features import DocumentRows, arrow_features
from plmarker.data.grouping import training_rows
from plmarker.encoders.loading import load_tokenizer
from plmarker.modeling.configuration_plmarker import PLMarkerEntityConfig, PLMarkerRelationConfig
from plmarker.modeling.rows_plmarker import Annotations, PairRow, SpanRow
from plmarker.modeling.tasks_plmarker import task_of
from plmarker.modeling.windows_plmarker import WordTokenizer

BOTH = pytest.mark.parametrize(
    ("make", "config_class", "row_class"),
    [(EntityFeatures, PLMarkerEntityConfig, SpanRow), (RelationFeatures, PLMarkerRelationConfig, PairRow)],
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
def test_map_gives_the_rows_of_all_documents_in_order(
    documents, minilm_tokenizer, sample_schema, make, config_class, row_class
):
    rows = mapped(documents, make(minilm_tokenizer, sample_schema, max_pair_length=3))
    tokenize = WordTokenizer(minilm_tokenizer)
    task = task_of(config_class(**sample_schema.to_dict(), max_pair_length=3))
    expected = [row for document in documents for row in training_rows(task, document, tokenize)]
    assert [row_class.from_mapping(row) for row in rows] == expected
    # The annotations of a document are beside its first row.
    first = {row["doc_key"]: row for row in reversed(list(rows))}
    for document in documents:
        annotations = Annotations.of_document(document, sample_schema)
        found = first[document["doc_key"]]
        assert {name: found[name] for name in vars(annotations)} == vars(annotations)


@BOTH
def test_columns_have_the_types_that_are_derived_from_the_rows(
    documents, minilm_tokenizer, sample_schema, make, config_class, row_class
):
    function = make(minilm_tokenizer, sample_schema)
    assert function.types == arrow_features(row_class, Annotations)
    rows = documents.map(function, batched=True, remove_columns=documents.column_names, features=function.types)
    assert rows.features == function.types


def test_no_text_is_in_two_rows_of_a_short_document(documents, minilm_tokenizer, sample_schema):
    rows = mapped(documents, EntityFeatures(minilm_tokenizer, sample_schema, max_seq_length=512))
    assert len(rows) == len(documents)


def test_a_document_without_pairs_gives_no_row(minilm_tokenizer, sample_schema):
    documents = dataset_of([typed_document({"doc_key": "a", "sentences": [["Yes"]], "ner": [[]]})])
    assert len(mapped(documents, RelationFeatures(minilm_tokenizer, sample_schema))) == 0
    assert len(mapped(documents, EntityFeatures(minilm_tokenizer, sample_schema))) == 1


@BOTH
def test_a_label_outside_the_schema_is_an_error(documents, minilm_tokenizer, make, config_class, row_class):
    with pytest.raises(PLMarkerError, match="unknown entity label"):
        mapped(documents, make(minilm_tokenizer, LabelSchema(("Martian",))))


@BOTH
def test_equal_instances_have_one_fingerprint_even_after_use(
    documents, minilm_tokenizer, sample_schema, make, config_class, row_class
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
def test_instances_travel_to_other_processes(documents, minilm_tokenizer, sample_schema, make, config_class, row_class):
    features = make(minilm_tokenizer, sample_schema)
    columns = features(documents[:2])
    assert pickle.loads(pickle.dumps(features))(documents[:2]) == columns


def test_missing_subjects_are_there_in_training_alone(documents, minilm_tokenizer, sample_schema):
    evaluation, training = (
        mapped(documents, RelationFeatures(minilm_tokenizer, sample_schema, training=choice))
        for choice in (False, True)
    )
    assert not any(-1 in starts for starts in evaluation["subject_starts"])
    assert any(-1 in starts for starts in training["subject_starts"])


def test_annotations_that_no_window_reaches_are_kept_in_an_empty_row(minilm_tokenizer, schema):
    document = {"sentences": [["antidisestablishmentarianism"]], "ner": [[[0, 0, "PER"]]]}
    documents = dataset_of([typed_document({"doc_key": "a", **document})])
    for function in (
        EntityFeatures(minilm_tokenizer, schema, max_seq_length=8, max_span_length=1),
        RelationFeatures(minilm_tokenizer, schema, max_seq_length=9),
    ):
        (row,) = mapped(documents, function)
        assert (row["labels"], row["gold_entities"]) == ([], [[0, 0, 0, 1]])


def test_rows_of_a_model_s_own_task(documents, minilm_tokenizer, sample_schema):
    config = PLMarkerEntityConfig(**sample_schema.to_dict(), method="bio")
    rows = mapped(documents, DocumentRows(task_of(config), minilm_tokenizer))
    assert rows["word_starts"] == rows["word_ends"]


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


def coverage_of(config: Any, document: dict[str, Any], tokenizer: Any) -> Coverage:
    task = task_of(config)
    annotations = Annotations.of_document(document, config.schema)
    count = entity_coverage if task.row_class is SpanRow else relation_coverage
    return count(task, task.rows(document, WordTokenizer(tokenizer)), annotations)


@pytest.mark.parametrize(
    ("max_seq_length", "max_span_length", "counts"),
    [(64, 8, (3, 0, 0)), (64, 4, (3, 1, 0)), (8, 8, (3, 0, 0)), (8, 4, (3, 1, 0))],
)
def test_entities_out_of_reach_are_counted_by_reason(minilm_tokenizer, schema, max_seq_length, max_span_length, counts):
    limits = {"max_seq_length": max_seq_length, "max_span_length": max_span_length}
    coverage = coverage_of(PLMarkerEntityConfig(**schema.to_dict(), **limits), covered(), minilm_tokenizer)
    assert (coverage.entities, coverage.too_wide, coverage.entities_outside) == counts
    unreachable = sum(counts[1:])
    assert (f"{unreachable} of 3 entities" in str(coverage)) == bool(unreachable)


@pytest.mark.parametrize(("max_span_length", "counts"), [(8, (1, 0, 1)), (6, (1, 1, 0))])
def test_an_entity_that_no_window_holds_is_counted_as_outside(minilm_tokenizer, schema, max_span_length, counts):
    # Seven subwords, and a window has room for six.
    document = covered(ner=[[[0, 6, "PER"]], []], relations=None)
    config = PLMarkerEntityConfig(**schema.to_dict(), max_seq_length=8, max_span_length=max_span_length)
    coverage = coverage_of(config, document, minilm_tokenizer)
    assert (coverage.entities, coverage.too_wide, coverage.entities_outside) == counts
    assert "1 of 1 entities" in str(coverage)


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
    config = PLMarkerRelationConfig(**schema.to_dict(), max_seq_length=max_seq_length)
    coverage = coverage_of(config, covered(predicted_ner=predicted), minilm_tokenizer)
    assert (coverage.relations, coverage.without_entity, coverage.relations_outside) == counts
    unreachable = sum(counts[1:])
    assert (f"{unreachable} of 2 relations" in str(coverage)) == bool(unreachable)


def test_full_coverage_says_so(minilm_tokenizer, schema):
    coverage = coverage_of(PLMarkerEntityConfig(**schema.to_dict()), covered(), minilm_tokenizer)
    assert coverage.unreachable == 0
    assert str(coverage) == f"all {coverage.entities} entities can be found"
    assert coverage.entities > 0


@pytest.mark.parametrize(("split", "too_wide"), [("train", 41), ("dev", 5), ("test", 11)])
def test_scierc_entities_wider_than_eight_words_are_as_many_as_known(
    shared, minilm_tokenizer, scierc_schema, split, too_wide
):
    documents = load_documents(shared / "data" / "scierc" / f"{split}.json")["train"]
    wide = [document for document in documents if any(e["end"] - e["start"] >= 8 for s in document["ner"] for e in s)]
    config = PLMarkerEntityConfig(**scierc_schema.to_dict())
    coverage = sum((coverage_of(config, document, minilm_tokenizer) for document in wide), Coverage())
    assert (coverage.too_wide, coverage.entities_outside) == (too_wide, 0)


def test_a_model_of_single_directions_can_find_both_relations_of_a_pair(minilm_tokenizer, schema):
    rows = [[0, 0, 6, 6, "OWNS"], [6, 6, 0, 0, "WORKS_FOR"], [0, 0, 0, 0, "OWNS"]]
    document = covered(relations=[rows, []])
    for values, count in (({}, 2), ({"bidirectional": False}, 1), ({"subject_markers": "levitated"}, 1)):
        config = PLMarkerRelationConfig(**schema.to_dict(), **values)
        assert coverage_of(config, document, minilm_tokenizer).second_relation_label == count
