"""The command `plmarker`: train, evaluate, predict, convert, data."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
import yaml
from huggingface_hub.errors import StrictDataclassError
from tqdm.auto import tqdm

from .cli_data import add_data_commands
from .data.documents import write_documents
from .data.inputs import read_inputs, text_document, write_resumable
from .data.loading import load_split
from .data.original import write_relation_results
from .data.presets import load_preset, preset_names
from .modeling.conversion_plmarker import convert_checkpoint
from .modeling.encoders_plmarker import check_same_vocabulary
from .modeling.extraction_plmarker import build_extraction
from .modeling.loading_plmarker import load_model
from .modeling.modeling_plmarker import (
    PLMarkerForEntityRecognition,
    PLMarkerForRelationExtraction,
    PLMarkerModel,
)
from .modeling.prediction_plmarker import BATCH_TOKENS, MAX_CANDIDATES, Document, predict_candidates
from .modeling.processing_plmarker import features_of
from .modeling.schema_plmarker import PLMarkerError, Threshold, least_scores
from .modeling.windows_plmarker import WordTokenizer
from .trainers.evaluation import coverage_of, evaluate_documents
from .trainers.experiment import TRAINING_FIELDS, load_experiment
from .trainers.metrics import Metrics
from .trainers.report import errors_table, figures_table, reported_line, runs_table
from .trainers.training import run_experiment, write_json


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command. Bad input is told in one sentence on standard error, with exit status 2."""
    # What the package has to say, such as which annotations cannot be reached, without the other libraries' chatter.
    logging.basicConfig(format="%(message)s")
    logging.getLogger(__package__).setLevel(logging.INFO)
    parser = _parser()
    options, rest = parser.parse_known_args(arguments)
    try:
        if rest and options.command != "train":
            parser.error(f"unrecognized arguments: {' '.join(rest)}")
        result = options.run(options, rest) if options.command == "train" else options.run(options)
    except BrokenPipeError:
        # Whoever read the output has seen enough of it, as `head` does.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except (ValueError, OSError, yaml.YAMLError, StrictDataclassError) as error:
        message = str(error) if isinstance(error, PLMarkerError) else " ".join(str(error).split())
        print(f"plmarker: error: {message}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("plmarker: interrupted; predict goes on with the same command, train with --resume", file=sys.stderr)
        return 130
    if options.json:
        write_json(options.json, result)
    return int(bool(isinstance(result, dict) and result.get("problems")))


def train(options: argparse.Namespace, rest: Sequence[str]) -> Any:
    """`plmarker train CONFIG`: train the models of an experiment, once or for several seeds and folds."""
    overrides = _training_overrides(rest)
    for name in ("encoder", "dataset", "output_dir"):
        if getattr(options, name) is not None:
            overrides[name] = getattr(options, name)
    results: dict[str, Metrics] = {}
    for seed in options.seeds or [None]:
        experiment = load_experiment(options.config, {**overrides, **({} if seed is None else {"seed": seed})})
        output_dir = experiment.output_dir
        for fold in experiment.folds or (None,):
            parts = [fold] if fold else []
            if len(options.seeds or []) > 1:
                parts.append(f"seed-{seed}")
            experiment.output_dir = "/".join([output_dir, *parts])
            metrics = run_experiment(experiment, options.resume, options.overwrite, fold)
            if metrics is None:
                continue
            results[" ".join([*([fold] if fold else []), str(experiment.seed)])] = metrics
            print(f"\n{experiment.output_dir}, seed {experiment.seed}: figures on test, in percent\n")
            print(figures_table(metrics) if metrics else "there is no split 'test'")
    if len(results) > 1:
        print("\n" + runs_table(results))
    if experiment.reported and options.encoder is None:
        print("\n" + reported_line(experiment.reported))
    return results


def evaluate(options: argparse.Namespace) -> Any:
    """`plmarker evaluate MODEL ...`: the Ent / Rel / Rel+ table of a split."""
    entity, relation, tokenizer = _load_models(options.model, options.device, options.compat)
    models = [part for part in (entity, relation) if part is not None]
    documents: Any = load_split(options.dataset, options.split, models[-1].config.schema)
    tokenize = WordTokenizer(tokenizer)
    if options.candidates_from:
        first, _, first_tokenizer = _load_models([options.candidates_from], options.device, options.compat)
        if entity is None or first is None or entity.config.method == "bio":
            raise PLMarkerError("--candidates_from takes an entity model, and restricts one that scores spans")
        stage = predict_candidates(
            first, WordTokenizer(first_tokenizer), documents, options.max_candidates, options.batch_tokens
        )
        documents = list(stage)
    for part in models:
        features = (feature for document in documents for feature in features_of(part.config, document, tokenize))
        task = "entities" if part is entity else "relations"
        print(f"{options.dataset}, {options.split}, {task}: {coverage_of(part.config, features)}")
    if options.given_entities and any(document.get("predicted_ner") is None for document in documents):
        raise PLMarkerError(f"{options.dataset}: --given_entities needs predicted_ner in every document")
    errors: dict[str, Counter[str]] = {}
    predictions: list[dict[str, Any]] = []
    metrics = evaluate_documents(
        documents,
        tokenizer,
        None if options.given_entities else entity,
        relation,
        options.entity_types,
        options.batch_tokens,
        show_progress=sys.stderr.isatty(),
        errors=errors,
        predictions=predictions,
    )
    if options.predictions:
        folder = Path(options.predictions)
        if predictions and predictions[0]["predicted_ner"] is not None:
            write_documents(folder / f"ent_pred_{options.split}.json", predictions)
        if relation is not None:
            write_relation_results(folder / "pred_results.json", predictions)
    print(
        f"{' and '.join(options.model)} on {options.dataset}, {options.split}: {len(documents)} documents, in percent\n"
    )
    print(figures_table(metrics))
    print("\n" + errors_table(errors))
    return metrics


def predict(options: argparse.Namespace) -> Any:
    """`plmarker predict MODEL INPUT --out FILE`: entities and relations with character offsets."""
    if (options.input is None) == (options.text is None) or (options.input is None) != (options.out is None):
        raise PLMarkerError("predict takes INPUT and --out FILE, or --text TEXT")
    if options.out is not None and Path(options.out).resolve() == Path(options.input).resolve():
        raise PLMarkerError(f"{options.out}: the predictions would overwrite the input")
    entity, relation, tokenizer = _load_models([options.model], options.device, options.compat)
    if entity is None:
        raise PLMarkerError(f"{options.model}: a relation model alone finds no entities; predict needs an entity model")
    model = PLMarkerModel.from_models(entity, relation, tokenizer)
    # Before anything is written that a later call would have to go on with.
    least_scores(options.entity_threshold, model.config.schema.entity_classes)
    least_scores(options.relation_threshold, model.config.schema.relation_classes)

    def process(documents: Iterator[Document]) -> Iterator[dict[str, Any]]:
        found = model.predict(documents, options.batch_tokens, options.entity_threshold, options.relation_threshold)
        for document, spans, relations in found:
            extraction = build_extraction(document["text"], document["located"], spans, relations, model.config.schema)
            yield {"doc_key": document["doc_key"], **extraction.to_dict()}

    if options.text is not None:
        (result,) = process(iter([text_document("text", options.text)]))
        _print_extraction(result)
        return result
    progress = tqdm(read_inputs(options.input), unit="document", disable=None)
    settings = {
        "weights": [
            float(sum(p.detach().double().sum() for p in part.parameters())) for part in (entity, relation) if part
        ],
        "entity_threshold": options.entity_threshold,
        "relation_threshold": options.relation_threshold,
        "compat": options.compat,
    }
    count = write_resumable(options.out, progress, process, settings)
    print(f"{options.out}: {count} documents")
    return {"documents": count, "file": str(options.out)}


def convert(options: argparse.Namespace) -> Any:
    """`plmarker convert FOLDER ...`: the original's checkpoints as a model of this project."""
    preset = load_preset(options.schema)
    entity_values, relation_values = _config_values(options.entity), _config_values(options.relation)
    defaults = {"entity": preset.entity, "relation": preset.relation}
    converted: dict[str, Any] = {}
    tokenizers: list[Any] = []
    for folder in options.folders:
        if Path(options.out).resolve() in (Path(folder).resolve(), *Path(folder).resolve().glob("checkpoint-*")):
            raise PLMarkerError(f"{options.out}: the model would overwrite the checkpoint")
        model, tokenizer = convert_checkpoint(
            folder, preset.schema, entity_values, relation_values, options.encoder, defaults
        )
        tokenizers.append(tokenizer)
        check_same_vocabulary(tokenizers, options.folders)
        if model.config.model_type in converted:
            raise PLMarkerError(f"{folder}: a second {model.config.model_type} model; convert takes one of each")
        converted[model.config.model_type] = model
    entity, relation = converted.get("plmarker-ner"), converted.get("plmarker-re")
    if entity is not None and relation is not None:
        PLMarkerModel.from_models(entity, relation, tokenizer).save_pretrained(options.out)
    else:
        model.save_pretrained(options.out)
        tokenizer.save_pretrained(options.out)
    print(f"{options.out}: {' and '.join('entities' if name == 'plmarker-ner' else 'relations' for name in converted)}")
    return {"out": str(options.out), "models": list(converted)}


def _config_values(items: Sequence[str]) -> dict[str, Any]:
    """`KEY=VALUE` as fields of a model's config."""
    values = {}
    for item in items:
        key, equals, value = item.partition("=")
        if not equals:
            raise PLMarkerError(f"expected KEY=VALUE, got {item!r}")
        try:
            values[key] = yaml.safe_load(value)
        except yaml.YAMLError:
            raise PLMarkerError(f"{item!r}: the value is broken YAML") from None
    return values


def _threshold(text: str) -> Threshold:
    """`0.5`, or `Person=0.8,Place=0.6`."""
    try:
        if "=" not in text:
            return float(text)
        return {label: float(score) for label, _, score in (part.rpartition("=") for part in text.split(","))}
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is neither a number nor LABEL=NUMBER,...") from None


def _load(
    path: str, device: str | None
) -> tuple[PLMarkerForEntityRecognition | None, PLMarkerForRelationExtraction | None, Any]:
    """The two models of a checkpoint, either of which may be missing, and the tokenizer."""
    if device is None and torch.accelerator.is_available():
        device = str(torch.accelerator.current_accelerator())
    model, tokenizer = load_model(path, device or "cpu")
    if isinstance(model, PLMarkerModel):
        return model.entity, model.relation, tokenizer
    if isinstance(model, PLMarkerForEntityRecognition):
        return model, None, tokenizer
    return None, model, tokenizer  # type: ignore[return-value]


def _load_models(
    paths: Sequence[str], device: str | None, compat: str | None = None
) -> tuple[PLMarkerForEntityRecognition | None, PLMarkerForRelationExtraction | None, Any]:
    """The models of one checkpoint, or of an entity and a relation checkpoint, and their tokenizer."""
    loaded = [_load(path, device) for path in paths]
    entities = [entity for entity, _, _ in loaded if entity is not None]
    relations = [relation for _, relation, _ in loaded if relation is not None]
    if len(entities) > 1 or len(relations) > 1:
        raise PLMarkerError(f"{' and '.join(paths)}: expected one entity model and one relation model at most")
    entity, relation = next(iter(entities), None), next(iter(relations), None)
    tokenizer = loaded[0][2]
    check_same_vocabulary([found for _, _, found in loaded], paths)
    if entity is not None and relation is not None:
        # Also makes sure that the two know the same labels and marker tokens.
        PLMarkerModel.from_models(entity, relation, tokenizer)
    for model in (entity, relation):
        if model is not None and compat is not None:
            model.config.compat = compat
    return entity, relation, tokenizer


def _training_overrides(rest: Sequence[str]) -> dict[str, Any]:
    """`--learning_rate 3e-5` and any other field of TrainingArguments, as the file would hold it."""
    overrides: dict[str, Any] = {}
    items = list(rest)
    while items:
        name = items.pop(0)
        if "=" in name:
            name, value = name.split("=", 1)
            items.insert(0, value)
        key = name.removeprefix("--")
        if not name.startswith("--") or key not in TRAINING_FIELDS:
            raise PLMarkerError(f"unknown option {name!r}: not an option of train, nor a field of TrainingArguments")
        is_flag = not items or items[0].startswith("--")
        if is_flag and "bool" not in str(TRAINING_FIELDS[key].type):
            raise PLMarkerError(f"option {name!r} needs a value")
        overrides[key] = True if is_flag else yaml.safe_load(items.pop(0))
    return overrides


def _print_extraction(result: dict[str, Any]) -> None:
    print(result["text"] + "\n")
    for entity in result["entities"]:
        place = f"{entity['start']:>5} {entity['end']:>5}"
        print(f"  {place}  {entity['score']:.2f}  {entity['label']:<20} {entity['text']}")
    print()
    for relation in result["relations"]:
        head, tail = (result["entities"][relation[end]]["text"] for end in ("head", "tail"))
        print(f"  {relation['score']:.2f}  {head}  --{relation['label']}->  {tail}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="plmarker", description="Entities and relations with packed levitated markers."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--json", metavar="FILE", help="write the results as JSON")
    rows = argparse.ArgumentParser(add_help=False)
    rows.add_argument(
        "--batch_tokens", type=int, default=BATCH_TOKENS, help="most tokens of a packed row (%(default)s)"
    )
    rows.add_argument(
        "--compat", choices=("original",), help="compute what the published code computes, with its quirks"
    )
    rows.add_argument("--device", help="where the model runs, such as cpu or cuda:1 (an accelerator if there is one)")

    command = commands.add_parser(
        "train",
        parents=[common],
        help="train the models of an experiment",
        epilog="Any field of transformers.TrainingArguments may follow, such as --learning_rate 3e-5.",
    )
    command.add_argument("config", help="a YAML file, or the name of one in hub_configs; it comes before the options")
    command.add_argument("--encoder", help="in place of the file's: a Hub id, a folder, or minilm")
    command.add_argument("--dataset", help="in place of the file's: a Hub id, a folder, a file, or sample")
    command.add_argument("--output_dir", help="in place of the file's")
    command.add_argument("--seeds", type=int, nargs="+", help="several give a table with mean and deviation")
    earlier = command.add_mutually_exclusive_group()
    earlier.add_argument("--resume", action="store_true", help="continue from the last checkpoints")
    earlier.add_argument("--overwrite", action="store_true", help="remove the checkpoints of an earlier run")
    command.set_defaults(run=train)

    command = commands.add_parser("convert", parents=[common], help="the original's checkpoints as a model")
    command.add_argument("folders", nargs="+", help="an entity checkpoint, a relation checkpoint, or both")
    command.add_argument(
        "--schema", required=True, help=f"a YAML file of labels and limits, or one of {', '.join(preset_names())}"
    )
    command.add_argument("--out", required=True, metavar="FOLDER", help="where the model goes")
    command.add_argument("--encoder", help="where the vocabulary is, if it is not beside the checkpoint")
    for name in ("entity", "relation"):
        command.add_argument(
            f"--{name}",
            nargs="+",
            default=[],
            metavar="KEY=VALUE",
            help=f"fields of the {name} model's config that the checkpoint was trained with",
        )
    command.set_defaults(run=convert)

    command = commands.add_parser("evaluate", parents=[common, rows], help="the Ent / Rel / Rel+ table of a split")
    command.add_argument(
        "model", nargs="+", help="a Hub id or a folder; or two, of an entity model and a relation model"
    )
    command.add_argument("--dataset", required=True, help="a Hub id, a folder, a file, or sample")
    command.add_argument("--split", default="test", help="(%(default)s)")
    command.add_argument(
        "--entity_types",
        choices=("relation", "input"),
        default="relation",
        help="whose entity types Rel+ compares: the relation model's or those of the given entities (%(default)s)",
    )
    command.add_argument(
        "--given_entities",
        action="store_true",
        help="relations between the documents' own predicted_ner, whatever the entity model finds",
    )
    command.add_argument(
        "--candidates_from", metavar="MODEL", help="an entity model whose likeliest spans are all that is scored"
    )
    command.add_argument(
        "--max_candidates", type=int, default=MAX_CANDIDATES, help="how many of them in a sentence (%(default)s)"
    )
    command.add_argument(
        "--predictions", metavar="FOLDER", help="write ent_pred_SPLIT.json and pred_results.json, as the original does"
    )
    command.set_defaults(run=evaluate)

    command = commands.add_parser(
        "predict", parents=[common, rows], help="entities and relations of texts or documents"
    )
    command.add_argument("model", help="a Hub id or a folder")
    command.add_argument("input", nargs="?", help="JSONL with sentences or text; any other file: one text a line")
    command.add_argument("--out", metavar="FILE", help="JSONL; an interrupted call continues where it stopped")
    command.add_argument("--text", help="one text, whose entities and relations are printed")
    for kind in ("entity", "relation"):
        command.add_argument(
            f"--{kind}_threshold",
            type=_threshold,
            default=0.0,
            metavar="SCORE",
            help="least score of what is kept, for all labels, such as 0.5, or by label, such as Person=0.8,Place=0.6",
        )
    command.set_defaults(run=predict)

    add_data_commands(commands, common)
    return parser


if __name__ == "__main__":
    sys.exit(main())
