"""`plmarker export MODEL --format onnx --out FOLDER`: graphs for other runtimes."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from .options import ModelName, must_exist, one_of


def export(
    context: typer.Context,
    model: ModelName,
    out: Annotated[str, typer.Option(metavar="FOLDER", help="A new or empty folder.")],
    format: Annotated[str, one_of("--format", ("onnx", "openvino"), "The runtime.")] = "onnx",
    int8: Annotated[bool, typer.Option("--int8", help="Give the weights 8 bits, with onnx.")] = False,
) -> Any:
    """Write a model as graphs of ONNX or OpenVINO."""
    must_exist(model)
    from ..hub.loading import load_model
    from ..serving.exporting import export as export_graphs
    from .quiet import quiet_models, quiet_tracing

    context.with_resource(quiet_models())
    loaded, _ = load_model(model)
    with quiet_tracing():
        parts = export_graphs(loaded, out, format, int8)
    print(f"{out}: {' and '.join(parts)}, a text pass and a marker pass in {format}")
    return {"parts": parts, "folder": out}
