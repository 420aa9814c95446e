"""Random typed documents for the tests of readers and writers."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import strategies as st

# Combining and invisible characters, right-to-left letters, emoji, and characters with a meaning in some format.
DIFFICULT_CHARACTERS = "aé-.#0中אب\u0301\u200b\u200d\ufeff👩🏽'\"\\|;%/&"
LABELS = st.sampled_from(["PER", "ORG", "B-X", "née"])


def _has_no_space(word: str) -> bool:
    return word.split() == [word]


WORDS = st.text(
    st.one_of(st.sampled_from(DIFFICULT_CHARACTERS), st.characters(exclude_categories=["Cs"])), min_size=1, max_size=4
)


@st.composite
def _typed_documents(draw: st.DrawFn, flat: bool) -> dict[str, Any]:
    sentences = draw(st.lists(st.lists(WORDS.filter(_has_no_space), max_size=5), min_size=1, max_size=3))
    if not any(sentences):
        sentences.append(["."])
    ner: list[list[dict[str, Any]]] = []
    relations: list[list[dict[str, Any]]] = []
    first = 0
    for words in sentences:
        borders = st.lists(st.integers(0, len(words)), max_size=6, unique=flat)
        cuts = draw(borders)
        spans = {(min(pair), max(pair) - 1) for pair in zip(sorted(cuts)[::2], sorted(cuts)[1::2], strict=False)}
        if not flat:
            spans |= {(min(pair), max(pair) - 1) for pair in pairwise(cuts)}
        places = [(start + first, end + first) for start, end in sorted(spans) if start <= end]
        ner.append([{"start": start, "end": end, "label": draw(LABELS)} for start, end in places])
        first += len(words)
    entities = [row for rows in ner for row in rows]
    for rows in ner:
        ends = st.tuples(st.sampled_from(rows), st.sampled_from(entities), LABELS) if rows else st.nothing()
        drawn = draw(st.lists(ends, max_size=2, unique_by=str)) if rows else []
        relations.append(
            [
                {
                    "head_start": head["start"],
                    "head_end": head["end"],
                    "tail_start": tail["start"],
                    "tail_end": tail["end"],
                    "label": label,
                }
                for head, tail, label in drawn
            ]
        )
    return {
        "doc_key": draw(
            st.text(st.sampled_from(DIFFICULT_CHARACTERS + ".. ~*?:<>"), min_size=1, max_size=8)
            .map(str.strip)
            .filter(bool)
        ),
        "sentences": sentences,
        "ner": ner,
        "relations": None if flat else relations,
        "predicted_ner": None,
        "predicted_relations": None,
    }


@pytest.fixture(scope="session")
def typed_documents() -> Callable[[bool], st.SearchStrategy[list[dict[str, Any]]]]:
    """Make a strategy for lists of documents. With `flat=True` they have no nested entities and no relations."""
    return lambda flat=False: st.lists(
        _typed_documents(flat), min_size=1, max_size=3, unique_by=lambda document: document["doc_key"]
    )


@pytest.fixture(scope="session")
def without_empty_sentences() -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Remove empty sentences and sort the annotations, so that equivalent documents are equal."""

    def normalize(document: dict[str, Any]) -> dict[str, Any]:
        kept = [number for number, words in enumerate(document["sentences"]) if words]
        changes = {"sentences": [document["sentences"][number] for number in kept]}
        for name in ("ner", "relations"):
            if document[name] is not None:
                changes[name] = [
                    sorted(document[name][number], key=lambda row: list(map(str, row.values()))) for number in kept
                ]
        return {**document, **changes}

    return normalize
