"""`plmarker train CONFIG`: train the models of an experiment, once or for several seeds and folds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import typer

from ..data.settings import read_value
from ..hub_configs import experiment_file
from ..modeling.schema_plmarker import PLMarkerError
from .options import exclude_each_other, key_values

# The fields of TrainingArguments and the keys of the file are known only when the command runs.
REST = {"allow_extra_args": True, "ignore_unknown_options": True}


def train(
    context: typer.Context,
    config: Annotated[
        str,
        typer.Argument(help="A YAML file, or the name of one in hub_configs; it comes before the options."),
    ],
    encoder: Annotated[
        str | None, typer.Option(metavar="NAME", help="In place of the file's: a Hub id, a folder, or minilm.")
    ] = None,
    dataset: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="In place of the file's: a Hub id, a folder, a file, or sample."),
    ] = None,
    output_dir: Annotated[
        str | None, typer.Option("--output_dir", metavar="FOLDER", help="In place of the file's.")
    ] = None,
    seeds: Annotated[
        list[int] | None,
        typer.Option(metavar="N...", help="Several seeds give a table with mean and deviation."),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue from the last checkpoints.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Remove the checkpoints of an earlier run.")] = False,
) -> Any:
    """Train the models of an experiment, once or for several seeds and folds.

    Any key of the file may follow, such as entity.model.max_span_length=5 or training.learning_rate=3e-5. So may any
    field of transformers.TrainingArguments, such as --learning_rate 3e-5, and --batch_tokens of PLMarkerTrainer.
    """
    exclude_each_other(resume=resume, overwrite=overwrite)
    experiment_file(config)
    from accelerate import PartialState

    from ..data.progress import progress_bars_on_terminals
    from ..reports.learning_curves import LearningCurves
    from ..trainers.experiment import load_experiment
    from ..trainers.report import figures_tables, reported_line, runs_table
    from ..trainers.training import run_experiment
    from .quiet import quiet_models
    from .tables import print_tables

    context.with_resource(quiet_models())
    context.with_resource(progress_bars_on_terminals())

    settings = key_values([word for word in context.args if "=" in word and not word.startswith("-")])
    overrides = training_overrides([word for word in context.args if "=" not in word or word.startswith("-")])
    given = {"encoder": encoder, "dataset": dataset, "output_dir": output_dir}
    overrides |= {name: value for name, value in given.items() if value is not None}
    twice = {key.removeprefix("training.") for key in settings} & overrides.keys()
    twice |= {"seed"} & (settings.keys() | overrides.keys()) if seeds else set()
    if twice:
        raise PLMarkerError(f"{min(twice)} is given twice on the command line, and one of them would have no effect")
    if seeds and len(set(seeds)) < len(seeds):
        raise PLMarkerError("--seeds has one number twice, expected different ones")
    results: dict[str, Any] = {}
    chosen: list[int | None] = [*seeds] if seeds else [None]
    for seed in chosen:
        experiment = load_experiment(config, {**overrides, **({} if seed is None else {"seed": seed})}, settings)
        folder = experiment.output_dir
        for fold in experiment.folds or (None,):
            parts = [fold] if fold else []
            if len(chosen) > 1:
                parts.append(f"seed-{seed}")
            experiment.output_dir = "/".join([folder, *parts])
            metrics = run_experiment(experiment, resume, overwrite, fold, LearningCurves())
            if metrics is None:
                continue
            results[" ".join([*([fold] if fold else []), str(experiment.seed)])] = metrics
            print(f"\n{experiment.output_dir}, seed {experiment.seed}: figures on test, in percent\n")
            if metrics:
                print_tables(figures_tables(metrics))
            else:
                print("there is no split 'test'")
            print(f'\n{experiment.output_dir}: AutoModel.from_pretrained("{experiment.output_dir}")')
    # A process that ends before the others would break their connections.
    PartialState().wait_for_everyone()
    PartialState().destroy_process_group()
    if not PartialState().is_main_process:
        return None
    if len(results) > 1:
        print()
        print_tables([runs_table(results)])
    if experiment.reported and encoder is None:
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
        key = name.removeprefix("--").replace("-", "_")
        if not name.startswith("--") or key not in TRAINING_FIELDS:
            hint = hint_for_field(key, TRAINING_FIELDS)
            raise PLMarkerError(
                f"unknown option {name!r}: not an option of train, nor a field of TrainingArguments{hint}"
            )
        is_flag = not items or items[0].startswith("--")
        if is_flag and "bool" not in str(TRAINING_FIELDS[key]):
            raise PLMarkerError(f"option {name!r} needs a value")
        overrides[key] = True if is_flag else read_value(items.pop(0))
    return overrides
