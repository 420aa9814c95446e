"""Mapped rows as torch datasets: training examples, and whole documents for evaluation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any

import numpy as np
from datasets import Dataset
from numpy.typing import NDArray
from torch.utils.data import Dataset as TorchDataset

from ..modeling.configuration_plmarker import PLMarkerTaskConfig
from ..modeling.rows_plmarker import Annotations, Row
from ..modeling.schema_plmarker import PLMarkerError
from ..modeling.task_plmarker import Example
from ..modeling.tasks_plmarker import task_of


class TrainingExamples(TorchDataset):
    """The training examples of mapped rows: the published recipes count these.

    An example is a slice of a row. So nothing is stored twice, and examples of one window share its text in a batch.

    Args:
        rows: a mapped dataset. Its column `weight`, where it has one, is the weight of the document of each row; an
            empty value is 1.0. Rows of weight 0 have no examples.
        config: the model's config.

    Raises:
        PLMarkerError: for a weight that is no finite number from 0, and where no row has a weight above 0.
    """

    def __init__(self, rows: Dataset, config: PLMarkerTaskConfig) -> None:
        self.config = config
        self.row_class: type[Row] = task_of(config).row_class
        self.weights = _checked_weights(rows) if "weight" in rows.column_names else None
        self.rows = rows.select_columns([item.name for item in fields(self.row_class)])
        self._means: dict[float, tuple[float, float]] = {}
        # The row, the first candidate and the candidate behind the last one of each example.
        self.places: list[tuple[int, int, int]] = []
        for number, sizes in enumerate(self.rows.select_columns(["examples"])[:]["examples"]):
            if self.weights is not None and not self.weights[number]:
                continue
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
            example = task.example(rows[number], first, stop)
            examples.append(example if self.weights is None else replace(example, weight=float(self.weights[number])))
        return examples

    def mean_weights(self, nil_weight: float) -> tuple[float, float]:
        """The mean weight of the candidates of all examples, where NIL counts `nil_weight`, and where it counts 1."""
        assert self.weights is not None
        if nil_weight not in self._means:
            sums = np.zeros(4)
            for weight, labels in zip(self.weights, self.rows.select_columns(["labels"])[:]["labels"], strict=True):
                if weight:
                    size = len(labels) - (1 - nil_weight) * labels.count(0)
                    sums += (weight * size, size, weight * len(labels), len(labels))
            weighted, sizes, weighted_all, all_sizes = sums.clip(min=1e-12)
            self._means[nil_weight] = (weighted / sizes, weighted_all / all_sizes)
        return self._means[nil_weight]

    def by_row(self) -> list[list[int]]:
        """The examples of each row that has any."""
        found: dict[int, list[int]] = {}
        for index, (row, _, _) in enumerate(self.places):
            found.setdefault(row, []).append(index)
        return list(found.values())


def _checked_weights(rows: Dataset) -> NDArray[np.float64]:
    """The weight of each row."""
    weights = np.array([1.0 if weight is None else weight for weight in rows["weight"]], dtype=np.float64)
    for number, weight in enumerate(weights):
        if not 0.0 <= weight < np.inf:
            key = rows["doc_key"][number]
            raise PLMarkerError(f"training data: the document {key!r} has the weight {weight}, expected 0 or more")
    if not weights.any():
        raise PLMarkerError("training data: all documents have the weight 0, so that there is nothing to learn")
    return weights


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
