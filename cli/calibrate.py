"""`plmarker calibrate MODEL --dataset DATA`: scores that are probabilities, thresholds by label, and guarantees."""

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
    target.add_argument(
        "--at_most_wrong",
        type=float,
        metavar="SHARE",
        help="thresholds with which at most this share of what is returned is wrong, such as 0.1, in new documents",
    )
    target.add_argument(
        "--at_least_found",
        type=float,
        metavar="SHARE",
        help="thresholds with which at least this share of what is there is returned, such as 0.95, in new documents",
    )
    parser.add_argument(
        "--confidence", type=float, default=0.9, metavar="P", help="how sure --at_most_wrong is (%(default)s)"
    )
    parser.add_argument(
        "--task", choices=("entities", "relations"), help="with a guarantee: leave the thresholds of the other task"
    )
    parser.add_argument("--out", metavar="FOLDER", help="save the calibrated model here (change the model's folder)")
    parser.add_argument("--picture", metavar="FILE", help="a reliability picture, such as reliability.svg")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> Any:
    """Calibrate, print what changed, and return it."""
    from ..data.loading import load_split
    from ..hub.loading import load_model

    if options.out is None and not Path(options.model).is_dir():
        raise PLMarkerError(f"{options.model}: no folder, so its config cannot be changed; give --out FOLDER")
    if options.picture and not options.picture.endswith(".svg"):
        raise PLMarkerError(f"{options.picture}: the picture is an SVG file, name it so")
    promises = options.at_most_wrong is not None or options.at_least_found is not None
    if promises and options.picture:
        raise PLMarkerError("--picture shows temperatures, which a guarantee leaves as they are: leave it out")
    if not promises and options.task:
        raise PLMarkerError("--task is for --at_most_wrong and --at_least_found")
    model, _ = load_model(options.model, options.device or "cpu")
    documents: Any = load_split(options.dataset, options.split, model.config.schema)
    results = (_guarantee if promises else _calibrate)(options, model, documents)
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


def _guarantee(options: argparse.Namespace, model: Any, documents: Any) -> dict[str, Any]:
    from ..trainers.guarantees import guarantee

    wrong, found = options.at_most_wrong, options.at_least_found
    results = guarantee(model, documents, wrong, found, options.confidence, options.task, options.batch_tokens)
    for name, one in results.items():
        if wrong is not None:
            print(f"{name}: at most {100 * wrong:g} % of what is returned is wrong")
            print(f"  as the mean over new documents, with confidence {options.confidence:g}")
        else:
            print(f"{name}: at least {100 * found:g} % of what is annotated is returned")
            print("  as the mean over new documents")
        print(f"  threshold {one.threshold:.4f}, fitted on {one.documents} documents")
        print(f"  in them {100 * one.wrong:.1f} % is wrong and {100 * one.missed:.1f} % is missed, by document;")
        print(f"  {100 * one.pooled_wrong:.1f} % and {100 * one.pooled_missed:.1f} % of all together")
    return results


def _calibrate(options: argparse.Namespace, model: Any, documents: Any) -> dict[str, Any]:
    from ..trainers.calibration import MIN_ANNOTATIONS, calibrate

    results = calibrate(model, documents, options.precision, options.recall, options.batch_tokens)
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
