"""Experiments as YAML: every file of the project is right, and a user's overrides hold."""

import json
import os
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from transformers import TrainingArguments

from plmarker.cli.train import training_overrides
from plmarker.data.presets import load_preset
from plmarker.data.settings import read_settings
from plmarker.hub.loading import EXPERIMENT_FILE
from plmarker.hub_configs import FOLDER
from plmarker.modeling.modeling_plmarker import PLMarkerForEntityRecognition, PLMarkerForRelationExtraction
from plmarker.modeling.schema_plmarker import PLMarkerError
from plmarker.trainers.experiment import load_experiment
from plmarker.trainers.resuming import DOCUMENTS, check_same, identity, last_checkpoint
from plmarker.trainers.training import _arguments, _loaded, _Run, _trainer, run_experiment

CONFIG_CLASSES = {
    "entity": PLMarkerForEntityRecognition.config_class,
    "relation": PLMarkerForRelationExtraction.config_class,
}


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_experiment_of_the_project_is_right(path: Path, tmp_path: Path) -> None:
    experiment = load_experiment(path.stem)
    for name, task in experiment.tasks.items():
        TrainingArguments(str(tmp_path), **task.training)
        model = {key: value for key, value in task.model.items() if key != "marker_init"}
        config = CONFIG_CLASSES[name](entity_labels=["A"], **model)
        assert all(getattr(config, key) == value for key, value in model.items())
    if path.stem == "demo":
        return
    # A published experiment: known labels, and the paper's figure, or a word that it is not known.
    assert experiment.entity_labels == load_preset(experiment.preset).schema.entity_labels
    assert bool(experiment.reported) != ("The paper's figure for it is not known here." in path.read_text())
    if experiment.reported:
        figures = {"ent_f1", "rel_f1", "rel_strict_f1"} if experiment.relation else {"ent_f1"}
        assert experiment.reported.keys() == {*figures, "source"}


@pytest.mark.parametrize(
    ("name", "figures"),
    [
        ("ace05-bert", (89.8, 69.0, 66.5)),
        ("ace05-albert-xxlarge", (91.1, 73.0, 71.1)),
        ("ace04-bert", (88.8, 66.7, 62.6)),
        ("ace04-albert-xxlarge", (90.4, 69.7, 66.5)),
        ("scierc-scibert", (69.9, 53.2, 41.6)),
        ("conll2003-roberta-large", (94.0,)),
        ("conll2003-roberta-large-bio-with-dev", (93.9,)),
        ("ontonotes-roberta-large", (91.9,)),
        ("fewnerd-roberta-large", (70.9,)),
    ],
)
def test_published_figures_survive_extension(name: str, figures: tuple[float, ...]) -> None:
    reported = load_experiment(name).reported
    assert tuple(reported[key] for key in ("ent_f1", "rel_f1", "rel_strict_f1") if key in reported) == figures


