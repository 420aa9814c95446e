"""SciERC by the original's short recipe: the same steps, batch, windows and learning rate, several seeds.

    python benchmarks/scierc_recipe.py --data FOLDER --json benchmarks/scierc_recipe.json

Entities: 200 steps, batch 8, lr 3e-4, windows of 192 subwords, groups of 96 spans, evaluated with windows of 512.
Relations: 350 steps, batch 8, lr 3e-4, windows of 256, groups of 16, then 400 more with a fresh schedule.
FOLDER holds train.json, dev.json and test.json. Seconds are of training alone; the script is resumed by seed.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from transformers import AutoTokenizer, TrainingArguments, set_seed

from plmarker import (
    LabelSchema,
    PLMarkerForEntityRecognition,
    PLMarkerForRelationExtraction,
    PLMarkerTrainer,
    load_documents,
)
from plmarker.encoders.loading import resolve_encoder
from plmarker.trainers.evaluation import evaluate_documents

SYMMETRIC = ("CONJUNCTION", "COMPARE")


def train(
    model: Any, tokenizer: Any, dataset: Any, steps: int, seed: int, learning_rate: float = 3e-4
) -> tuple[float, list[float]]:
    """Train in place; return the seconds, and the mean loss of every 50 steps."""
    with tempfile.TemporaryDirectory() as folder:
        args = TrainingArguments(
            output_dir=folder,
            max_steps=steps,
            seed=seed,
            per_device_train_batch_size=8,
            learning_rate=learning_rate,
            warmup_steps=0.1,
            save_strategy="no",
            logging_steps=50,
            disable_tqdm=True,
            report_to="none",
        )
        trainer = PLMarkerTrainer(model, args, train_dataset=dataset, processing_class=tokenizer)
        start = time.perf_counter()
        trainer.train()
        seconds = time.perf_counter() - start
        return seconds, [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]


def run_seed(data: Any, schema: LabelSchema, encoder: str, seed: int) -> dict[str, Any]:
    """Train both models with one seed and evaluate them on dev and test."""
    tokenizer = AutoTokenizer.from_pretrained(resolve_encoder(encoder))
    set_seed(seed)
    entity = PLMarkerForEntityRecognition.from_encoder(
        encoder, schema, marker_init="lm", max_seq_length=192, max_pair_length=96
    )
    seconds = {"entity": train(entity, tokenizer, data["train"], 200, seed)[0]}
    entity.config.max_seq_length = 512
    set_seed(seed)
    relation = PLMarkerForRelationExtraction.from_encoder(encoder, schema, marker_init="lm")
    seconds["relation"] = train(relation, tokenizer, data["train"], 350, seed)[0]
    seconds["relation"] += train(relation, tokenizer, data["train"], 400, seed + 1)[0]
    result: dict[str, Any] = {"seed": seed, "seconds": seconds}
    for split in ("validation", "test"):
        documents = list(data[split])
        metrics = evaluate_documents(documents, tokenizer, entity, relation).metrics
        result[split] = {name: value for name, value in metrics.items() if "/" not in name}
    return result


def read_options(description: str) -> tuple[argparse.Namespace, Any, LabelSchema]:
    """The command line of a script that trains on SciERC, its data, and their labels."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True)
    parser.add_argument("--json", type=Path, required=True)
    parser.add_argument("--encoder", default="minilm")
    parser.add_argument("--seeds", type=int, nargs="+", default=[42, 43, 44])
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    data = load_documents(options.data)
    schema = LabelSchema.from_documents((d for split in data.values() for d in split), SYMMETRIC)
    return options, data, schema


def main() -> None:
    options, data, schema = read_options(str(__doc__))
    report = json.loads(options.json.read_text()) if options.json.exists() else {"runs": []}
    report |= {"encoder": options.encoder, "threads": options.threads}
    for seed in options.seeds:
        if seed in [run["seed"] for run in report["runs"]]:
            continue
        report["runs"].append(run_seed(data, schema, options.encoder, seed))
        report["mean"] = {
            split: {
                name: statistics.mean(run[split][name] for run in report["runs"]) for name in report["runs"][-1][split]
            }
            for split in ("validation", "test")
        }
        options.json.write_text(json.dumps(report, indent=1) + "\n")
        print(json.dumps(report["runs"][-1], indent=1), flush=True)


if __name__ == "__main__":
    main()
