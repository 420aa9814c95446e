"""`plmarker constrain MODEL --dataset DATA`: what relations may join, learned from training data or given."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from ..data.excluded import ExcludedGold
from ..modeling.schema_plmarker import LabelSchema, PLMarkerError
from .options import ChangedModel, exclude_each_other, must_be_changeable, must_exist, needs


def constrain(
    context: typer.Context,
    model: ChangedModel,
    dataset: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Learn them from this dataset: a Hub id, a folder, a file, or sample."),
    ] = None,
    schema: Annotated[
        str | None, typer.Option(metavar="FILE", help="A YAML or JSON file with the constraints.")
    ] = None,
    remove: Annotated[bool, typer.Option("--remove", help="Remove the constraints of the model.")] = False,
    split: Annotated[str, typer.Option(help="The split of --dataset.")] = "train",
    least: Annotated[
        int,
        typer.Option(metavar="N", min=1, help="Entity types that a relation joins less often are not permitted."),
    ] = 1,
    out: Annotated[
        str | None,
        typer.Option(metavar="FOLDER", help="Save the constrained model here, by default in the model's folder."),
    ] = None,
) -> Any:
    """Write what relations may join into a model's config, learned from training data or given."""
    exclude_each_other(dataset=dataset, schema=schema, remove=remove)
    if dataset is None and schema is None and not remove:
        raise typer.BadParameter("give --dataset, --schema or --remove.")
    needs(context, "--dataset", dataset is not None, "split", "least")
    must_exist(model)
    must_be_changeable(model, out)
    from ..data.loading import load_split
    from ..data.presets import load_preset
    from ..hub.loading import load_model
    from .models import save_changed
    from .quiet import quiet_models

    context.with_resource(quiet_models())
    loaded, _ = load_model(model, "cpu")
    labels: LabelSchema = loaded.config.schema
    if not labels.relation_labels:
        raise PLMarkerError(f"{model}: the model has no relation labels, nothing to constrain")
    free = LabelSchema(labels.entity_labels, labels.relation_labels, labels.symmetric_labels)
    excluded: ExcludedGold | None = None
    if remove:
        chosen = free
    elif schema is not None:
        given = load_preset(schema).schema.constraints
        try:
            chosen = LabelSchema(labels.entity_labels, labels.relation_labels, labels.symmetric_labels, given)
        except PLMarkerError as error:
            raise PLMarkerError(f"{schema} does not fit {model}: {error}") from None
        if not chosen.constraints:
            raise PLMarkerError(f"{schema}: no constraints")
    else:
        documents: Any = load_split(str(dataset), split, labels)
        chosen = free.learn_constraints(documents, least)
        if not chosen.constraints:
            raise PLMarkerError(f"{dataset}, {split}: no annotated relations to learn from")
        excluded = ExcludedGold(chosen)
        for document in documents:
            excluded.add(document)
    values = chosen.to_dict().get("constraints", {})
    for part in getattr(loaded.config, "parts", [loaded.config]):
        part.constraints = values
    for line in constraint_lines(chosen):
        print(line)
    if excluded is not None and excluded.counts:
        print("\n".join(excluded.lines()))
    save_changed(loaded, model, out)
    print(f"{out or model}: {len(chosen.constraints)} of {len(chosen.relation_labels)} labels constrained")
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
