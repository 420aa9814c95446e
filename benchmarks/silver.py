"""How good are the places of entities that are given by their texts alone, and what do models learn from them?

    python benchmarks/silver.py --data FOLDER --json benchmarks/silver.json

FOLDER holds SciERC as `train.json`, `dev.json`, `test.json`. The first table takes the offsets away from annotated
documents, finds the places again, and compares. The second one trains taggers for entities on a few documents as they
are (gold) and on many whose offsets were taken away (silver). Each silver list has a text once, as language models
give it. All trainings have the same number of steps, on one thread; all take ten minutes on an idle core.
"""

from __future__ import annotations

import argparse
import json
import logging
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset, concatenate_datasets
from transformers import AutoTokenizer, TrainingArguments, set_seed

from plmarker import LabelSchema, PLMarkerForEntityRecognition, PLMarkerTrainer, load_documents
from plmarker.data.occurrences import OCCURRENCES
from plmarker.encoders.loading import resolve_encoder
from plmarker.modeling.text_plmarker import join_words
from plmarker.trainers.evaluation import evaluate_documents

SEED, BATCH, LEARNING_RATE = 42, 4, 5e-4
SILVER_WEIGHT = 0.3
LISTS = {"as often as annotated": False, "each text once": True}


def stripped(document: Mapping[str, Any], once: bool) -> dict[str, Any]:
    """A document as a list of texts and labels; `once` lists a text with a label once."""
    text, located = join_words(document["sentences"])
    words = [place for sentence in located for place in sentence]

    def mention(start: int, end: int) -> str:
        return text[words[start][0] : words[end][1]]

    entities = [(mention(e["start"], e["end"]), e["label"]) for sentence in document["ner"] for e in sentence]
    relations = [
        {
            "head": mention(r["head_start"], r["head_end"]),
            "tail": mention(r["tail_start"], r["tail_end"]),
            "label": r["label"],
        }
        for sentence in document["relations"]
        for r in sentence
    ]
    listed = list(dict.fromkeys(entities)) if once else entities
    entities_of_list = [{"text": name, "label": label} for name, label in listed]
    return {"doc_key": document["doc_key"], "text": text, "entities": entities_of_list, "relations": relations}


def silver(documents: Iterable[Mapping[str, Any]], once: bool, occurrences: str) -> Dataset:
    """Documents whose annotations were taken to texts, and found again."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "silver.jsonl"
        path.write_text("\n".join(json.dumps(stripped(document, once)) for document in documents), encoding="utf-8")
        return load_documents(path, occurrences=occurrences)["train"]


def by_characters(document: Mapping[str, Any]) -> tuple[set[Any], set[Any]]:
    """Entities and relations by characters. White space does not count, since words may be cut differently."""
    places, place = [], 0
    for sentence in document["sentences"]:
        for word in sentence:
            places.append((place, place + len(word)))
            place += len(word)

    def span(start: int, end: int) -> tuple[int, int]:
        return places[start][0], places[end][1]

    entities = {(*span(e["start"], e["end"]), e["label"]) for rows in document["ner"] for e in rows}
    relations = {
        (span(r["head_start"], r["head_end"]), span(r["tail_start"], r["tail_end"]), r["label"])
        for rows in document["relations"]
        for r in rows
    }
    return entities, relations


def measure_places(documents: Dataset) -> Iterator[dict[str, Any]]:
    """Precision and recall of the places, by list and by occurrences."""
    gold = [by_characters(document) for document in documents]
    for name, once in LISTS.items():
        for occurrences in OCCURRENCES:
            found = [by_characters(document) for document in silver(documents, once, occurrences)]
            row: dict[str, Any] = {"list": name, "occurrences": occurrences}
            for kind, place in (("entities", 0), ("relations", 1)):
                right = sum(len(a[place] & b[place]) for a, b in zip(gold, found, strict=True))
                row[kind] = [right / sum(len(part[place]) for part in side) for side in (found, gold)]
            yield row


def train(documents: Dataset, test: list[Any], schema: LabelSchema, tokenizer: Any, steps: int) -> dict[str, float]:
    """Train a tagger. Return its figures."""
    set_seed(SEED)
    model = PLMarkerForEntityRecognition.from_encoder(
        "minilm", schema, method="bio", max_seq_length=256, shared_windows=True
    )
    with tempfile.TemporaryDirectory() as folder:
        args = TrainingArguments(
            output_dir=folder,
            max_steps=steps,
            seed=SEED,
            per_device_train_batch_size=BATCH,
            learning_rate=LEARNING_RATE,
            warmup_steps=0.1,
            save_strategy="no",
            disable_tqdm=True,
            report_to="none",
        )
        PLMarkerTrainer(model, args, train_dataset=documents, processing_class=tokenizer).train()
    metrics = evaluate_documents(test, tokenizer, model).metrics
    return {name: metrics[f"ent_{name}"] for name in ("precision", "recall", "f1")}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True)
    parser.add_argument("--json", required=True, type=Path)
    parser.add_argument("--gold", type=int, default=20, help="training documents with offsets")
    parser.add_argument("--silver", type=int, default=100, help="training documents without offsets")
    parser.add_argument("--test", type=int, default=50, help="test documents")
    parser.add_argument("--steps", type=int, default=200, help="of each training; 0 measures places alone")
    options = parser.parse_args()
    torch.set_num_threads(1)
    # The reader warns of each text with several labels.
    logging.getLogger("plmarker").setLevel(logging.ERROR)
    data = load_documents(options.data)
    corpora = {"SciERC": data["train"], "sample": concatenate_datasets(list(load_documents("sample").values()))}
    results: dict[str, Any] = {"places": {name: list(measure_places(corpus)) for name, corpus in corpora.items()}}
    for name, rows in results["places"].items():
        print(f"\n{name}, {len(corpora[name])} documents, percent{'entities P / R':>22}{'relations P / R':>18}")
        for row in rows:
            figures = "".join(
                f"{100 * row[kind][0]:>11.1f} / {100 * row[kind][1]:.1f}" for kind in ("entities", "relations")
            )
            print(f"{row['list']:<24}{row['occurrences']:<10}{figures}")
    options.json.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    if not options.steps:
        return
    schema = LabelSchema.from_documents(document for split in data.values() for document in split)
    tokenizer = AutoTokenizer.from_pretrained(resolve_encoder("minilm"))
    gold = data["train"].select(range(options.gold))
    rest = data["train"].select(range(options.gold, options.gold + options.silver))
    lists = {name: silver(rest, True, name) for name in ("all", "nearest")}
    weighted = lists["all"].map(lambda document: {**document, "weight": SILVER_WEIGHT})
    trainings = {
        "gold": gold,
        "gold and silver, all": concatenate_datasets([gold, lists["all"]]),
        "gold and silver, nearest": concatenate_datasets([gold, lists["nearest"]]),
        f"gold and silver, all, weight {SILVER_WEIGHT}": concatenate_datasets([gold, weighted]),
        "gold and the same documents with offsets": concatenate_datasets([gold, rest]),
    }
    results |= {"gold": options.gold, "silver": options.silver, "test": options.test, "steps": options.steps}
    results["training"] = {}
    print(f"\n{options.gold} gold and {options.silver} silver documents, {options.steps} steps: P, R and F1 in percent")
    for name, documents in trainings.items():
        found = train(documents, list(data["test"].select(range(options.test))), schema, tokenizer, options.steps)
        results["training"][name] = found
        print(f"{name:<44}" + "".join(f"{100 * value:>8.1f}" for value in found.values()), flush=True)
        options.json.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
