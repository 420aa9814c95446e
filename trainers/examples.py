"""Mapped rows as torch datasets: training examples, and whole documents for evaluation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from datasets import Dataset
from torch.utils.data import Dataset as TorchDataset

from ..modeling.configuration_plmarker import PLMarkerTaskConfig
from ..modeling.rows_plmarker import Annotations, Row
from ..modeling.task_plmarker import Example
from ..modeling.tasks_plmarker import task_of


class TrainingExamples(TorchDataset):
    """The training examples of mapped rows: the published recipes count these.

    An example is a slice of a row. So nothing is stored twice, and examples of one window share its text in a batch.

    Args:
        rows: a mapped dataset.
        config: the model's config.
    """

    def __init__(self, rows: Dataset, config: PLMarkerTaskConfig) -> None:
        self.config = config
        self.row_class: type[Row] = task_of(config).row_class
        self.rows = rows.select_columns([item.name for item in fields(self.row_class)])
        # The row, the first candidate and the candidate behind the last one of each example.
        self.places: list[tuple[int, int, int]] = []
        for number, sizes in enumerate(self.rows.select_columns(["examples"])[:]["examples"]):
            first = 0
            for size in sizes:
                self.places.append((number, first, first + size))
                first += size

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, index: int) -> Example[Any]:
        return self.__getitems__([index])[0]

    def __getitems__(self, indices: Sequence[int]) -> list[Example[Any]]:
        """Several examples. Those of one row share it, and with it their text."""
        task = task_of(self.config)
        numbers = list(dict.fromkeys(self.places[index][0] for index in indices))
        columns = self.rows[numbers]
        rows = {
            number: self.row_class(**{name: values[place] for name, values in columns.items()})
            for place, number in enumerate(numbers)
        }
        examples = []
        for index in indices:
            number, first, stop = self.places[index]
            examples.append(task.example(rows[number], first, stop))
        return examples

    def by_row(self) -> list[list[int]]:
        """The examples of each row that has any."""
        found: dict[int, list[int]] = {}
        for index, (row, _, _) in enumerate(self.places):
            found.setdefault(row, []).append(index)
        return list(found.values())


class EvaluationDocuments(TorchDataset):
    """Mapped rows by document: its annotations, its rows, and the number of its sentences.

    Args:
        rows: a mapped dataset, in which the rows of a document follow each other.
        config: the model's config.
    """

    def __init__(self, rows: Dataset, config: PLMarkerTaskConfig) -> None:
        self.rows = rows
        self.row_class: type[Row] = task_of(config).row_class
        self.bounds: list[tuple[int, int]] = []
        last = None
        for number, key in enumerate(rows["doc_key"]):
            if key != last:
                self.bounds.append((number, number))
            self.bounds[-1] = (self.bounds[-1][0], number + 1)
            last = key

    def __len__(self) -> int:
        return len(self.bounds)

    def __getitem__(self, index: int) -> tuple[Annotations, list[Row], int]:
        start, stop = self.bounds[index]
        columns = self.rows[start:stop]
        values = [dict(zip(columns, cells, strict=True)) for cells in zip(*columns.values(), strict=True)]
        annotations = Annotations(**{item.name: values[0][item.name] for item in fields(Annotations)})
        rows = [self.row_class.from_mapping(row) for row in values]
        annotated = (annotations.gold_entities, annotations.gold_relations, annotations.given_entities)
        sentences = [*(n for row in rows for n in row.sentences), *(found[0] for part in annotated for found in part)]
        return annotations, [row for row in rows if row.labels], max(sentences, default=-1) + 1
