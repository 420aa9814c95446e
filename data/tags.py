"""Entities as tags of words, in the schemes that corpora use.

iob1    I-X; B-X only for an entity that touches another of its type (CoNLL-2003 as it was published)
iob2    B-X for the first word of an entity, I-X for the others
bioes   B-X, I-X, E-X for the last word, S-X for an entity of one word
bilou   the same with L-X and U-X
none    X: neighbours of one type are one entity (Few-NERD)
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

OUTSIDE = "O"
SCHEMES = ("iob1", "iob2", "bioes", "bilou", "none")
# What begins, goes on, and ends an entity; M is the I of some Chinese corpora.
_PREFIXED = re.compile(r"([BIMESLU])-(.+)", re.DOTALL)
_LETTERS = {"iob1": "BI", "iob2": "BI", "bioes": "BIMES", "bilou": "BILU"}

TagSpan = tuple[int, int, str]


def guess_scheme(sequences: Iterable[Sequence[str]]) -> str:
    """Tell the scheme of a corpus from the tags of its sentences.

    Args:
        sequences: the tags of each sentence.

    Returns:
        One of `SCHEMES`; `iob2` where there is no entity at all.
    """
    letters: Counter[str] = Counter()
    bare = starts_inside = needless_begin = 0
    for tags in sequences:
        before: str | None = None
        for tag in tags:
            match = _PREFIXED.fullmatch(tag)
            label = match[2] if match else None
            if match:
                letters[match[1]] += 1
                starts_inside += match[1] == "I" and label != before
                needless_begin += match[1] == "B" and label != before
            elif tag != OUTSIDE:
                bare += 1
            before = label
    if bare > letters.total():
        return "none"
    if letters["L"] or letters["U"]:
        return "bilou"
    if letters["E"] or letters["S"]:
        return "bioes"
    # A file in iob2 may hold some entities that begin with I-, by mistake.
    return "iob1" if starts_inside > needless_begin else "iob2"


def spans_of_tags(tags: Sequence[str], scheme: str) -> tuple[list[TagSpan], list[tuple[int, str, bool]]]:
    """Read the entities of a sentence, as leniently as seqeval does, and list what is wrong with its tags.

    Args:
        scheme: one of `SCHEMES`.

    Returns:
        The entities as (start, end inclusive, label), and the mistakes as (word, message, whether it is fatal).
    """
    spans: list[TagSpan] = []
    mistakes: list[tuple[int, str, bool]] = []
    strict = scheme in ("bioes", "bilou")
    # Label and first word of the entity that is open at a word.
    label, first = "", 0

    def close(last: int, finished: bool = True) -> None:
        nonlocal label
        if label:
            spans.append((first, last, label))
            if strict and not finished:
                mistakes.append((last, f"the entity of type {label!r} has no end tag", False))
        label = ""

    for word, tag in enumerate(tags):
        if tag == OUTSIDE:
            close(word - 1, finished=False)
            continue
        if scheme == "none":
            letter, found = "I", tag
        else:
            match = _PREFIXED.fullmatch(tag)
            if match is None or match[1] not in _LETTERS[scheme]:
                close(word - 1, finished=False)
                mistakes.append((word, f"tag {tag!r} is none of the scheme {scheme}", True))
                continue
            letter, found = match.groups()
        goes_on = letter in "IMEL" and found == label
        if not goes_on:
            close(word - 1, finished=False)
            if letter in "IMEL" and scheme not in ("iob1", "none"):
                mistakes.append((word, f"tag {tag!r} begins an entity, which {scheme} does with B-", False))
            label, first = found, word
        if letter in "ESLU":
            close(word)
    close(len(tags) - 1, finished=False)
    return spans, mistakes


def iob2_tags(entities: Iterable[Sequence[Any]], n_words: int) -> list[str]:
    """Tag the words of a sentence.

    Args:
        entities: (start, end inclusive, label), counted from the sentence's first word.

    Raises:
        ValueError: when two entities share a word.
    """
    tags = [OUTSIDE] * n_words
    for start, end, label in entities:
        if any(tag != OUTSIDE for tag in tags[start : end + 1]):
            raise ValueError("nested or overlapping entities cannot be written as tags")
        tags[start : end + 1] = [f"B-{label}"] + [f"I-{label}"] * (end - start)
    return tags
