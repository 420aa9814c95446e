"""The entity model and the relation model: an encoder over packed rows and a linear head each."""

from __future__ import annotations

import reprlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn
from tqdm.auto import tqdm
from transformers import AutoTokenizer, PreTrainedTokenizerBase
from transformers.utils import ModelOutput

from .base_plmarker import HUB_ARGUMENTS, PLMarkerBaseModel, PLMarkerPreTrainedModel
from .configuration_plmarker import PLMarkerConfig, PLMarkerEntityConfig, PLMarkerRelationConfig
from .decoding_plmarker import ScoredRelation, ScoredSpan, remove_overlaps
from .encoders_plmarker import check_marker_tokens
from .extraction_plmarker import Extraction, build_extraction
from .prediction_plmarker import BATCH_TOKENS, Document, as_annotations, predict_relations, predict_spans
from .schema_plmarker import NIL, PLMarkerError, Threshold, least_scores
from .text_plmarker import SentenceSplitter, join_words, locate_words, split_sentences
from .windows_plmarker import WordTokenizer


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
        entity_logits: shape (objects, entity classes), the object's type, NIL first; None without entity head.
        subject_logits: shape (objects, entity classes), the subject's type, where it has levitated markers.
        relation_loss, entity_loss: the mean cross entropies.
    """

    loss: Tensor | None = None
    logits: Tensor | None = None
    entity_logits: Tensor | None = None
    subject_logits: Tensor | None = None
    relation_loss: Tensor | None = None
    entity_loss: Tensor | None = None


class PLMarkerForEntityRecognition(PLMarkerPreTrainedModel):
    """Scores every candidate span of a sentence by a levitated marker pair (paper, section 3.2).

    The head reads the two markers and the first and last subword: Linear(4 H, classes). The paper's baselines have no
    markers: T-Concat reads the two subwords, Linear(2 H, classes); the tagger a word's first, Linear(H, classes).
    """

    config: PLMarkerEntityConfig
    config_class = PLMarkerEntityConfig

    def __init__(self, config: PLMarkerEntityConfig) -> None:
        super().__init__(config)
        self.n_states = {"marker": 4, "t-concat": 2, "bio": 1}[config.method]
        self.classifier = nn.Linear(self.n_states * self.encoder.config.hidden_size, len(config.classes))
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
            span_index: shape (spans, 4), where the two markers, the first and the last subword stand in the row;
                (spans, 2) without markers.
            labels: shape (spans,), class indices.
        """
        states = self.encode(input_ids, position_ids, window_lengths)
        logits = self.classifier(states[span_index[:, : self.n_states]].flatten(1))
        loss = None if labels is None else self._cross_entropy(logits, labels, self.config.nil_weight)
        return EntityRecognitionOutput(loss=loss, logits=logits)


