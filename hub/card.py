"""The card of a model: its labels, training data, figures and use."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from huggingface_hub import EvalResult, ModelCard, ModelCardData
from huggingface_hub.errors import HFValidationError
from huggingface_hub.utils import validate_repo_id

# The metrics of a card, with the entities that they join.
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
# A person who edits a card deletes this line. Then the card is never overwritten.
GENERATED = (
    "<!-- Written by plmarker, and written anew when the model is saved or pushed, as long as this line is here. -->"
)
# transformers and peft begin a missing card with this line.
TEMPLATE = "# Model Card for Model ID"
EXAMPLE = "Ines Tavarro founded the Brellin Observatory in 1974."

USES = {
    "plmarker": """import plmarker  # registers the model types
from transformers import AutoModel

model = AutoModel.from_pretrained({name})
doc = model.extract({example})
print(doc.entities)
print(doc.relations)""",
    "plmarker-ner": """from transformers import AutoModel, AutoTokenizer
from plmarker import PLMarkerModel

entity = AutoModel.from_pretrained({name})
model = PLMarkerModel.from_models(entity, None, AutoTokenizer.from_pretrained({name}))
print(model.extract({example}).entities)""",
    "plmarker-re": """import plmarker  # registers the model types
from transformers import AutoModel

# Relations between given entities; with an entity model PLMarkerModel.from_models makes it extract from text.
model = AutoModel.from_pretrained({name})""",
}
# How to load an adapter: of a named model, or of an encoder. The second kind holds the heads and the markers.
USE_OF_ADAPTER = """import plmarker  # registers the model types
from peft import PeftModel
from transformers import AutoModel

base = AutoModel.from_pretrained({base})  # of a combined model its part, base.entity or base.relation
model = PeftModel.from_pretrained(base, {name})"""
USE_FROM_ENCODER = """from peft import PeftModel
from plmarker import LabelSchema, {model_class}