def test_a_file_that_extends_another_holds_only_what_differs(tmp_path: Path) -> None:
    base, derived, last = (tmp_path / f"{name}.yaml" for name in ("base", "derived", "last"))
    base.write_text(
        "encoder: minilm\ndataset: sample\noutput_dir: a\nsymmetric_labels: [X]\n"
        "entity: {model: {max_span_length: 3, flat: true}, training: {max_steps: 3}}\n"
    )
    derived.write_text(f"extends: {base}\noutput_dir: b\nentity: {{model: {{flat: null, max_span_length: 4}}}}\n")
    last.write_text(f"extends: {derived}\nsymmetric_labels: null\nrelation: {{}}\n")
    experiment = load_experiment(last)
    assert (experiment.output_dir, experiment.encoder, experiment.symmetric_labels) == ("b", "minilm", ())
    assert experiment.tasks["entity"].model == {"max_span_length": 4}
    assert experiment.tasks["entity"].training == {"max_steps": 3}
    assert list(experiment.tasks) == ["entity", "relation"]
    base.write_text(f"extends: {last}\n")
    with pytest.raises(PLMarkerError, match="extends itself"):
        load_experiment(derived)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("preset: ace06", "ace06: no such file, nor one of the presets scierc, ace05"),
        ("entity_types: gold", "x.yaml:5: 'entity_types' should be 'relation' or 'input', got 'gold'"),
        ("reported: {ent: 3}", "x.yaml:5: unknown key 'reported.ent'; it has source, ent_f1"),
        ("reported: {ent_f1: 0.7e3}", "x.yaml:5: 'reported.ent_f1' should be less than 100, got 700.0"),
        ("reported: 3", "x.yaml:5: 'reported' should be a mapping, got 3"),
        ("folds: fold0", "x.yaml:5: 'folds' should be a list, got 'fold0'"),
        ("folds: [fold0, 5]", "x.yaml:5: 'folds.1' should be a valid string, got 5"),
        ("encoder: other", "x.yaml:5: 'encoder' is given twice, first at .*x.yaml:1"),
        ("pair_weight: 0", "x.yaml:5: 'pair_weight' should be greater than 0, got 0"),
        ("pair_dropout: 1", "x.yaml:5: 'pair_dropout' should be less than 1, got 1"),
        ("extends: nowhere", "nowhere: no such file"),
    ],
)
def test_what_is_wrong_in_a_file_is_named(tmp_path: Path, line: str, expected: str) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(f"encoder: minilm\ndataset: sample\noutput_dir: x\nentity: {{}}\n{line}\n")
    with pytest.raises(PLMarkerError, match=expected):
        load_experiment(path)


