"""Evaluators: they decode what a model gives for one document after the other, and count it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

from ..modeling.decoding_plmarker import ScoredRelation, ScoredSpan, remove_overlaps
from ..modeling.joint_plmarker import JointScored, JointTask
from ..modeling.pair_tasks_plmarker import PairTask
from ..modeling.rows_plmarker import Annotations
from ..modeling.span_tasks_plmarker import SpanTask
from ..modeling.task_plmarker import Scored, Task
from .constraint_changes import ConstraintChanges
from .errors import entity_errors, relation_errors
from .metrics import EntityMetrics, Metrics, RelationMetrics


class LossSum:
    """The loss over all candidates, from the logits of one document after the other.

    Args:
        task: the model's task, whose config weighs NIL.
    """

    def __init__(self, task: Task[Any, Any]) -> None:
        self.columns = task.label_columns
        self.nil_weights = [task.config.nil_weight, *[1.0] * (len(self.columns) - 1)]
        self.sums = np.zeros(len(self.columns))
        self.weights = np.zeros(len(self.columns))

    def add(self, scored: Sequence[Scored[Any]]) -> None:
        """Count the candidates of a document."""
        for head, (column, nil_weight) in enumerate(zip(self.columns, self.nil_weights, strict=True)):
            for item in scored:
                logits = torch.from_numpy(item.logits[head]).float()
                labels = torch.tensor(item.example.values(column), dtype=torch.long)
                weight = torch.ones(logits.shape[-1])
                weight[0] = nil_weight
                self.sums[head] += float(F.cross_entropy(logits, labels, weight=weight, reduction="sum"))
                self.weights[head] += float(weight[labels].sum())

    def merge(self, other: LossSum) -> None:
        """Add what another process has counted."""
        self.sums += other.sums
        self.weights += other.weights

    @property
    def value(self) -> float | None:
        """The sum of the mean losses of the heads; None without a candidate."""
        return float((self.sums / self.weights).sum()) if self.weights.all() else None


class Evaluator:
    """Counts what a model gives for documents.

    It works without a Trainer, and holds counts alone: no logits, however many documents there are.

    Args:
        task: the model's task.
        entity_types: whose entity types Rel+ compares, see [`RelationMetrics`]; without effect for entities.

    Example:
        >>> evaluator = EntityEvaluator(model.task)
        >>> for document, annotations, scored in documents:  # doctest: +SKIP
        ...     evaluator.add(annotations, scored, len(document["sentences"]))
        >>> evaluator.compute()  # doctest: +SKIP
        {'ent_precision': 0.5, ...}
    """

    def __init__(self, task: Task[Any, Any], entity_types: str | None = None) -> None:
        self.loss = LossSum(task)
        self.errors: Counter[str] = Counter()
        self.given_is_gold = True

    def candidates(self, scored: Any) -> Sequence[Scored[Any]]:
        """The scored examples whose loss counts, and whose logits `Trainer.predict` returns."""
        found: Sequence[Scored[Any]] = scored
        return found

    def add(self, annotations: Annotations, scored: Any, n_sentences: int) -> Any:
        """Decode and count one document.

        Args:
            annotations: the annotations of the document.
            scored: all that the model has scored of it.
            n_sentences: the number of its sentences.

        Returns:
            What the model finds in each sentence.
        """
        raise NotImplementedError

    def merge(self, other: Any) -> None:
        """Add what another process has counted."""
        self.loss.merge(other.loss)
        self.errors.update(other.errors)
        self.given_is_gold = self.given_is_gold and other.given_is_gold

    def compute(self) -> Metrics:
        """The figures, as fractions."""
        raise NotImplementedError

    def given(self) -> Metrics:
        """What the documents gave the model, as a figure."""
        return {}


@dataclass
class PrunerCounts:
    """How many spans a pruner keeps.

    Args:
        gold, kept_gold: gold entities among the candidates, and those of them that get markers.
        kept: spans that get markers.
        sentences: sentences that have words.
    """

    gold: int = 0
    kept_gold: int = 0
    kept: int = 0
    sentences: int = 0

    def add(self, scored: Sequence[Scored[Any]], threshold: float) -> None:
        """Count one document. The pruner's logits are the last ones of each example."""
        self.sentences += len({sentence for item in scored for sentence in item.example.values("sentences")})
        for item in scored:
            kept = 1 / (1 + np.exp(-item.logits[-1].astype(np.float64))) >= threshold
            gold = np.array(item.example.values("labels")) > 0
            self.gold += int(gold.sum())
            self.kept_gold += int((kept & gold).sum())
            self.kept += int(kept.sum())

    def merge(self, other: PrunerCounts) -> None:
        """Add what another process has counted."""
        for name, value in vars(other).items():
            setattr(self, name, getattr(self, name) + value)

    def compute(self) -> Metrics:
        """`pruner_recall`, as a fraction, and `pruner_spans`, the spans of a sentence that get markers."""
        return dict(zip(("pruner_recall", "pruner_spans"), self.figures, strict=True))

    @property
    def figures(self) -> tuple[float, float]:
        """Recall, as a fraction, and the spans of a sentence that get markers."""
        recall = self.kept_gold / self.gold if self.gold else 0.0
        return recall, self.kept / self.sentences if self.sentences else 0.0


