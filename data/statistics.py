"""What is in a corpus, and what a model's limits would lose of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..modeling.windows_plmarker import WordTokenizer

COUNTED = ("documents", "sentences", "words", "entities", "relations", "nested", "across")

# Limits that the tables show.
SPAN_LENGTHS = (4, 8, 12, 16)
WINDOW_SIZES = (128, 256, 384, 512)


def count_document(document: Mapping[str, Any]) -> Counter[str]:
    """`documents` (1), `sentences`, `words`, `entities` and `relations` of a typed document, as they are given."""
    return Counter(
        documents=1,
        sentences=len(document["sentences"]),
        words=sum(map(len, document["sentences"])),
        entities=sum(map(len, document["ner"] or ())),
        relations=sum(map(len, document["relations"] or ())),
    )


@dataclass
class Statistics:
    """Counts of a corpus.

    Args:
        counts: `documents`, `sentences`, `words`, `entities`, `relations`, `nested` entities (those that share a word
            with another), and relations `across` sentences.
        entity_labels, relation_labels: how many there are of each type.
        widths: of entities, in words.
        distances: of relations, in words between the two entities; 0 where they touch or overlap.
        subwords: of sentences, in subwords; empty without a tokenizer.
        entity_subwords, relation_subwords: of entities, and of relations from the first to the last subword.
    """

    counts: Counter[str] = field(default_factory=Counter)
    entity_labels: Counter[str] = field(default_factory=Counter)
    relation_labels: Counter[str] = field(default_factory=Counter)
    widths: Counter[int] = field(default_factory=Counter)
    distances: Counter[int] = field(default_factory=Counter)
    subwords: Counter[int] = field(default_factory=Counter)
    entity_subwords: Counter[int] = field(default_factory=Counter)
    relation_subwords: Counter[int] = field(default_factory=Counter)

    def too_wide(self, max_span_length: int) -> int:
        """Entities of more words, which are no candidates."""
        return _above(self.widths, max_span_length)

    def outside(self, max_seq_length: int) -> dict[str, int]:
        """What a window of so many subwords cannot hold.

        Returns:
            `sentences` that are read in pieces, `entities` and `relations` that no window holds; a window is two
            subwords shorter than `max_seq_length` for entities, four for relations.
        """
        return {
            "sentences": _above(self.subwords, max_seq_length - 2),
            "entities": _above(self.entity_subwords, max_seq_length - 2),
            "relations": _above(self.relation_subwords, max_seq_length - 4),
        }

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        lost = {str(length): self.too_wide(length) for length in SPAN_LENGTHS}
        values: dict[str, Any] = {**self.counts, "max_span_length_loses": lost}
        for name in ("entity_labels", "relation_labels", "widths", "distances"):
            values[name] = {str(key): count for key, count in sorted(getattr(self, name).items())}
        if self.subwords:
            values["max_seq_length_loses"] = {str(size): self.outside(size) for size in WINDOW_SIZES}
        return values


def collect_statistics(documents: Iterable[Mapping[str, Any]], tokenizer: WordTokenizer | None = None) -> Statistics:
    """Count what is in typed documents.

    Args:
        tokenizer: for the sizes in subwords.
    """
    found = Statistics()
    found.counts.update(dict.fromkeys(COUNTED, 0))
    for document in documents:
        found.counts.update(count_document(document))
        sentence_of = [number for number, words in enumerate(document["sentences"]) for _ in words]
        offsets: Sequence[int] = ()
        if tokenizer is not None:
            offsets = tokenizer([word for words in document["sentences"] for word in words]).word_starts
            first = 0
            for words in document["sentences"]:
                found.subwords[offsets[first + len(words)] - offsets[first]] += 1
                first += len(words)
        for rows in document["ner"] or ():
            spans = {(row["start"], row["end"]) for row in rows}
            for row in rows:
                start, end = row["start"], row["end"]
                found.entity_labels[row["label"]] += 1
                found.widths[end - start + 1] += 1
                others = spans - {(start, end)}
                found.counts["nested"] += any(first <= end and start <= last for first, last in others)
                if offsets:
                    found.entity_subwords[offsets[end + 1] - offsets[start]] += 1
        for row in (row for rows in document["relations"] or () for row in rows):
            found.relation_labels[row["label"]] += 1
            (_, before), (after, _) = sorted((row[f"{e}_start"], row[f"{e}_end"]) for e in ("head", "tail"))
            found.distances[max(0, after - before - 1)] += 1
            found.counts["across"] += sentence_of[row["head_start"]] != sentence_of[row["tail_start"]]
            if offsets:
                ends = [row[name] for name in ("head_start", "head_end", "tail_start", "tail_end")]
                found.relation_subwords[offsets[max(ends) + 1] - offsets[min(ends)]] += 1
    return found


def statistics_table(splits: Mapping[str, Statistics]) -> str:
    """Markdown tables of the statistics of each split, side by side."""
    names, found = list(splits), list(splits.values())
    has_relations = any(split.counts["relations"] for split in found)
    rows: list[tuple[str, list[str]]] = []
    for what in ("documents", "sentences", "words", "entities", "relations"):
        if what != "relations" or has_relations:
            rows.append((what, [str(split.counts[what]) for split in found]))
    rows.append(("nested or overlapping entities", [_share(s.counts["nested"], s.counts["entities"]) for s in found]))
    rows.append(("widest entity, words", [str(max(s.widths, default=0)) for s in found]))
    if has_relations:
        across = [_share(s.counts["across"], s.counts["relations"]) for s in found]
        rows.append(("relations across sentences", across))
    tables = [_table("", names, rows)]
    for title, attribute in (("entities by type", "entity_labels"), ("relations by type", "relation_labels")):
        totals: Counter[str] = sum((getattr(split, attribute) for split in found), Counter())
        labels = [label for label, _ in sorted(totals.items(), key=lambda item: (-item[1], item[0]))]
        tables.append(
            _table(title, names, [(label, [str(getattr(s, attribute)[label]) for s in found]) for label in labels])
        )
    tables.append(_histogram("entities by width, words", names, [s.widths for s in found], 1))
    if has_relations:
        tables.append(_histogram("relations by distance, words between", names, [s.distances for s in found], 0))
    lost = [
        (f"`max_span_length` {length}", [_share(s.too_wide(length), s.counts["entities"]) for s in found])
        for length in SPAN_LENGTHS
    ]
    if any(split.subwords for split in found):
        rows = _window_rows(found)
        lost += rows or [(f"`max_seq_length` {WINDOW_SIZES[0]} or more", ["0"] * len(found))]
    tables.append(_table("what limits lose", names, lost))
    return "\n\n".join(table for table in tables if table)


def _window_rows(found: Sequence[Statistics]) -> list[tuple[str, list[str]]]:
    """What windows lose, for the sizes that lose anything."""
    rows = []
    for size in WINDOW_SIZES:
        outside = [split.outside(size) for split in found]
        for what, verb in (("sentences", "in pieces"), ("entities", "lost"), ("relations", "lost")):
            if any(counts[what] for counts in outside):
                cells = [_share(o[what], s.counts[what]) for o, s in zip(outside, found, strict=True)]
                rows.append((f"`max_seq_length` {size}, {what} {verb}", cells))
    return rows


def _histogram(title: str, names: Sequence[str], counters: Sequence[Counter[int]], first: int) -> str:
    """One row for each of the small values, then ranges that double."""
    largest = max((max(counter, default=first) for counter in counters), default=first)
    rows = []
    low, size = first, 1
    while low <= largest:
        high = low + size - 1
        counts = [sum(counter[value] for value in range(low, high + 1)) for counter in counters]
        rows.append((str(low) if size == 1 else f"{low} to {high}", [str(count) for count in counts]))
        low, size = high + 1, 1 if high + 1 < first + 8 else 2 * size
    return _table(title, names, rows)


def _table(title: str, names: Sequence[str], rows: Sequence[tuple[str, list[str]]]) -> str:
    if not rows:
        return ""
    lines = [f"| {title} | {' | '.join(names)} |", "| --- |" + " --- |" * len(names)]
    return "\n".join([*lines, *(f"| {name} | {' | '.join(cells)} |" for name, cells in rows)])


def _above(counter: Counter[int], limit: int) -> int:
    return sum(count for value, count in counter.items() if value > limit)


def _share(count: int, total: int) -> str:
    return f"{count} ({100 * count / total:.1f}%)" if total else "0"
