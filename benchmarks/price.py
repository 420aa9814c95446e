"""The price of markers: the throughput of entity models against a plain token classifier, in one run on one machine.

    python benchmarks/price.py --data FOLDER --models RUNS --long TEXTS --json benchmarks/price.json

FOLDER holds SciERC. RUNS is the folder that price_models.py has written. TEXTS is a brat folder with long documents
(LitBank). Implementations:

- `exact`, `pruned`, `late`: the library, by `predict_spans` with default sizes; `late` is the model of `--late`;
- `shared`: entities and relations by one text pass, by `predict`, in the model of that name;
- `token_classifier`: transformers' `AutoModelForTokenClassification` with the same encoder and the same windows, in
  padded batches of windows of similar length, by `sdpa` attention. It tags the first subword of each word;
- `spanmarker`, `gliner`: these libraries in environments of their own, see rivals.py. They read sentences alone, not
  windows, which is less text;
- `eager`, `sdpa`: the dense padded computation of the original, see throughput.py, over fewer documents.

Inference is timed from documents to decoded spans, tokenization included. An epoch of training is timed over whole
windows in batches of 8, from documents that are already mapped to rows. `low_precision` is the pruned model in
bfloat16 against itself in float32. `predict` is the command against the time inside the model. `long` reads one long
document with shared windows, by the pruned model (`shared`) and by that with late markers (`late`), against the dense
computation with a window for each sentence; `own` has a window for each sentence too. `relation.fast` finds the
relations of gold entities with the relation part of `shared`, against the dense computation with a text for each
subject. Implementations take turns in one process, and the median turn counts, or the mean of two. All ratios are of
throughput, but for `training` and `predict`, which are of time.

`flops` are the operations of matrix products and attention, counted by torch in one pass over the same documents.
`memory` is the most memory (MiB) of a process of its own above its level after a warm-up, as in throughput.py.
"""

from __future__ import annotations

import argparse
import copy
import json
import multiprocessing
import os
import platform
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
import transformers
from plots import draw_bars
from throughput import MEBIBYTE, RETURN_MEMORY, SYMMETRIC, Workload, peak_memory, reset_peak, resident_memory
from torch.utils.flop_counter import FlopCounterMode
from transformers import AutoModelForTokenClassification, set_seed

import plmarker
from plmarker import LabelSchema, PLMarkerForEntityRecognition, PLMarkerModel, load_documents
from plmarker.cli.main import main as command
from plmarker.data.formats import read_corpus
from plmarker.data.grouping import training_rows
from plmarker.data.loading import load_split
from plmarker.data.report import ReadingReport
from plmarker.encoders.loading import resolve_encoder
from plmarker.modeling.decoding_plmarker import label_words
from plmarker.modeling.prediction_plmarker import Scorer, predict_spans
from plmarker.modeling.tagging_plmarker import tag_classes
from plmarker.modeling.tasks_plmarker import task_of
from plmarker.modeling.windows_plmarker import WordTokenizer
from plmarker.trainers import evaluate_documents

SEED, TURNS, DENSE_DOCUMENTS = 42, 5, 8
# Windows of a batch.
BATCH, TRAINING_BATCH = 16, 8
DENSE = ("eager", "sdpa")
TARGETS = {
    "entity.late.vs_token_classifier": 0.8,
    "entity.pruned.vs_token_classifier": 0.6,
    "joint.shared.vs_token_classifier": 0.6,
    "entity.pruned.vs_eager": 70,
    "entity.pruned.vs_sdpa": 25,
    "long.shared.vs_eager": 100,
    "training.pruned.vs_token_classifier": 2,
    "relation.fast.vs_eager": 15,
    "cpu.low_precision.vs_fp32": 1.5,
    "predict.vs_model": 1.3,
}