def test_a_key_may_replace_one_that_is_merged(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text("entity: &one {training: {max_steps: 3}, model: {}}\nrelation:\n  <<: *one\n  training: {}\n")
    settings = read_settings(path, "settings")
    assert settings.values["relation"] == {"training": {}, "model": {}}
    assert settings.place(("relation", "training")) == f"{path}:4"


def test_a_preset_gives_labels_and_the_file_goes_before(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(
        "encoder: minilm\ndataset: sample\noutput_dir: x\nentity: {}\npreset: scierc\nsymmetric_labels: [COMPARE]\n"
    )
    experiment = load_experiment(path)
    assert experiment.symmetric_labels == ("COMPARE",)
    assert experiment.relation_labels == load_preset("scierc").schema.relation_labels


def test_overrides_reach_every_task_and_the_top_of_the_file() -> None:
    experiment = load_experiment("scierc-scibert", {"learning_rate": "3e-5", "seed": 7, "encoder": "minilm"})
    assert (experiment.encoder, experiment.seed) == ("minilm", 7)
    assert [task.training["learning_rate"] for task in experiment.tasks.values()] == [3e-5, 3e-5]


def test_a_key_that_holds_nothing_is_no_key_and_null_is_a_value_of_a_model(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(
        "encoder: minilm\ndataset: sample\noutput_dir: x\nfolds:\nlicense:\nrelation:\n"
        "entity:\n  training:\n  model: {max_pair_length: null}\n"
    )
    experiment = load_experiment(path)
    assert (experiment.folds, experiment.license, experiment.relation) == ((), None, None)
    assert (experiment.tasks["entity"].model, experiment.tasks["entity"].training) == ({"max_pair_length": None}, {})


def test_what_yaml_reads_as_something_else_is_understood(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(
        "encoder: minilm\ndataset: sample\noutput_dir: x\n"
        "entity: {training: {save_strategy: no, report_to: no, fp16: no, learning_rate: 3e-5, "
        "per_device_train_batch_size: '4'}}\n"
    )
    training = load_experiment(path).tasks["entity"].training
    assert training == {
        "save_strategy": "no",
        "report_to": "no",
        "fp16": False,
        "learning_rate": 3e-5,
        "per_device_train_batch_size": 4,
    }


def test_no_adapter_is_none_and_an_empty_one_is_the_default(tmp_path: Path) -> None:
    file = tmp_path / "my.yaml"
    start = "encoder: minilm\ndataset: sample\noutput_dir: out\n"
    for text, expected in (("", None), ("  peft:\n", None), ("  peft: {}\n", {}), ("  peft: {r: 4}\n", {"r": 4})):
        file.write_text(f"{start}entity:\n  model: {{}}\n{text}")
        assert load_experiment(file).tasks["entity"].peft == expected


@pytest.mark.parametrize(
    ("relation", "expected"),
    [
        ({"peft": {"rank": 3}}, "peft: .*rank"),
        ({"training": {"eval_strategy": "bogus"}}, "relation.training: bogus"),
        ({"training": {"learning_rate": float("inf")}}, "relation.training: learning_rate"),
        ({"training": {"per_device_train_batch_size": 0}}, "relation.training: per_device_train_batch_size"),
        ({"training": {"gradient_accumulation_steps": -1}}, "relation.training: gradient_accumulation_steps"),
        ({"training": {"logging_steps": -1}}, "relation.training: logging_steps"),
        ({"training": {"metric_for_best_model": "rel_f1/NOPE"}}, "relation.training: metric_for_best_model.*NOPE"),
        ({"training": {"load_best_model_at_end": True, "save_strategy": "no"}}, "relation.training: load_best"),
        ({"training": {"lr_scheduler_kwargs": {"nope": 1}}}, "relation: .*nope"),
        ({"training": {"lr_scheduler_type": "cosine_with_min_lr"}}, "relation: .*min_lr"),
        ({"model": {"max_seq_length": 4000}}, "relation: max_seq_length is 4000"),
        ({"model": {"marker_init": "nope"}}, "relation: marker_init"),
        ({"model": {"thresholds": {"NOPE": 0.5}}}, "relation.model: .*NOPE"),
        ({"model": {"nil_weight": 0.0}}, "relation.model: .*nil_weight"),
        ({"model": {"dtype": "float99"}}, "relation.model: .*float99"),
        ({"peft": {"r": -1}}, "relation: peft: .*-1"),
        ({"peft": {"bias": "nope"}}, "relation: .*nope"),
        ({"peft": {"target_modules": ["nope"]}}, "relation: peft: "),
    ],
)
def test_a_mistake_in_the_second_task_is_found_before_the_first_is_trained(
    tmp_path: Path, relation: dict, expected: str
) -> None:
    values = {"encoder": "minilm", "dataset": "sample", "output_dir": str(tmp_path / "out"), "entity": {}}
    file = tmp_path / "my.yaml"
    file.write_text(json.dumps({**values, "relation": relation}))
    with pytest.raises(PLMarkerError, match=expected):
        run_experiment(load_experiment(file))
    # Trainer makes its folder at once.
    assert not [path for path in tmp_path.rglob("out/**/*") if path.is_file()]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"seed": -1}, "'seed'"),
        ({"seed": 2**32}, "'seed'"),
        ({"output_dir": ""}, "'output_dir'"),
        ({"train_splits": []}, "'train_splits'"),
        ({"entity": {"training": {"resume_from_checkpoint": "x"}}}, "--resume"),
    ],
)
def test_values_that_no_run_can_have_are_refused_with_their_line(tmp_path: Path, values: dict, expected: str) -> None:
    usual = {"encoder": "minilm", "dataset": "sample", "output_dir": "out", "entity": {}}
    file = tmp_path / "my.yaml"
    file.write_text(json.dumps({**usual, **values}, indent=1))
    with pytest.raises(PLMarkerError, match=rf"my\.yaml:\d+: .*{expected}"):
        load_experiment(file)


def test_a_run_is_continued_or_replaced_but_not_both(tmp_path: Path) -> None:
    with pytest.raises(PLMarkerError, match="not both"):
        run_experiment(load_experiment("demo", {"output_dir": str(tmp_path)}), resume=True, overwrite=True)


