"""Documents in, labelled spans and relations out: batches by tokens, answers in the order of the documents."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import numpy as np
import torch
from torch import nn

from .decoding_plmarker import ScoredRelation, ScoredSpan
from .rows_plmarker import Row, entities_of
from .schema_plmarker import LabelSchema, PLMarkerError, Threshold, least_scores
from .task_plmarker import Batch, Document, Example, Scored, Task, batches
from .text_plmarker import BATCH_TOKENS
from .windows_plmarker import WordTokenizer

Item = TypeVar("Item")

# Documents are read ahead for this many batches, so that batches are full.
BATCHES_AHEAD = 8
# The logits of a model's heads, in order. A model has one, two or three of them, and the pruner's.
LOGITS = ("logits", "entity_logits", "subject_logits", "pruner_logits")


def evaluation_view(model: Any) -> Any:
    """The model in evaluation mode, without changing it: modules are copied, weights are shared.

    So a model in training can be read, and several threads can read one model.
    """
    borrowed = [part for module in model.modules() for part in vars(module).values() if isinstance(part, nn.Module)]
    if not any(module.training for part in (model, *borrowed) for module in part.modules()):
        return model
    return _view(model, {})


def _view(module: nn.Module, views: dict[int, nn.Module]) -> nn.Module:
    if id(module) not in views:
        view = views[id(module)] = copy.copy(module)
        view.__dict__["_modules"] = {name: child and _view(child, views) for name, child in module._modules.items()}
        # A relation model may use the encoder of the entity model, which is no part of it.
        borrowed = {name: part for name, part in vars(module).items() if isinstance(part, nn.Module)}
        view.__dict__.update({name: _view(part, views) for name, part in borrowed.items()})
        view.training = False
    return views[id(module)]


@dataclass
class Scorer:
    """Runs a model over examples.

    Args:
        task: the model's task.
        forward: the model in evaluation mode, or what Trainer has made of it.
        device: where the model is.
        batch_tokens: most text tokens of a batch. A longer text makes a batch of its own.
    """

    task: Task[Any, Any]
    forward: Callable[..., Any]
    device: torch.device
    batch_tokens: int = BATCH_TOKENS

    @classmethod
    def of_model(cls, model: Any, batch_tokens: int = BATCH_TOKENS, pruner_threshold: float | None = None) -> Scorer:
        """A scorer for an entity model or a relation model; the model is not changed.

        Args:
            pruner_threshold: in place of the config's; None for models without a pruner.
        """
        forward: Callable[..., Any] = evaluation_view(model)
        if pruner_threshold is not None:
            forward = partial(forward, pruner_threshold=pruner_threshold)
        return cls(model.task, forward, model.device, batch_tokens)

    @torch.inference_mode()
    def score(self, examples: Sequence[Example[Any]]) -> list[Scored[Any]]:
        """Score examples, in batches; the results have their order."""
        scored: list[Scored[Any]] = []
        for members in batches(examples, self.batch_tokens):
            batch = self.task.batch(members, labels=False)
            output = self.forward(**{name: tensor.to(self.device) for name, tensor in batch.inputs.items()})
            scored += by_example(members, batch, output)
        return scored

    def stream(self, items: Iterable[tuple[Item, Sequence[Row]]]) -> Iterator[tuple[Item, list[Scored[Any]]]]:
        """Score the rows of documents, a few batches at a time: a stream of any length takes bounded memory.

        Args:
            items: anything with the rows of one document.

        Yields:
            Each item, in order, with its scored examples.
        """
        read = ((item, self.task.examples(rows)) for item, rows in items)
        for waiting in read_ahead(read, self.batch_tokens, lambda pair: sum(e.text_length for e in pair[1])):
            yield from self._flush(waiting)

    def _flush(self, waiting: Sequence[tuple[Item, list[Example[Any]]]]) -> Iterator[tuple[Item, list[Scored[Any]]]]:
        scored = iter(self.score([example for _, examples in waiting for example in examples]))
        for item, examples in waiting:
            yield item, [next(scored) for _ in examples]


def by_example(examples: Sequence[Example[Any]], batch: Batch, output: Any) -> list[Scored[Any]]:
    """Each example of a batch with its part of the model's logits."""
    heads = [output[name].float().cpu().numpy() for name in LOGITS if output.get(name) is not None]
    if any(np.isnan(head).any() for head in heads):
        raise PLMarkerError("the model's scores are no numbers: its training diverged, or its dtype is too small")
    return [
        Scored(example, tuple(head[place] for head in heads))
        for example, place in zip(examples, batch.places, strict=True)
    ]


