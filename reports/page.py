"""One HTML page with entities and relations drawn into their texts. It needs no network, and works in a notebook."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from importlib import resources
from string import Template
from typing import Any

# Where a text may be broken into blocks that are drawn one below the other.
BREAK = re.compile(r"(?<=[.!?。！？])\s+|\n+")

# The script fills both.
FILTERS = '<form id="filters" aria-label="Filters"></form>\n<p class="count" id="count" role="status"></p>'

Rows = Sequence[Mapping[str, Any]]


def extraction_page(extraction: Any, title: str = "Entities and relations") -> str:
    """The page of one [`Extraction`].

    Example:
        >>> page = extraction_page(model.extract("Ines Tavarro sings."))  # doctest: +SKIP
    """
    return documents_page([{"doc_key": "", **extraction.to_dict()}], title)


def documents_page(
    documents: Iterable[Mapping[str, Any]],
    title: str = "Entities and relations",
    gold: Mapping[str, Mapping[str, Any]] | None = None,
) -> str:
    """A self-contained page. All text is data in it, so that no text can become a part of the page.

    Args:
        documents: what `Extraction.to_dict` returns, with a `doc_key`.
        title: the heading.
        gold: the annotated documents by `doc_key`, in the same form, whose scores are not read. What the page shows is
            compared with them.

    Returns:
        The HTML. A document of 1,000 is laid out when it is scrolled to.
    """
    shown = [_document(document, (gold or {}).get(str(document["doc_key"]))) for document in documents]
    data = {"documents": shown, "has_gold": bool(gold)}
    return html_page("documents", title, data, FILTERS)


def html_page(name: str, title: str, data: Any, header: str = "", content: str = "") -> str:
    """A page of one kind: the frame that all pages share, with its own style and script.

    Args:
        name: the kind: a CSS file and a JavaScript file of this folder.
        title: the heading, as plain text.
        data: JSON-ready values, which the script draws.
        header, content: HTML below the heading, and in the page before the script runs.
    """
    folder = resources.files(__package__)
    base, style, script = (
        folder.joinpath(file).read_text(encoding="utf-8") for file in ("base.html", f"{name}.css", f"{name}.js")
    )
    parts = {"style": style, "script": script, "header": header, "content": content}
    return Template(base).substitute(parts, title=html.escape(title), data=script_data(data))


def script_data(data: Any) -> str:
    """JSON that can stand in a script element: no character in it means anything in HTML."""
    text = json.dumps(data, ensure_ascii=False)
    # A lone surrogate cannot be written as UTF-8.
    text = text.encode("utf-8", "replace").decode("utf-8")
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def _document(document: Mapping[str, Any], gold: Mapping[str, Any] | None) -> dict[str, Any]:
    entities = [{key: e[key] for key in ("start", "end", "label", "score")} for e in document["entities"]]
    relations = [dict(relation) for relation in document["relations"]]
    if gold is not None:
        entities, relations = _compared(entities, relations, gold)
    text = document["text"]
    return {
        "key": str(document["doc_key"]),
        "text": text,
        "entities": entities,
        "relations": relations,
        "blocks": [{"start": start, "end": end} for start, end in _blocks(text, entities, relations)],
    }


def _compared(
    entities: list[dict[str, Any]], relations: list[dict[str, Any]], gold: Mapping[str, Any]
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Entities and relations with a `status`, and those that gold has alone."""

    def key(entity: Mapping[str, Any]) -> tuple[Any, ...]:
        return entity["start"], entity["end"], entity["label"]

    def ends(relation: Mapping[str, Any], of: Rows) -> tuple[Any, ...]:
        head, tail = of[relation["head"]], of[relation["tail"]]
        return head["start"], head["end"], tail["start"], tail["end"], relation["label"]

    right = {key(entity) for entity in gold["entities"]}
    compared = [{**entity, "status": "correct" if key(entity) in right else "spurious"} for entity in entities]
    found = {key(entity) for entity in entities}
    numbers = {key(entity): number for number, entity in reversed(list(enumerate(compared)))}
    for entity in gold["entities"]:
        if key(entity) not in found:
            row = {name: entity[name] for name in ("start", "end", "label")}
            numbers[key(entity)] = len(compared)
            compared.append({**row, "score": None, "status": "missing"})
    right = {ends(relation, gold["entities"]) for relation in gold["relations"]}
    linked = {ends(relation, entities) for relation in relations}
    rows = [
        {**relation, "status": "correct" if ends(relation, entities) in right else "spurious"} for relation in relations
    ]
    for relation in gold["relations"]:
        if ends(relation, gold["entities"]) not in linked:
            head, tail = (numbers[key(gold["entities"][relation[end]])] for end in ("head", "tail"))
            rows.append({"head": head, "tail": tail, "label": relation["label"], "score": None, "status": "missing"})
    return compared, rows


def _blocks(text: str, entities: Rows, relations: Rows) -> list[tuple[int, int]]:
    """Cut a text behind sentences, but not inside an entity or between the ends of a relation."""
    whole = [(entity["start"], entity["end"]) for entity in entities]
    for relation in relations:
        places = [place for end in ("head", "tail") for place in whole[relation[end]]]
        whole.append((min(places), max(places)))
    whole.sort()
    cuts, furthest, number = [0], 0, 0
    for found in BREAK.finditer(text):
        cut = found.end()
        while number < len(whole) and whole[number][0] < cut:
            furthest = max(furthest, whole[number][1])
            number += 1
        if furthest <= found.start() and cut < len(text):
            cuts.append(cut)
    return list(zip(cuts, [*cuts[1:], len(text)], strict=True))
