"""Configurations of the three models."""

# No `from __future__ import annotations` here: `strict` checks values against the real types.

from dataclasses import field
from typing import TYPE_CHECKING, Any

from huggingface_hub.dataclasses import strict
from transformers import AutoConfig, PreTrainedConfig

from .schema_plmarker import LabelSchema
from .tagging_plmarker import tag_classes

if TYPE_CHECKING:
    # What a nested config is once the config is built ...
    SubConfig = PreTrainedConfig
else:
    # ... and what it may be built from.
    SubConfig = dict | PreTrainedConfig | None


# What the published implementation computes by a fault or an accident (docs/original.md, Q1 to Q6), by name.
QUIRKS = {
    "raw_brackets": "Q1: the relation scripts read -LRB- and its kin as they stand",
    "marker_positions": "Q2: on RoBERTa, markers lack the position offset of 2 that text has",
    "inverse_score": "Q3: a relation found in its inverse class is sorted by the score of the forward class",
    "last_group": "Q4: of a sentence in several groups of levitated pairs only the last group's relations count, pairs "
    "of a span with itself count too, and a symmetric relation found in one direction counts once",
    "word_parts": "Q5: spans that end inside a word are candidates too, as NIL",
    "merged_sentences": "Q6: entities of one type on both sides of a sentence border count as one",
}


class _CheckedConfig(PreTrainedConfig):
    """Reads configs without the attention implementation that they name: transformers would fetch and run a kernel."""

    @classmethod
    def from_dict(cls, config_dict, **kwargs):
        return super().from_dict(_without_attention(config_dict), **kwargs)


def _without_attention(values: Any) -> Any:
    if not isinstance(values, dict):
        return values
    return {key: _without_attention(value) for key, value in values.items() if "attn_implementation" not in str(key)}


@strict
class PLMarkerTaskConfig(_CheckedConfig):
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
        compat: `original` computes what the published implementation computed, with its quirks; None does it right.
        quirks: which of the `QUIRKS` `compat="original"` switches on: those of the script that a checkpoint is from;
            None takes those of the scripts for ACE, SciERC and OntoNotes.
        training_run: how the model was trained, for its card, see [`model_card`].
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
    compat: str | None = None
    quirks: list[str] | None = None
    training_run: dict[str, Any] | None = None

    def __post_init__(self, **kwargs):
        if self.quirks is None:
            self.quirks = self.default_quirks
        if not isinstance(self.encoder_config, PreTrainedConfig):
            values = dict(self.encoder_config or {})
            self.encoder_config = AutoConfig.for_model(values.pop("model_type", "bert"), **values)
        kwargs.setdefault("id2label", dict(enumerate(self.classes)))
        kwargs.setdefault("label2id", {label: index for index, label in enumerate(self.classes)})
        super().__post_init__(**kwargs)

    @property
    def finds_entities(self) -> bool:
        """Whether it is the entity model's; by name, as code that a checkpoint carries may be loaded twice."""
        return self.model_type == "plmarker-ner"

    @property
    def schema(self) -> LabelSchema:
        """The labels that the model was built for."""
        return LabelSchema(tuple(self.entity_labels), tuple(self.relation_labels), tuple(self.symmetric_labels))

    def feature_options(self, training: bool = False) -> dict[str, Any]:
        """What the functions that make features have to know of the model, as keyword arguments; and `map_brackets`,
        as [`WordTokenizer`] takes it.

        Args:
            training: for training examples; else for evaluation, where no example need be small.
        """
        raise NotImplementedError

    @property
    def marker_words(self) -> tuple[str | None, ...]:
        """For each marker token the word from which `lm` initialisation copies it; None stands for the mask token."""
        raise NotImplementedError

    def has_quirk(self, name: str) -> bool:
        """Whether to compute as the original did where that was a fault or an accident, see `QUIRKS`."""
        return self.compat == "original" and name in (self.quirks or ())

    @property
    def default_quirks(self) -> list[str]:
        """Those of the original's scripts for ACE, SciERC and OntoNotes."""
        raise NotImplementedError

    def validate_compat(self):
        """There is one implementation to be compatible with."""
        if self.compat not in (None, "original"):
            raise ValueError(f"compat is None or 'original', got {self.compat!r}")
        unknown = set(self.quirks or ()) - set(QUIRKS)
        if unknown:
            raise ValueError(f"quirks are some of {', '.join(QUIRKS)}; got {sorted(unknown)}")

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


