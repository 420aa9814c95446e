"""Configurations of the three models."""

# No `from __future__ import annotations` here: `strict` checks values against the real types.

from dataclasses import field
from typing import TYPE_CHECKING

from huggingface_hub.dataclasses import strict
from transformers import AutoConfig, PreTrainedConfig

from .schema_plmarker import LabelSchema

if TYPE_CHECKING:
    # What a nested config is once the config is built ...
    SubConfig = PreTrainedConfig
else:
    # ... and what it may be built from.
    SubConfig = dict | PreTrainedConfig | None


@strict
class PLMarkerTaskConfig(PreTrainedConfig):
    """What the entity model and the relation model have in common.

    Args:
        encoder_config: the encoder's own configuration; any supported `transformers` encoder.
        entity_labels: entity types, without NIL.
        relation_labels: relation types without NIL, symmetric ones first; an entity model only keeps them.
        symmetric_labels: the symmetric ones among them.
        marker_tokens: names of the marker tokens in the tokenizer.
        marker_token_ids: their ids, in the same order.
        pad_token_id: the tokenizer's; packed rows need none, transformers compares it.
        nil_weight: weight of NIL in the loss (the original's `alpha`); in a relation model, of the relation loss only.
        head_dropout: dropout on the encoder's output; None takes the encoder's hidden dropout.
    """

    sub_configs = {"encoder_config": AutoConfig}

    encoder_config: SubConfig = None  # type: ignore[assignment]
    entity_labels: list[str] = field(default_factory=list)
    relation_labels: list[str] = field(default_factory=list)
    symmetric_labels: list[str] = field(default_factory=list)
    marker_tokens: list[str] = field(default_factory=list)
    marker_token_ids: list[int] = field(default_factory=list)
    pad_token_id: int | None = None
    nil_weight: float = 1.0
    head_dropout: float | None = None

    def __post_init__(self, **kwargs):
        if not isinstance(self.encoder_config, PreTrainedConfig):
            values = dict(self.encoder_config or {})
            self.encoder_config = AutoConfig.for_model(values.pop("model_type", "bert"), **values)
        kwargs.setdefault("id2label", dict(enumerate(self.classes)))
        kwargs.setdefault("label2id", {label: index for index, label in enumerate(self.classes)})
        super().__post_init__(**kwargs)

    @property
    def schema(self) -> LabelSchema:
        """The labels that the model was built for."""
        return LabelSchema(tuple(self.entity_labels), tuple(self.relation_labels), tuple(self.symmetric_labels))

    def validate_limits(self):
        """A window holds some text beside its special tokens; a span has a word."""
        for name, least in (("max_seq_length", 8), ("max_span_length", 1), ("max_pair_length", 1)):
            value = getattr(self, name, None)
            if value is not None and value < least:
                raise ValueError(f"{name} is at least {least}, got {value}")

    def validate_nil_weight(self):
        """A weight of 0 would leave a row of NIL spans without a mean."""
        if self.nil_weight <= 0:
            raise ValueError(f"nil_weight is above 0, got {self.nil_weight}")

    @property
    def classes(self) -> list[str]:
        """Names of the head's classes, NIL first."""
        raise NotImplementedError


@strict
class PLMarkerEntityConfig(PLMarkerTaskConfig):
    """Configuration of [`PLMarkerForEntityRecognition`]; see [`PLMarkerTaskConfig`] for the rest.

    `marker_tokens` are the start and the end marker.

    Args:
        max_seq_length: subwords of a window, special tokens included (SPEC, section 2).
        max_span_length: words of the widest candidate span.
        max_pair_length: marker pairs of one training example; None puts all spans of a sentence into one.
        flat: True keeps no overlapping entities at all; False lets entities of different labels nest or overlap.
    """

    model_type = "plmarker-ner"

    max_seq_length: int = 512
    max_span_length: int = 8
    max_pair_length: int | None = 256
    flat: bool = False

    @property
    def classes(self) -> list[str]:
        return self.schema.entity_classes


@strict
class PLMarkerRelationConfig(PLMarkerTaskConfig):
    """Configuration of [`PLMarkerForRelationExtraction`]; see [`PLMarkerTaskConfig`] for the rest.

    `marker_tokens` are the two solid ones around the subject and the two levitated ones of an object.

    Args:
        max_seq_length: subwords of a window, special tokens and the two solid markers included.
        max_pair_length: objects of one training example; None puts all objects of a subject into one.
    """

    model_type = "plmarker-re"

    max_seq_length: int = 256
    max_pair_length: int | None = 16

    @property
    def classes(self) -> list[str]:
        return self.schema.relation_classes


@strict
class PLMarkerConfig(PreTrainedConfig):
    """Configuration of [`PLMarkerModel`]: an entity model and a relation model in one checkpoint.

    Args:
        entity_config: configuration of the entity model.
        relation_config: configuration of the relation model; None for a model of entities alone.
    """

    model_type = "plmarker"
    sub_configs = {"entity_config": PLMarkerEntityConfig, "relation_config": PLMarkerRelationConfig}

    entity_config: SubConfig = None  # type: ignore[assignment]
    relation_config: SubConfig | None = None

    def __post_init__(self, **kwargs):
        if self.entity_config is None:
            self.entity_config = PLMarkerEntityConfig()
        for name, config_class in self.sub_configs.items():
            values = getattr(self, name)
            if isinstance(values, dict):
                values = {key: value for key, value in values.items() if key != "model_type"}
                setattr(self, name, config_class(**values))
        super().__post_init__(**kwargs)

    @property
    def schema(self) -> LabelSchema:
        """The labels of both models."""
        schema: LabelSchema = (self.relation_config or self.entity_config).schema
        return schema
