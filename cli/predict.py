"""`plmarker predict MODEL INPUT --out FILE`: entities and relations with character offsets."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from typing import Annotated, Any

import typer

from ..data.documents import STANDARD_INPUT
from ..data.outputs import Answer, file_for_lines, write_resumable
from ..data.records import Inputs, Record, groups_of
from ..modeling.schema_plmarker import PLMarkerError
from .options import ModelName, ModelOptions, must_exist, needs, one_of, threshold, without_effect
from .tables import print_rows

SCORE = "Least score of what is kept, for all labels, such as 0.5, or by label, such as {}; by default the model's own."
ENTITY_SCORE, RELATION_SCORE = SCORE.format("Person=0.8,Place=0.6"), SCORE.format("WORKS_FOR=0.8")


def predict(
    context: typer.Context,
    model: ModelName,
    options: ModelOptions,
    input: Annotated[
        str | None,
        typer.Argument(
            help="JSONL or Parquet with sentences or text; any other file: one text a line, unless it begins with "
            "JSON; .gz is unpacked, - is standard input; or a dataset: a folder or a Hub id.",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="JSONL, or .parquet; an interrupted call continues where it stopped."),
    ] = None,
    split: Annotated[str | None, typer.Option(metavar="NAME", help="Split of a dataset.")] = None,
    config_name: Annotated[
        str | None, typer.Option("--config_name", metavar="NAME", help="Configuration of a dataset.")
    ] = None,
    text: Annotated[str | None, typer.Option(help="One text; its entities and relations are printed.")] = None,
    entity_threshold: Annotated[
        str | None, typer.Option("--entity_threshold", metavar="SCORE", help=ENTITY_SCORE)
    ] = None,
    relation_threshold: Annotated[
        str | None, typer.Option("--relation_threshold", metavar="SCORE", help=RELATION_SCORE)
    ] = None,
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
    engine: Annotated[
        str,
        one_of(
            "--engine",
            ("local", "ray"),
            "This process, or the workers of a Ray cluster: the one of RAY_ADDRESS, or this machine.",
        ),
    ] = "local",
    batch_documents: Annotated[
        int,
        typer.Option(
            "--batch_documents",
            metavar="N",
            min=1,
            help="Documents that are read together, and that a worker gets at a time.",
        ),
    ] = 256,
    workers: Annotated[
        int | None, typer.Option(metavar="N", help="Processes of --engine ray, by default all CPUs or GPUs.")
    ] = None,
) -> Any:
    """Find entities and relations of texts or documents."""
    if (input is None) == (text is None) or (input is None) != (out is None):
        raise PLMarkerError("predict takes INPUT and --out FILE, or --text TEXT")
    uses_ray = engine == "ray"
    needs(context, "--engine ray", uses_ray, "workers")
    needs(context, "INPUT", input is not None, "engine", "split", "config_name", "batch_documents", "given_entities")
    without_effect(context, "--given_entities", given_entities, "entity_threshold", "pruner_threshold")
    inputs = None
    if input is not None:
        inputs = Inputs(input, split, config_name)
        inputs.check()
        if uses_ray and input == STANDARD_INPUT:
            raise PLMarkerError("--engine ray may read its input again, and standard input can be read once")
    must_exist(model)
    if out is not None:
        file_for_lines(out)
    from tqdm.auto import tqdm

    from ..data.inputs import with_checked_language
    from ..serving.record_reader import ExtractionOptions, RecordReader
    from .models import load_models
    from .quiet import quiet_models

    context.with_resource(quiet_models())
    records = iter(()) if inputs is None else with_checked_language(inputs.records(), language)
    reading = ExtractionOptions(
        options.batch_tokens,
        batch_documents,
        threshold("--entity_threshold", entity_threshold),
        threshold("--relation_threshold", relation_threshold),
        pruner_threshold,
        given_entities,
        language,
        not no_constraints,
        explain,
    )
    models = load_models([model], options.device, options.compat, options.dtype)
    if models.entity is None and not given_entities:
        raise PLMarkerError(
            f"{model}: a relation model alone finds no entities; predict needs an entity model, or --given_entities"
        )
    needs(context, "a relation model", models.relation is not None, "relation_threshold", "explain", "no_constraints")
    joined = models.reader()
    # Checked before a partial file is written, which a corrected call could not continue.
    joined.check_thresholds(reading.entity_threshold, reading.relation_threshold, reading.pruner_threshold)
    reader = RecordReader(joined, reading)
    if inputs is None:
        ((_, line),) = reader([Record("--text", "text", str(text), is_json=False)])
        result: dict[str, Any] = json.loads(line)
        print_extraction(result)
        return result

    def process(records: Iterator[Record], start: int) -> Iterable[Answer]:
        if uses_ray:
            from ..serving.ray_engine import read_on_ray

            answers = read_on_ray(joined, inputs, start, reading, workers)
        else:
            answers = (answer for group in groups_of(records, batch_documents) for answer in reader(group))
        return tqdm(answers, unit="document", initial=start, disable=None)

    # The engine is no setting: both give the same lines.
    settings = {"models": models.fingerprint(), **asdict(reading)}
    del settings["batch_tokens"]
    count = write_resumable(str(out), records, process, settings, batch_documents)
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
        for relation in result["relations"]:
            if _without_words(relation):
                print(f"{' '.join(_ends(result, relation))}: {_without_words(relation)}")
        return
    print(f"  {'start':>5} {'end':>5}  score label" if result["entities"] else "  no entities")
    for entity in result["entities"]:
        place = f"{entity['start']:>5} {entity['end']:>5}"
        print(f"  {place}  {entity['score']:.2f}  {entity['label']:<20} {entity['text']}")
    print()
    for relation in result["relations"]:
        head, label, tail = _ends(result, relation)
        print(f"  {relation['score']:.2f}  {head}  --{label}->  {tail}")
        if _without_words(relation):
            print(f"        {_without_words(relation)}")


def _without_words(relation: dict[str, Any]) -> str:
    """The scores of a relation without each of the words that it was read from; empty without an explanation."""
    words = relation.get("explanation", {"words": ()})["words"]
    drops = sorted(words, key=lambda word: -word["drop"])
    return "without " + ", ".join(f"{w['text']} {relation['score'] - w['drop']:.2f}" for w in drops) if drops else ""


def _ends(result: dict[str, Any], relation: dict[str, Any]) -> tuple[str, str, str]:
    """Head, label and tail of a relation."""
    head, tail = (result["entities"][relation[end]]["text"] for end in ("head", "tail"))
    return head, relation["label"], tail
