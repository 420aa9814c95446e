"""The price of markers: the throughput of entity models against a plain token classifier.

    python benchmarks/price.py --data FOLDER --models RUNS --long TEXTS --json benchmarks/price.json

FOLDER holds SciERC. RUNS is the folder that price_models.py has written. TEXTS is a brat folder with long documents
(LitBank). A run measures all parts, one after the other, on one machine. `--parts long` measures one of them again,
keeps the rest of the JSON, and says there where and by which models (`measured_later`). Implementations:

- `exact`, `pruned`, `late`: the library, by `predict_spans` with default sizes;
- `shared`: entities and relations by one text pass, by `predict`;
- `token_classifier`: transformers' `AutoModelForTokenClassification` with the same encoder and the same windows, in
  padded batches of windows of similar length, by `sdpa` attention. It tags the first subword of each word;
- `spanmarker`, `gliner`: these libraries in environments of their own, see rivals.py. They read sentences alone, not
  windows, which is less text;
- `eager`, `sdpa`: the dense padded computation of the original, see throughput.py, over fewer documents.

Inference is timed from documents to decoded spans, tokenization included. An epoch of training is timed over whole
windows in batches of 8, from documents that are already mapped to rows. `low_precision` is the pruned model in
bfloat16 against itself in float32. `predict` is the command against the time inside the model. `long` reads one
long document with shared windows, by the pruned model (`shared`), by that with late markers (`late`), and by the
token classifier, against the dense computation with a window for each sentence; `own` has a window for each
sentence too. `relation.fast` finds the relations of gold entities with the relation part of `shared`, against the
dense computation with a text for each subject. Implementations take turns in one process, and the median turn
counts, or the mean of two. All ratios are of throughput, but for `training` and `predict`, which are of time.

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
from dataclasses import dataclass, replace
from functools import cache, cached_property, partial
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
# The models, and their folders by default.
MODELS = {"exact": "exact", "pruned": "pruned", "late": "late3", "shared": "shared"}
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
                words = scores[torch.tensor(row.starts, dtype=torch.long)].numpy()
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
            target[torch.tensor(row.starts, dtype=torch.long)] = torch.tensor(row.labels, dtype=torch.long)
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
    """The time of one long document: with own windows, shared ones, late markers, and by a token classifier."""
    found = read_corpus(folder, ReadingReport())
    document = max(found, key=lambda document: sum(len(words) for words in document["sentences"]))
    bare = {"doc_key": "long", "sentences": document["sentences"], "ner": [[] for _ in document["sentences"]]}
    tokenize = WordTokenizer(pruned.tokenizer)
    runs: dict[str, Callable[[], Any]] = {"own": partial(predict_all, pruned, tokenize, [bare])}
    sharing = {"shared": copy.deepcopy(pruned), "late": copy.deepcopy(late)}
    for name, model in sharing.items():
        model.config.shared_windows = True
        runs[name] = partial(predict_all, model, tokenize, [bare])
    runs["token_classifier"] = TokenClassifier(sharing["shared"], [bare]).predict
    times = seconds(runs, 3)
    times["eager"] = Workload("entity_inference", "eager", "minilm", threads, schema, [bare]).measure()["seconds"]
    return {
        "sentences": len(document["sentences"]),
        "words": sum(len(words) for words in document["sentences"]),
        "seconds": times,
        **{name: {"vs_eager": times["eager"] / times[name]} for name in runs},
    }


@cache
def entity_model(folder: Path) -> Any:
    """An entity model, which is loaded once."""
    return PLMarkerForEntityRecognition.from_pretrained(folder).eval()


@dataclass
class Case:
    """What the parts of the benchmark measure: models, documents, and the arguments of the command."""

    options: argparse.Namespace
    documents: list[Any]
    schema: LabelSchema

    @property
    def models(self) -> dict[str, Any]:
        """The entity models."""
        return {name: self.model(name) for name in MODELS if name != "shared"}

    @cached_property
    def shared(self) -> Any:
        """The model with one encoder for both tasks."""
        return PLMarkerModel.from_pretrained(self.folders["shared"]).eval()

    def model(self, name: str) -> Any:
        """One entity model."""
        return entity_model(self.folders[name])

    @property
    def few(self) -> list[Any]:
        """The documents of the inference cases."""
        return self.documents[: self.options.documents]

    @property
    def folders(self) -> dict[str, Path]:
        """The folder of each model."""
        names = {name: getattr(self.options, name) for name in MODELS}
        return {name: self.options.models / folder for name, folder in names.items()}

    @cached_property
    def reading(self) -> dict[str, Callable[[], Any]]:
        """One run over the documents, by each model."""
        return inference_runs(self.models, self.shared, self.few)


def inference_part(case: Case) -> dict[str, Any]:
    """Throughput of inference against the token classifier."""
    times = seconds(case.reading)
    ratios = {name: {"vs_token_classifier": times["token_classifier"] / value} for name, value in times.items()}
    return {
        "entity": {name: ratios[name] for name in case.models},
        "joint": {"shared": ratios["shared"]},
        "seconds": {"inference": times},
    }


def rivals_part(case: Case) -> dict[str, Any]:
    """Throughput of other libraries against the token classifier, whose turns beside them are slower."""
    if not (case.options.spanmarker or case.options.gliner):
        return {}
    config = case.models["exact"].config
    job = {
        "encoder": resolve_encoder("minilm"),
        "labels": list(config.entity_labels),
        "sentences": [words for document in case.few for words in document["sentences"]],
        "max_span_length": config.max_span_length,
        "batch": BATCH,
        "threads": case.options.threads,
    }
    runs, versions = {"token_classifier": case.reading["token_classifier"]}, {}
    with ExitStack() as stack:
        for library, python in (("spanmarker", case.options.spanmarker), ("gliner", case.options.gliner)):
            if python is not None:
                runs[library], versions[library] = stack.enter_context(rival(library, python, job))
        times = seconds(runs, 3)
    own = times.pop("token_classifier")
    ratios = {name: {"vs_token_classifier": own / value} for name, value in times.items()}
    return {"versions": versions, "rivals": ratios, "seconds": {"rivals": times}}


def flops_part(case: Case) -> dict[str, Any]:
    """Operations of one run."""
    return {"flops": operations(case.reading)}


def memory_part(case: Case) -> dict[str, Any]:
    """Memory of one run."""
    return {"memory": memory(case.folders, case.few, case.options.threads)}


def training_part(case: Case) -> dict[str, Any]:
    """Time of an epoch against the token classifier's."""
    times = training(case.models, case.few)
    ratios = {name: {"vs_token_classifier": times[name] / times["token_classifier"]} for name in case.models}
    return {"training": ratios, "seconds": {"training": times}}


