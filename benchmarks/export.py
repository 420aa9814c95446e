"""Exported graphs beside PyTorch: are they equal, what do they cost in F1 with int8, and how long do they take?

    python benchmarks/export.py MODEL DOCUMENTS --json benchmarks/export.json

MODEL is a model of entities and relations, DOCUMENTS a file of annotated documents (JSONL). Needs `plmarker[export]`.

- Equal: the largest difference of a logit from PyTorch's, over all candidate spans and over all pairs of annotated
  entities.
- F1: Ent, Rel and Rel+ with entities that the model finds, in percent.
- Time: `extract` reads all documents in one call. The variants take turns, and the median turn counts. All have the
  same number of threads.
- Size: what the weights of PyTorch take, or the folder of an export. The graphs hold the encoder twice.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch

from plmarker import PLMarkerModel
from plmarker.data import read_documents
from plmarker.modeling.prediction_plmarker import BATCH_TOKENS
from plmarker.serving.exported import load_exported
from plmarker.serving.exporting import export
from plmarker.trainers.evaluation import evaluate_documents
from plmarker.trainers.scoring import scored_documents

# Format, whether weights have 8 bits, and options of OpenVINO.
VARIANTS: dict[str, tuple[str, bool, dict[str, Any]]] = {
    "onnx": ("onnx", False, {}),
    "onnx int8": ("onnx", True, {}),
    "openvino": ("openvino", False, {}),
    "openvino bf16": ("openvino", False, {"INFERENCE_PRECISION_HINT": "bf16"}),
}
FIGURES = ("ent_f1", "rel_f1", "rel_strict_f1")


def logits(model: Any, documents: list[Any]) -> list[np.ndarray]:
    """The logits of all candidates. Relations join annotated entities, so that all models score the same pairs."""
    found = []
    for part in (model.entity, model.relation):
        checked, tokenize = part.checked_documents(documents, BATCH_TOKENS)
        for _, _, examples in scored_documents(part, checked, tokenize, BATCH_TOKENS):
            found += [np.asarray(head) for example in examples for head in example.logits]
    return found


def options_of(format: str, threads: int, config: dict[str, Any]) -> dict[str, Any]:
    """Options of `load_exported` that give a runtime a number of threads."""
    if format == "openvino":
        return {"config": {"INFERENCE_NUM_THREADS": threads, **config}}
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    return {"session_options": options}


def size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("documents")
    parser.add_argument("--json", type=Path, required=True)
    parser.add_argument("--limit", type=int, help="documents that are read (default: all)")
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    documents: list[Any] = list(read_documents(options.documents))[: options.limit]
    words = [document["sentences"] for document in documents]
    packages = ("torch", "transformers", "onnx", "onnxruntime", "onnxscript", "openvino")
    report: dict[str, Any] = {
        "documents": len(documents),
        "words": sum(len(sentence) for document in words for sentence in document),
        "versions": {"python": platform.python_version()} | {name: version(name) for name in packages},
        "machine": {"cores": os.cpu_count(), "threads": options.threads, "load_average_before": os.getloadavg()},
    }
    models: dict[str, Any] = {"torch": PLMarkerModel.from_pretrained(options.model).eval()}
    weights = sum(weight.nbytes for weight in models["torch"].state_dict().values())
    variants: dict[str, dict[str, Any]] = {"torch": {"mib": weights / 2**20}}
    with tempfile.TemporaryDirectory() as folder:
        for name, (format, int8, config) in VARIANTS.items():
            out = Path(folder) / f"{format}-{int8}"
            if not out.exists():
                start = time.perf_counter()
                export(models["torch"], out, format, int8)
                print(f"{name}: exported in {time.perf_counter() - start:.0f} seconds", flush=True)
            variants[name] = {"mib": size(out) / 2**20}
            models[name] = load_exported(out, **options_of(format, options.threads, config))
        expected = logits(models["torch"], documents)
        for name, model in models.items():
            metrics = evaluate_documents(documents, model.tokenizer, model.entity, model.relation).metrics
            variants[name] |= {figure: 100 * metrics[figure] for figure in FIGURES}
            pairs = zip(logits(model, documents), expected, strict=True)
            variants[name]["largest_difference_of_logits"] = float(max(np.abs(a - b).max(initial=0) for a, b in pairs))
        seconds: dict[str, list[float]] = {name: [] for name in models}
        for _ in range(options.turns):
            for name, model in models.items():
                start = time.perf_counter()
                model.extract(words=words)
                seconds[name].append(time.perf_counter() - start)
    for name, turns in seconds.items():
        variants[name] |= {"seconds_of_turns": turns, "seconds_per_document": statistics.median(turns) / len(words)}
    report["variants"] = variants
    report["machine"]["load_average_after"] = os.getloadavg()
    options.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    print("| | Ent | Rel | Rel+ | largest difference of a logit | ms a document | x torch | MiB |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for name, found in variants.items():
        cells = [f"{found[figure]:.1f}" for figure in FIGURES]
        cells.append(f"{found['largest_difference_of_logits']:.1e}")
        cells.append(f"{1000 * found['seconds_per_document']:.1f}")
        cells.append(f"{variants['torch']['seconds_per_document'] / found['seconds_per_document']:.2f}")
        print(f"| {name} | {' | '.join(cells)} | {found['mib']:.0f} |")


if __name__ == "__main__":
    main()
