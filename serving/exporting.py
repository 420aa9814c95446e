"""Writing a model as graphs for other runtimes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from ..data.files import whole_folder, write_json
from ..modeling.attention_plmarker import LEVITATED
from ..modeling.internals_plmarker import attention_implementation
from ..modeling.schema_plmarker import PLMarkerError, one_sentence
from .encoder_passes import AXES, MarkerPass, TextPass, sample_inputs

FORMATS = ("onnx", "openvino")
PASSES = ("text_pass", "marker_pass")
HEADS = "heads.safetensors"
MANIFEST = "plmarker_export.json"


def export(model: Any, folder: str | Path, format: str = "onnx", int8: bool = False) -> list[str]:
    """Write the passes of a model's encoders as graphs, and what surrounds them: heads, configs and tokenizer.

    A part of the model has a folder of its own, `entity` or `relation`, with `text_pass`, `marker_pass` and the weights
    of the heads. With a shared encoder the entity part has the graphs. `load_exported` reads the folder.

    Args:
        model: a model with its tokenizer.
        folder: a new or empty folder.
        format: `onnx` or `openvino`.
        int8: with `onnx`, weights as 8-bit integers; activations are quantised when the graph runs.

    Returns:
        The names of the parts.

    Raises:
        PLMarkerError: for a model that cannot be exported, with the reason, and where a library is missing.
    """
    exporter, config = _exporter(format, int8)
    parts = dict(zip(("entity", "relation"), model.readers, strict=True))
    found = {name: part for name, part in parts.items() if part is not None}
    for name, part in found.items():
        _check(name, part)
    with whole_folder(folder) as out:
        encoders: dict[str, list[int]] = {}
        for name, part in found.items():
            part.config.save_pretrained(out / name)
            heads = {key: value for key, value in part.state_dict().items() if not key.startswith("encoder.")}
            save_file({key: value.contiguous() for key, value in heads.items()}, out / name / HEADS)
            if not any(part.encoder is found[earlier].encoder for earlier in encoders):
                users = [user for user in found.values() if user.encoder is part.encoder]
                # The markers of two parts with one encoder are in one table.
                ids = list(dict.fromkeys(token for user in users for token in user.config.marker_token_ids))
                encoders[name] = ids
                _export_encoder(part, ids, out / name, exporter, config)
        model.tokenizer.save_pretrained(out)
        write_json(out / MANIFEST, {"format": format, "int8": int8, "parts": list(found), "markers": encoders})
    return list(found)


def _check(name: str, part: Any) -> None:
    if part.enter_at:
        raise PLMarkerError(
            f"the {name} model has late_layers: its marker pass calls single layers with arguments that its text pass "
            "made, which a graph of its own cannot have"
        )
    if attention_implementation(part) != LEVITATED:
        raise PLMarkerError(f"the {name} model has attention {attention_implementation(part)!r}, expected {LEVITATED}")
    if part.dtype != torch.float32:
        raise PLMarkerError(f"the {name} model is in {part.dtype}: load it with dtype float32 to export it")
    if part.config.compat is not None:
        raise PLMarkerError(f"the {name} model has compat {part.config.compat!r}: export it without")


def _exporter(format: str, int8: bool) -> tuple[Any, Callable[..., Any]]:
    """An exporter of transformers, and what makes its config."""
    if format not in FORMATS:
        raise PLMarkerError(f"format is one of {', '.join(FORMATS)}, got {format!r}")
    if int8 and format != "onnx":
        raise PLMarkerError("int8 is for onnx: transformers quantises OpenVINO graphs by NNCF, which is not supported")
    try:
        from transformers import exporters

        if format == "openvino":
            return exporters.OpenVINOExporter(), exporters.OpenVINOConfig
        quantizer = exporters.OnnxRuntimeQuantizer(exporters.OnnxRuntimeDynamicConfig()) if int8 else None
        return exporters.OnnxExporter(), lambda **values: exporters.OnnxConfig(quantizer=quantizer, **values)
    except ImportError as error:
        raise PLMarkerError(f"export needs the extra plmarker[export]: {one_sentence(error)}") from error


def _export_encoder(part: Any, marker_ids: list[int], folder: Path, exporter: Any, config: Callable[..., Any]) -> None:
    encoder = part.encoder
    modules = (TextPass(encoder), MarkerPass(encoder, marker_ids))
    samples = sample_inputs(encoder, len(marker_ids))
    for name, module, inputs in zip(PASSES, modules, samples, strict=True):
        inputs = {key: value.to(part.device) for key, value in inputs.items()}
        names = sorted({axis for key in inputs for axis in AXES[key].values()})
        dims = {axis: torch.export.Dim(axis, min=1, max=1 << 20) for axis in names}
        shapes = {key: {place: dims[axis] for place, axis in AXES[key].items()} for key in inputs}
        try:
            with _evaluation(module):
                exporter.export(module, inputs, config(dynamic_shapes=shapes)).save_pretrained(folder / name)
        except Exception as error:
            # Tracing runs the encoder through three libraries, and each has errors of its own.
            family = encoder.config.model_type
            raise PLMarkerError(
                f"the {name} of encoder {family!r} cannot be exported: {one_sentence(error)}"
            ) from error


@contextmanager
def _evaluation(module: torch.nn.Module) -> Iterator[None]:
    """Evaluation mode, and the earlier mode of each part afterwards."""
    modes = {part: part.training for part in module.modules()}
    module.eval()
    try:
        yield
    finally:
        for part, mode in modes.items():
            part.training = mode
