"""Read WebAnno TSV 3, as WebAnno and INCEpTION export it, and as GUM is published.

A file begins with lines that name its layers: `#T_SP=LAYER|FEATURE|...` for spans, `#T_RL=LAYER|FEATURE|BT_LAYER` for
relations. A token has a line with its number, its characters, its text, and a column for each feature. A number in
brackets joins the tokens of one annotation, and `|` separates several annotations of a token.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...modeling.text_plmarker import join_words
from ..alignment import TextDocument, align
from ..documents import Document, lines_with_numbers
from ..report import ReadingReport
from .options import ReadingOptions

FIRST_LINE = "#FORMAT=WebAnno TSV 3"
# The features that name the type of an entity, in the order in which they are looked for.
TYPE_FEATURES = ("value", "entity", "label", "type", "class", "category")
# Layers of other kinds, by a part of their names.
OTHER_LAYERS = ("POS", "Lemma", "Morph", "Token", "Sentence", "Dependency", "Surface")
# An annotation without a value.
NO_VALUE = "*"
# An annotation of a token: its value, and its number where it has one.
CELL = re.compile(r"((?:\\.|[^|\\\[\]])*)(?:\[(\d+)\])?(?:\||$)")
RELATION = re.compile(r"(\d+-\d+(?:\.\d+)?)(?:\[(\d+)_(\d+)\])?(?:\||$)")


@dataclass(frozen=True)
class Layer:
    """A layer of a file.

    Args:
        kind: `SP` for spans, `RL` for relations, `CH` for chains.
        name: its name.
        features: its features, one column each.
        column: its first column.
        base: the layer whose spans a relation joins.
    """

    kind: str
    name: str
    features: list[str]
    column: int
    base: str | None = None

    @property
    def label(self) -> str:
        """The last part of the name, which is the type of annotations without a value."""
        return self.name.rpartition(".")[2]

    @property
    def width(self) -> int:
        """The columns of its features. A layer without features has one column, too."""
        return max(1, len(self.features))

    @property
    def type_feature(self) -> str | None:
        """The feature that names types, by its usual name."""
        return next((name for name in TYPE_FEATURES if name in self.features), None)

    @property
    def type_column(self) -> int:
        """The column of the feature that names types; that of the first feature where none has a usual name."""
        return self.column + (0 if self.type_feature is None else self.features.index(self.type_feature))


@dataclass
class _Sentences:
    """What is read of a file."""

    words: list[list[str]] = field(default_factory=list)
    # The words of each annotation, by layer, token or number, and value.
    spans: dict[Any, list[int]] = field(default_factory=dict)
    n_tokens: int = 0
    relations: list[tuple[Any, Any, str]] = field(default_factory=list)


def is_webanno(path: Path) -> bool:
    """Whether a file is WebAnno TSV 3."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.readline(200).startswith(FIRST_LINE.encode())


def read_webanno(path: Path, report: ReadingReport, options: ReadingOptions) -> Iterator[Document]:
    """Stream the one document of a file.

    Entities are the spans of a layer of named entities, or else of all layers that are no parts of speech, lemmas and
    such. `report.counts` says which layers were left out.

    Args:
        path: the file.
        report: receives the problems with their lines, and the counts.
        options: none of them applies.

    Yields:
        A typed document, whose name is that of the file.
    """
    layers: list[Layer] = []
    found = _Sentences()
    chosen: list[Layer] | None = None
    linking: list[Layer] = []
    column = 3
    for number, line in lines_with_numbers(path):
        line = line.rstrip("\r\n")
        if line.startswith("#T_"):
            layer = _layer(line, column)
            layers.append(layer)
            # Relations have one more column, for their ends.
            column += layer.width + (layer.kind == "RL")
        elif line.startswith("#Text="):
            found.words.append([])
        elif line and not line.startswith("#"):
            if chosen is None:
                chosen, linking = _chosen(layers, report)
                for layer in chosen:
                    if len(layer.features) > 1 and layer.type_feature is None:
                        message = f"the feature {layer.features[0]!r} of the layer {layer.label} is read as the type"
                        report.problem(path, 0, message, fatal=False)
            try:
                _read_token(line.split("\t"), chosen, linking, found, report)
            except (IndexError, ValueError):
                report.problem(path, number, f"expected the columns of a token of WebAnno TSV, got {line[:60]!r}")
    if not any(found.words):
        report.problem(path, 0, "the file has no tokens")
        return
    yield align(_document(path.stem, found, report), _no_words, report)


