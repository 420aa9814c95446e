"""What all models share: loading, saving, pushing, and checked documents."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from pathlib import Path
from typing import Any, ClassVar, Protocol, TypeVar, cast

import torch
from safetensors import SafetensorError
from transformers import AutoTokenizer, PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

from .attention_plmarker import LEVITATED
from .configuration_plmarker import PLMarkerTaskConfig
from .encoders_plmarker import check_window, vocabulary_hash
from .internals_plmarker import file_beside
from .prediction_plmarker import check_document
from .schema_plmarker import LabelSchema, PLMarkerError, one_sentence
from .task_plmarker import Document
from .windows_plmarker import WordTokenizer

# Arguments of from_pretrained that say where the files are.
HUB_ARGUMENTS = ("revision", "subfolder", "token", "cache_dir", "force_download", "local_files_only")

# Set while `push_to_hub` saves, which does not hand on the options of `save_pretrained`. Each thread has its own.
Model = TypeVar("Model", bound="PLMarkerBaseModel")
PUSHES_CODE: ContextVar[bool] = ContextVar("PUSHES_CODE", default=False)


class Saver(Protocol):
    """What the package writes beside a model's weights. `plmarker.hub` has one: cards, and the model's code."""

    def save(self, model: Any, save: Callable[[], None], folder: Any, include_code: bool, is_main: bool) -> None:
        """Save a model by calling `save`, and write what goes beside it."""
        ...

    def before_upload(self, model: Any, folder: Any, repo_id: str) -> None:
        """Write what goes beside a model that is about to be uploaded from a folder."""
        ...


class PLMarkerBaseModel(PreTrainedModel):
    """What every model here tells transformers about itself."""

    supports_gradient_checkpointing = True
    _supports_sdpa = True
    _supports_attention_backend = True
    # FlashAttention cannot take levitated markers: it reads their positions as packed sequences.
    _supports_flash_attn = False
    _supports_flex_attn = False

    # The package sets it. Code that a checkpoint carries has none, and saves weights alone.
    saver: ClassVar[Saver | None] = None
    # The package sets it, see `plmarker.encoders`. Code that a checkpoint carries starts no new model.
    starter: ClassVar[Callable[..., Any] | None] = None
    gradient_checkpointing = False
    # The tokenizer, where it is known: from_encoder and from_pretrained set it, and it is saved with the model.
    tokenizer: PreTrainedTokenizerBase | None = None

    @classmethod
    def from_encoder(cls: type[Model], name_or_path: str, schema: LabelSchema, **options: Any) -> Model:
        """Start from a pretrained encoder, with new heads and marker tokens.

        Args:
            name_or_path: a Hub id, a local folder, or `minilm`; or a trained model, which goes on with new data.
            schema: the labels to predict; a trained model keeps its own beside them.
            options: `marker_init`, `tokenizer`, `revision`, `token`, `dtype`, `attn_implementation`, `device_map`, and
                fields of the model's config; see `plmarker.encoders.starting.start_model`. For a combined model
                `shared_encoder`, `entity` and `relation`; see `start_combined`.

        Raises:
            PLMarkerError: for an encoder that cannot be used, and for a bad option.

        Example:
            >>> schema = LabelSchema(("Person", "Place"))
            >>> model = PLMarkerForEntityRecognition.from_encoder("minilm", schema, max_span_length=5)
        """
        if cls.starter is None:
            raise PLMarkerError("from_encoder needs the package plmarker: import plmarker")
        model: Model = cls.starter(cls, name_or_path, schema, **options)
        return model

    def _set_gradient_checkpointing(
        self, enable: bool = True, gradient_checkpointing_func: Any = None, every_n_layers: int = 1
    ) -> None:
        """transformers turns recomputation on and off by this. Chunks are computed again, and not single layers.

        A layer that is computed again could not tell which layer it is, and so not which keys it reads.
        """
        for module in self.modules():
            if isinstance(module, PLMarkerBaseModel):
                module.gradient_checkpointing = enable

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: Any, *args: Any, config: Any = None, **kwargs: Any) -> Any:
        """As `PreTrainedModel.from_pretrained`; the tokenizer is loaded from the same place, if one is there.

        Raises:
            PLMarkerError: for a checkpoint of another kind or with a damaged file of weights, and for one with missing,
                unexpected or not finite weights: transformers would fill gaps with random numbers, and the model would
                still answer.
        """
        hub = {name: kwargs[name] for name in HUB_ARGUMENTS if name in kwargs}
        if config is None and pretrained_model_name_or_path is not None:
            found, _ = PreTrainedConfig.get_config_dict(pretrained_model_name_or_path, **hub)
            expected = cls.config_class.model_type  # type: ignore[union-attr]
            if found.get("model_type", expected) != expected:
                raise PLMarkerError(
                    f"{pretrained_model_name_or_path}: a model of type {found['model_type']!r}, expected {expected!r}; "
                    "AutoModel loads any, and a combined model has .entity and .relation"
                )
        _check_shards(pretrained_model_name_or_path, hub)
        wants_info = kwargs.pop("output_loading_info", False)
        # The message of transformers about other shapes names no weights.
        accepts_shapes = kwargs.pop("ignore_mismatched_sizes", False)
        # All that is saved here is in this format, and the other one of transformers is a pickle.
        kwargs.setdefault("use_safetensors", True)
        try:
            loaded: Any = super().from_pretrained(
                pretrained_model_name_or_path,
                *args,
                config=config,
                output_loading_info=True,
                ignore_mismatched_sizes=True,
                **kwargs,
            )
        except SafetensorError as error:
            reason = f"a file of weights is damaged: {one_sentence(error)}"
            raise PLMarkerError(f"{pretrained_model_name_or_path}: {reason}") from error
        model, info = loaded
        _check_weights(model, info, pretrained_model_name_or_path, accepts_shapes)
        _check_windows(model, pretrained_model_name_or_path)
        model.tokenizer = _tokenizer_beside(pretrained_model_name_or_path, hub)
        _check_tokenizer(model, pretrained_model_name_or_path)
        return (model, info) if wants_info else model

    def save_pretrained(
        self, save_directory: Any, is_main_process: bool = True, *args: Any, include_code: bool = False, **kwargs: Any
    ) -> None:
        """As `PreTrainedModel.save_pretrained`, with the tokenizer, and a card where the training is known.

        Args:
            include_code: put the model's code beside the weights, so that `trust_remote_code=True` loads it where this
                package is not installed.

        Raises:
            PLMarkerError: for a model with an adapter in it, whose weights have other names than the model's.
        """
        if any(".lora_" in name for name, _ in self.named_parameters()):
            raise PLMarkerError("the model holds an adapter: save that by itself, or merge_and_unload() it first")
        if isinstance(vars(self).get("encoder"), torch.nn.Module):
            raise PLMarkerError("this part uses the encoder of a combined model: save the combined model")
        if self.tokenizer is not None and is_main_process:
            # First, so that push_to_hub uploads it too.
            self.tokenizer.save_pretrained(save_directory)
            saved_hash = vocabulary_hash(self.tokenizer)
            for config in _task_configs(self):
                config.tokenizer_hash = saved_hash

        def save() -> None:
            super(PLMarkerBaseModel, self).save_pretrained(save_directory, is_main_process, *args, **kwargs)

        include_code = include_code or PUSHES_CODE.get()
        if self.saver is not None:
            self.saver.save(self, save, save_directory, include_code, is_main_process)
        elif include_code:
            raise PLMarkerError("include_code needs the package plmarker: import plmarker")
        else:
            save()

    def push_to_hub(self, repo_id: str, *, include_code: bool = False, **kwargs: Any) -> Any:  # type: ignore[override]
        """As `PreTrainedModel.push_to_hub`, with `include_code` as in `save_pretrained`, and with a card.

        A card that somebody wrote or edited stays.
        """
        before = PUSHES_CODE.set(include_code)
        try:
            return super().push_to_hub(repo_id, **kwargs)  # type: ignore[arg-type]
        finally:
            PUSHES_CODE.reset(before)

    def _upload_modified_files(self, working_dir: Any, repo_id: str, *args: Any, **kwargs: Any) -> Any:
        """transformers uploads a folder by this. The card there is the Hub's or a template, and ours replaces it."""
        if self.saver is not None:
            self.saver.before_upload(self, working_dir, repo_id)
        return super()._upload_modified_files(working_dir, repo_id, *args, **kwargs)

    def get_correct_attn_implementation(self, requested_attention: str | None, is_init_check: bool = False) -> str:
        """Levitated attention unless the user asks for another one."""
        return super().get_correct_attn_implementation(requested_attention or LEVITATED, is_init_check)

    def checked_documents(
        self, documents: Iterable[Document], batch_tokens: int
    ) -> tuple[Iterable[Document], WordTokenizer]:
        """Check the arguments of `predict` at the call. A stream of documents is checked as it comes.

        Raises:
            PLMarkerError: for a bad document, a bad `batch_tokens`, or a model without its tokenizer.
        """
        if isinstance(batch_tokens, bool) or not isinstance(batch_tokens, int) or batch_tokens < 1:
            raise PLMarkerError(f"batch_tokens is a whole number from 1, got {batch_tokens!r}")
        if self.tokenizer is None:
            raise PLMarkerError("the model has no tokenizer: load it with from_pretrained, or set model.tokenizer")
        if isinstance(documents, str | bytes | Mapping) or not isinstance(documents, Iterable):
            raise PLMarkerError(f"expected documents, mappings with 'sentences', got {type(documents).__name__}")
        tokenize = WordTokenizer(self.tokenizer)
        if isinstance(documents, Sequence):
            for number, document in enumerate(documents):
                check_document(document, number)
            return documents, tokenize

        def checked() -> Iterator[Document]:
            for number, document in enumerate(documents):
                check_document(document, number)
                yield document

        return checked(), tokenize


