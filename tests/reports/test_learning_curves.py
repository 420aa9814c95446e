"""Loss and F1 of a training, as lines and as a picture."""

from __future__ import annotations

import json
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import yaml
from defusedxml import ElementTree
from transformers import BertConfig, BertModel, PreTrainedTokenizerBase, TrainerControl, TrainerState

from plmarker.cli import main
from plmarker.reports.learning_curves import LearningCurves, evaluations, kept, learning_curves

HISTORY: list[dict[str, Any]] = [
    {"loss": 5.0, "step": 1, "epoch": 0.25},
    {"loss": 1.0, "step": 4, "epoch": 1.0},
    {"eval_dev_retyped_ent_f1": 0.9, "eval_dev_rel_f1": 0.25, "eval_dev_rel_strict_f1": 0.125, "eval_dev_loss": 1.5,
     "step": 4, "epoch": 1.0},
    {"eval_other_rel_f1": 0.75, "eval_other_loss": 9.0, "step": 4, "epoch": 1.0},
    {"eval_dev_rel_f1": 0.5, "eval_dev_rel_strict_f1": 0.375, "eval_dev_loss": 1.25, "step": 8, "epoch": 2.0},
    {"train_runtime": 1.0, "step": 8, "epoch": 2.0},
]  # fmt: skip


def points(picture: str) -> dict[str, list[str]]:
    """The hints of the points of a picture, by the colour of their line."""
    found: dict[str, list[str]] = {}
    for circle in ElementTree.fromstring(picture).iter("{http://www.w3.org/2000/svg}circle"):
        found.setdefault(circle.get("fill"), []).append(circle[0].text)
    return found


def test_evaluations_of_the_first_set_with_the_mean_loss_before_each() -> None:
    first, second = evaluations(HISTORY)
    assert first == {
        "epoch": 1.0, "step": 4, "training loss": 2.0, "validation loss": 1.5, "Rel F1": 0.25, "Rel+ F1": 0.125,
    }  # fmt: skip
    assert "training loss" not in second
    assert second["Rel F1"] == 0.5


def test_a_picture_has_a_point_for_each_figure_and_lies_in_its_frame() -> None:
    picture = learning_curves(HISTORY)
    hints = sorted(hint for line in points(picture).values() for hint in line)
    assert len(hints) == 7
    assert "epoch 2: Rel F1 50.0" in hints
    for circle in ElementTree.fromstring(picture).iter("{http://www.w3.org/2000/svg}circle"):
        assert 0 <= float(circle.get("cx")) <= 220
        assert 0 <= float(circle.get("cy")) <= 220
    assert "<circle" not in learning_curves([])
    broken = learning_curves(
        [*HISTORY, {"eval_dev_rel_f1": 0.0, "eval_dev_loss": float("nan"), "step": 9, "epoch": 3.0}]
    )
    assert "nan" not in broken
    assert broken.count("<circle") == 8


@pytest.mark.parametrize("as_table", [True, False])
def test_a_table_names_its_columns_once_and_lines_name_every_value(as_table: bool) -> None:
    lines: list[str] = []
    curves = LearningCurves(lines.append, as_table)
    for row in evaluations(HISTORY):
        curves._print(row)
    assert len(lines) == (3 if as_table else 2)
    assert sum("Rel+ F1" in line for line in lines) == (1 if as_table else 2)
    assert lines[-1].split()[-1] == "37.5"


def test_a_model_that_finds_nothing_is_kept_with_a_hint() -> None:
    assert "finds nothing yet" in kept({"epoch": 2.0, "step": 8, "Rel F1": 0.0, "Rel+ F1": 0.0})
    assert kept({"epoch": 2.5, "step": 8, "Ent F1": 0.5}) == "the model of epoch 2.5 is kept: Ent F1 50.0"


def test_a_training_without_a_bar_says_how_far_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr("plmarker.reports.learning_curves.time.monotonic", lambda: now[0])
    lines: list[str] = []
    curves = LearningCurves(lines.append, as_table=False)
    state, control = TrainerState(max_steps=2000, global_step=100, is_world_process_zero=True), TrainerControl()
    arguments = SimpleNamespace(disable_tqdm=True)
    curves.on_train_begin(arguments, state, control)
    # A step takes a second. The first 100 were done by an earlier call.
    for _ in range(300):
        now[0] += 1
        state.global_step += 1
        curves.on_step_end(arguments, state, control)
    assert lines == [
        "step 160 of 2,000, about 31 min left",
        "step 220 of 2,000, about 30 min left",
        "step 340 of 2,000, about 28 min left",
    ]


@pytest.mark.parametrize("quiet", [True, False])
def test_train_draws_as_many_points_as_it_evaluates(
    tmp_path: Path, minilm_tokenizer: PreTrainedTokenizerBase, capsys: pytest.CaptureFixture[str], quiet: bool
) -> None:
    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    BertModel(BertConfig(vocab_size=len(minilm_tokenizer), **sizes)).save_pretrained(tmp_path / "encoder")
    minilm_tokenizer.save_pretrained(tmp_path / "encoder")
    words = [["Ann", "works", "for", "Acme", "."]]
    document = {"sentences": words, "ner": [[[0, 0, "PER"], [3, 3, "ORG"]]], "relations": [[[0, 0, 3, 3, "WORKS_FOR"]]]}
    for split in ("train", "validation"):
        rows = [json.dumps({"doc_key": f"{split}{number}", **document}) for number in range(4)]
        (tmp_path / f"{split}.jsonl").write_text("\n".join(rows))
    training = {"num_train_epochs": 3, "per_device_train_batch_size": 2, "disable_tqdm": quiet}
    task = {"model": {"max_seq_length": 32}, "training": training}
    experiment = {
        "encoder": str(tmp_path / "encoder"), "dataset": str(tmp_path), "output_dir": str(tmp_path / "run"),
        "entity": task, "relation": task,
    }  # fmt: skip
    (tmp_path / "my.yaml").write_text(yaml.safe_dump(experiment))
    assert main(["train", str(tmp_path / "my.yaml")]) == 0
    for name, n_lines in (("entity", 3), ("relation", 4)):
        found = points((tmp_path / "run" / name / "learning_curves.svg").read_text())
        # The second panel has other colours only for Rel+; blue is the validation loss and Ent or Rel.
        assert sum(len(line) for line in found.values()) == 3 * n_lines
    printed = capsys.readouterr().out
    assert printed.count("validation loss") == 6
    assert len(re.findall(r"the model of epoch \d is kept: (?:Ent|Rel) F1 ", printed)) == 2
    assert "{'" not in printed
