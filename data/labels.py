"""The labels of a corpus, with how often each occurs and an example: a person sees at a glance which are wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

# Longer examples are cut.
EXAMPLE_LENGTH = 40


@dataclass
class LabelCounts:
    """Counts of the labels of documents, and the first example of each with the name of its document.

    Example:
        >>> counts = LabelCounts()
        >>> ner = [[{"start": 0, "end": 1, "label": "PER"}]]
        >>> counts.add({"doc_key": "d1", "sentences": [["Ada", "Bell", "sings"]], "ner": ner})
        >>> counts.lines()
        ['ner: PER 1 (Ada Bell, d1)', 'relations: none']

    Args:
        entities, relations: how often each label occurs.
        examples: the words of the first item with a label, and its document, by (`ner` or `relations`, label).
    """

    entities: Counter[str] = field(default_factory=Counter)
    relations: Counter[str] = field(default_factory=Counter)
    examples: dict[tuple[str, str], str] = field(default_factory=dict)

    def add(self, document: Mapping[str, Any]) -> None:
        """Count a typed document."""
        words: list[str] | None = None
        for name, counter in (("ner", self.entities), ("relations", self.relations)):
            for row in (row for rows in document.get(name) or () for row in rows):
                counter[row["label"]] += 1
                if (name, row["label"]) not in self.examples:
                    words = words or [word for sentence in document["sentences"] for word in sentence]
                    self.examples[name, row["label"]] = f"{_example(words, row)}, {document['doc_key']}"

    def lines(self) -> list[str]:
        """A line for entities and one for relations, the most frequent label first."""
        found = []
        for name, counter in (("ner", self.entities), ("relations", self.relations)):
            labels = [f"{label} {count} ({self.examples[name, label]})" for label, count in counter.most_common()]
            found.append(f"{name}: {', '.join(labels) or 'none'}")
        return found


def _example(words: list[str], row: Mapping[str, Any]) -> str:
    ends = [("start", "end")] if "start" in row else [("head_start", "head_end"), ("tail_start", "tail_end")]
    text = " - ".join(" ".join(words[row[start] : row[end] + 1]) for start, end in ends)
    return text if len(text) <= EXAMPLE_LENGTH else text[: EXAMPLE_LENGTH - 3] + "..."