def test_the_best_checkpoints_alone_may_be_saved(tmp_path: Path) -> None:
    experiment = load_experiment("demo", {"output_dir": str(tmp_path / "out"), "save_strategy": "best"})
    data = {"train": [], "validation": []}
    args = _arguments(_Run(experiment, data, None, None), "relation")
    assert (args.eval_strategy, args.save_strategy, args.load_best_model_at_end) == ("epoch", "best", True)


def test_a_model_is_not_saved_among_its_documents(tmp_path: Path) -> None:
    (tmp_path / "train.jsonl").write_text('{"doc_key": "a", "sentences": [["Ann"]], "ner": [[[0, 0, "P"]]]}')
    values = {"encoder": "minilm", "dataset": str(tmp_path), "output_dir": f"{tmp_path}/.", "entity": {}}
    file = tmp_path / "my.yaml"
    file.write_text(json.dumps(values))
    with pytest.raises(PLMarkerError, match="among the documents"):
        run_experiment(load_experiment(file))
    assert {path.name for path in tmp_path.iterdir()} == {"train.jsonl", "my.yaml"}


def test_a_run_is_the_same_as_long_as_its_settings_and_its_documents_are(tmp_path: Path) -> None:
    experiment = load_experiment("demo")
    documents = [{"doc_key": "a", "sentences": [["Ann", "\ud800"]], "ner": [[[0, 0, "P"]]]}]
    before = identity(experiment, {"train": documents, "test": documents})
    check_same(tmp_path, before)
    (tmp_path / EXPERIMENT_FILE).write_text(json.dumps(before))
    check_same(tmp_path, identity(replace(experiment, output_dir="elsewhere"), {"train": documents, "test": documents}))
    changed = [{**documents[0], "ner": [[[1, 1, "P"]]]}]
    with pytest.raises(PLMarkerError, match="'test'"):
        check_same(tmp_path, identity(experiment, {"train": documents, "test": changed}))
    check_same(tmp_path, identity(experiment))
    with pytest.raises(PLMarkerError, match="another seed: 42, now 7"):
        check_same(tmp_path, identity(replace(experiment, seed=7), {"train": documents, "test": changed}))
    # A run of an earlier version has no digests of its documents.
    del before[DOCUMENTS]
    (tmp_path / EXPERIMENT_FILE).write_text(json.dumps(before))
    check_same(tmp_path, identity(experiment, {"train": changed, "test": documents}))


def test_a_run_continues_from_its_last_step_whatever_the_dates_say(tmp_path):
    for number, step in enumerate((90, 100, 8)):
        state = tmp_path / "entity" / f"checkpoint-{step}" / "trainer_state.json"
        state.parent.mkdir(parents=True)
        state.touch()
        os.utime(state, (number, number))
    assert last_checkpoint(tmp_path / "entity") == str(tmp_path / "entity" / "checkpoint-100")


def test_wrong_values_are_named_with_the_line_where_they_were_given(tmp_path: Path) -> None:
    base, path = tmp_path / "base.yaml", tmp_path / "x.yaml"
    base.write_text(
        "encoder: minilm\ndataset: sample\noutput_dir: x\n"
        "entity:\n  training:\n    learning_rate: fast\n    max_steps: 3\n"
    )
    path.write_text(f"extends: {base}\nentity:\n  model:\n    flat: yes\n")
    with pytest.raises(PLMarkerError, match=r"base.yaml:6: 'entity.training.learning_rate' should be a valid number"):
        load_experiment(path)
    # The command line goes before the file.
    experiment = load_experiment(path, {"learning_rate": "1e-3"})
    assert experiment.tasks["entity"].training == {"learning_rate": 1e-3, "max_steps": 3}
    assert experiment.tasks["entity"].model == {"flat": True}
    for line, expected in (
        ("    max_span_length: '5'\n", r"x.yaml:5: 'entity.model.max_span_length' should be a valid integer, got '5'"),
        (
            "    max_span_lenght: 5\n",
            r"x.yaml:5: unknown key .*has no field 'max_span_lenght'; did you mean max_span_l",
        ),
        ("  training: {evaluation_strategy: no}\n", r"x.yaml:5: .*; it is now eval_strategy"),
        ("  trainig: {}\n", r"x.yaml:5: unknown key 'entity.trainig'"),
    ):
        path.write_text(f"extends: {base}\nentity:\n  model:\n    flat: yes\n{line}")
        with pytest.raises(PLMarkerError, match=expected):
            load_experiment(path, {"learning_rate": "1e-3"})
    with pytest.raises(PLMarkerError, match=r"entity.model.flat=maybe: 'entity.model.flat' should be a valid boolean"):
        load_experiment("demo", settings={"entity.model.flat": "maybe"})