def dense_part(case: Case) -> dict[str, Any]:
    """Throughput of inference against the dense computation, over fewer documents."""
    fewer, tokenize = case.few[:DENSE_DOCUMENTS], WordTokenizer(case.models["exact"].tokenizer)
    runs = dense_runs("entity_inference", case, fewer)
    runs |= {name: partial(predict_all, model, tokenize, fewer) for name, model in case.models.items()}
    times = seconds(runs, 2)
    ratios = {name: {f"vs_{dense}": times[dense] / times[name] for dense in DENSE} for name in case.models}
    runs = {**dense_runs("relation_inference", case, fewer), "fast": partial(relate_all, case.shared.relation, fewer)}
    relating = seconds(runs, 2)
    return {
        "entity": ratios,
        "relation": {"fast": {f"vs_{dense}": relating[dense] / relating["fast"] for dense in DENSE}},
        "seconds": {"dense": times, "relation": relating},
    }


def dense_runs(workload: str, case: Case, documents: list[Any]) -> dict[str, Callable[[], Any]]:
    """One run of the dense computation with each kind of attention."""
    return {
        name: Workload(workload, name, "minilm", case.options.threads, case.schema, documents).measure for name in DENSE
    }


def low_precision_part(case: Case) -> dict[str, Any]:
    """bfloat16 against float32."""
    gain, f1 = low_precision(case.model("pruned"), case.documents)
    return {"cpu": {"low_precision": {"vs_fp32": gain}}, "quality": {"low_precision": f1}}


