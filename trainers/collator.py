"""Training examples to the flat tensors that a model takes, as a data collator."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from ..modeling.configuration_plmarker import PLMarkerTaskConfig
from ..modeling.task_plmarker import Example
from ..modeling.tasks_plmarker import task_of


@dataclass
class ExampleCollator:
    """Lays out examples without padding; see `Task.batch` for the tensors.

    Args:
        config: the model's config. The model itself is not needed, so that workers need not copy it.

    Example:
        >>> batch = ExampleCollator(model.config)([examples[0], examples[1]])  # doctest: +SKIP
        >>> model(**batch).loss  # doctest: +SKIP
    """

    config: PLMarkerTaskConfig

    def __call__(self, examples: Sequence[Example[Any]]) -> dict[str, Tensor]:
        """Collate examples, as [`TrainingExamples`] gives them."""
        return task_of(self.config).batch(examples).inputs
