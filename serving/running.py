"""Running an application until somebody stops it, without losing a request."""

from __future__ import annotations

import asyncio
import signal
import socket
from typing import Any

import uvicorn

from ..modeling.schema_plmarker import PLMarkerError

# Connections that the system keeps until the server accepts them.
BACKLOG = 2048
# How long requests that are on their way when the server is stopped may take to arrive.
LAST_CALL_SECONDS = 0.5


class Server(uvicorn.Server):
    """Stops in three steps: no new connections, a last call for the open ones, and then the answers that are due.

    uvicorn alone closes idle connections at once, also those on which a request is just arriving.
    """

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """See `uvicorn.Server.shutdown`."""
        app: Any = self.config.app
        app.state.stopping = True
        for server in self.servers:
            server.close()
        await asyncio.sleep(LAST_CALL_SECONDS)
        await super().shutdown(sockets)


def run(app: Any, host: str, port: int, patience: int | None = None) -> None:
    """Serve an application until SIGTERM or SIGINT comes; then answer what has been accepted, and return.

    Args:
        app: an ASGI application with a `state`, such as that of `create_app`.
        host: the address or name on which the server listens.
        port: 0 takes a free one.
        patience: seconds after which answers that are not complete are cut off; None waits for all of them.

    Raises:
        PLMarkerError: where the address cannot be used.
    """
    try:
        listener = socket.create_server(
            (host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET, backlog=BACKLOG
        )
    except (OSError, OverflowError, ValueError) as error:
        raise PLMarkerError(f"cannot listen on {host}, port {port}: {error}") from None
    server = Server(
        uvicorn.Config(app, log_level="warning", access_log=False, lifespan="on", timeout_graceful_shutdown=patience)
    )
    shown = f"[{host}]" if ":" in host else host
    print(f"http://{shown}:{listener.getsockname()[1]} (Ctrl-C stops it)", flush=True)
    # uvicorn raises the signal that stopped it once more, at its end. It has done its work by then.
    before = {number: signal.signal(number, lambda *_: None) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        server.run(sockets=[listener])
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
