"""Runs that are continued: whether the experiment and its documents are still the same, and from which checkpoint."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from accelerate import PartialState
from datasets import Dataset

from ..hub.loading import EXPERIMENT_FILE
from ..modeling.schema_plmarker import PLMarkerError
from .experiment import Experiment

METRICS_FILE = "metrics.json"
FINISHED_FILE = "finished"
# The key of the digests of the documents.
DOCUMENTS = "documents"


def identity(experiment: Experiment, data: Mapping[str, Dataset] | None = None) -> dict[str, Any]:
    """What identifies a run, as JSON returns it: the settings, and a digest of the documents of each split.

    Args:
        data: the splits. Without them the settings alone.
    """
    values = {
        key: value for key, value in asdict(experiment).items() if key not in ("output_dir", "license", "reported")
    }
    if data is not None:
        values[DOCUMENTS] = {name: _digest(split) for name, split in data.items()}
    found: dict[str, Any] = json.loads(json.dumps(values, default=str))
    return found


def _digest(documents: Iterable[Mapping[str, Any]]) -> str:
    digest = hashlib.sha256()
    for document in documents:
        digest.update(json.dumps(document, sort_keys=True, default=str).encode("utf-8", "surrogatepass"))
    return digest.hexdigest()


def check_same(output_dir: Path, now: Mapping[str, Any]) -> None:
    """Make sure that the run in a folder has this identity. A folder without a run has any.

    Raises:
        PLMarkerError: naming the first setting or split that differs.
    """
    path = output_dir / EXPERIMENT_FILE
    if not path.is_file():
        return
    earlier = json.loads(path.read_text(encoding="utf-8"))
    # Runs of earlier versions have no digests.
    if DOCUMENTS not in earlier or DOCUMENTS not in now:
        earlier, now = ({key: value for key, value in one.items() if key != DOCUMENTS} for one in (earlier, now))
    before, after = _flat(earlier), _flat(now)
    differing = [key for key in before | after if before.get(key) != after.get(key)]
    if not differing:
        return
    key = differing[0]
    advice = "resume it with what it was begun with, or --overwrite it"
    if key.startswith(f"{DOCUMENTS}."):
        split = key.removeprefix(f"{DOCUMENTS}.")
        raise PLMarkerError(f"{output_dir} holds a run with other documents in the split {split!r}; {advice}")
    raise PLMarkerError(
        f"{output_dir} holds a run with another {key}: {before.get(key)!r}, now {after.get(key)!r}; {advice}"
    )


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings as one, by dotted keys."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return flat


def _step(state: Path) -> int:
    """The step of a checkpoint. Dates change when a folder is copied."""
    step = state.parent.name.rpartition("-")[2]
    return int(step) if step.isdigit() else -1


def last_checkpoint(folder: Path) -> str | None:
    """The checkpoint of the highest step in the folder of a model."""
    states = _states(folder)
    return str(states[-1].parent) if states else None


def refuse_earlier_run(folders: Sequence[Path]) -> None:
    """Raise `PLMarkerError` where the folders of the models hold an earlier run, or part of one."""
    if any(_states(folder) for folder in folders) or _finished(folders):
        raise PLMarkerError(f"{folders[0].parent} holds an earlier run: continue it with --resume, or --overwrite it")


def remove_earlier_run(folders: Sequence[Path]) -> None:
    """Remove the checkpoints of an earlier run, and what shows that its models were finished.

    Args:
        folders: the folder of the model to train, and those of the models after it.
    """
    if PartialState().is_main_process:
        for path in _finished(folders):
            path.unlink()
        for state in (state for folder in folders for state in _states(folder)):
            shutil.rmtree(state.parent)
    PartialState().wait_for_everyone()


def _states(folder: Path) -> list[Path]:
    """The states of Trainer, by their steps. Trainer writes its state last: a checkpoint without it was cut off."""
    return sorted(folder.glob("checkpoint-*/trainer_state.json"), key=_step)


def _finished(folders: Sequence[Path]) -> list[Path]:
    files = [*(folder / FINISHED_FILE for folder in folders), folders[0].parent / METRICS_FILE]
    return [path for path in files if path.is_file()]
