"""An experiment as a YAML file: a dataset, an encoder, and the models to train with their arguments."""

from __future__ import annotations

import difflib
import reprlib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from transformers import TrainingArguments

from ..data.presets import load_preset, read_mapping
from ..modeling.schema_plmarker import PLMarkerError
from .checks import hint_for_field

CONFIG_FOLDER = Path(__file__).parents[1] / "hub_configs"
TRAINING_FIELDS = {item.name: item for item in fields(TrainingArguments) if item.init}


@dataclass
class Task:
    """The training of one model.

    Args:
        model: fields of the model's config and `marker_init`, as `from_encoder` takes them.
        training: fields of `transformers.TrainingArguments`.
        peft: options of a LoRA adapter, as `add_lora` takes them, `{}` for its defaults; None trains all of the model.
    """

    model: dict[str, Any] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)
    peft: dict[str, Any] | None = None


@dataclass
class Experiment:
    """A checked YAML file.

    Args:
        encoder: a Hub id, a local folder, or `minilm`.
        dataset: as `load_documents` takes it.
        output_dir: where the model, its figures and the checkpoints go.
        entity, relation: the models to train; at least one.
        shared_encoder: train both models together, on one text pass of one encoder. Then `training` takes the place of
            `training` in `entity` and `relation`.
        pair_weight: weight of decisions about pairs in the loss, with `shared_encoder` alone.
        training: fields of `transformers.TrainingArguments`, with `shared_encoder` alone.
        symmetric_labels: the relation labels that have no direction.
        entity_labels, relation_labels: the labels. Without them they are collected from the data.
        constraints: what relations may join, by relation label, as [`LabelSchema`] takes it; or `learned`, from the
            training splits.
        preset: a corpus with these labels and these quirks of the original, see `load_preset`. Values of the file go
            first.
        folds: configurations of the dataset, each with its own splits. They are trained one after the other. They are
            folders in a local dataset, or configurations of a Hub dataset.
        train_splits: the splits to train on.
        entity_types: whose entity types Rel+ compares and `extract` returns, see [`RelationMetrics`].
        seed: seed of initialisation, shuffling and dropout.
        license: the model's licence for its card, by its name on the Hub.
        reported: the published F1 of this experiment in percent, by metric; `source` names the publication.
    """

    encoder: str
    dataset: str
    output_dir: str
    entity: Task | None = None
    relation: Task | None = None
    shared_encoder: bool = False
    pair_weight: float = 1.0
    training: dict[str, Any] = field(default_factory=dict)
    symmetric_labels: tuple[str, ...] = ()
    entity_labels: tuple[str, ...] | None = None
    relation_labels: tuple[str, ...] | None = None
    constraints: dict[str, Any] | str | None = None
    preset: str | None = None
    folds: tuple[str, ...] = ()
    train_splits: tuple[str, ...] = ("train",)
    entity_types: str = "relation"
    seed: int = 42
    license: str | None = None
    reported: dict[str, Any] = field(default_factory=dict)

    @property
    def tasks(self) -> dict[str, Task]:
        """What is trained, by name: each model, or both together."""
        if self.shared_encoder:
            parts = {name: task.model for name, task in (("entity", self.entity), ("relation", self.relation)) if task}
            return {"shared": Task({"shared_encoder": True, "pair_weight": self.pair_weight, **parts}, self.training)}
        return {name: task for name, task in (("entity", self.entity), ("relation", self.relation)) if task}


EXPERIMENT_FIELDS = [item.name for item in fields(Experiment)]
# Constraints that are learned from the training splits.
LEARNED = "learned"
REPORTED_METRICS = ("ent_f1", "rel_f1", "rel_strict_f1")


def experiment_names() -> list[str]:
    """The experiments in `hub_configs`."""
    return sorted(file.stem for file in CONFIG_FOLDER.glob("*.yaml"))


