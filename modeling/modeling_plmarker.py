"""The entity model, the relation model, and both in one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn
from transformers import PreTrainedTokenizerBase
from transformers.utils import ModelOutput

from .base_plmarker import PLMarkerBaseModel
from .configuration_plmarker import PLMarkerConfig, PLMarkerEntityConfig, PLMarkerRelationConfig
from .decoding_plmarker import ScoredRelation
from .encoders_plmarker import check_marker_tokens
from .extracting_plmarker import ExtractsFromText, chosen_threshold
from .joint_plmarker import PAIR_PREFIX, JointTask, without_some_pairs
from .prediction_plmarker import BATCH_TOKENS, predict_relations
from .pruner_plmarker import PRUNED, SpanPruner, pruner_loss, survivors
from .schema_plmarker import PLMarkerError, Threshold, least_scores
from .states_plmarker import TextStates
from .task_model_plmarker import PLMarkerPreTrainedModel
from .task_plmarker import Document
from .tasks_plmarker import task_of


@dataclass
class EntityRecognitionOutput(ModelOutput):
    """Output of [`PLMarkerForEntityRecognition`].

    Args:
        loss: scalar, where `labels` were given: the weighted mean cross entropy over all spans.
        logits: shape (spans, classes), NIL first. Pruned spans have 0 for NIL, and -10,000 for the other classes.
        pruner_logits: shape (spans,), the logit of each span for being an entity. None without a pruner.
    """

    loss: Tensor | None = None
    logits: Tensor | None = None
    pruner_logits: Tensor | None = None


@dataclass
class RelationExtractionOutput(ModelOutput):
    """Output of [`PLMarkerForRelationExtraction`].

    Args:
        loss: scalar, where labels were given: `relation_loss` + `entity_loss`.
        logits: shape (pairs, relation classes), NIL first, inverse classes last.
        entity_logits: shape (pairs, entity classes), the object's type, NIL first. None without an entity head.
        subject_logits: shape (pairs, entity classes), the subject's type. None unless the subject is levitated.
        relation_loss, entity_loss: the mean cross entropies.
    """

    loss: Tensor | None = None
    logits: Tensor | None = None
    entity_logits: Tensor | None = None
    subject_logits: Tensor | None = None
    relation_loss: Tensor | None = None
    entity_loss: Tensor | None = None


@dataclass
class JointOutput(ModelOutput):
    """Output of [`PLMarkerModel`] with a shared encoder.

    Args:
        loss: scalar, where labels were given: the sum of the losses of both parts.
        logits, pruner_logits: of the spans, see [`EntityRecognitionOutput`].
        pair_logits: of the pairs, shape (pairs, relation classes).
    """

    loss: Tensor | None = None
    logits: Tensor | None = None
    pruner_logits: Tensor | None = None
    pair_logits: Tensor | None = None


class PLMarkerForEntityRecognition(ExtractsFromText, PLMarkerPreTrainedModel):
    """Scores every candidate span of a sentence by a levitated marker pair (paper, section 3.2).

    The head is Linear(4 H, classes) on the two markers and the first and last subword. The paper's baselines have no
    markers: T-Concat is Linear(2 H, classes) on the two subwords, the tagger Linear(H, classes) on a word's first.

    Example:
        >>> model = PLMarkerForEntityRecognition.from_encoder("minilm", schema=LabelSchema(("Person",)))
        >>> model.extract("Ines Tavarro sings.").entities  # doctest: +SKIP
    """

    config: PLMarkerEntityConfig
    config_class = PLMarkerEntityConfig

    def __init__(self, config: PLMarkerEntityConfig) -> None:
        super().__init__(config)
        n_states = self.task.n_markers + self.task.n_text_states
        hidden_size = self.encoder.config.hidden_size
        self.classifier = nn.Linear(n_states * hidden_size, len(config.classes))
        self.pruner: SpanPruner | None = None
        if config.pruner_size:
            self.pruner = SpanPruner(hidden_size, config.pruner_size, 2 * config.max_span_length)
        self.post_init()

    def heads(self, text: Tensor, markers: Tensor) -> tuple[Tensor, ...]:
        return (self.classifier(torch.cat([markers, text], dim=1).flatten(1)),)

    def forward(
        self,
        input_ids: Tensor,
        window_sizes: Tensor,
        read_tokens: Tensor,
        read_index: Tensor,
        marker_ids: Tensor,
        marker_positions: Tensor,
        labels: Tensor | None = None,
        num_items_in_batch: Tensor | int | None = None,
        pruner_threshold: float | None = None,
        text: TextStates | None = None,
        weights: Tensor | None = None,
    ) -> EntityRecognitionOutput:
        """Score the spans of a batch of windows.

        Args:
            input_ids, window_sizes, read_tokens, read_index, marker_ids, marker_positions: as `Task.batch` makes them.
            labels: shape (spans,), class indices.
            num_items_in_batch: what the loss is divided by, as Trainer counts it over accumulated batches; by default
                the sum of the weights of the labels.
            pruner_threshold: in place of the config's. In training the pruner has a low threshold of its own.
            text: the states of the text where they are there already; `input_ids` is not read then.
            weights: shape (spans,), what each span counts in the loss: the weight of its document.
        """
        batch: dict[str, Any] = {
            "input_ids": input_ids,
            "window_sizes": window_sizes,
            "read_tokens": read_tokens,
            "read_index": read_index,
            "marker_ids": marker_ids,
            "marker_positions": marker_positions,
            "text": text,
        }
        total, count = loss_totals(num_items_in_batch)
        if self.pruner is None:
            (logits,) = self.score(**batch)
            loss = None
            if labels is not None:
                loss = weighted_cross_entropy(logits, labels, self.config.nil_weight, total, weights)
            return EntityRecognitionOutput(loss=loss, logits=logits)
        threshold = self.config.pruner_threshold if pruner_threshold is None else pruner_threshold
        (logits,), pruner_logits, kept = self._score_survivors(batch, threshold, labels if self.training else None)
        loss = None
        if labels is not None:
            if total is None:
                total = sum_of_weights(labels, self.config.nil_weight, weights)
            kept_weights = None if weights is None else weights[kept]
            loss = weighted_cross_entropy(logits, labels[kept], self.config.nil_weight, total, kept_weights)
            loss = loss + pruner_loss(pruner_logits, labels, count, weights)
        pruned = logits.new_full((len(marker_ids), logits.shape[1]), PRUNED)
        pruned[:, 0] = 0.0
        logits = pruned.index_put((kept,), logits)
        return EntityRecognitionOutput(loss=loss, logits=logits, pruner_logits=pruner_logits)

    def _score_survivors(
        self, batch: Mapping[str, Any], threshold: float, labels: Tensor | None
    ) -> tuple[tuple[Tensor, ...], Tensor, Tensor]:
        """The logits of the heads for the spans that the pruner keeps, its own logits, and which spans it keeps."""
        assert self.pruner is not None
        pruner = self.pruner
        found: list[Tensor] = []

        def choose(read: Tensor, index: Tensor, positions: Tensor) -> Tensor:
            logits = pruner(read, index, positions[:, -1] - positions[:, 0] + 1)
            found.extend((logits, survivors(logits, threshold, labels)))
            return found[1]

        return self.score(**batch, choose=choose), found[0], found[1]

    @property
    def readers(self) -> tuple[PLMarkerForEntityRecognition, None]:
        return self, None


class PLMarkerForRelationExtraction(ExtractsFromText, PLMarkerPreTrainedModel):
    """Scores all objects of a subject at once: solid markers around it, levitated ones for them (paper, section 3.3).

    The object's type is Linear(2 H)(object), the relation Linear(2 H)(subject) + Linear(2 H)(object). With levitated
    subjects the type head reads both, and the sum of the two is the relation's Linear(4 H)(subject, object).
    """

    config: PLMarkerRelationConfig
    config_class = PLMarkerRelationConfig

    def __init__(self, config: PLMarkerRelationConfig, encoder: nn.Module | None = None) -> None:
        super().__init__(config, encoder)
        width = 2 * self.encoder.config.hidden_size
        self.entity_classifier = None
        if config.entity_head:
            self.entity_classifier = nn.Linear(width, len(config.schema.entity_classes))
        self.pair_scorer: PairScorer | None = None
        if config.subject_markers == "shared":
            self.pair_scorer = PairScorer(width, config.pair_size, len(config.classes))
        else:
            self.subject_classifier = nn.Linear(width, len(config.classes))
            self.object_classifier = nn.Linear(width, len(config.classes))
        self.post_init()

    def heads(self, text: Tensor, markers: Tensor) -> tuple[Tensor, ...]:
        """Logits of the relation, of the object's type, and of the subject's type where the subject is levitated.

        A subject is read from the text, where its solid markers are, or from the first two of four markers.
        """
        subjects, objects = torch.cat([text, markers], dim=1).flatten(2).split(2, dim=1)
        subjects, objects = subjects.flatten(1), objects.flatten(1)
        logits = [self.subject_classifier(subjects) + self.object_classifier(objects)]
        if self.entity_classifier is not None:
            typed = [objects] if text.shape[1] else [objects, subjects]
            logits += [self.entity_classifier(states) for states in typed]
        return tuple(logits)

    def forward(
        self,
        input_ids: Tensor,
        window_sizes: Tensor,
        read_tokens: Tensor,
        read_index: Tensor,
        marker_ids: Tensor,
        marker_positions: Tensor,
        labels: Tensor | None = None,
        object_labels: Tensor | None = None,
        subject_labels: Tensor | None = None,
        num_items_in_batch: Tensor | int | None = None,
        pair_index: Tensor | None = None,
        marker_groups: Tensor | None = None,
        text: TextStates | None = None,
        weights: Tensor | None = None,
    ) -> RelationExtractionOutput:
        """Score the pairs of a batch of windows.

        Args:
            input_ids, window_sizes, read_tokens, read_index, marker_ids, marker_positions: as `Task.batch` makes them.
            pair_index, marker_groups: with `shared` markers alone, as `Task.batch` makes them.
            text: the states of the text where they are there already; `input_ids` is not read then.
            labels: shape (pairs,), relation classes.
            object_labels: shape (pairs,), entity classes.
            subject_labels: shape (pairs,), entity classes; with levitated subjects alone.
            num_items_in_batch: what the losses are divided by, as Trainer counts it over accumulated batches: one
                number, or the sum of the weights of the labels and their number.
            weights: shape (pairs,), what each pair counts in the losses: the weight of its document.
        """
        batch = (input_ids, window_sizes, read_tokens, read_index, marker_ids, marker_positions)
        if self.pair_scorer is None:
            heads = self.score(*batch, text=text)
        else:
            (states,) = self.score(*batch, marker_groups, text=text, heads=lambda text, markers: (markers,))
            assert pair_index is not None
            heads = (self.pair_scorer(states.flatten(1), pair_index),)
        logits = heads[0]
        entity_logits, subject_logits = (*heads[1:], None, None)[:2]
        loss = relation_loss = entity_loss = None
        if labels is not None:
            total, count = loss_totals(num_items_in_batch)
            loss = relation_loss = weighted_cross_entropy(logits, labels, self.config.nil_weight, total, weights)
            losses = [
                weighted_cross_entropy(typed, types, 1.0, count, weights)
                for typed, types in ((entity_logits, object_labels), (subject_logits, subject_labels))
                if typed is not None and types is not None
            ]
            if losses:
                entity_loss = torch.stack(losses).sum()
                loss = relation_loss + entity_loss
        return RelationExtractionOutput(loss, logits, entity_logits, subject_logits, relation_loss, entity_loss)

    @property
    def readers(self) -> tuple[None, PLMarkerForRelationExtraction]:
        return None, self

    def extract(self, *args: Any, entities: Sequence[Any] | None = None, **options: Any) -> Any:
        """As `PLMarkerModel.extract`, between given entities, which all have labels.

        Raises:
            PLMarkerError: without `entities`.
        """
        if entities is None:
            raise PLMarkerError("a relation model finds no entities: give them as entities=[(start, end, label), ...]")
        return super().extract(*args, entities=entities, **options)

    def predict(  # type: ignore[override]
        self,
        documents: Iterable[Document],
        batch_tokens: int = BATCH_TOKENS,
        relation_threshold: Threshold | None = None,
        constraints: bool = True,
    ) -> Iterator[tuple[Document, list[list[ScoredRelation]]]]:
        """Find the relations between the entities that documents give: `predicted_ner`, or else `ner`.

        Args:
            documents: mappings with `sentences` of words and entities; relations are not read.
            batch_tokens: most text tokens of a batch.
            relation_threshold: least score of a relation, for all labels or by label. None takes those of the model.
            constraints: keep the constraints of the model's schema, if it has any.

        Returns:
            A generator of each document, in order, with the relations of each of its sentences, best first.

        Raises:
            PLMarkerError: for a bad document or argument, and for a model without its tokenizer.
        """
        documents, tokenize = self.checked_documents(documents, batch_tokens)
        relation_threshold = chosen_threshold(self, relation_threshold)
        least_scores(relation_threshold, self.config.schema.relation_classes[: self.config.schema.n_forward])
        return predict_relations(
            self, tokenize, documents, batch_tokens, threshold=relation_threshold, constraints=constraints
        )


class PLMarkerModel(ExtractsFromText, PLMarkerBaseModel):
    """An entity model and a relation model in one checkpoint: text in, entities and relations out.

    The relation model may be missing; then there are only entities. With a shared encoder both read one text pass, and
    are trained together.

    Example:
        >>> model = PLMarkerModel.from_models(entity, relation, tokenizer)  # doctest: +SKIP
        >>> model = PLMarkerModel.from_encoder("minilm", schema, shared_encoder=True)  # doctest: +SKIP
        >>> model.extract("Ines Tavarro founded the Brellin Observatory.").relations  # doctest: +SKIP
    """

    config: PLMarkerConfig
    config_class = PLMarkerConfig
    accepts_loss_kwargs = True

    def __init__(self, config: PLMarkerConfig) -> None:
        super().__init__(config)
        self.entity = PLMarkerForEntityRecognition(cast(PLMarkerEntityConfig, config.entity_config))
        self.relation: PLMarkerForRelationExtraction | None = None
        if config.relation_config is not None:
            encoder = self.entity.encoder if config.shared_encoder else None
            self.relation = PLMarkerForRelationExtraction(cast(PLMarkerRelationConfig, config.relation_config), encoder)
        self.post_init()

    @property
    def task(self) -> JointTask:
        """The way of reading of a model with a shared encoder.

        Raises:
            AttributeError: for two models with two encoders, which have a task each.
        """
        if not self.config.shared_encoder:
            raise AttributeError("two encoders read by themselves: see model.entity.task and model.relation.task")
        return cast(JointTask, task_of(self.config))

    def forward(
        self,
        input_ids: Tensor,
        window_sizes: Tensor,
        read_tokens: Tensor,
        num_items_in_batch: Tensor | int | None = None,
        pruner_threshold: float | None = None,
        pair_index: Tensor | None = None,
        **inputs: Tensor,
    ) -> JointOutput:
        """Score the spans and the pairs of a batch of windows, against one pass over their text.

        Args:
            input_ids, window_sizes, read_tokens: as `JointTask.batch` makes them.
            inputs: the other tensors of `JointTask.batch`; those of the relation part have the prefix `pair_`.
            num_items_in_batch: what the losses are divided by, as Trainer counts it over accumulated batches: one
                number, or the sum of the weights of the labels of spans and their number. The losses of pairs are
                divided by it, too: one decision weighs as much as another, but for the config's `pair_weight`. A mean
                over pairs alone, of which there are few, would outweigh the spans.
            pruner_threshold: in place of the config's.

        Raises:
            PLMarkerError: for two models with two encoders.
        """
        if not self.config.shared_encoder or self.relation is None:
            raise PLMarkerError("a combined model of two encoders reads text by extract or predict")
        total: Any = loss_totals(num_items_in_batch)[0]
        if total is None and inputs.get("labels") is not None:
            total = sum_of_weights(inputs["labels"], self.entity.config.nil_weight, inputs.get("weights"))
        text = self.entity.read_windows(input_ids, window_sizes, read_tokens)
        pairs = {n.removeprefix(PAIR_PREFIX): inputs.pop(n) for n in list(inputs) if n.startswith(PAIR_PREFIX)}
        # Without dropout no random number is drawn: a training stays what it was.
        if self.training and self.config.pair_dropout and "labels" in pairs and pair_index is not None:
            share, n_entities = self.config.pair_dropout, pairs["window_sizes"][:, 1]
            pairs["labels"] = without_some_pairs(pairs["labels"], pair_index, n_entities, share)
        found = self.entity(
            input_ids,
            window_sizes,
            read_tokens,
            **inputs,
            num_items_in_batch=num_items_in_batch,
            pruner_threshold=pruner_threshold,
            text=text,
        )
        linked = self.relation(input_ids, **pairs, pair_index=pair_index, num_items_in_batch=total, text=text)
        loss = None
        if found.loss is not None and linked.loss is not None:
            loss = found.loss + self.config.pair_weight * linked.loss
        return JointOutput(loss, found.logits, found.pruner_logits, linked.logits)

    @classmethod
    def from_models(
        cls,
        entity: PLMarkerForEntityRecognition,
        relation: PLMarkerForRelationExtraction | None,
        tokenizer: PreTrainedTokenizerBase,
    ) -> PLMarkerModel:
        """Combine two trained models, which share the tokenizer. Their weights are not copied.

        Raises:
            PLMarkerError: where the models were trained for different entity labels, or with other marker ids than the
                tokenizer has, and for a model with an adapter.
        """
        for model, expected in ((entity, PLMarkerForEntityRecognition), (relation, PLMarkerForRelationExtraction)):
            if not isinstance(model, expected) and not (model is None and expected is PLMarkerForRelationExtraction):
                raise PLMarkerError(
                    f"expected a {expected.__name__}, got a {type(model).__name__}; merge_and_unload() turns an "
                    "adapted model into one"
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
            entity_config=entity.config,
            relation_config=None if relation is None else relation.config,
            shared_encoder=relation is not None and relation.encoder is entity.encoder,
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
                part.tokenizer = model.tokenizer
                # An adapter of a part names it as its base.
                part.name_or_path = model.name_or_path
        return loaded

    @property
    def readers(self) -> tuple[PLMarkerForEntityRecognition, PLMarkerForRelationExtraction | None]:
        return self.entity, self.relation


class PairScorer(nn.Module):
    """Scores ordered pairs of entities by the states of their markers.

    Args:
        width: size of the states of an entity.
        size: width of the hidden layer.
        n_classes: relation classes.
    """

    def __init__(self, width: int, size: int, n_classes: int) -> None:
        super().__init__()
        self.subject = nn.Linear(width, size)
        self.object = nn.Linear(width, size)
        self.output = nn.Linear(size, n_classes)

    def forward(self, entities: Tensor, pairs: Tensor) -> Tensor:
        """The logits of each pair; shape (pairs, classes).

        Args:
            entities: shape (entities, width).
            pairs: subject and object of each pair; shape (pairs, 2).
        """
        # Entities are projected once, and not once for each pair.
        states = self.subject(entities)[pairs[:, 0]] + self.object(entities)[pairs[:, 1]]
        logits: Tensor = self.output(nn.functional.gelu(states))
        return logits


def loss_totals(num_items_in_batch: Any) -> tuple[Any, Any]:
    """The divisors of a weighted and of an unweighted loss. None means the sum of the weights."""
    if num_items_in_batch is None:
        return None, None
    if isinstance(num_items_in_batch, Tensor) and num_items_in_batch.numel() == 2:
        return num_items_in_batch[0], num_items_in_batch[1]
    return num_items_in_batch, num_items_in_batch


def sum_of_weights(labels: Tensor, nil_weight: float, weights: Tensor | None) -> Tensor:
    """The sum of the weights of labels, each times the weight of its document."""
    by_label = torch.where(labels == 0, nil_weight, 1.0)
    return (by_label if weights is None else by_label * weights).sum()


def weighted_cross_entropy(
    logits: Tensor, labels: Tensor, nil_weight: float, total: Any, weights: Tensor | None = None
) -> Tensor:
    """Cross entropy with a weight for NIL, over a total.

    Args:
        logits: shape (candidates, classes).
        labels: shape (candidates,).
        total: the divisor. None takes the sum of the weights, which gives the weighted mean; 0 without labels.
        weights: what each candidate counts beside; shape (candidates,).
    """
    weight = torch.ones(logits.shape[-1], dtype=torch.float32, device=logits.device)
    weight[0] = nil_weight
    reduction = "sum" if weights is None else "none"
    loss = nn.functional.cross_entropy(logits.float(), labels, weight=weight, reduction=reduction)
    if weights is not None:
        loss = (loss * weights).sum()
    if total is None:
        total = sum_of_weights(labels, nil_weight, weights).clamp(min=torch.finfo(torch.float32).tiny)
    return loss / total
