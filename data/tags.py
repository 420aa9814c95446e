"""Read and write entities as one tag per word, in the tagging schemes of common corpora.

iob1    I-X marks every word of an entity. B-X marks the first word only if the entity directly follows another entity
        with the same label. CoNLL-2003 was published in this scheme.
iob2    B-X marks the first word of an entity, and I-X marks its other words.
bioes   B-X marks the first word, I-X a middle word, E-X the last word. S-X marks an entity of one word.
bilou   The same as bioes, with L-X in place of E-X and U-X in place of S-X.
none    X marks every word. Neighbouring words with the same label are one entity. Few-NERD uses this scheme.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

OUTSIDE = "O"
# The usual names of columns of tags. Where there are several, the others are parts of speech and such.
TAG_COLUMNS = ("ner_tags", "ner", "tags", "labels")
# The label of entities whose tags are single letters.
ONLY_LABEL = "ENTITY"
SCHEMES = ("iob1", "iob2", "bioes", "bilou", "none")
# Some Chinese corpora write M- in place of I-.
_PREFIXED = re.compile(r"([BIMESLU])-(.+)", re.DOTALL)
_PREFIX_LETTERS = {"iob1": "BI", "iob2": "BI", "bioes": "BIMES", "bilou": "BILU"}
# The tags that end an entity, in the schemes that require one.
_END_TAGS = {"bioes": "E- or S-", "bilou": "L- or U-"}

# How some corpora write tags, and how the tags of all of them are read: a prefix letter, a hyphen and the label.
_STYLES = (
    (re.compile(r"([BIMESLU])-(.+)", re.DOTALL), r"\1-\2"),
    (re.compile(r"([BIMESLU])[_:\u2010-\u2015](.+)", re.DOTALL), r"\1-\2"),
    (re.compile(r"(.+)[-_]([BIMESLU])", re.DOTALL), r"\2-\1"),
    (re.compile(r"([bimeslu])[-_](.+)", re.DOTALL), r"\1-\2"),
    (re.compile(r"([BIMESLU])"), rf"\1-{ONLY_LABEL}"),
)
# Corpora with discontinuous entities mark their parts so: the head, and the rest.
DISCONTINUOUS = re.compile(r"[HD][BI][-_].+", re.DOTALL)
# These mean that a word is outside of entities, but are written wrongly.
_MISSPELLED_OUTSIDE = re.compile(r"0|o|_|[BIMESLUbimeslu][-_][Oo0]")

# Start, inclusive end and label of an entity. Word indices count from the first word of the sentence.
TaggedEntity = tuple[int, int, str]
# Word index, message, and whether the problem is fatal.
TagProblem = tuple[int, str, bool]


def is_tag(text: str) -> bool:
    """Whether a text looks like a tag: `O`, or a label with a prefix in one of the known styles.

    Example:
        >>> [is_tag(text) for text in ("O", "B-PER", "b_per", "PER-I", "B", "person", "3")]
        [True, True, True, True, True, False, False]
    """
    return text in (OUTSIDE, "0", "o") or any(pattern.fullmatch(text) for pattern, _ in _STYLES)


def usual_tags(tags: Mapping[str, int], scheme: str = "auto") -> tuple[dict[str, str], list[str]]:
    """Find out how the tags of a corpus are written.

    Example:
        >>> usual_tags({"B_PER": 2, "I_PER": 1, "O": 9})
        ({'B_PER': 'B-PER', 'I_PER': 'I-PER'}, ["tags such as 'B_PER' are read as 'B-PER'"])

    Args:
        tags: how often each tag occurs.
        scheme: the scheme that the user names. With `none`, labels have no prefix, and tags stay as they are.

    Returns:
        How each unusual tag is to be read, and a sentence for each kind of them.
    """
    notes: list[str] = []
    changes: dict[str, str] = {}
    outside = [tag for tag in tags if _MISSPELLED_OUTSIDE.fullmatch(tag)]
    # A label such as "0" that is far more frequent than "O" would be the usual way to write "O".
    for tag in outside:
        changes[tag] = OUTSIDE
        notes.append(f"tag {tag!r} is read as {OUTSIDE!r}, {tags[tag]} times")
    if scheme == "none":
        return changes, notes
    entities = {tag: count for tag, count in tags.items() if tag != OUTSIDE and tag not in changes}
    total = sum(entities.values())
    for number, (pattern, form) in enumerate(_STYLES):
        matching = {tag: count for tag, count in entities.items() if pattern.fullmatch(tag)}
        if not total or sum(matching.values()) < 0.9 * total:
            continue
        if number:
            for tag in matching:
                changes[tag] = pattern.sub(form, tag)
                changes[tag] = changes[tag][0].upper() + changes[tag][1:]
            example = max(matching, key=lambda tag: matching[tag])
            notes.append(f"tags such as {example!r} are read as {changes[example]!r}")
        break
    return changes, notes


def unlike_tags(tags: Collection[str], scheme: str) -> str:
    """Why the values of a column are no tags; empty where they may be some.

    Example:
        >>> unlike_tags(["NNP", "VBD"], "none")
        "no tag is 'O', as in a column of other tags, such as 'NNP', 'VBD'; the scheme 'none' reads them"
    """
    found = sorted(tags)
    is_outside = [tag == OUTSIDE or _MISSPELLED_OUTSIDE.fullmatch(tag) is not None for tag in found]
    numbers = [tag for tag in found if re.fullmatch(r"-?[1-9]\d*", tag)]
    if numbers:
        return f"the tags are numbers, such as {numbers[0]!r}, expected labels: write their names"
    if scheme == "none" and found and not any(is_outside):
        shown = ", ".join(map(repr, found[:4]))
        return f"no tag is {OUTSIDE!r}, as in a column of other tags, such as {shown}; the scheme 'none' reads them"
    return ""


def guess_scheme(sequences: Iterable[Sequence[str]]) -> str:
    """Guess the tagging scheme of a corpus from the tags of its sentences.

    Example:
        >>> guess_scheme([["I-PER", "I-PER", "O"], ["I-LOC", "B-LOC"]])
        'iob1'

    Args:
        sequences: the tags of each sentence.

    Returns:
        One of `SCHEMES`; `iob2` if the corpus has no entities.
    """
    letters: Counter[str] = Counter()
    without_prefix = starts_with_inside = needless_begin = 0
    for tags in sequences:
        previous_label: str | None = None
        for tag in tags:
            match = _PREFIXED.fullmatch(tag)
            label = match[2] if match else None
            if match:
                letters[match[1]] += 1
                starts_with_inside += match[1] == "I" and label != previous_label
                needless_begin += match[1] == "B" and label != previous_label
            elif tag != OUTSIDE:
                without_prefix += 1
            previous_label = label
    if without_prefix > letters.total():
        return "none"
    if letters["L"] or letters["U"]:
        return "bilou"
    if letters["E"] or letters["S"]:
        return "bioes"
    # An iob2 file may contain some entities that begin with I- by mistake, so the majority decides.
    return "iob1" if starts_with_inside > needless_begin else "iob2"


def entities_from_tags(tags: Sequence[str], scheme: str) -> tuple[list[TaggedEntity], list[TagProblem]]:
    """Read the entities of a sentence from its tags, and list the problems of the tags.

    Tags that break their scheme are read as leniently as seqeval reads them.

    Example:
        >>> entities_from_tags(["B-PER", "I-PER", "O", "B-LOC"], "iob2")
        ([(0, 1, 'PER'), (3, 3, 'LOC')], [])

    Args:
        tags: one tag per word.
        scheme: one of `SCHEMES`.

    Returns:
        The entities as (start, inclusive end, label), and the problems as (word, message, fatal). Word indices count
        from 0.
    """
    entities: list[TaggedEntity] = []
    problems: list[TagProblem] = []
    # Label and first word of the open entity. The label is empty if no entity is open.
    label, first = "", 0

    def close(last: int, has_end_tag: bool = True) -> None:
        nonlocal label
        if label:
            entities.append((first, last, label))
            if scheme in _END_TAGS and not has_end_tag:
                problems.append((last, f"entity {label!r} has no end tag, expected {_END_TAGS[scheme]} here", False))
        label = ""

    for word, tag in enumerate(tags):
        if tag == OUTSIDE:
            close(word - 1, has_end_tag=False)
            continue
        if scheme == "none":
            letter, tag_label = "I", tag
        else:
            match = _PREFIXED.fullmatch(tag)
            if match is None or match[1] not in _PREFIX_LETTERS[scheme]:
                close(word - 1, has_end_tag=False)
                prefixes = ", ".join(f"{letter}-" for letter in _PREFIX_LETTERS[scheme])
                expected = f"expected {OUTSIDE!r} or a label with one of the prefixes {prefixes}"
                problems.append((word, f"tag {tag!r} is not in the scheme {scheme}, {expected}", True))
                continue
            letter, tag_label = match.groups()
        continues = letter in "IMEL" and tag_label == label
        if not continues:
            close(word - 1, has_end_tag=False)
            if letter in "IMEL" and scheme not in ("iob1", "none"):
                problems.append((word, f"tag {tag!r} continues no entity, expected 'B-{tag_label}' first", False))
            label, first = tag_label, word
        if letter in "ESLU":
            close(word)
    close(len(tags) - 1, has_end_tag=False)
    return entities, problems


def iob2_tags(entities: Iterable[Sequence[Any]], n_words: int) -> list[str]:
    """Write the entities of a sentence as IOB2 tags.

    Example:
        >>> iob2_tags([(0, 1, "PER")], n_words=3)
        ['B-PER', 'I-PER', 'O']

    Args:
        entities: (start, inclusive end, label). Word indices count from the first word of the sentence.
        n_words: the number of words in the sentence.

    Returns:
        One tag per word.

    Raises:
        ValueError: if two entities share a word.
    """
    tags = [OUTSIDE] * n_words
    for start, end, label in entities:
        if any(tag != OUTSIDE for tag in tags[start : end + 1]):
            place = f"entity {label!r} at words {start} to {end} of its sentence"
            raise ValueError(f"{place} shares words with another entity, but a word can have only one tag")
        tags[start : end + 1] = [f"B-{label}"] + [f"I-{label}"] * (end - start)
    return tags