def _check_shards(source: Any, hub: Mapping[str, Any]) -> None:
    """Raise `PLMarkerError` for an index of weights that names a file outside the checkpoint."""
    path = None if source is None else file_beside(source, "model.safetensors.index.json", **hub)
    if path is None:
        return
    try:
        names = json.loads(Path(path).read_text(encoding="utf-8"))["weight_map"].values()
    except (ValueError, TypeError, KeyError, AttributeError):
        raise PLMarkerError(f"{source}: the index of the weights cannot be read") from None
    bad = [name for name in names if not (isinstance(name, str) and name and Path(name).name == name)]
    if bad:
        raise PLMarkerError(f"{source}: the index of the weights names {bad[0]!r}, which is no file beside it")


def _tokenizer_beside(source: Any, hub: Mapping[str, Any]) -> PreTrainedTokenizerBase | None:
    """The tokenizer beside a model; None where there is none. A tokenizer that cannot be read is an error."""
    try:
        if all(file_beside(source, name, **hub) is None for name in ("tokenizer.json", "tokenizer_config.json")):
            return None
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(source, trust_remote_code=False, **hub)
    except Exception as error:
        # The library that reads tokenizers raises bare exceptions for broken files.
        reason = one_sentence(error)
        raise PLMarkerError(f"{source}: the tokenizer beside the model cannot be read: {reason}") from error
    return tokenizer


