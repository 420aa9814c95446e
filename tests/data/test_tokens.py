"""Tests of the conversion of token-classification datasets."""

from typing import Any

import pytest
from datasets import ClassLabel, Dataset, Features, List, Value

from plmarker.data import DOCUMENT_FEATURES, PLMarkerError, load_documents
from plmarker.data.tokens import documents_of_tokens

NAMES = ["O", "B-PER", "I-PER", "B-LOC"]
ROWS = [
    {"tokens": ["Ada", "Bell", "left"], "ner_tags": [1, 2, 0], "document_id": "a"},
    {"tokens": ["In", "Oslo"], "ner_tags": [0, 3], "document_id": "a"},
    {"tokens": [], "ner_tags": [], "document_id": "b"},
    {"tokens": ["Bob"], "ner_tags": [1], "document_id": "b"},
]
ENTITIES = [[["PER", 0, 1], ["LOC", 4, 4]], [["PER", 0, 0]]]


def dataset(tags: Any = None, rows: list[dict[str, Any]] = ROWS, **names: str) -> Dataset:
    """Build a dataset of rows. `tags` is the type of a tag, `names` renames columns."""
    features = Features(
        tokens=List(Value("string")), ner_tags=List(tags or ClassLabel(names=NAMES)), document_id=Value("string")
    )
    return Dataset.from_list(rows, features=features).rename_columns(names)


def entities(documents: Dataset) -> list[list[list[Any]]]:
    return [
        [[row["label"], row["start"], row["end"]] for rows in document["ner"] for row in rows] for document in documents
    ]


def test_class_labels_are_read_and_rows_of_a_document_are_joined():
    documents = documents_of_tokens(dataset())
    assert documents.features == DOCUMENT_FEATURES
    assert documents["doc_key"][:] == ["a", "b"]
    assert documents[0]["sentences"] == [["Ada", "Bell", "left"], ["In", "Oslo"]]
    assert documents[0]["relations"] is None
    assert entities(documents) == ENTITIES


def test_strings_are_read():
    rows = [{**row, "ner_tags": [NAMES[tag] for tag in row["ner_tags"]]} for row in ROWS]
    assert entities(documents_of_tokens(dataset(Value("string"), rows))) == ENTITIES


def test_numbers_need_names():
    numbers = dataset(Value("int64"))
    with pytest.raises(PLMarkerError, match=r"hub: .*'ner_tags'.*names"):
        documents_of_tokens(numbers, source="hub")
    assert entities(documents_of_tokens(numbers, names=NAMES)) == ENTITIES
    with pytest.raises(PLMarkerError, match=r"tag 3 .* 0 to 2"):
        documents_of_tokens(numbers, names=NAMES[:3])


def test_given_names_override_the_names_of_the_class_labels():
    documents = documents_of_tokens(dataset(), names=["O", "B-X", "I-X", "B-Y"])
    assert entities(documents)[1] == [["X", 0, 0]]


@pytest.mark.parametrize("tag", [-1, -100])
def test_a_tag_below_zero_is_not_counted_from_the_end(tag):
    rows = [{**ROWS[0], "ner_tags": [1, tag, 0]}]
    with pytest.raises(PLMarkerError, match=f"tag {tag} "):
        documents_of_tokens(dataset(Value("int64"), rows), names=NAMES)


@pytest.mark.parametrize("words", ["tokens", "words"])
@pytest.mark.parametrize("tags", ["ner_tags", "tags", "labels", "ner"])
@pytest.mark.parametrize("document", ["document_id", "doc_id", "doc_key", "document"])
def test_columns_with_usual_names_are_found(words, tags, document):
    documents = documents_of_tokens(dataset(tokens=words, ner_tags=tags, document_id=document))
    assert entities(documents) == ENTITIES


def test_columns_with_other_names_must_be_given():
    unusual = dataset(tokens="text", ner_tags="fine", document_id="book")
    assert entities(documents_of_tokens(unusual, "text", "fine", "book")) == ENTITIES
    for given, parts in (
        ({}, ["words"]),
        ({"words": "text"}, ["tags"]),
        ({"words": "text", "tags": "ner"}, ["'ner'", "tags"]),
        ({"words": "text", "tags": "fine", "document": "doc"}, ["'doc'", "documents"]),
    ):
        with pytest.raises(PLMarkerError, match="dataset: ") as error:
            documents_of_tokens(unusual, **given)
        assert all(part in str(error.value) for part in [*parts, "text, fine, book"])


