"""A checkpoint that carries its code, in an environment of transformers alone."""

import importlib.metadata
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

from plmarker import (
    LabelSchema,
    PLMarkerForEntityRecognition,
    PLMarkerForRelationExtraction,
    PLMarkerModel,
)

# Lines of Python beside the weights of a model that carries its code.
MOST_LINES = 6680
TEXT = "Ann Bell met Bob of Acme. Acme grew, and Bob married Ann in Oslo on a Monday."
RUN = """
import json, sys
from transformers import AutoModel
try:
    import plmarker
    sys.exit("the package is there")
except ImportError:
    pass
folder, text, out = sys.argv[1:]
model = AutoModel.from_pretrained(folder, trust_remote_code=True)
json.dump(model.extract(text).to_dict(), open(out, "w"))

def needs_the_package(call):
    try:
        call()
    except ValueError as error:
        return "needs the package plmarker" in str(error)

assert needs_the_package(lambda: type(model.entity).from_encoder("minilm", None))
model.set_attn_implementation("sdpa")
assert needs_the_package(lambda: model.extract(text))
"""


def needed(name: str, found: dict[str, importlib.metadata.Distribution]) -> None:
    """The distribution and all that it requires, without extras."""
    try:
        distribution = importlib.metadata.distribution(name)
    except importlib.metadata.PackageNotFoundError:
        return
    key = distribution.metadata["Name"].lower()
    if key not in found:
        found[key] = distribution
        for line in distribution.requires or ():
            requirement = Requirement(line)
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                needed(requirement.name, found)


@pytest.fixture(scope="module")
def transformers_alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of packages with transformers, torch and what these two require."""
    folder = tmp_path_factory.mktemp("site")
    found: dict[str, importlib.metadata.Distribution] = {}
    for name in ("transformers", "torch"):
        needed(name, found)
    assert not {"plmarker", "datasets", "sentencex"} & set(found)
    for distribution in found.values():
        for top in {file.parts[0] for file in distribution.files or () if file.parts[0] not in ("..", "__pycache__")}:
            target = Path(str(distribution.locate_file(top)))
            if target.exists() and not (folder / top).exists():
                (folder / top).symlink_to(target)
    return folder


@pytest.fixture
def model(make_tiny_model: Any, schema: LabelSchema, minilm_tokenizer: Any) -> PLMarkerModel:
    entity = make_tiny_model(PLMarkerForEntityRecognition, max_seq_length=64)
    relation = make_tiny_model(PLMarkerForRelationExtraction, seed=3, max_seq_length=64)
    return PLMarkerModel.from_models(entity, relation, minilm_tokenizer)


def test_the_code_beside_the_weights_gives_the_same_extractions(model, transformers_alone, tmp_path):
    folder = tmp_path / "model"
    model.save_pretrained(folder, include_code=True)
    environment = {
        **{name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
        "PYTHONPATH": str(transformers_alone),
        "HF_HUB_OFFLINE": "1",
        "HF_MODULES_CACHE": str(tmp_path / "modules"),
    }
    done = subprocess.run(
        [sys.executable, "-S", "-c", RUN, str(folder), TEXT, str(tmp_path / "found.json")],
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    extracted = json.loads((tmp_path / "found.json").read_text())
    expected = model.extract(TEXT).to_dict()
    assert expected["entities"]
    assert expected["relations"]
    for name in ("entities", "relations"):
        rows = [{**row, "score": pytest.approx(row["score"], abs=1e-5)} for row in expected[name]]
        assert extracted[name] == rows


def test_code_comes_only_when_it_is_asked_for(model, tmp_path):
    model.save_pretrained(tmp_path / "with", include_code=True)
    model.save_pretrained(tmp_path / "without")
    assert not list((tmp_path / "without").glob("*.py"))
    config = json.loads((tmp_path / "without" / "config.json").read_text())
    assert "auto_map" not in config
    assert json.loads((tmp_path / "with" / "config.json").read_text())["auto_map"] == {
        "AutoConfig": "configuration_plmarker.PLMarkerConfig",
        "AutoModel": "modeling_plmarker.PLMarkerModel",
    }
    # Where the package is installed, a model that came with its code is saved without it.
    PLMarkerModel.from_pretrained(tmp_path / "with").save_pretrained(tmp_path / "again")
    assert "auto_map" not in json.loads((tmp_path / "again" / "config.json").read_text())
    # A checkpoint carries no more than its models need: no cards, no conversion, no command line.
    n_lines = sum(len(path.read_text().splitlines()) for path in (tmp_path / "with").glob("*.py"))
    assert n_lines < MOST_LINES
    # Modules that other modules import are there too.
    names = {path.stem for path in (tmp_path / "with").glob("*.py")}
    assert {"modeling_plmarker", "configuration_plmarker", "text_plmarker"} <= names
