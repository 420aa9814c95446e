"""The page in a browser: what people see, and what never happens."""

from __future__ import annotations

import base64
import json
import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
import torch

pytest.importorskip("gradio", reason="needs gradio (the extra 'app'), which is too large for the extra 'test'")

from plmarker import PLMarkerError, PLMarkerForEntityRecognition, PLMarkerForRelationExtraction, PLMarkerModel
from plmarker.serving.app import Demo, create_app, find_given, frame
from plmarker.serving.running import run

ATTACK = "</script><script>document.title='changed'</script><img src=x onerror=\"top.document.title='changed'\">"
TEXT = f"Ada met Bob. {ATTACK} ${{7*7}} {{{{7*7}}}} Acme hired Cy."


@pytest.fixture
def model(make_tiny_model: Callable[..., Any], minilm_tokenizer: Any) -> PLMarkerModel:
    entity = make_tiny_model(PLMarkerForEntityRecognition, max_seq_length=64, max_span_length=2)
    entity.config.thresholds = {"PER": 0.25}
    # Scores that differ: without it all are close to 1.
    entity.config.temperature = 10.0
    relation = make_tiny_model(PLMarkerForRelationExtraction, seed=3, max_seq_length=64)
    return PLMarkerModel.from_models(entity, relation, minilm_tokenizer)


def test_given_entities_are_named_by_their_text() -> None:
    assert find_given("Ada met Ada. a=b", "Ada = PER\n\nmet\n") == [(0, 3, "PER"), (8, 11, "PER"), (4, 7, None)]
    assert find_given("Ada. a=b", "a=b = ORG") == [(5, 8, "ORG")]
    for lines in ("Bob = PER", " = PER"):
        with pytest.raises(PLMarkerError, match="the text does not hold it"):
            find_given("Ada", lines)


def test_the_view_follows_thresholds_and_given_entities(model: Any) -> None:
    demo = Demo(model)
    assert demo.own == {"entities": {"PER": 0.25}, "relations": {}}
    reading = demo.read(TEXT, "en", "")
    calls = 0
    extract = model.extract

    def counted(*args: Any, **options: Any) -> Any:
        nonlocal calls
        calls += 1
        return extract(*args, **options)

    demo.model = model
    model.extract = counted
    view, found = demo.show(reading, [0.0] * 5)
    assert json.loads(found) == extract(TEXT, entity_threshold=0.0).to_dict()
    assert calls == 0
    assert "<script" not in view
    assert view.count("<") == 2
    least = sorted(entity.score for entity in reading.extraction.entities)[-3]
    _, found = demo.show(reading, [least, least, 0.0, 0.0, 0.0])
    assert json.loads(found) == extract(TEXT, entity_threshold=least).to_dict()
    assert demo.show(None, [0.0] * 5) == ("", "")
    given = demo.read(TEXT, "", "Ada = PER\nBob")
    assert [entity.text for entity in given.extraction.entities] == ["Ada", "Bob"]
    with pytest.raises(PLMarkerError, match="characters"):
        demo.read("a" * 60_000, "en", "")


def test_a_threshold_of_nil_holds_without_a_slider(model: Any) -> None:
    with torch.no_grad():
        model.entity.classifier.bias[0] += 200
    model.entity.config.thresholds = {"NIL": 1.0}
    demo = Demo(model)
    reading = demo.read("Ada met Bob.", "en", "")
    assert not reading.extraction.entities
    _, found = demo.show(reading, [0.0] * 5)
    assert json.loads(found)["entities"]
    assert json.loads(found) == model.extract("Ada met Bob.").to_dict()
    assert frame("<\"'>").count('"') == frame("").count('"')


class Browser:
    """Chromium without a window, driven through a pipe by its devtools protocol."""

    def __init__(self, program: str, profile: Path) -> None:
        to_browser, from_us = os.pipe()
        to_us, from_browser = os.pipe()
        quiet = ("--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update")
        command = [
            program,
            "--headless",
            "--no-sandbox",
            *quiet,
            f"--user-data-dir={profile}",
            "--remote-debugging-pipe",
        ]
        # The protocol uses the descriptors 3 and 4.
        shell = ["bash", "-c", f'exec "$@" 3<&{to_browser} 4>&{from_browser}', "bash", *command]
        self.process = subprocess.Popen(shell, pass_fds=(to_browser, from_browser), stderr=subprocess.DEVNULL)
        os.close(to_browser)
        os.close(from_browser)
        self.out, self.into = os.fdopen(from_us, "wb", buffering=0), os.fdopen(to_us, "rb")
        self.number, self.requested, self.session = 0, [], None
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self.call("Network.enable")
        self.call("Page.enable")
        self.call("Emulation.setDeviceMetricsOverride", width=1300, height=900, deviceScaleFactor=1, mobile=False)

    def call(self, method: str, **parameters: Any) -> Any:
        self.number += 1
        message = {"id": self.number, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        self.out.write(json.dumps(message).encode() + b"\0")
        while True:
            data = b""
            while not data.endswith(b"\0"):
                data += self.into.read(1)
            answer = json.loads(data[:-1])
            if answer.get("method") == "Network.requestWillBeSent":
                self.requested.append(answer["params"]["request"]["url"])
            if answer.get("id") == self.number:
                assert "error" not in answer, answer
                return answer["result"]

    def run(self, script: str) -> Any:
        result = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def until(self, script: str) -> Any:
        for _ in range(600):
            if found := self.run(script):
                return found
            time.sleep(0.1)
        raise AssertionError(f"never true: {script}; the page: {self.run('document.body.innerText')}")

    def close(self) -> None:
        with suppress(OSError):
            self.call("Browser.close")
        self.process.wait(20)
        self.out.close()
        self.into.close()


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Browser]:
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("needs Chromium (Debian's package chromium)")
    browser = Browser(program, tmp_path / "profile")
    yield browser
    browser.close()


