"""`plmarker app MODEL`: a model in the browser."""

from __future__ import annotations

import os
from typing import Any

import typer

from ..modeling.schema_plmarker import PLMarkerError
from .options import Listening, LoadingOptions, ModelName, must_exist

PORT = 7860


def app(
    context: typer.Context,
    model: ModelName,
    options: LoadingOptions,
    listening: Listening,
) -> Any:
    """Show a model in the browser, for people."""
    must_exist(model)
    # gradio reads this when it is imported.
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    try:
        from ..serving.app import create_app
        from ..serving.running import run
    except ImportError as error:
        raise PLMarkerError(f"app needs the package {error.name}: pip install 'plmarker[app]'") from None
    from .models import load_models
    from .quiet import quiet_models

    context.with_resource(quiet_models())
    reader = load_models([model], options.device, options.compat, options.dtype).reader()
    run(create_app(reader), listening.host, PORT if listening.port is None else listening.port, patience=2)
