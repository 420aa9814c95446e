"""The Trainer learns, selects, resumes, repeats itself, and does not care how a step is divided."""

from pathlib import Path
from typing import Any

import pytest
import torch
from datasets import Dataset, concatenate_datasets
from transformers import AutoTokenizer, TrainerCallback, TrainingArguments, set_seed
from transformers.trainer_utils import get_last_checkpoint

from plmarker import (
    PLMarkerForEntityRecognition,
    PLMarkerForRelationExtraction,
    PLMarkerModel,
    PLMarkerTrainer,
    load_documents,
)
from plmarker.data import EntityFeatures, LabelSchema, PLMarkerError
from plmarker.trainers.evaluation import evaluate_documents
from plmarker.trainers.sampler import TokenBatchSampler, _tokens


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
    figures = evaluate_documents(documents, entity.processing_class, entity.model, relation.model).metrics
    ours = {**entity.evaluate(), **{f"gold_{k.removeprefix('eval_')}": v for k, v in relation.evaluate().items()}}
    assert {name: figures[name] for name in figures if name.startswith("gold_")} == {
        name: ours[name] for name in figures if name.startswith("gold_")
    }
    assert figures["ent_f1"] == ours["eval_ent_f1"]
    assert ours["gold_rel_gold_entities"] == 1.0


