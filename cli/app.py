"""`plmarker app MODEL`: a model in the browser."""

from __future__ import annotations

import argparse
import os
from typing import Any

from ..modeling.schema_plmarker import PLMarkerError
from .options import listening_options, model_options


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    model_options(parser)
    parser.add_argument("model", help="a Hub id or a folder")
    listening_options(parser, 7860)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> Any:
    """Show the page until the process is told to stop."""
    # gradio reads this when it is imported.
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    try:
        from ..serving.app import create_app
        from ..serving.running import run as run_server
    except ImportError as error:
        raise PLMarkerError(f"app needs the package {error.name}: pip install 'plmarker[app]'") from None
    from .models import load_models

    model = load_models([options.model], options.device, options.compat, options.dtype).reader()
    run_server(create_app(model), options.host, options.port, patience=2)