def _layer(line: str, column: int) -> Layer:
    kind, _, rest = line[3:].partition("=")
    name, *features = rest.split("|")
    base = next((feature[3:] for feature in features if feature.startswith("BT_")), None)
    return Layer(kind, name, [feature for feature in features if not feature.startswith("BT_")], column, base)


def _chosen(layers: list[Layer], report: ReadingReport) -> tuple[list[Layer], list[Layer]]:
    """The layers of entities, and those of relations between them."""
    spans = [layer for layer in layers if layer.kind == "SP"]
    named = [layer for layer in spans if "NamedEntity" in layer.name]
    others = [layer for layer in spans if not any(part in layer.name.rpartition(".")[2] for part in OTHER_LAYERS)]
    chosen = named or others
    names = {layer.name for layer in chosen}
    linking = [layer for layer in layers if layer.kind == "RL" and layer.base in names]
    for layer in layers:
        if layer not in chosen and layer not in linking:
            report.counts[f"layers left out, such as {layer.name.rpartition('.')[2]}"] += 1
    return chosen, linking


def _read_token(
    cells: list[str], chosen: list[Layer], linking: list[Layer], found: _Sentences, report: ReadingReport
) -> None:
    token, _, word = cells[:3]
    # A part of a token has a line of its own, behind that of the token. Its annotations are widened to the token.
    is_part = "." in token
    if not is_part:
        if not found.words:
            found.words.append([])
        found.n_tokens += 1
        found.words[-1].append(word)
    for layer in chosen:
        for value, number in _annotations(cells[layer.type_column]):
            report.counts["widened"] += is_part
            report.counts["entities without a value, with the name of their layer"] += value == NO_VALUE
            label = layer.label if value == NO_VALUE else value
            # Without a number an annotation has this token alone.
            found.spans.setdefault((layer.name, number or token, label), []).append(found.n_tokens - 1)
    for layer in linking:
        labels = [value for value, _ in _annotations(cells[layer.column]) if value != NO_VALUE]
        labels = labels if layer.features else []
        for order, (source, first, second) in enumerate(RELATION.findall(cells[layer.column + layer.width])):
            label = labels[order] if order < len(labels) else layer.label
            head = (layer.base, source if first in ("", "0") else first)
            tail = (layer.base, token if second in ("", "0") else second)
            found.relations.append((head, tail, label))


def _annotations(cell: str) -> list[tuple[str, str]]:
    """The values and the numbers of the annotations in a cell. `_` stands for none."""
    if cell == "_":
        return []
    rows = [(re.sub(r"\\(.)", r"\1", value), number) for value, number in CELL.findall(cell)]
    return [(value, number) for value, number in rows if value not in ("", "_")]


def _document(key: str, found: _Sentences, report: ReadingReport) -> TextDocument:
    text, located = join_words(found.words)
    words = [offsets for sentence in located for offsets in sentence]
    document = TextDocument(key, text, word_offsets=located)
    first_of: dict[Any, Any] = {}
    for (layer, number, value), places in found.spans.items():
        identifier = (layer, number, value)
        document.entities[identifier] = (words[places[0]][0], words[places[-1]][1], value)
        first_of.setdefault((layer, number), identifier)
    for head, tail, label in found.relations:
        if head in first_of and tail in first_of:
            document.relations.append((first_of[head], first_of[tail], label))
        else:
            report.counts["relations without an entity"] += 1
    return document


def _no_words(text: str) -> Any:
    raise AssertionError("a document of this format has words")
