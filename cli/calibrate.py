"""`plmarker calibrate MODEL --dataset DATA`: scores that are probabilities, and thresholds by label."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

import typer

from ..data.files import whole_file
from ..modeling.schema_plmarker import PLMarkerError
from ..reports.reliability import reliability_picture
from .options import (
    BATCH_TOKENS,
    BatchTokens,
    ChangedModel,
    Dataset,
    Device,
    exclude_each_other,
    must_be_changeable,
    must_exist,
    needs,
    one_of,
)


def calibrate(
    context: typer.Context,
    model: ChangedModel,
    dataset: Dataset,
    split: Annotated[str, typer.Option(help="A split that the model was not trained on.")] = "validation",
    precision: Annotated[
        float | None, typer.Option(metavar="P", help="Find thresholds that reach this precision by label.")
    ] = None,
    recall: Annotated[
        float | None, typer.Option(metavar="R", help="Find thresholds that reach this recall by label.")
    ] = None,
    at_most_wrong: Annotated[
        float | None,
        typer.Option(
            "--at_most_wrong",
            metavar="SHARE",
            help="Find thresholds with which at most this share of what is returned is wrong in new documents, such as "
            "0.1.",
        ),
    ] = None,
    at_least_found: Annotated[
        float | None,
        typer.Option(
            "--at_least_found",
            metavar="SHARE",
            help="Find thresholds with which at least this share of what is there is returned in new documents, "
            "such as 0.95.",
        ),
    ] = None,
    confidence: Annotated[float, typer.Option(metavar="P", help="How sure --at_most_wrong is.")] = 0.9,
    task: Annotated[
        str | None,
        one_of("--task", ("entities", "relations"), "With a guarantee: leave the thresholds of the other task."),
    ] = None,
    out: Annotated[
        str | None,
        typer.Option(metavar="FOLDER", help="Save the calibrated model here, and leave the model's folder as it is."),
    ] = None,
    picture: Annotated[
        str | None, typer.Option(metavar="FILE", help="A reliability picture, such as reliability.svg.")
    ] = None,
    batch_tokens: BatchTokens = BATCH_TOKENS,
    device: Device = None,
) -> Any:
    """Make scores probabilities, and find thresholds by label."""
    exclude_each_other(precision=precision, recall=recall, at_most_wrong=at_most_wrong, at_least_found=at_least_found)
    must_be_changeable(model, out)
    if picture and not picture.endswith(".svg"):
        raise PLMarkerError(f"{picture}: the picture is an SVG file, name it so")
    needs(context, "--at_most_wrong", at_most_wrong is not None, "confidence")
    promises = at_most_wrong is not None or at_least_found is not None
    if promises and picture:
        raise PLMarkerError("--picture shows temperatures, which a guarantee leaves as they are: leave it out")
    needs(context, "--at_most_wrong or --at_least_found", promises, "task")
    must_exist(model, dataset)
    from ..data.loading import load_split
    from ..hub.loading import load_model
    from .models import device_of, save_changed
    from .quiet import quiet_models

    context.with_resource(quiet_models())

    loaded, _ = load_model(model, device_of(device))
    documents: Any = load_split(dataset, split, loaded.config.schema)
    if promises:
        results = _guarantee(loaded, documents, at_most_wrong, at_least_found, confidence, task, batch_tokens)
    else:
        results = _calibrate(loaded, documents, precision, recall, batch_tokens)
    save_changed(loaded, model, out)
    print(f"{out or model}: calibrated on {dataset}, {split}")
    if picture:
        with whole_file(picture) as file:
            file.write(reliability_picture({name: found.bins for name, found in results.items()}))
        print(picture)
    return {name: asdict(found) for name, found in results.items()}


def _guarantee(
    model: Any,
    documents: Any,
    wrong: float | None,
    found: float | None,
    confidence: float,
    task: str | None,
    batch_tokens: int,
) -> dict[str, Any]:
    from ..trainers.guarantees import guarantee

    results = guarantee(model, documents, wrong, found, confidence, task, batch_tokens)
    for name, one in results.items():
        if wrong is not None:
            print(f"{name}: at most {100 * wrong:g} % of what is returned is wrong")
            print(f"  as the mean over new documents, with confidence {confidence:g}")
        elif found is not None:
            print(f"{name}: at least {100 * found:g} % of what is annotated is returned")
            print("  as the mean over new documents")
        print(f"  threshold {one.threshold:.4f}, fitted on {one.documents} documents")
        print(f"  in them {100 * one.wrong:.1f} % is wrong and {100 * one.missed:.1f} % is missed, by document;")
        print(f"  {100 * one.pooled_wrong:.1f} % and {100 * one.pooled_missed:.1f} % of all together")
    return results


def _calibrate(
    model: Any, documents: Any, precision: float | None, recall: float | None, batch_tokens: int
) -> dict[str, Any]:
    from ..trainers.calibration import MIN_ANNOTATIONS, calibrate

    results = calibrate(model, documents, precision, recall, batch_tokens)
    for name, found in results.items():
        print(f"{name}: {found.predictions} predictions, temperature {found.temperature:.2f}")
        print(f"  expected calibration error {found.error_before:.3f}, now {found.error_after:.3f} (two-fold)")
        print(f"  F1 {100 * found.f1_before:.1f}, with the thresholds {100 * found.f1_after:.1f}")
        for label, threshold in found.thresholds.items():
            print(f"    {label:<28}{threshold:.3f}")
        if found.unreached:
            print(f"  no threshold reaches the target for {', '.join(found.unreached)}")
        if found.rare:
            rare = ", ".join(f"{label} ({count})" for label, count in found.rare.items())
            print(f"  no threshold, with fewer than {MIN_ANNOTATIONS} annotations: {rare}")
    return results
