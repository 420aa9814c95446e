"""The commands convert and evaluate checkpoints of the original, and write and read its result files."""

import json
from pathlib import Path
from typing import Any

import pytest

from plmarker.cli import main
from plmarker.data import read_documents
from plmarker.modeling.schema_plmarker import PLMarkerError
from plmarker.original.results import read_relation_results, write_relation_results


@pytest.fixture(scope="module")
def checkpoints(shared: Path) -> Path:
    return shared / "reference" / "checkpoints"


@pytest.fixture(scope="module")
def converted(checkpoints: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("converted")
    for name, sources in (("both", ["ner", "re"]), ("ner", ["ner"]), ("re", ["re"])):
        paths = [str(checkpoints / source) for source in sources]
        assert main(["convert", *paths, "--schema", "scierc", "--out", str(folder / name)]) == 0
    return folder


@pytest.fixture(scope="module")
def original_run(converted: Path, shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The whole development set, evaluated with the original's quirks."""
    folder = tmp_path_factory.mktemp("run")
    dev = str(shared / "data" / "scierc" / "dev.json")
    arguments = ["--dataset", dev, "--split", "dev", "--compat", "original", "--predictions", str(folder)]
    assert main(["evaluate", str(converted / "both"), *arguments, "--json", str(folder / "m.json")]) == 0
    return folder


def read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def test_a_converted_checkpoint_gives_the_original_s_figures_to_the_digit(original_run: Path, checkpoints: Path):
    metrics = read(original_run / "m.json")
    want = read(checkpoints / "metrics.json")["validation"]["relation"]
    assert {name: metrics[name] for name in want} == pytest.approx(want, abs=1e-12)


def test_two_checkpoints_are_evaluated_like_one_and_types_may_be_those_given(
    original_run: Path, converted: Path, checkpoints: Path, tmp_path: Path
):
    # The relation stage reads the entities that the entity stage wrote.
    arguments = ["--dataset", str(original_run / "ent_pred_dev.json"), "--split", "dev", "--compat", "original"]
    arguments += ["--entity_types", "input", "--json", str(tmp_path / "m.json")]
    want = read(checkpoints / "metrics.json")["validation"]["input"]
    models = [str(converted / "ner"), str(converted / "re"), "--given_entities"]
    assert main(["evaluate", *models, *arguments]) == 0
    metrics = read(tmp_path / "m.json")
    assert "ent_f1" not in metrics
    assert {name: metrics[name] for name in metrics if name in want} == pytest.approx(
        {name: value for name, value in want.items() if not name.startswith("ent_")}, abs=1e-12
    )


def test_predicted_entities_are_written_as_the_original_writes_them(original_run: Path, checkpoints: Path):
    lines = (original_run / "ent_pred_dev.json").read_text(encoding="utf-8").splitlines()
    wanted = (checkpoints / "ner" / "ent_pred_dev.json").read_text(encoding="utf-8").splitlines()
    for line, want in zip(map(json.loads, lines), map(json.loads, wanted), strict=True):
        found, predicted = ([sorted(rows) for rows in document["predicted_ner"]] for document in (line, want))
        assert found == predicted
        assert (line["doc_key"], line["sentences"], line["ner"]) == (want["doc_key"], want["sentences"], want["ner"])


def test_the_quirks_make_the_difference(converted: Path, shared: Path, original_run: Path, tmp_path: Path):
    dev = str(shared / "data" / "scierc" / "dev.json")
    assert main(["evaluate", str(converted / "re"), "--dataset", dev, "--json", str(tmp_path / "m.json")]) == 0
    metrics, original = read(tmp_path / "m.json"), read(original_run / "m.json")
    assert metrics["gold_rel_f1"] == pytest.approx(0.4191, abs=1e-4)
    assert original["gold_rel_f1"] == pytest.approx(0.4376, abs=1e-4)


def test_relations_survive_the_original_s_file(original_run: Path, shared: Path, tmp_path: Path):
    documents = read_documents(original_run / "ent_pred_dev.json")
    completed = read_relation_results(original_run / "pred_results.json", documents)
    write_relation_results(tmp_path / "again.json", completed)
    assert read(tmp_path / "again.json") == read(original_run / "pred_results.json")


def test_the_original_s_relations_are_read(shared: Path, tmp_path: Path):
    path = shared / "reference" / "fixtures" / "re_sub.gold.logsoftmax.pred_results.json"
    documents = read_documents(shared / "data" / "scierc" / "dev.json")
    completed = read_relation_results(path, documents)
    first = read(path)["0"][0][1][0]
    relation = completed[0]["predicted_relations"][0][0]
    assert [[relation["head_start"], relation["head_end"]], [relation["tail_start"], relation["tail_end"]]] == first[:2]
    write_relation_results(tmp_path / "again.json", completed)
    # The original leaves out a sentence without a pair to score.
    again, original = read(tmp_path / "again.json"), read(path)
    for document, sentences in original.items():
        assert [row for row in again[document] if row[1]] == [row for row in sentences if row[1]]


DOCUMENT = {
    "doc_key": "a",
    "sentences": [["Ada", "works"], ["Yes"]],
    "ner": [[{"start": 0, "end": 0, "label": "PER"}], []],
    "predicted_ner": None,
    "predicted_relations": [
        [{"head_start": 0, "head_end": 0, "tail_start": 1, "tail_end": 1, "label": "DOES"}],
        [],
    ],
}


def test_relation_results_without_the_shared_folder(tmp_path: Path):
    path = tmp_path / "pred_results.json"
    write_relation_results(path, [DOCUMENT])
    assert read(path) == {"0": [[0, [[[0, 0], [1, 1], "DOES"]]]]}
    assert read_relation_results(path, [DOCUMENT]) == [DOCUMENT]
    with pytest.raises(PLMarkerError, match="results for document 0, of 0"):
        read_relation_results(path, [])
    with pytest.raises(PLMarkerError, match="document 'a' has no predicted_relations"):
        write_relation_results(path, [{**DOCUMENT, "predicted_relations": None}])


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ('{"0": [[5, []]]}', "document 0 has no sentence 5"),
        ('{"0": [[0, [[[0, 0], [1, 1]]]]]}', "not as pred_results.json is"),
        ("[]", "not as pred_results.json is"),
        ("{", "not as pred_results.json is"),
    ],
)
def test_what_is_wrong_in_relation_results_is_named(tmp_path: Path, content: str, expected: str):
    path = tmp_path / "pred_results.json"
    path.write_text(content)
    with pytest.raises(PLMarkerError, match=expected):
        read_relation_results(path, [DOCUMENT])
    with pytest.raises(PLMarkerError, match="no such file"):
        read_relation_results(tmp_path / "gone.json", [DOCUMENT])


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["convert", "nowhere", "--schema", "scierc", "--out", "x"], "nowhere: no such folder"),
        (["convert", "data", "--schema", "ace06", "--out", "x"], "ace06: no such file, nor one of the presets"),
        (["convert", "data", "--schema", "scierc", "--out", "x", "--entity", "flat"], "expected KEY=VALUE"),
    ],
)
def test_a_bad_conversion_is_one_line(
    arguments: list[str],
    expected: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "data").mkdir()
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    error = capsys.readouterr().err.strip().splitlines()
    assert len(error) == 1
    assert expected in error[0]
