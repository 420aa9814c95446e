"""The entity model and the relation model: an encoder over packed rows and a linear head each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import torch
from huggingface_hub.errors import StrictDataclassError
from torch import Tensor, nn
from torch.nn import functional as F
from tqdm.auto import tqdm
from transformers import AutoModel, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase
from transformers.utils import ModelOutput

from .attention_plmarker import LEVITATED, PackedLayout
from .configuration_plmarker import PLMarkerConfig, PLMarkerEntityConfig, PLMarkerRelationConfig, PLMarkerTaskConfig
from .decoding_plmarker import ScoredRelation, ScoredSpan, remove_overlaps
from .encoders_plmarker import (
    add_marker_tokens,
    check_encoder,
    check_encoder_config,
    check_marker_tokens,
    choose_marker_tokens,
    encoder_kwargs,
    load_encoder,
    load_encoder_config,
    load_tokenizer,
    position_offset,
    resolve_encoder,
)
from .extraction_plmarker import Extraction, build_extraction
from .packing_plmarker import Row, entity_row, relation_row
from .prediction_plmarker import BATCH_TOKENS, Document, as_annotations, predict_relations, predict_spans
from .processing_plmarker import Feature
from .schema_plmarker import LabelSchema, PLMarkerError
from .text_plmarker import SentenceSplitter, join_words, locate_words, split_sentences
from .windows_plmarker import WordTokenizer

Model = TypeVar("Model", bound="PLMarkerPreTrainedModel")

# Arguments of from_pretrained that say where the files are; the tokenizer lies at the same place.
HUB_ARGUMENTS = ("revision", "subfolder", "token", "cache_dir", "force_download", "local_files_only")


@dataclass
class EntityRecognitionOutput(ModelOutput):
    """Output of [`PLMarkerForEntityRecognition`].

    Args:
        loss: scalar, where `labels` were given: weighted mean cross entropy over all spans of the row.
        logits: shape (spans, classes), NIL first.
    """

    loss: Tensor | None = None
    logits: Tensor | None = None


@dataclass
class RelationExtractionOutput(ModelOutput):
    """Output of [`PLMarkerForRelationExtraction`].

    Args:
        loss: scalar, where labels were given: `relation_loss` + `entity_loss`.
        logits: shape (objects, relation classes), NIL first, inverse classes last.
        entity_logits: shape (objects, entity classes), the object's type, NIL first.
        relation_loss, entity_loss: the mean cross entropies.
    """

    loss: Tensor | None = None
    logits: Tensor | None = None
    entity_logits: Tensor | None = None
    relation_loss: Tensor | None = None
    entity_loss: Tensor | None = None


class PLMarkerBaseModel(PreTrainedModel):
    """What every model here says to transformers about itself."""

    supports_gradient_checkpointing = True
    _supports_sdpa = True
    _supports_attention_backend = True
    # FlashAttention cannot take levitated markers: it reads their positions as packed sequences.
    _supports_flash_attn = False
    _supports_flex_attn = False

    def get_correct_attn_implementation(self, requested_attention: str | None, is_init_check: bool = False) -> str:
        """Levitated attention unless the user asks for another one."""
        return super().get_correct_attn_implementation(requested_attention or LEVITATED, is_init_check)


class PLMarkerPreTrainedModel(PLMarkerBaseModel):
    """An encoder over packed rows; the base of the two task models."""

    config: PLMarkerTaskConfig
    config_class: type[PLMarkerTaskConfig]
    base_model_prefix = "encoder"
    # The loss is a mean over the row's spans, weighted by class: it cannot be renormalised by a count from outside.
    accepts_loss_kwargs = False

    def __init__(self, config: PLMarkerTaskConfig) -> None:
        super().__init__(config)
        encoder_config = config.encoder_config
        check_encoder_config(encoder_config)
        # The dtype is that of the model around it, not what the encoder was once saved in.
        self.encoder = AutoModel.from_config(
            encoder_config,
            attn_implementation=config._attn_implementation,
            dtype=torch.get_default_dtype(),
            **encoder_kwargs(encoder_config),
        )
        check_encoder(self.encoder)
        self.position_offset = position_offset(self.encoder)
        dropout = config.head_dropout
        if dropout is None:
            # DistilBERT has another name for it.
            dropout = getattr(encoder_config, "hidden_dropout_prob", getattr(encoder_config, "dropout", 0.0))
        self.dropout = nn.Dropout(dropout)

    @classmethod
    def from_encoder(
        cls: type[Model],
        name_or_path: str,
        schema: LabelSchema,
        marker_init: str = "random",
        tokenizer: PreTrainedTokenizerBase | None = None,
        **config_values: Any,
    ) -> Model:
        """Start from a pretrained encoder, with new heads and marker tokens.

        Args:
            name_or_path: a Hub id, a local folder, or `minilm`.
            schema: the labels to predict.
            marker_init: `lm` copies the markers' embeddings from [MASK] and from words that say what they mark (the
                original's `lminit`); `random` leaves the embeddings as the encoder has them.
            tokenizer: where it is not the encoder's own.
            config_values: fields of the model's config, such as `max_seq_length`.

        Raises:
            PLMarkerError: for an encoder that cannot be loaded or cannot carry levitated markers, a window longer
                than its positions, or a field that the config does not have.
        """
        known = cls.config_class.__dataclass_fields__
        for name in config_values:
            if name not in known:
                raise PLMarkerError(f"{cls.config_class.__name__} has no field {name!r}")
        if marker_init not in ("random", "lm"):
            raise PLMarkerError(f"marker_init is 'random' or 'lm', not {marker_init!r}")
        encoder_config = load_encoder_config(name_or_path)
        check_encoder_config(encoder_config)
        tokenizer = tokenizer or load_tokenizer(name_or_path)
        names = choose_marker_tokens(tokenizer, len(cls.marker_init_words))
        token_ids = add_marker_tokens(tokenizer, names)
        values: dict[str, Any] = {**schema.to_dict(), **config_values}
        try:
            config = cls.config_class(
                encoder_config=encoder_config,
                marker_tokens=names,
                marker_token_ids=token_ids,
                pad_token_id=tokenizer.pad_token_id,
                **values,
            )
        except StrictDataclassError as error:
            raise PLMarkerError(f"{cls.config_class.__name__}: {' '.join(str(error).split())}") from None
        encoder = load_encoder(resolve_encoder(name_or_path), encoder_config)
        if max(token_ids) >= encoder.config.vocab_size:
            encoder.resize_token_embeddings(max(token_ids) + 1)
            config.encoder_config.vocab_size = max(token_ids) + 1
        model = cls(config)
        model._check_window()
        model.encoder.load_state_dict(encoder.state_dict())
        if marker_init == "lm":
            model.init_markers(tokenizer)
        return model

    # Token or word from which `lm` initialisation copies each marker; None stands for the mask token.
    marker_init_words: tuple[str | None, ...] = ()

    @torch.no_grad()
    def init_markers(self, tokenizer: PreTrainedTokenizerBase) -> None:
        """Copy the markers' embeddings from [MASK] and from words that say what they mark (SPEC, `lminit`)."""
        if tokenizer.mask_token_id is None:
            raise PLMarkerError("marker_init 'lm' needs a tokenizer with a mask token; use 'random'")
        table = self.encoder.get_input_embeddings().weight
        for token_id, word in zip(self.config.marker_token_ids, self.marker_init_words, strict=True):
            source = tokenizer.mask_token_id
            if word is not None:
                source = tokenizer(word, add_special_tokens=False)["input_ids"][0]
            table[token_id] = table[source].clone()

    def _check_window(self) -> None:
        room = getattr(self.config.encoder_config, "max_position_embeddings", None)
        if room is not None and self.config.max_seq_length + self.position_offset > room:
            raise PLMarkerError(
                f"max_seq_length is {self.config.max_seq_length}, but encoder "
                f"{self.config.encoder_config.model_type!r} has positions for {room - self.position_offset} subwords"
            )

    # Makes the row of tensors that `forward` takes, from features and the ids of the marker tokens.
    make_row: Callable[[Sequence[Feature], Sequence[int]], Row]

    def pack(self, features: Sequence[Feature]) -> Row:
        """Make the row of tensors that `forward` takes."""
        return type(self).make_row(features, self.config.marker_token_ids)

    def encode(self, input_ids: Tensor, position_ids: Tensor, window_lengths: Tensor) -> Tensor:
        """Encode a packed row.

        Args:
            input_ids, position_ids: shape (1, tokens); positions count from 0 in every window.
            window_lengths: shape (windows, 2), text and marker tokens of each window.

        Returns:
            States after dropout, shape (tokens, hidden size).
        """
        layout = PackedLayout.from_lengths(window_lengths, position_ids)
        position_ids = position_ids + self.position_offset
        if self.encoder.config._attn_implementation == LEVITATED:
            # Without a mask for each, encoders with local layers would make a mask over the whole row for them.
            masks = {"full_attention": None, "sliding_attention": None} if self._has_local_layers else None
            batch: dict[str, Any] = {"input_ids": input_ids, "position_ids": position_ids, "attention_mask": masks}
            states = self.encoder(**batch, layout=layout).last_hidden_state[0]
        else:
            states = self._encode_dense(input_ids, position_ids, layout)
        return self.dropout(states)

    def _encode_dense(self, input_ids: Tensor, position_ids: Tensor, layout: PackedLayout) -> Tensor:
        """The reference: a padded batch of windows and a dense mask over text and markers."""
        index = layout.padded_index
        places = index.clamp(min=0)
        sliding_window = getattr(self.encoder.config, "sliding_window", None)
        mask: Any = self._dense_mask(layout.dense_mask())
        if self._has_local_layers:
            # A single mask would be used for local layers too.
            mask = {"full_attention": mask, "sliding_attention": self._dense_mask(layout.dense_mask(sliding_window))}
        batch: dict[str, Any] = {"input_ids": input_ids[0, places], "position_ids": position_ids[0, places]}
        padded = self.encoder(**batch, attention_mask=mask).last_hidden_state
        return padded[index >= 0]

    @property
    def _has_local_layers(self) -> bool:
        return "sliding_attention" in (getattr(self.encoder.config, "layer_types", None) or ())

    def _dense_mask(self, mask: Tensor) -> Tensor:
        """The form that the attention implementation takes: eager adds whatever it is given, even a boolean."""
        if self.encoder.config._attn_implementation != "eager":
            return mask
        additive = torch.zeros(mask.shape, dtype=self.dtype, device=mask.device)
        return additive.masked_fill_(~mask, torch.finfo(self.dtype).min)

    def _cross_entropy(self, logits: Tensor, labels: Tensor, nil_weight: float = 1.0) -> Tensor:
        weight = torch.ones(logits.shape[-1], dtype=torch.float32, device=logits.device)
        weight[0] = nil_weight
        return F.cross_entropy(logits.float(), labels, weight=weight)


