"""Two processes learn one model, though their batches make different numbers of rows."""

import json
import subprocess
import sys
from pathlib import Path

SCRIPT = """
import json
import sys
from datasets import Dataset
from transformers import AutoTokenizer, TrainingArguments, set_seed
from plmarker import LabelSchema, PLMarkerForEntityRecognition, PLMarkerTrainer
from plmarker.data import DOCUMENT_FEATURES

encoder, folder = sys.argv[1:]
documents = [
    {"doc_key": str(n), "sentences": [["Ann", "sings"] * (1 + n % 5)], "ner": [[dict(start=0, end=0, label="PER")]]}
    for n in range(16)
]
empty = {"relations": None, "predicted_ner": None, "predicted_relations": None}
data = Dataset.from_list([{**document, **empty} for document in documents], features=DOCUMENT_FEATURES)
set_seed(0)
model = PLMarkerForEntityRecognition.from_encoder(encoder, LabelSchema(("PER",)), max_seq_length=64)
arguments = TrainingArguments(
    folder, max_steps=3, per_device_train_batch_size=4, learning_rate=1e-2, save_strategy="no", report_to="none",
    disable_tqdm=True, use_cpu=True,
)
trainer = PLMarkerTrainer(model, arguments, data, data, AutoTokenizer.from_pretrained(encoder), max_row_tokens=60)
trainer.train()
figures = trainer.evaluate()
weight = float(model.classifier.weight.detach().double().sum())
with open(f"{folder}/{arguments.process_index}.json", "w") as file:
    json.dump([weight, figures["eval_ent_f1"], figures["eval_loss"]], file)
"""


def test_processes_agree_on_the_model_and_on_its_figures(tiny_encoder: str, tmp_path: Path) -> None:
    script = tmp_path / "train.py"
    script.write_text(SCRIPT)
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node=2", "--master_port=29617", str(script)]
    run = subprocess.run(
        [*command, tiny_encoder, str(tmp_path)], capture_output=True, text=True, timeout=240, check=False
    )
    assert run.returncode == 0, run.stderr[-2000:]
    first, second = (json.loads((tmp_path / f"{rank}.json").read_text()) for rank in (0, 1))
    assert first == second
