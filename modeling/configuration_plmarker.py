"""Configurations of the three models."""

# No `from __future__ import annotations` here: `strict` checks values against the real types.

import re
from dataclasses import field
from pathlib import Path
from typing import Any

from huggingface_hub.dataclasses import strict
from transformers import AutoConfig, PreTrainedConfig

from .schema_plmarker import LabelSchema, least_scores
from .tagging_plmarker import tag_classes

# The best of what was tried on SciERC, see benchmarks/README.md.
PAIR_WEIGHT, PAIR_DROPOUT = 5.0, 0.3
# The name of a model on the Hub. Each part has at most 96 characters.
HUB_ID = re.compile(r"\w[\w.-]{0,95}(/\w[\w.-]{0,95})?")

# A nested config may be given as a mapping. Once the outer config is built, it is a config. `strict` cannot say this.
SubConfig = Any


class _SafeConfig(PreTrainedConfig):
    """A config that may come from a stranger, and may go to one."""

    @classmethod
    def from_dict(cls, config_dict, **kwargs):
        """As `PreTrainedConfig.from_dict`, without an attention implementation: transformers would fetch and run it."""
        return super().from_dict(_without_attention(config_dict), **kwargs)

    def to_dict(self):
        """As `PreTrainedConfig.to_dict`. A nested config may say which encoder of the Hub it is from, but no folder."""
        values = super().to_dict()
        # Trainer sets it, and loading drops it. No model here has a cache.
        values.pop("use_cache", None)
        for name in self.sub_configs:
            if isinstance(values.get(name), dict) and not is_hub_id(values[name].get("_name_or_path")):
                values[name].pop("_name_or_path", None)
        return values


def is_hub_id(name: Any) -> bool:
    """Whether this is the name of a model on the Hub: it has the form of one, and is no folder here."""
    return isinstance(name, str) and HUB_ID.fullmatch(name) is not None and not Path(name).exists()


def _without_attention(values: Any) -> Any:
    if not isinstance(values, dict):
        return values
    return {key: _without_attention(value) for key, value in values.items() if "attn_implementation" not in str(key)}


