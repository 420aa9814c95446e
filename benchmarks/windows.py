"""The context of shared windows: how much text is read, and Ent F1, by the least context of a sentence.

    python benchmarks/windows.py MODEL --data FOLDER --long TEXTS --json benchmarks/windows.json

MODEL is an entity model that was trained with shared windows (`price_models.py --models windows`), FOLDER holds SciERC,
and TEXTS is a brat folder with long documents (LitBank). A sentence of a shared window has a part of the window or more
as context on each side: this script sets that part. `own` has a window for each sentence.

`read` is the number of subwords of all windows over those of the text. F1 and `read` are of SciERC, by windows of the
model's size and of half of it; `read_long` is of TEXTS, by windows of 256 subwords. The same weights read all of them.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
import transformers

from plmarker import PLMarkerForEntityRecognition
from plmarker.data.formats import read_corpus
from plmarker.data.loading import load_split
from plmarker.data.report import ReadingReport
from plmarker.modeling import windows_plmarker
from plmarker.modeling.windows_plmarker import WordTokenizer, segment
from plmarker.trainers import evaluate_documents

PARTS, LONG_WINDOW = (4, 8, 16, 32), 256
# [CLS] and [SEP].
SPECIAL = 2


def share_read(documents: Sequence[Any], tokenize: WordTokenizer, room: int, shared: bool) -> float:
    """Subwords of all windows over subwords of the text."""
    read = 0
    for document in documents:
        segmented = segment(document["sentences"], tokenize, room, shared)
        numbers = range(len(segmented.sentences))
        read += sum(window.length for window in {r.window for number in numbers for r in segmented.readings(number)})
    return read / sum(len(tokenize([w for s in document["sentences"] for w in s]).ids) for document in documents)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--data", required=True)
    parser.add_argument("--long", required=True, help="a brat folder with long documents")
    parser.add_argument("--json", type=Path, required=True)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    transformers.utils.logging.disable_progress_bar()
    model = PLMarkerForEntityRecognition.from_pretrained(options.model).eval()
    tokenize = WordTokenizer(model.tokenizer)
    splits = {name: list(load_split(options.data, name)) for name in ("validation", "test")}
    long = list(read_corpus(options.long, ReadingReport()))
    size = model.config.max_seq_length

    def measure(size: int, shared: bool) -> dict[str, float]:
        model.config.update({"max_seq_length": size, "shared_windows": shared})
        found = {"read": share_read(splits["test"], tokenize, size - SPECIAL, shared)}
        for name, documents in splits.items():
            found[name] = evaluate_documents(documents, model.tokenizer, model).metrics["ent_f1"]
        return found

    report: dict[str, Any] = {}
    for part in (None, *PARTS):
        with patch.object(windows_plmarker, "CONTEXT_PARTS", part):
            row: dict[str, Any] = {str(n): measure(n, part is not None) for n in (size, size // 2)}
            row["read_long"] = share_read(long, tokenize, LONG_WINDOW - SPECIAL, part is not None)
        report["own" if part is None else f"1/{part}"] = row
        print(json.dumps(row), flush=True)
    options.json.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
