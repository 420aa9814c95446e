"""Starting a model from a pretrained encoder, with new heads and marker tokens, or from a trained model."""

from __future__ import annotations

import itertools
import logging
import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import torch
from huggingface_hub.errors import StrictDataclassError
from transformers import PreTrainedConfig, PreTrainedTokenizerBase

from ..modeling.base_plmarker import to_device
from ..modeling.configuration_plmarker import (
    PAIR_DROPOUT,
    PAIR_WEIGHT,
    PLMarkerConfig,
    PLMarkerEntityConfig,
    PLMarkerRelationConfig,
    PLMarkerTaskConfig,
    is_hub_id,
)
from ..modeling.encoders_plmarker import add_marker_tokens, check_window
from ..modeling.modeling_plmarker import PLMarkerForEntityRecognition, PLMarkerForRelationExtraction, PLMarkerModel
from ..modeling.schema_plmarker import LabelSchema, PLMarkerError, one_line
from ..modeling.task_model_plmarker import PLMarkerPreTrainedModel
from ..modeling.tasks_plmarker import task_of
from ..modeling.windows_plmarker import UNUSED_TOKENS
from .checks import check_encoder_config
from .continuing import (
    MODEL_TYPES,
    check_marker_ids,
    check_shared,
    continued_markers,
    continued_values,
    copy_trained,
    describe,
    load_trained,
    merged_schema,
    part_for,
    shared_windows_of,
)
from .loading import load_encoder, load_encoder_config, load_tokenizer

logger = logging.getLogger(__name__)

Model = TypeVar("Model", bound=PLMarkerPreTrainedModel)


def start_model(
    model_class: type[Model],
    name_or_path: str,
    schema: LabelSchema,
    marker_init: str = "random",
    tokenizer: PreTrainedTokenizerBase | None = None,
    *,
    taken_tokens: Sequence[str] = (),
    revision: str | None = None,
    token: str | bool | None = None,
    dtype: str | torch.dtype | None = None,
    attn_implementation: str | None = None,
    device_map: str | int | torch.device | None = None,
    **config_values: Any,
) -> Model:
    """Start from a pretrained encoder, with new heads and marker tokens.

    It is `from_encoder` of the two task models. A trained model in place of the encoder goes on: with its encoder, its
    heads, its markers and the fields of its config. Its labels are kept, and new ones come behind them: their rows of
    the heads are new. Its temperature and its thresholds are dropped, since they do not hold after a training.

    Args:
        model_class: `PLMarkerForEntityRecognition` or `PLMarkerForRelationExtraction`.
        name_or_path: a Hub id, a local folder, or `minilm`; or a plmarker model to continue from. Of a combined model
            the part of this class is taken.
        schema: the labels to predict. A trained model keeps those that it has beside them.
        marker_init: `lm` copies the embeddings of the markers from [MASK] and from words that say what they mark
            (the original's `lminit`). `random` leaves the embeddings as the encoder has them. The markers of a trained
            model stay as they are.
        tokenizer: the tokenizer; by default the encoder's own.
        taken_tokens: reserved tokens that are no markers of this model.
        revision, token: the revision on the Hub, and the access token.
        dtype: the type of the weights, such as `torch.bfloat16` or `"bfloat16"`; by default float32.
        attn_implementation: `levitated` (the default), or `eager` or `sdpa`, the dense reference.
        device_map: one device, such as `"cuda:0"`; `"auto"` is the accelerator, if there is one.
        config_values: fields of the model's config, such as `max_seq_length`.

    Raises:
        PLMarkerError: for an encoder that cannot be loaded or cannot carry levitated markers, a window longer
            than its positions, an unknown dtype or device, and a field that the config does not have. For a trained
            model without such a part, and for fields that its heads were built for.

    Example:
        >>> schema = LabelSchema(("Person", "Place"))
        >>> model = PLMarkerForEntityRecognition.from_encoder("minilm", schema, max_span_length=5)
    """
    if marker_init not in ("random", "lm"):
        raise PLMarkerError(f"marker_init is 'random' or 'lm', not {marker_init!r}")
    hub = {name: value for name, value in (("revision", revision), ("token", token)) if value is not None}
    encoder_config = load_encoder_config(name_or_path, **hub)
    is_trained = encoder_config.model_type in MODEL_TYPES
    if not is_trained:
        check_encoder_config(encoder_config)
    tokenizer = tokenizer or load_tokenizer(name_or_path, **hub)
    if is_trained:
        model = _continue(model_class, name_or_path, schema, tokenizer, taken_tokens, hub, config_values)
        return _finished(model, tokenizer, dtype, attn_implementation, device_map)
    # A name on the Hub says what the model is made of. A folder only says where somebody keeps files.
    encoder_config._name_or_path = name_or_path if is_hub_id(name_or_path) else ""
    config = build_config(model_class.config_class, schema, encoder_config, tokenizer, config_values)
    words = task_of(config).marker_words
    config.marker_tokens = choose_marker_tokens(tokenizer, len(words), taken_tokens)
    config.marker_token_ids = add_marker_tokens(tokenizer, config.marker_tokens)
    encoder = load_encoder(name_or_path, encoder_config, **hub)
    n_rows = max(config.marker_token_ids, default=0) + 1
    if n_rows > encoder.config.vocab_size:
        encoder.resize_token_embeddings(n_rows)
        config.encoder_config.vocab_size = n_rows
    model = model_class(config)
    check_window(config, model.position_offset)
    model.encoder.load_state_dict(encoder.state_dict())
    if marker_init == "lm":
        init_markers(model, tokenizer)
    return _finished(model, tokenizer, dtype, attn_implementation, device_map)


