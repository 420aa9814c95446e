"""Memory and time of `plmarker predict` on big corpora, with both engines. Everything is measured from outside.

    python benchmarks/big_corpora.py --json benchmarks/big_corpora.json --plot benchmarks/big_corpora.svg
    python benchmarks/big_corpora.py --sizes 1000000 --engines local --json ... --plot ...
    python benchmarks/big_corpora.py --sizes --cost MODEL --json ... --plot ...

What a call measures is added to what the JSON file has. Needs matplotlib, and for the engine `ray` the extra `ray`.

- Memory: documents of one sentence, those of the sample corpus over and over, are read by a tiny random entity model.
  Four times a second the resident memory (MiB) of the command and of all its descendants is read. Memory is bounded
  when it does not grow with the number of documents. Pages that processes of Ray share count once for each.
- Cost: MODEL reads documents of the sample corpus with one thread, by the local engine, and by 1 and 2 workers of Ray.
  Two numbers of documents give the seconds for each and those of the start. They are compared with what the page
  `docs/big_corpora.md` foretells from those of the local engine.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
from kills import small_model
from plots import draw_lines

from plmarker import load_documents

MIB = 2**20
WORKERS = (1, 2)
ENGINES = {"local": [], "ray": ["--engine", "ray", "--workers", "2"]}
# A line of the file of checksums has eight digits.
LINE = 9
CURVE = 100
SHARES = (6, 12, 25, 50, 100)


def memory(process: psutil.Process) -> tuple[int, int, int]:
    """Resident bytes of a process, of the largest of its descendants, and of all together."""
    own, others = process.memory_info().rss, [0]
    for child in process.children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            others.append(child.memory_info().rss)
    return own, max(others), own + sum(others)


def predict(model: Path, source: Path, documents: int, arguments: list[str]) -> dict[str, Any]:
    """Run the command, and watch its memory."""
    samples: list[tuple[int, tuple[int, int, int]]] = []
    first = None
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out.jsonl"
        command = [sys.executable, "-m", "plmarker", "predict", str(model), str(source), "--out", str(out)]
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "RAY_worker_niceness": "0"}
        begin = time.perf_counter()
        with (Path(folder) / "log").open("w+") as log:
            process = psutil.Popen([*command, "--device", "cpu", *arguments], stdout=log, stderr=log, env=environment)
            while process.poll() is None:
                written = 0
                with suppress(FileNotFoundError):
                    written = out.with_name(out.name + ".partial.words").stat().st_size // LINE
                if written and first is None:
                    first = time.perf_counter() - begin
                with suppress(psutil.NoSuchProcess):
                    samples.append((written, memory(process)))
                time.sleep(0.25)
            seconds = time.perf_counter() - begin
            log.seek(0)
            if process.returncode:
                raise SystemExit(f"{command}: exit status {process.returncode}\n{log.read()[-2000:]}")
        with out.open("rb") as lines:
            assert sum(1 for _ in lines) == documents
    working = [sample for sample in samples if sample[0]]
    thinned = working[:: max(1, len(working) // CURVE)]
    command_, largest, total = (max(sizes[place] for _, sizes in samples) / MIB for place in range(3))
    return {
        "documents": documents,
        "seconds": seconds,
        "seconds_to_the_first_line": first,
        "peak_mib": {"command": command_, "largest_descendant": largest, "all_processes": total},
        "curve": [[done, *(round(size / MIB, 1) for size in sizes)] for done, sizes in thinned],
    }


def write_documents(path: Path, documents: list[Any], count: int) -> None:
    with path.open("w") as file:
        for number in range(count):
            sentences = documents[number % len(documents)]
            file.write(json.dumps({"doc_key": f"document-{number}", "sentences": sentences}) + "\n")


def measure_memory(report: dict[str, Any], sizes: list[int], engines: list[str], folder: Path, json_file: Path) -> None:
    model, source = folder / "tiny", folder / "sentences.jsonl"
    small_model(model)
    sentences = [
        [s] for split in load_documents("sample").values() for document in split for s in document["sentences"]
    ]
    for size in sizes:
        write_documents(source, sentences, size)
        for engine in engines:
            found = predict(model, source, size, ENGINES[engine])
            report.setdefault("memory", {}).setdefault(engine, {})[str(size)] = found
            peaks = " | ".join(f"{value:.0f}" for value in found["peak_mib"].values())
            print(f"| {engine} | {size} | {peaks} | {found['seconds']:.0f} |", flush=True)
            # The largest sizes take an hour: what is measured before them is kept.
            json_file.write_text(json.dumps(report) + "\n")


def measure_cost(report: dict[str, Any], model: Path, sizes: list[int], folder: Path) -> None:
    """Seconds of a start and of a document, by a line through two runs."""
    documents = [document["sentences"] for split in load_documents("sample").values() for document in split]
    few, many = sizes
    engines = {"local": []} | {f"ray, {n}": ["--engine", "ray", "--workers", str(n)] for n in WORKERS}
    cost: dict[str, Any] = {"documents": sizes, "load_average_before": os.getloadavg()}
    for name, arguments in engines.items():
        runs = []
        for size in sizes:
            source = folder / f"{size}.jsonl"
            write_documents(source, documents, size)
            # Groups must be small for all workers to have some.
            runs.append(predict(model, source, size, [*arguments, "--batch_documents", "16"]))
        of_one = (runs[1]["seconds"] - runs[0]["seconds"]) / (many - few)
        cost[name] = {
            "seconds": [run["seconds"] for run in runs],
            "seconds_of_a_document": of_one,
            "seconds_of_the_start": runs[0]["seconds"] - few * of_one,
            "peak_mib": runs[1]["peak_mib"],
        }
    for n in WORKERS:
        found = cost[f"ray, {n}"]
        found["foretold_seconds_of_a_document"] = cost["local"]["seconds_of_a_document"] / n
        found["measured_to_foretold"] = found["seconds_of_a_document"] / found["foretold_seconds_of_a_document"]
    report["cost"] = cost
    print(json.dumps(cost, indent=1))


def draw(file: Path, memory: dict[str, Any]) -> None:
    """The most memory by the number of documents, and memory in the course of the largest run of each engine."""
    peaks: dict[str, dict[int, float]] = {}
    courses: dict[str, dict[int, float]] = {}
    for engine, runs in memory.items():
        by_size = sorted(runs.values(), key=lambda run: run["documents"])
        for role, label in (("command", engine), ("all_processes", f"{engine}, all processes")):
            if role == "command" or engine == "ray":
                peaks[label] = {run["documents"]: run["peak_mib"][role] for run in by_size}
        largest = by_size[-1]
        places = {share: largest["documents"] * share / 100 for share in SHARES}
        nearest = {share: min(largest["curve"], key=lambda row: abs(row[0] - place)) for share, place in places.items()}
        courses[f"{engine}, {largest['documents']:,} documents"] = {share: row[1] for share, row in nearest.items()}
    draw_lines(file, {"documents": peaks, "percent of the documents written": courses}, "resident memory, MiB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="*", default=[1_000, 10_000, 100_000])
    parser.add_argument("--engines", nargs="+", choices=list(ENGINES), default=list(ENGINES))
    parser.add_argument("--cost", type=Path, metavar="MODEL")
    parser.add_argument("--cost_sizes", type=int, nargs=2, default=[400, 2_000])
    parser.add_argument("--json", type=Path, required=True)
    parser.add_argument("--plot", type=Path)
    options = parser.parse_args()
    report: dict[str, Any] = json.loads(options.json.read_text()) if options.json.exists() else {}
    with tempfile.TemporaryDirectory() as folder:
        print("| engine | documents | command, MiB | largest descendant | all processes | seconds |")
        measure_memory(report, options.sizes, options.engines, Path(folder), options.json)
        if options.cost:
            measure_cost(report, options.cost, options.cost_sizes, Path(folder))
    options.json.write_text(json.dumps(report) + "\n")
    if options.plot and "memory" in report:
        draw(options.plot, report["memory"])


if __name__ == "__main__":
    main()