class TokenClassifier:
    """A plain token classifier over the windows of an entity model."""

    def __init__(self, model: Any, documents: list[Any], batch: int = BATCH) -> None:
        set_seed(SEED)
        self.batch = batch
        # transformers writes the attention into the config that it is given, and the entity model would follow it.
        config = copy.deepcopy(model.config.encoder_config)
        classes = tag_classes(model.config.entity_labels, "bio")
        self.model = AutoModelForTokenClassification.from_config(config, attn_implementation="sdpa")
        self.model.classifier = torch.nn.Linear(config.hidden_size, len(classes))
        tagger = type(model.config)(**{**model.config.to_dict(), "method": "bio", "pruner_size": 0,
                                       "pruner_threshold": 0.0, "late_layers": None})  # fmt: skip
        self.task, self.tokenize, self.documents = task_of(tagger), WordTokenizer(model.tokenizer), documents

    def rows(self, training: bool = False) -> list[Any]:
        read = training_rows if training else type(self.task).rows
        return [row for document in self.documents for row in read(self.task, document, self.tokenize)]

    @torch.inference_mode()
    def predict(self) -> int:
        """The number of spans that are found."""
        self.model.eval()
        rows, found = sorted(self.rows(), key=lambda row: len(row.input_ids)), 0
        for first in range(0, len(rows), self.batch):
            batch = rows[first : first + self.batch]
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


def relate_all(model: Any, documents: list[Any]) -> int:
    """The number of relations that a model finds, between the entities that it finds or that documents give."""
    return sum(len(found) for *_, sentences in model.predict(documents) for found in sentences)


def inference_runs(models: dict[str, Any], shared: Any, documents: list[Any]) -> dict[str, Callable[[], Any]]:
    """Entity inference by each model and by the token classifier, and both tasks by the shared model."""
    first = models["exact"]
    tokenize, classifier = WordTokenizer(first.tokenizer), TokenClassifier(first, documents)
    runs: dict[str, Callable[[], Any]] = {"token_classifier": classifier.predict}
    for name, model in models.items():
        runs[name] = partial(predict_all, model, tokenize, documents)
    return {**runs, "shared": partial(relate_all, shared, documents)}


