"""`plmarker calibrate MODEL --dataset DATA`: scores that are probabilities, and thresholds by label."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from ..data.files import whole_file
from ..modeling.schema_plmarker import PLMarkerError
from ..reports.reliability import reliability_picture
from .options import Dataset, ModelOptions, exclude_each_other, must_exist


def calibrate(
    context: typer.Context,
    model: Annotated[str, typer.Argument(help="A folder, whose config is changed; or a Hub id, with --out.")],
    dataset: Dataset,
    options: ModelOptions,
    split: Annotated[str, typer.Option(help="A split that the model was not trained on.")] = "validation",
    precision: Annotated[
        float | None, typer.Option(metavar="P", help="Find thresholds that reach this precision by label.")
    ] = None,
    recall: Annotated[
        float | None, typer.Option(metavar="R", help="Find thresholds that reach this recall by label.")
    ] = None,
    out: Annotated[
        str | None,
        typer.Option(metavar="FOLDER", help="Save the calibrated model here, and leave the model's folder as it is."),
    ] = None,
    picture: Annotated[
        str | None, typer.Option(metavar="FILE", help="A reliability picture, such as reliability.svg.")
    ] = None,
) -> Any:
    """Make scores probabilities, and find thresholds by label."""
    exclude_each_other(precision=precision, recall=recall)
    if out is None and not Path(model).is_dir():
        raise PLMarkerError(f"{model}: no folder, so its config cannot be changed; give --out FOLDER")
    if picture and not picture.endswith(".svg"):
        raise PLMarkerError(f"{picture}: the picture is an SVG file, name it so")
    must_exist(model, dataset)
    from ..data.loading import load_split
    from ..hub.loading import load_model
    from ..trainers.calibration import calibrate as fit
    from .quiet import quiet_models

    context.with_resource(quiet_models())

    loaded, _ = load_model(model, options.device or "cpu")
    documents: Any = load_split(dataset, split, loaded.config.schema)
    results = fit(loaded, documents, precision, recall, options.batch_tokens)
    for name, found in results.items():
        print(f"{name}: {found.predictions} predictions, temperature {found.temperature:.2f}")
        print(f"  expected calibration error {found.error_before:.3f}, now {found.error_after:.3f} (two-fold)")
        print(f"  F1 {100 * found.f1_before:.1f}, with the thresholds {100 * found.f1_after:.1f}")
        for label, threshold in found.thresholds.items():
            print(f"    {label:<28}{threshold:.3f}")
        if found.unreached:
            print(f"  no threshold reaches the target for {', '.join(found.unreached)}")
    if out is None:
        loaded.config.save_pretrained(model)
    else:
        loaded.save_pretrained(out)
    print(f"{out or model}: calibrated on {dataset}, {split}")
    if picture:
        with whole_file(picture) as file:
            file.write(reliability_picture({name: found.bins for name, found in results.items()}))
        print(picture)
    return {name: asdict(found) for name, found in results.items()}
