"""What the models share: an encoder over packed rows, started from pretrained weights, with new marker tokens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TypeVar

import torch
from huggingface_hub.errors import StrictDataclassError
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import AutoModel, PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

from .attention_plmarker import LEVITATED, MARKERS_PER_SPAN, PackedLayout
from .card_plmarker import save_card
from .code_plmarker import carried_code
from .configuration_plmarker import PLMarkerTaskConfig
from .encoders_plmarker import (
    add_marker_tokens,
    check_encoder,
    check_encoder_config,
    choose_marker_tokens,
    encoder_kwargs,
    load_encoder,
    load_encoder_config,
    load_tokenizer,
    position_offset,
    resolve_encoder,
)
from .packing_plmarker import Row, row_maker
from .processing_plmarker import Feature
from .schema_plmarker import LabelSchema, PLMarkerError

# Arguments of from_pretrained that say where the files are.
HUB_ARGUMENTS = ("revision", "subfolder", "token", "cache_dir", "force_download", "local_files_only")

Model = TypeVar("Model", bound="PLMarkerPreTrainedModel")


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
            raise PLMarkerError(f"{config_class.__name__} has no field {name!r}")
    fields: dict[str, Any] = {**schema.to_dict(), **values}
    try:
        return config_class(encoder_config=encoder_config, pad_token_id=tokenizer.pad_token_id, **fields)
    except StrictDataclassError as error:
        raise PLMarkerError(f"{config_class.__name__}: {' '.join(str(error).split())}") from None


def to_device(model: PreTrainedModel, device: Any) -> None:
    """Move a model. Raises `PLMarkerError` for a device that cannot be used."""
    try:
        model.to(device)
    except (AssertionError, RuntimeError) as error:
        raise PLMarkerError(f"device {str(device)!r} cannot be used: {str(error).splitlines()[0]}") from None


class PLMarkerBaseModel(PreTrainedModel):
    """What every model here says to transformers about itself."""

    supports_gradient_checkpointing = True
    _supports_sdpa = True
    _supports_attention_backend = True
    # FlashAttention cannot take levitated markers: it reads their positions as packed sequences.
    _supports_flash_attn = False
    _supports_flex_attn = False

    # Set while `push_to_hub` saves, which does not hand on options of `save_pretrained`.
    _include_code = False

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: Any, *args: Any, config: Any = None, **kwargs: Any) -> Any:
        """As `PreTrainedModel.from_pretrained`.

        Raises:
            PLMarkerError: for a checkpoint of another kind, whose weights transformers would leave out.
        """
        if config is None and pretrained_model_name_or_path is not None:
            hub = {name: kwargs[name] for name in HUB_ARGUMENTS if name in kwargs}
            found, _ = PreTrainedConfig.get_config_dict(pretrained_model_name_or_path, **hub)
            expected = cls.config_class.model_type  # type: ignore[union-attr]
            if found.get("model_type", expected) != expected:
                raise PLMarkerError(
                    f"{pretrained_model_name_or_path}: a model of type {found['model_type']!r}, expected {expected!r}; "
                    "AutoModel loads any, and a combined model has .entity and .relation"
                )
        return super().from_pretrained(pretrained_model_name_or_path, *args, config=config, **kwargs)

    def save_pretrained(
        self, save_directory: Any, is_main_process: bool = True, *args: Any, include_code: bool = False, **kwargs: Any
    ) -> None:
        """As `PreTrainedModel.save_pretrained`, with a card where the config knows how the model was trained.

        Args:
            include_code: put the model's code beside the weights, so that `trust_remote_code=True` loads it where this
                package is not installed.

        Raises:
            PLMarkerError: for a model in which an adapter is; its weights have other names than the model's.
        """
        if any(".lora_" in name for name, _ in self.named_parameters()):
            raise PLMarkerError("the model holds an adapter: save that by itself, or merge_and_unload() it first")
        if self._auto_class is None:
            # Of a model that came with its code; saved without, it must not name it.
            self.config.__dict__.pop("auto_map", None)
        with ExitStack() as stack:
            if include_code or self._include_code:
                stack.enter_context(carried_code(self))
            super().save_pretrained(save_directory, is_main_process, *args, **kwargs)
        if self.config.training_run is not None and is_main_process:
            save_card(self.config, save_directory)

    def push_to_hub(self, repo_id: str, *, include_code: bool = False, **kwargs: Any) -> Any:  # type: ignore[override]
        """As `PreTrainedModel.push_to_hub`, with `include_code` as in `save_pretrained`, and with a card.

        A card that somebody wrote or edited stays.
        """
        self._include_code = include_code
        try:
            return super().push_to_hub(repo_id, **kwargs)  # type: ignore[arg-type]
        finally:
            self._include_code = False

    def _upload_modified_files(self, working_dir: Any, repo_id: str, *args: Any, **kwargs: Any) -> Any:
        """What transformers pushes a folder by; what it has put there as a card is the Hub's, or a template."""
        save_card(self.config, working_dir, repo_id)
        return super()._upload_modified_files(working_dir, repo_id, *args, **kwargs)

    def get_correct_attn_implementation(self, requested_attention: str | None, is_init_check: bool = False) -> str:
        """Levitated attention unless the user asks for another one."""
        return super().get_correct_attn_implementation(requested_attention or LEVITATED, is_init_check)


