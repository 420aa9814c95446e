"""The README and the pages in docs/: links, commands and YAML are checked, and Python is run.

Snippets run with a tiny random encoder in place of MiniLM, and a tiny model in place of `out/demo`. A snippet behind
`<!-- not run: REASON -->` is only checked. A comment behind an expression is its output, and is compared. With
`PLMARKER_DEMO=out/demo` the model of `make demo` is used, and its outputs are compared too.
"""

from __future__ import annotations

import ast
import builtins
import configparser
import importlib
import json
import os
import pkgutil
import re
import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from on_the_hub import save_tiny_encoder
from transformers import PreTrainedTokenizerBase
from typer.main import get_command

from plmarker.cli.main import application
from plmarker.data import LabelSchema
from plmarker.data.documents import typed_document
from plmarker.data.formats import read_corpus
from plmarker.data.report import ReadingReport
from plmarker.hub_configs import experiment_names
from plmarker.modeling.modeling_plmarker import (
    PLMarkerForEntityRecognition,
    PLMarkerForRelationExtraction,
    PLMarkerModel,
)
from plmarker.trainers.experiment import EXPERIMENT_FIELDS, TRAINING_FIELDS, load_experiment

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
# On these pages Python is run, in the order of the page.
RUN = (
    "README",
    "quick_start",
    "own_data",
    "recipes",
    "training",
    "figures",
    "coming_from",
    "extraction",
    "speed",
    "hub",
)
FENCE = re.compile(r"(?:<!-- not run: (?P<reason>.+?) -->\n)?^```(?P<language>\w+)\n(?P<code>.*?)^```", re.M | re.S)
LINK = re.compile(r"\]\(([^)\s]+)\)")
TEXT = "Ines Tavarro founded the Brellin Observatory in 1974."
DOCUMENT = {
    "sentences": [["Ann", "works", "for", "Acme", "."], ["Ann", "married", "Bob", "."]],
    "ner": [[[0, 0, "PER"], [3, 3, "ORG"]], [[5, 5, "PER"], [7, 7, "PER"]]],
    "relations": [[[0, 0, 3, 3, "WORKS_FOR"]], [[5, 5, 7, 7, "MARRIED"]]],
}
DEMO_SCHEMA = LabelSchema(
    ("Date", "Organization", "Person", "Place", "Work"),
    ("SPOUSE_OF", "CREATED", "FOUNDED", "LOCATED_IN", "WORKS_FOR"),
    ("SPOUSE_OF",),
)


@dataclass
class Snippet:
    page: str
    line: int
    language: str
    code: str
    reason: str | None

    @property
    def place(self) -> str:
        return f"{self.page}:{self.line}"


def snippets(*languages: str) -> list[Snippet]:
    found = []
    for path in PAGES:
        text = path.read_text(encoding="utf-8")
        for match in FENCE.finditer(text):
            line = text.count("\n", 0, match.start("code"))
            if match["language"] in languages:
                found.append(Snippet(path.stem, line, match["language"], match["code"], match["reason"]))
    return found


def ids(snippet: Snippet) -> str:
    return snippet.place


# Links and navigation


def anchors(text: str) -> set[str]:
    """The anchors of a page's headings, as Python-Markdown and GitHub make them."""
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", text), re.M)
    return {re.sub(r"[\s]+", "-", re.sub(r"[^\w\s-]", "", heading.lower()).strip()) for heading in headings}


def with_included(text: str) -> str:
    """A page with the text of the files that it includes."""
    included = re.findall(r'^--8<-- "(.+)"$', text, re.M)
    return text + "".join((ROOT / name).read_text(encoding="utf-8") for name in included)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_links_lead_to_files_and_headings(path: Path) -> None:
    for link in LINK.findall(FENCE.sub("", with_included(path.read_text(encoding="utf-8")))):
        if re.match(r"https?://", link):
            continue
        name, _, anchor = link.partition("#")
        # The site follows links of the file system, so they are not resolved here.
        target = Path(os.path.normpath(path.parent / name)) if name else path
        assert target.is_file(), link
        assert path.parent == ROOT or target.is_relative_to(ROOT / "docs"), f"{link} is not on the site"
        if anchor:
            assert anchor in anchors(with_included(target.read_text(encoding="utf-8"))), link


