"""Learning curves: loss and F1 of a training, as a table in the terminal and as a picture beside the checkpoints."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from transformers.trainer_callback import ProgressCallback

from .chart import BLUE, GREEN, RED, Line, Panel, chart

PICTURE = "learning_curves.svg"
# Figures of an evaluation that are shown, without the prefix of the evaluation set.
SHOWN = {"ent_f1": "Ent F1", "rel_f1": "Rel F1", "rel_strict_f1": "Rel+ F1"}
COLORS = {"ent_f1": BLUE, "rel_f1": BLUE, "rel_strict_f1": GREEN}
# Seconds until a training without a bar says how far it is.
FIRST_NOTE = 60.0
Logs = Sequence[Mapping[str, Any]]


class LearningCurves(ProgressCallback):
    """Shows loss and validation F1 of a training while it runs.

    After each evaluation it writes `learning_curves.svg` into `output_dir` of the training arguments, and prints one
    line: a row of a table where the output is a terminal, and `name value` pairs elsewhere. It is used in place of the
    callback by which transformers prints its logs. A training that is resumed is drawn from its beginning. Without a
    progress bar it says how far a training is after one minute, two, four and so on.

    Args:
        write: prints a line. None writes above the progress bar, or to standard output without a bar.
        as_table: print rows of a table. None does so where standard output is a terminal.

    Example:
        >>> trainer.remove_callback(ProgressCallback)  # doctest: +SKIP
        >>> trainer.add_callback(LearningCurves())  # doctest: +SKIP
        >>> trainer.train()  # doctest: +SKIP
    """

    def __init__(self, write: Callable[[str], None] | None = None, as_table: bool | None = None) -> None:
        super().__init__()
        self.write = write
        self.as_table = sys.stdout.isatty() if as_table is None else as_table
        self.has_header = False
        self.n_rows = 0
        # When the training began, from which step, and the seconds after which the next line says how far it is.
        self.began, self.first_step, self.next_note = 0.0, 0, FIRST_NOTE

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Start a table, and a progress bar unless the arguments forbid it."""
        self.has_header, self.n_rows = False, 0
        self.began, self.first_step, self.next_note = time.monotonic(), state.global_step, FIRST_NOTE
        if not args.disable_tqdm:
            super().on_train_begin(args, state, control, **kwargs)

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Move the bar, or say how far the training is, and have the loss logged before an evaluation."""
        control.should_log = control.should_log or control.should_evaluate
        if self.training_bar is not None:
            super().on_step_end(args, state, control, **kwargs)
            return
        seconds = time.monotonic() - self.began
        if seconds >= self.next_note and state.is_world_process_zero:
            self.next_note = 2 * seconds
            left = seconds / (state.global_step - self.first_step) * (state.max_steps - state.global_step)
            self._say(f"step {state.global_step:,} of {state.max_steps:,}, about {max(1, round(left / 60))} min left")

    def on_epoch_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Have the loss logged: on a small corpus an epoch ends long before the next step that transformers logs."""
        control.should_log = True

    def on_prediction_step(
        self, args: Any, state: Any, control: Any, eval_dataloader: Any = None, **kwargs: Any
    ) -> None:
        """Move the bar of an evaluation."""
        if not args.disable_tqdm:
            super().on_prediction_step(args, state, control, eval_dataloader, **kwargs)

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
        """Print the training loss of a training without evaluations. Otherwise `on_evaluate` prints it."""
        if args.eval_strategy == "no" and state.is_world_process_zero and logs and "loss" in logs:
            self._print({"epoch": round(state.epoch, 2), "training loss": logs["loss"]})

    def on_evaluate(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Print a line and draw the picture anew."""
        super().on_evaluate(args, state, control, **kwargs)
        if not state.is_world_process_zero or not state.global_step:
            return
        rows = evaluations(state.log_history)
        if len(rows) == self.n_rows:
            # Another evaluation set, which is not shown.
            return
        self.n_rows = len(rows)
        self._print(rows[-1])
        path = Path(args.output_dir) / PICTURE
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f"{PICTURE}.partial")
        partial.write_text(learning_curves(state.log_history), encoding="utf-8")
        partial.replace(path)

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Say which evaluation has the model that is kept, and close the bar."""
        if args.load_best_model_at_end and state.is_world_process_zero:
            for row in evaluations(state.log_history):
                if row["step"] == state.best_global_step:
                    self._say(kept(row))
        if self.training_bar is not None:
            super().on_train_end(args, state, control, **kwargs)

    def _print(self, row: Mapping[str, float]) -> None:
        names = [name for name in row if name != "step"]
        if not self.as_table:
            self._say(", ".join(f"{name} {_shown(name, row[name])}" for name in names))
            return
        if not self.has_header:
            self._say("".join(f"{name:>17}" for name in names))
            self.has_header = True
        self._say("".join(f"{_shown(name, row[name]):>17}" for name in names))

    def _say(self, line: str) -> None:
        if self.write is not None:
            self.write(line)
        elif self.training_bar is not None:
            self.training_bar.write(line)
        else:
            print(line, flush=True)


def kept(row: Mapping[str, float]) -> str:
    """A line on the evaluation whose model a training keeps.

    Example:
        >>> kept({"epoch": 3.0, "step": 12, "validation loss": 0.5, "Ent F1": 0.75})
        'the model of epoch 3 is kept: Ent F1 75.0'
    """
    found = {name: value for name, value in row.items() if name in SHOWN.values()}
    line = f"the model of epoch {row['epoch']:g} is kept: " + ", ".join(f"{n} {_shown(n, v)}" for n, v in found.items())
    return line if any(found.values()) else f"{line}; it finds nothing yet: train longer, or annotate more"


def evaluations(history: Logs) -> list[dict[str, float]]:
    """The evaluations of a training, in order: epoch, step, mean training loss since the one before, and figures.

    Args:
        history: `trainer.state.log_history`. Only the first of several evaluation sets is read.

    Returns:
        For each evaluation `epoch`, `step`, `training loss` (missing where nothing was logged since the evaluation
        before), `validation loss`, and `Ent F1`, `Rel F1`, `Rel+ F1` where the evaluation gives them, as fractions.

    Example:
        >>> evaluations([{"loss": 2.0, "step": 5}, {"eval_loss": 1.5, "eval_ent_f1": 0.4, "epoch": 1.0, "step": 9}])
        [{'epoch': 1.0, 'step': 9, 'training loss': 2.0, 'validation loss': 1.5, 'Ent F1': 0.4}]
    """
    found: list[dict[str, float]] = []
    # A logged loss is the mean over the steps since the log before.
    losses, n_steps, last = 0.0, 0, 0
    prefix = _prefix(history)
    for log in history:
        if "loss" in log:
            losses += float(log["loss"]) * (log["step"] - last)
            n_steps += log["step"] - last
            last = log["step"]
        figures = {title: float(log[f"{prefix}{name}"]) for name, title in SHOWN.items() if f"{prefix}{name}" in log}
        if not figures:
            continue
        row = {"epoch": round(float(log.get("epoch", 0.0)), 2), "step": log["step"]}
        if n_steps:
            row["training loss"] = losses / n_steps
        if f"{prefix}loss" in log:
            row["validation loss"] = float(log[f"{prefix}loss"])
        found.append(row | figures)
        losses, n_steps = 0.0, 0
    return found


def learning_curves(history: Logs) -> str:
    """An SVG of a training: losses beside F1, over epochs. Each evaluation is one point of each line.

    Args:
        history: `trainer.state.log_history`.

    Example:
        >>> history = [{"eval_loss": 1.5, "eval_ent_f1": 0.4, "epoch": 1.0, "step": 9}]
        >>> learning_curves(history).count("<circle")
        2
    """
    rows = evaluations(history)
    ends = (0.0, max((row["epoch"] for row in rows), default=1.0) or 1.0)
    losses = [_line(rows, "training loss", RED), _line(rows, "validation loss", BLUE)]
    figures = [_line(rows, SHOWN[name], COLORS[name]) for name in SHOWN]
    losses, figures = [line for line in losses if line.points], [line for line in figures if line.points]
    highest = max((y for line in losses for _, y in line.points), default=1.0) or 1.0
    panels = [
        Panel("epoch", "loss", losses, ends, (0.0, highest), has_ticks=True),
        Panel("epoch", "F1 on validation", figures, ends, has_ticks=True),
    ]
    return chart("Loss and F1 of the training", panels)


def _line(rows: Sequence[Mapping[str, float]], name: str, color: str) -> Line:
    # The loss of a training that has come apart is no number, and has no place.
    shown = [row for row in rows if math.isfinite(row.get(name, math.nan))]
    hints = [f"epoch {row['epoch']:g}: {name} {_shown(name, row[name])}" for row in shown]
    return Line(name, [(row["epoch"], row[name]) for row in shown], color, hints)


def _prefix(history: Logs) -> str:
    """What stands before the figures of the first evaluation set: `eval_`, or `eval_NAME_` where sets have names."""
    for log in history:
        keys = [key for key in log if key.startswith("eval_")]
        found = {key.removesuffix(name) for key in keys for name in SHOWN if key.endswith(f"_{name}")}
        if found:
            # The longer ones belong to further figures, such as `eval_retyped_ent_f1`.
            return min(found, key=len)
    return "eval_"


def _shown(name: str, value: float) -> str:
    """An F1 in percent, a loss with four digits, an epoch as it is."""
    if name in SHOWN.values():
        return f"{100 * value:.1f}"
    return f"{value:g}" if name == "epoch" else f"{value:.4f}"