def test_relations_between_predicted_entities_are_reported_as_such(
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


def losses_of(trainer: PLMarkerTrainer) -> list[float]:
    return [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]


@pytest.mark.parametrize("nil_weight", [1.0, 0.3])
@pytest.mark.parametrize("model_class", [pair[0] for pair in MODELS])
def test_accumulated_batches_give_one_loss_and_one_gradient(
    model_class: Any, nil_weight: float, still_encoder: str, schema: LabelSchema, documents: Dataset, tmp_path: Path
) -> None:
    results = []
    for size, accumulated in ((4, 1), (2, 2), (1, 4)):
        options = {"nil_weight": nil_weight, "max_span_length": 2} if "Entity" in model_class.__name__ else {}
        trainer = make_trainer(
            model_class, still_encoder, schema, documents, tmp_path, options, max_steps=3, logging_steps=1,
            per_device_train_batch_size=size, gradient_accumulation_steps=accumulated,
            train_sampling_strategy="sequential",
        )  # fmt: skip
        trainer.train()
        # The weights after three steps depend on each of their gradients.
        results.append((losses_of(trainer), trainer.model.state_dict()))
    for losses, weights in results[1:]:
        assert losses == pytest.approx(results[0][0], rel=1e-4)
        for name, tensor in weights.items():
            torch.testing.assert_close(tensor, results[0][1][name], atol=2e-5, rtol=1e-3, msg=name)


def test_batches_up_to_a_token_budget_hold_whole_windows_and_every_example_once(
    tiny_encoder: str, schema: LabelSchema, documents: Dataset, tmp_path: Path
) -> None:
    trainer = make_trainer(PLMarkerForEntityRecognition, tiny_encoder, schema, documents, tmp_path, {})
    examples = trainer.train_dataset
    cost = max(_tokens(examples, indices) for indices in examples.by_row())
    samplers = [TokenBatchSampler(examples, 2 * cost, rank=rank, world_size=2) for rank in range(2)]
    batches = [batch for sampler in samplers for batch in sampler]
    assert len(samplers[0]) == len(list(samplers[0])) == len(list(samplers[1]))
    assert all(_tokens(examples, batch) <= 2 * cost for batch in batches)
    assert {index for batch in batches for index in batch} == set(range(len(examples)))
    rows = [{examples.places[index][0] for index in batch} for batch in batches]
    assert all(len(batch) == sum(len(m) for m in examples.by_row() if examples.places[m[0]][0] in found)
               for batch, found in zip(batches, rows, strict=True))  # fmt: skip
    first = list(samplers[0])
    samplers[0].set_epoch(1)
    assert list(samplers[0]) != first


def test_training_with_a_token_budget_learns_and_resumes(
    still_encoder: str, schema: LabelSchema, documents: Dataset, tmp_path: Path
) -> None:
    set_seed(7)
    weights = []
    for checkpoint in (None, "checkpoint-3"):
        model = PLMarkerForEntityRecognition.from_encoder(still_encoder, schema, max_seq_length=64)
        arguments = TrainingArguments(
            str(tmp_path), num_train_epochs=2, save_strategy="steps", save_steps=3, report_to="none", disable_tqdm=True
        )
        trainer = PLMarkerTrainer(model, arguments, documents, None, model.tokenizer, batch_tokens=150)
        trainer.train(resume_from_checkpoint=checkpoint and str(tmp_path / checkpoint))
        assert trainer.state.global_step == 2 * len(trainer.get_train_dataloader()) > 6
        weights.append(trainer.model.classifier.weight.detach().clone())
    torch.testing.assert_close(weights[0], weights[1])


@pytest.mark.parametrize("wrong", [0, -5, 512.5, "4096"])
def test_tokens_of_a_batch_are_a_whole_number_above_zero(
    wrong: Any, tiny_encoder: str, schema: LabelSchema, tmp_path: Path
) -> None:
    model = PLMarkerForEntityRecognition.from_encoder(tiny_encoder, schema, max_seq_length=64)
    with pytest.raises(PLMarkerError, match="batch_tokens"):
        PLMarkerTrainer(model, TrainingArguments(str(tmp_path), report_to="none"), batch_tokens=wrong)


def test_one_object_of_arguments_serves_two_trainers_and_is_not_written_to(
    tiny_encoder: str, schema: LabelSchema, documents: Dataset, tmp_path: Path
) -> None:
    arguments = TrainingArguments(
        str(tmp_path), max_steps=1, eval_strategy="steps", save_strategy="steps", save_steps=1, eval_steps=1,
        load_best_model_at_end=True, report_to="none", disable_tqdm=True,
    )  # fmt: skip
    before = dict(vars(arguments))
    metrics = []
    for model_class, _ in MODELS:
        model = model_class.from_encoder(tiny_encoder, schema, max_seq_length=64)
        trainer = PLMarkerTrainer(model, arguments, documents, documents, model.tokenizer)
        trainer.train()
        metrics.append(trainer.args.metric_for_best_model)
    assert metrics == ["ent_f1", "rel_strict_f1"]
    assert {name: value for name, value in vars(arguments).items() if name in before} == before


def test_the_last_of_models_that_find_nothing_is_the_best(
    tiny_encoder: str, schema: LabelSchema, documents: Dataset, tmp_path: Path
) -> None:
    model = PLMarkerForEntityRecognition.from_encoder(tiny_encoder, schema, max_seq_length=64)
    arguments = TrainingArguments(
        str(tmp_path), max_steps=5, eval_strategy="steps", save_strategy="steps", save_steps=1, eval_steps=1,
        load_best_model_at_end=True, metric_for_best_model="figure", report_to="none", disable_tqdm=True,
    )  # fmt: skip
    best = []
    for figures in ([0.0, 0.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.5, 0.5, 0.25]):
        left = iter([{"figure": figure} for figure in figures])
        trainer = PLMarkerTrainer(
            model, arguments, documents, documents, model.tokenizer, compute_metrics=lambda _, left=left: next(left)
        )
        trainer.train()
        best.append((trainer.state.best_global_step, trainer.state.best_metric))
    assert best == [(5, 0.0), (3, 0.5)]


def test_callbacks_of_the_caller_are_used_and_kept(
    tiny_encoder: str, schema: LabelSchema, documents: Dataset, tmp_path: Path
) -> None:
    class Counting(TrainerCallback):
        predicted = 0

        def on_prediction_step(self, *args: Any, **kwargs: Any) -> None:
            self.predicted += 1

    callback = Counting()
    model = PLMarkerForEntityRecognition.from_encoder(tiny_encoder, schema, max_seq_length=64)
    arguments = TrainingArguments(str(tmp_path), report_to="none", disable_tqdm=True)
    trainer = PLMarkerTrainer(model, arguments, None, documents, model.tokenizer, callbacks=[callback])
    trainer.evaluate()
    assert callback.predicted == len(documents)


@pytest.mark.parametrize("workers", [0, 1])
def test_named_evaluation_sets_are_each_evaluated_and_choose_the_best_model(
    workers: int, tiny_encoder: str, schema: LabelSchema, documents: Dataset, tmp_path: Path
) -> None:
    named = {"near": documents, "far": documents.select([0, 1])}
    model = PLMarkerForEntityRecognition.from_encoder(tiny_encoder, schema, max_seq_length=64)
    arguments = TrainingArguments(
        str(tmp_path), max_steps=2, eval_strategy="steps", save_strategy="steps", save_steps=1, eval_steps=1,
        load_best_model_at_end=True, report_to="none", disable_tqdm=True, dataloader_num_workers=workers,
        dataloader_persistent_workers=bool(workers), learning_rate=1e-2,
    )  # fmt: skip
    trainer = PLMarkerTrainer(model, arguments, documents, named, model.tokenizer)
    trainer.train()
    assert trainer.args.metric_for_best_model == "near_ent_f1"
    figures = trainer.evaluate()
    assert trainer.state.best_metric == max(
        log["eval_near_ent_f1"] for log in trainer.state.log_history[:-3] if "eval_near_ent_f1" in log
    )
    for name, part in named.items():
        alone = trainer.evaluate(part)
        assert figures[f"eval_{name}_loss"] == pytest.approx(alone["eval_loss"])
    assert figures["eval_near_loss"] != figures["eval_far_loss"]
    arguments.metric_for_best_model = "ent_f1"
    with pytest.raises(PLMarkerError, match="near_ent_f1"):
        PLMarkerTrainer(model, arguments, documents, named, model.tokenizer)


def test_the_card_s_figures_are_those_of_the_trainer_s_own_set_and_name_its_split(
    tiny_encoder: str, schema: LabelSchema, tmp_path: Path
) -> None:
    sample = load_documents("sample")
    labels = LabelSchema.from_documents(sample["train"], ["SPOUSE_OF"])
    model = PLMarkerForEntityRecognition.from_encoder(tiny_encoder, labels, max_seq_length=48, max_span_length=2)
    arguments = TrainingArguments(str(tmp_path), max_steps=1, report_to="none", disable_tqdm=True)
    own, other = sample["validation"].select(range(4)), sample["test"].select(range(4))
    with torch.no_grad():
        model.classifier.bias[1] = 9.0
    trainer = PLMarkerTrainer(model, arguments, sample["train"].select(range(2)), own, model.tokenizer)
    trainer.train()
    expected = trainer.evaluate()["eval_ent_f1"]
    assert trainer.evaluate(other)["eval_ent_f1"] != expected > 0
    run = model.config.training_run
    assert (run["split"], run["metrics"]) == ("validation", {"ent_f1": expected})


def test_metrics_of_the_caller_are_added(
    tiny_encoder: str, schema: LabelSchema, documents: Dataset, tmp_path: Path
) -> None:
    def compute_metrics(output: Any) -> dict[str, float]:
        assert output.predictions.shape == (len(output.label_ids), 3)
        return {"accuracy": float((output.predictions.argmax(-1) == output.label_ids).mean())}

    model = PLMarkerForEntityRecognition.from_encoder(tiny_encoder, schema, max_seq_length=64)
    arguments = TrainingArguments(str(tmp_path), report_to="none", disable_tqdm=True)
    trainer = PLMarkerTrainer(model, arguments, None, documents, model.tokenizer, compute_metrics=compute_metrics)
    figures = trainer.evaluate()
    assert 0 <= figures["eval_accuracy"] <= 1
    assert "eval_ent_f1" in figures


def test_only_the_loss_is_computed_where_that_is_asked_for(
    tiny_encoder: str, schema: LabelSchema, documents: Dataset, tmp_path: Path
) -> None:
    trainer = make_trainer(PLMarkerForEntityRecognition, tiny_encoder, schema, documents, tmp_path, {})
    expected = trainer.evaluate()["eval_loss"]
    trainer = make_trainer(
        PLMarkerForEntityRecognition, tiny_encoder, schema, documents, tmp_path, {}, prediction_loss_only=True
    )
    figures = trainer.evaluate()
    assert figures["eval_loss"] == expected
    assert "eval_ent_f1" not in figures


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("label_smoothing_factor", 0.1),
        ("neftune_noise_alpha", 5.0),
        ("batch_eval_metrics", True),
        ("include_for_metrics", ["inputs"]),
        ("train_sampling_strategy", "group_by_length"),
        ("fsdp", "full_shard"),
        ("deepspeed", {"zero_optimization": {"stage": 2}}),
    ],
)
def test_arguments_that_cannot_work_are_refused_by_name(
    name: str, value: Any, tiny_encoder: str, schema: LabelSchema, tmp_path: Path
) -> None:
    arguments = TrainingArguments(str(tmp_path), report_to="none")
    # Set afterwards: some values make TrainingArguments look for a package that is not installed.
    setattr(arguments, name, value)
    model = PLMarkerForEntityRecognition.from_encoder(tiny_encoder, schema, max_seq_length=64)
    with pytest.raises(PLMarkerError, match=name):
        PLMarkerTrainer(model, arguments)


