"""Prediction and training that are killed again and again, and continued: the result must be that of a run in peace.

    make kills                                                  # 20 kills each
    python benchmarks/kills.py --kills 20 --seed 1 --json FILE

`predict` reads the sample corpus, many times over, with a small random model. `train` trains the demo for a few steps,
and saves a checkpoint after each, so that most of the time goes to saving. Each run gets SIGKILL after a random time of
at most the time of a run in peace. A run that ends before its kill is compared, removed, and started anew.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from transformers import BertConfig, BertModel

from plmarker import LabelSchema, PLMarkerForEntityRecognition, PLMarkerModel, load_documents
from plmarker.encoders.loading import load_tokenizer

COMMAND = (sys.executable, "-m", "plmarker")
COPIES, STEPS = 20, 3


def run(arguments: list[str], seconds: float | None) -> bool:
    """Run a command, and kill it after some seconds. Whether it has ended by itself.

    Raises:
        SystemExit: with what it printed, where it failed.
    """
    with subprocess.Popen([*COMMAND, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        try:
            output, _ = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            return False
    if process.returncode:
        raise SystemExit(f"{' '.join(arguments)}: exit status {process.returncode}\n{output.decode()[-2000:]}")
    return True


def killed(
    arguments: Callable[[Path], list[str]], result: Callable[[Path], str], folder: Path, kills: int, rng: random.Random
) -> dict[str, Any]:
    """Kill a command, and compare its result with that of a run in peace.

    Args:
        arguments: the command that continues or starts the work, by the folder where its output goes.
        result: a digest of this output.
        kills: how many runs are killed.
    """
    peace, work = folder / "peace", folder / "work"
    start = time.perf_counter()
    run(arguments(peace), None)
    whole = time.perf_counter() - start
    expected = result(peace)
    done = differences = finished = 0
    while done < kills or work.exists():
        # Half of the kills come early, when a file is read or begun.
        limit = rng.uniform(0, whole) if done < kills else None
        if not run(arguments(work), limit):
            done += 1
            continue
        finished += 1
        differences += result(work) != expected
        shutil.rmtree(work)
    return {"kills": done, "results": finished, "different": differences, "seconds_in_peace": whole}


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
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    rng = random.Random(options.seed)
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        model, source = root / "model", root / "documents.jsonl"
        small_model(model)
        documents = [dict(document) for split in load_documents("sample").values() for document in split] * COPIES
        source.write_text("".join(json.dumps({"sentences": d["sentences"]}) + "\n" for d in documents))

        def predict(folder: Path) -> list[str]:
            folder.mkdir(parents=True, exist_ok=True)
            return ["predict", str(model), str(source), "--out", str(folder / "out.jsonl"), "--device", "cpu"]

        def train(folder: Path) -> list[str]:
            steps = [
                "--max_steps",
                str(STEPS),
                "--save_strategy",
                "steps",
                "--save_steps",
                "1",
                "--eval_strategy",
                "no",
            ]
            output = ["--output_dir", str(folder), "--per_device_train_batch_size", "2"]
            return ["train", "demo", *output, *steps, "--load_best_model_at_end", "false", "--resume"]

        def digest(*names: str) -> Callable[[Path], str]:
            return lambda folder: hashlib.sha256(b"".join((folder / name).read_bytes() for name in names)).hexdigest()

        report = {
            "predict": killed(predict, digest("out.jsonl"), root / "predict", options.kills, rng),
            "train": killed(train, digest("model.safetensors", "config.json"), root / "train", options.kills, rng),
        }
    print(json.dumps(report, indent=1))
    if options.json:
        options.json.write_text(json.dumps(report, indent=1) + "\n")
    raise SystemExit(int(any(part["different"] for part in report.values())))


if __name__ == "__main__":
    main()
