"""Extraction with exported graphs: the heads, candidates and decoding are the model's, the encoder is a runtime's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel, AutoTokenizer
from transformers.modeling_outputs import BaseModelOutput

from ..modeling.attention_plmarker import Padding
from ..modeling.modeling_plmarker import PLMarkerModel
from ..modeling.schema_plmarker import PLMarkerError, one_sentence
from .exporting import HEADS, MANIFEST, PASSES


def load_exported(folder: str | Path, **options: Any) -> Any:
    """Load what `plmarker export` wrote. No weights of an encoder are loaded into PyTorch.

    Args:
        folder: a local folder.
        options: for the runtime, as `transformers.exporters.ExportedModel.from_pretrained` takes them: `device`;
            `session_options` and `providers` of ONNX Runtime; `config` of OpenVINO. OpenVINO computes in float32,
            unless `config` has another `INFERENCE_PRECISION_HINT`, such as `bf16`.

    Returns:
        A model of the class that was exported, with `extract` and `predict`. It cannot be trained or saved.

    Raises:
        PLMarkerError: for a folder that holds no export, and for files that are damaged or missing.

    Example:
        >>> model = load_exported("folder")  # doctest: +SKIP
        >>> model.extract("Ines Tavarro sings.").entities  # doctest: +SKIP
    """
    folder = Path(folder)
    if not (folder / MANIFEST).is_file():
        raise PLMarkerError(f"{folder}: there is no {MANIFEST}, expected a folder that `plmarker export` wrote")
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        names, markers = list(manifest["parts"]), dict(manifest["markers"])
    except (ValueError, KeyError, TypeError) as error:
        raise PLMarkerError(f"{folder / MANIFEST}: this is no manifest of an export: {one_sentence(error)}") from None
    if names not in (["entity"], ["relation"], ["entity", "relation"]) or names[0] not in markers:
        raise PLMarkerError(
            f"{folder / MANIFEST}: expected the parts entity and relation, with markers, found {names!r} "
            f"with markers of {list(markers)!r}"
        )
    try:
        return _load(folder, names, markers, runtime_options(manifest.get("format"), options))
    except Exception as error:
        # Damaged files reach many libraries, and each has errors of its own.
        raise PLMarkerError(f"{folder}: the export cannot be loaded: {one_sentence(error)}") from error


def runtime_options(format: str | None, options: dict[str, Any]) -> dict[str, Any]:
    """The options of a runtime. Without this one OpenVINO takes bfloat16 on processors that have it."""
    if format != "openvino":
        return options
    return {**options, "config": {"INFERENCE_PRECISION_HINT": "f32", **(options.get("config") or {})}}


def _load(folder: Path, names: list[str], markers: dict[str, list[int]], options: dict[str, Any]) -> Any:
    """The model of an export whose manifest is as expected."""
    tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    parts = {}
    encoder = None
    for name in names:
        config = AutoConfig.from_pretrained(folder / name, trust_remote_code=False)
        with torch.device("meta"):
            part = AutoModel.from_config(config)
        if name in markers:
            encoder = SessionEncoder(folder / name, config.encoder_config, markers[name], options)
        part.encoder = encoder
        part.load_state_dict(load_file(folder / name / HEADS), assign=True)
        part.tokenizer = tokenizer
        parts[name] = part.eval()
    if "entity" not in parts:
        return parts["relation"]
    if "relation" not in parts:
        return parts["entity"]
    return PLMarkerModel.from_models(parts["entity"], parts["relation"], tokenizer)


class _Ids(nn.Module):
    """In place of word embeddings: the graphs look them up."""

    def forward(self, ids: Tensor) -> Tensor:
        return ids


class SessionEncoder(nn.Module):
    """An encoder that answers the readings of `states_plmarker` by two graphs.

    Args:
        folder: a part of an export.
        config: the config of the encoder.
        marker_ids: the ids of the markers, in the order in which the marker pass numbers them.
        options: for the runtime.
    """

    def __init__(self, folder: Path, config: Any, marker_ids: list[int], options: dict[str, Any]) -> None:
        super().__init__()
        from transformers.exporters import ExportedModel

        passes = (ExportedModel.from_pretrained(folder / name, **options) for name in PASSES)
        self.prepare(config, marker_ids, *passes)

    def prepare(self, config: Any, marker_ids: list[int], text_pass: Any, marker_pass: Any) -> None:
        """Set what answers a reading: two callables that take and return what `encoder_passes` says."""
        self.config = config
        self.numbers = {token: number for number, token in enumerate(marker_ids)}
        self.text_pass, self.marker_pass = text_pass, marker_pass
        self.ids = _Ids()

    def get_input_embeddings(self) -> nn.Module:
        """The ids themselves."""
        return self.ids

    def forward(self, inputs_embeds: Tensor, reading: Any, **kwargs: Any) -> BaseModelOutput:
        """See `states_plmarker.call_encoder`, which calls an encoder with a row of ids here."""
        ids = inputs_embeds[0]
        states = self._read_markers(ids, reading) if hasattr(reading, "text") else self._read_text(ids, reading.states)
        return BaseModelOutput(last_hidden_state=states[None])

    def _read_text(self, ids: Tensor, states: Any) -> Tensor:
        padding = states.layout.padding
        found = self.text_pass(input_ids=ids[padding.places.clamp(min=0)], text_mask=(padding.places >= 0).long())
        for kept, name in ((states.keys, "keys"), (states.values, "values")):
            kept.extend(padding.unpad(layer) for layer in found[name])
        return found["hidden"].flatten(0, 1)[padding.flat]

    def _read_markers(self, ids: Tensor, reading: Any) -> Tensor:
        layout, text = reading.layout, reading.text
        padding: Padding = layout.padding
        of_text: Padding = layout.text.padding
        places = padding.places.clamp(min=0)
        real = padding.places >= 0
        numbers = torch.tensor([self.numbers[token] for token in ids.tolist()])
        seen = layout.visible(places[:, :, None], places[:, None]) & real[:, :, None] & real[:, None]
        found = self.marker_pass(
            markers=numbers[places],
            marker_positions=layout.positions[places],
            marker_mask=seen.long(),
            text_mask=(of_text.places >= 0).long(),
            keys=torch.stack([of_text.pad(layer) for layer in text.keys]),
            values=torch.stack([of_text.pad(layer) for layer in text.values]),
        )
        return found["hidden"].flatten(0, 1)[padding.flat]
