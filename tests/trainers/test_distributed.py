"""Two processes learn the model that one learns, though their batches have different numbers of candidates."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import json
import sys
from datasets import Dataset
from transformers import AutoTokenizer, TrainingArguments, set_seed
from plmarker import LabelSchema, PLMarkerForEntityRecognition, PLMarkerTrainer
from plmarker.data import DOCUMENT_FEATURES

encoder, folder, batch_size = sys.argv[1:]
documents = [
    {"doc_key": str(n), "sentences": [["Ann", "sings"] * (1 + n % 5)], "ner": [[dict(start=0, end=0, label="PER")]]}
    for n in range(19)
]
empty = {"relations": None, "predicted_ner": None, "predicted_relations": None}
data = Dataset.from_list([{**document, **empty} for document in documents], features=DOCUMENT_FEATURES)
set_seed(0)
model = PLMarkerForEntityRecognition.from_encoder(encoder, LabelSchema(("PER",)), max_seq_length=64)
arguments = TrainingArguments(
    folder, max_steps=3, per_device_train_batch_size=int(batch_size), learning_rate=1e-3, save_strategy="no",
    report_to="none", disable_tqdm=True, use_cpu=True, logging_steps=1,
)
tokenizer = AutoTokenizer.from_pretrained(encoder)
# 19 documents: the processes score different numbers of them.
trainer = PLMarkerTrainer(model, arguments, data.select(range(16)), data, tokenizer)
trainer.train()
figures = trainer.evaluate()
weight = float(model.classifier.weight.detach().double().sum())
with open(f"{folder}/{arguments.process_index}.json", "w") as file:
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    json.dump([weight, figures["eval_ent_f1"], figures["eval_loss"], *losses], file)
# A process that ends before the other one would break its connection.
trainer.accelerator.wait_for_everyone()
trainer.accelerator.end_training()
"""


def train(encoder: str, folder: Path, processes: int, batch_size: int) -> list[list[float]]:
    """The figures and losses of every process."""
    folder.mkdir()
    script = folder / "train.py"
    script.write_text(SCRIPT)
    launch = ["-m", "torch.distributed.run", f"--nproc_per_node={processes}", "--standalone"]
    run = subprocess.run(
        [sys.executable, *(launch if processes > 1 else []), str(script), encoder, str(folder), str(batch_size)],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert run.returncode == 0, run.stderr[-2000:]
    return [json.loads((folder / f"{rank}.json").read_text()) for rank in range(processes)]


def test_processes_agree_with_each_other_and_with_a_single_one(still_encoder: str, tmp_path: Path) -> None:
    first, second = train(still_encoder, tmp_path / "two", processes=2, batch_size=4)
    # The main process alone logs losses.
    n_figures = len(second)
    assert first[:n_figures] == second
    (alone,) = train(still_encoder, tmp_path / "one", processes=1, batch_size=8)
    assert len(alone) == 6
    assert alone == pytest.approx(first, rel=1e-4)
