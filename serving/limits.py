"""How much a server takes."""

from __future__ import annotations

from dataclasses import dataclass

from ..modeling.text_plmarker import BATCH_TOKENS


@dataclass(frozen=True)
class Limits:
    """Bounds of one server.

    Args:
        body_bytes: most bytes of the body of a request.
        documents: most documents of a request.
        words: most words of a document.
        given_entities: most given entities of a sentence: each pair of them is read.
        batch_tokens: documents are read together until they have this many subwords. With `explain`, each counts 20
            times, here and in `queue_tokens`.
        queue_tokens: requests are refused while documents with this many subwords wait.
        requests: most requests at a time, those whose body still arrives included.
        wait_seconds: how long the first document of a batch waits for others while the model is idle.
        body_seconds: how long the body of a request may take to arrive.
    """

    body_bytes: int = 2**20
    documents: int = 64
    words: int = 10_000
    given_entities: int = 100
    batch_tokens: int = BATCH_TOKENS
    queue_tokens: int = 50_000
    requests: int = 1_000
    wait_seconds: float = 0.005
    body_seconds: float = 30.0
