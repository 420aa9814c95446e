"""`plmarker convert FOLDER ...`: the original's checkpoints as a model of this project."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from ..data.presets import load_preset, preset_names
from ..modeling.schema_plmarker import PLMarkerError
from .options import key_values


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("folders", nargs="+", help="an entity checkpoint, a relation checkpoint, or both")
    parser.add_argument(
        "--schema", required=True, help=f"a YAML file of labels and limits, or one of {', '.join(preset_names())}"
    )
    parser.add_argument("--out", required=True, metavar="FOLDER", help="folder of the model")
    parser.add_argument("--encoder", help="encoder with the vocabulary, if it is not beside the checkpoint")
    for name in ("entity", "relation"):
        parser.add_argument(
            f"--{name}",
            nargs="+",
            default=[],
            metavar="KEY=VALUE",
            help=f"fields of the {name} model's config that the checkpoint was trained with",
        )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> Any:
    """Convert, and return what was converted."""
    from ..encoders.checks import check_same_vocabulary
    from ..modeling.modeling_plmarker import PLMarkerModel
    from ..original.conversion import convert_checkpoint

    preset = load_preset(options.schema)
    entity_values, relation_values = key_values(options.entity), key_values(options.relation)
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
        model.tokenizer = tokenizer
        model.save_pretrained(options.out)
    print(f"{options.out}: {' and '.join('entities' if name == 'plmarker-ner' else 'relations' for name in converted)}")
    return {"out": str(options.out), "models": list(converted)}