def test_dotted_settings_reach_into_the_file() -> None:
    experiment = load_experiment(
        "demo", settings={"training.learning_rate": "1e-5", "entity.model.max_span_length": 3, "encoder": "other"}
    )
    assert experiment.encoder == "other"
    assert experiment.entity is not None
    assert experiment.relation is not None
    assert experiment.entity.model["max_span_length"] == 3
    assert experiment.entity.training["learning_rate"] == experiment.relation.training["learning_rate"] == 1e-5
    for key, expected in (
        ("encodr", "unknown key 'encodr'"),
        ("training.learning_rat", "entity.training.learning_rat"),
        ("encoder.name", "'encoder' holds 'minilm'"),
        ("entity.modl.x", "has 'model', 'training' and 'peft'"),
    ):
        with pytest.raises(PLMarkerError) as error:
            load_experiment("demo", settings={key: 1})
        assert expected in str(error.value)


def test_tokens_of_a_batch_are_an_argument_of_the_training(tmp_path: Path) -> None:
    usual = {"encoder": "minilm", "dataset": "sample", "output_dir": str(tmp_path / "out")}
    shared = {"shared_encoder": True, "entity": {}, "relation": {}, "training": {"batch_tokens": 300}}
    file = tmp_path / "my.yaml"
    for values, name in (({"entity": {"training": {"batch_tokens": 300}}}, "entity"), (shared, "shared")):
        file.write_text(json.dumps({**usual, **values}))
        experiment = load_experiment(file)
        _, trainer = _trainer(_loaded(experiment, None), name)
        assert trainer.batch_tokens == 300
        assert trainer.args.learning_rate == 5e-5
        assert experiment.tasks[name].training == {"batch_tokens": 300}
        assert len(trainer.get_train_dataloader()) > len(trainer.train_dataset) // 8
    experiment = load_experiment("demo", training_overrides(["--batch_tokens", "4096"]))
    assert [task.training["batch_tokens"] for task in experiment.tasks.values()] == [4096, 4096]
    with pytest.raises(PLMarkerError, match=r"'entity\.training\.batch_tokens' should be greater than 0"):
        load_experiment("demo", {"batch_tokens": 0})


def test_yaml_that_explodes_or_nests_without_end_is_one_sentence(tmp_path: Path) -> None:
    lines = ["encoder: minilm", "dataset: sample", "output_dir: x", "entity:", "  model:"]
    lines.append("    a: &a [" + ", ".join("x" * 9) + "]")
    for last, name in pairwise("abcdefghi"):
        lines.append(f"    {name}: &{name} [" + ", ".join([f"*{last}"] * 9) + "]")
    for text, expected in (
        ("\n".join(lines), "more than 100000 values"),
        ("encoder: " + "[" * 2000 + "]" * 2000, "nested too deeply"),
        (
            "encoder: minilm\ndataset: sample\noutput_dir: x\nentity: " + str([1] * 5000),
            "bad.yaml:4: 'entity' should be a mapping",
        ),
    ):
        (tmp_path / "bad.yaml").write_text(text)
        with pytest.raises(PLMarkerError) as error:
            load_experiment(tmp_path / "bad.yaml")
        assert expected in str(error.value)
        assert len(str(error.value)) < 300
