"""Documents for tests of rows: by hand, and by hypothesis."""

from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st

from plmarker.modeling.span_tasks_plmarker import candidate_spans
from plmarker.modeling.windows_plmarker import WordTokenizer, sentence_ranges

WORDS = ["the", "levitated", "marker", "of", "Zuleika", "naïveté", ".", "(", "antidisestablishmentarianism"]


def entity(start: int, end: int, label: str) -> dict[str, Any]:
    return {"start": start, "end": end, "label": label}


def relation(head: Sequence[int], tail: Sequence[int], label: str) -> dict[str, Any]:
    return {"head_start": head[0], "head_end": head[1], "tail_start": tail[0], "tail_end": tail[1], "label": label}


def example_document() -> dict[str, Any]:
    """Three sentences, the second without words, with entities and relations of three labels."""
    return {
        "doc_key": "d",
        "sentences": [
            ["Ada", "Bell", "married", "Cyril", "of", "Acme", "."],
            [],
            ["Acme", "owns", "Zuleika-Works", "."],
        ],
        "ner": [
            [entity(0, 1, "PER"), entity(3, 3, "PER"), entity(5, 5, "ORG")],
            [],
            [entity(7, 7, "ORG"), entity(9, 9, "ORG")],
        ],
        "relations": [
            [relation((0, 1), (3, 3), "MARRIED"), relation((3, 3), (5, 5), "WORKS_FOR")],
            [],
            [relation((7, 7), (9, 9), "OWNS")],
        ],
    }


@st.composite
def documents(draw: st.DrawFn) -> dict[str, Any]:
    """Documents of up to three sentences with entities; some sentences are longer than a small window."""
    sentences = draw(st.lists(st.lists(st.sampled_from(WORDS), max_size=25), min_size=1, max_size=3))
    ner = []
    for first, last in sentence_ranges(sentences):
        spans = candidate_spans(first, last, 3)
        chosen = draw(st.lists(st.sampled_from(spans), max_size=4, unique=True)) if spans else []
        ner.append([entity(*span, draw(st.sampled_from(["PER", "ORG"]))) for span in chosen])
    return {"doc_key": "d", "sentences": sentences, "ner": ner}


def word_text(document: dict[str, Any], start: int, end: int, tokenize: WordTokenizer) -> str:
    words = [word for sentence in document["sentences"] for word in sentence]
    return tokenize.tokenizer.decode(tokenize(words[start : end + 1]).ids)


def count_subwords(document: dict[str, Any], first: int, last: int, tokenize: WordTokenizer) -> int:
    words = [word for sentence in document["sentences"] for word in sentence]
    return len(tokenize(words[first : last + 1]).ids)
