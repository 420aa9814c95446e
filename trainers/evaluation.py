"""Scored features to Ent, Rel and Rel+."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from torch import Tensor
from tqdm.auto import tqdm
from transformers import PreTrainedTokenizerBase

from ..data.coverage import Coverage, entity_coverage, relation_coverage
from ..modeling.configuration_plmarker import PLMarkerEntityConfig, PLMarkerRelationConfig, PLMarkerTaskConfig
from ..modeling.decoding_plmarker import remove_overlaps
from ..modeling.modeling_plmarker import PLMarkerForEntityRecognition, PLMarkerForRelationExtraction
from ..modeling.prediction_plmarker import (
    BATCH_TOKENS,
    Document,
    as_annotations,
    decode_sentence,
    label_sentence,
    predict_relations,
    predict_spans,
)
from ..modeling.processing_plmarker import Feature, given_entities, gold_entities, gold_relations
from ..modeling.schema_plmarker import PLMarkerError
from ..modeling.windows_plmarker import WordTokenizer
from .errors import entity_errors, relation_errors
from .metrics import EntityMetrics, Metrics, RelationMetrics

# A feature, and its logits; None for a feature that only carries annotations.
Scored = tuple[Feature, Sequence[Tensor] | None]


def coverage_of(config: PLMarkerTaskConfig, features: Iterable[Feature]) -> Coverage:
    """What of the annotations in `features` a model cannot reach."""
    if isinstance(config, PLMarkerEntityConfig):
        return entity_coverage(features, config)
    return relation_coverage(features)


def evaluate_scored(config: PLMarkerTaskConfig, scored: Iterable[Scored], entity_types: str = "relation") -> Metrics:
    """Decode and count what a model gives for the features of a dataset.

    Args:
        config: the model's configuration, which says the task.
        scored: all features of the dataset, in any order, with their logits.
        entity_types: of a relation model, see [`RelationMetrics`].
    """
    sentences: dict[tuple[str, int], list[Scored]] = {}
    for feature, logits in scored:
        sentences.setdefault((feature["doc_key"], feature["sentence"]), []).append((feature, logits))
    if isinstance(config, PLMarkerEntityConfig):
        return _evaluate_entities(config, sentences.values())
    assert isinstance(config, PLMarkerRelationConfig)
    return _evaluate_relations(config, sentences.values(), entity_types)


def _evaluate_entities(config: PLMarkerEntityConfig, sentences: Iterable[list[Scored]]) -> Metrics:
    metrics = EntityMetrics(config.schema)
    for scored in sentences:
        labelled = label_sentence([(feature, logits) for feature, logits in scored if logits is not None], config)
        gold = [row for feature, _ in scored for row in feature["gold"]]
        metrics.add(gold, labelled, remove_overlaps(labelled, config.flat))
    return metrics.compute()


def _evaluate_relations(
    config: PLMarkerRelationConfig, sentences: Iterable[list[Scored]], entity_types: str
) -> Metrics:
    metrics = RelationMetrics(config.schema, entity_types, config.counts_directions)
    for scored in sentences:
        rows = [(feature, logits) for feature, logits in scored if logits is not None]
        relations = decode_sentence(rows, config, entity_types)
        gold, gold_relations, given = (
            [row for feature, _ in scored for row in feature[name]] for name in ("gold", "gold_relations", "given")
        )
        metrics.add(gold, gold_relations, given, relations)
    return metrics.compute()


def evaluate_documents(
    documents: Iterable[Document],
    tokenizer: PreTrainedTokenizerBase,
    entity: PLMarkerForEntityRecognition | None = None,
    relation: PLMarkerForRelationExtraction | None = None,
    entity_types: str = "relation",
    batch_tokens: int = BATCH_TOKENS,
    show_progress: bool = False,
    errors: dict[str, Counter[str]] | None = None,
) -> Metrics:
    """Ent, Rel and Rel+ of annotated documents, with the source of the entities in every relation figure's name.

    Args:
        documents: typed documents with `ner`, and `relations` where there is a relation model.
        entity, relation: the models; without an entity model, predicted entities are the documents' `predicted_ner`.
        entity_types: see [`RelationMetrics`].
        batch_tokens: most tokens of a packed row.
        show_progress: show a progress bar for each model and source of entities.
        errors: where given, filled with the counts of errors by kind, under `ent`, `rel` and `gold_rel`.

    Returns:
        Fractions: `ent_*` of the entity model; `rel_*`, `rel_strict_*` and `retyped_ent_f1` with the predicted
        entities, and the same behind `gold_` with the gold entities.
    """
    given = [{**document, "predicted_ner": document.get("predicted_ner")} for document in documents]
    tokenize = WordTokenizer(tokenizer)
    metrics: Metrics = {}
    if entity is not None:
        config = entity.config
        counts = EntityMetrics(config.schema)
        found = tqdm(
            predict_spans(entity, tokenize, given, batch_tokens),
            desc="entities",
            total=len(given),
            disable=not show_progress,
        )
        for document, (_, labelled_sentences) in zip(given, found, strict=True):
            document["predicted_ner"] = []
            for sentence, labelled in enumerate(labelled_sentences):
                kept = remove_overlaps(labelled, config.flat)
                gold = gold_entities(document, sentence, config.schema)
                counts.add(gold, labelled, kept)
                if errors is not None:
                    errors.setdefault("ent", Counter()).update(entity_errors(gold, kept))
                document["predicted_ner"].append(as_annotations(kept, config.schema.entity_classes))
        metrics |= counts.compute()
    if relation is not None:
        schema = relation.config.schema
        sources = {"gold_": [{**document, "predicted_ner": None} for document in given]}
        predicted = [document["predicted_ner"] is not None for document in given]
        if any(predicted):
            if not all(predicted):
                raise PLMarkerError(f"{predicted.count(False)} of {len(given)} documents have no predicted_ner")
            sources[""] = given
        for prefix, source in sources.items():
            relation_counts = RelationMetrics(schema, entity_types, relation.config.counts_directions)
            linked_documents = tqdm(
                predict_relations(relation, tokenize, source, batch_tokens, entity_types),
                desc=f"relations, {'gold' if prefix else 'predicted'} entities",
                total=len(source),
                disable=not show_progress,
            )
            for read, sentences in linked_documents:
                for sentence, relations in enumerate(sentences):
                    gold = gold_entities(read, sentence, schema)
                    linked = gold_relations(read, sentence, schema)
                    entities = given_entities(read, sentence, schema)
                    relation_counts.add(gold, linked, entities, relations)
                    if errors is not None:
                        kinds = relation_errors(linked, entities, relations, schema.n_symmetric)
                        errors.setdefault(f"{prefix}rel", Counter()).update(kinds)
            metrics |= {f"{prefix}{name}": value for name, value in relation_counts.compute().items()}
    return metrics
