"""The context of shared windows: how much text is read, and Ent F1, by the least context of a sentence.

    python benchmarks/windows.py MODEL --data FOLDER --long TEXTS --json benchmarks/windows.json

MODEL is an entity model that was trained with shared windows (`price_models.py --models windows`), FOLDER holds SciERC,
and TEXTS is a brat folder with long documents (LitBank). A sentence of a shared window has a part of the window or more
as context on each side: this script sets that part. `own` has a window for each sentence.

F1 is of SciERC's abstracts as they are (`abstracts`), and of long documents that are 20 abstracts each (`joined`). The
same weights read all of them, by windows of the model's size. `read` is the number of subwords of all windows over
those of the text, on the test split; of TEXTS it is by windows of 256 subwords.
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

import plmarker
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
# Abstracts of a long document.
JOINED = 20


def joined(documents: list[Any]) -> list[Any]:
    """Documents of `JOINED` documents each. Words are counted on."""
    found = []
    for first in range(0, len(documents), JOINED):
        long: dict[str, Any] = {"doc_key": f"joined-{first}", "sentences": [], "ner": []}
        for document in documents[first : first + JOINED]:
            before = sum(map(len, long["sentences"]))
            long["sentences"] += document["sentences"]
            for entities in document["ner"]:
                moved = [{**e, "start": e["start"] + before, "end": e["end"] + before} for e in entities]
                long["ner"].append(moved)
        found.append(long)
    return found


def share_read(documents: Sequence[Any], tokenize: WordTokenizer, room: int, shared: bool) -> float:
    """Subwords of all windows over subwords of the text."""
    read = length = 0
    for document in documents:
        segmented = segment(document["sentences"], tokenize, room, shared)
        length += len(segmented.subwords.ids)
        numbers = range(len(segmented.sentences))
        read += sum(window.length for window in {r.window for number in numbers for r in segmented.readings(number)})
    return read / length


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
    corpora = {
        "abstracts": splits,
        "joined": {name: joined(documents) for name, documents in splits.items()},
    }
    report: dict[str, Any] = {
        "model": options.model.name,
        "max_seq_length": size,
        "versions": {module.__name__: module.__version__ for module in (plmarker, torch, transformers)},
        "context": {},
    }
    print("| least context | abstracts: read | Ent F1 | joined: read | Ent F1 | long: read |")
    for part in (None, *PARTS):
        shared = part is not None
        model.config.shared_windows = shared
        name = f"1/{part}" if shared else "own"
        row: dict[str, dict[str, float]] = {}
        with patch.object(windows_plmarker, "CONTEXT_PARTS", part):
            for corpus, documents in corpora.items():
                row[corpus] = {"read": share_read(documents["test"], tokenize, size - SPECIAL, shared)} | {
                    split: evaluate_documents(part_of, model.tokenizer, model).metrics["ent_f1"]
                    for split, part_of in documents.items()
                }
            row["long"] = {"read": share_read(long, tokenize, LONG_WINDOW - SPECIAL, shared)}
        report["context"][name] = row
        cells = []
        for found in map(row.__getitem__, corpora):
            cells += [f"{found['read']:.2f}", f"{100 * found['validation']:.1f} / {100 * found['test']:.1f}"]
        print(f"| {name} | {' | '.join(cells)} | {row['long']['read']:.2f} |", flush=True)
    options.json.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
