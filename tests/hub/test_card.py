"""The card that a model is saved and pushed with."""

import ast
import re
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import ModelCard

from plmarker import PLMarkerForEntityRecognition, PLMarkerForRelationExtraction, PLMarkerModel
from plmarker.hub.card import model_card

RUN = {
    "encoder": "org/encoder",
    "dataset": "org/corpus",
    "revision": "abc123",
    "split": "test",
    "seed": 7,
    "metrics": {"ent_f1": 0.5, "rel_f1": 0.25, "rel_strict_f1": 0.125, "gold_rel_f1": 0.75, "loss": 3.0},
    "hyperparameters": {"entity": {"learning_rate": 2e-5}},
    "license": "mit",
}


@pytest.fixture
def model(make_tiny_model: Any, minilm_tokenizer: Any) -> PLMarkerModel:
    entity = make_tiny_model(PLMarkerForEntityRecognition, max_seq_length=64)
    relation = make_tiny_model(PLMarkerForRelationExtraction, max_seq_length=64)
    return PLMarkerModel.from_models(entity, relation, minilm_tokenizer)


def test_the_hub_reads_labels_figures_and_where_they_stand(model):
    model.config.training_run = RUN
    card = ModelCard(str(model_card(model.config, "org/mine")))
    assert card.data.base_model == "org/encoder"
    assert card.data.datasets == ["org/corpus"]
    assert card.data.license == "mit"
    assert card.data.library_name == "plmarker"
    assert card.data["widget"]
    found = {result.metric_name: result for result in card.data.eval_results}
    assert {name: result.metric_value for name, result in found.items()} == {
        "Ent F1": 0.5,
        "Rel F1, predicted entities": 0.25,
        "Rel+ F1, predicted entities": 0.125,
        "Rel F1, gold entities": 0.75,
    }
    assert found["Ent F1"].dataset_revision == "abc123"
    assert found["Ent F1"].metric_args == {"seeds": [7]}
    assert "Entities: `PER`, `ORG`." in card.text
    assert "Symmetric: `MARRIED`." in card.text
    assert "| Rel+ F1, predicted entities | 12.5 |" in card.text
    assert "`learning_rate` `2e-05`" in card.text
    assert "ye-etal-2022-packed" in card.text


@pytest.mark.parametrize("place", ["/home/me/data", "./data", "minilm", "a/b/c"])
def test_a_place_is_no_hub_id(model, place):
    model.config.training_run = {"encoder": place, "dataset": place}
    card = model_card(model.config, "mine")
    assert card.data.base_model is None
    assert card.data.datasets is None


def test_the_card_is_saved_with_a_trained_model_and_its_snippet_runs(model, tmp_path, monkeypatch, capsys):
    model.save_pretrained(tmp_path / "untrained")
    assert not (tmp_path / "untrained" / "README.md").exists()
    model.config.training_run = RUN
    model.save_pretrained(tmp_path / "mine")
    text = (tmp_path / "mine" / "README.md").read_text()
    (snippet,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    exec(snippet, {})
    assert "Entity(text=" in capsys.readouterr().out
    # The run stays with the model: saved again, it has its card again.
    PLMarkerModel.from_pretrained(tmp_path / "mine").save_pretrained(tmp_path / "again")
    assert (tmp_path / "again" / "README.md").read_text() == text.replace("mine", "again")


def test_the_code_of_a_card_names_nothing_that_was_found_later(model, tmp_path):
    config = model.entity.config
    config.temperature, config.thresholds = 2.0, {"PER": 0.5}
    model.save_pretrained(tmp_path)
    assert config.tokenizer_hash is not None
    text = str(model_card(config, "mine", adapter_of=""))
    assert "max_seq_length=64" in text
    assert not any(name in text for name in ("tokenizer_hash", "temperature=", "thresholds="))


def test_a_card_of_somebodys_own_stays(model, tmp_path):
    model.config.training_run = RUN
    model.save_pretrained(tmp_path)
    card = tmp_path / "README.md"
    model.config.training_run = {**RUN, "metrics": {"ent_f1": 0.625}}
    model.save_pretrained(tmp_path)
    assert "| Ent F1 | 62.5 |" in card.read_text(encoding="utf-8")
    card.write_text("---\nlicense: mit\n---\n\n# Mine\n", encoding="utf-8")
    model.save_pretrained(tmp_path)
    assert card.read_text(encoding="utf-8").endswith("# Mine\n")


def test_what_a_strange_checkpoint_says_of_itself_is_only_text(model):
    evil = '`\n# Heading\n[link](https://evil)"); print("evil'
    run = {"encoder": evil, "dataset": evil, "hyperparameters": {evil: {evil: evil}}, "metrics": {"ent_f1": None}}
    model.config.training_run = model.entity.config.training_run = run
    for card in (model_card(model.config, "mine"), model_card(model.entity.config, evil, adapter_of="")):
        assert "\n# Heading" not in card.text
        (snippet,) = re.findall(r"```python\n(.*?)```", card.text, re.DOTALL)
        calls = [node.func for node in ast.walk(ast.parse(snippet)) if isinstance(node, ast.Call)]
        assert not [name for name in calls if ast.unparse(name) == "print" and "evil" in ast.unparse(name)]
        assert "evil" not in {ast.unparse(name) for name in calls}
        assert 'print("evil' not in [line.strip() for line in snippet.splitlines()]


@pytest.mark.parametrize("task", ["entity", "relation"])
def test_a_model_alone_has_a_card_and_a_snippet_that_runs(model, task, tmp_path: Path, monkeypatch):
    part = getattr(model, task)
    part.config.training_run = RUN
    part.save_pretrained(tmp_path / "mine")
    model.tokenizer.save_pretrained(tmp_path / "mine")
    (snippet,) = re.findall(r"```python\n(.*?)```", (tmp_path / "mine" / "README.md").read_text(), re.DOTALL)
    monkeypatch.chdir(tmp_path)
    exec(snippet, {})