def _continue(
    model_class: type[Model],
    name: str,
    schema: LabelSchema,
    tokenizer: PreTrainedTokenizerBase,
    taken_tokens: Sequence[str],
    hub: Mapping[str, Any],
    values: Mapping[str, Any],
) -> Model:
    """A new model with the weights of a trained one."""
    trained = part_for(load_trained(name, **hub), model_class.config_class.model_type, name)
    check_marker_ids(tokenizer, trained.config, name)
    labels = merged_schema(trained.config.schema, schema)
    fields = continued_values(trained.config, values)
    config = build_config(model_class.config_class, labels, trained.config.encoder_config, tokenizer, fields)
    taken = [*taken_tokens, *trained.config.marker_tokens]
    tokens, places = continued_markers(
        config, trained.config, lambda count: choose_marker_tokens(tokenizer, count, taken)
    )
    config.marker_tokens, config.marker_token_ids = tokens, add_marker_tokens(tokenizer, tokens)
    n_rows = len(trained.encoder.get_input_embeddings().weight)
    config.encoder_config.vocab_size = max([n_rows, *(token_id + 1 for token_id in config.marker_token_ids)])
    model = model_class(config)
    check_window(config, model.position_offset)
    copy_trained(model, trained, places)
    logger.info("%s", describe(name, config, trained.config, schema))
    return model


def _finished(
    model: Model,
    tokenizer: PreTrainedTokenizerBase,
    dtype: str | torch.dtype | None,
    attn_implementation: str | None,
    device_map: str | int | torch.device | None,
) -> Model:
    """A model with its tokenizer, as the user wants it."""
    model.tokenizer = tokenizer
    if attn_implementation is not None:
        model.set_attn_implementation(attn_implementation)
    if dtype is not None:
        model.to(dtype=_dtype(dtype))  # type: ignore[call-arg]
    if device_map is not None:
        to_device(model, _device(device_map))
    return model


