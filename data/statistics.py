"""Statistics of a corpus, and how much of it the limits of a model would lose."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..modeling.windows_plmarker import WordTokenizer

COUNT_NAMES = ("documents", "sentences", "words", "entities", "relations", "nested", "across")

# The tables show these values of `max_span_length` and `max_seq_length`.
SPAN_LENGTHS = (4, 8, 12, 16)
WINDOW_SIZES = (128, 256, 384, 512)


def count_document(document: Mapping[str, Any]) -> Counter[str]:
    """Count the content of one typed document.

    Returns:
        The numbers of `documents` (1), `sentences`, `words`, `entities` and `relations`. Repeated annotations are
        counted each time.
    """
    return Counter(
        documents=1,
        sentences=len(document["sentences"]),
        words=sum(map(len, document["sentences"])),
        entities=sum(map(len, document["ner"] or ())),
        relations=sum(map(len, document["relations"] or ())),
    )


@dataclass
class Statistics:
    """Statistics of the documents of one split.

    The counters of widths, distances and subwords map each size to the number of items with this size.

    Args:
        counts: the numbers of `documents`, `sentences`, `words`, `entities` and `relations`. `nested` counts the
            entities that share a word with another entity. `across` counts the relations between two sentences.
        entity_labels: label -> number of entities.
        relation_labels: label -> number of relations.
        entity_widths: widths of the entities, in words.
        relation_distances: numbers of words between the two ends of a relation; 0 if the ends touch or overlap.
        sentence_subwords: lengths of the sentences, in subwords. This counter and the next two are empty if there was
            no tokenizer.
        entity_subwords: lengths of the entities, in subwords.
        relation_subwords: lengths from the first to the last subword of a relation.
    """

    counts: Counter[str] = field(default_factory=Counter)
    entity_labels: Counter[str] = field(default_factory=Counter)
    relation_labels: Counter[str] = field(default_factory=Counter)
    entity_widths: Counter[int] = field(default_factory=Counter)
    relation_distances: Counter[int] = field(default_factory=Counter)
    sentence_subwords: Counter[int] = field(default_factory=Counter)
    entity_subwords: Counter[int] = field(default_factory=Counter)
    relation_subwords: Counter[int] = field(default_factory=Counter)

    def count_too_wide(self, max_span_length: int) -> int:
        """Count the entities with more than `max_span_length` words. A model cannot find them."""
        return _count_above(self.entity_widths, max_span_length)

    def count_outside_window(self, max_seq_length: int) -> dict[str, int]:
        """Count what does not fit into a window.

        Args:
            max_seq_length: the size of a window in subwords. The special tokens and the solid markers take two of them
                for entities, and four for relations.

        Returns:
            The number of `sentences` that are split, and the numbers of `entities` and `relations` that are lost.
        """
        return {
            "sentences": _count_above(self.sentence_subwords, max_seq_length - 2),
            "entities": _count_above(self.entity_subwords, max_seq_length - 2),
            "relations": _count_above(self.relation_subwords, max_seq_length - 4),
        }

    def to_dict(self) -> dict[str, Any]:
        """Return the statistics as values that `json.dumps` accepts.

        `max_span_length_loses` and `max_seq_length_loses` have the losses for several limits.
        """
        lost = {str(length): self.count_too_wide(length) for length in SPAN_LENGTHS}
        values: dict[str, Any] = {**self.counts, "max_span_length_loses": lost}
        counters: dict[str, Counter[Any]] = {
            "entity_labels": self.entity_labels,
            "relation_labels": self.relation_labels,
            "widths": self.entity_widths,
            "distances": self.relation_distances,
        }
        for name, counter in counters.items():
            values[name] = {str(key): count for key, count in sorted(counter.items())}
        if self.sentence_subwords:
            values["max_seq_length_loses"] = {str(size): self.count_outside_window(size) for size in WINDOW_SIZES}
        return values


def collect_statistics(documents: Iterable[Mapping[str, Any]], tokenizer: WordTokenizer | None = None) -> Statistics:
    """Collect the statistics of typed documents.

    Example:
        >>> collect_statistics(load_documents("sample")["test"]).counts["documents"]
        16

    Args:
        documents: typed documents.
        tokenizer: the tokenizer that counts subwords; None leaves the counters of subwords empty.
    """
    statistics = Statistics()
    statistics.counts.update(dict.fromkeys(COUNT_NAMES, 0))
    for document in documents:
        statistics.counts.update(count_document(document))
        sentence_of = [number for number, words in enumerate(document["sentences"]) for _ in words]
        offsets: Sequence[int] = ()
        if tokenizer is not None:
            offsets = tokenizer([word for words in document["sentences"] for word in words]).word_starts
            first = 0
            for words in document["sentences"]:
                statistics.sentence_subwords[offsets[first + len(words)] - offsets[first]] += 1
                first += len(words)
        for rows in document["ner"] or ():
            spans = {(row["start"], row["end"]) for row in rows}
            for row in rows:
                start, end = row["start"], row["end"]
                statistics.entity_labels[row["label"]] += 1
                statistics.entity_widths[end - start + 1] += 1
                others = spans - {(start, end)}
                statistics.counts["nested"] += any(first <= end and start <= last for first, last in others)
                if offsets:
                    statistics.entity_subwords[offsets[end + 1] - offsets[start]] += 1
        for row in (row for rows in document["relations"] or () for row in rows):
            statistics.relation_labels[row["label"]] += 1
            (_, before), (after, _) = sorted((row[f"{end}_start"], row[f"{end}_end"]) for end in ("head", "tail"))
            statistics.relation_distances[max(0, after - before - 1)] += 1
            statistics.counts["across"] += sentence_of[row["head_start"]] != sentence_of[row["tail_start"]]
            if offsets:
                ends = [row[name] for name in ("head_start", "head_end", "tail_start", "tail_end")]
                statistics.relation_subwords[offsets[max(ends) + 1] - offsets[min(ends)]] += 1
    return statistics


def statistics_table(splits: Mapping[str, Statistics]) -> str:
    """Write the statistics as Markdown tables.

    Args:
        splits: the statistics of each split. Each split becomes a column.
    """
    names, statistics = list(splits), list(splits.values())
    has_relations = any(split.counts["relations"] for split in statistics)
    rows: list[tuple[str, list[str]]] = []
    for name in ("documents", "sentences", "words", "entities", "relations"):
        if name != "relations" or has_relations:
            rows.append((name, [str(split.counts[name]) for split in statistics]))
    rows.append(
        ("nested or overlapping entities", [_share(s.counts["nested"], s.counts["entities"]) for s in statistics])
    )
    rows.append(("widest entity in words", [str(max(s.entity_widths, default=0)) for s in statistics]))
    if has_relations:
        across = [_share(s.counts["across"], s.counts["relations"]) for s in statistics]
        rows.append(("relations across sentences", across))
    tables = [_table("", names, rows)]
    for title, attribute in (("entities by type", "entity_labels"), ("relations by type", "relation_labels")):
        totals: Counter[str] = sum((getattr(split, attribute) for split in statistics), Counter())
        labels = [label for label, _ in sorted(totals.items(), key=lambda item: (-item[1], item[0]))]
        tables.append(
            _table(title, names, [(label, [str(getattr(s, attribute)[label]) for s in statistics]) for label in labels])
        )
    tables.append(_histogram("entities by width in words", names, [s.entity_widths for s in statistics], 1))
    if has_relations:
        tables.append(
            _histogram("relations by distance in words", names, [s.relation_distances for s in statistics], 0)
        )
    lost = [
        (f"`max_span_length` {length}", [_share(s.count_too_wide(length), s.counts["entities"]) for s in statistics])
        for length in SPAN_LENGTHS
    ]
    if any(split.sentence_subwords for split in statistics):
        rows = _window_rows(statistics)
        lost += rows or [(f"`max_seq_length` {WINDOW_SIZES[0]} or more", ["0"] * len(statistics))]
    tables.append(_table("lost at a limit", names, lost))
    return "\n\n".join(table for table in tables if table)


def _window_rows(statistics: Sequence[Statistics]) -> list[tuple[str, list[str]]]:
    """Return the rows with losses for each window size. Sizes without losses are left out."""
    rows = []
    for size in WINDOW_SIZES:
        outside = [split.count_outside_window(size) for split in statistics]
        for name, verb in (("sentences", "split"), ("entities", "lost"), ("relations", "lost")):
            if any(counts[name] for counts in outside):
                cells = [_share(o[name], s.counts[name]) for o, s in zip(outside, statistics, strict=True)]
                rows.append((f"`max_seq_length` {size}, {name} {verb}", cells))
    return rows


def _histogram(title: str, names: Sequence[str], counters: Sequence[Counter[int]], first: int) -> str:
    """Write a table with one row for each of the first eight values, and then with ranges whose sizes double."""
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
    """Write a Markdown table. It is empty if there are no rows."""
    if not rows:
        return ""
    lines = [f"| {title} | {' | '.join(names)} |", "| --- |" + " --- |" * len(names)]
    return "\n".join([*lines, *(f"| {name} | {' | '.join(cells)} |" for name, cells in rows)])


def _count_above(counter: Counter[int], limit: int) -> int:
    return sum(count for value, count in counter.items() if value > limit)


def _share(count: int, total: int) -> str:
    return f"{count} ({100 * count / total:.1f}%)" if total else "0"
