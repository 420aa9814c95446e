"""The page of an evaluation: figures, errors, confusion of types, F1 by width and distance, and what scores say."""

from __future__ import annotations

import html
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from .page import html_page
from .scores import Scores, scores_picture

# The last bar of a chart has all larger values.
LAST_BAR = 8
FIGURES = (("ent", "Ent"), ("rel", "Rel"), ("rel_strict", "Rel+"), ("gold_rel", "Rel, gold entities"),
           ("gold_rel_strict", "Rel+, gold entities"))  # fmt: skip


def evaluation_page(
    metrics: Mapping[str, float],
    errors: Mapping[str, Counter[str]],
    documents: Sequence[Mapping[str, Any]],
    title: str = "Evaluation",
    scores: Mapping[str, Scores] | None = None,
    more_tables: Sequence[dict[str, Any]] = (),
) -> str:
    """A self-contained page, which links to `documents.html` beside it.

    Args:
        metrics: the figures, as fractions, as `evaluate_documents` names them.
        errors: counts of errors by kind.
        documents: typed documents with `ner`, `relations`, `predicted_ner` and `predicted_relations`.
        title: the heading.
        scores: what the scores say, under the names of `errors`, see `scores_picture`.
        more_tables: further tables, each with `caption`, `head` and `rows`.
    """
    tables = [_figures(metrics), *_by_label(metrics), *_errors(errors)]
    charts = []
    if any(document.get("predicted_ner") for document in documents):
        tables.append(_confusion(documents))
        charts.append(_chart("Ent F1 by words of the entity", documents, "ner", lambda e: e["end"] - e["start"] + 1))
    if any(document.get("predicted_relations") for document in documents):
        charts.append(_chart("Rel F1 by words between head and tail", documents, "relations", _distance))
    tables += more_tables
    data = {"tables": [table for table in tables if table["rows"]], "charts": charts}
    link = '<p><a href="documents.html">All sentences, with what was found and what is annotated</a></p>'
    return html_page("evaluation", title, data, link, "".join(_pictures(scores or {})))


def _percent(value: float) -> str:
    return f"{100 * value:.1f}"


def _figures(metrics: Mapping[str, float]) -> dict[str, Any]:
    rows = [
        [title, *(_percent(metrics[f"{name}_{part}"]) for part in ("precision", "recall", "f1"))]
        for name, title in FIGURES
        if f"{name}_f1" in metrics
    ]
    return {"caption": "Figures, in percent", "head": ["", "P", "R", "F1"], "rows": rows}


def _by_label(metrics: Mapping[str, float]) -> list[dict[str, Any]]:
    tables = []
    for name, title in FIGURES:
        prefix = f"{name}_f1/"
        rows = [[key.removeprefix(prefix), _percent(value)] for key, value in metrics.items() if key.startswith(prefix)]
        tables.append({"caption": f"{title} F1 by label", "head": ["label", "F1"], "rows": rows})
    return tables


def _errors(errors: Mapping[str, Counter[str]]) -> list[dict[str, Any]]:
    titles = dict(FIGURES)
    return [
        {
            "caption": f"{titles.get(name, name)}: errors by kind",
            "head": ["kind", "count"],
            "rows": [[kind, count] for kind, count in kinds.most_common()],
        }
        for name, kinds in errors.items()
    ]


def _pictures(scores: Mapping[str, Scores]) -> Iterator[str]:
    """A figure for each task in which something was found."""
    titles = dict(FIGURES)
    for name, found in scores.items():
        if found["bins"]:
            title = titles.get(name, name)
            caption = f"{title}: scores" + ("" if name == "ent" else "; a symmetric relation counts once")
            picture = scores_picture(title, found)
            yield f'<figure class="scores"><figcaption>{html.escape(caption)}</figcaption>{picture}</figure>'


def _rows(document: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    return [row for sentence in document.get(name) or () for row in sentence]


def _confusion(documents: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Gold types against predicted types of one span; the last column and the last row are spans of one side alone."""
    counts: Counter[tuple[str, str]] = Counter()
    nothing = "nothing"
    for document in documents:
        gold, found = (
            {(row["start"], row["end"]): row["label"] for row in _rows(document, name)}
            for name in ("ner", "predicted_ner")
        )
        for span in gold.keys() | found.keys():
            counts[gold.get(span, nothing), found.get(span, nothing)] += 1
    labels = sorted({label for pair in counts for label in pair} - {nothing})
    rows = [[label, *(counts[label, other] for other in (*labels, nothing))] for label in (*labels, nothing)]
    return {"caption": "Gold types (rows) and predicted types", "head": ["", *labels, nothing], "rows": rows}


def _distance(relation: Mapping[str, Any]) -> int:
    first, second = sorted(
        ((relation["head_start"], relation["head_end"]), (relation["tail_start"], relation["tail_end"]))
    )
    return max(0, second[0] - first[1] - 1)


def _chart(
    caption: str, documents: Sequence[Mapping[str, Any]], name: str, size: Callable[[Mapping[str, Any]], int]
) -> dict[str, Any]:
    """F1 of the annotations of each size, and how many are annotated."""
    gold: Counter[int] = Counter()
    found: Counter[int] = Counter()
    right: Counter[int] = Counter()
    for document in documents:
        sides = [{tuple(row.values()): row for row in _rows(document, kind)} for kind in (name, f"predicted_{name}")]
        for counter, rows in ((gold, sides[0]), (found, sides[1])):
            counter.update(min(size(row), LAST_BAR) for row in rows.values())
        right.update(min(size(sides[0][key]), LAST_BAR) for key in sides[0].keys() & sides[1].keys())
    bars = [
        [f"{value}+" if value == LAST_BAR else str(value), 2 * right[value] / (gold[value] + found[value]), gold[value]]
        for value in sorted(gold | found)
    ]
    return {"caption": caption, "bars": bars}
