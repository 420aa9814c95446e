"""Memory and time of preparing corpora of growing size: build, load, map.

    python benchmarks/corpus.py --json benchmarks/corpus.json

For each size a JSONL file is written whose documents are those of the sample corpus, over and over under new names.
Then each step runs in a process of its own, with two processes in `map`:

- `build`: `plmarker data build jsonl`, to Parquet
- `map`: `load_dataset` of that folder and `map(EntityFeatures(...), num_proc=2)`
- `map again`: the same in another process, which finds the features in the cache

`peak_memory_mb` is the largest resident memory (MiB) of any process of the step. Memory is bounded when it does not
grow with the size.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from plmarker.data.documents import write_documents
from plmarker.data.loading import load_documents

MAP = """
import sys
from datasets import load_dataset
from plmarker import EntityFeatures, LabelSchema, load_documents, load_tokenizer
documents = load_dataset(sys.argv[1], split="train")
schema = LabelSchema.from_documents(load_documents("sample")["train"])
features = documents.map(
    EntityFeatures(load_tokenizer("minilm"), schema, max_seq_length=128),
    batched=True, num_proc=2, remove_columns=documents.column_names,
)
print(len(features), features._fingerprint)
"""


def write_corpus(path: Path, size: int) -> None:
    """Write `size` documents; no more than the sample is held in memory."""
    sample = list(load_documents("sample")["train"])
    write_documents(path, ({**sample[n % len(sample)], "doc_key": f"document-{n}"} for n in range(size)))


def step(command: list[str], environment: dict[str, str]) -> dict[str, float | str]:
    """Run a command; its time, and the largest memory of a process of it or its children."""
    # A process between, so that the memory of steps before does not count.
    watch = (
        "import resource, subprocess, sys\n"
        "done = subprocess.run(sys.argv[1:], capture_output=True, text=True)\n"
        "sys.stderr.write(done.stderr[-2000:] if done.returncode else '')\n"
        "print(done.stdout.splitlines()[-1], resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)\n"
        "sys.exit(done.returncode)\n"
    )
    start = time.perf_counter()
    output = subprocess.run(
        [sys.executable, "-c", watch, *command], check=True, stdout=subprocess.PIPE, text=True, env=environment
    ).stdout
    said, memory = output.rsplit(maxsplit=1)
    seconds = time.perf_counter() - start
    return {"seconds": round(seconds, 1), "peak_memory_mb": round(int(memory) / 1024), "said": said.strip()}


def measure(size: int, folder: Path) -> dict[str, dict[str, float | str]]:
    """All steps for a corpus of `size` documents."""
    environment = {**os.environ, "HF_DATASETS_CACHE": str(folder / "cache"), "HF_HUB_OFFLINE": "1"}
    source, out = folder / "corpus.jsonl", folder / "built"
    write_corpus(source, size)
    build = [sys.executable, "-m", "plmarker", "data", "build", "jsonl", "--source", str(source), "--out", str(out)]
    results = {"build": step(build, environment)}
    results["build"]["said"] = ""
    for name in ("map", "map again"):
        results[name] = step([sys.executable, "-c", MAP, str(out)], environment)
    # The number of features and their fingerprint.
    if results["map"]["said"] != results["map again"]["said"]:
        raise SystemExit(f"other features in another process: {results}")
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    parser.add_argument("--json", type=Path, required=True)
    options = parser.parse_args()
    report = {}
    print("| documents | step | peak memory, MiB | seconds |\n| --- | --- | --- | --- |")
    for size in options.sizes:
        with tempfile.TemporaryDirectory() as folder:
            report[str(size)] = measure(size, Path(folder))
        for name, result in report[str(size)].items():
            print(f"| {size} | {name} | {result['peak_memory_mb']} | {result['seconds']} |", flush=True)
        options.json.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
