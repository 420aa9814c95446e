"""The functions for `Dataset.map` that turn documents into rows: windows with all that is read in them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import fields
from typing import Any, get_args, get_origin, get_type_hints

from datasets import Features, List, Value
from huggingface_hub.errors import StrictDataclassError
from transformers import PreTrainedTokenizerBase

from ..modeling.configuration_plmarker import PLMarkerEntityConfig, PLMarkerRelationConfig, PLMarkerTaskConfig
from ..modeling.rows_plmarker import Annotations
from ..modeling.schema_plmarker import LabelSchema, PLMarkerError, one_line
from ..modeling.task_plmarker import Task
from ..modeling.tasks_plmarker import task_of
from ..modeling.windows_plmarker import WordTokenizer
from .grouping import training_rows

# datasets finds a cached result by a fingerprint, and this is part of it. Raise it when rows change.
ROW_VERSION = 4


def arrow_features(*classes: type[Any]) -> Features:
    """The Arrow schema of dataclasses: integers, strings, and ragged lists of integers."""
    types: dict[str, Any] = {}
    for found in classes:
        hints = get_type_hints(found)
        types |= {item.name: _arrow_type(hints[item.name]) for item in fields(found)}
    return Features(types)


def _arrow_type(hint: Any) -> Any:
    if get_origin(hint) is list:
        return List(_arrow_type(get_args(hint)[0]))
    return {int: Value("int32"), str: Value("string")}[hint]


class DocumentRows:
    """Turns documents into rows, as `map(batched=True)` calls it.

    Args:
        task: the model's task.
        tokenizer: the encoder's tokenizer.
        training: add what is read in training alone.
        seed: seed of a random grouping of spans.
    """

    def __init__(
        self, task: Task[Any, Any], tokenizer: PreTrainedTokenizerBase, training: bool = True, seed: int = 0
    ) -> None:
        self.config = task.config
        self.tokenizer = tokenizer
        self.training = training
        self.seed = seed
        self.version = ROW_VERSION
        self._tokenize: WordTokenizer | None = None

    @property
    def types(self) -> Features:
        """The columns: those of the rows, and those of the annotations beside them."""
        return arrow_features(task_of(self.config).row_class, Annotations)

    def types_for(self, columns: Collection[str]) -> Features:
        """The columns for documents with these columns: with `weight`, where documents have it."""
        return Features({**self.types, **({"weight": Value("float64")} if "weight" in columns else {})})

    def __call__(self, batch: Mapping[str, list[Any]]) -> dict[str, list[Any]]:
        """Turn documents, as columns, into rows, as columns: one for each window of a document.

        The annotations of a document are beside its first row. A document without a window has one empty row where it
        has annotations, so that they still count. Each row has the weight of its document, where documents have one.
        """
        if self._tokenize is None:
            self._tokenize = WordTokenizer(self.tokenizer)
        task = task_of(self.config)
        columns: dict[str, list[Any]] = {name: [] for name in self.types_for(batch)}
        for values in zip(*batch.values(), strict=True):
            document = dict(zip(batch, values, strict=True))
            annotations = Annotations.of_document(document, self.config.schema)
            if self.training:
                rows = training_rows(task, document, self._tokenize, self.seed)
            else:
                rows = task.rows(document, self._tokenize)
            if not rows and any(vars(annotations).values()):
                rows = [task.row_class(str(document.get("doc_key", "")))]
            for number, row in enumerate(rows):
                beside = annotations if number == 0 else Annotations()
                if "weight" in columns:
                    columns["weight"].append(1.0 if document["weight"] is None else document["weight"])
                for name, value in (*vars(row).items(), *vars(beside).items()):
                    columns[name].append(value)
        return columns

    def __getstate__(self) -> dict[str, Any]:
        # The words that the tokenizer remembers must not change the fingerprint of a result.
        return {**self.__dict__, "_tokenize": None}


class _ConfiguredRows(DocumentRows):
    """Rows of a task that is named by fields of its config."""

    config_class: type[PLMarkerTaskConfig]

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase,
        schema: LabelSchema,
        *,
        training: bool = True,
        seed: int = 0,
        **options: Any,
    ) -> None:
        unknown = [name for name in options if name not in self.config_class.__dataclass_fields__]
        if unknown:
            raise PLMarkerError(f"{type(self).__name__} has no option {unknown[0]!r}")
        values: dict[str, Any] = {**schema.to_dict(), **options}
        try:
            config = self.config_class(**values)
        except StrictDataclassError as error:
            raise PLMarkerError(f"{type(self).__name__}: {one_line(error.__cause__ or error)}") from None
        super().__init__(task_of(config), tokenizer, training, seed)


class EntityFeatures(_ConfiguredRows):
    """Rows for the entity model: windows with candidate spans; see [`SpanRow`] and [`Annotations`] for the columns.

    Args:
        tokenizer: the encoder's tokenizer.
        schema: the labels. An annotation outside it is an error.
        training: add what is read in training alone; evaluation leaves it out again.
        seed: seed of a random grouping of spans.
        options: fields of [`PLMarkerEntityConfig`], such as `max_seq_length` and `max_span_length`.

    Raises:
        PLMarkerError: for an unknown option, or a value that the config does not take.

    Example:
        >>> ds.map(EntityFeatures(tokenizer, schema), batched=True, remove_columns=ds.column_names)  # doctest: +SKIP
    """

    config_class = PLMarkerEntityConfig


class RelationFeatures(_ConfiguredRows):
    """Rows for the relation model: windows with pairs; see [`PairRow`] and [`Annotations`] for the columns.

    Args:
        tokenizer: the encoder's tokenizer.
        schema: the labels. An annotation outside it is an error.
        training: add the instances without a subject, which are read in training alone; evaluation leaves them out.
        seed: has no effect, pairs are not grouped at random.
        options: fields of [`PLMarkerRelationConfig`], such as `max_seq_length` and `max_pair_length`.

    Raises:
        PLMarkerError: for an unknown option, or a value that the config does not take.
    """

    config_class = PLMarkerRelationConfig