schema = LabelSchema({labels})
base = {model_class}.from_encoder({encoder}, schema{options})
model = PeftModel.from_pretrained(base, {name})"""
MODEL_CLASSES = {"plmarker-ner": "PLMarkerForEntityRecognition", "plmarker-re": "PLMarkerForRelationExtraction"}
# For a model with its code beside it.
WITH_CODE = (
    "Where plmarker is not installed, leave its import out and load the model with `trust_remote_code=True`; "
    "`pip install sentencex` splits sentences as plmarker does."
)
# `from_encoder` sets these fields of a config itself, or they are found for weights and files that are there already.
FOUND = (
    "encoder_config",
    "marker_tokens",
    "marker_token_ids",
    "pad_token_id",
    "tokenizer_hash",
    "temperature",
    "thresholds",
    "training_run",
)


def is_generated(card: str) -> bool:
    """Whether `model_card` or a template wrote a card, and no person edited it."""
    return GENERATED in card or TEMPLATE in card


def save_card(
    config: Any,
    folder: str | Path,
    name: str | None = None,
    tags: Sequence[str] = (),
    adapter_of: str | None = None,
) -> None:
    """Write a model's card, README.md, into its folder, unless a person wrote or edited the card there.

    Args:
        name: the name by which the model is loaded; by default the folder's.
        tags: further tags. Tags of an earlier card are kept.
        adapter_of: see `model_card`.
    """
    path = Path(folder) / "README.md"
    if path.exists():
        there = path.read_text(encoding="utf-8")
        if not is_generated(there):
            return
        tags = [*tags, *(ModelCard(there, ignore_metadata_errors=True).data.to_dict().get("tags") or ())]
    card = model_card(config, name or path.resolve().parent.name, tags, adapter_of)
    if (path.parent / "modeling_plmarker.py").exists():
        card.text = card.text.replace("## Labels", f"{WITH_CODE}\n\n## Labels", 1)
    card.save(path)


def model_card(config: Any, name: str, tags: Sequence[str] = (), adapter_of: str | None = None) -> ModelCard:
    """Write the card of a model from its config.

    Args:
        config: the config of any of the three models. Its `training_run` describes the training: `encoder`,
            `dataset` (or a list of them), `config_name` (a configuration of the dataset), `split`, `revision`, `seed`,
            `metrics` (fractions), `hyperparameters` by task, `license`.
        name: the name by which the model is loaded, a Hub id or a folder.
        tags: further tags.
        adapter_of: for an adapter, the name of the model that it was trained on; empty where it has no name.
    """
    run: Mapping[str, Any] = config.training_run or {}
    schema = config.schema
    metrics = {
        key: value for key, value in (run.get("metrics") or {}).items() if key in FIGURES and isinstance(value, float)
    }
    # An entity model keeps the relation labels of its schema, but finds no relations.
    relations = config.model_type == "plmarker-re" or getattr(config, "relation_config", None) is not None
    own_tags = ["plmarker", "named-entity-recognition", *(["relation-extraction"] if relations else [])]
    data = ModelCardData(
        library_name="plmarker" if adapter_of is None else "peft",
        pipeline_tag="token-classification",
        tags=list(dict.fromkeys([*own_tags, *tags])),
        base_model=_hub_id(adapter_of or run.get("encoder")),
        datasets=[dataset for dataset in _datasets(run) if _hub_id(dataset)] or None,
        license=run.get("license"),
        metrics=["f1"] if metrics else None,
        model_name=name.rsplit("/", 1)[-1],
        eval_results=[_eval_result(key, metrics[key], run) for key in FIGURES if key in metrics] or None,
    )
    data["widget"] = [{"text": EXAMPLE}]
    lines = [
        GENERATED,
        f"# {name.rsplit('/', 1)[-1]}",
        "PL-Marker (packed levitated markers, ACL 2022) as a `transformers` model of the package `plmarker`: "
        + {
            "plmarker": f"text in, entities{' and relations' if relations else ''} out.",
            "plmarker-ner": "it finds entities.",
            "plmarker-re": "it finds the relations between given entities.",
        }[config.model_type],
        "## Use",
        f"```python\n{_use(config, name, adapter_of)}\n```",
        "## Labels",
        f"Entities: {_labels(schema.entity_labels)}.",
    ]
    if relations:
        symmetric = f" Symmetric: {_labels(schema.symmetric_labels)}." if schema.symmetric_labels else ""
        kept = f" Decoding keeps constraints on {_labels(tuple(schema.constraints))}." if schema.constraints else ""
        lines.append(f"Relations: {_labels(schema.relation_labels)}.{symmetric}{kept}")
    if metrics:
        rows = [f"| {FIGURES[key]} | {100 * metrics[key]:.1f} |" for key in FIGURES if key in metrics]
        lines += ["## Figures", _where(run, relations), "\n".join(["| figure, in percent | |", "| --- | --- |", *rows])]
    if run:
        lines += ["## Training", _training(run)]
    lines += ["## Citation", f"```bibtex\n{CITATION}\n```"]
    return ModelCard(f"---\n{data.to_yaml()}\n---\n\n" + "\n\n".join(lines) + "\n")


def _use(config: Any, name: str, adapter_of: str | None) -> str:
    """The snippet. Names are quoted: the name in a strange checkpoint must not become code."""
    if adapter_of is None:
        return USES[config.model_type].format(name=_quoted(name), example=_quoted(EXAMPLE))
    if adapter_of:
        return USE_OF_ADAPTER.format(name=_quoted(name), base=_quoted(adapter_of))
    schema, default = config.schema, type(config)()
    fields = [
        field for field in type(config).__dataclass_fields__ if field not in (*FOUND, "constraints", *schema.to_dict())
    ]
    own = {field: getattr(config, field) for field in fields if hasattr(default, field)}
    labels = (schema.entity_labels, schema.relation_labels, schema.symmetric_labels)
    constraints = schema.to_dict().get("constraints")
    return USE_FROM_ENCODER.format(
        name=_quoted(name),
        model_class=MODEL_CLASSES[config.model_type],
        labels=", ".join(map(repr, labels)) + (f", {constraints!r}" if constraints else ""),
        encoder=_quoted((config.training_run or {}).get("encoder") or "ENCODER"),
        options="".join(f", {field}={value!r}" for field, value in own.items() if value != getattr(default, field)),
    )


def _quoted(value: Any) -> str:
    return json.dumps(str(value), ensure_ascii=False)


def _eval_result(key: str, value: float, run: Mapping[str, Any]) -> EvalResult:
    dataset = _datasets(run)[0]
    return EvalResult(
        task_type="token-classification" if key == "ent_f1" else "relation-extraction",
        dataset_type=dataset,
        dataset_name=dataset.rsplit("/", 1)[-1],
        dataset_config=run.get("config_name"),
        dataset_split=run.get("split"),
        dataset_revision=run.get("revision"),
        metric_type="f1",
        metric_name=FIGURES[key],
        metric_value=round(value, 4),
        metric_args={"seeds": [run["seed"]]} if "seed" in run else None,
    )


def _datasets(run: Mapping[str, Any]) -> list[str]:
    """The training data. The figures are those of the first dataset."""
    named = run.get("dataset") or "unknown"
    return [str(name) for name in named] if isinstance(named, list | tuple) else [str(named)]


def _data(run: Mapping[str, Any]) -> str:
    part = f", {_code(run['config_name'])}" if run.get("config_name") else ""
    return ", ".join(_code(name) for name in _datasets(run)) + part


def _where(run: Mapping[str, Any], relations: bool) -> str:
    seed = f", seed {_code(run['seed'])}" if "seed" in run else ""
    types = "those given to the relation model" if run.get("entity_types") == "input" else "the relation model's own"
    place = f"On {_data(run)}, split {_code(run.get('split', 'unknown'))}{seed}."
    if not relations:
        return place
    return (
        f"{place} Rel asks for both spans and the label, Rel+ for both entity types too, {types}; a symmetric relation "
        "counts twice."
    )


def _training(run: Mapping[str, Any]) -> str:
    encoder = f"Encoder {_code(run['encoder'])}, d" if run.get("encoder") else "D"
    parts = [f"{encoder}ata {_data(run)}."]
    for task, values in (run.get("hyperparameters") or {}).items():
        parts.append(
            f"{_code(task)}: " + ", ".join(f"{_code(key)} {_code(value)}" for key, value in values.items()) + "."
        )
    return "\n\n".join(parts)


def _labels(labels: Sequence[str]) -> str:
    return ", ".join(_code(label) for label in labels)


def _code(value: Any) -> str:
    """A value of a checkpoint as plain text."""
    return f"`{' '.join(str(value).replace('`', ' ').split())}`"


def _hub_id(name: Any) -> str | None:
    """The name, where it can be one on the Hub."""
    try:
        validate_repo_id(str(name or ""))
    except HFValidationError:
        return None
    return str(name) if str(name).count("/") == 1 else None
