"""Starting from a trained model: its encoder, its heads and its markers go on, and new labels are added."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import AutoModel, PreTrainedConfig, PreTrainedTokenizerBase

from ..hub_access import check_reachable
from ..modeling.configuration_plmarker import PLMarkerConfig, PLMarkerTaskConfig
from ..modeling.internals_plmarker import file_beside
from ..modeling.modeling_plmarker import PLMarkerModel
from ..modeling.schema_plmarker import LabelSchema, PLMarkerError, one_sentence
from ..modeling.tasks_plmarker import task_of

MODEL_TYPES = ("plmarker", "plmarker-ner", "plmarker-re")
# Fields that say what the heads read and how large they are. Trained heads have no other ones.
SETTLED = (
    "method",
    "tags",
    "subject_markers",
    "bidirectional",
    "entity_head",
    "type_markers",
    "pair_size",
    "pruner_size",
    "late_layers",
)
# What was chosen for the weights as they were. It does not hold any more after a training.
DROPPED = ("temperature", "thresholds", "pruner_threshold")
# Fields of a config that are not those of the model to continue from. `merged_schema` gives the labels.
OWN = (
    "encoder_config",
    "entity_labels",
    "relation_labels",
    "symmetric_labels",
    "constraints",
    "marker_tokens",
    "marker_token_ids",
    "pad_token_id",
    "tokenizer_hash",
    "training_run",
    "compat",
    *DROPPED,
)


def load_trained(name: str, **hub: Any) -> Any:
    """Load the model to continue from. No remote code is run, and nothing that its config names is loaded.

    Args:
        name: a Hub id or a local folder.
        hub: `revision` and `token`.

    Raises:
        PLMarkerError: for an adapter, and for a model that cannot be loaded.
    """
    check_reachable(name)
    try:
        # transformers would load the model that an adapter names in its place.
        if file_beside(name, "adapter_config.json", **hub) is not None:
            raise PLMarkerError(f"{name}: an adapter; merge it into its model, and continue from that")
        return AutoModel.from_pretrained(name, trust_remote_code=False, **hub)
    except PLMarkerError:
        raise
    except Exception as error:
        # Damaged files reach many libraries, and each has errors of its own.
        raise PLMarkerError(f"{name}: the model cannot be loaded: {one_sentence(error)}") from error


def config_for(config: Any, model_type: str, name: str) -> Any:
    """The config of the part of a trained model that a model of a type continues from.

    Args:
        config: the config of the trained model.
        model_type: the type of the new model.
        name: the name of the trained model, for messages.

    Raises:
        PLMarkerError: where it has no such part.
    """
    part = config
    if isinstance(config, PLMarkerConfig):
        part = config.entity_config if model_type == "plmarker-ner" else config.relation_config
    if part is None or part.model_type != model_type:
        wanted = "entity" if model_type == "plmarker-ner" else "relation"
        raise PLMarkerError(f"{name}: a model of type {config.model_type!r} has no {wanted} model to continue from")
    return part


def part_for(trained: Any, model_type: str, name: str) -> Any:
    """The part of a trained model that a model of a type continues from. Raises `PLMarkerError` as `config_for`."""
    config_for(trained.config, model_type, name)
    if not isinstance(trained, PLMarkerModel):
        return trained
    return trained.entity if model_type == "plmarker-ner" else trained.relation


def merged_schema(old: LabelSchema, new: LabelSchema) -> LabelSchema:
    """The labels of a trained model, and behind them those that are new.

    Constraints are kept, too. Where both schemas constrain a relation label, the new constraint is taken.

    Raises:
        PLMarkerError: for a relation label that has a direction in one of them and none in the other.
    """
    for label in new.symmetric_labels:
        if label in old.relation_labels and label not in old.symmetric_labels:
            raise PLMarkerError(f"the relation label {label!r} has a direction in the model to continue from")
    return LabelSchema(
        tuple(dict.fromkeys((*old.entity_labels, *new.entity_labels))),
        tuple(dict.fromkeys((*old.relation_labels, *new.relation_labels))),
        tuple(dict.fromkeys((*old.symmetric_labels, *new.symmetric_labels))),
        {**old.constraints, **new.constraints},
    )


def continued_values(config: PLMarkerTaskConfig, values: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a trained model's config, and those that the user gives in their place.

    Raises:
        PLMarkerError: for another value of a field in `SETTLED`. A model without a pruner may get one.
    """
    names = set(type(config).__dataclass_fields__) - set(PreTrainedConfig.__dataclass_fields__) - set(OWN)
    for name in SETTLED:
        if name not in values or not hasattr(config, name):
            continue
        trained, wanted = getattr(config, name), values[name]
        if wanted != trained and not (name == "pruner_size" and not trained):
            raise PLMarkerError(f"{name} is {trained!r} in the model to continue from, and cannot become {wanted!r}")
    return {name: copy.deepcopy(getattr(config, name)) for name in sorted(names)} | dict(values)


def continued_markers(
    config: PLMarkerTaskConfig, trained: PLMarkerTaskConfig, choose: Any
) -> tuple[list[str], list[int | None]]:
    """The marker tokens, and for each of them its place among those of the trained model; None for a new one.

    Where markers name types, each new label has new ones.

    Args:
        choose: returns so many new tokens.
    """
    old_words, new_words = task_of(trained).marker_words, task_of(config).marker_words
    n_old, n_new = len(trained.schema.entity_classes), len(config.schema.entity_classes)
    places: list[int | None] = list(range(len(old_words)))
    if len(new_words) != len(old_words):
        # Kind by kind, the markers of all types.
        n_kinds = (len(new_words) - len(old_words)) // (n_new - n_old)
        first = len(old_words) - n_kinds * n_old
        places = list(range(first))
        for kind in range(n_kinds):
            places += [first + kind * n_old + number for number in range(n_old)]
            places += [None] * (n_new - n_old)
    fresh = iter(choose(places.count(None)))
    return [next(fresh) if place is None else trained.marker_tokens[place] for place in places], places


