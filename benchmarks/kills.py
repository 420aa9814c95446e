"""Prediction and training that are killed again and again, and continued: the result must be that of a run in peace.

    make kills                                                  # 20 kills each
    python benchmarks/kills.py --kills 20 --ray_kills 10 --seed 1 --json FILE
    python benchmarks/kills.py --parts ray --json FILE          # the other parts of FILE stay

`predict` reads the sample corpus, many times over, with a small random model. `train` trains the demo for a few
steps, and saves a checkpoint after each, so that most of the time goes to saving. Each run gets SIGKILL after a
random time of at most the time of a run in peace; a training not in the first 30 % of it, when it has nothing to
lose. A run that ends before its kill is compared, removed, and started anew.

`predict --engine ray` is the same job as `predict`, with more documents on two workers, where Ray is installed (the
extra `ray`). The time to its kill begins with the first line that a run writes, since Ray takes longest to start. Its
output must also be that of `predict` without Ray. Then a run loses a worker, which gets SIGKILL when the first lines
are there, and must end with the same output. No process of Ray may outlive its command.

A result is every file in the output folder, without those of subfolders: the predictions, or the model with its
config, tokenizer, card and figures.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psutil
from transformers import BertConfig, BertModel

from plmarker import LabelSchema, PLMarkerForEntityRecognition, PLMarkerModel, load_documents
from plmarker.encoders.loading import load_tokenizer

COMMAND = (sys.executable, "-m", "plmarker")
COPIES, STEPS = 20, 3
# In this share of its time a training loads the encoder and reads the data.
LOADED = 0.3
RAY = ("--engine", "ray", "--workers", "2")


def start(arguments: list[str]) -> subprocess.Popen[bytes]:
    """Start a command with one thread, as a worker of Ray has, so that both give the same scores."""
    # By default Ray's workers hardly run on a busy machine.
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "RAY_worker_niceness": "0"}
    command = [*COMMAND, *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment)


def is_alive(process: psutil.Process) -> bool:
    """Whether a process runs. A zombie does not: it has ended, and its parent has not asked for its status."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def finish(process: subprocess.Popen[bytes], seconds: float | None) -> bool:
    """Wait for a command, and kill it after some seconds. Whether it has ended by itself.

    Raises:
        SystemExit: with what it printed, where it failed; and where a process that it started is still there three
            minutes after it was killed.
    """
    with process:
        try:
            output, _ = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            family = psutil.Process(process.pid).children(recursive=True)
            process.kill()
            until = time.monotonic() + 180
            while (left := [member for member in family if is_alive(member)]) and time.monotonic() < until:
                time.sleep(0.1)
            if left:
                raise SystemExit(f"these processes outlive a killed command: {left}") from None
            return False
    if process.returncode:
        raise SystemExit(f"{process.args!r}: exit status {process.returncode}\n{output.decode()[-2000:]}")
    return True


def killed(
    arguments: Callable[[Path], list[str]],
    result: Callable[[Path], str],
    begun: str,
    folder: Path,
    kills: int,
    rng: random.Random,
    earliest: float = 0.0,
    waits: bool = False,
) -> dict[str, Any]:
    """Kill a command, and compare its result with that of a run in peace.

    Args:
        arguments: the command that continues or starts the work, by the folder where its output goes.
        result: a digest of this output.
        begun: a pattern of files in this folder. One that is not empty shows that the work has begun.
        kills: how many runs are killed.
        earliest: no kill comes before this share of the time of a run in peace.
        waits: the time to a kill begins with the work.
    """

    def begins(process: subprocess.Popen[bytes], place: Path) -> None:
        """Wait until a file of the work grows, or until the process ends."""

        def sizes() -> dict[Path, int]:
            try:
                found = {path: path.stat().st_size for path in place.rglob(begun)}
            except FileNotFoundError:
                # A finished file gets its name.
                return {}
            return {path: size for path, size in found.items() if size}

        earlier = sizes()
        while process.poll() is None and sizes() in (earlier, {}):
            time.sleep(0.05)

    # A model's card names its folder, so both have one name.
    peace, work = folder / "peace" / "result", folder / "work" / "result"
    before = time.perf_counter()
    process = start(arguments(peace))
    if waits:
        begins(process, peace)
    waited = time.perf_counter() - before if waits else 0.0
    finish(process, None)
    whole = time.perf_counter() - before
    expected = result(peace)
    done = amid = differences = finished = 0
    while done < kills or work.exists():
        limit = rng.uniform(earliest * whole, whole - waited) if done < kills else None
        process = start(arguments(work))
        if waits:
            begins(process, work)
        if not finish(process, limit):
            done += 1
            amid += any(path.stat().st_size for path in work.rglob(begun))
            continue
        finished += 1
        differences += result(work) != expected
        shutil.rmtree(work)
    return {
        "kills": done,
        "kills_amid_work": amid,
        "results": finished,
        "different": differences,
        "seconds_in_peace": whole,
        **({"seconds_until_it_begins": waited} if waits else {}),
        "digest": expected,
    }