@strict
class PLMarkerTaskConfig(_SafeConfig):
    """The fields that the entity model and the relation model have in common.

    Args:
        encoder_config: the encoder's own configuration; any supported `transformers` encoder.
        entity_labels: entity types, without NIL.
        relation_labels: relation types without NIL, symmetric ones first. An entity model only keeps them.
        symmetric_labels: the symmetric relation types.
        constraints: what relations may join, by relation type, see [`LabelSchema`]. Decoding keeps them.
        marker_tokens: names of the marker tokens in the tokenizer.
        marker_token_ids: their ids, in the same order.
        pad_token_id: the tokenizer's padding id. Windows are never padded, but transformers compares it.
        nil_weight: weight of NIL in the loss (the original's `alpha`); in a relation model, in the relation loss only.
        head_dropout: dropout on the encoder's output. None takes the encoder's hidden dropout.
        compat: `original` computes what the published scripts compute, quirks included. None computes it right.
        quirks: which quirks of the published scripts `compat="original"` turns on (docs/original.md). None takes those
            of the scripts for ACE, SciERC and OntoNotes.
        temperature: what logits are divided by before they become scores; `calibrate` fits it.
        thresholds: least scores by label, where a call names no threshold; `calibrate` fits them.
        training_run: how the model was trained, for its card.
        tokenizer_hash: the hash of the vocabulary of the tokenizer that was saved with the model; None where there was
            none, and in older models.
    """

    sub_configs = {"encoder_config": AutoConfig}

    encoder_config: SubConfig = None
    entity_labels: list[str] = field(default_factory=list)
    relation_labels: list[str] = field(default_factory=list)
    symmetric_labels: list[str] = field(default_factory=list)
    constraints: dict[str, Any] = field(default_factory=dict)
    marker_tokens: list[str] = field(default_factory=list)
    marker_token_ids: list[int] = field(default_factory=list)
    pad_token_id: int | None = None
    nil_weight: float | int = 1.0
    head_dropout: float | int | None = None
    compat: str | None = None
    quirks: list[str] | None = None
    temperature: float | int = 1.0
    thresholds: dict[str, float | int] = field(default_factory=dict)
    training_run: dict[str, Any] | None = None
    tokenizer_hash: str | None = None

    def __post_init__(self, **kwargs):
        if not isinstance(self.encoder_config, PreTrainedConfig):
            values = dict(self.encoder_config or {})
            self.encoder_config = AutoConfig.for_model(values.pop("model_type", "bert"), **values)
        self.constraints = self.schema.to_dict().get("constraints", {})
        kwargs.setdefault("id2label", dict(enumerate(self.classes)))
        kwargs.setdefault("label2id", {label: index for index, label in enumerate(self.classes)})
        super().__post_init__(**kwargs)

    @property
    def schema(self) -> LabelSchema:
        """The labels that the model was built for."""
        return LabelSchema(
            tuple(self.entity_labels), tuple(self.relation_labels), tuple(self.symmetric_labels), self.constraints
        )

    def to_dict(self):
        """As `PreTrainedConfig.to_dict`. A config without constraints is written as it was before there were any."""
        values = super().to_dict()
        if not values.get("constraints"):
            values.pop("constraints", None)
        return values

    @property
    def classes(self) -> list[str]:
        """Names of the head's classes, NIL first."""
        raise NotImplementedError

    def validate_compat(self):
        """Only one implementation can be imitated."""
        if self.compat not in (None, "original"):
            raise ValueError(f"compat is None or 'original', got {self.compat!r}")

    def validate_limits(self):
        """A window holds some text beside its special tokens, and a span has a word."""
        for name, least in (("max_seq_length", 8), ("max_span_length", 1), ("max_pair_length", 1)):
            value = getattr(self, name, None)
            if value is not None and value < least:
                raise ValueError(f"{name} is at least {least}, got {value}")

    def validate_temperature(self):
        """Scores need a positive temperature."""
        if not 0 < self.temperature < float("inf"):
            raise ValueError(f"temperature is a number above 0, got {self.temperature}")

    def validate_nil_weight(self):
        """With a weight of 0, a batch of NIL spans has no mean."""
        if not 0 < self.nil_weight < float("inf"):
            raise ValueError(f"nil_weight is a number above 0, got {self.nil_weight}")


def _check_choice(config: PreTrainedConfig, name: str, values: tuple[str, ...]) -> None:
    if getattr(config, name) not in values:
        raise ValueError(f"{name} is one of {', '.join(values)}; got {getattr(config, name)!r}")


