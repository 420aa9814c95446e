"""Speed and memory against the dense padded computation of the original, in one run on one machine.

    python benchmarks/throughput.py --data FOLDER --json benchmarks/throughput.json

FOLDER holds train.json, dev.json and test.json; the documents are those of the validation split. Implementations:

- `levitated`: the library as it is used: one text pass for each window, markers in chunks, default sizes;
- `recomputed`: the same with `gradient_checkpointing_enable()` and `model.marker_tokens = 256`, in training alone;
- `eager`, `sdpa`: items padded to a fixed shape (entities 512 subwords + 256 marker pairs, relations 256 + 16) under a
  dense mask over text and markers, 16 items a batch (8 in training), by transformers' attention of that name.

Inference is timed from documents to decoded spans or relations, tokenization and masks included, over the first
`--documents` documents; relations join gold entities. Training is timed over a few optimizer steps (forward, backward,
AdamW, with dropout) of 8 items each, drawn from the whole split with a fixed seed.

Each implementation has a process of its own. They take turns, and the median turn counts. First all must agree on the
logits of the first batch. `cpu_seconds` far below `seconds` times threads is a sign of a busy machine.

Memory is measured in further processes, where the C library returns freed memory at once (`MALLOC_MMAP_THRESHOLD_`);
otherwise its cache would be measured too. `peak_memory_mb` is the resident memory (MiB) above the level of the process
after a tiny warm-up: model, documents and AdamW's state are below that level, gradients are above it.
`absolute_peak_memory_mb` is the whole resident memory. Memory is measured on Linux alone.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import json
import multiprocessing
import os
import platform
import random
import statistics
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import psutil
import torch
import transformers
from torch import Tensor
from torch.nn import functional as F
from transformers import set_seed

import plmarker
from plmarker import LabelSchema, PLMarkerForEntityRecognition, PLMarkerForRelationExtraction, load_documents
from plmarker.data.grouping import training_rows
from plmarker.data.loading import load_split
from plmarker.modeling.prediction_plmarker import Scorer, predict_relations, predict_spans
from plmarker.modeling.task_plmarker import Example, Scored
from plmarker.modeling.windows_plmarker import WordTokenizer

Document = Mapping[str, Any]

SYMMETRIC = ("CONJUNCTION", "COMPARE")
SEED = 42
INFERENCE_BATCH, TRAINING_BATCH = 16, 8
STEPS = {"entity": 2, "relation": 6}
# Task, mode, and fields of the model's config where they are not the defaults. `entity_recipe` is the training step of
# scierc_recipe.py, whose relation step is `relation_training`.
CASES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "entity_inference": ("entity", "inference", {}),
    "relation_inference": ("relation", "inference", {}),
    "entity_training": ("entity", "training", {}),
    "relation_training": ("relation", "training", {}),
    "entity_recipe": ("entity", "training", {"max_seq_length": 192, "max_pair_length": 96}),
}
TURNS = ("levitated", "eager", "levitated", "sdpa", "levitated")
# Recomputation exists in training alone.
TRAINING_TURNS = ("levitated", "eager", "recomputed", "levitated", "sdpa", "recomputed", "levitated")
LIBRARY = ("levitated", "recomputed")
RECOMPUTED_CHUNK = 256
# Larger blocks than this are returned to the system when they are freed.
RETURN_MEMORY = {"MALLOC_MMAP_THRESHOLD_": "65536"}
TOLERANCE = 1e-3
# Least speedups, largest share of memory.
TARGETS = {
    "entity_inference.levitated.speedup": 15,
    "entity_inference.levitated.speedup_sdpa": 5.2,
    "entity_training.levitated.speedup": 14,
    "relation_inference.levitated.speedup": 4,
    "relation_training.levitated.speedup": 2.5,
    "entity_inference.levitated.memory_ratio": 0.2,
    "relation_inference.levitated.memory_ratio": 0.2,
    "entity_training.recomputed.memory_ratio": 0.2,
    "relation_training.recomputed.memory_ratio": 0.2,
}
MEBIBYTE = 2**20
HEADINGS = ("sent/s", "items/s", "seconds", "x eager", "x sdpa", "memory", "tokens", "peak MiB", "absolute")
RATIOS = ("sentences_per_second", "items_per_second", "seconds", "speedup", "speedup_sdpa", "memory_ratio")
COUNTS = ("tokens", "peak_memory_mb", "absolute_peak_memory_mb")


def resident_memory() -> int:
    """Resident memory in bytes, after what is free has gone back to the system."""
    gc.collect()
    with suppress(AttributeError):  # a C library without it
        ctypes.CDLL(None).malloc_trim(0)
    return psutil.Process().memory_info().rss


def reset_peak() -> None:
    """Let the kernel's high-water mark of resident memory start again, where it may be reset."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def peak_memory() -> int:
    """Most resident memory in bytes since `reset_peak`, or in the whole life of the process where that does nothing."""
    status = Path("/proc/self/status").read_text()
    return next(1024 * int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))