def lose_a_worker(arguments: list[str], partial: Path) -> None:
    """Run a command on Ray, and kill one of its workers when it has written lines."""
    process = start(arguments)
    while not (partial.exists() and partial.stat().st_size):
        if process.poll() is not None:
            raise SystemExit("the command ended before a worker could be killed")
        time.sleep(0.05)
    family = psutil.Process(process.pid).children(recursive=True)
    # Ray names its workers after what they do.
    next(member for member in family if "_Worker" in "".join(member.cmdline())).kill()
    finish(process, None)


def small_model(folder: Path) -> None:
    """A random entity model over a tiny encoder, with the tokenizer of MiniLM."""
    tokenizer = load_tokenizer("minilm")
    encoder = BertModel(BertConfig(vocab_size=len(tokenizer), hidden_size=32, num_hidden_layers=2,
                                   num_attention_heads=4, intermediate_size=64))  # fmt: skip
    with tempfile.TemporaryDirectory() as source:
        encoder.save_pretrained(source)
        tokenizer.save_pretrained(source)
        schema = LabelSchema(("Person", "Place", "Group"))
        entity = PLMarkerForEntityRecognition.from_encoder(source, schema, max_span_length=4)
        assert entity.tokenizer is not None
        PLMarkerModel.from_models(entity, None, entity.tokenizer).save_pretrained(folder)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--ray_kills", type=int, default=10)
    parser.add_argument("--parts", nargs="+", choices=("predict", "train", "ray"), default=("predict", "train", "ray"))
    parser.add_argument("--ray_copies", type=int, default=100, help="of the sample corpus (default: 100)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    rng = random.Random(options.seed)
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        model, source = root / "model", root / "documents.jsonl"
        small_model(model)
        documents = [dict(document) for split in load_documents("sample").values() for document in split]

        def write(many: list[Any]) -> None:
            source.write_text("".join(json.dumps({"sentences": d["sentences"]}) + "\n" for d in many))

        write(documents * COPIES)

        def predict(folder: Path) -> list[str]:
            folder.mkdir(parents=True, exist_ok=True)
            return ["predict", str(model), str(source), "--out", str(folder / "out.jsonl"), "--device", "cpu"]

        def train(folder: Path) -> list[str]:
            steps = f"--max_steps {STEPS} --save_strategy steps --save_steps 1 --eval_strategy no".split()
            output = ["--output_dir", str(folder), "--per_device_train_batch_size", "2"]
            return ["train", "demo", *output, *steps, "--load_best_model_at_end", "false", "--resume"]

        def digest(folder: Path) -> str:
            files = sorted(file for file in folder.iterdir() if file.is_file())
            return hashlib.sha256(b"".join(file.name.encode() + file.read_bytes() for file in files)).hexdigest()

        report: dict[str, Any] = {}
        if options.json and options.json.is_file() and len(options.parts) < 3:
            report = json.loads(options.json.read_text())

        def keep(name: str, found: dict[str, Any]) -> None:
            """Print and save what is measured: a later part may be stopped."""
            report[name] = found
            print(json.dumps({name: found}, indent=1), flush=True)
            if options.json:
                options.json.write_text(json.dumps(report, indent=1) + "\n")

        if "predict" in options.parts:
            keep("predict", killed(predict, digest, "*.partial", root / "predict", options.kills, rng))
        if "train" in options.parts:
            keep("train", killed(train, digest, "checkpoint-*/*", root / "train", options.kills, rng, LOADED))
        has_ray = find_spec("ray") is not None
        if "ray" in options.parts and not has_ray:
            print("predict --engine ray: skipped, Ray is not installed: pip install 'plmarker[ray]'")
        if "ray" in options.parts and has_ray:
            write(documents * options.ray_copies)
            local, lost = root / "local", root / "lost"
            finish(start(predict(local)), None)

            def on_ray(folder: Path) -> list[str]:
                return [*predict(folder), *RAY]

            found = killed(on_ray, digest, "*.partial", root / "ray", options.ray_kills, rng, waits=True)
            lose_a_worker(on_ray(lost), lost / "out.jsonl.partial")
            found["different"] += found["digest"] != digest(local)
            found["different_without_a_worker"] = int(digest(lost) != found["digest"])
            keep("predict --engine ray", found)
    raise SystemExit(any(value for found in report.values() for name, value in found.items() if "different" in name))


if __name__ == "__main__":
    main()
