"""Do calibrated scores and guarantees hold on documents that were not used to fit them?

    python benchmarks/calibration.py --data FOLDER --entity MODEL --relation MODEL --cache FILE \
        --json benchmarks/calibration.json

FOLDER holds SciERC as `train.json`, `dev.json`, `test.json`. The models are an entity model and a relation model that
were trained on its training split. The validation and the test documents are pooled and read once; `--cache` keeps what
was found. Relations join the entities that the entity model finds without a threshold. Each of many random splits
takes a half of the documents to fit a threshold, and the other half to see what it does there.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import torch

from plmarker import PLMarkerError, PLMarkerForEntityRecognition, PLMarkerForRelationExtraction, load_documents
from plmarker.modeling.prediction_plmarker import BATCH_TOKENS
from plmarker.trainers.findings import Findings, Found
from plmarker.trainers.guarantees import (
    missed_shares,
    threshold_for_found,
    threshold_for_wrong,
    wrong_shares,
)
from plmarker.trainers.scoring import findings_of, scored_documents, with_found_entities

SEED, CONFIDENCE = 0, 0.9
WRONG = (0.1, 0.2, 0.3, 0.4, 0.5)
LEAST_FOUND = (0.5, 0.7, 0.8, 0.9, 0.95)
# Decoding as usual, and with labels that win over NIL.
KINDS = {"usual": 0.0, "beyond_nil": 1.0}


def read(data: str, entity_name: str, relation_name: str) -> dict[str, list[Any]]:
    """What the models find in the pooled documents, by task and kind of decoding."""
    entity = PLMarkerForEntityRecognition.from_pretrained(entity_name)
    relation = PLMarkerForRelationExtraction.from_pretrained(relation_name)
    splits = load_documents(data)
    documents = [*splits["validation"], *splits["test"]]
    cache = {}
    for name, part in (("entities", entity), ("relations", relation)):
        if name == "relations":
            documents = with_found_entities(entity, documents, BATCH_TOKENS)
        checked, tokenize = part.checked_documents(documents, BATCH_TOKENS)
        scored = list(scored_documents(part, checked, tokenize, BATCH_TOKENS))
        for kind, least_nil in KINDS.items():
            cache[f"{name}.{kind}"] = [
                {"found": [[o.label, o.score, o.is_right] for o in one.found], "annotated": dict(one.annotated)}
                for one in findings_of(part, scored, 1.0, least_nil)
            ]
    return cache


def measure(found: list[Findings], level: float, n_splits: int, is_wrong: bool, name: str) -> dict[str, Any]:
    """What a level gives on the other half of many random splits."""
    draw = np.random.default_rng(SEED)
    shares, pooled, thresholds, other, refusals = [], [], [], [], Counter[str]()
    for _ in range(n_splits):
        order = draw.permutation(len(found))
        fitted, tested = ([found[n] for n in half] for half in np.array_split(order, 2))
        try:
            if is_wrong:
                threshold = threshold_for_wrong(fitted, level, CONFIDENCE, name)
            else:
                threshold = threshold_for_found(fitted, level, name)
        except PLMarkerError as error:
            refusals["too few" if "takes at least" in str(error) else "not reached"] += 1
            continue
        wrong, returned = wrong_shares(tested, [threshold])
        annotated = [one for one in tested if one.annotated]
        missed = missed_shares(annotated, [threshold])
        totals = np.array([one.annotated.total() for one in annotated])
        wrong_pooled = float((wrong * returned).sum() / max(returned.sum(), 1))
        missed_pooled = float((missed * totals).sum() / totals.sum())
        if is_wrong:
            shares.append(float(wrong.mean()))
            pooled.append(wrong_pooled)
            other.append(1 - missed_pooled)
        else:
            shares.append(float(1 - missed.mean()))
            pooled.append(1 - missed_pooled)
            other.append(1 - wrong_pooled)
        thresholds.append(threshold)
    if not shares:
        return {"level": level, "splits": n_splits, "refused": dict(refusals)}
    kept = np.array(shares) <= level if is_wrong else np.array(shares) >= level
    return {
        "level": level,
        "splits": n_splits,
        "refused": dict(refusals),
        "mean": float(np.mean(shares)),
        "pooled": float(np.mean(pooled)),
        "kept": float(kept.mean()),
        "threshold": float(np.median(thresholds)),
        "other": float(np.mean(other)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True)
    parser.add_argument("--entity", required=True)
    parser.add_argument("--relation", required=True)
    parser.add_argument("--cache", required=True, type=Path)
    parser.add_argument("--splits", type=int, default=200)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if not options.cache.exists():
        torch.set_num_threads(1)
        options.cache.write_text(json.dumps(read(options.data, options.entity, options.relation)), encoding="utf-8")
    cache = json.loads(options.cache.read_text(encoding="utf-8"))
    results: dict[str, Any] = {"confidence": CONFIDENCE}
    for name in ("entities", "relations"):
        found = {
            kind: [
                Findings([Found(*row) for row in one["found"]], Counter(one["annotated"]))
                for one in cache[f"{name}.{kind}"]
            ]
            for kind in KINDS
        }
        usual = found["usual"]
        results[f"{name}.documents"] = len(usual)
        print(f"\n{name}, {len(usual)} documents, {options.splits} splits into halves")
        for what, levels, kind in (("wrong", WRONG, "usual"), ("found", LEAST_FOUND, "beyond_nil")):
            rows = [measure(found[kind], level, options.splits, what == "wrong", name) for level in levels]
            results[f"{name}.{what}"] = rows
            promise = "at most wrong" if what == "wrong" else "at least found"
            other = "found, pooled" if what == "wrong" else "right, pooled"
            print(f"{promise:<16}{'refused':>9}{'measured':>10}{'pooled':>8}{'kept':>7}{'threshold':>11}{other:>15}")
            for row in rows:
                refused = sum(row["refused"].values()) / row["splits"]
                line = f"{row['level']:<16}{refused:>9.3f}"
                if "mean" in row:
                    line += f"{row['mean']:>10.3f}{row['pooled']:>8.3f}{row['kept']:>7.3f}"
                    line += f"{row['threshold']:>11.4f}{row['other']:>15.3f}"
                print(line)
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
