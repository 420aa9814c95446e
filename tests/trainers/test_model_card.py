"""The card that the Trainer writes tells of the weights that there are."""

from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset
from huggingface_hub import ModelCard
from transformers import AutoTokenizer, TrainingArguments, set_seed

from plmarker import PLMarkerForEntityRecognition, PLMarkerForRelationExtraction, PLMarkerTrainer
from plmarker.data import LabelSchema
from plmarker.hub.adapters import add_lora

EARLIER = {"dataset": "old/corpus", "license": "cc-by-nc-4.0", "metrics": {"ent_f1": 0.999}, "revision": "oldsha"}


@pytest.fixture
def trainer(tiny_encoder: str, schema: LabelSchema, documents: Dataset, tmp_path: Path) -> Any:
    def make(model_class: Any = PLMarkerForEntityRecognition, lora: bool = False, **values: Any) -> PLMarkerTrainer:
        set_seed(7)
        model = model_class.from_encoder(tiny_encoder, schema, max_seq_length=64)
        model.config.training_run = EARLIER
        model.name_or_path = "org/base"
        arguments = {"max_steps": 2, "save_strategy": "no", "report_to": "none", "disable_tqdm": True, **values}
        return PLMarkerTrainer(
            add_lora(model, r=2) if lora else model,  # type: ignore[arg-type]
            TrainingArguments(str(tmp_path / "mine"), **arguments),
            documents,
            documents,
            AutoTokenizer.from_pretrained(tiny_encoder),
        )

    return make


def card_of(trainer: PLMarkerTrainer, **said: Any) -> ModelCard:
    trainer.create_model_card(**said)
    return ModelCard.load(Path(str(trainer.args.output_dir)) / "README.md")


def test_a_model_that_is_trained_on_forgets_its_earlier_figures(trainer):
    work = trainer()
    assert card_of(work).data.datasets == ["old/corpus"]
    assert card_of(work, dataset="new/corpus").data.datasets == ["new/corpus"]
    work.train()
    assert "old" not in str(work.model.config.training_run)
    figures = work.evaluate()
    card = card_of(work, dataset=["new/corpus", "new/other"], license="mit", tags="mine")
    assert card.data.datasets == ["new/corpus", "new/other"]
    assert card.data.license == "mit"
    assert "mine" in card.data.tags
    (result,) = card.data.eval_results
    assert result.metric_value == round(figures["eval_ent_f1"], 4)
    assert (result.dataset_type, result.dataset_revision) == ("new/corpus", None)
    assert "old" not in card.content


def test_a_trained_model_is_saved_with_its_card(trainer, tmp_path):
    work = trainer()
    work.train()
    figures = work.evaluate()
    work.model.save_pretrained(tmp_path / "saved")
    card = ModelCard.load(tmp_path / "saved" / "README.md")
    assert card.data.eval_results[0].metric_value == round(figures["eval_ent_f1"], 4)
    assert "`steps` `2`" in card.text
    # An entity model has the relations' labels, and no relations.
    assert "Relations" not in card.text
    assert "Rel+" not in card.text
    assert "relation-extraction" not in card.data.tags


def test_the_figures_are_those_of_the_best_checkpoint(trainer):
    work = trainer(
        max_steps=6, learning_rate=1e-2, eval_strategy="steps", eval_steps=2, save_strategy="steps", save_steps=2,
        load_best_model_at_end=True, metric_for_best_model="loss", greater_is_better=True,
    )  # fmt: skip
    # The least trained model is called the best, so that the last evaluation is not of it.
    work.args.metric_for_best_model = "eval_loss"
    work.train()
    logs = {log["step"]: log for log in work.state.log_history if "eval_ent_f1" in log}
    assert work.state.best_global_step == min(logs)
    assert logs[min(logs)]["eval_ent_f1"] != logs[max(logs)]["eval_ent_f1"]
    (result,) = card_of(work).data.eval_results
    assert result.metric_value == round(logs[min(logs)]["eval_ent_f1"], 4)


@pytest.mark.parametrize("entities", ["gold", "predicted"])
def test_figures_name_the_source_of_the_entities(trainer, documents, entities):
    work = trainer(PLMarkerForRelationExtraction)
    work.train()
    data = documents
    if entities == "predicted":
        rows = [{**document, "predicted_ner": [document["ner"][0][:1], [], []]} for document in documents]
        data = Dataset.from_list(rows, features=documents.features)
    # Without a set of its own, the Trainer puts the figures of the last evaluation on the card.
    work.eval_dataset = None
    work.evaluate(data)
    names = {result.metric_name for result in card_of(work).data.eval_results}
    assert names == {f"Rel F1, {entities} entities", f"Rel+ F1, {entities} entities"}


def test_an_adapter_has_a_card_that_names_its_base(trainer):
    work = trainer(lora=True)
    work.train()
    work.evaluate()
    work.save_model()
    card = card_of(work, license="mit", dataset="new/corpus")
    assert card.data.library_name == "peft"
    assert card.data.base_model == "org/base"
    assert card.data.license == "mit"
    assert [result.metric_name for result in card.data.eval_results] == ["Ent F1"]
    assert 'AutoModel.from_pretrained("org/base")' in card.text
    assert "PeftModel.from_pretrained(base, " in card.text


def test_an_own_card_stays(trainer):
    work = trainer()
    card_of(work)
    path = Path(str(work.args.output_dir)) / "README.md"
    path.write_text("# Mine\n", encoding="utf-8")
    work.create_model_card(license="mit")
    assert path.read_text(encoding="utf-8") == "# Mine\n"
