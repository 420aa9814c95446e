"""`plmarker predict MODEL INPUT --out FILE`: entities and relations with character offsets."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any

from tqdm.auto import tqdm

from ..data.documents import STANDARD_INPUT, Document, existing_file
from ..data.inputs import read_inputs, text_document, write_resumable
from ..modeling.schema_plmarker import PLMarkerError
from .options import model_options, threshold


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    model_options(parser)
    parser.add_argument("model", help="a Hub id or a folder")
    parser.add_argument(
        "input",
        nargs="?",
        help="JSONL with sentences or text; any other file: one text a line; .gz is unpacked, - is standard input",
    )
    parser.add_argument("--out", metavar="FILE", help="JSONL; an interrupted call continues where it stopped")
    parser.add_argument("--text", help="one text; its entities and relations are printed")
    for kind in ("entity", "relation"):
        parser.add_argument(
            f"--{kind}_threshold",
            type=threshold,
            metavar="SCORE",
            help="least score of what is kept, for all labels, such as 0.5, or by label, such as Person=0.8,Place=0.6 "
            "(the model's own)",
        )
    parser.add_argument("--language", metavar="CODE", default="en", help="ISO 639-1 code of raw text (en)")
    parser.add_argument(
        "--pruner_threshold",
        type=float,
        metavar="P",
        help="in place of the model's own, from 0 (markers for all spans) to below 1",
    )
    parser.add_argument(
        "--given_entities",
        action="store_true",
        help="relations between the documents' own entities: entities by characters beside a text, or predicted_ner",
    )
    parser.add_argument(
        "--explain", action="store_true", help="give each relation the words that it was read from; takes longer"
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> Any:
    """Predict, and return the number of documents and the file, or the extraction of a text."""
    if (options.input is None) == (options.text is None) or (options.input is None) != (options.out is None):
        raise PLMarkerError("predict takes INPUT and --out FILE, or --text TEXT")
    if options.input is not None and options.input != STANDARD_INPUT:
        existing_file(options.input)
    from ..modeling.extraction_plmarker import build_extraction
    from ..modeling.modeling_plmarker import PLMarkerModel
    from .models import load_models

    models = load_models([options.model], options.device, options.compat, options.dtype)
    if models.entity is None and not options.given_entities:
        raise PLMarkerError(
            f"{options.model}: a relation model alone finds no entities; predict needs an entity model, or "
            "--given_entities"
        )
    if options.text is not None and options.given_entities:
        raise PLMarkerError("--given_entities needs INPUT: a --text has no entities")
    model: Any = models.relation
    if models.entity is not None:
        model = PLMarkerModel.from_models(models.entity, models.relation, models.tokenizer)
    model.tokenizer = models.tokenizer
    schema = model.config.schema
    # Checked before a partial file is written, which a corrected call could not continue.
    thresholds = (options.entity_threshold, options.relation_threshold, options.pruner_threshold)
    model.check_thresholds(*thresholds)

    def process(documents: Iterator[Document]) -> Iterator[dict[str, Any]]:
        found = model.read_documents(documents, options.batch_tokens, *thresholds, options.given_entities)
        for document, spans, relations in found:
            extraction = build_extraction(document["text"], document["located"], spans, relations, schema)
            if options.explain:
                extraction = model.explained(extraction, document["located"])
            yield {"doc_key": document["doc_key"], **extraction.to_dict()}

    if options.text is not None:
        (result,) = process(iter([text_document("text", options.text, options.language)]))
        print_extraction(result)
        return result
    given = schema if options.given_entities else None
    progress = tqdm(read_inputs(options.input, options.language, given), unit="document", disable=None)
    settings = {
        "models": models.fingerprint(),
        "entity_threshold": options.entity_threshold,
        "relation_threshold": options.relation_threshold,
        "pruner_threshold": options.pruner_threshold,
        "language": options.language,
        "given_entities": options.given_entities,
        "explain": options.explain,
    }
    count = write_resumable(options.out, progress, process, settings)
    print(f"{options.out}: {count} documents")
    return {"documents": count, "file": str(options.out)}


def print_extraction(result: dict[str, Any]) -> None:
    """Print an extraction for a person."""
    print(result["text"] + "\n")
    for entity in result["entities"]:
        place = f"{entity['start']:>5} {entity['end']:>5}"
        print(f"  {place}  {entity['score']:.2f}  {entity['label']:<20} {entity['text']}")
    print()
    for relation in result["relations"]:
        head, tail = (result["entities"][relation[end]]["text"] for end in ("head", "tail"))
        print(f"  {relation['score']:.2f}  {head}  --{relation['label']}->  {tail}")
        words = relation.get("explanation", {"words": ()})["words"]
        if words:
            drops = sorted(words, key=lambda word: -word["drop"])
            print("        without " + ", ".join(f"{w['text']} {relation['score'] - w['drop']:.2f}" for w in drops))