def load_experiment(
    name: str | Path, overrides: Mapping[str, Any] | None = None, settings: Mapping[str, Any] | None = None
) -> Experiment:
    """Read an experiment from a YAML file, or by the name of one in `hub_configs`.

    A file that `extends` another file holds only the differences. Mappings are merged, and a null removes a key.

    Args:
        overrides: values that replace those of the file: top-level keys, or fields of `TrainingArguments` for every
            model.
        settings: values by the dotted keys of the file, such as `entity.model.max_span_length`. `training.NAME` is for
            every model.

    Raises:
        PLMarkerError: for a missing file, broken YAML, an unknown or a missing key, naming file and key.
    """
    path, values = _read(name)
    for key, value in (settings or {}).items():
        _set(path, values, key, value)
    training: dict[str, Any] = {}
    for key, value in (overrides or {}).items():
        (values if key in EXPERIMENT_FIELDS else training)[key] = value
    return _experiment(path, values, training)


def _set(path: Path, values: dict[str, Any], key: str, value: Any) -> None:
    """Set the value of a dotted key."""
    *places, last = key.split(".")
    if places[:1] == ["training"] and not values.get("shared_encoder"):
        for name in ("entity", "relation"):
            if values.get(name) is not None:
                _set(path, values, f"{name}.{key}", value)
        return
    inside = values
    for place in places:
        found = inside.get(place)
        if found is None:
            found = inside[place] = {}
        if not isinstance(found, dict):
            raise PLMarkerError(f"{path}: {key!r} cannot be set: {place!r} holds {reprlib.repr(found)}")
        inside = found
    inside[last] = value


def _read(name: str | Path, extended: tuple[Path, ...] = ()) -> tuple[Path, dict[str, Any]]:
    """The path and the values of a file, with those of the file that it extends."""
    path = Path(name)
    if not path.is_file():
        path = CONFIG_FOLDER / f"{name}.yaml"
    if not path.is_file():
        known = experiment_names()
        near = difflib.get_close_matches(str(name), known, cutoff=0.3) or known[:3]
        raise PLMarkerError(f"{name}: no such file, nor one of the {len(known)} experiments ({', '.join(near)} ...)")
    values = read_mapping(path, "encoder, dataset, output_dir and entity or relation")
    base = values.pop("extends", None)
    if base is None:
        return path, values
    if path.resolve() in extended:
        raise PLMarkerError(f"{path}: extends itself")
    return path, _merge(_read(base, (*extended, path.resolve()))[1], values)


