"""`plmarker calibrate MODEL --dataset DATA`: scores that are probabilities, and thresholds by label."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..data.files import whole_file
from ..modeling.schema_plmarker import PLMarkerError
from ..reports.reliability import reliability_picture
from .options import model_options


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    model_options(parser)
    parser.add_argument("model", help="a folder, whose config is changed; or a Hub id, with --out")
    parser.add_argument("--dataset", required=True, help="a Hub id, a folder, a file, or sample")
    parser.add_argument("--split", default="validation", help="a split that the model was not trained on (%(default)s)")
    target = parser.add_mutually_exclusive_group()
    target.add_argument("--precision", type=float, metavar="P", help="thresholds that reach this precision by label")
    target.add_argument("--recall", type=float, metavar="R", help="thresholds that reach this recall by label")
    parser.add_argument("--out", metavar="FOLDER", help="save the calibrated model here (change the model's folder)")
    parser.add_argument("--picture", metavar="FILE", help="a reliability picture, such as reliability.svg")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> Any:
    """Calibrate, print what changed, and return it."""
    from ..data.loading import load_split
    from ..hub.loading import load_model
    from ..trainers.calibration import calibrate

    if options.out is None and not Path(options.model).is_dir():
        raise PLMarkerError(f"{options.model}: no folder, so its config cannot be changed; give --out FOLDER")
    if options.picture and not options.picture.endswith(".svg"):
        raise PLMarkerError(f"{options.picture}: the picture is an SVG file, name it so")
    model, _ = load_model(options.model, options.device or "cpu")
    documents: Any = load_split(options.dataset, options.split, model.config.schema)
    results = calibrate(model, documents, options.precision, options.recall, options.batch_tokens)
    for name, found in results.items():
        print(f"{name}: {found.predictions} predictions, temperature {found.temperature:.2f}")
        print(f"  expected calibration error {found.error_before:.3f}, now {found.error_after:.3f} (two-fold)")
        print(f"  F1 {100 * found.f1_before:.1f}, with the thresholds {100 * found.f1_after:.1f}")
        for label, threshold in found.thresholds.items():
            print(f"    {label:<28}{threshold:.3f}")
        if found.unreached:
            print(f"  no threshold reaches the target for {', '.join(found.unreached)}")
    if options.out is None:
        model.config.save_pretrained(options.model)
    else:
        model.save_pretrained(options.out)
    print(f"{options.out or options.model}: calibrated on {options.dataset}, {options.split}")
    if options.picture:
        with whole_file(options.picture) as file:
            file.write(reliability_picture({name: found.bins for name, found in results.items()}))
        print(options.picture)
    return {name: asdict(found) for name, found in results.items()}
