"""Find the places of entities and relations that are given by their texts alone, as language models give them."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import groupby, product

from ..modeling.text_plmarker import Offsets

# Which occurrences of an entity are annotated, see `place_mentions`.
OCCURRENCES = ("all", "nearest", "first")
# Takes a kind of event, which is counted, and a message where a person should see it.
Note = Callable[[str, str | None], None]


@dataclass(frozen=True)
class Mention:
    """An entity, or an end of a relation, without its place.

    Args:
        text: its text, with single spaces.
        label: its label; None where a relation does not repeat it.
    """

    text: str
    label: str | None = None

    def __str__(self) -> str:
        return repr(self.text) if self.label is None else f"{self.text!r} ({self.label})"


@dataclass
class Listed:
    """All entities of a document that have one text.

    Args:
        labels: their labels, in the order of the document's list.
        places: where the text occurs, in characters, in the order of the text.
    """

    labels: list[str] = field(default_factory=list)
    places: list[Offsets] = field(default_factory=list)


def place_mentions(
    text: str,
    located: Sequence[Sequence[Offsets]],
    entities: Sequence[Mention],
    relations: Sequence[tuple[Mention, Mention, str]],
    occurrences: str,
    note: Note,
) -> tuple[list[tuple[Offsets, str]], list[tuple[Offsets, Offsets, str]]]:
    """Find the places of the entities and relations of a document.

    - An entity is found where its text begins and ends with words. The case must be the same, or else it is ignored.
      White space may differ.
    - An occurrence inside a longer entity of the list is left out, unless the entity occurs nowhere else.
    - `all` annotates every occurrence. `first` annotates the first one, and as many as the list repeats the entity.
      `nearest` annotates those that a relation joins. An entity without a relation is annotated where it is nearest to
      the entity before it in the list: such lists follow the text.
    - A text with several labels gets them in the order of the list where there are as many occurrences. Otherwise
      `all` gives each occurrence all labels, which is counted.
    - A relation joins the nearest pair of occurrences of its ends, in one sentence if there is such a pair.

    Args:
        text: the text.
        located: (start, exclusive end) of the words of each sentence, in characters.
        entities: the list of the document; all have labels.
        relations: head, tail and label.
        occurrences: one of `OCCURRENCES`.
        note: called for every entity, and for everything that is ambiguous or left out.

    Returns:
        The entities as ((start, exclusive end), label), and the relations as (head, tail, label).
    """
    words = _Words(located)
    listed = _find(text, words, entities, note)
    pairs = [(ends, label) for head, tail, label in relations if (ends := _ends(listed, head, tail, label, note))]
    chosen: dict[str, list[Offsets]] = {name: [] for name in listed}
    if occurrences != "nearest":
        for name, found in listed.items():
            count = len(found.places) if occurrences == "all" else len(found.labels)
            chosen[name] = found.places[:count]
    linked: list[tuple[Offsets, Offsets, str]] = []
    for (head, tail), label in pairs:
        allowed = [listed[name].places if occurrences == "nearest" else chosen[name] for name in (head, tail)]
        pair = words.nearest(*allowed)
        if pair is None:
            note("relations left out", f"the relation {label!r} joins {head!r} with itself, which occurs once")
            continue
        linked.append((*pair, label))
        if occurrences == "nearest":
            for name, place in zip((head, tail), pair, strict=True):
                chosen[name] += [place] if place not in chosen[name] else []
    if occurrences == "nearest":
        _choose_nearest(entities, listed, chosen)
    annotated = [pair for name, found in listed.items() for pair in _labelled(found.labels, chosen[name])]
    _note_overlaps(text, annotated, note)
    return annotated, linked


class _Words:
    """The words of a text, and where they begin and end."""

    def __init__(self, located: Sequence[Sequence[Offsets]]) -> None:
        words = [offsets for sentence in located for offsets in sentence]
        self.at_start = {start: number for number, (start, _) in enumerate(words)}
        self.at_end = {end: number for number, (_, end) in enumerate(words)}
        self.sentences = [number for number, sentence in enumerate(located) for _ in sentence]

    def occurrences(self, text: str, mention: str, flags: re.RegexFlag) -> tuple[list[Offsets], bool]:
        """The places of a mention that begin and end with words, and whether it occurs inside a word at least."""
        # A match inside a word must not hide the match that overlaps it, so a match takes no characters.
        words = r"\s+".join(map(re.escape, mention.split()))
        pattern = re.compile(f"(?=({words}))", flags)
        found: list[Offsets] = []
        occurs = False
        for match in pattern.finditer(text):
            start, end = match.span(1)
            occurs = True
            if start in self.at_start and end in self.at_end and (not found or start >= found[-1][1]):
                found.append((start, end))
        return found, occurs

    def nearest(self, heads: Sequence[Offsets], tails: Sequence[Offsets]) -> tuple[Offsets, Offsets] | None:
        """The nearest pair of two places, in one sentence if there is one; None where all places are one."""

        def cost(pair: tuple[Offsets, Offsets]) -> tuple[bool, int, int]:
            first, last = sorted(pair)
            sentences = [self.sentences[self.at_start[place[0]]] for place in (first, last)]
            return sentences[0] != sentences[1], max(0, last[0] - first[1]), first[0]

        return min((pair for pair in product(heads, tails) if pair[0] != pair[1]), key=cost, default=None)


def _find(text: str, words: _Words, entities: Sequence[Mention], note: Note) -> dict[str, Listed]:
    """The entities that occur, by their texts, in the order of the list."""
    listed: dict[str, Listed] = {}
    for entity in entities:
        assert entity.label is not None
        listed.setdefault(entity.text, Listed()).labels.append(entity.label)
    for name, found in listed.items():
        found.places, occurs = words.occurrences(text, name, re.NOFLAG)
        kind = "found as written"
        if not found.places:
            found.places, in_another_case = words.occurrences(text, name, re.IGNORECASE)
            kind, occurs = "found in another case", occurs or in_another_case
        for label in found.labels:
            if found.places:
                note(kind, None)
                if len(found.places) > 1:
                    note("of them found several times", None)
            else:
                place = "occurs inside words alone" if occurs else "is not in the text"
                note("not found", f"the entity {Mention(name, label)} {place}")
    listed = {name: found for name, found in listed.items() if found.places}
    # The last character of the longer entities that hold a word.
    furthest: dict[int, int] = {}
    by_length = sorted(listed.values(), key=lambda found: found.places[0][0] - found.places[0][1])
    for _, group in groupby(by_length, key=lambda found: found.places[0][0] - found.places[0][1]):
        members = list(group)
        marks = [place for found in members for place in found.places]
        for found in members:
            outside = [p for p in found.places if furthest.get(words.at_start[p[0]], 0) < p[1]]
            for _ in range(len(found.places) - len(outside)):
                note("occurrences inside a longer entity left out" if outside else "nested entities", None)
            found.places = outside or found.places
        for start, end in marks:
            for word in range(words.at_start[start], words.at_end[end] + 1):
                furthest[word] = max(furthest.get(word, 0), end)
    return listed


def _ends(listed: dict[str, Listed], head: Mention, tail: Mention, label: str, note: Note) -> tuple[str, str] | None:
    """The texts of the entities that a relation joins; None where one of them is not there."""
    names = []
    for end in (head, tail):
        fitting = [
            name
            for name, found in listed.items()
            if name.casefold() == end.text.casefold() and (end.label is None or end.label in found.labels)
        ]
        if not fitting:
            message = f"the relation {label!r} from {head} to {tail}: {end} is no entity that was found"
            note("relations left out", message)
            return None
        names.append(end.text if end.text in fitting else fitting[0])
    return names[0], names[1]


def _choose_nearest(entities: Sequence[Mention], listed: dict[str, Listed], chosen: dict[str, list[Offsets]]) -> None:
    """Add the places of entities without a relation, and of those that the list repeats."""
    seen: dict[str, int] = {}
    before: Offsets = (0, 0)
    for entity in entities:
        if entity.text not in listed:
            continue
        number = seen[entity.text] = seen.get(entity.text, -1) + 1
        own, places = chosen[entity.text], listed[entity.text].places
        if number < len(own):
            before = own[number]
        elif free := [place for place in places if place not in own]:
            before = min(free, key=lambda place, near=before: max(place[0] - near[1], near[0] - place[1]))  # type: ignore[misc]
            own.append(before)


def _labelled(labels: Sequence[str], places: Sequence[Offsets]) -> list[tuple[Offsets, str]]:
    """Places with their labels."""
    distinct = list(dict.fromkeys(labels))
    if len(distinct) > 1 and len(labels) == len(places):
        return list(zip(sorted(places), labels, strict=True))
    return [(place, label) for place in places for label in distinct]


def _note_overlaps(text: str, annotated: Sequence[tuple[Offsets, str]], note: Note) -> None:
    """Report spans with several labels, and entities of which neither holds the other."""
    labels: dict[Offsets, list[str]] = {}
    for place, label in annotated:
        labels.setdefault(place, []).append(label)
    before: list[Offsets] = []
    for place, found in sorted(labels.items()):
        if len(set(found)) > 1:
            several = ", ".join(dict.fromkeys(found))
            note("spans with several labels", f"{text[slice(*place)]!r} has the labels {several}")
        before = [other for other in before if other[1] > place[0]]
        for other in before:
            if other[0] < place[0] and other[1] < place[1]:
                note("overlapping entities", f"{text[slice(*other)]!r} and {text[slice(*place)]!r} overlap")
        before.append(place)
