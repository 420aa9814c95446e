"""`plmarker convert FOLDER ...`: the original's checkpoints as a model of this project."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ..data.presets import preset_names
from ..modeling.schema_plmarker import PLMarkerError
from .options import key_values, must_exist, needs

Fields = Annotated[
    list[str] | None,
    typer.Option(metavar="KEY=VALUE...", help="Fields of this model's config that the checkpoint was trained with."),
]


def convert(
    context: typer.Context,
    folders: Annotated[
        list[str], typer.Argument(metavar="FOLDER", help="An entity checkpoint, a relation checkpoint, or both.")
    ],
    schema: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help=f"Labels and limits: one of {', '.join(preset_names())}; a YAML or JSON file; or a dataset (a folder "
            "or a Hub id), whose labels are taken in its order.",
        ),
    ],
    out: Annotated[str, typer.Option(metavar="FOLDER", help="Folder of the model.")],
    encoder: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Encoder with the vocabulary, if it is not beside the checkpoint."),
    ] = None,
    entity: Fields = None,
    relation: Fields = None,
) -> Any:
    """Convert the original's checkpoints to a model."""
    for folder in folders:
        if not Path(folder).is_dir():
            raise PLMarkerError(f"{folder}: no such folder")
    must_exist(schema)
    from ..data.schemas import is_dataset, load_schema, same_labels
    from ..encoders.checks import check_same_vocabulary
    from ..modeling.modeling_plmarker import PLMarkerModel
    from ..original.conversion import convert_checkpoint
    from .quiet import quiet_models

    context.with_resource(quiet_models())

    preset = load_schema(schema)
    # The classes of a checkpoint have no names, and a dataset has an order of its own.
    known = same_labels(preset.schema) if is_dataset(schema) else None
    if known is not None:
        raise PLMarkerError(
            f"{schema}: the labels of {known}, but not in the order that its checkpoints have; give --schema {known}, "
            "or a YAML file with your order"
        )
    entity_values, relation_values = key_values(entity or ()), key_values(relation or ())
    defaults = {"entity": preset.entity, "relation": preset.relation}
    converted: dict[str, Any] = {}
    tokenizers: list[Any] = []
    for folder in folders:
        if Path(out).resolve() in (Path(folder).resolve(), *Path(folder).resolve().glob("checkpoint-*")):
            raise PLMarkerError(f"{out}: the model would overwrite the checkpoint")
        model, tokenizer = convert_checkpoint(folder, preset.schema, entity_values, relation_values, encoder, defaults)
        tokenizers.append(tokenizer)
        check_same_vocabulary(tokenizers, folders)
        if model.config.model_type in converted:
            raise PLMarkerError(f"{folder}: a second {model.config.model_type} model; convert takes one of each")
        converted[model.config.model_type] = model
        if is_dataset(schema):
            classes = ", ".join(f"{number} {label}" for number, label in enumerate(model.config.classes))
            print(f"{folder}: the classes got the labels of {schema} in its order, {classes}")
    spans, pairs = converted.get("plmarker-ner"), converted.get("plmarker-re")
    needs(context, "an entity checkpoint", spans is not None, "entity")
    needs(context, "a relation checkpoint", pairs is not None, "relation")
    if spans is not None and pairs is not None:
        PLMarkerModel.from_models(spans, pairs, tokenizer).save_pretrained(out)
    else:
        model.tokenizer = tokenizer
        model.save_pretrained(out)
    print(f"{out}: {' and '.join('entities' if name == 'plmarker-ner' else 'relations' for name in converted)}")
    return {"out": out, "models": list(converted)}