class PLMarkerPreTrainedModel(PLMarkerBaseModel):
    """An encoder over packed rows; the base of the two task models."""

    config: PLMarkerTaskConfig
    config_class: type[PLMarkerTaskConfig]
    base_model_prefix = "encoder"
    # The loss is a mean over the row's spans, weighted by class: it cannot be renormalised by a count from outside.
    accepts_loss_kwargs = False

    def __init__(self, config: PLMarkerTaskConfig) -> None:
        super().__init__(config)
        encoder_config = config.encoder_config
        check_encoder_config(encoder_config)
        # The dtype is that of the model around it, not what the encoder was once saved in.
        self.encoder = AutoModel.from_config(
            encoder_config,
            attn_implementation=config._attn_implementation,
            dtype=torch.get_default_dtype(),
            **encoder_kwargs(encoder_config),
        )
        check_encoder(self.encoder)
        self.position_offset = position_offset(self.encoder)
        dropout = config.head_dropout
        if dropout is None:
            # DistilBERT has another name for it.
            dropout = getattr(encoder_config, "hidden_dropout_prob", getattr(encoder_config, "dropout", 0.0))
        self.dropout = nn.Dropout(dropout)

    @classmethod
    def from_encoder(
        cls: type[Model],
        name_or_path: str,
        schema: LabelSchema,
        marker_init: str = "random",
        tokenizer: PreTrainedTokenizerBase | None = None,
        **config_values: Any,
    ) -> Model:
        """Start from a pretrained encoder, with new heads and marker tokens.

        Args:
            name_or_path: a Hub id, a local folder, or `minilm`.
            schema: the labels to predict.
            marker_init: `lm` copies the markers' embeddings from [MASK] and from words that say what they mark (the
                original's `lminit`); `random` leaves the embeddings as the encoder has them.
            tokenizer: where it is not the encoder's own.
            config_values: fields of the model's config, such as `max_seq_length`.

        Raises:
            PLMarkerError: for an encoder that cannot be loaded or cannot carry levitated markers, a window longer
                than its positions, or a field that the config does not have.
        """
        if marker_init not in ("random", "lm"):
            raise PLMarkerError(f"marker_init is 'random' or 'lm', not {marker_init!r}")
        encoder_config = load_encoder_config(name_or_path)
        check_encoder_config(encoder_config)
        tokenizer = tokenizer or load_tokenizer(name_or_path)
        # A name on the Hub says what the model is made of; a folder says where somebody keeps files.
        encoder_config._name_or_path = "" if Path(name_or_path).exists() else name_or_path
        config = build_config(cls.config_class, schema, encoder_config, tokenizer, config_values)
        config.marker_tokens = choose_marker_tokens(tokenizer, len(config.marker_words))
        config.marker_token_ids = add_marker_tokens(tokenizer, config.marker_tokens)
        encoder = load_encoder(resolve_encoder(name_or_path), encoder_config)
        n_rows = max(config.marker_token_ids, default=0) + 1
        if n_rows > encoder.config.vocab_size:
            encoder.resize_token_embeddings(n_rows)
            config.encoder_config.vocab_size = n_rows
        model = cls(config)
        model.check_window()
        model.encoder.load_state_dict(encoder.state_dict())
        if marker_init == "lm":
            model.init_markers(tokenizer)
        return model

    @torch.no_grad()
    def init_markers(self, tokenizer: PreTrainedTokenizerBase) -> None:
        """Copy the markers' embeddings from [MASK] and from words that say what they mark (the original's `lminit`)."""
        if tokenizer.mask_token_id is None:
            raise PLMarkerError("marker_init 'lm' needs a tokenizer with a mask token; use 'random'")
        table = self.encoder.get_input_embeddings().weight
        for token_id, word in zip(self.config.marker_token_ids, self.config.marker_words, strict=True):
            source = tokenizer.mask_token_id
            if word is not None:
                source = tokenizer(word, add_special_tokens=False)["input_ids"][0]
            table[token_id] = table[source].clone()

    def check_window(self) -> None:
        """Raise `PLMarkerError` for a window longer than the encoder's positions."""
        room = getattr(self.config.encoder_config, "max_position_embeddings", None)
        if room is not None and self.config.max_seq_length + self.position_offset > room:
            raise PLMarkerError(
                f"max_seq_length is {self.config.max_seq_length}, but encoder "
                f"{self.config.encoder_config.model_type!r} has positions for {room - self.position_offset} subwords"
            )

    # How many markers belong together, and which of them see their kind in other blocks, see [`PackedLayout`].
    marker_block = MARKERS_PER_SPAN
    joined_markers: tuple[bool, ...] = ()

    def pack(self, features: Sequence[Feature]) -> Row:
        """Make the row of tensors that `forward` takes."""
        return row_maker(self.config)(features)

    def encode(self, input_ids: Tensor, position_ids: Tensor, window_lengths: Tensor) -> Tensor:
        """Encode a packed row.

        Args:
            input_ids, position_ids: shape (1, tokens); positions count from 0 in every window.
            window_lengths: shape (windows, 2), text and marker tokens of each window.

        Returns:
            States after dropout, shape (tokens, hidden size).
        """
        layout = PackedLayout.from_lengths(window_lengths, position_ids, self.marker_block, self.joined_markers)
        offset: Any = self.position_offset
        if self.config.has_quirk("marker_positions"):
            offset = offset * layout.is_text
        position_ids = position_ids + offset
        if self.encoder.config._attn_implementation == LEVITATED:
            # Without a mask for each, encoders with local layers would make a mask over the whole row for them.
            masks = {"full_attention": None, "sliding_attention": None} if self._has_local_layers else None
            batch: dict[str, Any] = {"input_ids": input_ids, "position_ids": position_ids, "attention_mask": masks}
            states = self.encoder(**batch, layout=layout).last_hidden_state[0]
        else:
            states = self._encode_dense(input_ids, position_ids, layout)
        return self.dropout(states)

    def _encode_dense(self, input_ids: Tensor, position_ids: Tensor, layout: PackedLayout) -> Tensor:
        """The reference: a padded batch of windows and a dense mask over text and markers."""
        index = layout.padded_index
        places = index.clamp(min=0)
        sliding_window = getattr(self.encoder.config, "sliding_window", None)
        mask: Any = self._dense_mask(layout.dense_mask())
        if self._has_local_layers:
            # A single mask would be used for local layers too.
            mask = {"full_attention": mask, "sliding_attention": self._dense_mask(layout.dense_mask(sliding_window))}
        batch: dict[str, Any] = {"input_ids": input_ids[0, places], "position_ids": position_ids[0, places]}
        padded = self.encoder(**batch, attention_mask=mask).last_hidden_state
        return padded[index >= 0]

    @property
    def _has_local_layers(self) -> bool:
        return "sliding_attention" in (getattr(self.encoder.config, "layer_types", None) or ())

    def _dense_mask(self, mask: Tensor) -> Tensor:
        """The form that the attention implementation takes: eager adds whatever it is given, even a boolean."""
        if self.encoder.config._attn_implementation != "eager":
            return mask
        additive = torch.zeros(mask.shape, dtype=self.dtype, device=mask.device)
        return additive.masked_fill_(~mask, torch.finfo(self.dtype).min)

    def _cross_entropy(self, logits: Tensor, labels: Tensor, nil_weight: float = 1.0) -> Tensor:
        weight = torch.ones(logits.shape[-1], dtype=torch.float32, device=logits.device)
        weight[0] = nil_weight
        return F.cross_entropy(logits.float(), labels, weight=weight)
