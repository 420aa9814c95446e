"""What every request passes: bounds, figures, and the way out when the server stops."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping

from fastapi.responses import JSONResponse
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .limits import Limits
from .metrics import Metrics


def error_answer(status: int, sentence: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """An answer that says what went wrong."""
    # A lone surrogate in the request cannot be written as UTF-8.
    detail = sentence.encode("utf-8", "backslashreplace").decode("utf-8")
    return JSONResponse({"detail": detail}, status, headers)


class Gate:
    """Middleware around an application.

    It refuses requests while too many are open, and bodies that are too large or arrive too slowly. It counts the
    requests to /extract by status. While the application's `state.stopping` is true, answers close their connection.
    """

    def __init__(self, app: ASGIApp, limits: Limits, metrics: Metrics) -> None:
        self.app, self.limits, self.metrics = app, limits, metrics
        self.n_open = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See the ASGI specification."""
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        counted = scope["path"] == "/extract"
        start = time.perf_counter()
        status: int | None = None

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                if scope["app"].state.stopping:
                    message = {**message, "headers": [*message.get("headers", ()), (b"connection", b"close")]}
            await send(message)

        self.n_open += counted
        self.metrics.open.set(self.n_open)
        try:
            await self._pass(scope, receive, answer, counted)
        finally:
            self.n_open -= counted
            self.metrics.open.set(self.n_open)
            if counted:
                self.metrics.requests.labels(str(status or 500)).inc()
                self.metrics.seconds.observe(time.perf_counter() - start)

    async def _pass(self, scope: Scope, receive: Receive, answer: Send, counted: bool) -> None:
        if counted and self.n_open > self.limits.requests:
            refusal = error_answer(503, "too many requests are open; try again in 1 second", {"Retry-After": "1"})
            return await refusal(scope, receive, answer)
        length = Headers(scope=scope).get("content-length", "0")
        if length.isdecimal() and int(length) > self.limits.body_bytes:
            return await self._too_large()(scope, receive, answer)
        deadline = asyncio.get_running_loop().time() + self.limits.body_seconds
        n_bytes, is_whole = 0, False

        async def receive_within_limits() -> Message:
            nonlocal n_bytes, is_whole
            if is_whole:
                return await receive()
            try:
                async with asyncio.timeout_at(deadline):
                    message = await receive()
            except TimeoutError:
                seconds = f"{self.limits.body_seconds:g}"
                raise BodyError(error_answer(408, f"the body took more than {seconds} seconds to arrive")) from None
            n_bytes += len(message.get("body", b""))
            if n_bytes > self.limits.body_bytes:
                raise BodyError(self._too_large())
            is_whole = not message.get("more_body", False)
            return message

        try:
            await self.app(scope, receive_within_limits, answer)
        except BodyError as error:
            await error.answer(scope, receive, answer)
        return None

    def _too_large(self) -> JSONResponse:
        return error_answer(413, f"the body has more than {self.limits.body_bytes} bytes")


class BodyError(BaseException):
    """A body that is not read to its end. Not an Exception, which the application would answer itself."""

    def __init__(self, answer: JSONResponse) -> None:
        super().__init__()
        self.answer = answer