def test_a_given_column_overrides_the_usual_one():
    coarse = dataset().add_column("coarse", [["X", "X", "O"], ["O", "Y"], [], ["O"]])
    documents = documents_of_tokens(coarse, tags="coarse")
    assert entities(documents) == [[["X", 0, 1], ["Y", 4, 4]], []]


def test_without_a_document_column_every_row_is_a_document():
    documents = documents_of_tokens(dataset().remove_columns("document_id"), source="hub")
    assert documents["doc_key"][:] == ["hub-1", "hub-2", "hub-3", "hub-4"]
    assert entities(documents) == [[["PER", 0, 1]], [["LOC", 1, 1]], [], [["PER", 0, 0]]]


def test_the_scheme_is_guessed_or_given():
    rows = [{"tokens": ["Ada", "Bob"], "ner_tags": ["I-PER", "B-PER"], "document_id": "a"}]
    strings = dataset(Value("string"), rows)
    assert entities(documents_of_tokens(strings)) == [[["PER", 0, 0], ["PER", 1, 1]]]
    assert entities(documents_of_tokens(strings, scheme="none")) == [[["I-PER", 0, 0], ["B-PER", 1, 1]]]
    with pytest.raises(PLMarkerError, match=r"scheme .*'bio'"):
        documents_of_tokens(strings, scheme="bio")


def test_every_problem_is_reported_with_its_row():
    rows = [
        {"tokens": ["Ada"], "ner_tags": ["B-PER"], "document_id": "a"},
        {"tokens": ["Ada", "Bell"], "ner_tags": ["B-PER"], "document_id": "b"},
        {"tokens": ["He", "left"], "ner_tags": ["B-PER", "PER"], "document_id": "c"},
        {"tokens": ["in"], "ner_tags": ["O"], "document_id": "a"},
        {"tokens": ["Oslo"], "ner_tags": ["O"], "document_id": "a"},
        {"tokens": None, "ner_tags": ["O"], "document_id": "d"},
        {"tokens": ["Bob"], "ner_tags": None, "document_id": "d"},
        # This problem is only a warning, so the error does not list it.
        {"tokens": ["Eve"], "ner_tags": ["I-PER"], "document_id": "d"},
    ]
    with pytest.raises(PLMarkerError) as error:
        documents_of_tokens(dataset(Value("string"), rows), scheme="iob2", source="hub")
    expected = [
        ("hub:2: ", ["2 words", "1 tags"]),
        ("hub:3: ", ["word 1", "'PER'", "iob2"]),
        ("hub:4: ", ["document 'a'"]),
        ("hub:6: ", ["0 words", "1 tags"]),
        ("hub:7: ", ["1 words", "0 tags"]),
    ]
    for line, (place, parts) in zip(str(error.value).split("\n"), expected, strict=True):
        assert line.startswith(place)
        assert all(part in line for part in parts)


def test_a_folder_of_parquet_is_loaded_by_name(tmp_path, monkeypatch):
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    folder = tmp_path / "tagged"
    folder.mkdir()
    dataset().to_parquet(folder / "train.parquet")
    documents = load_documents(folder)["train"]
    assert documents.features == DOCUMENT_FEATURES
    assert entities(documents) == ENTITIES
    bare = tmp_path / "bare"
    bare.mkdir()
    dataset(Value("int64")).to_parquet(bare / "test.parquet")
    with pytest.raises(PLMarkerError, match=r"bare-test: .*'ner_tags'"):
        load_documents(bare)


def test_token_datasets_are_also_found_beside_the_formats() -> None:
    from plmarker.data import formats, tokens

    assert formats.documents_of_tokens is tokens.documents_of_tokens
    assert not hasattr(formats, "documents_of_letters")


def test_lists_that_are_not_read_are_named(caplog: pytest.LogCaptureFixture) -> None:
    row = {
        "tokens": ["Ada", "sings"],
        "ner_tags": ["B-PER", "O"],
        "fine_tags": ["B-singer", "O"],
        "relations": [[0, 1]],
    }
    documents_of_tokens(Dataset.from_list([{**row, "id": "1"}]), source="hub")
    (message,) = [record.getMessage() for record in caplog.records if "hub" in record.getMessage()]
    assert message.endswith("not: fine_tags, relations")
    caplog.clear()
    documents_of_tokens(Dataset.from_list([{name: row[name] for name in ("tokens", "ner_tags")}]))
    assert caplog.records == []
