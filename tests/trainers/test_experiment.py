"""Experiments as YAML: every file of the project is right, and a user's overrides hold."""

from pathlib import Path

import pytest
from transformers import TrainingArguments

from plmarker.modeling.modeling_plmarker import PLMarkerForEntityRecognition, PLMarkerForRelationExtraction
from plmarker.trainers.experiment import CONFIG_FOLDER, load_experiment

CONFIG_CLASSES = {
    "entity": PLMarkerForEntityRecognition.config_class,
    "relation": PLMarkerForRelationExtraction.config_class,
}


@pytest.mark.parametrize("path", sorted(CONFIG_FOLDER.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_experiment_of_the_project_is_right(path: Path, tmp_path: Path) -> None:
    experiment = load_experiment(path.stem)
    for name, task in experiment.tasks.items():
        TrainingArguments(str(tmp_path), **task.training)
        model = {key: value for key, value in task.model.items() if key != "marker_init"}
        config = CONFIG_CLASSES[name](entity_labels=["A"], **model)
        assert all(getattr(config, key) == value for key, value in model.items())


def test_overrides_reach_every_task_and_the_top_of_the_file() -> None:
    experiment = load_experiment("scierc", {"learning_rate": "3e-5", "seed": 7, "encoder": "minilm"})
    assert (experiment.encoder, experiment.seed) == ("minilm", 7)
    assert [task.training["learning_rate"] for task in experiment.tasks.values()] == [3e-5, 3e-5]


def test_what_yaml_reads_as_something_else_is_understood(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(
        "encoder: minilm\ndataset: sample\noutput_dir: x\n"
        "entity: {training: {save_strategy: no, learning_rate: 3e-5, per_device_train_batch_size: '4'}}\n"
    )
    training = load_experiment(path).tasks["entity"].training
    assert training == {"save_strategy": "no", "learning_rate": 3e-5, "per_device_train_batch_size": 4}
