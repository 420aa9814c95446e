"""False relations between entities that have none: a model must not relate what merely stands together."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..modeling.decoding_plmarker import ScoredRelation
from ..modeling.task_plmarker import Document

# The least scores at which false relations are counted. 0.0 is all that a model without thresholds returns.
THRESHOLDS = (0.0, 0.5, 0.7, 0.9)
# Longer sentences are not joined: a window must hold both.
MOST_WORDS = 40


@dataclass
class FalseRelations:
    """In how many sentences without a relation a model returns one.

    Args:
        best: for each such sentence, the highest score of a relation in it; None where the model finds none.
    """

    best: list[float | None] = field(default_factory=list)

    def add(self, scores: Iterable[float]) -> None:
        """Count one sentence, from the scores of the relations that are false."""
        self.best.append(max(scores, default=None))

    def share(self, threshold: float) -> float | None:
        """The share of the sentences with a false relation of at least this score; None without sentences."""
        if not self.best:
            return None
        return sum(score is not None and score >= threshold for score in self.best) / len(self.best)

    def to_dict(self, thresholds: Sequence[float] = THRESHOLDS) -> dict[str, Any]:
        """JSON-ready values: `sentences`, and `share` by threshold."""
        return {"sentences": len(self.best), "share": {str(value): self.share(value) for value in thresholds}}


def negative_sentences(document: Document) -> list[int]:
    """The sentences of a typed document with two or more annotated entities and no annotated relation.

    A document without a list of relations has none: nobody has looked for relations in it.
    """
    relations = document.get("relations")
    if relations is None:
        return []
    return [
        number
        for number, entities in enumerate(document.get("ner") or ())
        if len({(e["start"], e["end"]) for e in entities}) > 1 and not relations[number]
    ]


def joined_documents(documents: Iterable[Document], count: int, seed: int = 0) -> list[dict[str, Any]]:
    """Sentences that put unrelated entities side by side: each is made of two sentences of different documents.

    The words of the second sentence follow those of the first, and a comma takes the place of the first one's final
    punctuation. A relation between entities of different sides is false. The choice is random, and the same for the
    same documents and seed.

    Args:
        documents: typed documents with `ner`. Sentences with annotated entities and at most 40 words are used, each
            once.
        count: how many sentences are made at most.
        seed: seed of the choice.

    Returns:
        Documents of one sentence, with `ner`, and with `border`, the first word of the second side.

    Example:
        >>> one = {"sentences": [["Ada", "sings", "."]], "ner": [[{"start": 0, "end": 0, "label": "PER"}]]}
        >>> two = {"sentences": [["Acme", "grows", "."]], "ner": [[{"start": 0, "end": 0, "label": "ORG"}]]}
        >>> sorted(joined_documents([one, two], 1)[0]["sentences"][0])
        [',', '.', 'Acme', 'Ada', 'grows', 'sings']
    """
    sides: list[tuple[int, list[str], list[dict[str, Any]]]] = []
    for number, document in enumerate(documents):
        first = 0
        for words, entities in zip(document["sentences"], document.get("ner") or (), strict=False):
            if entities and len(words) <= MOST_WORDS:
                moved = [{**e, "start": e["start"] - first, "end": e["end"] - first} for e in entities]
                sides.append((number, list(words), moved))
            first += len(words)
    random.Random(seed).shuffle(sides)
    joined: list[dict[str, Any]] = []
    while sides and len(joined) < count:
        number, words, entities = sides.pop()
        partner = next((place for place in reversed(range(len(sides))) if sides[place][0] != number), None)
        if partner is None:
            continue
        _, more_words, more_entities = sides.pop(partner)
        is_closed = not any(c.isalnum() for c in words[-1]) and all(e["end"] < len(words) - 1 for e in entities)
        words = [*(words[:-1] if is_closed else words), ","]
        border = len(words)
        moved = [{**e, "start": e["start"] + border, "end": e["end"] + border} for e in more_entities]
        joined.append(
            {
                "doc_key": f"joined {len(joined)}",
                "sentences": [[*words, *more_words]],
                "ner": [[*entities, *moved]],
                "relations": [[]],
                "border": border,
            }
        )
    return joined


def scores_across(document: Mapping[str, Any], relations: Iterable[ScoredRelation]) -> Iterator[float]:
    """The scores of the relations that join the two sides of a document of `joined_documents`.

    Example:
        >>> across = ScoredRelation((0, 0), (3, 3), 1, 0.8, 1, 1)
        >>> list(scores_across({"border": 3}, [across, ScoredRelation((0, 0), (1, 1), 1, 0.9, 1, 1)]))
        [0.8]
    """
    for relation in relations:
        if (relation.head[0] < document["border"]) != (relation.tail[0] < document["border"]):
            yield relation.score
