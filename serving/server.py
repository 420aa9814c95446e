"""The HTTP interface of a model."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.exceptions import HTTPException

from ..modeling.schema_plmarker import PLMarkerError, one_sentence
from .batching import Batcher, QueueFullError
from .gate import Gate, error_answer
from .limits import Limits
from .messages import ErrorAnswer, ExtractBody, ExtractionAnswer, ExtractionsAnswer, HealthAnswer
from .metrics import Metrics
from .reading import Item, Reader, TooLargeError

Result = TypeVar("Result")
ERRORS: dict[int | str, dict[str, Any]] = {
    408: {"model": ErrorAnswer, "description": "the body did not arrive in time"},
    413: {"model": ErrorAnswer, "description": "the body, or a document, is too large"},
    422: {"model": ErrorAnswer, "description": "the request is wrong"},
    503: {"model": ErrorAnswer, "description": "too much waits; Retry-After says when to come back"},
}
CLIENT_HAS_GONE = 499


def create_app(model: Any, version: str, limits: Limits | None = None) -> FastAPI:
    """An ASGI application that serves a model.

    Args:
        model: a model that extracts, in evaluation mode. It is not changed.
        version: the version of the package, for the pages.
        limits: what the server takes.

    Example:
        >>> uvicorn.run(create_app(AutoModel.from_pretrained("org/plmarker-scierc"), "1"))  # doctest: +SKIP
    """
    limits = limits or Limits()
    reader, metrics = Reader(model, limits), Metrics()
    schema = model.config.schema

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        batcher: Batcher[Item, dict[str, Any]] = Batcher(
            reader.read, limits.batch_tokens, limits.queue_tokens, limits.wait_seconds, metrics.observe_batch
        )
        metrics.watch_queue(lambda: batcher.waiting_tokens)
        app.state.batcher = batcher
        running = asyncio.create_task(batcher.run())
        # Texts are cut into words beside the event loop, too, and beside the model.
        with ThreadPoolExecutor(1, "plmarker-preparer") as app.state.preparer:
            yield
        await batcher.close()
        await running

    app = FastAPI(
        title="plmarker",
        version=version,
        description="Entities, and relations between them.",
        lifespan=lifespan,
    )
    app.state.stopping = False
    app.state.metrics = metrics
    app.add_middleware(Gate, limits=limits, metrics=metrics)

    @app.post(
        "/extract", response_model=ExtractionAnswer | ExtractionsAnswer, responses=ERRORS, summary="Read documents"
    )
    async def extract(body: ExtractBody, request: Request) -> Any:
        batcher: Batcher[Item, dict[str, Any]] = request.app.state.batcher
        batcher.check_room()

        async def answer() -> list[dict[str, Any]]:
            loop = asyncio.get_running_loop()
            items = await loop.run_in_executor(request.app.state.preparer, reader.prepare, body)
            return await batcher.answers(items)

        found = await unless_gone(request, answer())
        if found is None:
            return Response(status_code=CLIENT_HAS_GONE)
        # Not validated once more: these are the values of Extraction.to_dict.
        return JSONResponse(found[0] if body.documents is None else {"documents": found})

    @app.get("/health", summary="Whether requests are taken, and what the model finds")
    async def health(request: Request) -> HealthAnswer:
        return HealthAnswer(
            status="stopping" if request.app.state.stopping else "ok",
            version=version,
            finds_entities=reader.finds_entities,
            entity_labels=list(schema.entity_labels),
            relation_labels=list(schema.relation_labels) if model.readers[1] is not None else [],
        )

    @app.get("/metrics", summary="Figures for Prometheus", response_class=Response)
    async def figures() -> Response:
        return Response(metrics.text(), media_type=CONTENT_TYPE_LATEST)

    @app.exception_handler(RequestValidationError)
    async def wrong_body(request: Request, error: RequestValidationError) -> Response:
        return error_answer(422, validation_sentence(error))

    @app.exception_handler(PLMarkerError)
    async def wrong_request(request: Request, error: PLMarkerError) -> Response:
        return error_answer(413 if isinstance(error, TooLargeError) else 422, one_sentence(error))

    @app.exception_handler(QueueFullError)
    async def full(request: Request, error: QueueFullError) -> Response:
        return error_answer(503, str(error), {"Retry-After": str(error.retry_after)})

    @app.exception_handler(HTTPException)
    async def refused(request: Request, error: HTTPException) -> Response:
        return error_answer(error.status_code, str(error.detail), error.headers)

    @app.exception_handler(Exception)
    async def failed(request: Request, error: Exception) -> Response:
        return error_answer(500, "the server has failed at this request; its log says why")

    return app


async def unless_gone(request: Request, work: Coroutine[Any, Any, Result]) -> Result | None:
    """The result of work; None where the client has gone before, and the work is cancelled."""
    task = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(request.receive())
    try:
        await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
        return task.result() if task.done() else None
    finally:
        task.cancel()
        gone.cancel()


def validation_sentence(error: RequestValidationError) -> str:
    """The first thing that is wrong about a body."""
    first, *others = error.errors()
    is_json = first["type"] != "json_invalid"
    place = ".".join(str(part) for part in first["loc"][1:]) if is_json else f"character {first['loc'][-1]}"
    reason = None if is_json else first.get("ctx", {}).get("error")
    sentence = f"{first['msg'].removeprefix('Value error, ')}{f': {reason}' if reason else ''}"
    more = f" (and {len(others)} more)" if others else ""
    return f"{place}: {sentence}{more}" if place else f"{sentence}{more}"
