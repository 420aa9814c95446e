"""The functions for `Dataset.map` that turn documents into packed marker features."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from datasets import Features, List, Value
from transformers import PreTrainedTokenizerBase

from ..modeling.processing_plmarker import Feature, entity_features, relation_features
from ..modeling.schema_plmarker import LabelSchema
from ..modeling.windows_plmarker import WordTokenizer

FEATURE_VERSION = 1

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
    labels=_INTEGERS,
    object_labels=_INTEGERS,
    gold=_ROWS,
    gold_relations=_ROWS,
    given=_ROWS,
    length=_INTEGER,
)


class _DocumentFeatures:
    """Applies a function of one document to a batch of them, as `map(batched=True)` calls it."""

    types: Features

    def __init__(self, tokenizer: PreTrainedTokenizerBase, schema: LabelSchema) -> None:
        self.tokenizer = tokenizer
        self.schema = schema
        # Part of the fingerprint by which datasets finds a cached result: raise it when features change.
        self.version = FEATURE_VERSION
        self._tokenize: WordTokenizer | None = None

    def __call__(self, batch: Mapping[str, list[Any]]) -> dict[str, list[Any]]:
        """Turn documents, as columns, into features, as columns: none, one or many for each document."""
        if self._tokenize is None:
            self._tokenize = WordTokenizer(self.tokenizer)
        columns: dict[str, list[Any]] = {name: [] for name in self.types}
        for values in zip(*batch.values(), strict=True):
            for feature in self.features_of(dict(zip(batch, values, strict=True)), self._tokenize):
                for name, column in columns.items():
                    column.append(feature[name])
        return columns

    def __getstate__(self) -> dict[str, Any]:
        # The memory of known words would change the fingerprint by which datasets finds a cached result.
        return {**self.__dict__, "_tokenize": None}

    def features_of(self, document: Mapping[str, Any], tokenize: WordTokenizer) -> list[Feature]:
        raise NotImplementedError


class EntityFeatures(_DocumentFeatures):
    """Features for the entity model; see [`entity_features`] for the columns.

    Example:
        `ds.map(EntityFeatures(tokenizer, schema), batched=True, remove_columns=ds["train"].column_names)`

    Args:
        tokenizer: the encoder's tokenizer.
        schema: the labels; an annotation outside it is an error.
        max_seq_length: subwords of a window, special tokens included.
        max_span_length: words of the widest candidate span.
        max_pair_length: spans of one feature; None puts all spans of a window into one.
    """

    types = ENTITY_FEATURE_TYPES

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase,
        schema: LabelSchema,
        max_seq_length: int = 512,
        max_span_length: int = 8,
        max_pair_length: int | None = None,
    ) -> None:
        super().__init__(tokenizer, schema)
        self.max_seq_length = max_seq_length
        self.max_span_length = max_span_length
        self.max_pair_length = max_pair_length

    def features_of(self, document: Mapping[str, Any], tokenize: WordTokenizer) -> list[Feature]:
        return entity_features(
            document, tokenize, self.schema, self.max_seq_length, self.max_span_length, self.max_pair_length
        )


class RelationFeatures(_DocumentFeatures):
    """Features for the relation model; see [`relation_features`] for the columns.

    Args:
        tokenizer: the encoder's tokenizer.
        schema: the labels; an annotation outside it is an error.
        max_seq_length: subwords of a window, special tokens and the two solid markers included.
        max_pair_length: objects of one feature; None puts all objects of a subject into one.
        empty_subject: add an instance without a subject for each sentence (training only).
    """

    types = RELATION_FEATURE_TYPES

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase,
        schema: LabelSchema,
        max_seq_length: int = 256,
        max_pair_length: int | None = None,
        empty_subject: bool = False,
    ) -> None:
        super().__init__(tokenizer, schema)
        self.max_seq_length = max_seq_length
        self.max_pair_length = max_pair_length
        self.empty_subject = empty_subject

    def features_of(self, document: Mapping[str, Any], tokenize: WordTokenizer) -> list[Feature]:
        return relation_features(
            document, tokenize, self.schema, self.max_seq_length, self.max_pair_length, self.empty_subject
        )
