"""The functions for `Dataset.map` that turn documents into packed marker features."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from datasets import Features, List, Value
from transformers import PreTrainedTokenizerBase

from ..modeling.configuration_plmarker import PLMarkerEntityConfig, PLMarkerTaskConfig
from ..modeling.processing_plmarker import Feature, entity_features, relation_features
from ..modeling.schema_plmarker import LabelSchema, PLMarkerError
from ..modeling.windows_plmarker import WordTokenizer

FEATURE_VERSION = 2

_INTEGER = Value("int32")
_INTEGERS = List(_INTEGER)
_ROWS = List(_INTEGERS)

ENTITY_FEATURE_TYPES = Features(
    doc_key=Value("string"),
    sentence=_INTEGER,
    input_ids=_INTEGERS,
    span_starts=_INTEGERS,
    span_ends=_INTEGERS,
    word_starts=_INTEGERS,
    word_ends=_INTEGERS,
    labels=_INTEGERS,
    gold=_ROWS,
    length=_INTEGER,
)

RELATION_FEATURE_TYPES = Features(
    doc_key=Value("string"),
    sentence=_INTEGER,
    input_ids=_INTEGERS,
    subject_start=_INTEGER,
    subject_end=_INTEGER,
    subject_word_start=_INTEGER,
    subject_word_end=_INTEGER,
    subject_label=_INTEGER,
    object_starts=_INTEGERS,
    object_ends=_INTEGERS,
    object_word_starts=_INTEGERS,
    object_word_ends=_INTEGERS,
    subject_type=_INTEGER,
    labels=_INTEGERS,
    object_labels=_INTEGERS,
    object_types=_INTEGERS,
    gold=_ROWS,
    gold_relations=_ROWS,
    given=_ROWS,
    length=_INTEGER,
)


PAIR_FEATURE_TYPES = Features(
    doc_key=Value("string"),
    sentence=_INTEGER,
    input_ids=_INTEGERS,
    **{
        f"{kind}_{name}": _INTEGERS
        for kind in ("subject", "object")
        for name in ("starts", "ends", "word_starts", "word_ends", "labels")
    },
    labels=_INTEGERS,
    gold=_ROWS,
    gold_relations=_ROWS,
    given=_ROWS,
    length=_INTEGER,
)


class _DocumentFeatures:
    """Applies a function of one document to a batch of them, as `map(batched=True)` calls it."""

    types: Features
    make: Callable[..., list[Feature]]

    def __init__(
        self, tokenizer: PreTrainedTokenizerBase, schema: LabelSchema, *, map_brackets: bool = True, **options: Any
    ) -> None:
        known = inspect.signature(self.make).parameters
        unknown = [name for name in options if name not in known]
        if unknown:
            raise PLMarkerError(f"{type(self).__name__} has no option {unknown[0]!r}")
        self.tokenizer = tokenizer
        self.schema = schema
        self.map_brackets = map_brackets
        self.options = options
        # Part of the fingerprint by which datasets finds a cached result: raise it when features change.
        self.version = FEATURE_VERSION
        self._tokenize: WordTokenizer | None = None

    def __call__(self, batch: Mapping[str, list[Any]]) -> dict[str, list[Any]]:
        """Turn documents, as columns, into features, as columns: none, one or many for each document."""
        if self._tokenize is None:
            self._tokenize = WordTokenizer(self.tokenizer, self.map_brackets)
        columns: dict[str, list[Any]] = {name: [] for name in self.types}
        for values in zip(*batch.values(), strict=True):
            document = dict(zip(batch, values, strict=True))
            for feature in self.make(document, self._tokenize, self.schema, **self.options):
                for name, column in columns.items():
                    column.append(feature[name])
        return columns

    def __getstate__(self) -> dict[str, Any]:
        # The memory of known words would change the fingerprint by which datasets finds a cached result.
        return {**self.__dict__, "_tokenize": None}


class EntityFeatures(_DocumentFeatures):
    """Features for the entity model; see [`entity_features`] for the columns.

    Example:
        `ds.map(EntityFeatures(tokenizer, schema), batched=True, remove_columns=ds["train"].column_names)`

    Args:
        tokenizer: the encoder's tokenizer.
        schema: the labels; an annotation outside it is an error.
        map_brackets: as [`WordTokenizer`] takes it.
        options: `max_seq_length`, `max_span_length` and whatever else [`entity_features`] takes.

    Raises:
        PLMarkerError: for an unknown option.
    """

    types = ENTITY_FEATURE_TYPES
    make = staticmethod(entity_features)


class RelationFeatures(_DocumentFeatures):
    """Features for the relation model; see [`relation_features`] for the columns.

    Args:
        tokenizer: the encoder's tokenizer.
        schema: the labels; an annotation outside it is an error.
        map_brackets: as [`WordTokenizer`] takes it.
        options: `max_seq_length`, `max_pair_length` and whatever else [`relation_features`] takes.

    Raises:
        PLMarkerError: for an unknown option.
    """

    make = staticmethod(relation_features)

    @property
    def types(self) -> Features:
        return PAIR_FEATURE_TYPES if self.options.get("levitated") else RELATION_FEATURE_TYPES


def features_for(
    config: PLMarkerTaskConfig, tokenizer: PreTrainedTokenizerBase, training: bool = False, seed: int = 0
) -> EntityFeatures | RelationFeatures:
    """The function for `Dataset.map` that makes a model's features.

    Args:
        training: for training examples; else for evaluation.
        seed: of a random grouping of spans.
    """
    options = config.feature_options(training)
    if isinstance(config, PLMarkerEntityConfig):
        return EntityFeatures(tokenizer, config.schema, seed=seed, **options)
    return RelationFeatures(tokenizer, config.schema, **options)
