"""`plmarker serve MODEL`: a model behind HTTP."""

from __future__ import annotations

import argparse
from typing import Any

from .. import __version__
from ..modeling.schema_plmarker import PLMarkerError
from ..serving.limits import Limits
from .options import listening_options, model_options

LIMITS = Limits()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    model_options(parser)
    parser.add_argument("model", help="a Hub id or a folder")
    listening_options(parser, 8000)
    parser.add_argument(
        "--max_bytes", type=int, default=LIMITS.body_bytes, help="most bytes of a request (%(default)s)"
    )
    parser.add_argument(
        "--max_documents", type=int, default=LIMITS.documents, help="most documents of a request (%(default)s)"
    )
    parser.add_argument("--max_words", type=int, default=LIMITS.words, help="most words of a document (%(default)s)")
    parser.add_argument(
        "--queue_tokens",
        type=int,
        default=LIMITS.queue_tokens,
        help="requests are refused while documents with this many subwords wait (%(default)s)",
    )
    parser.add_argument(
        "--wait_ms",
        type=float,
        default=1000 * LIMITS.wait_seconds,
        help="how long a document waits for others to be read with (%(default)s)",
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> Any:
    """Serve until the process is told to stop, and return the number of requests by status."""
    for name in ("max_bytes", "max_documents", "max_words", "queue_tokens", "batch_tokens"):
        if getattr(options, name) < 1:
            raise PLMarkerError(f"--{name} is a whole number from 1, got {getattr(options, name)}")
    if not 0 <= options.wait_ms <= 1000:
        raise PLMarkerError(f"--wait_ms is from 0 to 1000, got {options.wait_ms:g}")
    try:
        from ..serving.running import run as run_server
        from ..serving.server import create_app
    except ImportError as error:
        raise PLMarkerError(f"serve needs the package {error.name}: pip install 'plmarker[serve]'") from None
    from .models import load_models

    model = load_models([options.model], options.device, options.compat, options.dtype).reader()
    limits = Limits(
        body_bytes=options.max_bytes,
        documents=options.max_documents,
        words=options.max_words,
        batch_tokens=options.batch_tokens,
        queue_tokens=options.queue_tokens,
        wait_seconds=options.wait_ms / 1000,
    )
    app = create_app(model, __version__, limits)
    run_server(app, options.host, options.port)
    answered = app.state.metrics.answered()
    print("stopped; answers by status: " + (", ".join(f"{k}: {v}" for k, v in answered.items()) or "none"))
    return {"answered": answered}