def test_tokens_are_counted_and_accumulated_evaluation_changes_no_figure(
    tiny_encoder: str, schema: LabelSchema, documents: Dataset, tmp_path: Path
) -> None:
    figures = []
    for options in ({}, {"include_num_input_tokens_seen": "all", "eval_accumulation_steps": 1}):
        trainer = make_trainer(
            PLMarkerForEntityRecognition, tiny_encoder, schema, documents, tmp_path, {}, max_steps=2, **options
        )
        trainer.train()
        figures.append(trainer.evaluate())
    assert trainer.state.num_input_tokens_seen > 0
    assert figures[0]["eval_loss"] == figures[1]["eval_loss"]


def test_evaluation_uses_the_evaluation_weights_of_schedule_free_optimizers(
    tiny_encoder: str, schema: LabelSchema, documents: Dataset, tmp_path: Path
) -> None:
    trainer = make_trainer(PLMarkerForEntityRecognition, tiny_encoder, schema, documents, tmp_path, {})
    modes: list[str] = []

    class ScheduleFree(torch.optim.SGD):
        def eval(self) -> None:
            modes.append("eval")

    trainer.optimizer = ScheduleFree(trainer.model.parameters(), lr=0.1)
    trainer.evaluate()
    assert modes == ["eval"]


def test_entity_types_are_saved_with_the_model(
    tiny_encoder: str, schema: LabelSchema, documents: Dataset, tmp_path: Path
) -> None:
    model = PLMarkerForRelationExtraction.from_encoder(tiny_encoder, schema, max_seq_length=64)
    arguments = TrainingArguments(str(tmp_path), max_steps=1, report_to="none", disable_tqdm=True)
    trainer = PLMarkerTrainer(model, arguments, documents, None, model.tokenizer, entity_types="input")
    trainer.train()
    trainer.save_model(str(tmp_path / "saved"))
    assert PLMarkerForRelationExtraction.from_pretrained(tmp_path / "saved").config.entity_types == "input"