def _one_of(config: PreTrainedConfig, name: str, values: tuple[str, ...]) -> None:
    if getattr(config, name) not in values:
        raise ValueError(f"{name} is one of {', '.join(values)}; got {getattr(config, name)!r}")


@strict
class PLMarkerEntityConfig(PLMarkerTaskConfig):
    """Configuration of [`PLMarkerForEntityRecognition`]; see [`PLMarkerTaskConfig`] for the rest.

    `marker_tokens` are the start and the end marker; without markers there are none.

    Args:
        method: `marker` scores spans by levitated markers; `t-concat` by their first and last subword alone, `bio`
            tags words (the paper's baselines).
        tags: how the method `bio` tags words: `bio`, `iob1` (the original on CoNLL-2003) or `io` (on Few-NERD), see
            `tag_classes`.
        max_seq_length: subwords of a window, special tokens included (as in the original).
        max_span_length: words of the widest candidate span.
        max_pair_length: marker pairs of one training example; None puts all spans of a sentence into one.
        grouping: how training examples divide the spans of a sentence: `consecutive`, `shuffle`, `sort` (by start or
            end, in a random direction) or `edge` (as `sort`, and spans with the same start or end stay together).
            Scores do not depend on it.
        flat: True keeps no overlapping entities at all; False lets entities of different labels nest or overlap.
    """

    model_type = "plmarker-ner"

    method: str = "marker"
    tags: str = "bio"
    max_seq_length: int = 512
    max_span_length: int = 8
    max_pair_length: int | None = 256
    grouping: str = "consecutive"
    flat: bool = False

    def validate_method(self):
        """The ways to find entities."""
        _one_of(self, "method", ("marker", "t-concat", "bio"))
        _one_of(self, "tags", ("bio", "iob1", "io"))
        _one_of(self, "grouping", ("consecutive", "shuffle", "sort", "edge"))

    @property
    def default_quirks(self) -> list[str]:
        return ["marker_positions"]

    def feature_options(self, training: bool = False) -> dict[str, Any]:
        """What `entity_features` has to know of the model."""
        return {
            "max_seq_length": self.max_seq_length,
            "max_span_length": self.max_span_length,
            "max_pair_length": self.max_pair_length if training else None,
            "grouping": self.grouping if training else "consecutive",
            "tags": self.tags if self.method == "bio" else None,
            "word_parts": training and self.has_quirk("word_parts"),
            "markers_per_span": len(self.marker_words),
            "map_brackets": not self.has_quirk("raw_brackets"),
        }

    @property
    def classes(self) -> list[str]:
        if self.method == "bio":
            return tag_classes(self.schema.entity_labels, self.tags)
        return self.schema.entity_classes

    @property
    def marker_words(self) -> tuple[str | None, ...]:
        return (None, "entity") if self.method == "marker" else ()