def predict_part(case: Case) -> dict[str, Any]:
    """The command against the model's own time, over the whole corpus."""
    corpus = [document for split in load_documents(case.options.data).values() for document in split]
    return {"predict": {"vs_model": predict_command(case.model("pruned"), corpus)}}


def long_part(case: Case) -> dict[str, Any]:
    """One long document, if there is one."""
    if not case.options.long:
        return {}
    models = case.model("pruned"), case.model("late")
    return {"long": long_document(*models, case.options.long, case.schema, case.options.threads)}


def quality_part(case: Case) -> dict[str, Any]:
    """The figures of price_models.py."""
    figures = case.options.models / "figures.json"
    return {"quality": json.loads(figures.read_text()) if figures.is_file() else {}}


PARTS: dict[str, Callable[[Case], dict[str, Any]]] = {
    "inference": inference_part,
    "rivals": rivals_part,
    "flops": flops_part,
    "memory": memory_part,
    "training": training_part,
    "dense": dense_part,
    "low_precision": low_precision_part,
    "predict": predict_part,
    "long": long_part,
    "quality": quality_part,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True)
    parser.add_argument("--models", type=Path, required=True)
    for name, folder in MODELS.items():
        parser.add_argument(f"--{name}", default=folder, help=f"this model's folder in RUNS (default: {folder})")
    parser.add_argument("--long", help="a brat folder with long documents")
    parser.add_argument("--json", type=Path, required=True)
    parser.add_argument("--parts", nargs="+", choices=PARTS, help="measure these again and keep the rest of the JSON")
    parser.add_argument("--plot", type=Path, help="an SVG of throughput against the token classifier")
    parser.add_argument("--spanmarker", metavar="PYTHON", help="the interpreter of an environment with SpanMarker")
    parser.add_argument("--gliner", metavar="PYTHON", help="the interpreter of an environment with GLiNER")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--documents", type=int, default=25, help="documents of the inference cases (default: 25)")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    transformers.utils.logging.disable_progress_bar()
    schema = LabelSchema.from_documents(
        (document for split in load_documents(options.data).values() for document in split), SYMMETRIC
    )
    case = Case(options, list(load_split(options.data, "validation")), schema)
    modules = (plmarker, torch, transformers)
    run = {
        "threads": options.threads,
        "documents": len(case.few),
        "sentences": sum(len(document["sentences"]) for document in case.few),
        "models": {name: folder.name for name, folder in case.folders.items()},
        "versions": {"python": platform.python_version()} | {module.__name__: module.__version__ for module in modules},
        "machine": {"processor": platform.machine(), "cores": os.cpu_count(), "load_average": os.getloadavg()},
    }
    report: dict[str, Any] = json.loads(options.json.read_text()) if options.parts else run
    for name in options.parts or PARTS:
        print(f"{name} ...", flush=True)
        found = PARTS[name](case)
        if options.parts and not found:
            parser.error(f"--parts {name}: an option that it needs is missing")
        merge(report, found)
        if options.parts:
            merge(report, {"measured_later": {name: run}})
        report["targets"] = check_targets(report)
        # A later part may fail.
        options.json.write_text(json.dumps(report, indent=1) + "\n")
    if options.plot:
        shown = report["entity"] | report["joint"] | report.get("rivals", {})
        draw_bars(options.plot, {name: row["vs_token_classifier"] for name, row in shown.items()})
    for path, row in report["targets"].items():
        print(f"{path:<45}{row['measured']:8.2f}   target{row['target']:6}   {'met' if row['met'] else 'MISSED'}")


def merge(report: dict[str, Any], found: dict[str, Any]) -> None:
    """Write what was found into a report, in dictionaries of dictionaries too."""
    for key, value in found.items():
        if isinstance(value, dict):
            merge(report.setdefault(key, {}), value)
        else:
            report[key] = value


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