def _task_configs(model: torch.nn.Module) -> list[PLMarkerTaskConfig]:
    """The configs of a model, or of the parts of a combined model."""
    configs = [part.config for part in model.modules() if isinstance(part, PLMarkerBaseModel)]
    return [config for config in configs if isinstance(config, PLMarkerTaskConfig)]


def _check_tokenizer(model: PLMarkerBaseModel, source: Any) -> None:
    """Raise `PLMarkerError` for a tokenizer that is not the one that was saved with the model."""
    expected = {config.tokenizer_hash for config in _task_configs(model)} - {None}
    found = vocabulary_hash(model.tokenizer) if model.tokenizer is not None and expected else ""
    # Older models have the hash of the vocabulary alone.
    if found and not expected <= {found, found.partition("-")[0]}:
        raise PLMarkerError(
            f"{source}: the tokenizer beside the model has another vocabulary or other settings than the one that was "
            "saved with it: put the files of that tokenizer back"
        )


def _check_windows(model: torch.nn.Module, source: Any) -> None:
    """Raise `PLMarkerError` for a config whose windows are longer than the encoder's positions."""
    for part in model.modules():
        if isinstance(part, PLMarkerBaseModel) and isinstance(part.config, PLMarkerTaskConfig):
            try:
                check_window(part.config, cast(int, part.position_offset))
            except PLMarkerError as error:
                raise PLMarkerError(f"{source}: {error}") from None


def _check_weights(model: PreTrainedModel, info: Mapping[str, Any], source: Any, accepts_shapes: bool) -> None:
    """Raise `PLMarkerError` for weights that are missing, that fit nothing or another shape, or that are not finite."""
    shapes = sorted(info.get("mismatched_keys") or (), key=str)
    if shapes and not accepts_shapes:
        name, found, expected = shapes[0]
        raise PLMarkerError(
            f"{source}: the weights {name!r} have the shape {tuple(found)}, expected {tuple(expected)}: "
            "the checkpoint is damaged, or the config is another model's"
        )
    for kind in ("missing", "unexpected"):
        names = sorted(map(str, info.get(f"{kind}_keys") or ()))
        if names:
            found = f"{len(names)} {kind} weights, such as {names[0]!r}"
            raise PLMarkerError(f"{source}: {found}: the checkpoint is damaged, or the config is another model's")
    if (name := weights_not_finite(model)) is not None:
        raise PLMarkerError(
            f"{source}: the weights {name!r} are not finite: the training diverged, or a file is damaged"
        )


def weights_not_finite(model: torch.nn.Module) -> str | None:
    """The name of the first weights with an infinite number or NaN; None where there are none."""
    for name, parameter in model.named_parameters():
        # Weights on the device "meta" are loaded later.
        if not parameter.is_meta and not bool(torch.isfinite(parameter).all()):
            return name
    return None


def to_device(model: PreTrainedModel, device: Any) -> None:
    """Move a model. Raises `PLMarkerError` for a device that cannot be used."""
    try:
        model.to(device)
    except (AssertionError, RuntimeError) as error:
        raise PLMarkerError(f"device {str(device)!r} cannot be used: {one_sentence(error)}") from error