@strict
class PLMarkerEntityConfig(PLMarkerTaskConfig):
    """Configuration of [`PLMarkerForEntityRecognition`]; see [`PLMarkerTaskConfig`] for the other fields.

    `marker_tokens` are the start marker and the end marker. T-Concat and the tagger have none.

    Args:
        method: `marker` scores spans by levitated markers, `t-concat` by their first and last subword, `bio` tags
            words. The last two are the paper's baselines.
        tags: how `bio` tags words: `bio`, `iob1` (the original on CoNLL-2003) or `io` (the original on Few-NERD), see
            `tag_classes`.
        max_seq_length: subwords of a window, special tokens included (as in the original).
        shared_windows: read a long document in few windows, which sentences share. Each sentence has a sixteenth of a
            window as context on both sides, or the most that fits. False gives it its own window, as in the original.
        max_span_length: words of the widest candidate span.
        max_pair_length: marker pairs of one training example. None makes one example of a sentence.
        grouping: how the spans of a sentence are divided into training examples: `consecutive`, `shuffle`, `sort` (by
            start or end, in a random direction) or `edge` (as `sort`, and spans with the same start or end stay
            together). Scores do not depend on it.
        flat: True keeps no overlapping entities at all. False lets entities of different types nest or overlap.
        pruner_size: width of the pruner's hidden layer. 0 builds a model without a pruner.
        pruner_threshold: least probability by which the pruner lets a span have markers; a pruned span is NIL. With 0.0
            every span has markers. `PLMarkerTrainer` chooses it on its evaluation set, see `tune_pruner`.
        pruner_keep_f1: share of the unpruned model's Ent F1 that the threshold keeps.
        pruner_recall: share of the gold entities among the candidates that get markers; in place of `pruner_keep_f1`.
        late_layers: how many of the encoder's last layers markers pass. They start from the text states at both ends of
            their span and from their embeddings. None passes all layers, which is the published method.
    """

    model_type = "plmarker-ner"

    method: str = "marker"
    tags: str = "bio"
    max_seq_length: int = 512
    shared_windows: bool = False
    max_span_length: int = 8
    max_pair_length: int | None = 256
    grouping: str = "consecutive"
    flat: bool = False
    pruner_size: int = 0
    pruner_threshold: float | int = 0.0
    pruner_keep_f1: float | int = 0.997
    pruner_recall: float | int | None = None
    late_layers: int | None = None

    def validate_pruner(self):
        """Only markers can be pruned, and only markers can enter late."""
        if self.pruner_size < 0:
            raise ValueError(f"pruner_size is 0 or above, got {self.pruner_size}")
        if not 0.0 <= self.pruner_threshold < 1.0:
            raise ValueError(f"pruner_threshold is from 0 to below 1, got {self.pruner_threshold}")
        for share in (self.pruner_keep_f1, self.pruner_recall):
            if share is not None and not 0.0 < share <= 1.0:
                raise ValueError(f"pruner_keep_f1 and pruner_recall are above 0 and at most 1, got {share}")
        if self.pruner_threshold and not self.pruner_size:
            raise ValueError("pruner_threshold needs a pruner: set pruner_size")
        if self.late_layers is not None and self.late_layers < 1:
            raise ValueError(f"late_layers is at least 1, got {self.late_layers}")
        for name in ("pruner_size", "late_layers"):
            if getattr(self, name) and self.method != "marker":
                raise ValueError(f"{name} needs method 'marker', got {self.method!r}")

    def validate_method(self):
        """Each option has a few values, and only labels have thresholds."""
        least_scores(self.thresholds, self.schema.entity_classes)
        _check_choice(self, "method", ("marker", "t-concat", "bio"))
        _check_choice(self, "tags", ("bio", "iob1", "io"))
        _check_choice(self, "grouping", ("consecutive", "shuffle", "sort", "edge"))

    @property
    def classes(self) -> list[str]:
        if self.method == "bio":
            return tag_classes(self.schema.entity_labels, self.tags)
        return self.schema.entity_classes


@strict
class PLMarkerRelationConfig(PLMarkerTaskConfig):
    """Configuration of [`PLMarkerForRelationExtraction`]; see [`PLMarkerTaskConfig`] for the other fields.

    `marker_tokens` are the two around the subject, then the two of an object. With `type_markers` the two around a
    missing subject come first, then the subject's start markers, its end markers, the object's start markers and its
    end markers, one for each entity class.

    Args:
        subject_markers: `solid` writes the subject's markers into the text, and reads all its objects behind it.
            `levitated` gives each pair of subject and object four levitated markers, and has no inverse classes.
            `shared` gives each given entity one levitated marker pair, which names its type, and scores pairs of
            entities by a small head; the text is read once for all of them.
        bidirectional: decide on both directions of a pair together, with inverse classes. False decides on each
            direction alone.
        decode_each_direction: decide on each direction alone although the model was trained for both (an ablation).
        entity_head: predict the types of entities too. False takes the types of the given entities.
        entity_types: whose types the relations of `extract` and Rel+ have: `relation`, the relation model's own, or
            `input`, those of the given entities (the original's `use_ner_results`).
        type_markers: markers name the types of the given entities.
        att_left, att_right: the start (end) markers of a training example's objects see each other.
        max_seq_length: subwords of a window, special tokens and the two solid markers included.
        shared_windows: as in [`PLMarkerEntityConfig`]; with `shared` markers alone.
        pair_size: width of the hidden layer that scores pairs; with `shared` markers alone.
        max_pair_length: objects of one training example. None makes one example of a subject.
        pair_scores: what is added up over the two directions of a pair: `log_softmax`, `softmax` or `raw`.
    """

    model_type = "plmarker-re"

    subject_markers: str = "solid"
    bidirectional: bool = True
    decode_each_direction: bool = False
    entity_head: bool = True
    entity_types: str = "relation"
    type_markers: bool = False
    att_left: bool = False
    att_right: bool = False
    max_seq_length: int = 256
    shared_windows: bool = False
    pair_size: int = 256
    max_pair_length: int | None = 16
    pair_scores: str = "log_softmax"

    def __post_init__(self, **kwargs):
        if self.subject_markers == "levitated":
            self.bidirectional = False
        if self.subject_markers == "shared":
            self.entity_head, self.entity_types = False, "input"
        super().__post_init__(**kwargs)

    def validate_variant(self):
        """Some options exclude others, and only labels have thresholds."""
        least_scores(self.thresholds, self.schema.relation_classes[: self.schema.n_forward])
        _check_choice(self, "subject_markers", ("solid", "levitated", "shared"))
        _check_choice(self, "pair_scores", ("log_softmax", "softmax", "raw"))
        _check_choice(self, "entity_types", ("relation", "input"))
        if self.subject_markers != "solid":
            for name in ("type_markers", "att_left", "att_right"):
                if getattr(self, name):
                    raise ValueError(f"{name} needs subject_markers 'solid'")
        if self.shared_windows and self.subject_markers != "shared":
            raise ValueError("shared_windows of a relation model needs subject_markers 'shared'")
        if self.pair_size < 1:
            raise ValueError(f"pair_size is at least 1, got {self.pair_size}")
        if self.subject_markers == "levitated" and not self.entity_head:
            raise ValueError("subject_markers 'levitated' needs the entity head")

    @property
    def classes(self) -> list[str]:
        classes = self.schema.relation_classes
        return classes if self.bidirectional else classes[: self.schema.n_forward]

    @property
    def adds_directions(self) -> bool:
        """Whether the scores of a pair's two directions are added up. Otherwise each direction decides alone."""
        return self.bidirectional and not self.decode_each_direction