def read_ahead(items: Iterable[Item], batch_tokens: int, tokens: Callable[[Item], int]) -> Iterator[list[Item]]:
    """Groups of consecutive items that fill a few batches: a stream of any length takes bounded memory.

    Args:
        tokens: the text tokens of an item.
    """
    waiting: list[Item] = []
    n_tokens = 0
    for item in items:
        waiting.append(item)
        # An item without tokens counts too: a stream of them must not wait for ever.
        n_tokens += 1 + tokens(item)
        if n_tokens >= BATCHES_AHEAD * batch_tokens:
            yield waiting
            waiting, n_tokens = [], 0
    yield waiting


def predict_spans(
    model: Any,
    tokenize: WordTokenizer,
    documents: Iterable[Document],
    batch_tokens: int = BATCH_TOKENS,
    threshold: Threshold = 0.0,
    pruner_threshold: float | None = None,
) -> Iterator[tuple[Document, list[list[ScoredSpan]]]]:
    """Label the candidate spans of documents. Annotations are not read.

    Args:
        model: an entity model.
        threshold: least score of a span, for all labels or by label.
        pruner_threshold: in place of the config's, for a model with a pruner.

    Yields:
        Each document with, for each sentence, the spans whose class is not NIL, overlaps included.
    """
    task, least = model.task, least_scores(threshold, model.config.schema.entity_classes)
    for document, scored in score_documents(model, tokenize, documents, batch_tokens, pruner_threshold):
        labelled = task.decode(scored, len(document["sentences"]), least[0])
        yield document, [[span for span in spans if span.score >= least[span.label]] for spans in labelled]


def predict_types(
    model: Any | None,
    tokenize: WordTokenizer,
    documents: Iterable[Document],
    schema: LabelSchema,
    batch_tokens: int = BATCH_TOKENS,
) -> Iterator[tuple[Document, list[list[ScoredSpan]]]]:
    """The entities that documents give in `predicted_ner`. Those without a label get their most probable type.

    Args:
        model: an entity model; None where all entities have labels.
        schema: the labels.

    Yields:
        Each document with the entities of each sentence. Entities with a label have the score 1.

    Raises:
        PLMarkerError: for a document without `predicted_ner`, an unknown label, entities without a label where no model
            scores spans, and one that fits in no window.
    """

    def read() -> Iterator[dict[str, Any]]:
        for number, document in enumerate(documents):
            name = f"document {number} ({document.get('doc_key', 'no doc_key')})"
            if document.get("predicted_ner") is None:
                raise PLMarkerError(f"{name}: expected predicted_ner with a list for each sentence")
            asked: list[list[tuple[int, int]]] = [[] for _ in document["sentences"]]
            try:
                for sentence, start, end, label in entities_of(document, "predicted_ner"):
                    asked[sentence] += [(start, end)] if label is None else []
            except PLMarkerError as error:
                raise PLMarkerError(f"{name}: {error}") from None
            if any(asked) and (model is None or not model.task.scores_spans):
                raise PLMarkerError(f"{name}: entities without a label need an entity model that scores spans")
            yield {"sentences": document["sentences"], "candidates": asked, "source": document}

    if model is None:
        typed: Iterable[tuple[Any, list[Scored[Any]]]] = ((document, []) for document in read())
    else:
        threshold = None if model.pruner is None else 0.0
        typed = score_documents(model, tokenize, read(), batch_tokens, threshold)
    for document, scored in typed:
        found = {}
        for item in scored:
            for span, logits in zip(item.example.row.spans[item.example.first :], item.logits[0], strict=False):
                scores = np.exp(logits - logits.max())
                label = 1 + int(scores[1:].argmax())
                found[span] = ScoredSpan(span[0], span[1], label, float(scores[label] / scores.sum()))
        source = document["source"]
        yield source, [[_given_span(e, found, schema) for e in entities] for entities in source["predicted_ner"]]


def _given_span(
    entity: Mapping[str, Any], typed: Mapping[tuple[int, int], ScoredSpan], schema: LabelSchema
) -> ScoredSpan:
    start, end = entity["start"], entity["end"]
    if entity["label"] is not None:
        return ScoredSpan(start, end, schema.entity_class(entity["label"]), 1.0)
    if (start, end) not in typed:
        raise PLMarkerError(f"the given entity of words {start} to {end} has more subwords than a window")
    return typed[start, end]


