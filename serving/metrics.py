"""What a server counts, in the text format of Prometheus."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
SIZES = (1, 2, 4, 8, 16, 32, 64, 128)
TOKENS = (16, 64, 256, 512, 768, 1024, 2048, 4096, 16384)


class Metrics:
    """The figures of one server."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        options: dict[str, Any] = {"registry": self.registry}
        self.requests = Counter("plmarker_requests", "Answered requests to /extract.", ["status"], **options)
        self.seconds = Histogram(
            "plmarker_request_seconds", "Seconds from request to answer.", buckets=SECONDS, **options
        )
        self.open = Gauge("plmarker_open_requests", "Requests to /extract that have no answer yet.", **options)
        self.documents = Counter("plmarker_documents", "Documents that were read.", **options)
        self.tokens = Counter("plmarker_tokens", "Subwords of the documents that were read.", **options)
        self.batch_documents = Histogram(
            "plmarker_batch_documents", "Documents that were read together.", buckets=SIZES, **options
        )
        self.batch_tokens = Histogram(
            "plmarker_batch_tokens", "Subwords that were read together.", buckets=TOKENS, **options
        )
        self.batch_seconds = Histogram(
            "plmarker_batch_seconds", "Seconds in which a batch was read.", buckets=SECONDS, **options
        )
        self.waiting_tokens = Gauge(
            "plmarker_waiting_tokens", "Subwords that wait; with explain each counts 20 times.", **options
        )

    def watch_queue(self, waiting_tokens: Callable[[], int]) -> None:
        """Report the length of a queue whenever somebody asks."""
        self.waiting_tokens.set_function(waiting_tokens)

    def observe_batch(self, documents: int, tokens: int, seconds: float) -> None:
        """Count a batch."""
        self.documents.inc(documents)
        self.tokens.inc(tokens)
        self.batch_documents.observe(documents)
        self.batch_tokens.observe(tokens)
        self.batch_seconds.observe(seconds)

    def answered(self) -> dict[str, int]:
        """The number of answered requests by status."""
        samples = [sample for family in self.requests.collect() for sample in family.samples]
        return {s.labels["status"]: int(s.value) for s in samples if s.name.endswith("_total")}

    def text(self) -> bytes:
        """All figures."""
        return generate_latest(self.registry)