class Workload:
    """One case by one implementation, ready to run: the same weights, documents and items for all of them."""

    def __init__(
        self, case: str, implementation: str, encoder: str, threads: int, schema: LabelSchema, documents: list[Document]
    ) -> None:
        torch.set_num_threads(threads)
        transformers.utils.logging.disable_progress_bar()
        self.implementation, self.documents = implementation, documents
        self.task, mode, limits = CASES[case]
        self.training = mode == "training"
        model_class = PLMarkerForEntityRecognition if self.task == "entity" else PLMarkerForRelationExtraction
        set_seed(SEED)
        self.model: Any = model_class.from_encoder(encoder, schema, **limits).eval()
        if implementation not in LIBRARY:
            self.model.set_attn_implementation(implementation)
        if implementation == "recomputed":
            self.model.activation_checkpointing_enable()
            self.model.marker_tokens = RECOMPUTED_CHUNK
        self.config, self.task_object = self.model.config, self.model.task
        self.tokenize = WordTokenizer(self.model.tokenizer)
        self.n_tokens = 0
        self.model.encoder.register_forward_pre_hook(self._count_tokens, with_kwargs=True)
        items = self._items()
        self.n_items, self.n_sentences = len(items), sum(len(document["sentences"]) for document in documents)
        if self.training:
            random.Random(SEED).shuffle(items)
            del items[STEPS[self.task] * TRAINING_BATCH :]
            sentences = {(item.row.doc_key, item.row.sentences[item.first]) for item in items}
            self.n_items, self.n_sentences = len(items), len(sentences)
        size = TRAINING_BATCH if self.training else INFERENCE_BATCH
        self.batches = [items[first : first + size] for first in range(0, len(items), size)]
        self.first_logits = self._logits(self.batches[0])
        shortest = [min(items, key=lambda item: item.text_length + len(item))]
        if self.training:
            self.model.train()
            self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=2e-5, eps=1e-8, weight_decay=0.0, fused=True)
            self._step(shortest)
        else:
            self._logits(shortest)
        self.level = resident_memory()

    def measure(self) -> dict[str, float]:
        """Run the whole workload once."""
        self.n_tokens = n_predictions = 0
        reset_peak()
        start, cpu_start = time.perf_counter(), time.process_time()
        if self.training:
            for batch in self.batches:
                self._step(batch)
        elif self.implementation not in LIBRARY:
            n_predictions = self._predict_dense()
        else:
            predict: Callable[..., Any] = predict_spans if self.task == "entity" else predict_relations
            found = [sentences for _, sentences in predict(self.model, self.tokenize, self.documents)]
            n_predictions = sum(len(sentence) for sentences in found for sentence in sentences)
        run = {"seconds": time.perf_counter() - start, "cpu_seconds": time.process_time() - cpu_start}
        run |= {"peak": peak_memory(), "tokens": self.n_tokens, "predictions": n_predictions}
        resident_memory()
        return run

    def _items(self) -> list[Example[Any]]:
        """Items as the original has them: at most 256 spans, or a subject with at most 16 objects."""
        items: list[Example[Any]] = []
        for document in self.documents:
            # Only rows for training are divided into groups of spans.
            read = training_rows if self.training or self.task == "entity" else type(self.task_object).rows
            for row in read(self.task_object, document, self.tokenize):
                items += self.task_object.training_examples(row)
        return items

    @torch.inference_mode()
    def _logits(self, items: list[Example[Any]]) -> list[Tensor]:
        if self.implementation in LIBRARY:
            scored = Scorer.of_model(self.model).score(items)
            return [
                torch.cat([torch.from_numpy(head) for head in heads])
                for heads in zip(*(item.logits for item in scored), strict=True)
            ]
        return self._forward_dense(items)[0]

    def _step(self, items: list[Example[Any]]) -> None:
        """One optimizer step."""
        if self.implementation in LIBRARY:
            loss = self.model(**self.task_object.batch(items).inputs).loss
        else:
            heads = zip(*self._forward_dense(items), strict=True)
            loss = torch.stack([F.cross_entropy(logits, labels) for logits, labels in heads]).sum()
        loss.backward()
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)

    @torch.inference_mode()
    def _predict_dense(self) -> int:
        """Items in padded batches, decoded by the library's functions; the number of spans or relations."""
        items = self._items()
        found: dict[str, list[Scored[Any]]] = {}
        for first in range(0, len(items), INFERENCE_BATCH):
            batch = items[first : first + INFERENCE_BATCH]
            heads = [logits.split([len(item) for item in batch]) for logits in self._forward_dense(batch)[0]]
            for item, logits in zip(batch, zip(*heads, strict=True), strict=True):
                scored = Scored(item, tuple(head.numpy() for head in logits))
                found.setdefault(item.row.doc_key, []).append(scored)
        lengths = {document["doc_key"]: len(document["sentences"]) for document in self.documents}
        decoded = (self.task_object.decode(scored, lengths[key]) for key, scored in found.items())
        return sum(len(sentence) for sentences in decoded for sentence in sentences)

    def _forward_dense(self, items: list[Example[Any]]) -> tuple[list[Tensor], list[Tensor]]:
        """The baseline, with every item padded to the full shape: the logits of each head, and their labels."""
        batches = [self.task_object.batch([item]).inputs for item in items]
        text_width, marker_width = self.config.max_seq_length, 2 * self.config.max_pair_length
        width = text_width + marker_width
        input_ids, position_ids = torch.zeros(2, len(items), width, dtype=torch.long)
        # A padding token sees itself.
        mask = torch.eye(width, dtype=torch.bool).repeat(len(items), 1, 1)
        read, markers = [], []
        for number, batch in enumerate(batches):
            text, n_markers = len(batch["input_ids"]), batch["marker_ids"].numel()
            places = torch.cat([torch.arange(text), torch.arange(text_width, text_width + n_markers)])
            input_ids[number, places] = torch.cat([batch["input_ids"], batch["marker_ids"].flatten()])
            position_ids[number, places] = torch.cat([torch.arange(text), batch["marker_positions"].flatten()])
            mask[number, places, :text] = True
            starts = torch.arange(text_width, text_width + n_markers, 2)
            mask[number, starts, starts + 1] = mask[number, starts + 1, starts] = True
            read.append(batch["read_tokens"][batch["read_index"]] + number * width)
            markers.append(torch.arange(n_markers).reshape(-1, 2) + text_width + number * width)
        visible = mask[:, None]
        if self.implementation == "eager":
            visible = torch.zeros(visible.shape).masked_fill_(~visible, torch.finfo(torch.float32).min)
        states = self.model.encoder(
            input_ids=input_ids, position_ids=position_ids + self.model.position_offset, attention_mask=visible
        ).last_hidden_state
        states = self.model.dropout(states).flatten(0, 1)
        heads = list(self.model.heads(states[torch.cat(read)], states[torch.cat(markers)]))
        return heads, [torch.cat([batch[name] for batch in batches]) for name in self.task_object.label_columns]

    def _count_tokens(self, module: Any, args: Any, kwargs: dict[str, Any]) -> None:
        self.n_tokens += len(kwargs["position_ids"].flatten())


