"""`plmarker predict` on Ray Data: the same job on many processes and machines.

One task streams the inputs, in groups of records. A pool of workers reads groups, each with a copy of the model. The
caller gets the answers in the order of the inputs.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Iterator
from dataclasses import astuple
from typing import Any

import pyarrow
import ray
import torch
from ray.data import ActorPoolStrategy, DataContext, Dataset, Datasource, ReadTask
from ray.data.block import BlockMetadata

from ..data.outputs import Answer
from ..data.records import Inputs, Record, groups_of
from ..modeling.schema_plmarker import PLMarkerError, one_sentence
from .model_files import model_files, model_of_files
from .record_reader import ExtractionOptions, RecordReader


def connect() -> None:
    """Connect to the cluster that `RAY_ADDRESS` names, or start one on this machine.

    A cluster on this machine sends no usage statistics, unless the environment asks for it.
    """
    if not ray.is_initialized():
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        ray.init(include_dashboard=False, log_to_driver=False, logging_level="error")
    logging.getLogger("ray.data").setLevel(logging.ERROR)


def read_on_ray(
    model: Any, inputs: Inputs, start: int, options: ExtractionOptions, workers: int | None = None
) -> Iterator[Answer]:
    """The answers of `RecordReader`, in order, from a pool of workers.

    Args:
        model: a model with its tokenizer. The workers get it from here; they need no access to its files.
        inputs: the inputs. They are read on this machine; standard input cannot be read.
        start: number of the first record.
        options: how documents are read.
        workers: processes; each has one CPU, and a GPU where the model is on one. None starts one for each CPU or GPU
            of the cluster.

    Raises:
        PLMarkerError: for a bad document, and where a worker fails.
    """
    connect()
    on_gpu = model.device.type == "cuda"
    resource = "GPU" if on_gpu else "CPU"
    found = int(ray.cluster_resources().get(resource, 0))
    size = workers or found
    if not 0 < size <= found:
        raise PLMarkerError(f"the Ray cluster has {found} {resource}s, too few for {size} workers")
    answers = _answers(ray.put(model_files(model)), inputs, start, options, size, on_gpu)
    try:
        for number, row in enumerate(answers.iter_rows()):
            if row["number"] != number:
                raise PLMarkerError(f"Ray returned group {row['number']} of the records, expected group {number}")
            yield from zip(row["checksums"], row["lines"], strict=True)
            if row["error"] is not None:
                raise PLMarkerError(row["error"])
    except ray.exceptions.RayError as error:
        raise PLMarkerError(f"a Ray worker failed: {one_sentence(error)}") from error


def _answers(files: Any, inputs: Inputs, start: int, options: ExtractionOptions, size: int, on_gpu: bool) -> Dataset:
    """The plan of the job. A row is a group of records, and each row is a block: Ray never cuts or joins groups."""
    context = DataContext.get_current()
    context.execution_options.preserve_order = True
    context.target_max_block_size = 1
    groups = ray.data.read_datasource(
        _Groups(inputs, start, options.batch_documents),
        override_num_blocks=1,
        num_cpus=0,
        label_selector={"ray.io/node-id": ray.get_runtime_context().get_node_id()},
    )
    return groups.map_batches(
        _Worker,
        batch_size=1,
        batch_format="pyarrow",
        compute=ActorPoolStrategy(size=size),
        fn_constructor_args=(files, options, on_gpu),
        num_cpus=1,
        num_gpus=1 if on_gpu else 0,
        udf_modifying_row_count=False,
    )


class _Groups(Datasource):
    """The groups of records of an input, streamed by one task. If Ray repeats the task, it yields the same groups."""

    def __init__(self, inputs: Inputs, start: int, size: int) -> None:
        super().__init__()
        self.arguments = inputs, start, size

    def get_read_tasks(self, parallelism: int, *args: Any, **kwargs: Any) -> list[ReadTask]:
        arguments = self.arguments
        metadata = BlockMetadata(num_rows=None, size_bytes=None, input_files=None, exec_stats=None)
        return [ReadTask(lambda: _tables(*arguments), metadata)]

    def estimate_inmemory_data_size(self) -> int | None:
        return None


def _tables(inputs: Inputs, start: int, size: int) -> Iterator[pyarrow.Table]:
    """A table of one row for each group. What cannot be read is the error of its group."""
    groups = groups_of(inputs.records(start), size)
    number = 0
    while True:
        records: list[tuple[Any, ...]] = []
        problem = None
        try:
            for record in next(groups, ()):
                records.append(astuple(record))
        except PLMarkerError as error:
            problem = str(error)
        if not records and problem is None:
            return
        columns = zip(*records, strict=True) if records else ((), (), (), ())
        yield _row(number=number, problem=problem, **dict(zip(RECORD_COLUMNS, map(list, columns), strict=True)))
        if problem is not None:
            return
        number += 1


RECORD_COLUMNS = {
    "place": pyarrow.list_(pyarrow.string()),
    "key": pyarrow.list_(pyarrow.string()),
    "line": pyarrow.list_(pyarrow.large_string()),
    "is_json": pyarrow.list_(pyarrow.bool_()),
}
TYPES = {
    **RECORD_COLUMNS,
    "number": pyarrow.int64(),
    "problem": pyarrow.string(),
    "checksums": pyarrow.list_(pyarrow.string()),
    "lines": pyarrow.list_(pyarrow.large_string()),
    "error": pyarrow.string(),
}


def _row(**values: Any) -> pyarrow.Table:
    return pyarrow.table({name: pyarrow.array([value], TYPES[name]) for name, value in values.items()})


class _Worker:
    """A process of the pool.

    Args:
        files: a reference to what `model_files` returns.
        options: how documents are read.
        on_gpu: whether it has a GPU of its own.
    """

    def __init__(self, files: Any, options: ExtractionOptions, on_gpu: bool) -> None:
        # Workers side by side need no more threads, and the number of threads may change the last digit of a score.
        torch.set_num_threads(1)
        model = model_of_files(ray.get(files), "cuda" if on_gpu else "cpu")
        self.read = RecordReader(model, options)

    def __call__(self, table: pyarrow.Table) -> pyarrow.Table:
        """The answers to a group of records. A bad record is a value, so that the answers before it are kept."""
        (row,) = table.to_pylist()
        answers: list[Answer] = []
        error = row["problem"]
        try:
            for answer in self.read(_records(row)):
                answers.append(answer)
        except PLMarkerError as problem:
            error = str(problem)
        return _row(
            number=row["number"],
            checksums=[checksum for checksum, _ in answers],
            lines=[line for _, line in answers],
            error=error,
        )


def _records(row: dict[str, Any]) -> Iterable[Record]:
    return [Record(*values) for values in zip(*(row[name] for name in RECORD_COLUMNS), strict=True)]