@torch.no_grad()
def copy_trained(model: Any, trained: Any, places: Sequence[int | None]) -> None:
    """Copy the encoder, the markers and the heads of a trained model. Rows of new labels stay as they are.

    Args:
        model: the new model, whose vocabulary is at least as large.
        trained: the model to continue from.
        places: for each marker token its place among those of the trained model.
    """
    encoder = trained.encoder.state_dict()
    table = trained.encoder.get_input_embeddings().weight
    own = model.encoder.get_input_embeddings().weight
    for name, tensor in model.encoder.state_dict().items():
        if tensor.shape == encoder[name].shape:
            tensor.copy_(encoder[name])
    own[: len(table)] = table
    ids, old_ids = model.config.marker_token_ids, trained.config.marker_token_ids
    new = [number for number, place in enumerate(places) if place is None]
    for number in new:
        # The marker of a new type starts between those of the old types of its kind, which are before it.
        known = number
        while known > 0 and places[known - 1] is None:
            known -= 1
        n_old = len(trained.config.schema.entity_classes)
        kind = [old_ids[place] for place in places[known - n_old : known] if place is not None]
        own[ids[number]] = table[kind].mean(dim=0)
    heads = {name: tensor for name, tensor in trained.state_dict().items() if not name.startswith("encoder.")}
    for name, tensor in model.state_dict().items():
        if name in heads:
            _copy_rows(tensor, heads[name], _row_places(name, model.config, trained.config, len(tensor)))


def _row_places(name: str, config: Any, trained: Any, n_rows: int) -> list[int | None]:
    """For each row of a head's weights the row that it comes from; None for a new one."""
    module = name.rpartition(".")[0]
    if module == "pruner.width":
        # Spans wider than the widest one had its weights.
        return [min(row, 2 * trained.max_span_length - 1) for row in range(n_rows)]
    if module == "entity_classifier":
        old, new = trained.schema.entity_classes, config.schema.entity_classes
    elif module in ("classifier", "subject_classifier", "object_classifier", "pair_scorer.output"):
        old, new = trained.classes, config.classes
    else:
        return list(range(n_rows))
    return [old.index(label) if label in old else None for label in new]


def _copy_rows(tensor: Tensor, source: Tensor, places: Sequence[int | None]) -> None:
    rows = [row for row, place in enumerate(places) if place is not None]
    tensor[rows] = source[[place for place in places if place is not None]].to(tensor.dtype)


def describe(name: str, config: PLMarkerTaskConfig, trained: PLMarkerTaskConfig, given: LabelSchema) -> str:
    """What a model goes on from, in one line."""
    parts = []
    for kind in ("entity_labels", "relation_labels"):
        old, now, data = getattr(trained, kind), getattr(config, kind), getattr(given, kind)
        if kind == "relation_labels" and config.model_type == "plmarker-ner":
            continue
        text = f"{kind.replace('_', ' ')}: {len(old)} kept"
        absent = [label for label in old if label not in data]
        text += f" ({', '.join(absent)} not in the new data)" if absent else ""
        added = [label for label in now if label not in old]
        parts.append(text + (f", {', '.join(added)} added" if added else ""))
    constrained = [label for label in trained.constraints if label not in given.constraints]
    if constrained and config.model_type != "plmarker-ner":
        parts.append(f"its constraints on {', '.join(constrained)} kept, since the new labels have none on them")
    dropped = [field for field in DROPPED if getattr(trained, field, None) not in (None, {}, 0.0)]
    if trained.temperature == 1.0:
        dropped = [field for field in dropped if field != "temperature"]
    if dropped:
        parts.append(f"its {' and '.join(dropped)} dropped, which do not hold after a training")
    return f"continuing from {name}, a {config.model_type} model: {'; '.join(parts)}"


def check_marker_ids(tokenizer: PreTrainedTokenizerBase, config: PLMarkerTaskConfig, name: str) -> None:
    """Make sure that a tokenizer is that of a trained model. Raises `PLMarkerError` naming the first other token."""
    for token, token_id in zip(config.marker_tokens, config.marker_token_ids, strict=True):
        found = tokenizer.get_vocab().get(token)
        if found != token_id:
            raise PLMarkerError(f"the tokenizer has the id {found} for the marker {token!r}, {name} has {token_id}")


def shared_windows_of(config: Any) -> dict[str, Any]:
    """The windows of a trained model with a shared encoder."""
    return {name: getattr(config.entity_config, name) for name in ("max_seq_length", "shared_windows")}


def check_shared(name: str, config: Any, shared_encoder: bool) -> None:
    """Make sure that a combined model continues as it is.

    Raises:
        PLMarkerError: for a model of another kind, and for another number of encoders.
    """
    if not isinstance(config, PLMarkerConfig) or config.relation_config is None:
        raise PLMarkerError(f"{name}: no entity model and relation model in one, to continue from")
    if config.shared_encoder != shared_encoder:
        has, wants = ("one shared encoder", "two") if config.shared_encoder else ("two encoders", "a shared one")
        raise PLMarkerError(f"{name}: a model of {has}, which cannot become one of {wants}")
