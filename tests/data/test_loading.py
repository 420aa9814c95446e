"""Loading documents by name, and the sample corpus."""

import json
from collections import Counter

import pytest
from datasets import DatasetDict, load_dataset

from plmarker.data import DOCUMENT_FEATURES, LabelSchema, PLMarkerError, check_file, load_documents
from plmarker.data.builders import FilesBuilder
from plmarker.data.loading import SAMPLE_FOLDER, SAMPLE_SYMMETRIC, load_split


def line(key: str) -> str:
    return json.dumps({"doc_key": key, "sentences": [["Ada"]], "ner": [[[0, 0, "PER"]]]}) + "\n"


def keys(datasets: DatasetDict) -> dict[str, list[str]]:
    return {split: list(dataset["doc_key"]) for split, dataset in datasets.items()}


@pytest.mark.parametrize(
    ("files", "splits"),
    [
        (["train.json", "dev.json", "test.json"], {"train", "validation", "test"}),
        (["train.jsonl", "validation.jsonl"], {"train", "validation"}),
        (["test.jsonl"], {"test"}),
        (["train.jsonl", "valid.jsonl", "notes.txt"], {"train", "validation"}),
    ],
)
def test_a_folder_of_jsonl_files_is_a_dataset(tmp_path, files, splits):
    for name in files:
        (tmp_path / name).write_text(line(name))
    datasets = load_documents(tmp_path)
    assert datasets.keys() == splits
    assert all(dataset.features == DOCUMENT_FEATURES for dataset in datasets.values())
    assert sorted(key for rows in keys(datasets).values() for key in rows) == sorted(set(files) - {"notes.txt"})
    assert keys(load_documents(str(tmp_path))) == keys(datasets)


def test_a_single_file_is_returned_for_every_split(tmp_path):
    path = tmp_path / "corpus.jsonl"
    path.write_text(line("a"))
    datasets = load_documents(path)
    assert keys(datasets) == {"train": ["a"]}
    assert load_split(path, "test")["doc_key"][:] == ["a"]


def test_dev_means_validation_and_a_missing_split_is_an_error_with_the_existing_ones(tmp_path):
    (tmp_path / "dev.json").write_text(line("a"))
    for split in ("dev", "validation"):
        assert load_split(tmp_path, split)["doc_key"][:] == ["a"]
    with pytest.raises(PLMarkerError, match="'test', only 'validation'"):
        load_split(tmp_path, "test")


def test_a_problem_in_another_split_is_ignored(tmp_path):
    (tmp_path / "test.jsonl").write_text(line("a"))
    (tmp_path / "train.jsonl").write_text("{")
    assert load_split(tmp_path, "test")["doc_key"][:] == ["a"]
    with pytest.raises(PLMarkerError, match=r"train\.jsonl:1"):
        load_split(tmp_path, "train")


