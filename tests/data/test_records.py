"""The inputs of predict: files, Parquet, datasets, and where an interrupted call goes on."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pyarrow
import pytest
from datasets import Dataset
from pyarrow import parquet

from plmarker import PLMarkerError
from plmarker.data.inputs import document_of, with_checked_language
from plmarker.data.outputs import write_resumable
from plmarker.data.records import Inputs, Record, groups_of

ROWS = [
    {"doc_key": "a", "text": "Ada sings.", "year": 1990},
    {"doc_key": None, "text": "Bob left 🙂.", "year": None},
    {"doc_key": "c", "text": "", "year": 3},
]


def put_parquet(path: Path) -> Path:
    parquet.write_table(pyarrow.Table.from_pylist(ROWS), path)
    return path


def test_all_ways_to_store_texts_give_the_same_documents(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS), encoding="utf-8")
    put_parquet(tmp_path / "rows.parquet")
    (tmp_path / "rows.jsonlines").write_bytes((tmp_path / "rows.jsonl").read_bytes())
    (tmp_path / "rows").mkdir()
    put_parquet(tmp_path / "rows" / "train-00000-of-00001.parquet")
    read = [[document_of(record) for record in Inputs(str(tmp_path / name)).records()]
            for name in ("rows.jsonl", "rows.jsonlines", "rows.parquet", "rows")]  # fmt: skip
    assert [document["doc_key"] for document in read[0]] == ["a", "rows-2", "c"]
    assert read[0] == read[1] == read[2] == read[3]
    for name in ("rows.jsonl", "rows.parquet", "rows"):
        inputs = Inputs(str(tmp_path / name))
        assert list(inputs.records(1)) == list(inputs.records())[1:]


def test_documents_of_words_and_given_entities_come_from_columns(tmp_path: Path, schema: object) -> None:
    rows = {
        "doc_key": ["d"],
        "sentences": [[["Ada", "sings"]]],
        "predicted_ner": [[[{"start": 0, "end": 0, "label": "PER"}]]],
    }
    Dataset.from_dict(rows).to_parquet(tmp_path / "d.parquet")
    (record,) = Inputs(str(tmp_path / "d.parquet")).records()
    document = document_of(record, schema=schema)  # type: ignore[arg-type]
    assert document["text"] == "Ada sings"
    assert document["predicted_ner"] == [[{"start": 0, "end": 0, "label": "PER"}]]


@pytest.mark.parametrize(
    ("name", "split", "message"),
    [
        ("no.parquet", None, "no such file"),
        ("bad.parquet", None, "no Parquet file"),
        ("other.parquet", None, "expected a column 'text' or 'sentences', found a"),
        ("rows", "test", "there is no split 'test', expected one of train"),
        ("bad.parquet", "test", "a file has no splits"),
    ],
)
def test_bad_inputs_are_one_sentence(tmp_path: Path, name: str, split: str | None, message: str) -> None:
    (tmp_path / "bad.parquet").write_text("text")
    parquet.write_table(pyarrow.table({"a": [1]}), tmp_path / "other.parquet")
    (tmp_path / "rows").mkdir()
    put_parquet(tmp_path / "rows" / "train.parquet")
    inputs = Inputs(str(tmp_path / name), split)

    def read() -> list[Record]:
        inputs.check()
        return list(inputs.records())

    with pytest.raises(PLMarkerError, match=message):
        read()


def test_a_name_with_one_slash_is_a_dataset_of_the_hub() -> None:
    assert Inputs("owner/corpus").is_dataset
    for name in ("corpus", "texts/a.txt", "/owner/corpus", "-"):
        assert not Inputs(name).is_dataset


def test_an_interrupted_group_is_read_again_as_a_whole(tmp_path: Path) -> None:
    records = [Record(f"f:{n}", f"k{n}", f"text {n}", False) for n in range(10)]
    groups: list[list[str]] = []

    def process(rest: Iterator[Record], start: int, stop: int | None = None) -> Iterator[tuple[str, str]]:
        for group in groups_of(rest, 4):
            members = list(group)
            groups.append([record.key for record in members])
            for record in members:
                if record.key == f"k{stop}":
                    raise KeyboardInterrupt
                result = {"doc_key": record.key, "text": record.line, "entities": [], "relations": []}
                yield record.checksum, json.dumps({**result, "start": start})

    out = tmp_path / "out.jsonl"
    with pytest.raises(KeyboardInterrupt):
        write_resumable(out, records, lambda rest, start: process(rest, start, 6), {}, 4)
    groups.clear()
    assert write_resumable(out, records, process, {}, 4) == 10
    assert groups == [["k4", "k5", "k6", "k7"], ["k8", "k9"]]
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    assert [(line["doc_key"], line["start"]) for line in lines] == [
        (f"k{n}", 0 if n < 6 else 4) for n in range(10)
    ]  # fmt: skip
    # Another order is another input.
    with pytest.raises(KeyboardInterrupt):
        write_resumable(tmp_path / "b.jsonl", records, lambda rest, start: process(rest, start, 6), {}, 4)
    with pytest.raises(PLMarkerError, match="partial:1: begun with another input"):
        write_resumable(tmp_path / "b.jsonl", records[::-1], process, {}, 4)


def test_a_call_that_failed_before_its_first_line_refuses_no_other_options(tmp_path: Path) -> None:
    records = [Record("f:1", "k", "text", False)]
    out = tmp_path / "out.jsonl"

    def failing(rest: Iterator[Record], start: int) -> Iterator[tuple[str, str]]:
        raise PLMarkerError("a wrong option")

    with pytest.raises(PLMarkerError, match="a wrong option"):
        write_resumable(out, records, failing, {"language": "x"})
    assert (
        write_resumable(out, records, lambda rest, start: ((r.checksum, "{}") for r in rest), {"language": "en"}) == 1
    )
    (tmp_path / "folder").mkdir()
    with pytest.raises(PLMarkerError, match="folder: this is a folder"):
        write_resumable(tmp_path / "folder", records, failing, {})


def test_parquet_has_the_same_content_as_lines(tmp_path: Path) -> None:
    entity = {"text": "Ada", "label": "PER", "start": 0, "end": 3, "score": 0.5, "sentence": 0}
    results = [
        {"doc_key": "a", "text": "Ada", "entities": [entity], "relations": []},
        {"doc_key": "b", "text": "", "entities": [], "relations": []},
    ]
    records = [Record(f"f:{n}", f"k{n}", "", False) for n in range(2)]

    def process(rest: Iterator[Record], start: int) -> Iterator[tuple[str, str]]:
        return ((record.checksum, json.dumps(result)) for record, result in zip(rest, results, strict=True))

    out = tmp_path / "out.parquet"
    write_resumable(out, records, process, {})
    assert parquet.read_table(out).to_pylist() == results
    assert [path.name for path in tmp_path.iterdir()] == ["out.parquet"]


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("a.conll", "Ada B-PER\n", "words and tags in columns; `plmarker data export"),
        ("a.ann", "T1\tPER 0 3\tAda\n", "is a corpus, .txt and .ann files"),
        ("a.xml", '<?xml version="1.0"?><collection><source>PubTator</source></collection>', "this is "),
    ],
)
def test_a_corpus_is_no_raw_text(name: str, text: str, expected: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(PLMarkerError, match=re.escape(expected)):
        Inputs(str(tmp_path / name)).check()
    (tmp_path / "notes.log").write_text("Ada sings.\n")
    Inputs(str(tmp_path / "notes.log")).check()


def test_a_language_is_refused_for_documents_whose_words_are_cut() -> None:
    words = Record("a:1", "a-1", '{"sentences": [["Ada"]]}', True)
    text = Record("a:1", "a-1", '{"text": "Ada"}', True)
    with pytest.raises(PLMarkerError, match=r"^a:1: the language 'de' has no effect, it is for raw 'text'"):
        with_checked_language(iter([words]), "de")
    # Standard input can be read once: no record is lost.
    line, broken = Record("a:1", "a-1", "Ada", False), Record("a:1", "a-1", "{", True)
    cases = [("en", [words]), ("de", [text, words]), ("de", [line]), ("de", [broken]), ("de", [])]
    for language, records in cases:
        assert list(with_checked_language(iter(records), language)) == records


def test_documents_are_known_by_their_first_line(tmp_path: Path) -> None:
    lines = {"a.txt": '{"text": "Ada"}\n', "b.log": '{"sentences": [["Ada"]]}\n', "c.txt": '{"word": "Ada"}\n'}
    for name, line in lines.items():
        (tmp_path / name).write_text(line)
    assert [next(Inputs(str(tmp_path / name)).records()).is_json for name in lines] == [True, True, False]
