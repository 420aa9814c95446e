"""LoRA: trained, saved, resumed, loaded and merged."""

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import TrainingArguments

from plmarker import (
    LabelSchema,
    PLMarkerError,
    PLMarkerForEntityRecognition,
    PLMarkerForRelationExtraction,
    PLMarkerModel,
    PLMarkerTrainer,
    load_documents,
)
from plmarker.hub.adapters import add_lora

peft = pytest.importorskip("peft")
BOTH = pytest.mark.parametrize("model_class", [PLMarkerForEntityRecognition, PLMarkerForRelationExtraction])


@pytest.fixture(scope="module")
def sample() -> Any:
    return load_documents("sample")


@pytest.fixture(scope="module")
def sample_schema(sample: Any) -> LabelSchema:
    return LabelSchema.from_documents((d for split in sample.values() for d in split), ["SPOUSE_OF"])


@pytest.fixture
def make(make_tiny_model: Any, sample_schema: LabelSchema) -> Any:
    return lambda model_class: make_tiny_model(model_class, schema=sample_schema, max_seq_length=48)


def trainer(model: Any, sample: Any, tokenizer: Any, folder: Path, **values: Any) -> PLMarkerTrainer:
    arguments = {
        "max_steps": 4,
        "learning_rate": 1e-2,
        "save_steps": 2,
        "disable_tqdm": True,
        "report_to": "none",
        "per_device_train_batch_size": 4,
        **values,
    }
    return PLMarkerTrainer(
        model=model,
        args=TrainingArguments(str(folder), **arguments),
        train_dataset=sample["train"].select(range(8)),
        eval_dataset=sample["validation"].select(range(4)),
        processing_class=tokenizer,
    )


@BOTH
def test_only_adapters_heads_and_markers_are_trained(make, model_class):
    model = make(model_class)
    heads = {name for name, _ in model.named_children()} - {"encoder", "dropout"}
    adapted = add_lora(model, r=4)
    trained = {name for name, parameter in adapted.named_parameters() if parameter.requires_grad}
    assert any("lora_A" in name for name in trained)
    assert any("trainable_tokens" in name for name in trained)
    assert {head for head in heads if any(f"{head}.modules_to_save" in name for name in trained)} == heads
    assert all("lora_" in n or "trainable_tokens" in n or "modules_to_save" in n for n in trained)
    share = sum(p.numel() for p in adapted.parameters() if p.requires_grad) / sum(p.numel() for p in model.parameters())
    assert share < 0.1


def test_what_late_markers_start_from_is_trained_beside_an_adapter(
    make_tiny_model, sample, sample_schema, minilm_tokenizer, tmp_path
):
    model = make_tiny_model(PLMarkerForEntityRecognition, schema=sample_schema, max_seq_length=48, late_layers=1)
    before = model.late_entry.partner.weight.detach().clone()
    adapted = add_lora(model, r=4)
    trainer(adapted, sample, minilm_tokenizer, tmp_path, max_steps=1, lr_scheduler_type="constant").train()
    assert not torch.equal(adapted.merge_and_unload().late_entry.partner.weight, before)


@BOTH
def test_training_saves_the_adapter_which_loads_onto_the_same_base(
    make, model_class, sample, minilm_tokenizer, tmp_path
):
    adapted = add_lora(make(model_class), r=4)
    work = trainer(adapted, sample, minilm_tokenizer, tmp_path)
    work.train()
    metrics = work.evaluate()
    folder = tmp_path / "checkpoint-4"
    assert (folder / "adapter_model.safetensors").exists()
    assert not (folder / "model.safetensors").exists()
    loaded = peft.PeftModel.from_pretrained(make(model_class), folder)
    again = trainer(loaded, sample, minilm_tokenizer, tmp_path / "again").evaluate()
    assert again["eval_loss"] == pytest.approx(metrics["eval_loss"], rel=1e-5)
    assert again["eval_loss"] != pytest.approx(
        trainer(make(model_class), sample, minilm_tokenizer, tmp_path / "base").evaluate()["eval_loss"], rel=1e-3
    )


@BOTH
def test_a_merged_model_scores_as_the_adapted_one(make, model_class, sample, minilm_tokenizer, tmp_path):
    adapted = add_lora(make(model_class), r=4)
    work = trainer(adapted, sample, minilm_tokenizer, tmp_path, save_strategy="no")
    work.train()
    metrics = work.evaluate()
    merged = adapted.merge_and_unload()
    assert type(merged) is model_class
    merged.save_pretrained(tmp_path / "merged")
    loaded = model_class.from_pretrained(tmp_path / "merged")
    again = trainer(loaded, sample, minilm_tokenizer, tmp_path / "again").evaluate()
    assert again["eval_loss"] == pytest.approx(metrics["eval_loss"], rel=1e-4)


def test_a_resumed_training_ends_as_an_unbroken_one(make, sample, minilm_tokenizer, tmp_path):
    whole = add_lora(make(PLMarkerForEntityRecognition), r=4)
    trainer(whole, sample, minilm_tokenizer, tmp_path).train()
    resumed = add_lora(make(PLMarkerForEntityRecognition), r=4)
    trainer(resumed, sample, minilm_tokenizer, tmp_path).train(resume_from_checkpoint=str(tmp_path / "checkpoint-2"))
    for (name, first), (_, second) in zip(whole.named_parameters(), resumed.named_parameters(), strict=True):
        torch.testing.assert_close(first, second, msg=name)


def test_a_model_with_an_adapter_in_it_is_not_saved_as_a_model(make, minilm_tokenizer, tmp_path):
    entity = make(PLMarkerForEntityRecognition)
    combined = PLMarkerModel.from_models(entity, None, minilm_tokenizer)
    adapted = add_lora(entity, r=4)
    with pytest.raises(PLMarkerError, match="the model holds an adapter"):
        combined.save_pretrained(tmp_path / "combined")
    with pytest.raises(PLMarkerError, match="merge_and_unload"):
        PLMarkerModel.from_models(adapted, None, minilm_tokenizer)
    merged = PLMarkerModel.from_models(adapted.merge_and_unload(), None, minilm_tokenizer)
    merged.save_pretrained(tmp_path / "merged")
    assert PLMarkerModel.from_pretrained(tmp_path / "merged").extract("Ann.").text == "Ann."


def test_an_unknown_option_is_one_sentence(make):
    with pytest.raises(PLMarkerError, match=r"peft: .*rank"):
        add_lora(make(PLMarkerForEntityRecognition), rank=4)