class EntityEvaluator(Evaluator):
    """Ent, before and after the removal of overlaps."""

    def __init__(self, task: SpanTask, entity_types: str | None = None) -> None:
        super().__init__(task, entity_types)
        self.task = task
        self.metrics = EntityMetrics(task.config.schema)
        self.pruner = PrunerCounts() if task.config.pruner_size else None

    def add(self, annotations: Annotations, scored: Sequence[Scored[Any]], n_sentences: int) -> list[list[ScoredSpan]]:
        """See `Evaluator.add`; the spans are without overlaps."""
        gold = self.task.merge_gold([annotations.entities(sentence) for sentence in range(n_sentences)])
        found = []
        for entities, labelled in zip(gold, self.task.decode(scored, n_sentences), strict=True):
            kept = remove_overlaps(labelled, self.task.config.flat)
            self.metrics.add(entities, labelled, kept)
            self.errors.update(entity_errors(entities, kept))
            found.append(kept)
        if self.pruner is not None:
            self.pruner.add(scored, self.task.config.pruner_threshold)
        return found

    def merge(self, other: EntityEvaluator) -> None:
        super().merge(other)
        self.metrics.merge(other.metrics)
        if self.pruner is not None and other.pruner is not None:
            self.pruner.merge(other.pruner)

    def compute(self) -> Metrics:
        return self.metrics.compute() | ({} if self.pruner is None else self.pruner.compute())


class RelationEvaluator(Evaluator):
    """Rel and Rel+. Where the schema has constraints, also without them, and what they changed."""

    def __init__(self, task: PairTask, entity_types: str | None = None) -> None:
        super().__init__(task, entity_types)
        self.task = task
        self.entity_types = entity_types or task.config.entity_types
        schema = task.config.schema
        self.metrics = RelationMetrics(schema, self.entity_types, task.counts_directions)
        self.free_metrics = RelationMetrics(schema, self.entity_types, task.counts_directions)
        self.changes = ConstraintChanges(schema) if schema.constraints else None

    def add(
        self, annotations: Annotations, scored: Sequence[Scored[Any]], n_sentences: int
    ) -> list[list[ScoredRelation]]:
        """See `Evaluator.add`; relations are sorted by score."""
        self.given_is_gold = self.given_is_gold and annotations.given_is_gold
        found = self.task.decode(scored, n_sentences, self.entity_types)
        n_symmetric = self.task.config.schema.n_symmetric
        for sentence, relations in enumerate(found):
            gold, given = annotations.relations(sentence), annotations.given(sentence)
            self.metrics.add(annotations.entities(sentence), gold, given, relations)
            self.errors.update(relation_errors(gold, given, relations, n_symmetric))
        if self.changes is not None:
            free = self.task.decode(scored, n_sentences, self.entity_types, constraints=False)
            for sentence, (relations, kept) in enumerate(zip(free, found, strict=True)):
                gold, given = annotations.relations(sentence), annotations.given(sentence)
                self.free_metrics.add(annotations.entities(sentence), gold, given, relations)
                self.changes.add(gold, given, relations, kept)
        return found

    def merge(self, other: RelationEvaluator) -> None:
        super().merge(other)
        self.metrics.merge(other.metrics)
        self.free_metrics.merge(other.free_metrics)
        if self.changes is not None and other.changes is not None:
            self.changes.merge(other.changes)

    def compute(self) -> Metrics:
        """Rel and Rel+. With constraints also `unconstrained_rel_*`, `unconstrained_rel_strict_*` and what changed."""
        if self.changes is None:
            return self.metrics.compute()
        free = {
            f"unconstrained_{name}": value
            for name, value in self.free_metrics.compute().items()
            if name.startswith("rel_") and "/" not in name
        }
        return self.metrics.compute() | free | self.changes.metrics()

    def given(self) -> Metrics:
        """`rel_gold_entities`: 1.0 where the relations join gold entities, 0.0 where they join predicted ones."""
        return {"rel_gold_entities": float(self.given_is_gold)}


class JointEvaluator(Evaluator):
    """Ent, and Rel and Rel+ between the entities that the model finds.

    The loss is that of the entities: pairs of entities that were found wrongly have no class.
    """

    def __init__(self, task: JointTask, entity_types: str | None = None) -> None:
        super().__init__(task.spans)
        self.entities = EntityEvaluator(task.spans)
        self.relations = RelationEvaluator(task.pairs, "input")
        self.given_is_gold = False

    def candidates(self, scored: JointScored) -> Sequence[Scored[Any]]:
        return scored.spans

    def add(self, annotations: Annotations, scored: JointScored, n_sentences: int) -> list[list[ScoredRelation]]:
        found = self.entities.add(annotations, scored.spans, n_sentences)
        given = [[number, span.start, span.end, span.label] for number, spans in enumerate(found) for span in spans]
        relations = self.relations.add(replace(annotations, given_entities=given), scored.pairs, n_sentences)
        self.errors = self.entities.errors + self.relations.errors
        return relations

    def merge(self, other: JointEvaluator) -> None:
        super().merge(other)
        self.entities.merge(other.entities)
        self.relations.merge(other.relations)

    def compute(self) -> Metrics:
        return self.entities.compute() | self.relations.compute()

    def given(self) -> Metrics:
        return {"rel_gold_entities": 0.0}


def merged(evaluators: list[Evaluator]) -> Evaluator:
    """The counts of all processes together."""
    first, *others = evaluators
    for other in others:
        first.merge(other)
    return first
