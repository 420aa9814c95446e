"""Random files, documents, scores and texts: whatever comes in gives a result, or one `PLMarkerError`.

    make fuzz                                                   # 100,000 examples
    python benchmarks/fuzz.py --examples 100000 --seed 1 --json FILE

Readers get valid files of each format with random damage. Rows, decoding, given entities and `extract` get random
valid input, and what comes out is checked: spans lie in their sentences, `text[start:end]` is the entity, flat
entities do not overlap. Every other error is a new kind, named by its type and the line that raised it.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import BertConfig, BertModel

from plmarker import LabelSchema, PLMarkerError, PLMarkerForEntityRecognition, PLMarkerForRelationExtraction
from plmarker.data.formats import FORMATS, read_corpus
from plmarker.data.report import ReadingReport
from plmarker.encoders.loading import load_tokenizer
from plmarker.modeling.decoding_plmarker import label_spans, remove_overlaps
from plmarker.modeling.given_plmarker import align_given
from plmarker.modeling.modeling_plmarker import PLMarkerModel
from plmarker.modeling.text_plmarker import locate_words
from plmarker.modeling.windows_plmarker import WordTokenizer

JSONL = {"doc_key": "a", "sentences": [["Ada", "met", "Bob"], ["Go", "."]], "ner": [[[0, 0, "P"], [2, 2, "P"]], []],
         "relations": [[[0, 0, 2, 2, "met"]], []]}  # fmt: skip
OFFSETS = {"id": 1, "data": {"text": "Ada met Bob."}, "annotations": [{"result": [
    {"id": "a", "type": "labels", "value": {"start": 0, "end": 3, "text": "Ada", "labels": ["P"]}},
    {"id": "b", "type": "labels", "value": {"start": 8, "end": 11, "text": "Bob", "labels": ["P"]}},
    {"type": "relation", "from_id": "a", "to_id": "b", "labels": ["met"]}]}]}  # fmt: skip
FILES: dict[str, tuple[str, str]] = {
    "jsonl": ("x.jsonl", json.dumps(JSONL) + "\n" + json.dumps(JSONL | {"doc_key": "b"}) + "\n"),
    "conll": ("x.conll", "-DOCSTART- O\n\nAda\tB-P\nBell\tI-P\nmet\tO\nBob\tB-P\n\nGo\tO\n"),
    "offsets": ("x.json", json.dumps([OFFSETS, OFFSETS | {"id": 2}])),
    "words": ("x.json", json.dumps([{"tokens": ["Ada", "left"], "entities": [{"type": "P", "start": 0, "end": 1}],
                                     "relations": [], "orig_id": 5}])),
    "webanno": ("x.tsv", "#FORMAT=WebAnno TSV 3.2\n#T_SP=webanno.custom.Referent|entity\n\n#Text=Ada left\n"
                         "1-1\t0-3\tAda\tperson[1]\n1-2\t4-8\tleft\tperson[1]\n"),
    "conll2012": ("x.gold_conll", "#begin document (a); part 000\na 0 0 Ada NNP * - - - - (PER) -\n"
                                  "a 0 1 left VBD * - - - - * -\n\n#end document\n"),
}  # fmt: skip
BRAT = {"a.txt": "Ada met Bob.\n", "a.ann": "T1\tP 0 3\tAda\nT2\tP 8 11\tBob\nR1\tmet Arg1:T1 Arg2:T2\n"}
PIECES = ["", "\t", "\n", " ", '"', "[", "]", "{", "}", ",", ":", "null", "-1", "1e9", "\x00", "\ufeff", "\u200b", "é",
          "🙂", "\ud800", "0", "_", "|", "\\", "B-", "I-P", "T1", "#", "\r\n"]  # fmt: skip
WORDS = [
    "Ada",
    "Bob",
    "met",
    ".",
    "é",
    "🙂",
    "\u200b",
    "שלום",
    "日本",
    "a" * 60,
    "'s",
    "\ud800",
    "[CLS]",
    "[unused1]",
    "",
]
SCHEMA = LabelSchema(("P", "Q"), ("met", "near"), ("near",))


def damaged(text: str, draw: random.Random) -> bytes:
    """A text with a few random changes, as bytes that need not be UTF-8."""
    data = text.encode("utf-8")
    for _ in range(draw.randint(1, 4)):
        place, length = draw.randrange(len(data) + 1), draw.choice((0, 0, 1, 2, 9))
        piece = draw.choice(PIECES).encode("utf-8", "surrogatepass")
        if draw.random() < 0.15:
            piece = bytes([draw.randrange(256)])
        if draw.random() < 0.15:
            start = draw.randrange(len(data) + 1)
            piece = data[start : start + draw.randrange(30)]
        data = data[:place] + piece + data[place + length :]
    return data


def fuzz_reader(draw: random.Random, folder: Path) -> None:
    """One damaged file through a reader: named, or guessed."""
    if draw.random() < 0.15:
        name = "brat"
        for file, text in BRAT.items():
            (folder / file).write_bytes(damaged(text, draw) if draw.random() < 0.7 else text.encode())
        path = folder / "a.ann"
    else:
        name = draw.choice(sorted(FILES))
        file, text = FILES[name]
        path = folder / file
        path.write_bytes(damaged(text, draw))
    report = ReadingReport()
    guessed = draw.random() < 0.3
    for document in read_corpus(path, report, None if guessed else name, FORMATS[name].reading):
        count = sum(map(len, document["sentences"]))
        for row in (row for rows in document["ner"] or () for row in rows):
            assert 0 <= row["start"] <= row["end"] < count


def document_of(draw: random.Random) -> dict[str, Any]:
    """A random typed document."""
    sentences = [[draw.choice(WORDS[:-1]) for _ in range(draw.randrange(12))] for _ in range(draw.randrange(5))]
    ner: list[Any] = []
    relations: list[Any] = []
    first = 0
    for words in sentences:
        spans = {(s, min(s + draw.randrange(4), len(words) - 1)) for s in range(len(words)) if draw.random() < 0.3}
        rows = [{"start": first + s, "end": first + e, "label": draw.choice("PQ")} for s, e in sorted(spans)]
        ner.append(rows)
        pairs = [(a, b) for a in rows for b in rows if draw.random() < 0.2]
        ends = [(a["start"], a["end"], b["start"], b["end"], "met") for a, b in pairs]
        names = ("head_start", "head_end", "tail_start", "tail_end", "label")
        relations.append([dict(zip(names, row, strict=True)) for row in ends])
        first += len(words)
    return {"doc_key": "d", "sentences": sentences, "ner": ner, "relations": relations, "predicted_ner": None}


def fuzz_rows(draw: random.Random, models: dict[str, Any], tokenize: WordTokenizer) -> None:
    """Rows of a random document, for training and for evaluation, laid out as a batch."""
    model = models[draw.choice(sorted(models))]
    document = document_of(draw)
    for training in (False, True):
        rows = model.task.rows(document, tokenize, training)
        examples = (
            [e for row in rows for e in model.task.training_examples(row)] if training else model.task.examples(rows)
        )
        batch = model.task.batch(examples).inputs
        assert int(batch["window_sizes"][:, 0].sum()) == len(batch["input_ids"])


def fuzz_decoding(draw: random.Random) -> None:
    """Random scores of spans: without overlaps of one type, or of any where entities are flat."""
    spans = [(s, e) for s in range(8) for e in range(s, min(8, s + 3))]
    scale = draw.choice((0.1, 1.0, 100.0))
    logits = np.random.default_rng(draw.randrange(2**32)).normal(size=(len(spans), 3)) * scale
    flat = draw.random() < 0.5
    kept = remove_overlaps(label_spans(spans, logits.astype(np.float32)), flat)
    for number, one in enumerate(kept):
        for other in kept[number + 1 :]:
            apart = one.end < other.start or other.end < one.start
            assert apart or not flat


def fuzz_given(draw: random.Random) -> None:
    """Words fit given entities."""
    text = " ".join(draw.choice(WORDS) for _ in range(draw.randrange(1, 10)))
    cuts = sorted(draw.randrange(len(text) + 1) for _ in range(4))
    spans = [(a, b, "P") for a, b in zip(cuts[::2], cuts[1::2], strict=True)]
    sentences, given = align_given(text, locate_words(text), spans, "text")
    words = [word for sentence in sentences for word in sentence]
    assert sum(map(len, given)) == len(spans)
    assert all(0 <= e["start"] <= e["end"] < len(words) for rows in given for e in rows)


def fuzz_extract(draw: random.Random, model: PLMarkerModel) -> None:
    """Offsets of what is found in a random text."""
    text = draw.choice(("", "\n", " ")).join(draw.choice(WORDS) for _ in range(draw.randrange(20)))
    if draw.random() < 0.3:
        text = "".join(chr(draw.randrange(1, 0x11000)) for _ in range(draw.randrange(30)))
    found: Any = model.extract(text)
    for entity in found.entities:
        assert text[entity.start : entity.end] == entity.text != ""
    assert all(relation.head in found.entities for relation in found.relations)
    json.dumps(found.to_dict())


def tiny_models(folder: Path) -> dict[str, Any]:
    """Models of a random encoder with a real tokenizer."""
    tokenizer = load_tokenizer("minilm")
    config = BertConfig(vocab_size=len(tokenizer), hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
                        intermediate_size=16, max_position_embeddings=64)  # fmt: skip
    BertModel(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    common: Any = {"schema": SCHEMA, "max_seq_length": 32}
    start: dict[str, Any] = {"entity": PLMarkerForEntityRecognition, "relation": PLMarkerForRelationExtraction}
    models = {name: kind.from_encoder(str(folder), **common) for name, kind in start.items()}
    models["shared"] = PLMarkerModel.from_encoder(str(folder), shared_encoder=True, **common)
    for model in models.values():
        for parameter in model.parameters():
            torch.nn.init.normal_(parameter, std=0.7)
    return models


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--examples", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    kinds: Counter[str] = Counter()
    examples: dict[str, int] = {}
    refused: Counter[str] = Counter()
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        models = tiny_models(Path(folder, "encoder"))
        files = Path(folder, "files")
        files.mkdir()
        tokenize = WordTokenizer(models["entity"].tokenizer)
        # Extraction takes the most time, and reading has the most ways to go wrong.
        cases: list[tuple[str, float, Callable[[random.Random], None]]] = [
            ("readers", 0.7, lambda draw: fuzz_reader(draw, files)),
            ("rows", 0.08, lambda draw: fuzz_rows(draw, models, tokenize)),
            ("decoding", 0.1, fuzz_decoding),
            ("given entities", 0.1, fuzz_given),
            ("extract", 0.02, lambda draw: fuzz_extract(draw, models["shared"])),
        ]
        for name, share, run in cases:
            examples[name] = round(options.examples * share)
            for number in range(examples[name]):
                try:
                    run(random.Random(f"{options.seed} {name} {number}"))
                except PLMarkerError:
                    refused[name] += 1
                except Exception as error:
                    frame = traceback.extract_tb(error.__traceback__)[-1]
                    kind = f"{name}: {type(error).__name__} at {Path(frame.filename).name}:{frame.lineno}"
                    if kind not in kinds:
                        print(f"{kind}, example {number}: {error}", flush=True)
                    kinds[kind] += 1
            print(f"{name}: {examples[name]} examples, {refused[name]} refused", flush=True)
    report = {"examples": examples, "refused": dict(refused), "kinds": dict(kinds),
              "seconds": round(time.perf_counter() - start), "seed": options.seed}  # fmt: skip
    print(f"{sum(examples.values())} examples, {len(kinds)} kinds of errors")
    if options.json:
        options.json.write_text(json.dumps(report, indent=1) + "\n")
    return int(bool(kinds))


if __name__ == "__main__":
    sys.exit(main())