class PLMarkerForRelationExtraction(PLMarkerPreTrainedModel):
    """Scores all objects of a subject at once: solid markers around it, levitated ones for them (paper, section 3.3).

    The object's type is Linear(2 H)(object); the relation Linear(2 H)(subject) + Linear(2 H)(object). With levitated
    subjects the type head reads both, and the sum of the two is the relation's Linear(4 H)(subject, object).
    """

    config: PLMarkerRelationConfig
    config_class = PLMarkerRelationConfig

    def __init__(self, config: PLMarkerRelationConfig) -> None:
        super().__init__(config)
        width = 2 * self.encoder.config.hidden_size
        self.levitated = config.subject_markers == "levitated"
        self.marker_block = 4 if self.levitated else 2
        self.joined_markers = config.joined
        self.entity_classifier = None
        if config.entity_head:
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
        subject_labels: Tensor | None = None,
    ) -> RelationExtractionOutput:
        """Score the objects of a packed row.

        Args:
            input_ids, position_ids, window_lengths: the row, see `encode`.
            subject_index: shape (objects, 2), where the markers of each object's subject stand.
            object_index: shape (objects, 2), where the object's own markers stand.
            labels: shape (objects,), relation classes.
            object_labels: shape (objects,), entity classes.
            subject_labels: shape (objects,), entity classes; with levitated subjects alone.
        """
        states = self.encode(input_ids, position_ids, window_lengths)
        subjects, objects = states[subject_index].flatten(1), states[object_index].flatten(1)
        logits = self.subject_classifier(subjects) + self.object_classifier(objects)
        entity_logits = self.entity_classifier(objects) if self.entity_classifier else None
        subject_logits = self.entity_classifier(subjects) if self.entity_classifier and self.levitated else None
        loss = relation_loss = entity_loss = None
        if labels is not None:
            loss = relation_loss = self._cross_entropy(logits, labels, self.config.nil_weight)
            losses = [
                self._cross_entropy(typed, types)
                for typed, types in ((entity_logits, object_labels), (subject_logits, subject_labels))
                if typed is not None and types is not None
            ]
            if losses:
                entity_loss = torch.stack(losses).sum()
                loss = relation_loss + entity_loss
        return RelationExtractionOutput(loss, logits, entity_logits, subject_logits, relation_loss, entity_loss)


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
                than the tokenizer gives, and for an adapted model.
        """
        for model, expected in ((entity, PLMarkerForEntityRecognition), (relation, PLMarkerForRelationExtraction)):
            if not isinstance(model, expected) and not (model is None and expected is PLMarkerForRelationExtraction):
                raise PLMarkerError(
                    f"expected a {expected.__name__}, got a {type(model).__name__}; of an adapted model "
                    "merge_and_unload() makes one"
                )
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
        for part in (model.entity, model.relation):
            if part is not None:
                # What an adapter of a part names as its base; where somebody keeps files is not for a config to tell.
                part.name_or_path = model.name_or_path
                part.config._name_or_path = "" if Path(model.name_or_path).exists() else model.name_or_path
        hub = {name: kwargs[name] for name in HUB_ARGUMENTS if name in kwargs}
        with suppress(OSError, ValueError):
            model.tokenizer = AutoTokenizer.from_pretrained(
                pretrained_model_name_or_path, trust_remote_code=False, **hub
            )
        return loaded

    def save_pretrained(
        self, save_directory: Any, is_main_process: bool = True, *args: Any, include_code: bool = False, **kwargs: Any
    ) -> None:
        """As of the other models, with the tokenizer beside the weights."""
        # First, so that push_to_hub uploads it too.
        if self.tokenizer is not None and is_main_process:
            self.tokenizer.save_pretrained(save_directory)
        super().save_pretrained(save_directory, is_main_process, *args, include_code=include_code, **kwargs)

    def extract(
        self,
        text: str | Sequence[str] | None = None,
        *,
        words: Sequence[Sequence[str]] | None = None,
        batch_tokens: int = BATCH_TOKENS,
        show_progress: bool = False,
        entity_threshold: Threshold = 0.0,
        relation_threshold: Threshold = 0.0,
        sentence_splitter: SentenceSplitter = split_sentences,
    ) -> Extraction | list[Extraction]:
        """Find entities and relations in raw text.

        Args:
            text: one text, or several.
            words: in place of text, the sentences of one document, already cut into words.
            batch_tokens: most tokens of a packed row; more is faster on GPUs, up to their memory.
            show_progress: show a progress bar over the texts.
            entity_threshold, relation_threshold: least score of what is returned: a number, or a number for each
                label, as `{"Person": 0.8}`; of a label that is not named all is returned.
            sentence_splitter: returns the sentences of a text.

        Returns:
            One [`Extraction`], or a list in the order of the texts where several were given.

        Raises:
            PLMarkerError: for a threshold of an unknown label, or a model without its tokenizer.
        """
        if (text is None) == (words is None):
            raise PLMarkerError("extract takes either text or words=")
        if words is not None:
            sentences: list[Any] = [
                [None] if isinstance(sentence, str | bytes) else list(sentence) for sentence in words
            ]
            if not all(isinstance(word, str) for sentence in sentences for word in sentence):
                raise PLMarkerError("words= is a list of sentences, each a list of words")
            located_texts = [join_words(sentences)]
        else:
            texts = _texts(text)
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
        entity_threshold: Threshold = 0.0,
        relation_threshold: Threshold = 0.0,
    ) -> Iterator[tuple[Document, list[list[ScoredSpan]], list[list[ScoredRelation]]]]:
        """Find entities, and the relations between them, in a stream of documents.

        Args:
            documents: mappings with `doc_key` and `sentences` of words; annotations are not read.

        Yields:
            Each document, in order, with the entities and the relations of each of its sentences.
        """
        if isinstance(batch_tokens, bool) or not isinstance(batch_tokens, int) or batch_tokens < 1:
            raise PLMarkerError(f"batch_tokens is a whole number from 1, got {batch_tokens!r}")
        if self.tokenizer is None:
            raise PLMarkerError("the model has no tokenizer: load it with from_pretrained, or set model.tokenizer")
        tokenize = WordTokenizer(self.tokenizer)
        classes = self.entity.config.schema.entity_classes

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
            least_scores(relation_threshold, [NIL])
            for document in with_entities():
                yield document["source"], document["spans"], [[] for _ in document["spans"]]
            return
        for document, relations in predict_relations(
            self.relation, tokenize, with_entities(), batch_tokens, threshold=relation_threshold
        ):
            yield document["source"], document["spans"], relations


def _texts(given: Any) -> list[str]:
    """One text or several, as a list."""
    if isinstance(given, str):
        return [given]
    texts = list(given) if isinstance(given, Iterable) and not isinstance(given, bytes | Mapping) else [given]
    if not all(isinstance(text, str) for text in texts):
        raise PLMarkerError(f"extract takes a text or a list of texts, got {reprlib.repr(given)}")
    return texts