@strict
class PLMarkerConfig(_SafeConfig):
    """Configuration of [`PLMarkerModel`]: an entity model and a relation model in one checkpoint.

    Args:
        entity_config: configuration of the entity model.
        relation_config: configuration of the relation model. None for a model that finds entities alone.
        shared_encoder: both models read one text pass of one encoder. Then the relation model has `shared` markers.
        pair_weight: weight of the decisions about pairs in the loss of a shared encoder, where one about a span has 1.
            A window has far more spans than pairs.
        pair_dropout: share of the windows of a training batch whose pairs do not count in the loss of a shared encoder.
            They are drawn anew for each batch.
        training_run: how the models were trained, for the card.
    """

    model_type = "plmarker"
    sub_configs = {"entity_config": PLMarkerEntityConfig, "relation_config": PLMarkerRelationConfig}

    entity_config: SubConfig = None
    relation_config: SubConfig = None
    shared_encoder: bool = False
    pair_weight: float | int = PAIR_WEIGHT
    pair_dropout: float | int = PAIR_DROPOUT
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

    def validate_shared_encoder(self):
        """Two models share text states where they read the same windows."""
        if not 0 < self.pair_weight < float("inf"):
            raise ValueError(f"pair_weight is a number above 0, got {self.pair_weight}")
        if not 0.0 <= self.pair_dropout < 1.0:
            raise ValueError(f"pair_dropout is from 0 to below 1, got {self.pair_dropout}")
        if not self.shared_encoder:
            return
        entity, relation = self.entity_config, self.relation_config
        if relation is None or relation.subject_markers != "shared":
            raise ValueError("shared_encoder needs a relation_config with subject_markers 'shared'")
        for name in ("max_seq_length", "shared_windows"):
            ours, theirs = getattr(entity, name), getattr(relation, name)
            if ours != theirs:
                raise ValueError(f"both models need one {name}: entity has {ours}, relation has {theirs}")

    @property
    def parts(self) -> list[PLMarkerTaskConfig]:
        """The configurations of the models that are there."""
        return [part for part in (self.entity_config, self.relation_config) if isinstance(part, PLMarkerTaskConfig)]

    @property
    def schema(self) -> LabelSchema:
        """The labels of both models."""
        return self.parts[-1].schema

    @property
    def compat(self) -> str | None:
        """`compat` of both models. Setting it sets both."""
        return self.parts[0].compat

    @compat.setter
    def compat(self, value: str | None) -> None:
        for part in self.parts:
            part.compat = value