TYPE = """(() => {
  const box = document.querySelector("#%s textarea");
  Object.getOwnPropertyDescriptor(HTMLTextAreaElement.prototype, "value").set.call(box, %s);
  box.dispatchEvent(new Event("input", {bubbles: true}));
})()"""
SLIDE = """(() => {
  const box = document.querySelector("#%s input[type=range]");
  Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, "value").set.call(box, %s);
  box.dispatchEvent(new Event("input", {bubbles: true}));
  box.dispatchEvent(new Event("pointerup", {bubbles: true}));
})()"""
SHOWN = "(document.querySelector('#view iframe') || {}).srcdoc || ''"


def entities_of(page: str) -> list[tuple[str, str]]:
    (document,) = json.loads(page.split('id="data">')[1].split("</script>")[0])["documents"]
    return [(document["text"][row["start"] : row["end"]], row["label"]) for row in document["entities"]]


def test_people_extract_change_thresholds_and_give_entities_and_nothing_leaves_the_machine(
    model: Any, browser: Browser, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    reached: list[Any] = []
    connect = socket.socket.connect

    def noted(self: socket.socket, address: Any) -> None:
        reached.append(address)
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", noted)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    failures: list[BaseException] = []

    def look() -> None:
        try:
            use_page(browser, f"http://127.0.0.1:{port}", model, tmp_path)
        except BaseException as error:
            failures.append(error)
        finally:
            os.kill(os.getpid(), signal.SIGTERM)

    thread = threading.Thread(target=look)
    app = create_app(model)
    thread.start()
    run(app, "127.0.0.1", port, patience=1)
    thread.join()
    if failures:
        raise failures[0]
    assert {address[0] for address in reached if isinstance(address, tuple)} <= {"127.0.0.1", "::1"}
    assert browser.requested
    local = (f"http://127.0.0.1:{port}/", "data:", "blob:", "about:")
    assert [url for url in browser.requested if not url.startswith(local)] == []


def use_page(browser: Browser, address: str, model: Any, folder: Path) -> None:
    for _ in range(100):
        with suppress(httpx.ConnectError):
            assert "default-src 'self'" in httpx.get(address, timeout=60).headers["content-security-policy"]
            break
        time.sleep(0.1)
    browser.call("Page.navigate", url=address)
    browser.until("!!document.querySelector('#extract') && !!document.querySelector('#text textarea')")
    browser.run(TYPE % ("text", json.dumps(TEXT)))
    browser.run("document.querySelector('#extract').click()")
    first = browser.until(SHOWN)
    expected = model.extract(TEXT)
    assert entities_of(first) == [(entity.text, entity.label) for entity in expected.entities]
    # The attack is text: in the page, in its frame, and in the JSON.
    assert browser.run("document.title") == "plmarker"
    assert "<img" not in browser.run("document.querySelector('#view').innerHTML").replace("&lt;", "")
    assert browser.run("document.querySelector('#view iframe').sandbox.value") == "allow-scripts"
    assert "onerror" in browser.until("document.querySelector('#json').innerText")
    picture = browser.call("Page.captureScreenshot")["data"]
    (folder / "app.png").write_bytes(base64.b64decode(picture))
    # One threshold for all, of those that the slider has, that some scores of this model reach.
    scores = [entity.score for entity in expected.entities]
    middle = next(step / 100 for step in range(50, 100) if min(scores) < step / 100 < max(scores))
    browser.run(SLIDE % ("all-entities", str(middle)))
    kept = [(e.text, e.label) for e in model.extract(TEXT, entity_threshold=middle).entities]
    assert 0 < len(kept) < len(expected.entities)
    # The sliders of the labels follow one by one.
    for _ in range(100):
        if entities_of(browser.run(SHOWN)) == kept:
            break
        time.sleep(0.1)
    assert entities_of(browser.run(SHOWN)) == kept
    # Given entities, and a mistake in them.
    browser.run(TYPE % ("given", json.dumps("Ada = PER\nBob = PER")))
    browser.run("document.querySelector('#extract').click()")
    browser.until(
        f"({SHOWN}).split('id=\"data\">')[1].split('</script>')[0].split('\"label\"').length < {len(kept) + 2}"
    )
    assert [text for text, _ in entities_of(browser.run(SHOWN))] == ["Ada", "Bob"]
    browser.run(TYPE % ("given", json.dumps("<img src=x onerror=alert(1)> = PER")))
    browser.run("document.querySelector('#extract').click()")
    browser.until("document.body.innerText.includes('the text does not hold it')")
    assert "<img src=x" in browser.run("document.body.innerText")
    browser.call("Page.navigate", url="about:blank")
