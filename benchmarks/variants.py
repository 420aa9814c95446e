"""The paper's method against its baselines and ablations on SciERC: same steps, batch, learning rate and seeds.

    python benchmarks/variants.py --data FOLDER --json benchmarks/variants.json

MiniLM, batch 8, lr 3e-4. Entities: 500 steps, windows of 192 subwords, groups of 96 spans (T-Concat and the tagger have
all of a sentence in one example). Relations: 750 steps, windows of 256, gold entities.
FOLDER holds train.json, dev.json and test.json. A call continues where an earlier one stopped.
"""

from __future__ import annotations

import json
import statistics
from typing import Any

from scierc_recipe import read_options, train
from transformers import AutoTokenizer, set_seed

from plmarker import LabelSchema, PLMarkerForEntityRecognition, PLMarkerForRelationExtraction
from plmarker.encoders.loading import resolve_encoder
from plmarker.trainers.evaluation import evaluate_documents

ENTITY_VARIANTS: dict[str, dict[str, Any]] = {
    "marker": {"max_pair_length": 96, "marker_init": "lm"},
    "t-concat": {"method": "t-concat", "max_pair_length": None},
    "bio": {"method": "bio", "max_pair_length": None},
}
RELATION_VARIANTS: dict[str, dict[str, Any]] = {
    "bidirectional": {"marker_init": "lm"},
    "unidirectional": {"bidirectional": False, "marker_init": "lm"},
    "levitated-pair": {"subject_markers": "levitated", "max_pair_length": 64, "marker_init": "lm"},
    "type-markers": {"type_markers": True, "marker_init": "lm"},
}
ENTITY_STEPS, RELATION_STEPS = 500, 750


def run(data: Any, schema: LabelSchema, encoder: str, task: str, values: dict[str, Any], seed: int) -> dict[str, Any]:
    """Train one variant with one seed and evaluate it on dev and test."""
    tokenizer = AutoTokenizer.from_pretrained(resolve_encoder(encoder))
    set_seed(seed)
    if task == "entity":
        model: Any = PLMarkerForEntityRecognition.from_encoder(encoder, schema, max_seq_length=192, **values)
    else:
        model = PLMarkerForRelationExtraction.from_encoder(encoder, schema, **values)
    seconds, _ = train(model, tokenizer, data["train"], ENTITY_STEPS if task == "entity" else RELATION_STEPS, seed)
    result: dict[str, Any] = {"seconds": seconds}
    for split in ("validation", "test"):
        metrics = evaluate_documents(list(data[split]), tokenizer, **{task: model}).metrics
        result[split] = {name: value for name, value in metrics.items() if "/" not in name}
    return result


def table(runs: dict[str, Any]) -> str:
    """F1 on dev and test in percent, mean over the seeds, as Markdown."""
    lines = ["| variant | seeds | dev | test |", "| --- | --- | --- | --- |"]
    for key, seeds in runs.items():
        names = ["ent_f1"] if key.startswith("entity") else ["gold_rel_f1", "gold_rel_strict_f1"]
        cells = [
            " / ".join(f"{100 * statistics.mean(run[split][name] for run in seeds.values()):.1f}" for name in names)
            for split in ("validation", "test")
        ]
        lines.append(f"| {key} | {len(seeds)} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    options, data, schema = read_options(str(__doc__))
    report = json.loads(options.json.read_text()) if options.json.exists() else {"encoder": options.encoder, "runs": {}}
    for seed in options.seeds:
        for task, variants in (("entity", ENTITY_VARIANTS), ("relation", RELATION_VARIANTS)):
            for name, values in variants.items():
                runs = report["runs"].setdefault(f"{task}, {name}", {})
                if str(seed) not in runs:
                    runs[str(seed)] = run(data, schema, options.encoder, task, values, seed)
                    options.json.write_text(json.dumps(report, indent=1) + "\n")
                    print(table(report["runs"]), flush=True)


if __name__ == "__main__":
    main()
