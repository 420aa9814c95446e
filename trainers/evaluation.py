"""Evaluating models on annotated documents. Each model makes the rows of a document once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from tqdm.auto import tqdm
from transformers import PreTrainedTokenizerBase

from ..data.coverage import Coverage
from ..data.excluded import ExcludedGold
from ..modeling.decoding_plmarker import remove_overlaps
from ..modeling.modeling_plmarker import PLMarkerForEntityRecognition, PLMarkerForRelationExtraction
from ..modeling.prediction_plmarker import (
    BATCH_TOKENS,
    Scorer,
    as_annotations,
    as_relation_annotations,
    predict_relations,
    predict_spans,
)
from ..modeling.rows_plmarker import Annotations
from ..modeling.schema_plmarker import PLMarkerError
from ..modeling.task_plmarker import Document
from ..modeling.windows_plmarker import WordTokenizer
from .constraint_changes import ConstraintChanges
from .cooccurrence import FalseRelations, joined_documents, negative_sentences, scores_across
from .findings import Findings
from .metrics import Metrics
from .pruning import measure_pruner
from .tasks import tools_for

# Where the entities come from that relations join.
PREDICTED = "predicted entities"
GOLD = "gold entities"


@dataclass
class Evaluation:
    """What `evaluate_documents` returns.

    Args:
        metrics: the figures, as fractions: `ent_*` of the entity model; `rel_*`, `rel_strict_*` and `retyped_ent_f1`
            with predicted entities; the same behind `gold_` with gold entities.
        errors: counts of errors by kind, under `ent`, `rel` and `gold_rel`.
        findings: what was found in each document with its score, and whether it is right, under the same names. A
            symmetric relation counts once in them, and entity types at the ends of a relation do not count.
        coverage: annotations that no candidate can match, under `entities` and `relations`.
        documents: the documents with `predicted_ner` and `predicted_relations`. The relations join predicted entities
            where there are any.
        constraints: what the constraints of the relation model's schema changed, under `predicted entities` and `gold
            entities`; empty for a schema without constraints.
        excluded: the annotated relations that the constraints exclude; None without constraints.
        false_relations: the sentences without a relation in which the model returns one, under `negative sentences`
            and `joined sentences` with `predicted entities` or `gold entities`. Negative sentences have two or more
            annotated entities and no annotated relation.
    """

    metrics: Metrics = field(default_factory=dict)
    errors: dict[str, Counter[str]] = field(default_factory=dict)
    findings: dict[str, list[Findings]] = field(default_factory=dict)
    coverage: dict[str, Coverage] = field(default_factory=dict)
    documents: list[dict[str, Any]] = field(default_factory=list)
    constraints: dict[str, ConstraintChanges] = field(default_factory=dict)
    excluded: ExcludedGold | None = None
    false_relations: dict[tuple[str, str], FalseRelations] = field(default_factory=dict)


def evaluate_documents(
    documents: Iterable[Document],
    tokenizer: PreTrainedTokenizerBase,
    entity: PLMarkerForEntityRecognition | None = None,
    relation: PLMarkerForRelationExtraction | None = None,
    entity_types: str | None = None,
    batch_tokens: int = BATCH_TOKENS,
    show_progress: bool = False,
    unpruned: bool = False,
    joined_sentences: int = 0,
) -> Evaluation:
    """Compute Ent, Rel and Rel+ of annotated documents. Every relation figure's name says which entities it joins.

    Args:
        documents: typed documents with `ner`, and `relations` where there is a relation model. The entity model scores
            no other spans than `candidates`, where a document has them.
        tokenizer: the tokenizer of the models.
        entity, relation: the models. Without an entity model, predicted entities are the documents' `predicted_ner`.
        entity_types: whose entity types Rel+ compares, see [`RelationMetrics`]. None takes what the relation model's
            config says.
        batch_tokens: most text tokens of a batch.
        show_progress: show a progress bar for each model and source of entities.
        unpruned: for an entity model with a pruner, add `unpruned_ent_f1`: Ent F1 with markers for all spans.
        joined_sentences: with a relation model, make so many sentences, at most, each of two unrelated ones, and count
            the false relations across the border, see `joined_documents`. The thresholds of the model are not used.

    Raises:
        PLMarkerError: where some documents have `predicted_ner` and others do not.

    Example:
        >>> evaluate_documents(ds["test"], tokenizer, entity, relation).metrics["rel_strict_f1"]  # doctest: +SKIP
        0.71
    """
    given = [{**document, "predicted_ner": document.get("predicted_ner")} for document in documents]
    tokenize = WordTokenizer(tokenizer)
    result = Evaluation(documents=given)

    def run(name: str, model: Any, source: list[Any], prefix: str, keep: Callable[[Any, Any], None]) -> None:
        task = model.task
        tools = tools_for(task)
        assert tools.matched is not None
        evaluator = tools.evaluator(task, entity_types)
        coverage = Coverage()
        kind = f"{prefix}{'ent' if model is entity else 'rel'}"
        findings = result.findings[kind] = []
        for number, rows, beside, scored in _scored(model, tokenize, source, batch_tokens, name, show_progress):
            coverage += tools.coverage(task, rows, beside)
            found = evaluator.add(beside, scored, len(source[number]["sentences"]))
            findings.append(tools.matched(task, found, beside))
            keep(given[number], found)
        result.metrics |= {f"{prefix}{key}": value for key, value in evaluator.compute().items()}
        # Gold entities come last: what they cannot reach is what no entities can.
        result.coverage[tools.name] = coverage
        result.errors[kind] = evaluator.errors
        changes = getattr(evaluator, "changes", None)
        if changes is not None:
            result.constraints[GOLD if prefix else PREDICTED] = changes

    if entity is not None:
        classes = entity.config.schema.entity_classes

        def keep_entities(document: dict[str, Any], sentences: Any) -> None:
            document["predicted_ner"] = [as_annotations(spans, classes) for spans in sentences]

        run("entities", entity, given, "", keep_entities)
        if unpruned and entity.pruner is not None:
            (figures,) = measure_pruner(entity, given, [entity.config.pruner_threshold], batch_tokens)
            result.metrics["unpruned_ent_f1"] = figures.unpruned_f1
    if relation is not None:
        schema = relation.config.schema

        def keep_relations(document: dict[str, Any], sentences: Any) -> None:
            document["predicted_relations"] = [as_relation_annotations(found, schema) for found in sentences]

        def counted(source: str, keep: Callable[[Any, Any], None]) -> Callable[[Any, Any], None]:
            """Count false relations in the negative sentences, too."""
            false = result.false_relations["negative sentences", source] = FalseRelations()

            def both(document: dict[str, Any], sentences: Any) -> None:
                for number in negative_sentences(document):
                    false.add(relation.score for relation in sentences[number])
                keep(document, sentences)

            return both

        predicted = [document["predicted_ner"] is not None for document in given]
        if any(predicted) and not all(predicted):
            raise PLMarkerError(f"{predicted.count(False)} of {len(given)} documents have no predicted_ner")
        gold = [{**document, "predicted_ner": None} for document in given]
        if any(predicted):
            run("relations, predicted entities", relation, given, "", counted(PREDICTED, keep_relations))
        keep = (lambda document, sentences: None) if any(predicted) else keep_relations
        run("relations, gold entities", relation, gold, "gold_", counted(GOLD, keep))
        if schema.constraints:
            result.excluded = ExcludedGold(schema)
            for document in given:
                result.excluded.add(document)
        if joined_sentences:
            joined = joined_documents(given, joined_sentences)
            result.false_relations |= _across_joints(joined, tokenize, entity, relation, entity_types, batch_tokens)
    return result


def _across_joints(
    joined: list[dict[str, Any]],
    tokenize: WordTokenizer,
    entity: PLMarkerForEntityRecognition | None,
    relation: PLMarkerForRelationExtraction,
    entity_types: str | None,
    batch_tokens: int,
) -> dict[tuple[str, str], FalseRelations]:
    """False relations across the border of two unrelated sentences that were joined."""
    sources: dict[str, list[Any]] = {}
    if entity is not None:
        found = predict_spans(entity, tokenize, joined, batch_tokens)
        classes, flat = entity.config.schema.entity_classes, entity.config.flat
        sources[PREDICTED] = [
            {**document, "predicted_ner": [as_annotations(remove_overlaps(spans, flat), classes)]}
            for document, (spans,) in found
        ]
    sources[GOLD] = joined
    results = {}
    for source, given in sources.items():
        false = results["joined sentences", source] = FalseRelations()
        for document, (relations,) in predict_relations(relation, tokenize, given, batch_tokens, entity_types):
            false.add(scores_across(document, relations))
    return results


def _scored(
    model: Any, tokenize: WordTokenizer, documents: list[Any], batch_tokens: int, name: str, show_progress: bool
) -> Iterator[tuple[int, list[Any], Annotations, list[Any]]]:
    """The number, the rows, the annotations and the scored examples of each document, in order."""
    task, schema = model.task, model.config.schema

    def items() -> Iterator[tuple[tuple[int, list[Any], Annotations], list[Any]]]:
        for number, document in enumerate(documents):
            rows = task.rows(document, tokenize)
            yield (number, rows, Annotations.of_document(document, schema)), rows

    bar = tqdm(items(), desc=name, total=len(documents), disable=not show_progress)
    for (number, rows, beside), scored in Scorer.of_model(model, batch_tokens).stream(bar):
        yield number, rows, beside, scored
