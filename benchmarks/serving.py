"""A server under load, on loopback: throughput against `extract`, times of answers at several rates, and stopping.

    python benchmarks/serving.py MODEL DOCUMENTS --json benchmarks/serving.json

DOCUMENTS is a file of annotated documents (JSONL), whose words are sent, one document a request. The client and the
server share one machine.

- Throughput: `extract` reads all documents in one call; then clients send the same documents to the server, each the
  next one when it has an answer. The two take turns, and the median turn counts. All answers must equal those of
  `extract`.
- Times: requests are sent at random moments (a Poisson process) at a given rate, whether or not earlier ones have been
  answered. A time runs from the moment at which a request was due to its answer. Rates are fractions of the throughput.
- Overload: the same at three times the throughput, with a queue that holds about what the server reads in a second. It
  must refuse what it cannot read.
- Stopping: SIGTERM comes while all clients are sending. The number of answers that the clients have got must be the
  number of requests that the server says it has answered, and no request may be cut off.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import random
import signal
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import fastapi
import httpx
import torch
import transformers
import uvicorn
from transformers import AutoModel

import plmarker
from plmarker.data import read_documents

SEED = 42
CLIENTS = 16
TURNS = 3
RATES = (0.25, 0.5, 0.75, 0.9)
OVERLOAD = 3.0
# Subwords of a word, about.
SUBWORDS = 1.5
# Scores are sums, whose order depends on the batch.
TOLERANCE = 1e-3
LIMITS = httpx.Limits(max_connections=None, max_keepalive_connections=None)


class Server:
    """`plmarker serve` in a process of its own."""

    def __init__(self, model: str, queue_tokens: int) -> None:
        command = [sys.executable, "-m", "plmarker", "serve", model, "--port", "0", "--device", "cpu"]
        command += ["--queue_tokens", str(queue_tokens)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.address = next(line.split()[0] for line in self.process.stdout if line.startswith("http"))

    def stop(self) -> dict[str, int]:
        """Send SIGTERM, wait, and return the answers by status."""
        self.process.send_signal(signal.SIGTERM)
        return self.answered()

    def answered(self) -> dict[str, int]:
        """The answers by status, as the server prints them at its end."""
        output = self.process.communicate(timeout=120)[0]
        line = next(line for line in output.splitlines() if line.startswith("stopped"))
        if self.process.returncode:
            raise SystemExit(f"the server ended with status {self.process.returncode}")
        parts = (part.split(": ") for part in line.partition("status: ")[2].split(", "))
        return {status: int(count) for status, count in parts}


async def closed_loop(address: str, bodies: Sequence[Any], clients: int) -> tuple[float, list[Any]]:
    """Seconds in which clients get all answers, and the answers."""
    answers: list[Any] = [None] * len(bodies)
    numbers = iter(range(len(bodies)))

    async def work(client: httpx.AsyncClient) -> None:
        for number in numbers:
            answer = await client.post("/extract", json=bodies[number])
            answer.raise_for_status()
            answers[number] = answer.json()

    async with httpx.AsyncClient(base_url=address, timeout=120, limits=LIMITS) as client:
        start = time.perf_counter()
        await asyncio.gather(*(work(client) for _ in range(clients)))
        return time.perf_counter() - start, answers


async def open_loop(address: str, bodies: Sequence[Any], rate: float, seconds: float) -> dict[str, Any]:
    """Send requests at a rate, and return the times of the answers."""
    choose = random.Random(SEED)
    times: list[float] = []
    statuses: Counter[str] = Counter()
    without_time = 0

    async def send(client: httpx.AsyncClient, body: Any, due: float) -> None:
        nonlocal without_time
        answer = await client.post("/extract", json=body)
        statuses[str(answer.status_code)] += 1
        without_time += answer.status_code == 503 and "retry-after" not in answer.headers
        if answer.status_code == 200:
            times.append(time.perf_counter() - due)

    async with httpx.AsyncClient(base_url=address, timeout=300, limits=LIMITS) as client:
        tasks = []
        start = due = time.perf_counter()
        while due - start < seconds:
            due += choose.expovariate(rate)
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            tasks.append(asyncio.create_task(send(client, choose.choice(bodies), due)))
        await asyncio.gather(*tasks)
    if set(statuses) - {"200", "503"} or without_time:
        raise SystemExit(f"unexpected answers: {dict(statuses)}, {without_time} without Retry-After")
    quantiles = statistics.quantiles(times, n=100, method="inclusive")
    return {
        "requests_per_second": rate,
        "sent": len(tasks),
        "answers": dict(statuses),
        "p50_seconds": quantiles[49],
        "p99_seconds": quantiles[98],
    }


async def stop_under_load(server: Server, bodies: Sequence[Any], seconds: float) -> dict[str, Any]:
    """Send SIGTERM while clients send requests as fast as they can."""
    answered: Counter[str] = Counter()
    ends: Counter[str] = Counter()

    async def work(number: int) -> None:
        choose = random.Random(number)
        async with httpx.AsyncClient(base_url=server.address, timeout=120) as client:
            while True:
                try:
                    answer = await client.post("/extract", json=choose.choice(bodies))
                except httpx.TransportError as error:
                    ends[type(error).__name__] += 1
                    return
                answered[str(answer.status_code)] += 1

    work_done = asyncio.gather(*(work(number) for number in range(CLIENTS)))
    await asyncio.sleep(seconds)
    before = sum(answered.values())
    start = time.perf_counter()
    server.process.send_signal(signal.SIGTERM)
    await work_done
    by_server = server.answered()
    return {
        "clients": CLIENTS,
        "answered_before_the_signal": before,
        "answered_after_the_signal": sum(answered.values()) - before,
        "seconds_until_the_end": time.perf_counter() - start,
        "answers_that_clients_got": dict(answered),
        "answers_that_the_server_counts": by_server,
        # A new connection that nobody takes. Anything else would be a request that was cut off.
        "why_clients_ended": dict(ends),
    }


def largest_difference(found: Sequence[Any], expected: Sequence[Any]) -> float:
    """The largest difference of scores. Everything else must be equal."""
    largest = 0.0
    for answer, other in zip(found, expected, strict=True):
        for kind in ("entities", "relations"):
            for row, known in zip(answer[kind], other[kind], strict=True):
                largest = max(largest, abs(row.pop("score") - (score := known["score"])))
                if row != {key: value for key, value in known.items() if key != "score"}:
                    raise SystemExit(f"the server found {row}, and extract {known}, with the score {score}")
    return largest


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("documents")
    parser.add_argument("--json", type=Path, required=True)
    parser.add_argument("--limit", type=int, default=25, help="documents that are sent (default: 25)")
    parser.add_argument("--seconds", type=float, default=15, help="seconds of each rate (default: 15)")
    options = parser.parse_args()
    documents = [document["sentences"] for document in read_documents(options.documents)][: options.limit]
    bodies = [{"words": document} for document in documents]
    model = AutoModel.from_pretrained(options.model).eval()
    modules = (plmarker, torch, transformers, fastapi, uvicorn)
    report: dict[str, Any] = {
        "documents": len(documents),
        "words": sum(len(sentence) for document in documents for sentence in document),
        "versions": {"python": platform.python_version()} | {module.__name__: module.__version__ for module in modules},
        "machine": {
            "processor": platform.machine(),
            "cores": os.cpu_count(),
            "threads": torch.get_num_threads(),
            "load_average_before": os.getloadavg(),
        },
    }
    # Enough room for all that the clients of a closed loop send.
    server = Server(options.model, 50_000)
    asyncio.run(closed_loop(server.address, bodies[:4], 2))
    model.extract(words=documents[:4])
    turns: dict[str, list[float]] = {"extract": [], "server": [], "one_client": []}
    difference = 0.0
    for _ in range(TURNS):
        start = time.perf_counter()
        expected = [extraction.to_dict() for extraction in model.extract(words=documents)]
        turns["extract"].append(time.perf_counter() - start)
        for name, clients in (("server", CLIENTS), ("one_client", 1)):
            seconds, answers = asyncio.run(closed_loop(server.address, bodies, clients))
            turns[name].append(seconds)
            difference = max(difference, largest_difference(answers, expected))
        print({name: round(seconds[-1], 2) for name, seconds in turns.items()}, flush=True)
    if difference > TOLERANCE:
        raise SystemExit(f"the scores of the server and of extract differ by {difference}")
    medians = {name: statistics.median(seconds) for name, seconds in turns.items()}
    throughput = {name: len(documents) / seconds for name, seconds in medians.items()}
    report["throughput"] = {
        "clients": CLIENTS,
        "documents_per_second": throughput,
        "seconds_of_turns": turns,
        "server_to_extract": throughput["server"] / throughput["extract"],
        "largest_difference_of_scores": difference,
    }
    report["rates"] = []
    for rate in RATES:
        found = asyncio.run(open_loop(server.address, bodies, rate * throughput["server"], options.seconds))
        report["rates"].append({"of_throughput": rate, **found})
        print(report["rates"][-1], flush=True)
    report["stopped_when_idle"] = server.stop()
    sizes = [sum(map(len, document)) for document in documents]
    queue = int(SUBWORDS * max(sum(sizes) / medians["server"], 2 * max(sizes)))
    server = Server(options.model, queue)
    asyncio.run(closed_loop(server.address, bodies[:4], 2))
    found = asyncio.run(open_loop(server.address, bodies, OVERLOAD * throughput["server"], options.seconds))
    report["overload"] = {"of_throughput": OVERLOAD, "queue_tokens": queue, **found}
    print(report["overload"], flush=True)
    server.stop()
    report["stopped_under_load"] = asyncio.run(stop_under_load(Server(options.model, 50_000), bodies, 5))
    print(report["stopped_under_load"])
    stopped = report["stopped_under_load"]
    stopped["nothing_lost"] = stopped["answers_that_clients_got"] == stopped["answers_that_the_server_counts"] and set(
        stopped["why_clients_ended"]
    ) == {"ConnectError"}
    report["machine"]["load_average_after"] = os.getloadavg()
    options.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(report["throughput"], indent=1))
    if "503" not in report["overload"]["answers"] or not stopped["nothing_lost"]:
        raise SystemExit("the server has refused nothing under overload, or has lost a request")


if __name__ == "__main__":
    main()
