"""`plmarker predict MODEL INPUT --out FILE`: entities and relations with character offsets."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Annotated, Any

import typer
from tqdm.auto import tqdm

from ..data.documents import STANDARD_INPUT, Document, existing_file
from ..data.inputs import read_inputs, text_document, write_resumable
from ..modeling.schema_plmarker import PLMarkerError
from .options import ModelOptions, must_exist, threshold
from .tables import print_rows

SCORE = (
    "Least score of what is kept, for all labels, such as 0.5, or by label, such as Person=0.8,Place=0.6; by default "
    "the model's own."
)


def predict(
    context: typer.Context,
    model: Annotated[str, typer.Argument(help="A Hub id or a folder.")],
    options: ModelOptions,
    input: Annotated[
        str | None,
        typer.Argument(
            help="JSONL with sentences or text; any other file: one text a line; .gz is unpacked, - is standard input.",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="JSONL; an interrupted call continues where it stopped."),
    ] = None,
    text: Annotated[str | None, typer.Option(help="One text; its entities and relations are printed.")] = None,
    entity_threshold: Annotated[str | None, typer.Option("--entity_threshold", metavar="SCORE", help=SCORE)] = None,
    relation_threshold: Annotated[str | None, typer.Option("--relation_threshold", metavar="SCORE", help=SCORE)] = None,
    language: Annotated[str, typer.Option(metavar="CODE", help="ISO 639-1 code of raw text.")] = "en",
    pruner_threshold: Annotated[
        float | None,
        typer.Option(
            "--pruner_threshold",
            metavar="P",
            help="In place of the model's own, from 0 (markers for all spans) to below 1.",
        ),
    ] = None,
    given_entities: Annotated[
        bool,
        typer.Option(
            "--given_entities",
            help="Find relations between the documents' own entities: entities by characters beside a text, or "
            "predicted_ner.",
        ),
    ] = False,
    explain: Annotated[
        bool, typer.Option("--explain", help="Give each relation the words that it was read from; takes longer.")
    ] = False,
    no_constraints: Annotated[
        bool, typer.Option("--no_constraints", help="Decode without the constraints of the model's schema.")
    ] = False,
) -> Any:
    """Find entities and relations of texts or documents."""
    least = {
        "entity_threshold": threshold("--entity_threshold", entity_threshold),
        "relation_threshold": threshold("--relation_threshold", relation_threshold),
        "pruner_threshold": pruner_threshold,
    }
    if (input is None) == (text is None) or (input is None) != (out is None):
        raise PLMarkerError("predict takes INPUT and --out FILE, or --text TEXT")
    if input is not None and input != STANDARD_INPUT:
        existing_file(input)
    must_exist(model)
    from ..modeling.extraction_plmarker import build_extraction
    from ..modeling.modeling_plmarker import PLMarkerModel
    from .models import load_models
    from .quiet import quiet_models

    context.with_resource(quiet_models())

    models = load_models([model], options.device, options.compat, options.dtype)
    if models.entity is None and not given_entities:
        raise PLMarkerError(
            f"{model}: a relation model alone finds no entities; predict needs an entity model, or --given_entities"
        )
    if text is not None and given_entities:
        raise PLMarkerError("--given_entities needs INPUT: a --text has no entities")
    joined: Any = models.relation
    if models.entity is not None:
        joined = PLMarkerModel.from_models(models.entity, models.relation, models.tokenizer)
    joined.tokenizer = models.tokenizer
    schema = joined.config.schema
    # Checked before a partial file is written, which a corrected call could not continue.
    thresholds = tuple(least.values())
    joined.check_thresholds(*thresholds)

    def process(documents: Iterator[Document]) -> Iterator[dict[str, Any]]:
        found = joined.read_documents(documents, options.batch_tokens, *thresholds, given_entities, not no_constraints)
        for document, spans, relations in found:
            extraction = build_extraction(document["text"], document["located"], spans, relations, schema)
            if explain:
                extraction = joined.explained(extraction, document["located"])
            yield {"doc_key": document["doc_key"], **extraction.to_dict()}

    if text is not None:
        (result,) = process(iter([text_document("text", text, language)]))
        print_extraction(result)
        return result
    given = schema if given_entities else None
    progress = tqdm(read_inputs(str(input), language, given), unit="document", disable=None)
    settings = {
        "models": models.fingerprint(),
        **least,
        "language": language,
        "given_entities": given_entities,
        # A file that an earlier version has begun is continued.
        **({"no_constraints": True} if no_constraints else {}),
        **({"explain": True} if explain else {}),
    }
    count = write_resumable(str(out), progress, process, settings)
    print(f"{out}: {count} documents")
    return {"documents": count, "file": out}


def print_extraction(result: dict[str, Any]) -> None:
    """Print an extraction for a person."""
    print(result["text"] + "\n")
    if sys.stdout.isatty():
        entities = [
            (str(entity["start"]), str(entity["end"]), f"{entity['score']:.2f}", entity["label"], entity["text"])
            for entity in result["entities"]
        ]
        print_rows(("start", "end", "score", "label", "text"), entities, numbers=(0, 1, 2))
        relations = [(f"{relation['score']:.2f}", *_ends(result, relation)) for relation in result["relations"]]
        print_rows(("score", "head", "label", "tail"), relations, numbers=(0,))
        return
    for entity in result["entities"]:
        place = f"{entity['start']:>5} {entity['end']:>5}"
        print(f"  {place}  {entity['score']:.2f}  {entity['label']:<20} {entity['text']}")
    print()
    for relation in result["relations"]:
        head, label, tail = _ends(result, relation)
        print(f"  {relation['score']:.2f}  {head}  --{label}->  {tail}")
        words = relation.get("explanation", {"words": ()})["words"]
        if words:
            drops = sorted(words, key=lambda word: -word["drop"])
            print("        without " + ", ".join(f"{w['text']} {relation['score'] - w['drop']:.2f}" for w in drops))


def _ends(result: dict[str, Any], relation: dict[str, Any]) -> tuple[str, str, str]:
    """Head, label and tail of a relation."""
    head, tail = (result["entities"][relation[end]]["text"] for end in ("head", "tail"))
    return head, relation["label"], tail
