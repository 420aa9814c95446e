"""`plmarker serve MODEL`: a model behind HTTP."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from .. import __version__
from ..modeling.schema_plmarker import PLMarkerError
from ..serving.limits import Limits
from .options import Listening, ModelName, ModelOptions, must_exist

LIMITS = Limits()
PORT = 8000


def serve(
    context: typer.Context,
    model: ModelName,
    options: ModelOptions,
    listening: Listening,
    max_bytes: Annotated[
        int, typer.Option("--max_bytes", metavar="N", min=1, help="Most bytes of a request.")
    ] = LIMITS.body_bytes,
    max_documents: Annotated[
        int, typer.Option("--max_documents", metavar="N", min=1, help="Most documents of a request.")
    ] = LIMITS.documents,
    max_words: Annotated[
        int, typer.Option("--max_words", metavar="N", min=1, help="Most words of a document.")
    ] = LIMITS.words,
    queue_tokens: Annotated[
        int,
        typer.Option(
            "--queue_tokens",
            metavar="N",
            min=1,
            help="Requests are refused while documents with this many subwords wait.",
        ),
    ] = LIMITS.queue_tokens,
    wait_ms: Annotated[
        float,
        typer.Option(
            "--wait_ms",
            metavar="MS",
            min=0,
            max=1000,
            help="How long a document waits for others to be read with, in milliseconds.",
        ),
    ] = 1000 * LIMITS.wait_seconds,
) -> Any:
    """Put a model behind HTTP, for programs, until the process is told to stop."""
    must_exist(model)
    if options.batch_tokens < 1:
        raise PLMarkerError(f"--batch_tokens is a whole number from 1, got {options.batch_tokens}")
    try:
        from ..serving.running import run
        from ..serving.server import create_app
    except ImportError as error:
        raise PLMarkerError(f"serve needs the package {error.name}: pip install 'plmarker[serve]'") from None
    from .models import load_models
    from .quiet import quiet_models

    context.with_resource(quiet_models())
    reader = load_models([model], options.device, options.compat, options.dtype).reader()
    limits = Limits(
        body_bytes=max_bytes,
        documents=max_documents,
        words=max_words,
        batch_tokens=options.batch_tokens,
        queue_tokens=queue_tokens,
        wait_seconds=wait_ms / 1000,
    )
    app = create_app(reader, __version__, limits)
    run(app, listening.host, PORT if listening.port is None else listening.port)
    answered = app.state.metrics.answered()
    print("stopped; answers by status: " + (", ".join(f"{k}: {v}" for k, v in answered.items()) or "none"))
    return {"answered": answered}
