"""Extractions in files, and as the tasks of annotation tools: texts with entities and relations by characters."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ..modeling.schema_plmarker import PLMarkerError, one_sentence
from ..modeling.text_plmarker import join_words
from .documents import lines_with_numbers, parse_line
from .files import whole_file

Shown = Mapping[str, Any]


def read_extractions(path: str) -> Iterator[dict[str, Any]]:
    """Documents as `Extraction.to_dict` gives them: read back, or made of annotated sentences.

    Raises:
        PLMarkerError: for a line that is neither, naming file and line.
    """
    for number, line in lines_with_numbers(path):
        try:
            raw = parse_line(line)
            raw.setdefault("doc_key", f"line {number}")
            yield annotated_extraction(raw) if "sentences" in raw else _checked(raw)
        except (KeyError, TypeError, IndexError, AttributeError, ValueError) as error:
            what = "expected what predict writes, or sentences with ner and relations"
            reason = f"the key {error} is missing" if isinstance(error, KeyError) else one_sentence(error)
            hint = "; `plmarker data export` makes documents of other formats"
            raise PLMarkerError(f"{path}:{number}: {what}, got something else: {reason}{hint}") from None


def _checked(raw: dict[str, Any]) -> dict[str, Any]:
    text = raw["text"]
    entities = [{**e, "score": e.get("score")} for e in raw["entities"]]
    for entity in entities:
        if not 0 <= entity["start"] <= entity["end"] <= len(text) or not isinstance(entity["label"], str):
            raise ValueError(f"{entity['start']} to {entity['end']} is no entity of the text")
    relations = [{**r, "score": r.get("score")} for r in raw.get("relations") or ()]
    for relation in relations:
        if not all(0 <= relation[end] < len(entities) for end in ("head", "tail")):
            raise ValueError("a relation joins an entity that is not there")
        for word in (relation.get("explanation") or {"words": ()})["words"]:
            if not 0 <= word["start"] <= word["end"] <= len(text) or not isinstance(word["drop"], int | float):
                raise ValueError(f"{word['start']} to {word['end']} is no explained word of the text")
    return {"doc_key": raw["doc_key"], "text": text, "entities": entities, "relations": relations}


def annotated_extraction(raw: dict[str, Any]) -> dict[str, Any]:
    """Words with annotations, as the JSONL has them, as a text with annotations."""
    text, located = join_words(raw["sentences"])
    words = [offsets for sentence in located for offsets in sentence]
    entities: list[dict[str, Any]] = []
    numbers: dict[tuple[int, int], int] = {}
    for start, end, label, *_ in (row for rows in raw.get("ner") or () for row in rows):
        numbers.setdefault((start, end), len(entities))
        entities.append({"start": words[start][0], "end": words[end][1], "label": label, "score": None})
    relations = [
        {"head": numbers[a, b], "tail": numbers[c, d], "label": label, "score": None}
        for a, b, c, d, label, *_ in (row for rows in raw.get("relations") or () for row in rows)
    ]
    return {"doc_key": raw["doc_key"], "text": text, "entities": entities, "relations": relations}


def uncertainty(document: Shown) -> float:
    """1 minus the least score of what was found in a document; 0 where nothing with a score was found.

    The most uncertain documents teach a model most, so people annotate them first.
    """
    scores = [row["score"] for kind in ("entities", "relations") for row in document[kind] if row["score"] is not None]
    return 1.0 - min(scores, default=1.0)


def write_label_studio(path: Path, documents: Iterable[Shown]) -> None:
    """Tasks with predictions. The labelling interface names its text `text`, and its labels `label`."""
    tasks = []
    for document in documents:
        regions: list[dict[str, Any]] = []
        for number, entity in enumerate(document["entities"]):
            start, end = entity["start"], entity["end"]
            value = {"start": start, "end": end, "text": document["text"][start:end], "labels": [entity["label"]]}
            region = {"id": f"e{number}", "from_name": "label", "to_name": "text", "type": "labels", "value": value}
            regions.append(_with_score(region, entity))
        for relation in document["relations"]:
            ends = {"from_id": f"e{relation['head']}", "to_id": f"e{relation['tail']}", "direction": "right"}
            regions.append(_with_score({"type": "relation", **ends, "labels": [relation["label"]]}, relation))
        prediction = {"model_version": "plmarker", "score": 1.0 - uncertainty(document), "result": regions}
        data = {"text": document["text"], "doc_key": document["doc_key"]}
        tasks.append({"data": data, "predictions": [prediction]})
    with whole_file(path) as file:
        json.dump(tasks, file, ensure_ascii=False, indent=1)


def write_prodigy(path: Path, documents: Iterable[Shown]) -> None:
    """One task a line, with words as tokens, for `ner.manual` and `rel.manual`. Words are split at white space."""

    def task(document: Shown) -> dict[str, Any]:
        text = document["text"]
        borders = {place for e in document["entities"] for place in (e["start"], e["end"])}
        tokens: list[dict[str, Any]] = []
        start = None
        for place in range(len(text) + 1):
            is_space = place == len(text) or text[place].isspace()
            if start is not None and (is_space or place in borders):
                tokens.append({"text": text[start:place], "start": start, "end": place, "id": len(tokens)})
                start = None
            if start is None and not is_space:
                start = place
        for token in tokens:
            token["ws"] = token["end"] < len(text) and text[token["end"]].isspace()
        spans = []
        for entity in document["entities"]:
            span = {key: entity[key] for key in ("start", "end", "label")}
            inside = [t["id"] for t in tokens if entity["start"] <= t["start"] and t["end"] <= entity["end"]]
            if inside:
                span |= {"token_start": inside[0], "token_end": inside[-1]}
            spans.append(span)
        relations = []
        for relation in document["relations"]:
            head, child = spans[relation["head"]], spans[relation["tail"]]
            relations.append(
                {
                    "head": head.get("token_end", 0),
                    "child": child.get("token_end", 0),
                    "head_span": head,
                    "child_span": child,
                    "label": relation["label"],
                }
            )
        meta = {"doc_key": document["doc_key"], "uncertainty": round(uncertainty(document), 4)}
        return {"text": text, "tokens": tokens, "spans": spans, "relations": relations, "meta": meta}

    _write_lines(path, map(task, documents))


def write_doccano(path: Path, documents: Iterable[Shown]) -> None:
    """One text a line, as doccano imports sequence labelling with relations."""

    def line(document: Shown) -> dict[str, Any]:
        entities = [
            {"id": number, "label": e["label"], "start_offset": e["start"], "end_offset": e["end"]}
            for number, e in enumerate(document["entities"])
        ]
        relations = [
            {"id": number, "from_id": r["head"], "to_id": r["tail"], "type": r["label"]}
            for number, r in enumerate(document["relations"])
        ]
        return {
            "doc_key": document["doc_key"],
            "text": document["text"],
            "entities": entities,
            "relations": relations,
        }

    _write_lines(path, map(line, documents))


TOOLS: dict[str, Callable[[Path, Iterable[Shown]], None]] = {
    "label-studio": write_label_studio,
    "prodigy": write_prodigy,
    "doccano": write_doccano,
}


def _with_score(row: dict[str, Any], found: Mapping[str, Any]) -> dict[str, Any]:
    return row if found["score"] is None else {**row, "score": found["score"]}


def _write_lines(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    with whole_file(path) as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
