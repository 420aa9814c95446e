"""An experiment as a YAML file: a dataset, an encoder, and the models to train with their arguments."""

from __future__ import annotations

import difflib
import reprlib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, get_type_hints

from pydantic import ConfigDict, Field, with_config
from transformers import TrainingArguments

# pydantic asks for this one before Python 3.12.
from typing_extensions import TypedDict

from ..data.schemas import load_schema
from ..data.settings import KeyPath, Settings, checked, read_settings
from ..hub_configs import experiment_file
from ..modeling.configuration_plmarker import PAIR_DROPOUT, PAIR_WEIGHT, PLMarkerEntityConfig, PLMarkerRelationConfig
from ..modeling.schema_plmarker import PLMarkerError
from .checks import hint_for_field

_HINTS = get_type_hints(TrainingArguments)
# Arguments of the Trainer that belong to a training all the same.
TRAINER_FIELDS: dict[str, Any] = {"batch_tokens": Annotated[int, Field(gt=0)] | None}
# What a training may say, and its types.
TRAINING_FIELDS = {item.name: _HINTS[item.name] for item in fields(TrainingArguments) if item.init} | TRAINER_FIELDS


@dataclass
class Task:
    """The training of one model.

    Args:
        model: fields of the model's config and `marker_init`, as `from_encoder` takes them.
        training: fields of `transformers.TrainingArguments`, and `batch_tokens` of [`PLMarkerTrainer`].
        peft: options of a LoRA adapter, as `add_lora` takes them, `{}` for its defaults; None trains all of the model.
    """

    __pydantic_config__: ClassVar[ConfigDict] = {"extra": "forbid"}

    model: dict[str, Any] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)
    peft: dict[str, Any] | None = None


@dataclass
class Experiment:
    """A checked YAML file.

    Args:
        encoder: a Hub id, a local folder, or `minilm`; or a trained model, which goes on with this data.
        dataset: as `load_documents` takes it.
        output_dir: where the model, its figures and the checkpoints go.
        entity, relation: the models to train; at least one.
        shared_encoder: train both models together, on one text pass of one encoder. Then `training` takes the place of
            `training` in `entity` and `relation`.
        pair_weight: weight of decisions about pairs in the loss, with `shared_encoder` alone.
        pair_dropout: share of the windows of a batch whose pairs do not count in it, with `shared_encoder` alone.
        training: as in [`Task`], with `shared_encoder` alone.
        symmetric_labels: the relation labels that have no direction.
        entity_labels, relation_labels: the labels. Without them they are collected from the data.
        constraints: what relations may join, by relation label, as [`LabelSchema`] takes it; or `learned`, from the
            training splits.
        preset: a corpus with these labels and these quirks of the original, see `load_schema`. Values of the file go
            first.
        folds: configurations of the dataset, each with its own splits. They are trained one after the other. They are
            folders in a local dataset, or configurations of a Hub dataset.
        train_splits: the splits to train on.
        entity_types: whose entity types Rel+ compares and `extract` returns, see [`RelationMetrics`].
        seed: seed of initialisation, shuffling and dropout.
        license: the model's licence for its card, by its name on the Hub.
        reported: the published F1 of this experiment in percent, by metric; `source` names the publication.
    """

    __pydantic_config__: ClassVar[ConfigDict] = {"extra": "forbid"}

    encoder: Annotated[str, Field(min_length=1)]
    dataset: Annotated[str, Field(min_length=1)]
    output_dir: Annotated[str, Field(min_length=1)]
    entity: Task | None = None
    relation: Task | None = None
    shared_encoder: bool = False
    pair_weight: Annotated[float, Field(gt=0)] = PAIR_WEIGHT
    pair_dropout: Annotated[float, Field(ge=0, lt=1)] = PAIR_DROPOUT
    training: dict[str, Any] = field(default_factory=dict)
    symmetric_labels: tuple[str, ...] = ()
    entity_labels: tuple[str, ...] | None = None
    relation_labels: tuple[str, ...] | None = None
    constraints: dict[str, Any] | Literal["learned"] | None = None
    preset: str | None = None
    folds: tuple[str, ...] = ()
    train_splits: Annotated[tuple[str, ...], Field(min_length=1)] = ("train",)
    entity_types: Literal["relation", "input"] = "relation"
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 42
    license: str | None = None
    reported: dict[str, Any] = field(default_factory=dict)

    @property
    def tasks(self) -> dict[str, Task]:
        """What is trained, by name: each model, or both together."""
        if self.shared_encoder:
            parts = {name: task.model for name, task in (("entity", self.entity), ("relation", self.relation)) if task}
            loss = {"pair_weight": self.pair_weight, "pair_dropout": self.pair_dropout}
            return {"shared": Task({"shared_encoder": True, **loss, **parts}, self.training)}
        return {name: task for name, task in (("entity", self.entity), ("relation", self.relation)) if task}


