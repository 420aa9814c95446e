"""An experiment as a YAML file: a dataset, an encoder, and what is trained with which arguments."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import yaml
from transformers import TrainingArguments

from ..modeling.schema_plmarker import PLMarkerError

CONFIG_FOLDER = Path(__file__).parents[1] / "hub_configs"
TRAINING_FIELDS = {item.name: item for item in fields(TrainingArguments) if item.init}


@dataclass
class Task:
    """What is trained for one task.

    Args:
        model: fields of the model's config and `marker_init`, as `from_encoder` takes them.
        training: fields of `transformers.TrainingArguments`.
    """

    model: dict[str, Any] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)


@dataclass
class Experiment:
    """A checked YAML file.

    Args:
        encoder: a Hub id, a local folder, or `minilm`.
        dataset: as `load_documents` takes it.
        output_dir: where the model, its figures and the checkpoints go.
        entity, relation: what to train; at least one.
        symmetric_labels: the relation labels that have no direction.
        entity_labels, relation_labels: the labels, where they are not to be collected from the data.
        seed: of initialisation, shuffling and dropout.
    """

    encoder: str
    dataset: str
    output_dir: str
    entity: Task | None = None
    relation: Task | None = None
    symmetric_labels: tuple[str, ...] = ()
    entity_labels: tuple[str, ...] | None = None
    relation_labels: tuple[str, ...] | None = None
    seed: int = 42

    @property
    def tasks(self) -> dict[str, Task]:
        """The tasks to train, by name."""
        return {name: task for name, task in (("entity", self.entity), ("relation", self.relation)) if task}


EXPERIMENT_FIELDS = [item.name for item in fields(Experiment)]


def load_experiment(name: str | Path, overrides: Mapping[str, Any] | None = None) -> Experiment:
    """Read an experiment from a YAML file, or by the name of one in `hub_configs`.

    Args:
        overrides: values in place of those in the file: top-level keys, or fields of `TrainingArguments`, which then
            hold for every task.

    Raises:
        PLMarkerError: for a missing file, broken YAML, an unknown or a missing key, naming file and key.
    """
    path = Path(name)
    if not path.is_file():
        path = CONFIG_FOLDER / f"{name}.yaml"
    if not path.is_file():
        known = ", ".join(sorted(file.stem for file in CONFIG_FOLDER.glob("*.yaml")))
        raise PLMarkerError(f"{name}: no such file, nor one of the experiments {known}")
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise PLMarkerError(f"{path}: broken YAML, {' '.join(str(error).split())}") from None
    if not isinstance(values, dict):
        raise PLMarkerError(f"{path}: expected a mapping with encoder, dataset, output_dir and entity or relation")
    training: dict[str, Any] = {}
    for key, value in (overrides or {}).items():
        (values if key in EXPERIMENT_FIELDS else training)[key] = value
    return _experiment(path, values, training)


def _experiment(path: Path, values: dict[str, Any], overrides: dict[str, Any]) -> Experiment:
    for key in values:
        if key not in EXPERIMENT_FIELDS:
            raise PLMarkerError(f"{path}: unknown key {key!r}; an experiment has {', '.join(EXPERIMENT_FIELDS)}")
    for key in ("encoder", "dataset", "output_dir"):
        if not isinstance(values.get(key), str):
            raise PLMarkerError(f"{path}: {key!r} is missing or no string")
    for name in ("entity", "relation"):
        if values.get(name) is not None:
            values[name] = _task(path, name, values[name], overrides)
    for name in ("symmetric_labels", "entity_labels", "relation_labels"):
        if values.get(name) is not None:
            if not isinstance(values[name], list) or not all(isinstance(label, str) for label in values[name]):
                raise PLMarkerError(f"{path}: {name!r} is a list of strings, got {values[name]!r}")
            values[name] = tuple(values[name])
    if not isinstance(values.get("seed", 0), int):
        raise PLMarkerError(f"{path}: 'seed' is a whole number, got {values['seed']!r}")
    experiment = Experiment(**values)
    if not experiment.tasks:
        raise PLMarkerError(f"{path}: nothing to train, give 'entity' or 'relation' or both")
    return experiment


def _task(path: Path, name: str, values: Any, overrides: dict[str, Any]) -> Task:
    if not isinstance(values, dict) or not set(values) <= {"model", "training"}:
        raise PLMarkerError(f"{path}: {name!r} has 'model' and 'training', got {values!r}")
    for part in ("model", "training"):
        if not isinstance(values.get(part) or {}, dict):
            raise PLMarkerError(f"{path}: {name}.{part} is a mapping, got {values[part]!r}")
    training = {**(values.get("training") or {}), **overrides}
    for key, value in training.items():
        if key not in TRAINING_FIELDS:
            raise PLMarkerError(f"{path}: {name}.training.{key} is no field of transformers.TrainingArguments")
        if key in EXPERIMENT_FIELDS:
            raise PLMarkerError(f"{path}: {name}.training.{key} stands at the top of the file, once for all tasks")
        # YAML reads `no` as false.
        if key.endswith("_strategy") and value is False:
            training[key] = "no"
        # YAML reads 3e-4 as a string: only 3.0e-4 is a number to it.
        number = next((kind for kind in (float, int) if kind.__name__ in str(TRAINING_FIELDS[key].type)), None)
        if isinstance(value, str) and number and "str" not in str(TRAINING_FIELDS[key].type):
            try:
                training[key] = number(value)
            except ValueError:
                raise PLMarkerError(f"{path}: {name}.training.{key} is a number, got {value!r}") from None
    return Task(dict(values.get("model") or {}), training)