class PLMarkerForEntityRecognition(PLMarkerPreTrainedModel):
    """Scores every candidate span of a sentence by a levitated marker pair (paper, section 3.2).

    The head reads the two markers and the first and last subword: Linear(4 H, classes).
    """

    config: PLMarkerEntityConfig
    config_class = PLMarkerEntityConfig
    marker_init_words = (None, "entity")
    make_row = staticmethod(entity_row)

    def __init__(self, config: PLMarkerEntityConfig) -> None:
        super().__init__(config)
        self.classifier = nn.Linear(4 * self.encoder.config.hidden_size, len(config.classes))
        self.post_init()

    def forward(
        self,
        input_ids: Tensor,
        position_ids: Tensor,
        window_lengths: Tensor,
        span_index: Tensor,
        labels: Tensor | None = None,
    ) -> EntityRecognitionOutput:
        """Score the spans of a packed row.

        Args:
            input_ids, position_ids, window_lengths: the row, see `encode`.
            span_index: shape (spans, 4), where the two markers, the first and the last subword stand in the row.
            labels: shape (spans,), class indices.
        """
        states = self.encode(input_ids, position_ids, window_lengths)
        logits = self.classifier(states[span_index].flatten(1))
        loss = None if labels is None else self._cross_entropy(logits, labels, self.config.nil_weight)
        return EntityRecognitionOutput(loss=loss, logits=logits)


