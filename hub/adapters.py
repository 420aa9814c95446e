"""LoRA adapters (peft) on the encoder, with the heads and the marker embeddings trained beside them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..modeling.schema_plmarker import PLMarkerError, one_line
from ..modeling.task_model_plmarker import PLMarkerPreTrainedModel


def add_lora(model: PLMarkerPreTrainedModel, **options: Any) -> Any:
    """Freeze a model, and train new low-rank matrices in its encoder, its heads, and the embeddings of its markers.

    Args:
        model: an entity model or a relation model.
        options: options of `peft.LoraConfig`. By default `target_modules` are those that peft knows for the encoder.

    Returns:
        An [`AdaptedModel`], for `PLMarkerTrainer`. Its `push_to_hub` pushes the adapter alone, and its
        `merge_and_unload` returns an ordinary model.

    Raises:
        PLMarkerError: where peft is missing, or does not take an option.

    Example:
        >>> model = add_lora(model, r=16, lora_alpha=32)  # doctest: +SKIP
    """
    if not isinstance(model, PLMarkerPreTrainedModel):
        raise PLMarkerError(
            f"adapters are for the model of one task, such as model.entity, not a {type(model).__name__}"
        )
    check_lora(options)
    from peft import LoraConfig
    from peft.utils.constants import TRANSFORMERS_MODELS_TO_LORA_TARGET_MODULES_MAPPING as KNOWN_TARGETS

    from .adapted import AdaptedModel

    heads = [name for name, child in model.named_children() if name not in (model.base_model_prefix, "dropout")]
    options.setdefault("target_modules", KNOWN_TARGETS.get(model.encoder.config.model_type))
    if model.config.marker_token_ids:
        table = model.encoder.get_input_embeddings()
        name = next(name for name, module in model.named_modules() if module is table)
        options.setdefault("trainable_token_indices", {name: sorted(set(model.config.marker_token_ids))})
    try:
        # The Hub shows the base of an adapter, and loading needs it.
        options.setdefault("base_model_name_or_path", model.name_or_path or None)
        return AdaptedModel(model, LoraConfig(modules_to_save=heads, **options))
    except (TypeError, ValueError) as error:
        raise PLMarkerError(f"peft: {one_line(error)}") from None


def check_lora(options: Mapping[str, Any]) -> None:
    """Raise `PLMarkerError` where peft is missing, or does not take the options that `add_lora` is to be given."""
    try:
        from peft import LoraConfig
    except ImportError:
        raise PLMarkerError("adapters need peft: pip install 'plmarker[peft]'") from None
    try:
        LoraConfig(**options)
    except (TypeError, ValueError) as error:
        raise PLMarkerError(f"peft: {one_line(error)}") from None
