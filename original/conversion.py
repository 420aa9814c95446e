"""Checkpoints of the published implementation, as models of this project.

A checkpoint is a folder `checkpoint-STEP` with weights and `config.json`. The vocabulary is beside it or one folder up.
The labels and most limits are not in it: the caller names them.
"""

from __future__ import annotations

import json
import logging
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor
from transformers import (
    AlbertTokenizer,
    AutoConfig,
    BertTokenizer,
    PreTrainedConfig,
    PreTrainedTokenizerBase,
    RobertaTokenizer,
)

from ..encoders.loading import load_tokenizer
from ..encoders.starting import build_config
from ..modeling.encoders_plmarker import add_marker_tokens, check_window
from ..modeling.modeling_plmarker import PLMarkerForEntityRecognition, PLMarkerForRelationExtraction
from ..modeling.schema_plmarker import LabelSchema, PLMarkerError, one_line, one_sentence
from ..modeling.task_model_plmarker import PLMarkerPreTrainedModel
from ..modeling.tasks_plmarker import task_of

WEIGHTS = ("pytorch_model.bin", "model.safetensors")
TOKENIZERS: dict[str, tuple[Any, tuple[str, ...]]] = {
    "bert": (BertTokenizer, ("vocab.txt",)),
    "roberta": (RobertaTokenizer, ("vocab.json", "merges.txt")),
    "albert": (AlbertTokenizer, ("spiece.model", "tokenizer.json")),
}
# The original stores these tensors and never reads them.
UNUSED = ("pooler.", "embeddings.position_ids")
# The reserved tokens of BERT have fixed ids. ALBERT gets new tokens.
FIRST_BERT_MARKER_ID = 1

logger = logging.getLogger(__name__)

State = dict[str, Tensor]


def convert_checkpoint(
    folder: str | Path,
    schema: LabelSchema,
    entity_values: Mapping[str, Any] | None = None,
    relation_values: Mapping[str, Any] | None = None,
    encoder: str | None = None,
    defaults: Mapping[str, Mapping[str, Any]] | None = None,
) -> tuple[PLMarkerPreTrainedModel, PreTrainedTokenizerBase]:
    """Convert one checkpoint of the original.

    Args:
        folder: `checkpoint-STEP`, or the folder that holds one.
        schema: the labels, in the original's order.
        entity_values, relation_values: fields of the model's config, such as `max_seq_length`. The heads of the
            checkpoint show which of the two apply, and the variant.
        encoder: the encoder with the vocabulary, if that is not beside the checkpoint: a Hub id or a folder.
        defaults: the usual limits of a corpus, under `entity` and `relation`. The variant and the two arguments above
            go first.

    Returns:
        The entity model or the relation model in float32, and its tokenizer.

    Raises:
        PLMarkerError: naming the file or the tensor: for a missing file, weights that hold more than tensors, a
            tensor that is unknown, missing or of another shape than the schema and the encoder ask for.
    """
    folder = _checkpoint_folder(Path(folder))
    state = _load_state(folder)
    family = _family(folder, state)
    encoder_state, heads = _split(state, f"{family}.")
    encoder_config = _encoder_config(folder, family, encoder_state)
    tokenizer = _load_tokenizer(folder, family, encoder)
    if _is_relation(heads):
        model_class: Any = PLMarkerForRelationExtraction
        variant, schema = _relation_values(folder, heads, schema)
        usual, given = (defaults or {}).get("relation", {}), relation_values or {}
    else:
        model_class = PLMarkerForEntityRecognition
        variant = _entity_values(folder, heads, schema, encoder_config.hidden_size)
        usual, given = (defaults or {}).get("entity", {}), entity_values or {}
    values = {**usual, **variant, **given}
    _warn_of_window(folder, values, given)
    config = build_config(model_class.config_class, schema, encoder_config, tokenizer, values)
    config.marker_tokens = _marker_tokens(tokenizer, family, len(task_of(config).marker_words))
    config.marker_token_ids = add_marker_tokens(tokenizer, config.marker_tokens)
    if max(config.marker_token_ids, default=0) >= encoder_config.vocab_size:
        raise PLMarkerError(
            f"{folder}: {family}.embeddings.word_embeddings.weight has {encoder_config.vocab_size} rows, "
            f"the marker tokens need {max(config.marker_token_ids) + 1}"
        )
    model = model_class(config)
    check_window(config, model.position_offset)
    expected = {name: tensor.shape for name, tensor in model.state_dict().items()}
    renamed = {f"encoder.{name}": tensor for name, tensor in encoder_state.items()} | _rename_heads(heads)
    _check(folder, family, heads, renamed, expected)
    model.load_state_dict(renamed)
    return model.eval(), tokenizer


