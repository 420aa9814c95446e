"""`plmarker constrain MODEL --dataset DATA`: what relations may join, learned from training data or given."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from ..data.excluded import ExcludedGold
from ..data.presets import load_preset
from ..modeling.schema_plmarker import LabelSchema, PLMarkerError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("model", help="a folder, whose config is changed; or a Hub id, with --out")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--dataset", help="learn the constraints: a Hub id, a folder, a file, or sample")
    source.add_argument("--schema", metavar="FILE", help="a YAML or JSON file with the constraints")
    source.add_argument("--remove", action="store_true", help="remove the constraints of the model")
    parser.add_argument("--split", default="train", help="the split of --dataset (%(default)s)")
    parser.add_argument(
        "--least",
        type=int,
        default=1,
        metavar="N",
        help="entity types that a relation joins less often are not permitted",
    )
    parser.add_argument("--out", metavar="FOLDER", help="save the constrained model here (change the model's folder)")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> Any:
    """Write the constraints into the model's config, print and return them."""
    from ..data.loading import load_split
    from ..hub.loading import load_model

    if options.out is None and not Path(options.model).is_dir():
        raise PLMarkerError(f"{options.model}: no folder, so its config cannot be changed; give --out FOLDER")
    if options.least < 1:
        raise PLMarkerError(f"--least is at least 1, got {options.least}")
    model, _ = load_model(options.model, "cpu")
    labels: LabelSchema = model.config.schema
    if not labels.relation_labels:
        raise PLMarkerError(f"{options.model}: the model has no relation labels, nothing to constrain")
    free = LabelSchema(labels.entity_labels, labels.relation_labels, labels.symmetric_labels)
    excluded: ExcludedGold | None = None
    if options.remove:
        schema = free
    elif options.schema:
        given = load_preset(options.schema).schema.constraints
        try:
            schema = LabelSchema(labels.entity_labels, labels.relation_labels, labels.symmetric_labels, given)
        except PLMarkerError as error:
            raise PLMarkerError(f"{options.schema} does not fit {options.model}: {error}") from None
        if not schema.constraints:
            raise PLMarkerError(f"{options.schema}: no constraints")
    else:
        documents: Any = load_split(options.dataset, options.split, labels)
        schema = free.learn_constraints(documents, options.least)
        if not schema.constraints:
            raise PLMarkerError(f"{options.dataset}, {options.split}: no annotated relations to learn from")
        excluded = ExcludedGold(schema)
        for document in documents:
            excluded.add(document)
    values = schema.to_dict().get("constraints", {})
    for part in getattr(model.config, "parts", [model.config]):
        part.constraints = values
    for line in constraint_lines(schema):
        print(line)
    if excluded is not None and excluded.counts:
        print("\n".join(excluded.lines()))
    if options.out is None:
        model.config.save_pretrained(options.model)
    else:
        model.save_pretrained(options.out)
    print(
        f"{options.out or options.model}: {len(schema.constraints)} of {len(schema.relation_labels)} labels constrained"
    )
    return {"constraints": values, "excluded_gold": excluded.to_dict() if excluded is not None else None}


def constraint_lines(schema: LabelSchema) -> list[str]:
    """What each label permits, with the counts of what was learned."""
    lines = []
    for label, constraint in schema.constraints.items():
        limits = [name for name in ("one_per_head", "one_per_tail") if getattr(constraint, name)]
        pairs = "any" if constraint.types is None else f"{len(constraint.types)} of {len(schema.entity_labels) ** 2}"
        lines.append(f"{label}: {pairs} pairs of types" + "".join(f", {name}" for name in limits))
        counts = constraint.counts or [None] * len(constraint.types or ())
        arrow = "-" if label in schema.symmetric_labels else "->"
        for (head, tail), count in zip(constraint.types or (), counts, strict=True):
            lines.append(f"  {head} {arrow} {tail}" + ("" if count is None else f"  {count}"))
    return lines
