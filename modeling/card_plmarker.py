"""The card of a model: what it finds, what it was trained on, its figures, how to use it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from huggingface_hub import EvalResult, ModelCard, ModelCardData

# Metrics that stand on a card, with the entities that they stand on.
FIGURES = {
    "ent_f1": "Ent F1",
    "rel_f1": "Rel F1, predicted entities",
    "rel_strict_f1": "Rel+ F1, predicted entities",
    "gold_rel_f1": "Rel F1, gold entities",
    "gold_rel_strict_f1": "Rel+ F1, gold entities",
}
CITATION = """@inproceedings{ye-etal-2022-packed,
  title = {Packed Levitated Marker for Entity and Relation Extraction},
  author = {Ye, Deming and Lin, Yankai and Li, Peng and Sun, Maosong},
  booktitle = {Proceedings of ACL 2022},
  year = {2022}
}"""
# Whoever edits a card takes this line out, and the card is theirs.
GENERATED = (
    "<!-- Written by plmarker, and written anew when the model is saved or pushed, as long as this line is here. -->"
)
EXAMPLE = "Ines Tavarro founded the Brellin Observatory in 1974."

USES = {
    "plmarker": """import plmarker  # registers the model types
from transformers import AutoModel

model = AutoModel.from_pretrained("{name}")
doc = model.extract("{example}")
print(doc.entities)
print(doc.relations)""",
    "plmarker-ner": """from transformers import AutoModel, AutoTokenizer
from plmarker import PLMarkerModel

entity = AutoModel.from_pretrained("{name}")
model = PLMarkerModel.from_models(entity, None, AutoTokenizer.from_pretrained("{name}"))
print(model.extract("{example}").entities)""",
    "plmarker-re": """import plmarker  # registers the model types
from transformers import AutoModel

# Relations between given entities; with an entity model PLMarkerModel.from_models makes it extract from text.
model = AutoModel.from_pretrained("{name}")""",
}


def is_generated(card: str) -> bool:
    """Whether a card is as `model_card` wrote it, not somebody's own."""
    return GENERATED in card


def save_card(config: Any, name: str, folder: str | Path) -> None:
    """Write a model's card, README.md, into its folder, unless there is one of somebody's own."""
    path = Path(folder) / "README.md"
    if not path.exists() or is_generated(path.read_text(encoding="utf-8")):
        model_card(config, name).save(path)


def model_card(config: Any, name: str) -> ModelCard:
    """Write the card of a model from its config.

    Args:
        config: of any of the three models; its `training_run`, where there is one, says how it was trained: `encoder`,
            `dataset`, `split`, `revision`, `seed`, `metrics` (fractions), `hyperparameters` by task, `license`.
        name: by which it is loaded, a Hub id or a folder.
    """
    run: Mapping[str, Any] = config.training_run or {}
    schema = config.schema
    metrics = run.get("metrics") or {}
    data = ModelCardData(
        library_name="plmarker",
        pipeline_tag="token-classification",
        tags=["plmarker", "named-entity-recognition", *(["relation-extraction"] if schema.relation_labels else [])],
        base_model=_hub_id(run.get("encoder")),
        datasets=[run["dataset"]] if _hub_id(run.get("dataset")) else None,
        license=run.get("license"),
        metrics=["f1"] if metrics else None,
        model_name=name.rsplit("/", 1)[-1],
        eval_results=[_eval_result(key, metrics[key], run) for key in FIGURES if key in metrics] or None,
    )
    data["widget"] = [{"text": EXAMPLE}]
    lines = [
        GENERATED,
        f"# {name.rsplit('/', 1)[-1]}",
        "PL-Marker (packed levitated markers, ACL 2022) as a `transformers` model of "
        "[plmarker](https://pypi.org/project/plmarker/): "
        + {
            "plmarker": "text in, entities and relations out.",
            "plmarker-ner": "it finds entities.",
            "plmarker-re": "it finds the relations between given entities.",
        }[config.model_type],
        "## Use",
        f"```python\n{USES[config.model_type].format(name=name, example=EXAMPLE)}\n```",
        "## Labels",
        f"Entities: {_labels(schema.entity_labels)}.",
    ]
    if schema.relation_labels:
        symmetric = f" Symmetric: {_labels(schema.symmetric_labels)}." if schema.symmetric_labels else ""
        lines.append(f"Relations: {_labels(schema.relation_labels)}.{symmetric}")
    if metrics:
        rows = [f"| {FIGURES[key]} | {100 * metrics[key]:.1f} |" for key in FIGURES if key in metrics]
        lines += ["## Figures", _where(run), "\n".join(["| figure, in percent | |", "| --- | --- |", *rows])]
    if run:
        lines += ["## Training", _training(run)]
    lines += ["## Citation", f"```bibtex\n{CITATION}\n```"]
    return ModelCard(f"---\n{data.to_yaml()}\n---\n\n" + "\n\n".join(lines) + "\n")


def _eval_result(key: str, value: float, run: Mapping[str, Any]) -> EvalResult:
    dataset = str(run.get("dataset", "unknown"))
    return EvalResult(
        task_type="token-classification" if key == "ent_f1" else "relation-extraction",
        dataset_type=dataset,
        dataset_name=dataset.rsplit("/", 1)[-1],
        dataset_split=run.get("split"),
        dataset_revision=run.get("revision"),
        metric_type="f1",
        metric_name=FIGURES[key],
        metric_value=round(value, 4),
        metric_args={"seeds": [run["seed"]]} if "seed" in run else None,
    )


def _where(run: Mapping[str, Any]) -> str:
    seed = f", seed {run['seed']}" if "seed" in run else ""
    return (
        f"On `{run.get('dataset', 'unknown')}`, split `{run.get('split', 'unknown')}`{seed}. Rel asks for both spans "
        "and the label, Rel+ for both entity types too; a symmetric relation counts twice."
    )


def _training(run: Mapping[str, Any]) -> str:
    parts = [f"Encoder `{run.get('encoder')}`, data `{run.get('dataset')}`."]
    for task, values in (run.get("hyperparameters") or {}).items():
        parts.append(f"{task}: " + ", ".join(f"`{key}` {value}" for key, value in values.items()) + ".")
    return "\n\n".join(parts)


def _labels(labels: tuple[str, ...]) -> str:
    return ", ".join(f"`{label}`" for label in labels)


def _hub_id(name: Any) -> str | None:
    """The name, where it can be one on the Hub."""
    text = str(name or "")
    return text if text.count("/") == 1 and not text.startswith((".", "/", "~")) else None