def _checkpoint_folder(folder: Path) -> Path:
    if not folder.is_dir():
        raise PLMarkerError(f"{folder}: no such folder")
    if any((folder / name).is_file() for name in WEIGHTS):
        return folder
    inside = sorted(path.parent for name in WEIGHTS for path in folder.glob(f"*/{name}"))
    if len(inside) != 1:
        found = ", ".join(path.name for path in inside) or "none"
        raise PLMarkerError(f"{folder}: expected {WEIGHTS[0]} here or in one folder below, found {found}; name one")
    return inside[0]


def _load_state(folder: Path) -> State:
    path = next(folder / name for name in WEIGHTS if (folder / name).is_file())
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise PLMarkerError(f"{path}: holds more than tensors, or is damaged; it is not unpickled") from None
    except (RuntimeError, EOFError, SafetensorError) as error:
        raise PLMarkerError(f"{path}: damaged: {one_sentence(error)}") from error
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise PLMarkerError(f"{path}: expected tensors by name, got {type(state).__name__}")
    return state


def _family(folder: Path, state: State) -> str:
    found = [family for family in TOKENIZERS if any(name.startswith(f"{family}.") for name in state)]
    if len(found) != 1:
        raise PLMarkerError(f"{folder}: expected tensors named {', '.join(f'{name}.*' for name in TOKENIZERS)}")
    return found[0]


def _split(state: State, prefix: str) -> tuple[State, State]:
    """Tensors of the encoder and of the heads, without what is never read."""
    encoder = {name.removeprefix(prefix): tensor for name, tensor in state.items() if name.startswith(prefix)}
    heads = {name: tensor for name, tensor in state.items() if not name.startswith(prefix)}
    return {name: tensor for name, tensor in encoder.items() if not name.startswith(UNUSED)}, heads


def _encoder_config(folder: Path, family: str, state: State) -> PreTrainedConfig:
    """The encoder's own fields of `config.json`. The labels there are wrong."""
    path = folder / "config.json"
    if not path.is_file():
        raise PLMarkerError(f"{path}: no such file")
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise PLMarkerError(f"{path}: broken JSON, {error}") from None
    if "embeddings.word_embeddings.weight" not in state:
        raise PLMarkerError(f"{folder}: tensor '{family}.embeddings.word_embeddings.weight' is missing")
    fields = type(AutoConfig.for_model(family)).__annotations__
    values = {name: value for name, value in values.items() if name in fields}
    values["vocab_size"] = len(state["embeddings.word_embeddings.weight"])
    try:
        return AutoConfig.for_model(family, **values)
    except (StrictDataclassError, TypeError, ValueError) as error:
        raise PLMarkerError(f"{path}: {one_line(error)}") from None


def _load_tokenizer(folder: Path, family: str, encoder: str | None) -> PreTrainedTokenizerBase:
    if encoder is not None:
        return load_tokenizer(encoder)
    tokenizer_class, files = TOKENIZERS[family]
    for place in (folder, folder.parent):
        if any((place / name).is_file() for name in files):
            options = {} if (place / "tokenizer_config.json").is_file() else _case(place, family)
            try:
                return tokenizer_class.from_pretrained(place, **options)
            except (ValueError, ImportError, OSError) as error:
                hint = (
                    "; pip install sentencepiece protobuf, or name the encoder with --encoder"
                    if family == "albert"
                    else ""
                )
                reason = one_sentence(error)
                raise PLMarkerError(f"{place}: the vocabulary cannot be read: {reason}{hint}") from error
    raise PLMarkerError(f"{folder}: no {' or '.join(files)} here or one folder up; name the encoder with --encoder")


def _case(place: Path, family: str) -> dict[str, Any]:
    """Whether BERT's words are lower-cased: a vocabulary without upper-case letters says so."""
    if family != "bert":
        return {}
    tokens = (place / "vocab.txt").read_text(encoding="utf-8").split()
    return {"do_lower_case": not any(token != token.lower() for token in tokens if not token.startswith("["))}


def _marker_tokens(tokenizer: PreTrainedTokenizerBase, family: str, count: int) -> list[str]:
    if family == "roberta":
        return [f"madeupword{number:04}" for number in range(count)]
    if family == "albert":
        # The original adds four tokens, also where it needs two, or one for each type marker.
        added = [f"[unused{number}]" for number in range(max(4, count))]
        add_marker_tokens(tokenizer, added)
        return added[:count]
    ids = range(FIRST_BERT_MARKER_ID, FIRST_BERT_MARKER_ID + count)
    return [str(tokenizer.convert_ids_to_tokens(index)) for index in ids]