WORKLOAD: Workload


def prepare(*setup: Any) -> dict[str, Any]:
    """In a process of its own: make the workload, which stays there."""
    global WORKLOAD
    WORKLOAD = Workload(*setup)
    logits = [head.tolist() for head in WORKLOAD.first_logits]
    return {name: getattr(WORKLOAD, name) for name in ("n_items", "n_sentences", "level")} | {"logits": logits}


def measure() -> dict[str, float]:
    """In that process: run its workload once."""
    return WORKLOAD.measure()


def run_case(case: str, *setup: Any) -> dict[str, Any]:
    """Measure one case by all implementations."""
    context = multiprocessing.get_context("spawn")
    with ExitStack() as stack:
        turns_of_case = TRAINING_TURNS if CASES[case][1] == "training" else TURNS
        names = list(dict.fromkeys(turns_of_case))
        pools = {name: stack.enter_context(ProcessPoolExecutor(1, mp_context=context)) for name in names}
        ready = {name: pool.submit(prepare, case, name, *setup).result() for name, pool in pools.items()}
        differences = {name: _difference(ready["levitated"]["logits"], ready[name]["logits"]) for name in pools}
        print(f"{case}: largest difference of logits from levitated: {differences}", flush=True)
        for name, difference in differences.items():
            if not difference < TOLERANCE:
                raise SystemExit(f"{case}: the logits of levitated and {name} differ by {difference}")
        turns: dict[str, list[dict[str, float]]] = {name: [] for name in names}
        for name in turns_of_case:
            turns[name].append(pools[name].submit(measure).result())
            print(f"{case}: {name} {turns[name][-1]['seconds']:.2f} s", flush=True)
    peaks = {name: _peak_memory(case, name, *setup) for name in names}
    n_items, n_sentences = ready["levitated"]["n_items"], ready["levitated"]["n_sentences"]
    result: dict[str, Any] = {"sentences": n_sentences, "items": n_items, "max_logit_difference": differences}
    for name, runs in turns.items():
        seconds = statistics.median(run["seconds"] for run in runs)
        peak, level = peaks[name]
        result[name] = {
            "sentences_per_second": n_sentences / seconds,
            "items_per_second": n_items / seconds,
            "seconds": seconds,
            "seconds_of_turns": [run["seconds"] for run in runs],
            "cpu_seconds": statistics.median(run["cpu_seconds"] for run in runs),
            "tokens": runs[0]["tokens"],
            "peak_memory_mb": (peak - level) / MEBIBYTE,
            "absolute_peak_memory_mb": peak / MEBIBYTE,
        }
        if CASES[case][1] == "inference":
            result[name]["predictions"] = runs[0]["predictions"]
    for name in turns:
        row = result[name]
        row["speedup"] = result["eager"]["seconds"] / row["seconds"]
        row["speedup_sdpa"] = result["sdpa"]["seconds"] / row["seconds"]
        row["memory_ratio"] = row["peak_memory_mb"] / result["eager"]["peak_memory_mb"]
    return result


