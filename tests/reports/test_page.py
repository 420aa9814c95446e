"""Pages with entities and relations, and what a browser makes of them."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plmarker import Extraction, PLMarkerError
from plmarker.cli import main
from plmarker.reports.page import _blocks, documents_page, extraction_page

ATTACK = "</script><script>document.title = 'changed'</script><img src=x onerror=\"document.title='changed'\">"
TEXT = f"Ada 🙂 met Bob. {ATTACK} Acme hired Cy.\nNobody left."


def entity(part: str, label: str, score: float = 0.9) -> dict[str, Any]:
    start = TEXT.index(part)
    return {"text": part, "label": label, "start": start, "end": start + len(part), "score": score, "sentence": 0}


DOCUMENT = {
    "text": TEXT,
    "entities": [entity("Ada", "PER"), entity("Bob", "PER", 0.4), entity("Acme", "ORG"), entity("Cy", "<PER>")],
    "relations": [
        {"head": 0, "tail": 1, "label": "MET", "score": 0.7},
        {"head": 2, "tail": 3, "label": "&", "score": 1},
    ],
}


def data_of(page: str) -> Any:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    assert found is not None
    return json.loads(found[1])


def test_an_extraction_is_read_back_and_shown():
    extraction = Extraction.from_dict(DOCUMENT)
    assert extraction.to_dict() == DOCUMENT
    assert extraction.relations[0].head is extraction.entities[0]
    page = extraction.to_html(title="<b>")
    assert page == extraction_page(extraction, "<b>")
    assert "<title>&lt;b&gt;</title>" in page
    (shown,) = data_of(page)["documents"]
    assert shown["text"] == TEXT
    assert [row["label"] for row in shown["entities"]] == ["PER", "PER", "ORG", "<PER>"]
    frame = extraction._repr_html_()
    assert frame.count("<") == 2
    for wrong in ({}, {**DOCUMENT, "relations": [{"head": 9, "tail": 0, "label": "x", "score": 1}]}, {"text": 1}):
        with pytest.raises(PLMarkerError, match="to_dict"):
            Extraction.from_dict(wrong)


def test_no_text_becomes_a_part_of_the_page():
    page = documents_page([{"doc_key": ATTACK, **DOCUMENT}], ATTACK)
    assert ATTACK not in page
    assert page.count("</script>") == 2
    assert 'onerror="' not in page
    assert "http" not in page.replace("http://www.w3.org/2000/svg", "").replace("http-equiv", "")


def test_what_was_found_is_compared_with_gold():
    gold = {
        **DOCUMENT,
        "entities": [entity("Ada", "PER"), entity("Bob", "ORG"), entity("Acme", "ORG"), entity("Cy", "<PER>")],
        "relations": [{"head": 0, "tail": 1, "label": "MET"}, {"head": 2, "tail": 3, "label": "&"}],
    }
    shown = data_of(documents_page([{"doc_key": "a", **DOCUMENT}], gold={"a": gold}))["documents"][0]
    assert [(TEXT[e["start"] : e["end"]], e["label"], e["status"]) for e in shown["entities"]] == [
        ("Ada", "PER", "correct"),
        ("Bob", "PER", "spurious"),
        ("Acme", "ORG", "correct"),
        ("Cy", "<PER>", "correct"),
        ("Bob", "ORG", "missing"),
    ]
    # Boundaries are right, whatever the types.
    assert [(r["label"], r["status"]) for r in shown["relations"]] == [("MET", "correct"), ("&", "correct")]
    assert data_of(documents_page([{"doc_key": "b", **DOCUMENT}], gold={"a": gold}))["documents"][0]["entities"][0] == {
        "start": 0,
        "end": 3,
        "label": "PER",
        "score": 0.9,
    }


@given(
    text=st.text(st.sampled_from("ab. !\n"), max_size=40),
    cuts=st.lists(st.integers(0, 40), max_size=10),
    ends=st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), max_size=3),
)
def test_blocks_cover_a_text_and_cut_neither_entities_nor_relations(text, cuts, ends):
    pairs = zip(cuts[::2], cuts[1::2], strict=False)
    spans = [(min(pair), max(pair)) for pair in pairs if max(pair) <= len(text)]
    entities = [{"start": start, "end": end} for start, end in spans]
    relations = [{"head": a, "tail": b} for a, b in ends if max(a, b) < len(spans)]
    blocks = _blocks(text, entities, relations)
    assert "".join(text[start:end] for start, end in blocks) == text
    for places in (*spans, *((*spans[r["head"]], *spans[r["tail"]]) for r in relations)):
        assert any(start <= min(places) and max(places) <= end for start, end in blocks)


def test_show_writes_a_page_of_predictions_and_of_annotated_documents(tmp_path, capsys):
    found, annotated, page = (tmp_path / name for name in ("found.jsonl", "gold.jsonl", "page.html"))
    words = {"doc_key": "a", "sentences": [["Ada", "met", "Bob"]], "ner": [[[0, 0, "PER"]]], "relations": [[]]}
    found.write_text(json.dumps({"doc_key": "a", "text": "Ada met Bob", "entities": [], "relations": []}) + "\n")
    annotated.write_text(json.dumps(words) + "\n")
    assert main(["show", str(found), "--out", str(page), "--gold", str(annotated)]) == 0
    assert data_of(page.read_text(encoding="utf-8"))["documents"][0]["entities"][0]["status"] == "missing"
    assert "1 of them compared" in capsys.readouterr().out
    assert main(["show", str(annotated), "--out", str(page)]) == 0
    assert data_of(page.read_text(encoding="utf-8"))["documents"][0]["text"] == "Ada met Bob"
    for line, expected in (
        ({"text": "abc"}, "the key 'entities' is missing"),
        ({"text": "abc", "entities": [{"start": 2, "end": 9, "label": "X"}]}, "no entity of the text"),
        ({"text": "abc", "entities": [], "relations": [{"head": 0, "tail": 0}]}, "an entity that is not there"),
        ({"sentences": [["a"]], "ner": [[[0, 4, "X"]]]}, "IndexError"),
    ):
        found.write_text(json.dumps(line) + "\n")
        assert main(["show", str(found), "--out", str(tmp_path / "bad.html")]) == 2
        assert f"{found}:1: " in (message := capsys.readouterr().err)
        assert expected in message
        assert not (tmp_path / "bad.html").exists()
    assert main(["show", str(annotated), "--out", str(annotated)]) == 2


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Loads a page in a browser without a window, and returns what it has become."""
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("needs Chromium (Debian's package chromium)")
    quiet = ("--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update")

    def load(path: Path) -> str:
        profile = tmp_path_factory.mktemp("profile")
        command = [program, "--headless", "--no-sandbox", *quiet, f"--user-data-dir={profile}"]
        call = [*command, "--virtual-time-budget=4000", "--dump-dom", path.as_uri()]
        return subprocess.run(call, capture_output=True, text=True, check=True, timeout=120).stdout

    return load


def test_a_browser_draws_entities_and_relations_and_runs_nothing_else(browser, tmp_path):
    page = tmp_path / "page.html"
    page.write_text(documents_page([{"doc_key": "a", **DOCUMENT}], "Title"), encoding="utf-8")
    shown = browser(page)
    assert "<title>Title</title>" in shown
    assert "1 document, 4 entities, 2 relations shown" in shown
    # A mark for each entity, and an arc for each relation of one line.
    assert shown.count('role="img"') == 6
    assert shown.count('class="arc stroke"') == 2
    assert 'aria-label="PER 0.90: Ada"' in shown
    # Offsets count characters, also behind an emoji.
    assert 'aria-label="ORG 0.90: Acme"' in shown
    assert "<img" not in shown


def test_only_documents_in_view_are_laid_out(browser, tmp_path):
    page = tmp_path / "page.html"
    page.write_text(documents_page([{"doc_key": str(n), **DOCUMENT} for n in range(1000)], "Many"), encoding="utf-8")
    shown = browser(page)
    assert "1000 documents, 4000 entities, 2000 relations shown" in shown
    assert 0 < shown.count("<svg") < 200
