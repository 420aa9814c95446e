"""The Trainer learns, selects, resumes, repeats itself, and does not care how rows are cut."""

from pathlib import Path
from typing import Any

import pytest
import torch
from datasets import Dataset, concatenate_datasets
from transformers import AutoTokenizer, TrainingArguments, set_seed
from transformers.trainer_utils import get_last_checkpoint

from plmarker import (
    PLMarkerForEntityRecognition,
    PLMarkerForRelationExtraction,
    PLMarkerTrainer,
    load_documents,
)
from plmarker.data import EntityFeatures, LabelSchema, PLMarkerError
from plmarker.trainers import PackedRowCollator
from plmarker.trainers.evaluation import evaluate_documents


def make_trainer(
    model_class: Any,
    encoder: str,
    schema: LabelSchema,
    data: Dataset,
    folder: Path,
    options: dict[str, Any],
    **values: Any,
) -> PLMarkerTrainer:
    set_seed(7)
    model = model_class.from_encoder(encoder, schema, max_seq_length=64, **options)
    arguments = {
        "per_device_train_batch_size": 4,
        "learning_rate": 1e-2,
        "num_train_epochs": 6,
        "save_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
        "seed": 7,
        **values,
    }
    tokenizer = AutoTokenizer.from_pretrained(encoder)
    return PLMarkerTrainer(model, TrainingArguments(str(folder), **arguments), data, data, tokenizer)


MODELS = [(PLMarkerForEntityRecognition, "eval_ent_f1"), (PLMarkerForRelationExtraction, "eval_rel_strict_f1")]


@pytest.mark.parametrize(("model_class", "metric"), MODELS)
def test_learns_the_best_model_is_kept_and_a_reload_gives_the_same(
    model_class: Any, metric: str, tiny_encoder: str, schema: LabelSchema, documents: Dataset, tmp_path: Path
) -> None:
    trainer = make_trainer(
        model_class, tiny_encoder, schema, documents, tmp_path, {}, load_best_model_at_end=True,
        eval_strategy="epoch", save_strategy="epoch", save_total_limit=1,
    )  # fmt: skip
    before = trainer.evaluate()[metric]
    trainer.train()
    after = trainer.evaluate()
    history = [entry[metric] for entry in trainer.state.log_history if metric in entry]
    assert trainer.args.metric_for_best_model == metric.removeprefix("eval_")
    assert after[metric] > max(before, 0.8)
    assert after[metric] == pytest.approx(max(history[1:]))
    trainer.save_model(str(tmp_path / "saved"))
    reloaded = model_class.from_pretrained(tmp_path / "saved")
    for name, tensor in trainer.model.state_dict().items():
        assert torch.equal(tensor, reloaded.state_dict()[name]), name


def test_figures_of_the_trainer_are_those_of_evaluate_documents(
    tiny_encoder: str, schema: LabelSchema, documents: Dataset, tmp_path: Path
) -> None:
    options: dict[str, Any] = {"num_train_epochs": 2}
    entity = make_trainer(PLMarkerForEntityRecognition, tiny_encoder, schema, documents, tmp_path, {}, **options)
    relation = make_trainer(PLMarkerForRelationExtraction, tiny_encoder, schema, documents, tmp_path, {}, **options)
    for trainer in (entity, relation):
        trainer.train()
    figures = evaluate_documents(documents, entity.processing_class, entity.model, relation.model)
    ours = {**entity.evaluate(), **{f"gold_{k.removeprefix('eval_')}": v for k, v in relation.evaluate().items()}}
    assert {name: figures[name] for name in figures if name.startswith("gold_")} == {
        name: ours[name] for name in figures if name.startswith("gold_")
    }
    assert figures["ent_f1"] == ours["eval_ent_f1"]
    assert ours["gold_rel_gold_entities"] == 1.0


