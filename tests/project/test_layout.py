"""The house rules: floors, packages, and nothing that only works in a checkout."""

import ast
import configparser
import importlib.resources
import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# A room imports rooms before it in this list, and none behind it.
FLOORS = ["modeling", "encoders", "data", "original", "hub", "trainers", "reports", "serving", "cli"]
MODULES = [
    path for folder in ("", *FLOORS, "hub_configs") for path in (ROOT / folder).glob("**/*.py" if folder else "*.py")
]


def imported_floors(path: Path) -> set[str]:
    """The rooms of this package that a module imports, by its relative imports."""
    here = list(path.relative_to(ROOT).parts[:-1])
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = here[: len(here) - (node.level - 1)]
            module = [*base, *(node.module or "").split(".")]
            found.add(module[0])
    return found & set(FLOORS)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_are_relative_and_never_run_upwards(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
        assert not any(name.split(".")[0] == "plmarker" for name in names)
    room = path.relative_to(ROOT).parts[0]
    if room in FLOORS:
        above = set(FLOORS[FLOORS.index(room) + 1 :])
        assert not imported_floors(path) & above


def imported_modules(path: Path) -> set[str]:
    """The modules of this package that a module imports, with dots between folders."""
    here = list(path.relative_to(ROOT).with_suffix("").parts)[:-1]
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = [*here[: len(here) - (node.level - 1)], *(node.module or "").split(".")]
            base = [part for part in base if part]
            found.add(".".join(base))
            found |= {".".join([*base, alias.name]) for alias in node.names}
    return found


def test_no_modules_import_each_other_in_a_circle() -> None:
    names = {".".join(path.relative_to(ROOT).with_suffix("").parts): path for path in MODULES}
    imports = {name: imported_modules(path) & names.keys() for name, path in names.items()}
    done: set[str] = set()

    def visit(name: str, trail: tuple[str, ...]) -> None:
        assert name not in trail, f"{' -> '.join(trail)} -> {name}"
        if name not in done:
            for other in sorted(imports[name]):
                visit(other, (*trail, name))
            done.add(name)

    for name in names:
        visit(name, ())


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_import_hides_behind_type_checking(path: Path) -> None:
    # Packages name what is loaded later; everywhere else this would hide a circle.
    assert path in (ROOT / "__init__.py", ROOT / "data" / "__init__.py") or "TYPE_CHECKING" not in path.read_text(
        encoding="utf-8"
    )


def modules_after(code: str) -> set[str]:
    """The modules that a new interpreter has loaded after some code."""
    code += "\nimport json, sys\nprint(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


HEAVY = {"torch", "transformers", "datasets", "accelerate", "numpy", "pyarrow"}


@pytest.mark.parametrize(
    "code",
    [
        "import plmarker; assert set(plmarker.__all__) <= set(dir(plmarker)) and not hasattr(plmarker, 'nothing')",
        "from plmarker import LabelSchema, PLMarkerError",
        "from plmarker.data import read_documents, check_file",
        "from plmarker.cli import main; main(['data', 'check', '/nowhere.jsonl'])",
        "from plmarker.cli import main; main(['predict', 'model', '/nowhere.jsonl', '--out', '/nowhere.out'])",
        "from plmarker.cli import main; main(['train', '/nowhere.yaml'])",
        "from plmarker.cli import main; main(['evaluate', '/nowhere', '--dataset', 'sample'])",
        "from plmarker.cli import main; main(['convert', '/nowhere', '--schema', 'scierc', '--out', '/nowhere.out'])",
        *(
            f"from plmarker.cli import main\ntry: main({words})\nexcept SystemExit: pass"
            for words in (["--help"], ["--version"], ["predict", "--help"], ["train", "--help"], ["data", "--help"])
        ),
    ],
)
def test_what_needs_no_model_loads_none_of_the_large_libraries(code: str) -> None:
    assert not modules_after(code) & HEAVY


def test_reading_text_loads_neither_corpora_nor_training() -> None:
    loaded = modules_after("import plmarker; plmarker.PLMarkerModel")
    assert "plmarker.modeling.modeling_plmarker" in loaded
    rooms = ("plmarker.data", "plmarker.trainers", "plmarker.cli", "plmarker.hub", "plmarker.original")
    assert not [name for name in loaded if name.startswith(rooms)]
    assert "datasets" not in loaded


@pytest.mark.parametrize(
    "imports",
    [
        "import plmarker; import transformers",
        "import transformers; import plmarker",
        "from plmarker.trainers import PLMarkerTrainer; import transformers",
        "import plmarker.pipeline, transformers",
    ],
)
def test_the_models_are_registered_in_whatever_order_things_are_imported(imports: str) -> None:
    modules_after(
        f"""
{imports}
for name in ("plmarker", "plmarker-ner", "plmarker-re"):
    config = transformers.AutoConfig.for_model(name)
    assert type(config).__module__ == "plmarker.modeling.configuration_plmarker"
    assert transformers.AutoModel._model_mapping[type(config)].config_class is type(config)
from plmarker import PLMarkerModel
from transformers.pipelines import PIPELINE_REGISTRY
assert "entity-relation-extraction" in PIPELINE_REGISTRY.supported_tasks
assert PLMarkerModel.starter and PLMarkerModel.saver
from plmarker.modeling.tasks_plmarker import COMPAT_TASKS
assert "original" in COMPAT_TASKS
"""
    )


def test_private_interfaces_are_used_in_one_file_of_the_models() -> None:
    private = ("._scaled_dot_product", "._supports_attention_backend", "._model_mapping", "_raise_exceptions_for")
    users = {
        path.name
        for path in (ROOT / "modeling").glob("*.py")
        for name in private
        if name in path.read_text(encoding="utf-8")
    }
    assert users == {"internals_plmarker.py"}


def test_modeling_needs_nothing_but_torch_and_transformers_and_what_they_bring() -> None:
    allowed = {"torch", "transformers", "huggingface_hub", "numpy", "regex", "tqdm", "sentencex", "safetensors"}
    third_party = set()
    for path in (ROOT / "modeling").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                third_party |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                third_party.add((node.module or "").split(".")[0])
    assert third_party <= allowed | sys.stdlib_module_names


def test_setup_cfg_lists_every_package() -> None:
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    listed = setup["options"]["packages"].split()
    rooms = (*FLOORS, "hub_configs")
    folders = [path.parent.relative_to(ROOT) for room in rooms for path in (ROOT / room).glob("**/__init__.py")]
    assert sorted(listed) == sorted(["plmarker", *(f"plmarker.{'.'.join(folder.parts)}" for folder in folders)])


def test_no_upper_bounds_on_what_we_lean_on() -> None:
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    requirements = setup["options"]["install_requires"].split("\n")
    assert not [line for line in requirements if "<" in line or "==" in line or "~" in line]


@pytest.mark.parametrize(("package", "names"), [
    ("plmarker", ["py.typed"]),
    ("plmarker.data", ["sample/train.jsonl", "sample/validation.jsonl", "sample/test.jsonl", "presets.yaml"]),
    ("plmarker.data.builders", ["ace_splits.yaml"]),
    ("plmarker.hub_configs", ["demo.yaml", "scierc-scibert.yaml"]),
])  # fmt: skip
def test_an_installed_package_has_its_data_files(package: str, names: list[str]) -> None:
    files = importlib.resources.files(package)
    assert all((files / name).is_file() for name in names)


def test_files_stay_small_enough_to_read() -> None:
    long = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in MODULES}
    assert {name: lines for name, lines in long.items() if lines > 520} == {}
