"""`plmarker train CONFIG`: train the models of an experiment, once or for several seeds and folds."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

import yaml

from ..modeling.schema_plmarker import PLMarkerError
from .options import key_values


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.epilog = (
        "Any key of the file may follow, such as entity.model.max_span_length=5 or training.learning_rate=3e-5. So may "
        "any field of transformers.TrainingArguments, such as --learning_rate 3e-5."
    )
    parser.add_argument("config", help="a YAML file, or the name of one in hub_configs; it comes before the options")
    parser.add_argument("--encoder", help="in place of the file's: a Hub id, a folder, or minilm")
    parser.add_argument("--dataset", help="in place of the file's: a Hub id, a folder, a file, or sample")
    parser.add_argument("--output_dir", help="in place of the file's")
    parser.add_argument("--seeds", type=int, nargs="+", help="several seeds give a table with mean and deviation")
    earlier = parser.add_mutually_exclusive_group()
    earlier.add_argument("--resume", action="store_true", help="continue from the last checkpoints")
    earlier.add_argument("--overwrite", action="store_true", help="remove the checkpoints of an earlier run")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> Any:
    """Train, print the figures on test, and return them by seed and fold. Only the main process returns figures."""
    from accelerate import PartialState

    from ..reports.learning_curves import LearningCurves
    from ..trainers.experiment import load_experiment
    from ..trainers.report import figures_table, reported_line, runs_table
    from ..trainers.training import run_experiment

    settings = key_values([word for word in options.rest if "=" in word and not word.startswith("-")])
    overrides = training_overrides([word for word in options.rest if "=" not in word or word.startswith("-")])
    for name in ("encoder", "dataset", "output_dir"):
        if getattr(options, name) is not None:
            overrides[name] = getattr(options, name)
    results: dict[str, Any] = {}
    for seed in options.seeds or [None]:
        experiment = load_experiment(
            options.config, {**overrides, **({} if seed is None else {"seed": seed})}, settings
        )
        output_dir = experiment.output_dir
        for fold in experiment.folds or (None,):
            parts = [fold] if fold else []
            if len(options.seeds or []) > 1:
                parts.append(f"seed-{seed}")
            experiment.output_dir = "/".join([output_dir, *parts])
            metrics = run_experiment(experiment, options.resume, options.overwrite, fold, LearningCurves())
            if metrics is None:
                continue
            results[" ".join([*([fold] if fold else []), str(experiment.seed)])] = metrics
            print(f"\n{experiment.output_dir}, seed {experiment.seed}: figures on test, in percent\n")
            print(figures_table(metrics) if metrics else "there is no split 'test'")
    # A process that ends before the others would break their connections.
    PartialState().wait_for_everyone()
    PartialState().destroy_process_group()
    if not PartialState().is_main_process:
        return None
    if len(results) > 1:
        print("\n" + runs_table(results))
    if experiment.reported and options.encoder is None:
        print("\n" + reported_line(experiment.reported))
    return results


def training_overrides(rest: Sequence[str]) -> dict[str, Any]:
    """`--learning_rate 3e-5` and any other field of TrainingArguments, as the file would hold it."""
    from ..trainers.checks import hint_for_field
    from ..trainers.experiment import TRAINING_FIELDS

    overrides: dict[str, Any] = {}
    items = list(rest)
    while items:
        name = items.pop(0)
        if "=" in name:
            name, value = name.split("=", 1)
            items.insert(0, value)
        key = name.removeprefix("--")
        if not name.startswith("--") or key not in TRAINING_FIELDS:
            hint = hint_for_field(key, TRAINING_FIELDS)
            raise PLMarkerError(
                f"unknown option {name!r}: not an option of train, nor a field of TrainingArguments{hint}"
            )
        is_flag = not items or items[0].startswith("--")
        if is_flag and "bool" not in str(TRAINING_FIELDS[key].type):
            raise PLMarkerError(f"option {name!r} needs a value")
        overrides[key] = True if is_flag else yaml.safe_load(items.pop(0))
    return overrides
