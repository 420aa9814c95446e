"""The HTTP interface: answers as those of `extract`, limits, messages, figures, and stopping."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from inspect import signature
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient

from plmarker import PLMarkerError, PLMarkerForEntityRecognition, PLMarkerForRelationExtraction, PLMarkerModel
from plmarker.cli import main
from plmarker.serving.limits import Limits
from plmarker.serving.messages import ExtractBody
from plmarker.serving.running import run
from plmarker.serving.server import create_app

TEXT = "Ada Byron met Bob at Acme. Cy works for the Brellin Observatory in Oslo."
WORDS = [["Ada", "met", "Bob", "."], ["Acme", "hired", "Cy", "."]]


@pytest.fixture
def model(make_tiny_model: Callable[..., Any], minilm_tokenizer: Any) -> PLMarkerModel:
    entity = make_tiny_model(PLMarkerForEntityRecognition, max_seq_length=64, max_span_length=4)
    relation = make_tiny_model(PLMarkerForRelationExtraction, seed=3, max_seq_length=64)
    return PLMarkerModel.from_models(entity, relation, minilm_tokenizer)


@pytest.fixture
def client(model: PLMarkerModel) -> Iterator[TestClient]:
    limits = Limits(body_bytes=20_000, documents=3, words=200, given_entities=3)
    with TestClient(create_app(model, "1.2", limits), raise_server_exceptions=False) as client:
        yield client


def assert_same(found: Any, expected: Any) -> None:
    """Scores are sums, which depend on the batch in the last digits."""
    assert found["text"] == expected["text"]
    for kind, keys in (
        ("entities", ("start", "end", "label", "text", "sentence")),
        ("relations", ("head", "tail", "label")),
    ):
        assert [[row[key] for key in keys] for row in found[kind]] == [
            [row[key] for key in keys] for row in expected[kind]
        ]
        assert [row["score"] for row in found[kind]] == pytest.approx(
            [row["score"] for row in expected[kind]], abs=1e-4
        )


def test_answers_are_those_of_extract(client: TestClient, model: Any) -> None:
    expected = model.extract(TEXT)
    assert expected.entities
    assert expected.relations
    answer = client.post("/extract", json={"text": TEXT})
    assert answer.status_code == 200
    assert_same(answer.json(), expected.to_dict())
    least = expected.entities[0].score
    for body, arguments in (
        ({"words": WORDS}, {"words": WORDS}),
        ({"text": "", "relation_threshold": 0.1}, {"text": ""}),
        ({"text": TEXT, "entity_threshold": least}, {"text": TEXT, "entity_threshold": least}),
        ({"text": TEXT, "entity_threshold": {"PER": 1}}, {"text": TEXT, "entity_threshold": {"PER": 1}}),
        ({"text": "東京は晴れ。大阪は雨。", "language": "ja"}, {"text": "東京は晴れ。大阪は雨。", "language": "ja"}),
        (
            {"text": TEXT, "entities": [[0, 9, "PER"], {"start": 21, "end": 25}]},
            {"text": TEXT, "entities": [(0, 9, "PER"), (21, 25)]},
        ),
        ({"words": WORDS, "entities": [[0, 0, "PER"], [2, 2]]}, {"words": WORDS, "entities": [(0, 0, "PER"), (2, 2)]}),
    ):
        answer = client.post("/extract", json=body)
        assert answer.status_code == 200, answer.json()
        assert_same(answer.json(), model.extract(**arguments).to_dict())
        assert not any("explanation" in relation for relation in answer.json()["relations"])
    answer = client.post(
        "/extract", json={"documents": [{"text": TEXT}, {"words": WORDS}, {"text": "Bob", "entities": []}]}
    )
    for found, expected in zip(
        answer.json()["documents"],
        (model.extract(TEXT), model.extract(words=WORDS), model.extract("Bob", entities=[])),
        strict=True,
    ):
        assert_same(found, expected.to_dict())


# What a caller of `extract` chooses, and what the server has no key for: it has its own batches, and no screen.
NOT_ASKED = {"self", "batch_tokens", "show_progress", "sentence_splitter"}


def test_a_request_takes_what_extract_takes() -> None:
    assert ExtractBody.model_fields.keys() - {"documents"} == (
        signature(PLMarkerModel.extract).parameters.keys() - NOT_ASKED
    )


def tokens_read(client: TestClient) -> float:
    (line,) = re.findall(r"^plmarker_tokens_total (.+)$", client.get("/metrics").text, re.MULTILINE)
    return float(line)


def test_constraints_and_explanations_are_those_of_extract(model: Any) -> None:
    free = model.extract(TEXT, constraints=False)
    other = "ORG" if free.relations[0].head.label == "PER" else "PER"
    for part in model.readers:
        part.config.constraints = {label: {"types": [[other, other]]} for label in part.config.relation_labels}
    kept = model.extract(TEXT)
    assert all(relation.head.label == relation.tail.label == other for relation in kept.relations)
    with TestClient(create_app(model, "1")) as client:
        assert_same(client.post("/extract", json={"text": TEXT}).json(), kept.to_dict())
        tokens = tokens_read(client)
        assert_same(client.post("/extract", json={"text": TEXT, "constraints": False}).json(), free.to_dict())
        answer = client.post("/extract", json={"text": TEXT, "constraints": False, "explain": True}).json()
        # The words of an explanation are not read anew for these figures.
        assert tokens_read(client) == 3 * tokens > 0
        expected = model.extract(TEXT, constraints=False, explain=True)
    assert answer["relations"]
    for found, relation in zip(answer["relations"], expected.relations, strict=True):
        assert [word["text"] for word in found["explanation"]["words"]] == [
            word.text for word in relation.explanation.words
        ]


# What is sent, the status, and a part of the message.
WRONG: list[tuple[Any, int, str]] = [
    ("{", 422, "character 1"),
    ("[" * 9_000, 400, "parsing the body"),
    ("[]", 422, "valid dictionary"),
    ({}, 422, "expected 'text', 'words' or 'documents'"),
    ({"text": "a", "words": []}, 422, "either 'text' or 'words'"),
    ({"documents": [{"text": "a"}, {}]}, 422, "documents.1: expected either"),
    ({"documents": [{"text": "a"}], "text": "b"}, 422, "beside 'documents'"),
    ({"text": "a", "txet": "b"}, 422, "txet"),
    ({"words": [["a"]], "language": "en"}, 422, "'language' is for 'text'"),
    ({"text": "a", "constraints": "no"}, 422, "constraints"),
    ({"text": "a", "explain": 1}, 422, "explain"),
    ({"text": "a", "language": "../x"}, 422, "language"),
    ({"words": ["abc"]}, 422, "words.0"),
    ({"words": [["a", " "]]}, 422, "document 0, sentence 0: a word is blank"),
    ({"text": "\ud800"}, 422, "document 0 is no valid Unicode"),
    ({"words": [["\udfff"]]}, 422, "no valid Unicode"),
    ({"\ud800": "a", "text": "a"}, 422, "unicode"),
    ({"text": "a", "entity_threshold": "x"}, 422, "a threshold is from 0 to 1"),
    ({"text": "a", "entity_threshold": float("nan")}, 422, "a threshold is from 0 to 1"),
    ({"text": "a", "relation_threshold": {"PER": 0.5}}, 422, "unknown label 'PER'"),
    ({"text": "a", "pruner_threshold": 0.5}, 422, "pruner_size"),
    ({"text": "Bob", "entities": [[0, 9, "PER"]]}, 422, "document 0, given entity 0: the span 0 to 9"),
    ({"text": "Bob", "entities": [[0, 3, "DOG"]]}, 422, "'DOG'"),
    ({"text": "Bob", "entities": [["0", 3]]}, 422, "entities.0.start"),
    ({"documents": [{"text": "a"}] * 4}, 413, "4 documents"),
    ({"documents": [{"text": "a"}, {"text": "a " * 201}]}, 413, "document 1 has 201 words"),
    ({"words": [["a"] * 4], "entities": [[n, n, "PER"] for n in range(4)]}, 413, "4 entities in one sentence"),
    ({"text": "a" * 20_000}, 413, "more than 20000 bytes"),
]  # fmt: skip


def test_a_wrong_request_gets_one_sentence(client: TestClient) -> None:
    for body, status, expected in WRONG:
        content = body if isinstance(body, str) else json.dumps(body)
        answer = client.post("/extract", content=content, headers={"content-type": "application/json"})
        assert list(answer.json()) == ["detail"]
        detail = answer.json()["detail"]
        assert (answer.status_code, expected in detail, "\n" in detail) == (status, True, False), detail


def test_a_body_of_unknown_length_is_limited_too(client: TestClient) -> None:
    answer = client.post("/extract", content=iter([b"x" * 15_000] * 2), headers={"content-type": "application/json"})
    assert (answer.status_code, "20000 bytes" in answer.json()["detail"]) == (413, True)


def test_what_fails_inside_is_no_traceback_and_counted(client: TestClient, model: Any, monkeypatch: Any) -> None:
    def broken(*args: Any) -> Any:
        raise RuntimeError("secret")

    monkeypatch.setattr(model, "read_documents", broken)
    answer = client.post("/extract", json={"text": "a"})
    assert (answer.status_code, "secret" in answer.text) == (500, False)
    assert client.get("/nowhere").json() == {"detail": "Not Found"}
    assert client.get("/extract").status_code == 405
    figures = client.get("/metrics").text
    assert 'plmarker_requests_total{status="500"} 1.0' in figures


def test_health_figures_and_the_description_of_the_interface(client: TestClient, model: Any) -> None:
    assert client.get("/health").json() == {
        "status": "ok",
        "version": "1.2",
        "finds_entities": True,
        "entity_labels": ["PER", "ORG"],
        "relation_labels": ["MARRIED", "WORKS_FOR", "OWNS"],
    }
    client.post("/extract", json={"documents": [{"text": "Bob"}, {"text": "Ada sings"}]})
    figures = client.get("/metrics").text
    assert 'plmarker_requests_total{status="200"} 1.0' in figures
    assert "plmarker_documents_total 2.0" in figures
    assert "plmarker_waiting_tokens 0.0" in figures
    described = client.get("/openapi.json").json()
    assert {"/extract", "/health", "/metrics"} == set(described["paths"])
    assert {"200", "413", "422", "503"} <= set(described["paths"]["/extract"]["post"]["responses"])
    assert {"ExtractBody", "DocumentBody", "GivenEntity", "ExtractionAnswer"} <= set(described["components"]["schemas"])


def test_a_relation_model_alone_serves_given_entities(tiny_relation_model: Any) -> None:
    with TestClient(create_app(tiny_relation_model, "1")) as client:
        assert "needs 'entities'" in client.post("/extract", json={"text": "Ada sings"}).json()["detail"]
        assert "needs a label" in client.post("/extract", json={"text": "Ada", "entities": [[0, 3]]}).json()["detail"]
        given = [[0, 3, "PER"], [8, 11, "PER"]]
        answer = client.post("/extract", json={"text": "Ada met Bob", "entities": given})
        assert_same(answer.json(), tiny_relation_model.extract("Ada met Bob", entities=given).to_dict())
        assert client.get("/health").json()["finds_entities"] is False


class Slow:
    """A model whose calls are noted, and wait until they are released."""

    def __init__(self, model: Any) -> None:
        self.model, self.calls, self.gate = model, [], threading.Event()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.model, name)

    def read_texts(self, documents: Any, *options: Any, explain: bool) -> Any:
        assert self.gate.wait(10)
        self.calls.append([document["sentences"][0][0] for document in documents])
        if any("fails" in document["text"] for document in documents):
            raise RuntimeError("this document cannot be read")
        return self.model.read_texts(documents, *options, explain=explain)


def together(model: Any, limits: Limits, use: Callable[[httpx.AsyncClient, Any], Any]) -> Any:
    """Run a coroutine beside an application, in one event loop."""

    async def run() -> Any:
        app = create_app(model, "1", limits)
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="http://x") as client,
        ):
            return await use(client, app)

    return asyncio.run(run())


async def until(condition: Callable[[], Any]) -> None:
    for _ in range(1000):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("this did not happen")


def test_requests_that_arrive_together_are_read_together_and_only_bad_ones_fail(model: Any) -> None:
    slow = Slow(model)

    async def use(client: httpx.AsyncClient, app: Any) -> Any:
        def post(**body: Any) -> Any:
            return asyncio.create_task(client.post("/extract", json=body, timeout=30))

        first = post(text="Ada sings.")
        await until(lambda: app.state.metrics.waiting_tokens.collect()[0].samples[0].value == 0 and slow_is_busy(app))
        others = [post(text="Bob met Ada."), post(text="Cy fails."), post(text="Acme hired Cy.")]
        other = post(text="Oslo", entity_threshold=1.0)
        await until(lambda: len(app.state.batcher.waiting) == 4)
        slow.gate.set()
        return [task.result() for task in (first, *others, other) if await asyncio.wait([task])]

    def slow_is_busy(app: Any) -> bool:
        return app.state.metrics.open._value.get() == 1 and any(
            thread.name.startswith("plmarker-reader") for thread in threading.enumerate()
        )

    answers = together(slow, Limits(), use)
    assert [answer.status_code for answer in answers] == [200, 200, 500, 200, 200]
    # One call for those of one threshold, and after it failed each document by itself.
    assert slow.calls[:2] == [["Ada"], ["Bob", "Cy", "Acme"]]
    assert slow.calls[2:] == [["Bob"], ["Cy"], ["Acme"], ["Oslo"]]
    assert_same(answers[1].json(), model.extract("Bob met Ada.").to_dict())
    assert_same(answers[3].json(), model.extract("Acme hired Cy.").to_dict())
    assert answers[4].json()["entities"] == []


def test_a_full_queue_refuses_and_says_when_to_come_back_and_those_who_leave_make_room(model: Any) -> None:
    slow = Slow(model)

    async def use(client: httpx.AsyncClient, app: Any) -> Any:
        def post(text: str) -> Any:
            return asyncio.create_task(client.post("/extract", json={"text": text}, timeout=30))

        batcher = app.state.batcher
        first = post("Ada")
        await until(lambda: any(t.name.startswith("plmarker-reader") for t in threading.enumerate()))
        waits, leaves = post("Bob"), post("Cy")
        await until(lambda: len(batcher.waiting) == 2)
        refused = await post("Acme")
        leaves.cancel()
        await until(lambda: sum(one.answer.done() for one in batcher.waiting) == 1)
        slow.gate.set()
        return refused, await first, await waits

    refused, *answers = together(slow, Limits(queue_tokens=2), use)
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
    assert "queue is full" in refused.json()["detail"]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert slow.calls == [["Ada"], ["Bob"]]


def test_too_many_requests_and_slow_bodies_are_refused(model: Any) -> None:
    async def slow_body() -> Any:
        yield b'{"text": '
        await asyncio.sleep(30)

    async def use(client: httpx.AsyncClient, app: Any) -> Any:
        headers = {"content-type": "application/json"}
        slow = asyncio.create_task(client.post("/extract", content=slow_body(), headers=headers))
        await until(lambda: app.state.metrics.open._value.get() == 1)
        refused = await client.post("/extract", json={"text": "a"})
        assert (await client.get("/health")).status_code == 200
        return await slow, refused

    slow, refused = together(model, Limits(requests=1, body_seconds=0.3), use)
    assert (slow.status_code, "0.3 seconds" in slow.json()["detail"]) == (408, True)
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")


def test_a_server_that_is_stopped_under_load_answers_what_it_has_accepted(model: Any, capsys: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    app = create_app(model, "1")
    answered: list[int] = []
    loads = 4

    def load(number: int) -> None:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
            while True:
                try:
                    answer = client.post("/extract", json={"text": f"{TEXT} {number}"})
                except httpx.ConnectError:
                    if not answered:  # not started yet
                        time.sleep(0.02)
                        continue
                    # Nobody takes a new connection any more. A request that was cut off would be another error.
                    return
                answered.append(answer.status_code)
                if len(answered) == 20:
                    os.kill(os.getpid(), signal.SIGTERM)

    with ThreadPoolExecutor(loads) as pool:
        workers = [pool.submit(load, number) for number in range(loads)]
        run(app, "127.0.0.1", port)
        assert [worker.result() for worker in workers] == [None] * loads
    assert len(answered) >= 20
    assert app.state.metrics.answered() == {"200": len(answered)}
    assert set(answered) == {200}
    assert f"http://127.0.0.1:{port}" in capsys.readouterr().out
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        pytest.raises(PLMarkerError, match=f"cannot listen on 127.0.0.1, port {taken.getsockname()[1]}"),
    ):
        run(app, "127.0.0.1", taken.getsockname()[1])
    # Names that are none reach the encoder of names.
    with pytest.raises(PLMarkerError, match=r"cannot listen on a\.\.b, port 0"):
        run(app, "a..b", 0)


def test_the_command_checks_its_options_before_it_loads_a_model(capsys: Any) -> None:
    for arguments, expected in (
        (["--max_words", "0"], "--max_words"),
        (["--wait_ms", "-1"], "--wait_ms"),
        ([], "nowhere/model"),
    ):
        assert main(["serve", "nowhere/model", *arguments]) == 2
        assert expected in capsys.readouterr().err
