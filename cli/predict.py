"""`plmarker predict MODEL INPUT --out FILE`: entities and relations with character offsets."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from typing import Any

from tqdm.auto import tqdm

from ..data.documents import STANDARD_INPUT
from ..data.outputs import Answer, write_resumable
from ..data.records import Inputs, Record, groups_of
from ..modeling.schema_plmarker import PLMarkerError
from .options import model_options, threshold


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    model_options(parser)
    parser.add_argument("model", help="a Hub id or a folder")
    parser.add_argument(
        "input",
        nargs="?",
        help="JSONL or Parquet with sentences or text; any other file: one text a line; .gz is unpacked, - is standard "
        "input; or a dataset: a folder or a Hub id",
    )
    parser.add_argument("--split", help="split of a dataset")
    parser.add_argument("--config_name", metavar="NAME", help="configuration of a dataset")
    parser.add_argument(
        "--out", metavar="FILE", help="JSONL, or .parquet; an interrupted call continues where it stopped"
    )
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
        "--engine",
        choices=("local", "ray"),
        default="local",
        help="this process, or the workers of a Ray cluster: the one of RAY_ADDRESS, or this machine (%(default)s)",
    )
    parser.add_argument(
        "--batch_documents",
        type=int,
        metavar="N",
        default=256,
        help="documents that are read together, and that a worker gets at a time (%(default)s)",
    )
    parser.add_argument("--workers", type=int, metavar="N", help="processes of --engine ray (all CPUs or GPUs)")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> Any:
    """Predict, and return the number of documents and the file, or the extraction of a text."""
    if (options.input is None) == (options.text is None) or (options.input is None) != (options.out is None):
        raise PLMarkerError("predict takes INPUT and --out FILE, or --text TEXT")
    if options.batch_documents < 1:
        raise PLMarkerError(f"--batch_documents is at least 1, got {options.batch_documents}")
    uses_ray = options.engine == "ray"
    if options.workers is not None and not uses_ray:
        raise PLMarkerError("--workers needs --engine ray")
    inputs = None
    if options.input is not None:
        inputs = Inputs(options.input, options.split, options.config_name)
        inputs.check()
        if uses_ray and options.input == STANDARD_INPUT:
            raise PLMarkerError("--engine ray may read its input again, and standard input can be read once")
    elif uses_ray or options.split or options.config_name:
        raise PLMarkerError("--engine, --split and --config_name need INPUT")
    from ..modeling.modeling_plmarker import PLMarkerModel
    from ..serving.record_reader import ReadingOptions, RecordReader
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
    reading = ReadingOptions(
        options.batch_tokens,
        options.batch_documents,
        options.entity_threshold,
        options.relation_threshold,
        options.pruner_threshold,
        options.given_entities,
        options.language,
    )
    # Checked before a partial file is written, which a corrected call could not continue.
    model.check_thresholds(reading.entity_threshold, reading.relation_threshold, reading.pruner_threshold)
    reader = RecordReader(model, reading)
    if inputs is None:
        ((_, line),) = reader([Record("--text", "text", options.text, is_json=False)])
        result = json.loads(line)
        print_extraction(result)
        return result

    def process(records: Iterator[Record], start: int) -> Iterable[Answer]:
        if uses_ray:
            from ..serving.ray_engine import read_on_ray

            answers = read_on_ray(model, inputs, start, reading, options.workers)
        else:
            answers = (answer for group in groups_of(records, options.batch_documents) for answer in reader(group))
        return tqdm(answers, unit="document", initial=start, disable=None)

    # The engine is no setting: both give the same lines.
    settings = {"models": models.fingerprint(), **asdict(reading)}
    del settings["batch_tokens"]
    count = write_resumable(options.out, inputs.records(), process, settings, options.batch_documents)
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
