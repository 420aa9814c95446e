"""The price of markers: the throughput of entity models against a plain token classifier, in one run on one machine.

    python benchmarks/price.py --data FOLDER --models RUNS --json benchmarks/price.json

FOLDER holds SciERC. RUNS holds entity models of `benchmarks/price_models.py`: `exact`, `pruned` and `late`, and the
figures of each in `figures.json`. Implementations:

- `exact`, `pruned`, `late`: the library, by `predict_spans` with default sizes;
- `token_classifier`: transformers' `AutoModelForTokenClassification` with the same encoder and the same windows, in
  padded batches of windows of similar length, by `sdpa` attention. It tags the first subword of each word;
- `eager`, `sdpa`: the dense padded computation of the original, see throughput.py, over fewer documents.

Inference is timed from documents to decoded spans, tokenization included. An epoch of training is timed over a few
steps of 8 examples from documents that are already mapped to rows. Implementations take turns in one process, and the
median turn counts. Throughput is windows a second.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
import transformers
from throughput import SYMMETRIC, Workload
from transformers import AutoModelForTokenClassification, set_seed

import plmarker
from plmarker import LabelSchema, PLMarkerForEntityRecognition, load_documents
from plmarker.data.loading import load_split
from plmarker.modeling.decoding_plmarker import label_words
from plmarker.modeling.prediction_plmarker import predict_spans
from plmarker.modeling.tagging_plmarker import tag_classes
from plmarker.modeling.tasks_plmarker import task_of
from plmarker.modeling.windows_plmarker import WordTokenizer

SEED, TURNS, DENSE_DOCUMENTS = 42, 5, 8
# Windows of a batch.
BATCH, TRAINING_BATCH = 16, 8
MODELS = ("exact", "pruned", "late")
TARGETS = {
    "entity.late.vs_token_classifier": 0.8,
    "entity.pruned.vs_token_classifier": 0.6,
    "entity.pruned.vs_eager": 70,
    "entity.pruned.vs_sdpa": 25,
    "training.pruned.vs_token_classifier": 2,
    "predict.vs_model": 1.3,
}


class TokenClassifier:
    """A plain token classifier over the windows of an entity model."""

    def __init__(self, model: Any, documents: list[Any]) -> None:
        set_seed(SEED)
        config = model.config.encoder_config
        classes = tag_classes(model.config.entity_labels, "bio")
        self.model = AutoModelForTokenClassification.from_config(config, attn_implementation="sdpa")
        self.model.classifier = torch.nn.Linear(config.hidden_size, len(classes))
        tagger = type(model.config)(**{**model.config.to_dict(), "method": "bio", "pruner_size": 0,
                                       "pruner_threshold": 0.0, "marker_layers": None})  # fmt: skip
        self.task, self.tokenize, self.documents = task_of(tagger), WordTokenizer(model.tokenizer), documents

    def rows(self, training: bool = False) -> list[Any]:
        return [row for document in self.documents for row in self.task.rows(document, self.tokenize, training)]

    @torch.inference_mode()
    def predict(self) -> int:
        """The number of spans that are found."""
        self.model.eval()
        rows, found = sorted(self.rows(), key=lambda row: len(row.input_ids)), 0
        for first in range(0, len(rows), BATCH):
            batch = rows[first : first + BATCH]
            logits = self.model(**self._padded(batch)).logits
            for row, scores in zip(batch, logits, strict=True):
                words = scores[torch.tensor(row.starts)].numpy()
                for sentence in sorted(set(row.sentences)):
                    places = [place for place, number in enumerate(row.sentences) if number == sentence]
                    found += len(label_words(row.word_starts[places[0]], words[places], "bio"))
        return found

    def train(self, rows: list[Any], optimizer: Any) -> None:
        """One step over the sentences of some windows."""
        self.model.train()
        batch = self._padded(rows)
        labels = torch.full(batch["input_ids"].shape, -100)
        for row, target in zip(rows, labels, strict=True):
            target[torch.tensor(row.starts)] = torch.tensor(row.labels)
        self.model.num_labels = self.model.classifier.out_features
        self.model(**batch, labels=labels).loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    def _padded(self, rows: list[Any]) -> dict[str, Any]:
        width = max(len(row.input_ids) for row in rows)
        ids, mask = torch.zeros(2, len(rows), width, dtype=torch.long)
        for row, one, seen in zip(rows, ids, mask, strict=True):
            one[: len(row.input_ids)] = torch.tensor(row.input_ids)
            seen[: len(row.input_ids)] = 1
        return {"input_ids": ids, "attention_mask": mask}


def seconds(runs: dict[str, Callable[[], Any]], turns: int = TURNS) -> dict[str, float]:
    """Median time of each, in turns; the first turn warms up and does not count."""
    times: dict[str, list[float]] = {name: [] for name in runs}
    for turn in range(turns + 1):
        for name, run in runs.items():
            start = time.perf_counter()
            run()
            if turn:
                times[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in times.items()}


def predict_all(model: Any, tokenize: WordTokenizer, documents: list[Any]) -> int:
    """The number of spans that a model finds."""
    return sum(len(spans) for _, sentences in predict_spans(model, tokenize, documents) for spans in sentences)


def inference(models: dict[str, Any], documents: list[Any]) -> dict[str, float]:
    """Time of entity inference by each model and by the token classifier."""
    first = models["exact"]
    tokenize, classifier = WordTokenizer(first.tokenizer), TokenClassifier(first, documents)
    runs: dict[str, Callable[[], Any]] = {"token_classifier": classifier.predict}
    for name, model in models.items():
        runs[name] = partial(predict_all, model, tokenize, documents)
    return seconds(runs)


def training(models: dict[str, Any], documents: list[Any]) -> dict[str, float]:
    """Time of an epoch over some windows: every sentence once."""
    classifier = TokenClassifier(models["exact"], documents)
    windows = classifier.rows(training=True)
    optimizer = torch.optim.AdamW(classifier.model.parameters(), lr=2e-5, fused=True)

    def epoch_of_classifier() -> None:
        for first in range(0, len(windows), TRAINING_BATCH):
            classifier.train(windows[first : first + TRAINING_BATCH], optimizer)

    runs: dict[str, Callable[[], Any]] = {"token_classifier": epoch_of_classifier}
    for name, model in models.items():
        rows = [row for document in documents for row in model.task.rows(document, classifier.tokenize, training=True)]
        # Whole windows, as `PLMarkerTrainer(batch_tokens=...)` makes batches.
        parts = [rows[first : first + TRAINING_BATCH] for first in range(0, len(rows), TRAINING_BATCH)]
        examples = [[e for row in part for e in model.task.training_examples(row)] for part in parts]
        own = torch.optim.AdamW(model.parameters(), lr=0.0, fused=True)

        def epoch(model: Any = model, examples: Any = examples, own: Any = own) -> None:
            model.train()
            for batch in examples:
                model(**model.task.batch(batch).inputs).loss.backward()
                own.step()
                own.zero_grad(set_to_none=True)
            model.eval()

        runs[name] = epoch
    return seconds(runs, 2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True)
    parser.add_argument("--models", type=Path, required=True)
    parser.add_argument("--json", type=Path, required=True)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--documents", type=int, default=25, help="documents of the inference cases (default: 25)")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    transformers.utils.logging.disable_progress_bar()
    documents = list(load_split(options.data, "validation"))[: options.documents]
    names = [name for name in MODELS if (options.models / name).is_dir()]
    models = {name: PLMarkerForEntityRecognition.from_pretrained(options.models / name).eval() for name in names}
    n_sentences = sum(len(document["sentences"]) for document in documents)
    report: dict[str, Any] = {
        "threads": options.threads,
        "documents": len(documents),
        "sentences": n_sentences,
        "versions": {"python": platform.python_version()}
        | {module.__name__: module.__version__ for module in (plmarker, torch, transformers)},
        "machine": {"processor": platform.machine(), "cores": os.cpu_count(), "load_average": os.getloadavg()},
    }
    times = inference(models, documents)
    report["seconds"] = {"inference": times}
    report["entity"] = {name: {"vs_token_classifier": times["token_classifier"] / times[name]} for name in names}
    epochs = training(models, documents)
    report["seconds"]["training"] = epochs
    report["training"] = {name: {"vs_token_classifier": epochs[name] / epochs["token_classifier"]} for name in names}
    data = load_documents(options.data)
    schema = LabelSchema.from_documents((d for split in data.values() for d in split), SYMMETRIC)
    dense = {
        name: Workload("entity_inference", name, "minilm", options.threads, schema, documents[:DENSE_DOCUMENTS])
        for name in ("eager", "sdpa")
    }
    few: dict[str, Callable[[], Any]] = {name: workload.measure for name, workload in dense.items()}
    tokenizer: Any = models["exact"].tokenizer
    tokenize = WordTokenizer(tokenizer)
    for name in names:
        few[name] = partial(predict_all, models[name], tokenize, documents[:DENSE_DOCUMENTS])
    report["seconds"]["dense"] = against = seconds(few, 2)
    for name in names:
        for baseline in dense:
            report["entity"][name][f"vs_{baseline}"] = against[baseline] / against[name]
    figures = options.models / "figures.json"
    report["quality"] = json.loads(figures.read_text()) if figures.is_file() else {}
    report["targets"] = {}
    for path, target in TARGETS.items():
        found: Any = report
        for key in path.split("."):
            found = found.get(key) if isinstance(found, dict) else None
        if found is not None:
            met = found <= target if path.startswith(("training", "predict")) else found >= target
            report["targets"][path] = {"target": target, "measured": found, "met": met}
    options.json.write_text(json.dumps(report, indent=1) + "\n")
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