@contextmanager
def rival(library: str, python: str, job: dict[str, Any]) -> Iterator[tuple[Callable[[], Any], dict[str, str]]]:
    """Another library in its own process: what reads all sentences once, and the versions there."""
    command_line = [python, str(Path(__file__).with_name("rivals.py"))]
    with subprocess.Popen(command_line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        answers, questions = process.stdout, process.stdin

        def ask(line: str) -> Any:
            questions.write(line + "\n")
            questions.flush()
            return json.loads(answers.readline())

        versions = ask(json.dumps({"library": library, **job}))
        yield partial(ask, ""), versions
        questions.close()


def operations(runs: dict[str, Callable[[], Any]]) -> dict[str, float]:
    """Floating point operations of one run of each."""
    counted = {}
    for name, run in runs.items():
        with FlopCounterMode(display=False) as counter:
            run()
        counted[name] = float(counter.get_total_flops())
    return counted


def memory_of(name: str, folders: dict[str, Path], documents: list[Any], threads: int) -> float:
    """Most memory (MiB) of one run, in this process, above its level after a warm-up."""
    torch.set_num_threads(threads)
    transformers.utils.logging.disable_progress_bar()
    load = PLMarkerForEntityRecognition.from_pretrained
    if name == "shared":
        model = PLMarkerModel.from_pretrained(folders[name]).eval()
        reading: Callable[[list[Any]], Any] = partial(relate_all, model)
    elif name == "token_classifier":
        model = load(folders["exact"]).eval()
        reading = lambda part: TokenClassifier(model, part).predict()  # noqa: E731
    else:
        model = load(folders[name]).eval()
        reading = partial(predict_all, model, WordTokenizer(model.tokenizer))
    shortest = min(documents, key=lambda document: sum(map(len, document["sentences"])))
    reading([shortest])
    level = resident_memory()
    reset_peak()
    reading(documents)
    return (peak_memory() - level) / MEBIBYTE


def memory(folders: dict[str, Path], documents: list[Any], threads: int) -> dict[str, float]:
    """`memory_of` for each model, in processes that return freed memory at once."""
    found = {}
    with patch.dict(os.environ, RETURN_MEMORY):
        for name in ("token_classifier", *folders):
            with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
                found[name] = pool.submit(memory_of, name, folders, documents, threads).result()
    return found


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
        rows = [row for document in documents for row in training_rows(model.task, document, classifier.tokenize)]
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


def low_precision(model: Any, documents: list[Any]) -> tuple[float, dict[str, float]]:
    """Speed of a model in bfloat16 against float32, and Ent F1 in both."""
    tokenize, half = WordTokenizer(model.tokenizer), copy.deepcopy(model).to(dtype=torch.bfloat16)
    both = {"fp32": model, "bf16": half}
    times = seconds({name: partial(predict_all, part, tokenize, documents) for name, part in both.items()})
    f1 = {name: evaluate_documents(documents, model.tokenizer, part).metrics["ent_f1"] for name, part in both.items()}
    return times["fp32"] / times["bf16"], f1


def predict_command(model: Any, documents: list[Any]) -> float:
    """Time of `plmarker predict`, loading included, against the time inside the model."""
    inside = 0.0
    score = Scorer.score

    def timed(self: Scorer, examples: Any) -> Any:
        nonlocal inside
        forward = self.forward

        def run(**inputs: Any) -> Any:
            nonlocal inside
            start = time.perf_counter()
            output = forward(**inputs)
            inside += time.perf_counter() - start
            return output

        return score(replace(self, forward=run), examples)

    with tempfile.TemporaryDirectory() as folder, patch.object(Scorer, "score", timed):
        PLMarkerModel.from_models(model, None, model.tokenizer).save_pretrained(folder)
        source = Path(folder) / "documents.jsonl"
        source.write_text("".join(json.dumps({"sentences": document["sentences"]}) + "\n" for document in documents))
        ratios = []
        for turn in range(3):
            inside, start = 0.0, time.perf_counter()
            command(["predict", folder, str(source), "--out", f"{folder}/{turn}.jsonl", "--device", "cpu"])
            ratios.append((time.perf_counter() - start) / inside)
    return statistics.median(ratios)


def long_document(pruned: Any, late: Any, folder: str, schema: LabelSchema, threads: int) -> dict[str, Any]:
    """The time of one long document: with shared windows, late markers, own windows, and by the dense computation."""
    found = read_corpus(folder, ReadingReport())
    document = max(found, key=lambda document: sum(len(words) for words in document["sentences"]))
    tokenize = WordTokenizer(pruned.tokenizer)
    runs: dict[str, Callable[[], Any]] = {"own": partial(predict_all, pruned, tokenize, [document])}
    for name, model in (("shared", pruned), ("late", late)):
        sharing = copy.deepcopy(model)
        sharing.config.shared_windows = True
        runs[name] = partial(predict_all, sharing, tokenize, [document])
    times = seconds(runs, 3)
    bare = {"doc_key": "long", "sentences": document["sentences"], "ner": [[] for _ in document["sentences"]]}
    times["eager"] = Workload("entity_inference", "eager", "minilm", threads, schema, [bare]).measure()["seconds"]
    return {
        "sentences": len(document["sentences"]),
        "words": sum(len(words) for words in document["sentences"]),
        "seconds": times,
        **{name: {"vs_eager": times["eager"] / times[name]} for name in runs},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True)
    parser.add_argument("--models", type=Path, required=True)
    parser.add_argument("--late", default="late3", help="the model with late markers (default: late3)")
    parser.add_argument("--long", help="a brat folder with long documents")
    parser.add_argument("--json", type=Path, required=True)
    parser.add_argument("--plot", type=Path, help="an SVG of throughput against the token classifier")
    parser.add_argument("--spanmarker", metavar="PYTHON", help="the interpreter of an environment with SpanMarker")
    parser.add_argument("--gliner", metavar="PYTHON", help="the interpreter of an environment with GLiNER")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--documents", type=int, default=25, help="documents of the inference cases (default: 25)")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    transformers.utils.logging.disable_progress_bar()
    documents = list(load_split(options.data, "validation"))
    few = documents[: options.documents]
    folders = {"exact": "exact", "pruned": "pruned", "late": options.late}
    load = PLMarkerForEntityRecognition.from_pretrained
    models: dict[str, Any] = {name: load(options.models / folder).eval() for name, folder in folders.items()}
    modules = (plmarker, torch, transformers)
    report: dict[str, Any] = {
        "threads": options.threads,
        "documents": len(few),
        "sentences": sum(len(document["sentences"]) for document in few),
        "models": folders,
        "versions": {"python": platform.python_version()} | {module.__name__: module.__version__ for module in modules},
        "machine": {"processor": platform.machine(), "cores": os.cpu_count(), "load_average": os.getloadavg()},
    }
    shared = PLMarkerModel.from_pretrained(options.models / "shared").eval()
    reading = inference_runs(models, shared, few)
    sentences = [words for document in few for words in document["sentences"]]
    config = models["exact"].config
    job = {
        "encoder": resolve_encoder("minilm"),
        "labels": list(config.entity_labels),
        "sentences": sentences,
        "max_span_length": config.max_span_length,
        "batch": BATCH,
        "threads": options.threads,
    }
    times = seconds(reading)
    ratios = {name: {"vs_token_classifier": times["token_classifier"] / value} for name, value in times.items()}
    report["entity"] = {name: ratios[name] for name in models}
    report["joint"] = {"shared": ratios["shared"]}
    # By themselves: what follows on the turn of another process is slower.
    with ExitStack() as stack:
        rivals = {"token_classifier": reading["token_classifier"]}
        for library, python in (("spanmarker", options.spanmarker), ("gliner", options.gliner)):
            if python is not None:
                rivals[library], report["versions"][library] = stack.enter_context(rival(library, python, job))
        beside = seconds(rivals, 3) if len(rivals) > 1 else {}
    own = beside.pop("token_classifier", 0.0)
    report["rivals"] = {name: {"vs_token_classifier": own / value} for name, value in beside.items()}
    report["flops"] = operations(reading)
    report["memory"] = memory(
        {name: options.models / folder for name, folder in {**folders, "shared": "shared"}.items()},
        few,
        options.threads,
    )
    epochs = training(models, few)
    report["training"] = {name: {"vs_token_classifier": epochs[name] / epochs["token_classifier"]} for name in models}
    data = load_documents(options.data)
    schema = LabelSchema.from_documents((d for split in data.values() for d in split), SYMMETRIC)
    fewer = few[:DENSE_DOCUMENTS]
    runs: dict[str, Callable[[], Any]] = {
        name: Workload("entity_inference", name, "minilm", options.threads, schema, fewer).measure for name in DENSE
    }
    tokenize = WordTokenizer(models["exact"].tokenizer)
    runs |= {name: partial(predict_all, model, tokenize, fewer) for name, model in models.items()}
    against = seconds(runs, 2)
    for name in models:
        report["entity"][name] |= {f"vs_{baseline}": against[baseline] / against[name] for baseline in DENSE}
    runs = {
        name: Workload("relation_inference", name, "minilm", options.threads, schema, fewer).measure for name in DENSE
    }
    relating = seconds({**runs, "fast": partial(relate_all, shared.relation, fewer)}, 2)
    report["relation"] = {"fast": {f"vs_{name}": relating[name] / relating["fast"] for name in DENSE}}
    report["seconds"] = {
        "inference": times,
        "rivals": beside,
        "training": epochs,
        "dense": against,
        "relation": relating,
    }
    gain, f1 = low_precision(models["pruned"], documents)
    report["cpu"] = {"low_precision": {"vs_fp32": gain}}
    report["predict"] = {"vs_model": predict_command(models["pruned"], [d for split in data.values() for d in split])}
    if options.long:
        report["long"] = long_document(models["pruned"], models["late"], options.long, schema, options.threads)
    figures = options.models / "figures.json"
    report["quality"] = {"low_precision": f1} | (json.loads(figures.read_text()) if figures.is_file() else {})
    report["targets"] = check_targets(report)
    options.json.write_text(json.dumps(report, indent=1) + "\n")
    if options.plot:
        shown = report["entity"] | report["joint"] | report["rivals"]
        draw_bars(options.plot, {name: row["vs_token_classifier"] for name, row in shown.items()})
    for path, row in report["targets"].items():
        print(f"{path:<45}{row['measured']:8.2f}   target{row['target']:6}   {'met' if row['met'] else 'MISSED'}")


def check_targets(report: dict[str, Any]) -> dict[str, Any]:
    """Each target with what was measured. Ratios of time are to stay below it, ratios of throughput above."""
    targets = {}
    for path, target in TARGETS.items():
        found: Any = report
        for key in path.split("."):
            found = found.get(key) if isinstance(found, dict) else None
        if found is not None:
            met = found <= target if path.startswith(("training", "predict")) else found >= target
            targets[path] = {"target": target, "measured": found, "met": met}
    return targets


if __name__ == "__main__":
    main()