class PLMarkerForRelationExtraction(PLMarkerPreTrainedModel):
    """Scores all objects of a subject at once: solid markers around it, levitated ones for them (paper, section 3.3).

    The object's type is Linear(2 H)(object); the relation Linear(2 H)(subject) + Linear(2 H)(object).
    """

    config: PLMarkerRelationConfig
    config_class = PLMarkerRelationConfig
    marker_init_words = (None, "subject", None, "object")
    make_row = staticmethod(relation_row)

    def __init__(self, config: PLMarkerRelationConfig) -> None:
        super().__init__(config)
        width = 2 * self.encoder.config.hidden_size
        self.entity_classifier = nn.Linear(width, len(config.schema.entity_classes))
        self.subject_classifier = nn.Linear(width, len(config.classes))
        self.object_classifier = nn.Linear(width, len(config.classes))
        self.post_init()

    def forward(
        self,
        input_ids: Tensor,
        position_ids: Tensor,
        window_lengths: Tensor,
        subject_index: Tensor,
        object_index: Tensor,
        labels: Tensor | None = None,
        object_labels: Tensor | None = None,
    ) -> RelationExtractionOutput:
        """Score the objects of a packed row.

        Args:
            input_ids, position_ids, window_lengths: the row, see `encode`.
            subject_index: shape (objects, 2), where the solid markers of each object's subject stand.
            object_index: shape (objects, 2), where the object's own markers stand.
            labels: shape (objects,), relation classes.
            object_labels: shape (objects,), entity classes.
        """
        states = self.encode(input_ids, position_ids, window_lengths)
        subjects, objects = states[subject_index].flatten(1), states[object_index].flatten(1)
        entity_logits = self.entity_classifier(objects)
        logits = self.subject_classifier(subjects) + self.object_classifier(objects)
        loss = relation_loss = entity_loss = None
        if labels is not None and object_labels is not None:
            relation_loss = self._cross_entropy(logits, labels, self.config.nil_weight)
            entity_loss = self._cross_entropy(entity_logits, object_labels)
            loss = relation_loss + entity_loss
        return RelationExtractionOutput(loss, logits, entity_logits, relation_loss, entity_loss)