def test_every_page_is_in_the_navigation() -> None:
    settings = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))

    def files(entry: Any) -> Iterator[str]:
        if isinstance(entry, str):
            yield entry
        else:
            for inner in entry.values() if isinstance(entry, dict) else entry:
                yield from files(inner)

    assert sorted(files(settings["nav"])) == sorted(path.name for path in (ROOT / "docs").glob("*.md"))


def test_every_public_name_is_on_the_page_of_the_interface() -> None:
    import plmarker

    named = re.findall(r"^::: plmarker\.([\w.]+)$", (ROOT / "docs" / "api.md").read_text(encoding="utf-8"), re.M)
    assert set(plmarker.__all__) <= {name.rpartition(".")[2] for name in named}
    for name in named:
        assert pkgutil.resolve_name(f"plmarker.{name}").__doc__, name


# Commands, YAML and JSON


@pytest.mark.parametrize("snippet", snippets("bash"), ids=ids)
def test_commands_are_there_and_take_these_options(snippet: Snippet) -> None:
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    targets = re.findall(r"^([\w-]+)[\w -]*:", (ROOT / "Makefile").read_text(), re.M)
    for line in snippet.code.replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        if "|" in words:
            words = words[words.index("|") + 1 :]
        for extra in re.findall(r'pip install "?(?:\.|plmarker)\[([\w,]+)\]', line):
            assert set(extra.split(",")) <= set(setup["options.extras_require"]), line
        if words[:1] == ["make"]:
            assert set(words[1:]) <= set(targets), line
        elif words[:1] == ["plmarker"] and words[1:] != ["--version"]:
            check_command(words[1:])


def check_command(words: list[str]) -> None:
    """Parse a command as `plmarker` does, without running it."""
    command: Any = get_command(application())
    while hasattr(command, "commands"):
        command = command.commands[words[0]]
        words = words[1:]
    # An unknown option and a missing one raise an error. `train` leaves the options of TrainingArguments.
    context = command.make_context(command.name, words)
    for word in context.args:
        assert not word.startswith("--") or word[2:].partition("=")[0] in TRAINING_FIELDS, word
    if command.name == "train":
        config = context.params["config"]
        assert config in ("my.yaml", *experiment_names()) or (ROOT / config).is_file(), config
        keys = [word.partition("=")[0] for word in context.args if "=" in word and not word.startswith("--")]
        assert {key.partition(".")[0] for key in keys} <= {*EXPERIMENT_FIELDS}, words


@pytest.mark.parametrize("snippet", snippets("yaml"), ids=ids)
def test_yaml_is_an_experiment(snippet: Snippet, tmp_path: Path) -> None:
    values = yaml.safe_load(snippet.code)
    if "encoder" in values:
        (tmp_path / "my.yaml").write_text(snippet.code)
        assert load_experiment(tmp_path / "my.yaml").tasks


@pytest.mark.parametrize("snippet", snippets("json"), ids=ids)
def test_json_is_a_document(snippet: Snippet, tmp_path: Path) -> None:
    document = json.loads(snippet.code)
    if "sentences" in document:
        assert typed_document(document)["sentences"] == document["sentences"]
    elif snippet.page == "own_data":
        (tmp_path / "a.jsonl").write_text(json.dumps(document))
        report = ReadingReport()
        (found,) = read_corpus(tmp_path / "a.jsonl", report)
        assert report.problems == []
        assert [len(found[name][0]) for name in ("ner", "relations")] == [2, 1]


# Python