def predict_relations(
    model: Any,
    tokenize: WordTokenizer,
    documents: Iterable[Document],
    batch_tokens: int = BATCH_TOKENS,
    entity_types: str | None = None,
    threshold: Threshold = 0.0,
    constraints: bool = True,
) -> Iterator[tuple[Document, list[list[ScoredRelation]]]]:
    """Find the relations between the given entities of documents: `predicted_ner`, or else `ner`.

    Args:
        model: a relation model.
        entity_types: `relation` takes the model's own types, `input` those of the given entities. None takes what the
            model's config says.
        threshold: least score of a relation, for all labels or by label.
        constraints: keep the constraints of the model's schema, if it has any.

    Yields:
        Each document with, for each sentence, its relations, best first.
    """
    entity_types = checked_entity_types(entity_types or model.config.entity_types)
    schema = model.config.schema
    # A threshold of an unknown label is an error even where nothing is found.
    least_scores(threshold, schema.relation_classes[: schema.n_forward])
    for document, scored in score_documents(model, tokenize, documents, batch_tokens):
        yield document, model.task.decode(scored, len(document["sentences"]), entity_types, threshold, constraints)


def checked_entity_types(value: str) -> str:
    """Raise `PLMarkerError` for anything but `relation` and `input`."""
    if value not in ("relation", "input"):
        raise PLMarkerError(f"entity_types is 'relation' or 'input', not {value!r}")
    return value


def check_pruner_threshold(model: Any, value: float | None) -> None:
    """Raise `PLMarkerError` for a threshold that is not from 0 to below 1, and for a model without a pruner."""
    if value is None:
        return
    if model is None or model.pruner is None:
        raise PLMarkerError("pruner_threshold needs a model that was trained with pruner_size")
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0.0 <= value < 1.0:
        raise PLMarkerError(f"pruner_threshold is from 0 to below 1, got {value!r}")


def score_documents(
    model: Any,
    tokenize: WordTokenizer,
    documents: Iterable[Document],
    batch_tokens: int,
    pruner_threshold: float | None = None,
) -> Iterator[tuple[Document, list[Scored[Any]]]]:
    """Each document with all that a model reads in it, scored."""
    rows = ((document, model.task.rows(document, tokenize, annotated=False)) for document in documents)
    return Scorer.of_model(model, batch_tokens, pruner_threshold).stream(rows)


def as_annotations(spans: Sequence[ScoredSpan], classes: Sequence[str]) -> list[dict[str, Any]]:
    """Spans as a document's `predicted_ner` has them."""
    return [{"start": span.start, "end": span.end, "label": classes[span.label]} for span in spans]


def as_relation_annotations(relations: Sequence[ScoredRelation], schema: LabelSchema) -> list[dict[str, Any]]:
    """Relations as a document's `predicted_relations` has them."""
    names = ("head_start", "head_end", "tail_start", "tail_end", "label")
    return [dict(zip(names, (*r.head, *r.tail, schema.relation_classes[r.label]), strict=True)) for r in relations]


def check_document(document: Any, number: int) -> None:
    """Make sure that a document can be read. Annotations are not looked at.

    Raises:
        PLMarkerError: naming the document, for anything but a mapping with `sentences`, lists of words.
    """
    if not isinstance(document, Mapping) or "sentences" not in document:
        found = sorted(map(str, document)) if isinstance(document, Mapping) else type(document).__name__
        raise PLMarkerError(f"document {number}: expected a mapping with 'sentences', got {found}")
    name = f"document {number} ({document.get('doc_key', 'no doc_key')})"
    sentences = document["sentences"]
    if isinstance(sentences, str | bytes) or not isinstance(sentences, Sequence):
        raise PLMarkerError(f"{name}: 'sentences' is a list of sentences, got {type(sentences).__name__}")
    for place, words in enumerate(sentences):
        if isinstance(words, str | bytes) or not isinstance(words, Sequence):
            raise PLMarkerError(f"{name}, sentence {place}: expected a list of words, got {type(words).__name__}")
        for word in words:
            if not isinstance(word, str):
                raise PLMarkerError(f"{name}, sentence {place}: a word is a string, got {word!r}")