def _merge(base: dict[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in changes.items():
        if value is None:
            merged.pop(key, None)
        elif isinstance(value, dict) and isinstance(merged.get(key), dict):
            merged[key] = _merge(merged[key], value)
        else:
            merged[key] = value
    return merged


def _experiment(path: Path, values: dict[str, Any], overrides: dict[str, Any]) -> Experiment:
    for key in values:
        if key not in EXPERIMENT_FIELDS:
            raise PLMarkerError(f"{path}: unknown key {key!r}; an experiment has {', '.join(EXPERIMENT_FIELDS)}")
    for key in ("encoder", "dataset", "output_dir"):
        if not isinstance(values.get(key), str):
            raise PLMarkerError(f"{path}: {key!r} is missing or no string")
    if not isinstance(values.get("shared_encoder", False), bool):
        raise PLMarkerError(f"{path}: 'shared_encoder' is true or false, got {reprlib.repr(values['shared_encoder'])}")
    weight = values.get("pair_weight", 1.0)
    if isinstance(weight, bool) or not isinstance(weight, int | float) or weight <= 0:
        raise PLMarkerError(f"{path}: 'pair_weight' is a number above 0, got {reprlib.repr(weight)}")
    if values.get("shared_encoder"):
        _check_shared(path, values)
        values["training"] = _task(path, "shared", {"training": values.get("training")}, overrides).training
        overrides = {}
    elif "training" in values:
        raise PLMarkerError(f"{path}: 'training' at the top needs 'shared_encoder: true'; each model has its own")
    for name in ("entity", "relation"):
        if values.get(name) is not None:
            values[name] = _task(path, name, values[name], overrides)
    for name in ("symmetric_labels", "entity_labels", "relation_labels", "folds", "train_splits"):
        if values.get(name) is not None:
            if not isinstance(values[name], list) or not all(isinstance(label, str) for label in values[name]):
                raise PLMarkerError(f"{path}: {name!r} is a list of strings, got {reprlib.repr(values[name])}")
            values[name] = tuple(values[name])
    if not isinstance(values.get("seed", 0), int):
        raise PLMarkerError(f"{path}: 'seed' is a whole number, got {reprlib.repr(values['seed'])}")
    if not isinstance(values.get("license") or "", str):
        raise PLMarkerError(f"{path}: 'license' is a string, got {reprlib.repr(values['license'])}")
    if values.get("entity_types", "relation") not in ("relation", "input"):
        raise PLMarkerError(
            f"{path}: 'entity_types' is 'relation' or 'input', got {reprlib.repr(values['entity_types'])}"
        )
    constraints = values.get("constraints")
    if constraints is not None and constraints != LEARNED and not isinstance(constraints, dict):
        raise PLMarkerError(
            f"{path}: 'constraints' is a mapping from relation labels, or {LEARNED!r}, got {reprlib.repr(constraints)}"
        )
    _check_reported(path, values.get("reported", {}))
    if values.get("preset") is not None:
        preset = load_preset(values["preset"])
        schema = preset.schema
        for name, usual in (("entity", preset.entity), ("relation", preset.relation)):
            if values.get(name) is not None and "quirks" in usual:
                values[name].model.setdefault("quirks", usual["quirks"])
        usual_labels = schema.to_dict()
        usual_constraints = usual_labels.pop("constraints", None)
        values = {**{name: labels for name, labels in usual_labels.items() if labels}, **values}
        for name in usual_labels:
            values[name] = tuple(values.get(name, ()))
        values.setdefault("constraints", usual_constraints)
    experiment = Experiment(**values)
    if not experiment.tasks:
        raise PLMarkerError(f"{path}: nothing to train, give 'entity' or 'relation' or both")
    return experiment


def _check_shared(path: Path, values: Mapping[str, Any]) -> None:
    """Two models that are trained together have no training of their own."""
    for name in ("entity", "relation"):
        part = values.get(name)
        if not isinstance(part, dict):
            raise PLMarkerError(f"{path}: 'shared_encoder' needs both 'entity' and 'relation'")
        for key in ("training", "peft"):
            if part.get(key) is not None:
                raise PLMarkerError(f"{path}: {name}.{key} has no place beside 'shared_encoder'")


def _check_reported(path: Path, reported: Any) -> None:
    """Published figures are percentages by metric, with their source."""
    if not isinstance(reported, dict):
        raise PLMarkerError(f"{path}: 'reported' is a mapping, got {reprlib.repr(reported)}")
    for key, value in reported.items():
        if key == "source" and isinstance(value, str):
            continue
        if key not in REPORTED_METRICS or not isinstance(value, float | int) or not 0 < value < 100:
            raise PLMarkerError(f"{path}: reported.{key} is a percentage of {', '.join(REPORTED_METRICS)}, or 'source'")


def _task(path: Path, name: str, values: Any, overrides: dict[str, Any]) -> Task:
    if not isinstance(values, dict) or not set(values) <= {"model", "training", "peft"}:
        raise PLMarkerError(f"{path}: {name!r} has 'model', 'training' and 'peft', got {reprlib.repr(values)}")
    for part in ("model", "training", "peft"):
        if not isinstance(values.get(part) or {}, dict):
            raise PLMarkerError(f"{path}: {name}.{part} is a mapping, got {reprlib.repr(values[part])}")
    training = {**(values.get("training") or {}), **overrides}
    for key, value in training.items():
        if key not in TRAINING_FIELDS:
            hint = hint_for_field(key, TRAINING_FIELDS)
            raise PLMarkerError(f"{path}: {name}.training.{key} is no field of transformers.TrainingArguments{hint}")
        if key in EXPERIMENT_FIELDS:
            raise PLMarkerError(f"{path}: {name}.training.{key} belongs to the top of the file, once for all models")
        # YAML reads `no` as false.
        if key.endswith("_strategy") and value is False:
            training[key] = "no"
        # YAML reads 3e-4 as a string. Only 3.0e-4 is a number in YAML.
        number = next((kind for kind in (float, int) if kind.__name__ in str(TRAINING_FIELDS[key].type)), None)
        if isinstance(value, str) and number and "str" not in str(TRAINING_FIELDS[key].type):
            try:
                training[key] = number(value)
            except ValueError:
                raise PLMarkerError(f"{path}: {name}.training.{key} is a number, got {reprlib.repr(value)}") from None
    adapter = values.get("peft")
    return Task(dict(values.get("model") or {}), training, None if adapter is None else dict(adapter))
