"""Extraction as a function of `datasets.map`."""

from __future__ import annotations

import os
import reprlib
from collections.abc import Mapping
from typing import Any

import torch
from datasets import Features

from ..data.extraction_features import EXTRACTION_FEATURES
from ..modeling.schema_plmarker import PLMarkerError
from .model_files import model_files, model_of_files

# A forked process inherits this number, and has another one. It hangs in threads of OpenMP that its parent has used.
LOADED_IN = os.getpid()


class Extractor:
    """Finds entities and relations in a column of a dataset, for `map` with `batched=True`.

    It can be pickled, so `num_proc` works. Its hash depends on the weights, the config, the tokenizer and the options,
    so the cache of `datasets` finds the results of an earlier call with the same model. A process of `num_proc` has a
    copy of the model, and one thread.

    Args:
        model: a combined model or an entity model, with its tokenizer.
        column: the column to read: texts, or documents as lists of sentences, each a list of words.
        options: `entity_threshold`, `relation_threshold`, `pruner_threshold`, `batch_tokens` and `language`, as
            `PLMarkerModel.extract` takes them.

    Raises:
        PLMarkerError: in a call, for a batch without the column, and for a row without a text.

    Example:
        >>> found = dataset.map(Extractor(model), batched=True)  # doctest: +SKIP
        >>> found[0]["entities"]  # doctest: +SKIP
        [{'text': 'BiLSTM', 'label': 'Method', 'start': 11, 'end': 17, 'score': 0.97, 'sentence': 0}]
    """

    def __init__(self, model: Any, column: str = "text", **options: Any) -> None:
        self.model = model
        self.column = column
        self.options = options

    def __call__(self, batch: Mapping[str, Any]) -> dict[str, list[Any]]:
        """The columns `entities` and `relations` of a batch, as `Extraction.to_dict` has them."""
        if os.getpid() != LOADED_IN:
            torch.set_num_threads(1)
        if self.column not in batch:
            raise PLMarkerError(f"the dataset has no column {self.column!r}, found {', '.join(map(repr, batch))}")
        if isinstance(batch[self.column], str):
            raise PLMarkerError("a text alone is no batch: dataset.map needs batched=True")
        values = list(batch[self.column])
        wrong = next((number for number, value in enumerate(values) if not _is_document(value)), None)
        if wrong is not None:
            raise PLMarkerError(
                f"row {wrong} of a batch: expected a text or a list of sentences in {self.column!r}, "
                f"got {reprlib.repr(values[wrong])}"
            )
        if not any(values):
            # `extract` would take documents without sentences for the sentences of one document.
            return {name: [[] for _ in values] for name in EXTRACTION_FEATURES}
        texts = all(isinstance(value, str) for value in values)
        given = {"text": values} if texts else {"words": values}
        found = [extraction.to_dict() for extraction in self.model.extract(**given, **self.options)]
        return {name: [one[name] for one in found] for name in EXTRACTION_FEATURES}

    def features(self, dataset: Any) -> Features:
        """The types of the columns of `dataset.map`, for its argument `features`.

        Without it, `datasets` finds the types from the first rows that it writes. If these hold no relation at all, it
        refuses the first relation that comes later.

        Args:
            dataset: a `Dataset`.
        """
        return Features({**dataset.features, **EXTRACTION_FEATURES})

    def __getstate__(self) -> dict[str, Any]:
        return {"model": model_files(self.model), "column": self.column, "options": self.options}

    def __setstate__(self, state: dict[str, Any]) -> None:
        if os.getpid() != LOADED_IN:
            torch.set_num_threads(1)
        self.__init__(model_of_files(state["model"]), state["column"], **state["options"])  # type: ignore[misc]


def _is_document(value: Any) -> bool:
    """Whether a value is a text, or a list of lists."""
    return isinstance(value, str) or (isinstance(value, list) and all(isinstance(item, list) for item in value))