def test_relations_of_predicted_entities_are_said_to_be_so(
    tiny_encoder: str, schema: LabelSchema, documents: Dataset, tmp_path: Path
) -> None:
    predicted = [{**d, "predicted_ner": [d["ner"][0][:1], [], []]} for d in documents]
    data = Dataset.from_list(predicted, features=documents.features)
    trainer = make_trainer(PLMarkerForRelationExtraction, tiny_encoder, schema, documents, tmp_path, {})
    figures = trainer.evaluate(data)
    assert figures["eval_rel_gold_entities"] == 0.0
    # No pair is left, but the annotated relations are still there to be missed.
    assert figures["eval_rel_recall"] == 0.0
    assert "eval_rel_f1/WORKS_FOR" in figures


@pytest.mark.parametrize("model_class", [pair[0] for pair in MODELS])
def test_the_row_budget_changes_memory_not_gradients(
    model_class: Any, tiny_encoder: str, schema: LabelSchema, documents: Dataset, tmp_path: Path
) -> None:
    gradients, losses = [], []
    for budget in (None, 40):
        trainer = make_trainer(
            model_class, tiny_encoder, schema, documents, tmp_path, {"head_dropout": 0.0, "nil_weight": 1.0}
        )
        for module in trainer.model.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0
        trainer.data_collator.max_tokens = budget
        batch = trainer.data_collator(list(trainer.train_dataset.select(range(6))))
        assert (len(batch["rows"]) > 1) == (budget is not None)
        trainer.current_gradient_accumulation_steps = 1
        losses.append(trainer.training_step(trainer.model, batch))
        gradients.append({name: p.grad for name, p in trainer.model.named_parameters() if p.grad is not None})
    torch.testing.assert_close(losses[0], losses[1])
    assert gradients[0].keys() == gradients[1].keys()
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradient, gradients[1][name], atol=1e-5, rtol=1e-4, msg=name)


def test_the_same_seed_gives_the_same_model_and_another_seed_another(
    tiny_encoder: str, schema: LabelSchema, documents: Dataset, tmp_path: Path
) -> None:
    weights = []
    for seed in (7, 7, 8):
        trainer = make_trainer(
            PLMarkerForEntityRecognition, tiny_encoder, schema, documents, tmp_path, {}, max_steps=4, seed=seed
        )
        trainer.train()
        weights.append(trainer.model.classifier.weight.detach().clone())
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_a_run_resumed_from_a_checkpoint_ends_like_one_without_a_break(
    tiny_encoder: str, schema: LabelSchema, documents: Dataset, tmp_path: Path
) -> None:
    options: dict[str, Any] = {"num_train_epochs": 2, "save_strategy": "steps", "save_steps": 3}
    whole = make_trainer(PLMarkerForEntityRecognition, tiny_encoder, schema, documents, tmp_path / "a", {}, **options)
    whole.train()
    checkpoint = tmp_path / "a" / "checkpoint-3"
    assert Path(get_last_checkpoint(str(tmp_path / "a"))) != checkpoint
    resumed = make_trainer(PLMarkerForEntityRecognition, tiny_encoder, schema, documents, tmp_path / "b", {}, **options)
    resumed.train(resume_from_checkpoint=str(checkpoint))
    assert resumed.state.global_step == whole.state.global_step
    for name, tensor in whole.model.state_dict().items():
        torch.testing.assert_close(tensor, resumed.model.state_dict()[name], msg=name)


def test_mapped_features_are_taken_as_they_are(
    tiny_encoder: str, schema: LabelSchema, documents: Dataset, tmp_path: Path
) -> None:
    tokenizer = AutoTokenizer.from_pretrained(tiny_encoder)
    model = PLMarkerForEntityRecognition.from_encoder(tiny_encoder, schema, max_seq_length=64)
    features = documents.map(
        EntityFeatures(tokenizer, schema, max_seq_length=64), batched=True, remove_columns=documents.column_names
    )
    arguments = TrainingArguments(str(tmp_path), report_to="none", disable_tqdm=True)
    mapped = PLMarkerTrainer(model, arguments, eval_dataset=features).evaluate()
    raw = PLMarkerTrainer(model, arguments, eval_dataset=documents, processing_class=tokenizer).evaluate()
    assert mapped["eval_loss"] == raw["eval_loss"]
    with pytest.raises(PLMarkerError, match="processing_class=tokenizer"):
        PLMarkerTrainer(model, arguments, eval_dataset=documents)