def test_a_combined_model_is_refused_with_what_to_do(make_tiny_model: Any, minilm_tokenizer: Any) -> None:
    entity = make_tiny_model(PLMarkerForEntityRecognition)
    combined = PLMarkerModel.from_models(entity, None, minilm_tokenizer)
    with pytest.raises(PLMarkerError, match=r"model\.entity"):
        PLMarkerTrainer(combined)


def test_rows_of_another_task_are_refused(
    tiny_encoder: str, schema: LabelSchema, documents: Dataset, minilm_tokenizer: Any
) -> None:
    rows = documents.map(
        EntityFeatures(minilm_tokenizer, schema, max_seq_length=64), batched=True, remove_columns=documents.column_names
    )
    model = PLMarkerForRelationExtraction.from_encoder(tiny_encoder, schema, max_seq_length=64)
    with pytest.raises(PLMarkerError, match="subject_word_starts"):
        PLMarkerTrainer(model, train_dataset=rows)


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


def test_mapped_rows_are_used_as_they_are(
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


def test_predict_gives_the_logits_and_labels_of_all_candidates(
    tiny_encoder: str, schema: LabelSchema, documents: Dataset, tmp_path: Path
) -> None:
    trainer = make_trainer(PLMarkerForEntityRecognition, tiny_encoder, schema, documents, tmp_path, {})
    output = trainer.predict(documents)
    assert output.metrics["test_ent_f1"] == trainer.evaluate()["eval_ent_f1"]
    labels = [label for row in trainer.eval_dataset for label in row["labels"]]
    assert output.label_ids.tolist() == labels
    assert output.predictions.shape == (len(labels), 3)


def test_documents_that_share_a_key_are_refused(
    tiny_encoder: str, schema: LabelSchema, documents: Dataset, tmp_path: Path
) -> None:
    twice = concatenate_datasets([documents, documents.select([3])])
    with pytest.raises(PLMarkerError, match=r"1 doc_keys.*'d3'"):
        make_trainer(PLMarkerForEntityRecognition, tiny_encoder, schema, twice, tmp_path, {})


@pytest.mark.parametrize("name", ["data_collator", "compute_loss_func"])
def test_arguments_that_would_be_ignored_are_refused(name: str, tiny_encoder: str, schema: LabelSchema) -> None:
    model = PLMarkerForEntityRecognition.from_encoder(tiny_encoder, schema, max_seq_length=64)
    with pytest.raises(PLMarkerError, match=name):
        PLMarkerTrainer(model, **{name: print})


def test_annotations_that_cannot_be_found_are_warned_of(
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
    model_class: Any, metric: str, still_encoder: str, schema: LabelSchema, documents: Dataset, tmp_path: Path
) -> None:
    losses = []
    for checkpointing in (False, True):
        trainer = make_trainer(
            model_class, still_encoder, schema, documents, tmp_path, {}, max_steps=3,
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


def test_the_search_with_named_sets_follows_the_first_of_them(
    make_tiny_model: Any, minilm_tokenizer: Any, tmp_path: Path
) -> None:
    pytest.importorskip("optuna")
    sample = load_documents("sample")
    schema = LabelSchema.from_documents((d for split in sample.values() for d in split), ["SPOUSE_OF"])
    trainer = PLMarkerTrainer(
        model_init=lambda trial=None: make_tiny_model(PLMarkerForEntityRecognition, schema=schema, max_seq_length=48),
        args=TrainingArguments(
            str(tmp_path), max_steps=4, save_strategy="no", disable_tqdm=True, report_to="none", use_cpu=True
        ),
        train_dataset=sample["train"].select(range(8)),
        eval_dataset={name: sample[name].select(range(4)) for name in ("validation", "test")},
        processing_class=minilm_tokenizer,
    )
    evaluate, found = trainer.evaluate, []
    trainer.evaluate = lambda *args, **kwargs: found.append(evaluate(*args, **kwargs)) or found[-1]
    best = trainer.hyperparameter_search(
        n_trials=2, hp_space=lambda trial: {"learning_rate": trial.suggest_float("learning_rate", 1e-4, 1e-2)}
    )
    # `evaluate` calls itself for each named set, and returns the figures of all of them at the end.
    runs = [run["eval_validation_ent_f1"] for run in found if "eval_validation_ent_f1" in run]
    assert len(runs) >= 2
    assert best.objective == max(runs)


def test_a_training_that_diverges_is_an_error(make_tiny_model: Any, minilm_tokenizer: Any, tmp_path: Path) -> None:
    sample = load_documents("sample")
    schema = LabelSchema.from_documents((d for split in sample.values() for d in split), ["SPOUSE_OF"])
    model = make_tiny_model(PLMarkerForEntityRecognition, schema=schema, max_seq_length=48)
    # More than float32 can hold.
    args = TrainingArguments(
        str(tmp_path), max_steps=1, learning_rate=1e39, save_strategy="no", report_to="none", use_cpu=True
    )
    trainer = PLMarkerTrainer(model, args, sample["train"].select(range(4)), processing_class=minilm_tokenizer)
    with pytest.raises(PLMarkerError, match="diverged"):
        trainer.train()
    assert model.config.training_run is None


def test_a_trainer_without_a_model_is_one_sentence() -> None:
    with pytest.raises(PLMarkerError, match="needs a model, or model_init"):
        PLMarkerTrainer()