class PLMarkerModel(PLMarkerBaseModel):
    """An entity model and a relation model in one checkpoint: text in, entities and relations out.

    The tokenizer is saved and loaded with the model. The relation model may be missing; then there are only entities.
    """

    config: PLMarkerConfig
    config_class = PLMarkerConfig
    tokenizer: PreTrainedTokenizerBase | None = None

    def __init__(self, config: PLMarkerConfig) -> None:
        super().__init__(config)
        self.entity = PLMarkerForEntityRecognition(cast(PLMarkerEntityConfig, config.entity_config))
        self.relation: PLMarkerForRelationExtraction | None = None
        if config.relation_config is not None:
            self.relation = PLMarkerForRelationExtraction(cast(PLMarkerRelationConfig, config.relation_config))
        self.post_init()

    @classmethod
    def from_models(
        cls,
        entity: PLMarkerForEntityRecognition,
        relation: PLMarkerForRelationExtraction | None,
        tokenizer: PreTrainedTokenizerBase,
    ) -> PLMarkerModel:
        """Combine two trained models, which share the tokenizer; their weights are not copied.

        Raises:
            PLMarkerError: when the models were trained for different entity labels, or with different marker ids
                than the tokenizer gives.
        """
        if relation is not None and entity.config.entity_labels != relation.config.entity_labels:
            raise PLMarkerError(
                f"the entity model knows {entity.config.entity_labels}, the relation model "
                f"{relation.config.entity_labels}: train both on one label schema"
            )
        for model in (entity, relation):
            if model is not None:
                check_marker_tokens(tokenizer, model.config.marker_tokens, model.config.marker_token_ids)
        config = PLMarkerConfig(
            entity_config=entity.config, relation_config=None if relation is None else relation.config
        )
        config._attn_implementation = entity.config._attn_implementation
        with torch.device("meta"):
            combined = cls(config)
        combined.entity, combined.relation, combined.tokenizer = entity, relation, tokenizer
        return combined

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: Any, *args: Any, **kwargs: Any) -> Any:
        """As `PreTrainedModel.from_pretrained`; the tokenizer is loaded from the same place, if one is there."""
        loaded = super().from_pretrained(pretrained_model_name_or_path, *args, **kwargs)
        model = loaded[0] if isinstance(loaded, tuple) else loaded
        hub = {name: kwargs[name] for name in HUB_ARGUMENTS if name in kwargs}
        with suppress(OSError, ValueError):
            model.tokenizer = AutoTokenizer.from_pretrained(pretrained_model_name_or_path, **hub)
        return loaded

    def save_pretrained(self, save_directory: Any, *args: Any, **kwargs: Any) -> None:
        """As `PreTrainedModel.save_pretrained`, with the tokenizer beside the weights."""
        # First, so that push_to_hub uploads it too.
        if self.tokenizer is not None:
            self.tokenizer.save_pretrained(save_directory)
        super().save_pretrained(save_directory, *args, **kwargs)

    def extract(
        self,
        text: str | Sequence[str] | None = None,
        *,
        words: Sequence[Sequence[str]] | None = None,
        batch_tokens: int = BATCH_TOKENS,
        show_progress: bool = False,
        entity_threshold: float = 0.0,
        relation_threshold: float = 0.0,
        sentence_splitter: SentenceSplitter = split_sentences,
    ) -> Extraction | list[Extraction]:
        """Find entities and relations in raw text.

        Args:
            text: one text, or several.
            words: in place of text, the sentences of one document, already cut into words.
            batch_tokens: most tokens of a packed row; more is faster on GPUs, up to their memory.
            show_progress: show a progress bar over the texts.
            entity_threshold, relation_threshold: least score of what is returned.
            sentence_splitter: returns the sentences of a text.

        Returns:
            One [`Extraction`], or a list in the order of the texts where several were given.
        """
        if (text is None) == (words is None):
            raise ValueError("extract takes either text or words=")
        if words is not None and any(isinstance(sentence, str) for sentence in words):
            raise ValueError("words= is a list of sentences, each a list of words")
        if words is not None:
            located_texts = [join_words(words)]
        else:
            texts = [text] if isinstance(text, str) else list(text or ())
            located_texts = [(item, locate_words(item, sentence_splitter)) for item in texts]
        documents = (
            {"doc_key": str(number), "sentences": [[item[a:b] for a, b in sentence] for sentence in located]}
            for number, (item, located) in enumerate(located_texts)
        )
        predictions = self.predict(documents, batch_tokens, entity_threshold, relation_threshold)
        progress = tqdm(predictions, total=len(located_texts), disable=not show_progress, unit="text")
        results = [
            build_extraction(item, located, spans, relations, self.config.schema)
            for (item, located), (_, spans, relations) in zip(located_texts, progress, strict=True)
        ]
        return results[0] if words is not None or isinstance(text, str) else results

    def predict(
        self,
        documents: Iterable[Document],
        batch_tokens: int = BATCH_TOKENS,
        entity_threshold: float = 0.0,
        relation_threshold: float = 0.0,
    ) -> Iterator[tuple[Document, list[list[ScoredSpan]], list[list[ScoredRelation]]]]:
        """Find entities, and the relations between them, in a stream of documents.

        Args:
            documents: mappings with `doc_key` and `sentences` of words; annotations are not read.

        Yields:
            Each document, in order, with the entities and the relations of each of its sentences.
        """
        if self.tokenizer is None:
            raise PLMarkerError("the model has no tokenizer: load it with from_pretrained, or set model.tokenizer")
        tokenize = WordTokenizer(self.tokenizer)
        classes = self.entity.config.classes

        def with_entities() -> Iterator[Document]:
            for document, found in predict_spans(self.entity, tokenize, documents, batch_tokens, entity_threshold):
                spans = [remove_overlaps(sentence, self.entity.config.flat) for sentence in found]
                # The annotations of the document, if it has any, stay behind.
                yield {
                    "doc_key": document.get("doc_key", ""),
                    "sentences": document["sentences"],
                    "predicted_ner": [as_annotations(sentence, classes) for sentence in spans],
                    "source": document,
                    "spans": spans,
                }

        if self.relation is None:
            for document in with_entities():
                yield document["source"], document["spans"], [[] for _ in document["spans"]]
            return
        for document, relations in predict_relations(
            self.relation, tokenize, with_entities(), batch_tokens, threshold=relation_threshold
        ):
            yield document["source"], document["spans"], relations