def test_several_evaluation_sets_are_reported_by_name(
    tiny_encoder: str, schema: LabelSchema, documents: Dataset, tmp_path: Path
) -> None:
    trainer = make_trainer(PLMarkerForEntityRecognition, tiny_encoder, schema, documents, tmp_path, {})
    figures = trainer.evaluate({"near": documents, "far": documents.select([0])})
    assert {"eval_near_ent_f1", "eval_far_ent_f1"} <= figures.keys()


def test_predict_gives_the_logits_of_each_feature(
    tiny_encoder: str, schema: LabelSchema, documents: Dataset, tmp_path: Path
) -> None:
    trainer = make_trainer(PLMarkerForEntityRecognition, tiny_encoder, schema, documents, tmp_path, {})
    output = trainer.predict(documents)
    assert output.metrics["test_ent_f1"] == trainer.evaluate()["eval_ent_f1"]
    assert [len(logits[0]) for logits in output.predictions] == [len(f["labels"]) for f in trainer.eval_dataset]


def test_rows_of_the_collator_keep_to_the_budget_and_lose_no_feature(
    tiny_encoder: str, schema: LabelSchema, documents: Dataset, tmp_path: Path
) -> None:
    trainer = make_trainer(PLMarkerForEntityRecognition, tiny_encoder, schema, documents, tmp_path, {})
    features = [{**feature, "index": number} for number, feature in enumerate(trainer.eval_dataset)]
    longest = max(feature["length"] for feature in features)
    batch = PackedRowCollator.for_model(trainer.model, 2 * longest)(features)
    assert [number for row in batch["index"] for number in row] == list(range(len(features)))
    assert all(row["input_ids"].shape[1] <= 2 * longest for row in batch["rows"])
    assert 1 < len(batch["rows"]) < len(features)


def test_documents_that_share_a_key_are_refused(
    tiny_encoder: str, schema: LabelSchema, documents: Dataset, tmp_path: Path
) -> None:
    twice = concatenate_datasets([documents, documents.select([3])])
    with pytest.raises(PLMarkerError, match="1 doc_keys stand more than once, such as 'd3'"):
        make_trainer(PLMarkerForEntityRecognition, tiny_encoder, schema, twice, tmp_path, {})


@pytest.mark.parametrize("name", ["data_collator", "compute_metrics"])
def test_arguments_that_would_be_ignored_are_refused(name: str, tiny_encoder: str, schema: LabelSchema) -> None:
    model = PLMarkerForEntityRecognition.from_encoder(tiny_encoder, schema, max_seq_length=64)
    with pytest.raises(PLMarkerError, match=name):
        PLMarkerTrainer(model, **{name: print})


