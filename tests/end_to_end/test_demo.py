"""The demo's model finds what the README prints. `make demo` trains it, so this test needs an earlier `make demo`."""

import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def check() -> object:
    spec = importlib.util.spec_from_file_location("check_demo", ROOT / "benchmarks" / "check_demo.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_readme_prints_what_is_checked(check):
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert check.EXAMPLE in readme
    entities, relations = check.EXPECTED["example"]
    for text, label in entities:
        assert text in check.EXAMPLE
        assert f"{text!r}, {label!r}" in readme
    for head, label, tail in relations:
        assert f"{head!r}, {label!r}, {tail!r}" in readme


def test_the_demo_finds_what_the_readme_prints(check):
    folder = ROOT / "out" / "demo"
    if not (folder / "metrics.json").is_file():
        pytest.skip("needs the model of `make demo` in out/demo")
    assert check.missing(str(folder)) == []