def start_combined(
    model_class: type[PLMarkerModel],
    name_or_path: str,
    schema: LabelSchema,
    shared_encoder: bool = False,
    pair_weight: float = PAIR_WEIGHT,
    pair_dropout: float = PAIR_DROPOUT,
    entity: Mapping[str, Any] | None = None,
    relation: Mapping[str, Any] | None = None,
    tokenizer: PreTrainedTokenizerBase | None = None,
    **options: Any,
) -> PLMarkerModel:
    """Start an entity model and a relation model from one pretrained encoder.

    It is `PLMarkerModel.from_encoder`. A trained combined model in place of the encoder goes on, see `start_model`.

    Args:
        model_class: `PLMarkerModel`.
        name_or_path: a Hub id, a local folder, or `minilm`; or a combined model to continue from.
        schema: the labels to predict.
        shared_encoder: both models read one text pass of one encoder, and `PLMarkerTrainer` trains them together.
            Otherwise each has a copy of the encoder.
        pair_weight: with a shared encoder, the weight of decisions about pairs in the loss.
        pair_dropout: with a shared encoder, the share of the windows of a batch whose pairs do not count in the loss.
        entity, relation: fields of the config of one of the models.
        tokenizer: the tokenizer; by default the encoder's own.
        options: further arguments of `start_model`, for both models. Fields of the config are those that both have.

    Raises:
        PLMarkerError: as `start_model`, and for windows that cannot be shared.

    Example:
        >>> schema = LabelSchema(("Person", "Place"), ("born in",))
        >>> model = PLMarkerModel.from_encoder("minilm", schema=schema, shared_encoder=True)
    """
    hub = {name: options[name] for name in ("revision", "token") if options.get(name) is not None}
    tokenizer = tokenizer or load_tokenizer(name_or_path, **hub)
    of_entity, of_relation = {**options, **(entity or {})}, {**options, **(relation or {})}
    trained = load_encoder_config(name_or_path, **hub)
    continues = trained.model_type in MODEL_TYPES
    if continues:
        check_shared(name_or_path, trained, shared_encoder)
    if shared_encoder:
        windows = shared_windows_of(trained) if continues else None
        of_entity, of_relation = shared_options(of_entity, of_relation, windows)
    spans = PLMarkerForEntityRecognition.from_encoder(name_or_path, schema, tokenizer=tokenizer, **of_entity)
    # Each part has marker tokens of its own.
    taken = spans.config.marker_tokens if shared_encoder else []
    pairs = PLMarkerForRelationExtraction.from_encoder(
        name_or_path, schema, tokenizer=tokenizer, **of_relation, taken_tokens=taken
    )
    if not shared_encoder:
        return model_class.from_models(spans, pairs, tokenizer)
    n_rows = max(spans.encoder.config.vocab_size, pairs.encoder.config.vocab_size)
    spans.encoder.resize_token_embeddings(n_rows)
    for part in (spans, pairs):
        part.config.encoder_config.vocab_size = n_rows
    table, other = (part.encoder.get_input_embeddings().weight for part in (spans, pairs))
    with torch.no_grad():
        for token_id in pairs.config.marker_token_ids:
            table[token_id] = other[token_id]
    config = shared_config(spans.config, pairs.config, pair_weight, pair_dropout)
    config._attn_implementation = spans.config._attn_implementation
    with torch.device("meta"):
        combined = model_class(config)
    del pairs.encoder
    pairs.__dict__["encoder"] = spans.encoder
    combined.entity, combined.relation, combined.tokenizer = spans, pairs, tokenizer
    return combined


