"""Two workers of Ray give the lines of one process. By hand: a Ray cluster is no part of the [test] extra."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from plmarker import PLMarkerError, PLMarkerForEntityRecognition, PLMarkerForRelationExtraction, PLMarkerModel
from plmarker.data.outputs import Answer
from plmarker.data.records import Inputs, groups_of
from plmarker.serving.record_reader import ExtractionOptions, RecordReader

ray = pytest.importorskip("ray")
OPTIONS = ExtractionOptions(batch_tokens=768, batch_documents=2)


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


@pytest.fixture
def model(make_tiny_model: Any, minilm_tokenizer: Any) -> PLMarkerModel:
    torch.set_num_threads(1)
    entity = make_tiny_model(PLMarkerForEntityRecognition, max_seq_length=64)
    relation = make_tiny_model(PLMarkerForRelationExtraction, seed=3, max_seq_length=64)
    return PLMarkerModel.from_models(entity, relation, minilm_tokenizer)


def answers_of(answers: Iterable[Answer]) -> tuple[list[Answer], str]:
    """The answers before an error, and where the error is."""
    found: list[Answer] = []
    try:
        found.extend(answers)
    except PLMarkerError as error:
        return found, str(error).partition(": broken")[0]
    return found, ""


def test_what_a_worker_gets_and_returns_needs_no_cluster(model: PLMarkerModel, tmp_path: Path) -> None:
    from plmarker.serving.ray_engine import _tables, _Worker

    path = tmp_path / "in.txt"
    path.write_text("".join(f"Ann {n} met Bob of Acme.\n" for n in range(5)))
    worker = _Worker.__new__(_Worker)
    worker.read = RecordReader(model, OPTIONS)
    found = []
    for number, table in enumerate(_tables(Inputs(str(path)), 2, 2)):
        (row,) = worker(table).to_pylist()
        assert (row["number"], row["error"]) == (number, None)
        found += zip(row["checksums"], row["lines"], strict=True)
    records = Inputs(str(path)).records(2)
    assert found == [answer for group in groups_of(records, 2) for answer in worker.read(group)]
    assert len(found) == 3


@pytest.mark.usefixtures("cluster")
def test_two_workers_give_the_lines_of_one_process_and_a_bad_line_its_place(
    model: PLMarkerModel, tmp_path: Path
) -> None:
    from plmarker.serving.ray_engine import read_on_ray

    path = tmp_path / "in.jsonl"
    lines = [json.dumps({"doc_key": f"d{n}", "text": f"Ann {n} met Bob of Acme."}) for n in range(7)]
    path.write_text("\n".join([*lines, "{"]), encoding="utf-8")
    inputs, read = Inputs(str(path)), RecordReader(model, OPTIONS)
    expected, problem = answers_of(answer for group in groups_of(inputs.records(), 2) for answer in read(group))
    found = answers_of(read_on_ray(model, inputs, 0, OPTIONS, workers=2))
    assert problem == found[1] == f"{path}:8"
    assert found[0][:6] == expected[:6] != []
    path.write_text("\n".join(lines), encoding="utf-8")
    assert list(read_on_ray(model, inputs, 2, OPTIONS, workers=1))[:4] == expected[2:6]
    with pytest.raises(PLMarkerError, match="2 CPUs, too few for 3 workers"):
        next(read_on_ray(model, inputs, 0, OPTIONS, workers=3))