@pytest.mark.parametrize("name", ["nowhere.jsonl", "nowhere", "a/b/c", "folder/nowhere.json"])
def test_a_missing_file_or_folder_is_an_error(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(PLMarkerError, match=f"{name}: no such file or folder"):
        load_documents(name)
    with pytest.raises(PLMarkerError, match="no such file or folder"):
        load_documents(tmp_path / name)


def test_a_folder_without_files_of_a_split_is_an_error(tmp_path):
    (tmp_path / "corpus.jsonl").write_text(line("a"))
    with pytest.raises(PLMarkerError, match=rf"{tmp_path.name}: .*train\.jsonl, validation\.jsonl, test\.jsonl"):
        load_documents(tmp_path)


def test_a_problem_in_a_file_of_a_folder_names_file_and_line(tmp_path):
    (tmp_path / "train.jsonl").write_text(line("a"))
    (tmp_path / "dev.json").write_text(line("b") + "{")
    with pytest.raises(PLMarkerError, match=r"dev\.json:2: "):
        load_documents(tmp_path)
    with pytest.raises(PLMarkerError, match=r"train\.jsonl:1: .*'PER'"):
        load_documents(tmp_path / "train.jsonl", LabelSchema(("ORG",)))


def test_documents_without_gold_entities_load_only_if_allowed(tmp_path):
    path = tmp_path / "corpus.jsonl"
    path.write_text(json.dumps({"doc_key": "a", "sentences": [["Ada"]]}))
    assert load_documents(path, annotated=False)["train"][0]["ner"] is None
    with pytest.raises(PLMarkerError, match=r"corpus\.jsonl: zero gold entities"):
        load_documents(path)


def test_a_dataset_is_unchanged_after_writing_parquet(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    documents = load_documents("sample")["test"]
    documents.to_parquet(str(tmp_path / "test.parquet"))
    assert type(documents).from_parquet(str(tmp_path / "test.parquet"), cache_dir=str(tmp_path))[:] == documents[:]


def test_one_split_of_a_dataset_is_read_without_the_others(tmp_path, monkeypatch):
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    documents = load_documents("sample")
    for name in ("train", "test"):
        documents[name].to_parquet(str(tmp_path / "data" / f"{name}.parquet"))
    asked = []

    def load(*args, **kwargs):
        asked.append(kwargs.get("split"))
        return load_dataset(*args, **kwargs)

    monkeypatch.setattr("plmarker.data.loading.load_dataset", load)
    assert load_split(tmp_path / "data", "test")[:] == documents["test"][:]
    with pytest.raises(PLMarkerError, match="no split 'validation', only"):
        load_split(tmp_path / "data", "validation")
    assert asked == ["test", None]


@pytest.fixture(scope="module")
def sample() -> DatasetDict:
    return load_documents("sample")


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_the_sample_corpus_has_no_problems(split):
    documents, problems = check_file(SAMPLE_FOLDER / f"{split}.jsonl")
    assert documents
    assert problems == []


def test_the_sample_corpus_has_every_kind_of_annotation(sample):
    documents = [document for dataset in sample.values() for document in dataset]
    assert sample.keys() == {"train", "validation", "test"}
    assert len(documents) >= 60
    sentences = [rows for document in documents for rows in document["ner"]]
    relations = [row for document in documents for rows in document["relations"] for row in rows]
    assert len({row["label"] for rows in sentences for row in rows}) >= 4
    assert len({row["label"] for row in relations}) >= 4
    assert any(not rows for rows in sentences)
    spans = [(a, b) for rows in sentences for a in rows for b in rows if a != b]
    assert any(a["start"] <= b["start"] and b["end"] <= a["end"] for a, b in spans)
    assert set(SAMPLE_SYMMETRIC) <= {row["label"] for row in relations}


def test_the_sample_corpus_has_every_label_in_every_split(sample):
    for name in ("ner", "relations"):
        labels = {
            split: {row["label"] for document in dataset for rows in document[name] for row in rows}
            for split, dataset in sample.items()
        }
        assert labels["train"] == labels["validation"] == labels["test"]


def test_relations_of_the_sample_corpus_connect_its_entities(sample):
    for dataset in sample.values():
        for document in dataset:
            for rows, relations in zip(document["ner"], document["relations"], strict=True):
                spans = {(row["start"], row["end"]) for row in rows}
                for row in relations:
                    ends = {(row["head_start"], row["head_end"]), (row["tail_start"], row["tail_end"])}
                    assert ends <= spans
                    assert len(ends) == 2


def test_no_sentence_of_the_sample_corpus_is_in_two_splits(sample):
    splits_of_text: dict[tuple[str, ...], set[str]] = {}
    for split, dataset in sample.items():
        for document in dataset:
            for sentence in document["sentences"]:
                splits_of_text.setdefault(tuple(sentence), set()).add(split)
    assert [text for text, splits in splits_of_text.items() if len(splits) > 1] == []
    counts = Counter(key for dataset in sample.values() for key in dataset["doc_key"])
    assert max(counts.values()) == 1


def test_folders_of_brat_files_and_files_of_another_format_are_splits(tmp_path):
    (tmp_path / "train").mkdir()
    for name in ("a", "b"):
        (tmp_path / "train" / f"{name}.txt").write_text("Ada left.")
        (tmp_path / "train" / f"{name}.ann").write_text("T1\tPER 0 3\tAda\n")
    (tmp_path / "test.jsonl").write_text(line("c"))
    assert keys(load_documents(tmp_path)) == {"train": ["a", "b"], "test": ["c"]}
    # A dataset that is built has one format.
    with pytest.raises(PLMarkerError, match=r"train is read as brat, and .*test.jsonl as jsonl, expected one format"):
        FilesBuilder(data_dir=tmp_path)


def test_occurrences_are_refused_where_they_have_no_effect(tmp_path):
    (tmp_path / "train.jsonl").write_text(line("a"))
    for name, message in ((tmp_path, "on the format jsonl; it is for the formats mentions"), ("a/b", "on a dataset")):
        with pytest.raises(PLMarkerError, match=f"the option occurrences has no effect {message}"):
            load_documents(name, occurrences="first")
    with pytest.raises(PLMarkerError, match="the option occurrences has no effect on the format jsonl"):
        load_documents("sample", occurrences="first")


def test_the_sample_is_loaded_without_a_warning(caplog):
    assert set(load_documents("sample")) == {"train", "validation", "test"}
    assert caplog.records == []
