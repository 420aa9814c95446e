"""LoRA beside full fine-tuning on SciERC: the same steps, batch and seed; trained parameters, memory, time and F1.

    python benchmarks/adapters.py --data FOLDER --json benchmarks/adapters.json

MiniLM, batch 8. Entities: 500 steps, windows of 192 subwords, groups of 96 spans. Relations: 750 steps, windows of 256,
gold entities. Full fine-tuning has a learning rate of 3e-4; LoRA (rank 16, alpha 32, queries and values, heads and
marker embeddings trained with them) has one of `LORA_RATES`, that with the lowest loss after 100 steps with the first
seed, the scan's losses being in the JSON. Each training has a process of its own. `peak_mib` is the most memory that it
held while it trained, `above_mib` what of it came after the model and the data were there.
FOLDER holds train.json, dev.json and test.json. A call continues where an earlier one stopped. Linux only, for memory.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import resource
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import torch
from scierc_recipe import SYMMETRIC, read_options, train
from transformers import AutoTokenizer, set_seed

from plmarker import LabelSchema, PLMarkerForEntityRecognition, PLMarkerForRelationExtraction, load_documents
from plmarker.encoders.loading import resolve_encoder
from plmarker.hub.adapters import add_lora
from plmarker.trainers.evaluation import evaluate_documents

TASKS: dict[str, tuple[Any, int, dict[str, Any]]] = {
    "entity": (PLMarkerForEntityRecognition, 500, {"max_seq_length": 192, "max_pair_length": 96}),
    "relation": (PLMarkerForRelationExtraction, 750, {}),
}
FULL_RATE = 3e-4
LORA_RATES = (1e-3, 3e-3)
LORA = {"r": 16, "lora_alpha": 32}
SCAN_STEPS = 100
FIGURES = ("ent_f1", "gold_rel_f1", "gold_rel_strict_f1")


def run(
    options: argparse.Namespace, task: str, rate: float, lora: bool, seed: int, steps: int | None
) -> dict[str, Any]:
    """Train once. With `steps`, a scan: the mean loss of its last 50; without, the figures on dev and test."""
    torch.set_num_threads(options.threads)
    data = load_documents(options.data)
    schema = LabelSchema.from_documents((d for split in data.values() for d in split), SYMMETRIC)
    tokenizer = AutoTokenizer.from_pretrained(resolve_encoder(options.encoder))
    model_class, all_steps, values = TASKS[task]
    set_seed(seed)
    model = model_class.from_encoder(options.encoder, schema, marker_init="lm", **values)
    trained: Any = add_lora(model, **LORA) if lora else model
    result: dict[str, Any] = {
        "learning_rate": rate,
        "parameters": sum(p.numel() for p in model_class(model.config).parameters()),
        "trained_parameters": sum(p.numel() for p in trained.parameters() if p.requires_grad),
    }
    before = psutil.Process().memory_info().rss
    seconds, losses = train(trained, tokenizer, data["train"], steps or all_steps, seed, rate)
    if steps:
        return {"loss": losses[-1]}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    result |= {"seconds": seconds, "peak_mib": peak / 2**20, "above_mib": (peak - before) / 2**20, "losses": losses}
    if lora:
        model = trained.merge_and_unload()
    for split in ("validation", "test"):
        metrics = evaluate_documents(list(data[split]), tokenizer, **{task: model}).metrics
        result[split] = {name: metrics[name] for name in FIGURES if name in metrics}
    return result


def apart(*arguments: Any) -> dict[str, Any]:
    """`run`, in a process that ends with it: memory is given back, and its peak is of this training alone."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(run, *arguments).result()


def table(runs: dict[str, Any]) -> str:
    """Markdown, F1 in percent on test."""
    lines = [
        "| | learning rate | trained parameters | peak, MiB | above model and data | time | F1, validation | test |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for key, found in runs.items():
        full = runs.get(key.replace("LoRA", "full"), found)
        share = found["trained_parameters"] / found["parameters"]
        cells = [" / ".join(f"{100 * f1:.1f}" for f1 in found[split].values()) for split in ("validation", "test")]
        lines.append(
            f"| {key} | {found['learning_rate']:g} | {found['trained_parameters']:,} ({100 * share:.1f}%) "
            f"| {found['peak_mib']:.0f} | {found['above_mib']:.0f} | {found['seconds'] / full['seconds']:.2f} "
            f"| {' | '.join(cells)} |"
        )
    return "\n".join(lines)


def main() -> None:
    options, _, _ = read_options(str(__doc__))
    path: Path = options.json
    report = json.loads(path.read_text()) if path.exists() else {"encoder": options.encoder, "scan": {}, "runs": {}}

    def save() -> None:
        path.write_text(json.dumps(report, indent=1) + "\n")

    for task in TASKS:
        scan = report["scan"].setdefault(task, {})
        for rate in LORA_RATES:
            if str(rate) not in scan:
                scan[str(rate)] = apart(options, task, rate, True, options.seeds[0], SCAN_STEPS)["loss"]
                save()
        best = min(scan, key=scan.get)
        for seed in options.seeds:
            for lora, rate in ((False, FULL_RATE), (True, float(best))):
                key = f"{task}, {'LoRA' if lora else 'full'}, seed {seed}"
                if key not in report["runs"]:
                    report["runs"][key] = apart(options, task, rate, lora, seed, None)
                    save()
                    print(table(report["runs"]), flush=True)


if __name__ == "__main__":
    main()