EXPERIMENT_FIELDS = [item.name for item in fields(Experiment)]
# Constraints that are learned from the training splits.
LEARNED = "learned"
PARTS = {"entity": PLMarkerEntityConfig, "relation": PLMarkerRelationConfig}


def _typed(name: str, types: dict[str, Any], strict: bool = False) -> Any:
    """A type of mappings that may have these keys alone."""
    config = ConfigDict(extra="forbid", arbitrary_types_allowed=True, strict=strict)
    return with_config(config)(TypedDict(name, types, total=False))  # type: ignore[operator]


Percent = Annotated[float, Field(gt=0, lt=100)]
Reported = _typed("Reported", {"source": str, **dict.fromkeys(("ent_f1", "rel_f1", "rel_strict_f1"), Percent)})
# Fields whose work the command does.
ELSEWHERE = {"resume_from_checkpoint": ": train it with --resume, which continues each model from its last checkpoint"}
_NO_FIELDS = {*EXPERIMENT_FIELDS, *ELSEWHERE}
Training = _typed("Training", {name: kind for name, kind in TRAINING_FIELDS.items() if name not in _NO_FIELDS})


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
        PLMarkerError: for a missing file, broken YAML, an unknown or a missing key, and a wrong value, naming file,
            line and key.
    """
    found = _read(name)
    for key, value in (settings or {}).items():
        _set(found, key, value, f"{key}={_short(value)}")
    for key, value in (overrides or {}).items():
        _set(found, key if key in EXPERIMENT_FIELDS else f"training.{key}", value, f"--{key} {_short(value)}")
    return _experiment(found)


def _short(value: Any) -> str:
    """A value for a message."""
    return value if isinstance(value, str) and len(value) < 60 else reprlib.repr(value)


def _set(settings: Settings, key: str, value: Any, place: str) -> None:
    """Set a dotted key. Training arguments belong to each model, unless the models are trained together."""
    if key.startswith("training.") and not settings.values.get("shared_encoder"):
        for name in PARTS:
            if settings.values.get(name) is not None:
                settings.set(f"{name}.{key}", value, place)
    else:
        settings.set(key, value, place)


def _read(name: str | Path, extended: tuple[Path, ...] = ()) -> Settings:
    """The settings of a file, with those of the file that it extends."""
    path = experiment_file(name)
    settings = read_settings(path, "encoder, dataset, output_dir and entity or relation")
    base = settings.values.pop("extends", None)
    if base is None:
        return settings
    if path.resolve() in extended:
        raise PLMarkerError(f"{path}: extends itself")
    return _read(base, (*extended, path.resolve())).extended(settings)


def _without_nulls(values: dict[str, Any]) -> dict[str, Any]:
    """The values without keys that hold nothing. In a model, null is a value."""
    tasks = {
        name: {key: value for key, value in values[name].items() if value is not None}
        for name in PARTS
        if isinstance(values.get(name), dict)
    }
    return {key: value for key, value in {**values, **tasks}.items() if value is not None}


def _experiment(settings: Settings) -> Experiment:
    settings.values = _without_nulls(settings.values)
    experiment: Experiment = checked(Experiment, settings, unknown=_known_keys)
    if experiment.shared_encoder:
        _check_shared(settings)
        experiment.training = _training(settings, ("training",))
    elif experiment.training:
        raise PLMarkerError(
            f"{settings.place(('training',))}: 'training' at the top needs 'shared_encoder: true'; "
            "each model has its own"
        )
    else:
        for name in ("pair_weight", "pair_dropout"):
            if name in settings.values:
                raise PLMarkerError(f"{settings.place((name,))}: {name!r} needs 'shared_encoder: true'")
    for name, config_class in PARTS.items():
        task: Task | None = getattr(experiment, name)
        if task is None:
            continue
        task.training = _training(settings, (name, "training"))
        task.model = _model(settings, (name, "model"), config_class)
    experiment.reported = checked(Reported, settings, ("reported",), _known_keys) if experiment.reported else {}
    if experiment.preset is not None:
        preset = load_schema(experiment.preset)
        for name, usual in (("entity", preset.entity), ("relation", preset.relation)):
            task = getattr(experiment, name)
            if task is not None and "quirks" in usual:
                task.model.setdefault("quirks", usual["quirks"])
        labels = preset.schema.to_dict()
        constraints = labels.pop("constraints", None)
        if experiment.constraints is None:
            experiment.constraints = constraints
        for name, values in labels.items():
            if name not in settings.values:
                setattr(experiment, name, tuple(values))
    if not experiment.tasks:
        raise PLMarkerError(f"{settings.place(())}: nothing to train, give 'entity' or 'relation' or both")
    return experiment


def _check_shared(settings: Settings) -> None:
    """Two models that are trained together have no training of their own."""
    for name in PARTS:
        part = settings.values.get(name)
        if part is None:
            raise PLMarkerError(f"{settings.place(())}: 'shared_encoder' needs both 'entity' and 'relation'")
        for key in ("training", "peft"):
            if part.get(key) is not None:
                place = settings.place((name, key))
                raise PLMarkerError(f"{place}: {name}.{key} has no place beside 'shared_encoder'")


def _training(settings: Settings, path: KeyPath) -> dict[str, Any]:
    """The training arguments of a model, with the types that transformers names."""
    if not _has(settings, path):
        return {}
    return dict(checked(Training, settings, path, _known_keys))


def _model(settings: Settings, path: KeyPath, config_class: Any) -> dict[str, Any]:
    """The fields of a model's config. A number in quotation marks is no number here, as in a config."""
    if not _has(settings, path):
        return {}
    # Types that transformers leaves as strings are checked when the config is built.
    types: dict[str, Any] = {
        item.name: Any if isinstance(item.type, str) else item.type for item in fields(config_class)
    }
    # `yes` is true.
    types = {name: Annotated[bool, Field(strict=False)] if kind is bool else kind for name, kind in types.items()}
    model = _typed(config_class.__name__, {**types, "marker_init": str}, strict=True)
    return dict(checked(model, settings, path, _known_keys))


def _has(settings: Settings, path: KeyPath) -> bool:
    inside: Any = settings.values
    for key in path:
        inside = (inside or {}).get(key)
    return inside is not None


def _known_keys(path: KeyPath) -> str:
    """What is said about an unknown key."""
    *outer, key = path
    if outer[-1:] == ["training"]:
        if key in EXPERIMENT_FIELDS:
            return ": it belongs to the top of the file, once for all models"
        if key in ELSEWHERE:
            return ELSEWHERE[str(key)]
        return f": no field of transformers.TrainingArguments{hint_for_field(str(key), TRAINING_FIELDS)}"
    if outer[-1:] == ["model"]:
        config_class = PARTS[str(outer[0])]
        near = difflib.get_close_matches(str(key), [item.name for item in fields(config_class)], n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        return f": {config_class.__name__} has no field {key!r}{hint}"
    if outer == ["reported"]:
        return f"; it has {', '.join(Reported.__annotations__)}"
    if outer:
        return f"; {outer[-1]!r} has 'model', 'training' and 'peft'"
    return f"; an experiment has {', '.join(EXPERIMENT_FIELDS)}"