def _peak_memory(case: str, name: str, *setup: Any) -> tuple[float, int]:
    """Peak and level of the resident memory in bytes, in a process that caches no freed memory."""
    before = {key: os.environ.get(key) for key in RETURN_MEMORY}
    os.environ.update(RETURN_MEMORY)
    try:
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
            level = pool.submit(prepare, case, name, *setup).result()["level"]
            return pool.submit(measure).result()["peak"], level
    finally:
        for key, value in before.items():
            os.environ.pop(key) if value is None else os.environ.update({key: value})


def _difference(first: list[Any], second: list[Any]) -> float:
    heads = zip(first, second, strict=True)
    return float(torch.cat([(torch.tensor(a) - torch.tensor(b)).abs().flatten() for a, b in heads]).max())  # NaN stays


def check_targets(report: dict[str, Any]) -> dict[str, Any]:
    """Each target with what was measured; ratios of memory are to stay below it, speedups above."""
    targets = {}
    for path, target in TARGETS.items():
        case, implementation, key = path.split(".")
        measured = report[case][implementation][key]
        met = measured <= target if path.endswith("memory_ratio") else measured >= target
        targets[path] = {"target": target, "measured": measured, "met": met}
    return targets


def print_tables(report: dict[str, Any]) -> None:
    """Print the measurements and the targets."""
    print(f"\n{'':30}" + "".join(f"{heading:>10}" for heading in HEADINGS))
    for case in CASES:
        for name in (name for name in report[case] if name in TRAINING_TURNS):
            row = report[case][name]
            values = [f"{row[key]:10.2f}" for key in RATIOS] + [f"{row[key]:10.0f}" for key in COUNTS]
            print(f"{case + ' ' + name:30}" + "".join(values))
    print()
    for path, target in report["targets"].items():
        verdict = "met" if target["met"] else "MISSED"
        print(f"{path:42} {target['measured']:8.2f}   target {target['target']:5}   {verdict}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True)
    parser.add_argument("--json", type=Path, required=True)
    parser.add_argument("--encoder", default="minilm")
    parser.add_argument("--threads", type=int, default=2, help="threads of every process (default: 2)")
    parser.add_argument("--documents", type=int, default=25, help="documents of the inference cases (default: 25)")
    options = parser.parse_args()
    data = load_documents(options.data)
    schema = LabelSchema.from_documents((d for split in data.values() for d in split), SYMMETRIC)
    documents = list(load_split(options.data, "validation"))
    modules = (plmarker, torch, transformers)
    report: dict[str, Any] = {
        "encoder": options.encoder,
        "threads": options.threads,
        "documents": min(options.documents, len(documents)),
        "versions": {"python": platform.python_version()} | {module.__name__: module.__version__ for module in modules},
        "machine": {"processor": platform.machine(), "cores": os.cpu_count(), "load_average": os.getloadavg()},
    }
    for case in CASES:
        part = documents if CASES[case][1] == "training" else documents[: options.documents]
        report[case] = run_case(case, options.encoder, options.threads, schema, part)
    report["targets"] = check_targets(report)
    partial = options.json.with_name(options.json.name + ".partial")
    partial.write_text(json.dumps(report, indent=1) + "\n")
    partial.replace(options.json)
    print_tables(report)


if __name__ == "__main__":
    main()