@pytest.mark.parametrize("snippet", snippets("python"), ids=ids)
def test_python_compiles_and_its_imports_are_there(snippet: Snippet) -> None:
    for node in ast.walk(ast.parse(snippet.code)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "plmarker":
            module = importlib.import_module(node.module or "")
            for alias in node.names:
                assert hasattr(module, alias.name), f"{node.module} has no {alias.name}"


@pytest.fixture(scope="module")
def tiny_encoder(tmp_path_factory: pytest.TempPathFactory, minilm_tokenizer: PreTrainedTokenizerBase) -> str:
    folder = tmp_path_factory.mktemp("pages") / "encoder"
    save_tiny_encoder(folder, minilm_tokenizer)
    return str(folder)


@pytest.fixture
def place(
    tmp_path: Path, make_tiny_model: Callable[..., Any], tiny_encoder: str, monkeypatch: pytest.MonkeyPatch
) -> dict[str, Any]:
    """A folder with a corpus and a model, as the pages have them, and what an earlier page has made."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        "plmarker.encoders.loading.resolve_encoder", lambda name: tiny_encoder if name == "minilm" else name
    )
    (tmp_path / "my_corpus").mkdir()
    for split in ("train", "validation", "test"):
        (tmp_path / "my_corpus" / f"{split}.jsonl").write_text(json.dumps({"doc_key": split, **DOCUMENT}))
    demo = os.environ.get("PLMARKER_DEMO")
    if demo is None:
        entity = make_tiny_model(PLMarkerForEntityRecognition, schema=DEMO_SCHEMA, max_seq_length=48)
        relation = make_tiny_model(PLMarkerForRelationExtraction, schema=DEMO_SCHEMA, max_seq_length=64)
        whole = PLMarkerModel.from_models(entity, relation, entity.tokenizer)
        whole.save_pretrained(tmp_path / "out" / "demo")
    else:
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / "demo").symlink_to(demo)
    # Pages import what they use. These two names stand for what the reader has.
    return {"text": TEXT, "model": PLMarkerModel.from_pretrained("out/demo"), "is_demo": demo is not None}


@pytest.mark.parametrize("page", RUN)
def test_python_runs_and_gives_what_the_page_shows(page: str, place: dict[str, Any]) -> None:
    for snippet in snippets("python"):
        if snippet.page == page and snippet.reason is None:
            run(snippet, place)


def run(snippet: Snippet, space: dict[str, Any]) -> None:
    """Run a snippet, and compare the values of its expressions with the comments behind them."""
    lines = snippet.code.splitlines()
    for node in ast.parse(snippet.code).body:
        where = f"{snippet.page}:{snippet.line + node.lineno}"
        shown = lines[node.end_lineno] if node.end_lineno is not None and node.end_lineno < len(lines) else ""
        if not isinstance(node, ast.Expr):
            exec(compile(ast.Module([node], []), where, "exec"), space)
            continue
        value = eval(compile(ast.Expression(node.value), where, "eval"), space)
        if shown.startswith("# "):
            expected = ast.literal_eval(shown.removeprefix("# "))
            # The tiny model finds nothing of what the demo's model finds.
            if space["is_demo"] or not is_of_the_demo(expected):
                assert value == expected, where


def is_of_the_demo(value: Any) -> bool:
    return isinstance(value, builtins.list) and bool(value) and isinstance(value[0], tuple)


def test_the_readme_has_the_figures_that_were_measured() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    measured = json.loads((ROOT / "benchmarks" / "throughput.json").read_text())
    for page in (readme, (ROOT / "docs" / "inside.md").read_text(encoding="utf-8")):
        for kind, step in (("entities", "entity"), ("relations", "relation")):
            for title, part in (("inference", "inference"), ("training step", "training")):
                found = measured[f"{step}_{part}"]["levitated"]
                cells = f"{found['speedup']:.1f} | {found['speedup_sdpa']:.1f} | {found['memory_ratio']:.2f}"
                assert f"| {kind}, {title} | {cells} |" in page
    long = next(iter(json.loads((ROOT / "benchmarks" / "scierc_long.json").read_text()).values()))
    figures = [long[name] for name in ("ent_f1", "rel_f1", "rel_strict_f1")]
    assert "| " + " | ".join(f"{100 * figure:.1f}" for figure in figures) + " |" in readme
