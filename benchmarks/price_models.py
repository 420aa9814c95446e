"""Train the models of price.py on SciERC.

    python benchmarks/price_models.py --data FOLDER --out RUNS --models pruned late3 exact --seeds 42

`exact`, `pruned`, `late3` (markers in the last three layers) and `windows` (pruned; sentences share windows of 128
subwords) are entity models, `relation` is the exact relation model. `shared` finds both by one encoder; `shared5` has a
`pair_weight` of 5, and in `shared5late2` the markers of spans are in the last two layers alone. All of them have a
pruner.

All have one recipe but for the windows of `windows`: MiniLM, windows of 256 subwords, batches of 4,096 tokens,
learning rate 1e-4, 4 epochs unless `--epochs` says otherwise. `--pair_dropout` sets this option of a shared encoder.

RUNS/NAME holds the model of the first seed. RUNS/figures.json holds, by name and seed, Ent F1 (as a fraction) on
validation and test, the validation figures after each epoch, the pruner's figures on validation, and the seconds of
training.

A command that was stopped is started again as it was: a training goes on from its newest checkpoint, and a model whose
figures are there is passed over. The seconds of a training count what saving takes; of one that was stopped they are
those of its last part (`continued`).
"""

from __future__ import annotations

import argparse
import json
import shutil
import time
from pathlib import Path
from typing import Any

import torch
from throughput import SYMMETRIC
from transformers import TrainingArguments, set_seed

from plmarker import (
    LabelSchema,
    PLMarkerForEntityRecognition,
    PLMarkerForRelationExtraction,
    PLMarkerModel,
    PLMarkerTrainer,
    load_documents,
    tune_pruner,
)
from plmarker.trainers import evaluate_documents
from plmarker.trainers.resuming import last_checkpoint

PRUNER_SIZE, LEARNING_RATE, BATCH_TOKENS, WINDOW = 128, 1e-4, 4096, 256
# An abstract of SciERC has 160 subwords. Windows of 256 would hold nearly all documents whole.
SHARED_WINDOW = 128

FIGURES = ("ent_f1", "rel_f1", "rel_strict_f1", "gold_rel_f1", "gold_rel_strict_f1")


def start_model(name: str, schema: LabelSchema) -> Any:
    """A new model of a name."""
    options: dict[str, Any] = {"marker_init": "lm", "max_seq_length": WINDOW}
    kind, _, late_layers = name.partition("late")
    entity = {"pruner_size": PRUNER_SIZE, "late_layers": int(late_layers) if late_layers else None}
    if kind.startswith("shared"):
        pair_weight = float(kind.removeprefix("shared") or 1)
        return PLMarkerModel.from_encoder(
            "minilm", schema, shared_encoder=True, pair_weight=pair_weight, entity=entity, **options
        )
    if kind == "relation":
        return PLMarkerForRelationExtraction.from_encoder("minilm", schema, **options)
    if kind != "exact":
        options |= entity
    if kind == "windows":
        options |= {"shared_windows": True, "max_seq_length": SHARED_WINDOW}
    return PLMarkerForEntityRecognition.from_encoder("minilm", schema, **options)


def train(
    name: str,
    seed: int,
    data: Any,
    schema: LabelSchema,
    folder: Path,
    epochs: float,
    bf16: bool,
    pair_dropout: float = 0.0,
) -> dict[str, Any]:
    """Train one model, choose its threshold, save it, and return its figures."""
    set_seed(seed)
    model = start_model(name, schema)
    if isinstance(model, PLMarkerModel):
        model.config.pair_dropout = pair_dropout
    arguments = TrainingArguments(
        str(folder), num_train_epochs=epochs, learning_rate=LEARNING_RATE, warmup_steps=0.1, weight_decay=0.01,
        save_strategy="steps", save_steps=25, save_total_limit=1,
        eval_strategy="epoch", logging_steps=25, report_to="none", disable_tqdm=True, seed=seed, use_cpu=True,
        bf16=bf16,
    )  # fmt: skip
    trainer = PLMarkerTrainer(
        model,
        arguments,
        train_dataset=data["train"],
        eval_dataset=data["validation"],
        processing_class=model.tokenizer,
        batch_tokens=BATCH_TOKENS,
    )
    checkpoint = last_checkpoint(folder)
    start = time.perf_counter()
    trainer.train(resume_from_checkpoint=checkpoint)
    figures: dict[str, Any] = {"training_seconds": time.perf_counter() - start}
    if checkpoint is not None:
        figures["continued"] = True
    kept = {f"eval_{key}": key for key in FIGURES}
    figures["curve"] = [
        {"epoch": entry["epoch"]} | {kept[key]: value for key, value in entry.items() if key in kept}
        for entry in trainer.state.log_history
        if "eval_loss" in entry or "eval_ent_f1" in entry or "eval_rel_f1" in entry
    ]
    entity = getattr(model, "entity", model)
    if getattr(entity, "pruner", None) is not None:
        entity.tokenizer = model.tokenizer
        figures["pruner"] = tune_pruner(entity, data["validation"]).to_dict()
    model.save_pretrained(folder)
    for saved in folder.glob("checkpoint-*"):
        shutil.rmtree(saved)
    assert model.tokenizer is not None
    for split in ("validation", "test"):
        if name == "relation" or name.startswith("shared"):
            parts = (None, model) if name == "relation" else (model.entity, model.relation)
            metrics = evaluate_documents(data[split], model.tokenizer, *parts).metrics
            figures[split] = {key: metrics[key] for key in FIGURES if key in metrics}
        else:
            figures[split] = evaluate_documents(data[split], model.tokenizer, model).metrics["ent_f1"]
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--models", nargs="+", default=["pruned", "late3", "exact"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[42])
    parser.add_argument("--epochs", type=float, default=4)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--bf16", action="store_true", help="train in bfloat16 (autocast)")
    parser.add_argument("--pair_dropout", type=float, default=0.0, metavar="SHARE")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    data = load_documents(options.data)
    schema = LabelSchema.from_documents((d for split in data.values() for d in split), SYMMETRIC)
    file = options.out / "figures.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    figures: dict[str, Any] = json.loads(file.read_text()) if file.is_file() else {}
    for seed in options.seeds:
        for name in options.models:
            folder = options.out / (name if seed == options.seeds[0] else f"{name}-{seed}")
            key = f"{name}, {options.epochs:g} epochs"
            if options.pair_dropout:
                key += f", {options.pair_dropout:.0%} of pairs dropped"
            if str(seed) in figures.get(key, {}):
                continue
            found = train(name, seed, data, schema, folder, options.epochs, options.bf16, options.pair_dropout)
            figures.setdefault(key, {})[str(seed)] = found
            file.write_text(json.dumps(figures, indent=1) + "\n")
            print(name, seed, found, flush=True)


if __name__ == "__main__":
    main()
