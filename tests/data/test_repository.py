import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from datasets import load_dataset
from huggingface_hub import CommitOperationDelete, DatasetCard

from plmarker.data import DOCUMENT_FEATURES, LabelSchema, load_documents, typed_document, write_documents
from plmarker.data import repository as repository_module
from plmarker.data.builders import Ace04Builder, FilesBuilder, SciERCBuilder
from plmarker.data.repository import build_repository, is_repository, push_repository
from plmarker.modeling.schema_plmarker import PLMarkerError


def raw_document(key: str, label: str = "Task") -> dict[str, Any]:
    return {
        "doc_key": key,
        "sentences": [["Parsing", "is", "fun", "."]],
        "ner": [[[0, 0, label], [2, 2, "Generic"]]],
        "relations": [[[0, 0, 2, 2, "COMPARE"]]],
    }


def write_scierc(folder: Path, label: str = "Task") -> Path:
    """SciERC's layout, with one document a split."""
    for split in ("train", "dev", "test"):
        write_documents(folder / "json" / f"{split}.json", [typed_document(raw_document(f"{split}-1", label))])
    return folder


@pytest.fixture
def scierc(tmp_path: Path) -> Path:
    return write_scierc(tmp_path / "source")


@pytest.fixture
def built(tmp_path: Path, scierc: Path) -> Path:
    out = tmp_path / "plmarker" / "scierc"
    build_repository([SciERCBuilder(data_dir=scierc)], out)
    return out


def test_plain_load_dataset_reads_the_folder_typed(built):
    loaded = load_dataset(str(built), cache_dir=str(built.parent / "cache"))
    assert set(loaded) == {"train", "validation", "test"}
    assert loaded["validation"].features == DOCUMENT_FEATURES
    document = loaded["validation"][0]
    assert document["doc_key"] == "dev-1"
    assert document["ner"][0][0] == {"start": 0, "end": 0, "label": "Task"}
    assert document["predicted_ner"] is None


def test_a_relative_name_of_two_parts_is_the_folder(built, monkeypatch):
    monkeypatch.chdir(built.parents[1])
    assert load_documents("plmarker/scierc")["train"][0]["doc_key"] == "train-1"


def test_folders_of_one_name_do_not_share_a_cache(tmp_path):
    """The same names and counts, other contents."""
    cache = str(tmp_path / "cache")
    for label in ("Task", "Method"):
        out = tmp_path / label / "scierc"
        build_repository([SciERCBuilder(data_dir=write_scierc(tmp_path / f"{label}-source", label))], out)
        document = load_dataset(str(out), split="train", cache_dir=cache)[0]
        assert document["ner"][0][0]["label"] == label


def test_it_streams(built):
    stream = load_dataset(str(built), split="test", streaming=True)
    assert [document["doc_key"] for document in stream] == ["test-1"]


def test_the_card_has_configs_licence_labels_counts_and_citation(built):
    card = DatasetCard.load(built / "README.md")
    data = card.data.to_dict()
    assert [config["config_name"] for config in data["configs"]] == ["documents"]
    assert [files["split"] for files in data["configs"][0]["data_files"]] == ["train", "validation", "test"]
    assert data["license"] == "unknown"
    assert data["size_categories"] == ["n<1K"]
    assert LabelSchema(**data["plmarker"]).symmetric_labels == ("CONJUNCTION", "COMPARE")
    assert "| entities | 2 | 2 | 2 |" in card.text
    assert "luan-etal-2018-multi" in card.text
    # The deviation from the published counts stands on the card.
    assert "1 sentences, published are 1861" in card.text


def test_building_tells_counts_and_deviations(tmp_path, scierc):
    result = build_repository([SciERCBuilder(data_dir=scierc)], tmp_path / "out")
    assert json.loads(json.dumps(result))["splits"]["documents"]["train"]["entities"] == 2
    assert any("train: 1 sentences, published are 1861" in warning for warning in result["warnings"])