def test_what_cannot_be_found_is_said_as_a_warning(
    tiny_encoder: str, schema: LabelSchema, documents: Dataset, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    wide = [{**d, "ner": [[{"start": 0, "end": 4, "label": "ORG"}], [], []], "relations": None} for d in documents]
    data = Dataset.from_list(wide, features=documents.features)
    make_trainer(PLMarkerForEntityRecognition, tiny_encoder, schema, data, tmp_path, {"max_span_length": 4})
    assert "12 of 12 entities (100.0%) cannot be found: 12 too wide" in caplog.text


def test_evaluation_in_bfloat16_casts_the_model(
    tiny_encoder: str, schema: LabelSchema, documents: Dataset, tmp_path: Path
) -> None:
    trainer = make_trainer(
        PLMarkerForEntityRecognition, tiny_encoder, schema, documents, tmp_path, {}, bf16_full_eval=True, use_cpu=True
    )
    trainer.evaluate()
    assert trainer.model.dtype == torch.bfloat16


@pytest.mark.parametrize(("model_class", "metric"), MODELS)
def test_gradient_checkpointing_changes_no_loss(
    model_class: Any, metric: str, tiny_encoder: str, schema: LabelSchema, documents: Dataset, tmp_path: Path
) -> None:
    losses = []
    for checkpointing in (False, True):
        trainer = make_trainer(
            model_class, tiny_encoder, schema, documents, tmp_path, {}, max_steps=3,
            gradient_checkpointing=checkpointing, logging_steps=1,
        )  # fmt: skip
        trainer.train()
        losses.append([entry["loss"] for entry in trainer.state.log_history if "loss" in entry])
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


@pytest.mark.parametrize(("model_class", "metric"), MODELS)
@pytest.mark.parametrize("way", [{"bf16": True}, {"torch_compile": True, "torch_compile_backend": "aot_eager"}])
def test_bfloat16_and_compilation_learn_the_same(
    way: dict[str, Any], model_class: Any, metric: str, schema: LabelSchema, documents: Dataset, still_encoder: str,
    tmp_path: Path,
) -> None:  # fmt: skip
    losses = []
    for options in ({}, way):
        trainer = make_trainer(
            model_class, still_encoder, schema, documents, tmp_path, {}, max_steps=3, logging_steps=1, use_cpu=True,
            save_strategy="no", eval_strategy="no", load_best_model_at_end=False, **options,
        )  # fmt: skip
        trainer.train()
        # Compilation wraps the model; what is kept is the model itself.
        assert type(trainer.model) is model_class
        assert trainer.model.dtype == torch.float32
        losses.append([entry["loss"] for entry in trainer.state.log_history if "loss" in entry])
        losses[-1].append(trainer.evaluate()["eval_loss"])
    assert len(losses[0]) == 4
    assert losses[0] == pytest.approx(losses[1], rel=3e-2 if "bf16" in way else 1e-5)


def test_hyperparameters_are_searched(make_tiny_model: Any, minilm_tokenizer: Any, tmp_path: Path) -> None:
    pytest.importorskip("optuna")
    sample = load_documents("sample")
    schema = LabelSchema.from_documents((d for split in sample.values() for d in split), ["SPOUSE_OF"])
    trainer = PLMarkerTrainer(
        model_init=lambda trial=None: make_tiny_model(PLMarkerForEntityRecognition, schema=schema, max_seq_length=48),
        args=TrainingArguments(str(tmp_path), max_steps=2, save_strategy="no", disable_tqdm=True, report_to="none"),
        train_dataset=sample["train"].select(range(8)),
        eval_dataset=sample["validation"].select(range(4)),
        processing_class=minilm_tokenizer,
    )
    tried: list[float] = []

    def space(trial: Any) -> dict[str, float]:
        tried.append(trial.suggest_float("learning_rate", 1e-5, 1e-2, log=True))
        return {"learning_rate": tried[-1]}

    best = trainer.hyperparameter_search(
        hp_space=space, compute_objective=lambda metrics: metrics["eval_loss"], direction="minimize", n_trials=2
    )
    assert len(tried) == 2
    assert best.hyperparameters["learning_rate"] in tried
    with pytest.raises(PLMarkerError, match="compute_objective needs direction"):
        trainer.hyperparameter_search(compute_objective=lambda metrics: 0.0)
    # What is searched for, and where, where nobody says so.
    evaluate, found = trainer.evaluate, []
    trainer.evaluate = lambda *args, **kwargs: found.append(evaluate(*args, **kwargs)) or found[-1]
    best = trainer.hyperparameter_search(n_trials=2)
    assert best.objective in [run["eval_ent_f1"] for run in found]
    assert best.hyperparameters.keys() == {"learning_rate", "per_device_train_batch_size"}
    assert 5e-6 <= best.hyperparameters["learning_rate"] <= 3e-4


def test_a_trainer_without_a_model_is_one_sentence() -> None:
    with pytest.raises(PLMarkerError, match="needs a model, or model_init"):
        PLMarkerTrainer()
