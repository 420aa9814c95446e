"""Entities as tags of words, for the sequence tagger, and back."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def tag_classes(labels: Iterable[str], tags: str) -> list[str]:
    """Class names of a sequence tagger, `O` first.

    Args:
        labels: entity labels.
        tags: `bio`, where `B-` tags the first word of an entity and `I-` the others; `iob1` (CoNLL-2003), where `B-`
            tags the first word of an entity that touches another of its label; `io` (Few-NERD), with `I-` alone.
    """
    kinds = ("I",) if tags == "io" else ("B", "I")
    return ["O", *(f"{kind}-{label}" for label in labels for kind in kinds)]


def tags_of_entities(entities: Sequence[Sequence[int]], first_word: int, last_word: int, tags: str) -> list[int]:
    """Tag the words of a sentence. Where entities overlap, the wider one is tagged, then the first one.

    Args:
        entities: rows of [start, end, class], class counted from 1 as in the schema.
        first_word, last_word: the sentence, both inclusive.

    Returns:
        Class indices as in `tag_classes`, one for each word.
    """
    labels = [0] * (last_word - first_word + 1)
    begins = [False] * len(labels)
    for start, end, label in sorted(entities, key=lambda row: (row[0] - row[1], row[0])):
        words = slice(start - first_word, end - first_word + 1)
        if not any(labels[words]):
            labels[words] = [label] * (end - start + 1)
            begins[start - first_word] = True
    if tags == "io":
        return labels
    if tags == "iob1":
        begins = [begin and word > 0 and labels[word - 1] == labels[word] for word, begin in enumerate(begins)]
    return [2 * label - begin for label, begin in zip(labels, begins, strict=True)]


def entities_of_tags(found: Sequence[int], first_word: int, tags: str) -> list[list[int]]:
    """Read entities from tags, as seqeval does: an `I-` after another type, or after `O`, begins an entity too.

    Returns:
        Rows of [start, end, class].
    """
    entities: list[list[int]] = []
    for word, tag in enumerate(found, start=first_word):
        label, begins = (tag, False) if tags == "io" else ((tag + 1) // 2, tag % 2 == 1)
        if not label:
            continue
        if entities and not begins and entities[-1][1] == word - 1 and entities[-1][2] == label:
            entities[-1][1] = word
        else:
            entities.append([word, word, label])
    return entities