def test_parts_are_configs_of_one_repository(tmp_path):
    """Two folds of documents that are not there but for one of each fold."""
    source = tmp_path / "source"
    source.mkdir()
    apf = (
        '<source_file><document DOCID="d"><entity ID="E" TYPE="PER"><entity_mention ID="M"><head>'
        '<charseq START="1" END="3">Ann</charseq></head></entity_mention></entity></document></source_file>'
    )
    names = ["VOA20001008.2100.0145", "NYT20001012.1539.0165", "NYT20001021.1123.0068"]
    for name in names:
        (source / f"{name}.sgm").write_text("<DOC>\nAnn sings.\n</DOC>\n")
        (source / f"{name}.apf.xml").write_text(apf)
    builders = [Ace04Builder(data_dir=source, config_name=fold) for fold in ("fold0", "fold1")]
    out = tmp_path / "ace04"
    build_repository(builders, out)
    cache = str(tmp_path / "cache")
    assert [d["doc_key"] for d in load_dataset(str(out), "fold1", split="test", cache_dir=cache)] == [names[1]]
    assert [d["doc_key"] for d in load_dataset(str(out), split="test", cache_dir=cache)] == [names[0]]
    assert [d["doc_key"] for d in load_documents(out, part="fold0")["test"]] == [names[0]]
    assert DatasetCard.load(out / "README.md").data.to_dict()["plmarker"]["restricted"].startswith("LDC")


def test_nothing_is_left_of_a_build_that_fails(tmp_path):
    source = tmp_path / "bad.jsonl"
    source.write_text("{\n" * 12)
    with pytest.raises(PLMarkerError) as error:
        build_repository([FilesBuilder(data_dir=source)], tmp_path / "new" / "out")
    lines = str(error.value).splitlines()
    assert lines[0].endswith("bad.jsonl:1: broken JSON, Expecting property name enclosed in double quotes at column 1; "
                             "each line is one document")  # fmt: skip
    assert len(lines) == 11
    assert lines[-1] == "... and 2 more problems"
    assert list((tmp_path / "new").iterdir()) == []


def test_only_an_earlier_build_is_overwritten(tmp_path, scierc, built):
    with pytest.raises(PLMarkerError, match="--overwrite"):
        build_repository([SciERCBuilder(data_dir=scierc)], built)
    write_scierc(scierc, label="Method")
    build_repository([SciERCBuilder(data_dir=scierc)], built, overwrite=True)
    assert load_documents(built)["train"][0]["ner"][0][0]["label"] == "Method"
    other = tmp_path / "other"
    other.mkdir()
    (other / "README.md").write_text("mine")
    with pytest.raises(PLMarkerError, match="not overwritten"):
        build_repository([SciERCBuilder(data_dir=scierc)], other, overwrite=True)
    assert (other / "README.md").read_text() == "mine"