def shared_options(
    entity: Mapping[str, Any], relation: Mapping[str, Any], windows: Mapping[str, Any] | None = None
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The options of two models that share an encoder: one size of windows, and `shared` markers.

    Args:
        windows: those of the model to continue from.
    """
    windows = dict(windows or {"max_seq_length": 256}) | {
        name: value for name, value in entity.items() if name in ("max_seq_length", "shared_windows")
    }
    return windows | dict(entity), {"subject_markers": "shared"} | windows | dict(relation)


def shared_config(
    entity_config: PLMarkerTaskConfig,
    relation_config: PLMarkerTaskConfig,
    pair_weight: float = PAIR_WEIGHT,
    pair_dropout: float = PAIR_DROPOUT,
) -> PLMarkerConfig:
    """The config of a combined model with a shared encoder.

    Raises:
        PLMarkerError: for models that cannot share one.
    """
    try:
        return PLMarkerConfig(
            entity_config=entity_config,
            relation_config=relation_config,
            shared_encoder=True,
            pair_weight=pair_weight,
            pair_dropout=pair_dropout,
        )
    except StrictDataclassError as error:
        raise PLMarkerError(f"shared_encoder: {one_line(error.__cause__ or error)}") from None


def build_config(
    config_class: type[PLMarkerTaskConfig],
    schema: LabelSchema,
    encoder_config: PreTrainedConfig,
    tokenizer: PreTrainedTokenizerBase,
    values: Mapping[str, Any],
) -> Any:
    """The config of a model, without marker tokens yet.

    Raises:
        PLMarkerError: naming a field that the config does not have, or a value that it does not take.
    """
    for name in values:
        if name not in config_class.__dataclass_fields__:
            others: list[Any] = [PLMarkerEntityConfig, PLMarkerRelationConfig]
            having = [kind.__name__ for kind in others if name in kind.__dataclass_fields__]
            hint = f"; it is a field of {having[0]}" if having else ""
            raise PLMarkerError(f"{config_class.__name__} has no field {name!r}{hint}")
    if values.get("dtype") is not None:
        _dtype(values["dtype"])
    fields: dict[str, Any] = {**schema.to_dict(), **values}
    try:
        return config_class(encoder_config=encoder_config, pad_token_id=tokenizer.pad_token_id, **fields)
    except StrictDataclassError as error:
        raise PLMarkerError(f"{config_class.__name__}: {one_line(error.__cause__ or error)}") from None


@torch.no_grad()
def init_markers(model: PLMarkerPreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
    """Copy the embeddings of the markers from [MASK] and from words that say what they mark.

    Raises:
        PLMarkerError: for a tokenizer without a mask token.
    """
    if tokenizer.mask_token_id is None:
        raise PLMarkerError("marker_init 'lm' needs a tokenizer with a mask token; use 'random'")
    table = model.encoder.get_input_embeddings().weight
    for token_id, word in zip(model.config.marker_token_ids, model.task.marker_words, strict=True):
        source = tokenizer.mask_token_id
        if word is not None:
            source = tokenizer(word, add_special_tokens=False)["input_ids"][0]
        table[token_id] = table[source].clone()


def choose_marker_tokens(tokenizer: PreTrainedTokenizerBase, count: int, taken: Sequence[str] = ()) -> list[str]:
    """The first `count` reserved tokens of a tokenizer that are not taken, or new names where it has too few.

    BERT's family has `[unused0]` ..., RoBERTa's `madeupword0000` ...; ALBERT and XLM-R have none, and get
    `[unused0]` ... by `add_marker_tokens`.
    """
    vocabulary = tokenizer.get_vocab()
    for pattern in UNUSED_TOKENS:
        unused = sorted(
            (index, token) for token, index in vocabulary.items() if re.fullmatch(pattern, token) and token not in taken
        )
        if len(unused) >= count:
            return [token for _, token in unused[:count]]
    names = (f"[unused{index}]" for index in itertools.count())
    return list(itertools.islice((name for name in names if name not in taken), count))


def _device(device_map: Any) -> Any:
    if isinstance(device_map, Mapping):
        raise PLMarkerError("from_encoder takes one device; a model on several is loaded by from_pretrained")
    if device_map != "auto":
        return device_map
    return torch.accelerator.current_accelerator() if torch.accelerator.is_available() else "cpu"


def _dtype(dtype: str | torch.dtype) -> torch.dtype:
    found = getattr(torch, dtype.removeprefix("torch."), None) if isinstance(dtype, str) else dtype
    if not isinstance(found, torch.dtype) or not found.is_floating_point:
        raise PLMarkerError(f"dtype is a floating-point type such as 'bfloat16', got {dtype!r}")
    return found