def _entity_values(folder: Path, heads: State, schema: LabelSchema, hidden_size: int) -> dict[str, Any]:
    if "classifier.weight" in heads:
        has_one_tag = len(heads["classifier.weight"]) == len(schema.entity_classes)
        return {"method": "bio", "tags": "io" if has_one_tag else "iob1"}
    if "ner_classifier.weight" not in heads:
        raise PLMarkerError(
            f"{folder}: no head that is known (ner_classifier, classifier, re_classifier_m1, re_classifier), "
            f"only {', '.join(sorted(heads)) or 'an encoder'}"
        )
    width = heads["ner_classifier.weight"].shape[1]
    return {"method": "t-concat" if width == 2 * hidden_size else "marker"}


def _relation_values(folder: Path, heads: State, schema: LabelSchema) -> tuple[dict[str, Any], LabelSchema]:
    """The variant, from the heads and their number of classes."""
    if not schema.relation_labels:
        raise PLMarkerError(f"{folder}: a relation model, but the schema has no relation labels")
    if "re_classifier.weight" in heads:
        # That script always has groups of 64 pairs and sorts by raw scores.
        return {"subject_markers": "levitated", "max_pair_length": 64, "pair_scores": "raw"}, schema
    values: dict[str, Any] = {"entity_head": "ner_classifier.weight" in heads}
    n_classes = len(heads["re_classifier_m1.weight"])
    plain = LabelSchema(schema.entity_labels, schema.relation_labels, constraints=schema.constraints)
    if n_classes == schema.n_forward:
        values["bidirectional"] = False
    elif n_classes != len(schema.relation_classes) and n_classes == len(plain.relation_classes):
        # Trained without symmetric labels (`no_sym`).
        schema = plain
    return values, schema


def _is_relation(heads: State) -> bool:
    return "re_classifier_m1.weight" in heads or "re_classifier.weight" in heads


def _warn_of_window(folder: Path, values: Mapping[str, Any], given: Mapping[str, Any]) -> None:
    """Warn where the window of training is another one than the preset's: the original may evaluate with either."""
    trained = json.loads((folder / "config.json").read_text(encoding="utf-8")).get("max_seq_length")
    if trained is not None and "max_seq_length" not in given and trained != values.get("max_seq_length", trained):
        logger.warning(
            "%s: trained with max_seq_length=%s, converted with the preset's %s",
            folder,
            trained,
            values["max_seq_length"],
        )


def _head_names(heads: State) -> dict[str, str]:
    """Names of the heads here, by their names in the original."""
    return {
        "re_classifier_m1": "subject_classifier",
        "re_classifier_m2": "object_classifier",
        "ner_classifier": "entity_classifier" if _is_relation(heads) else "classifier",
    }


def _rename_heads(heads: State) -> State:
    names = _head_names(heads)
    renamed: State = {}
    for name, tensor in heads.items():
        head, _, kind = name.rpartition(".")
        if head != "re_classifier":
            renamed[f"{names[head]}.{kind}" if head in names else name] = tensor
        elif kind == "weight":
            # One matrix over subject and object is the sum of two.
            subject, entity = tensor.chunk(2, dim=1)
            renamed |= {"subject_classifier.weight": subject, "object_classifier.weight": entity}
        else:
            renamed |= {"subject_classifier.bias": torch.zeros_like(tensor), "object_classifier.bias": tensor}
    return renamed


def _check(folder: Path, family: str, heads: State, found: State, expected: Mapping[str, torch.Size]) -> None:
    originals = {"encoder": family} | {ours: theirs for theirs, ours in _head_names(heads).items()}
    if "classifier.weight" in heads:
        del originals["classifier"]
    if "re_classifier.weight" in heads:
        originals |= {"subject_classifier": "re_classifier", "object_classifier": "re_classifier"}

    def original(name: str) -> str:
        """The name that the checkpoint has, or should have."""
        first, dot, rest = name.partition(".")
        return originals.get(first, first) + dot + rest

    unknown, missing = sorted(found.keys() - expected.keys()), sorted(expected.keys() - found.keys())
    if unknown or missing:
        kinds = [
            f"{word} {original(names[0])!r}" for word, names in (("unknown", unknown), ("missing", missing)) if names
        ]
        more = len(unknown) + len(missing) - len(kinds)
        raise PLMarkerError(f"{folder}: tensor {' and '.join(kinds)}{f', and {more} more' if more else ''}")
    for name, shape in expected.items():
        if found[name].shape != shape:
            raise PLMarkerError(
                f"{folder}: tensor {original(name)!r} has shape {tuple(found[name].shape)}, "
                f"the schema and the encoder ask for {tuple(shape)}"
            )