class FakeHub:
    """Remembers repositories, as private as they were made first, and their files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.private: dict[str, bool] = {}
        self.files: dict[str, dict[str, bytes]] = {}

    def __call__(self, token: str | None = None) -> "FakeHub":
        return self

    def create_repo(self, repo: str, repo_type: str, private: bool, exist_ok: bool) -> None:
        assert repo_type == "dataset"
        self.private.setdefault(repo, private)
        self.files.setdefault(repo, {".gitattributes": b""})

    def repo_info(self, repo: str, repo_type: str) -> SimpleNamespace:
        return SimpleNamespace(private=self.private[repo])

    def list_repo_files(self, repo: str, repo_type: str) -> list[str]:
        return list(self.files[repo])

    def hf_hub_download(self, repo: str, name: str, repo_type: str) -> str:
        path = self.folder / name
        path.write_bytes(self.files[repo][name])
        return str(path)

    def create_commit(self, repo: str, operations: list[Any], commit_message: str, repo_type: str) -> SimpleNamespace:
        for operation in operations:
            if isinstance(operation, CommitOperationDelete):
                del self.files[repo][operation.path_in_repo]
            else:
                with operation.as_file() as file:
                    self.files[repo][operation.path_in_repo] = file.read()
        return SimpleNamespace(repo_url=f"https://hub/datasets/{repo}")


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> FakeHub:
    fake = FakeHub(tmp_path_factory.mktemp("hub"))
    monkeypatch.setattr(repository_module, "HfApi", fake)
    monkeypatch.setattr(repository_module, "get_token", lambda: "hf_mine")
    return fake


def test_a_push_is_private_and_carries_card_and_parquet_alone(hub, built):
    (built / "notes.txt").write_text("mine")
    result = push_repository(built, "me/scierc")
    assert result == {"repo": "me/scierc", "private": True, "url": "https://hub/datasets/me/scierc"}
    names = {path.relative_to(built).as_posix() for path in built.rglob("*.parquet")}
    assert len(names) == 3
    assert hub.files["me/scierc"].keys() == {".gitattributes", "README.md", *names}
    # The card says how to load it from there.
    assert b'load_dataset("me/scierc")' in hub.files["me/scierc"]["README.md"]


def test_a_push_without_a_token_says_where_one_comes_from(hub, built, monkeypatch):
    monkeypatch.setattr(repository_module, "get_token", lambda: None)
    with pytest.raises(PLMarkerError, match="me/scierc: no token for the Hub; `hf auth login`"):
        push_repository(built, "me/scierc")
    assert hub.files == {}
    assert push_repository(built, "me/scierc", token="hf_given")["private"]


def test_a_second_push_takes_the_place_of_the_first(hub, tmp_path, scierc, built):
    push_repository(built, "me/scierc")
    before = set(hub.files["me/scierc"])
    write_scierc(scierc, label="Method")
    build_repository([SciERCBuilder(data_dir=scierc)], built, overwrite=True)
    push_repository(built, "me/scierc")
    assert len(hub.files["me/scierc"]) == len(before)
    assert set(hub.files["me/scierc"]) & before == {".gitattributes", "README.md"}


def test_what_was_not_built_here_is_not_touched(hub, built):
    for card in ({}, {"README.md": b"---\nlicense: mit\n---\nmine"}, {"README.md": b"---\na: [\n---\n"}):
        hub.private["me/other"], hub.files["me/other"] = True, {"train.parquet": b"mine", **card}
        with pytest.raises(PLMarkerError, match="not built here; nothing was uploaded"):
            push_repository(built, "me/other")
        assert hub.files["me/other"] == {"train.parquet": b"mine", **card}


def test_a_repository_that_is_public_gets_nothing_without_being_asked(hub, built):
    hub.private["me/open"], hub.files["me/open"] = False, {}
    with pytest.raises(PLMarkerError, match="is public; nothing was uploaded"):
        push_repository(built, "me/open")
    assert hub.files["me/open"] == {}
    assert push_repository(built, "me/open", public=True)["private"] is False


def test_licensed_texts_are_not_published(hub, built):
    card = built / "README.md"
    card.write_text(card.read_text().replace("plmarker:\n", "plmarker:\n  restricted: not to be copied\n", 1))
    with pytest.raises(PLMarkerError, match="not to be published, its licence is: not to be copied"):
        push_repository(built, "me/open", public=True)
    assert hub.private == {}
    assert push_repository(built, "me/closed")["private"] is True


def test_only_what_was_built_is_pushed(hub, tmp_path):
    assert not is_repository(tmp_path)
    with pytest.raises(PLMarkerError, match="data build"):
        push_repository(tmp_path, "me/x")
    assert hub.private == {}


def test_a_path_is_not_told_on_the_card(built):
    assert str(built.parent) not in (built / "README.md").read_text()
    assert 'load_dataset("scierc")' in (built / "README.md").read_text()
