"""`plmarker export MODEL --format onnx --out FOLDER`: graphs for other runtimes."""

from __future__ import annotations

import argparse
from typing import Any


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("model", help="a Hub id or a folder")
    parser.add_argument("--format", choices=("onnx", "openvino"), default="onnx", help="(%(default)s)")
    parser.add_argument("--int8", action="store_true", help="8-bit weights, with onnx")
    parser.add_argument("--out", metavar="FOLDER", required=True, help="a new or empty folder")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> Any:
    """Export, and return the parts and the folder."""
    from ..hub.loading import load_model
    from ..serving.exporting import export

    model, _ = load_model(options.model)
    parts = export(model, options.out, options.format, options.int8)
    print(f"{options.out}: {' and '.join(parts)}, a text pass and a marker pass in {options.format}")
    return {"parts": parts, "folder": str(options.out)}
