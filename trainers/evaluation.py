"""Scored features to Ent, Rel and Rel+."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

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
    as_relation_annotations,
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
# Document and number of a sentence.
SentenceKey = tuple[str, int]


def coverage_of(config: PLMarkerTaskConfig, features: Iterable[Feature]) -> Coverage:
    """What of the annotations in `features` a model cannot reach."""
    if isinstance(config, PLMarkerEntityConfig):
        return entity_coverage(features, config)
    assert isinstance(config, PLMarkerRelationConfig)
    return relation_coverage(features, config)


def evaluate_scored(config: PLMarkerTaskConfig, scored: Iterable[Scored], entity_types: str = "relation") -> Metrics:
    """Decode and count what a model gives for the features of a dataset.

    Args:
        config: the model's configuration, which says the task.
        scored: all features of the dataset, in any order, with their logits.
        entity_types: of a relation model, see [`RelationMetrics`].
    """
    sentences: dict[SentenceKey, list[Scored]] = {}
    for feature, logits in scored:
        sentences.setdefault((feature["doc_key"], feature["sentence"]), []).append((feature, logits))
    if isinstance(config, PLMarkerEntityConfig):
        return _evaluate_entities(config, sentences)
    assert isinstance(config, PLMarkerRelationConfig)
    return _evaluate_relations(config, sentences.values(), entity_types)


def merged_sentences(gold: Sequence[Sequence[Sequence[int]]]) -> list[list[list[int]]]:
    """Join annotated entities of one label that touch across a sentence border (docs/original.md, Q6).

    On CoNLL-2003 the original reads gold from tags of whole documents, where the two look like one; what it predicts
    it does not join.

    Args:
        gold: for each sentence of a document, in order, rows of [start, end, class].
    """
    merged: list[list[list[int]]] = []
    last: list[int] | None = None
    for rows in gold:
        ordered = sorted(list(row) for row in rows)
        if last is not None and ordered and ordered[0][0] == last[1] + 1 and ordered[0][2] == last[2]:
            last[1] = ordered.pop(0)[1]
        merged.append(ordered)
        last = ordered[-1] if ordered else last
    return merged


def _evaluate_entities(config: PLMarkerEntityConfig, sentences: Mapping[SentenceKey, list[Scored]]) -> Metrics:
    metrics = EntityMetrics(config.schema)
    gold_of = {key: [row for feature, _ in scored for row in feature["gold"]] for key, scored in sentences.items()}
    if config.has_quirk("merged_sentences"):
        for document in dict.fromkeys(key[0] for key in gold_of):
            keys = sorted(key for key in gold_of if key[0] == document)
            gold_of.update(zip(keys, merged_sentences([gold_of[key] for key in keys]), strict=True))
    for key, scored in sentences.items():
        labelled = label_sentence([(feature, logits) for feature, logits in scored if logits is not None], config)
        metrics.add(gold_of[key], labelled, remove_overlaps(labelled, config.flat))
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
    predictions: list[dict[str, Any]] | None = None,
) -> Metrics:
    """Ent, Rel and Rel+ of annotated documents, with the source of the entities in every relation figure's name.

    Args:
        documents: typed documents with `ner`, and `relations` where there is a relation model; `candidates`, where
            they have them, are the only spans that the entity model scores.
        entity, relation: the models; without an entity model, predicted entities are the documents' `predicted_ner`.
        entity_types: see [`RelationMetrics`].
        batch_tokens: most tokens of a packed row.
        show_progress: show a progress bar for each model and source of entities.
        errors: where given, filled with the counts of errors by kind, under `ent`, `rel` and `gold_rel`.
        predictions: where given, filled with the documents and their `predicted_ner` and `predicted_relations`; the
            relations stand between predicted entities, where there are any.

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
            gold_sentences: Sequence[Sequence[Sequence[int]]] = [
                gold_entities(document, sentence, config.schema) for sentence in range(len(labelled_sentences))
            ]
            if config.has_quirk("merged_sentences"):
                gold_sentences = merged_sentences(gold_sentences)
            for gold, labelled in zip(gold_sentences, labelled_sentences, strict=True):
                kept = remove_overlaps(labelled, config.flat)
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
            for document, (read, sentences) in zip(given, linked_documents, strict=True):
                # Relations between predicted entities, which come last, replace those between gold ones.
                document["predicted_relations"] = [as_relation_annotations(found, schema) for found in sentences]
                for sentence, relations in enumerate(sentences):
                    gold = gold_entities(read, sentence, schema)
                    linked = gold_relations(read, sentence, schema)
                    entities = given_entities(read, sentence, schema)
                    relation_counts.add(gold, linked, entities, relations)
                    if errors is not None:
                        kinds = relation_errors(linked, entities, relations, schema.n_symmetric)
                        errors.setdefault(f"{prefix}rel", Counter()).update(kinds)
            metrics |= {f"{prefix}{name}": value for name, value in relation_counts.compute().items()}
    if predictions is not None:
        predictions += given
    return metrics
