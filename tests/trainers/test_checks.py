"""Mistakes in training arguments are found before anything is trained."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from transformers import TrainingArguments

from plmarker import PLMarkerEntityConfig, PLMarkerError, PLMarkerRelationConfig
from plmarker.modeling.tasks_plmarker import task_of
from plmarker.trainers.checks import FORMER_NAMES, check_arguments, hint_for_field, refuse_fields
from plmarker.trainers.experiment import TRAINING_FIELDS

ENTITY = task_of(PLMarkerEntityConfig(entity_labels=["PER"]))
RELATION = task_of(PLMarkerRelationConfig(entity_labels=["PER"], relation_labels=["MET"]))


def arguments(folder: Path, **values: Any) -> TrainingArguments:
    return TrainingArguments(str(folder), **{"report_to": "none", "use_cpu": True, **values})


@pytest.mark.parametrize(
    ("task", "metric", "sets"),
    [
        (ENTITY, "ent_f1", ()),
        (ENTITY, "eval_ent_f1/PER", ()),
        (ENTITY, "loss", ()),
        (RELATION, "rel_strict_f1", ()),
        (RELATION, "dev_rel_f1/MET", ("dev", "test")),
    ],
)
def test_metrics_of_the_task_are_accepted(tmp_path, task, metric, sets):
    check_arguments(arguments(tmp_path, metric_for_best_model=metric), task, sets)


@pytest.mark.parametrize(
    ("task", "metric", "sets", "expected"),
    [
        (ENTITY, "f1", (), "ent_f1"),
        (RELATION, "ent_f1", (), "rel_strict_f1"),
        (ENTITY, "ent_f1", ("dev", "test"), "dev_ent_f1"),
        (ENTITY, "dev_rel_f1", ("dev", "test"), "ent_f1"),
    ],
)
def test_metrics_of_another_task_are_refused(tmp_path, task, metric, sets, expected):
    with pytest.raises(PLMarkerError, match=expected):
        check_arguments(arguments(tmp_path, metric_for_best_model=metric), task, sets)


def test_metrics_of_the_user_have_any_name(tmp_path):
    check_arguments(arguments(tmp_path, metric_for_best_model="mine"), ENTITY, further_metrics=True)


@pytest.mark.parametrize("epochs", [0, -1])
def test_a_training_without_steps_is_refused(tmp_path, epochs):
    with pytest.raises(PLMarkerError, match="num_train_epochs"):
        check_arguments(arguments(tmp_path, num_train_epochs=epochs), ENTITY)
    check_arguments(arguments(tmp_path, num_train_epochs=epochs, max_steps=1), ENTITY)


@pytest.mark.parametrize("name", ["eval", "save", "logging"])
@pytest.mark.parametrize("steps", [-1, None, float("nan")])
def test_steps_are_above_0(tmp_path, name, steps):
    args = arguments(tmp_path)
    setattr(args, f"{name}_strategy", "steps")
    setattr(args, f"{name}_steps", steps)
    with pytest.raises(PLMarkerError, match=f"{name}_steps is a number above 0"):
        check_arguments(args, ENTITY)


def test_values_that_transformers_gives_a_meaning_are_accepted(tmp_path):
    for values in (
        {"save_total_limit": 0},
        {"max_grad_norm": float("inf")},
        {"max_grad_norm": 0.0},
        {"eval_delay": -1},
    ):
        check_arguments(arguments(tmp_path, **values), ENTITY)
    with pytest.raises(PLMarkerError, match="max_grad_norm"):
        check_arguments(arguments(tmp_path, max_grad_norm=float("nan")), ENTITY)


def test_a_report_that_needs_a_missing_package_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("transformers.integrations.integration_utils.is_wandb_available", lambda: False)
    args = arguments(tmp_path)
    args.report_to = ["wandb"]
    with pytest.raises(PLMarkerError, match=r"report_to=wandb: .*wandb"):
        check_arguments(args, ENTITY)
    args.report_to = ["nothing"]
    with pytest.raises(PLMarkerError, match="report_to=nothing"):
        check_arguments(args, ENTITY)


@pytest.mark.skipif(find_spec("bitsandbytes") is not None, reason="bitsandbytes is installed")
def test_an_optimizer_that_needs_a_missing_package_is_refused(tmp_path):
    with pytest.raises(PLMarkerError, match=r"optim=adamw_bnb_8bit: .*bitsandbytes"):
        check_arguments(arguments(tmp_path, optim="adamw_bnb_8bit"), ENTITY)


@pytest.mark.parametrize("value", ["ds.json", {"zero_optimization": {"stage": 2}}])
def test_deepspeed_is_refused_before_its_package_is_looked_for(value):
    with pytest.raises(PLMarkerError, match="deepspeed"):
        refuse_fields({"deepspeed": value})
    refuse_fields({"deepspeed": None, "learning_rate": 1.0})


def test_former_and_misspelled_names_are_explained():
    assert "eval_strategy" in hint_for_field("evaluation_strategy", TRAINING_FIELDS)
    assert "learning_rate" in hint_for_field("learning_rat", TRAINING_FIELDS)
    assert hint_for_field("xyzzy", TRAINING_FIELDS) == ""
    assert not FORMER_NAMES.keys() & TRAINING_FIELDS.keys()
