"""Annotated documents, read once by the parts of a model: scored, and decoded as often as needed."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from ..modeling.prediction_plmarker import Scorer, as_annotations
from ..modeling.rows_plmarker import Annotations
from ..modeling.task_plmarker import Document, Scored
from ..modeling.tasks_plmarker import task_of
from ..modeling.windows_plmarker import WordTokenizer
from .findings import Findings
from .tasks import tools_for

# The annotations of a document, the number of its sentences, and all that was read of it.
ScoredDocument = tuple[Annotations, int, list[Scored[Any]]]


def parts_of(model: Any) -> dict[str, Any]:
    """The models of one task in a model, by what they find: `entities`, `relations`."""
    return {tools_for(part.task).name: part for part in model.readers if part is not None}


def scored_documents(
    part: Any, documents: Iterable[Document], tokenize: WordTokenizer, batch_tokens: int
) -> Iterator[ScoredDocument]:
    """Read annotated documents by a model of one task. A relation model joins `predicted_ner`, or else `ner`."""
    items = (
        (
            (Annotations.of_document(document, part.config.schema), len(document["sentences"])),
            part.task.rows(document, tokenize),
        )
        for document in documents
    )
    for beside, scored in Scorer.of_model(part, batch_tokens).stream(items):
        yield *beside, scored


def findings_of(
    part: Any, scored: Sequence[ScoredDocument], temperature: float | None = None, least_nil: float = 0.0
) -> list[Findings]:
    """What a model of one task finds in each document.

    Args:
        temperature: in place of the config's.
        least_nil: the least score of NIL, see `Threshold`.
    """
    config = copy.copy(part.config)
    if temperature is not None:
        config.temperature = temperature
    task = task_of(config)
    findings = tools_for(task).findings
    assert findings is not None
    return [findings(task, examples, annotations, count, least_nil) for annotations, count, examples in scored]


def with_found_entities(entity: Any, documents: Sequence[Document], batch_tokens: int) -> list[Document]:
    """Documents with the entities that a model finds in them, as `predicted_ner`."""
    classes = entity.config.schema.entity_classes
    found = entity.predict(documents, batch_tokens)
    return [
        {**document, "predicted_ner": [as_annotations(spans, classes) for spans in sentences]}
        for document, (_, sentences, _) in zip(documents, found, strict=True)
    ]