@strict
class PLMarkerRelationConfig(PLMarkerTaskConfig):
    """Configuration of [`PLMarkerForRelationExtraction`]; see [`PLMarkerTaskConfig`] for the rest.

    `marker_tokens` are the two around the subject, and the two levitated ones of an object; with `type_markers` those
    of a missing subject, and, for each entity class, the subject's start and end markers and the object's.

    Args:
        subject_markers: `solid` puts a subject's markers into the text, and all its objects behind it; `levitated`
            gives each pair of subject and object four levitated markers, and has no inverse classes.
        bidirectional: decide on both directions of a pair together, with inverse classes; False decides on each
            direction alone.
        decode_each_direction: decide on each direction alone although the model was trained for both (an ablation).
        entity_head: predict the types of entities too; False takes those of the given entities.
        type_markers: markers say the types of the given entities.
        att_left, att_right: the start (end) markers of a training example's objects see each other.
        max_seq_length: subwords of a window, special tokens and the two solid markers included.
        max_pair_length: objects of one training example; None puts all objects of a subject into one.
        pair_scores: what is added up over the two directions of a pair: `log_softmax`, `softmax` or `raw`.
    """

    model_type = "plmarker-re"

    subject_markers: str = "solid"
    bidirectional: bool = True
    decode_each_direction: bool = False
    entity_head: bool = True
    type_markers: bool = False
    att_left: bool = False
    att_right: bool = False
    max_seq_length: int = 256
    max_pair_length: int | None = 16
    pair_scores: str = "log_softmax"

    def __post_init__(self, **kwargs):
        if self.subject_markers == "levitated":
            self.bidirectional = False
        super().__post_init__(**kwargs)

    def validate_variant(self):
        """Which options go together."""
        _one_of(self, "subject_markers", ("solid", "levitated"))
        _one_of(self, "pair_scores", ("log_softmax", "softmax", "raw"))
        if self.subject_markers == "levitated":
            for name in ("type_markers", "att_left", "att_right"):
                if getattr(self, name):
                    raise ValueError(f"{name} needs subject_markers 'solid'")
            if not self.entity_head:
                raise ValueError("subject_markers 'levitated' needs the entity head")
        elif "last_group" in (self.quirks or ()):
            raise ValueError("quirk 'last_group' is one of subject_markers 'levitated'")

    @property
    def default_quirks(self) -> list[str]:
        return ["raw_brackets", "last_group" if self.subject_markers == "levitated" else "inverse_score"]

    def feature_options(self, training: bool = False) -> dict[str, Any]:
        """What `relation_features` has to know of the model."""
        in_groups = training or any(self.joined) or self.has_quirk("last_group")
        return {
            "max_seq_length": self.max_seq_length,
            "max_pair_length": self.max_pair_length if in_groups else None,
            "levitated": self.subject_markers == "levitated",
            "inverse": self.bidirectional,
            "self_pairs": self.entity_head,
            "empty_subject": training and self.entity_head and self.subject_markers == "solid",
            "map_brackets": not self.has_quirk("raw_brackets"),
        }

    @property
    def classes(self) -> list[str]:
        classes = self.schema.relation_classes
        return classes if self.bidirectional else classes[: self.schema.n_forward]

    @property
    def adds_directions(self) -> bool:
        """Whether the scores of a pair's two directions are added up, or each decides alone."""
        return self.bidirectional and not self.decode_each_direction

    @property
    def counts_directions(self) -> bool:
        """Whether a symmetric relation must be found in both directions to be counted whole."""
        is_solid = self.subject_markers == "solid"
        return not self.adds_directions and (is_solid or self.has_quirk("last_group"))

    @property
    def joined(self) -> tuple[bool, bool]:
        """Whether the objects of an example see each other, by their start and by their end markers."""
        return self.att_left, self.att_right

    @property
    def n_marker_types(self) -> int:
        """How many kinds of markers a subject or object may have: one, or one for each entity class."""
        return len(self.schema.entity_classes) if self.type_markers else 1

    @property
    def marker_words(self) -> tuple[str | None, ...]:
        if self.type_markers:
            kinds = (None, "subject", None, "object")
            return (None, "subject", *(word for word in kinds for _ in range(self.n_marker_types)))
        return (None, "subject", None, "object")


@strict
class PLMarkerConfig(_CheckedConfig):
    """Configuration of [`PLMarkerModel`]: an entity model and a relation model in one checkpoint.

    Args:
        entity_config: configuration of the entity model.
        relation_config: configuration of the relation model; None for a model of entities alone.
    """

    model_type = "plmarker"
    sub_configs = {"entity_config": PLMarkerEntityConfig, "relation_config": PLMarkerRelationConfig}

    entity_config: SubConfig = None  # type: ignore[assignment]
    relation_config: SubConfig | None = None
    training_run: dict[str, Any] | None = None

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

    @property
    def compat(self) -> str | None:
        """The two models' `compat`; setting it sets both."""
        compat: str | None = self.entity_config.compat
        return compat

    @compat.setter
    def compat(self, value: str | None) -> None:
        for config in (self.entity_config, self.relation_config):
            if config is not None:
                config.compat = value
