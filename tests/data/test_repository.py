"""Building dataset repositories and pushing them to a fake Hub."""

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
    """Write files in the layout of SciERC, with one document per split."""
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


def test_load_dataset_reads_typed_documents_from_the_folder(built):
    loaded = load_dataset(str(built), cache_dir=str(built.parent / "cache"))
    assert set(loaded) == {"train", "validation", "test"}
    assert loaded["validation"].features == DOCUMENT_FEATURES
    document = loaded["validation"][0]
    assert document["doc_key"] == "dev-1"
    assert document["ner"][0][0] == {"start": 0, "end": 0, "label": "Task"}
    assert document["predicted_ner"] is None


def test_a_relative_path_is_not_mistaken_for_a_hub_id(built, monkeypatch):
    monkeypatch.chdir(built.parents[1])
    assert load_documents("plmarker/scierc")["train"][0]["doc_key"] == "train-1"


def test_folders_with_the_same_name_and_counts_do_not_share_a_cache(tmp_path):
    cache = str(tmp_path / "cache")
    for label in ("Task", "Method"):
        out = tmp_path / label / "scierc"
        build_repository([SciERCBuilder(data_dir=write_scierc(tmp_path / f"{label}-source", label))], out)
        document = load_dataset(str(out), split="train", cache_dir=cache)[0]
        assert document["ner"][0][0]["label"] == label


def test_a_repository_can_be_streamed(built):
    stream = load_dataset(str(built), split="test", streaming=True)
    assert [document["doc_key"] for document in stream] == ["test-1"]


def test_the_card_has_configurations_licence_labels_counts_and_citation(built):
    card = DatasetCard.load(built / "README.md")
    data = card.data.to_dict()
    assert [config["config_name"] for config in data["configs"]] == ["documents"]
    assert [files["split"] for files in data["configs"][0]["data_files"]] == ["train", "validation", "test"]
    assert data["license"] == "unknown"
    assert data["size_categories"] == ["n<1K"]
    assert LabelSchema(**data["plmarker"]).symmetric_labels == ("CONJUNCTION", "COMPARE")
    assert "| entities | 2 | 2 | 2 |" in card.text
    assert "luan-etal-2018-multi" in card.text
    # The card lists the difference from the published counts.
    assert any("1 sentences" in line and "1861" in line for line in card.text.splitlines())


def test_build_returns_counts_and_differences_from_the_published_counts(tmp_path, scierc):
    result = build_repository([SciERCBuilder(data_dir=scierc)], tmp_path / "out")
    assert json.loads(json.dumps(result))["splits"]["documents"]["train"]["entities"] == 2
    assert any("train: " in w and "1 sentences" in w and "1861" in w for w in result["warnings"])


def test_folds_are_configurations_of_one_repository(tmp_path):
    """Build two folds. Only three documents exist."""
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
    assert [d["doc_key"] for d in load_documents(out, config_name="fold0")["test"]] == [names[0]]
    assert DatasetCard.load(out / "README.md").data.to_dict()["plmarker"]["restricted"].startswith("LDC")


def test_a_failed_build_leaves_no_files(tmp_path):
    source = tmp_path / "bad.jsonl"
    source.write_text("{\n" * 12)
    with pytest.raises(PLMarkerError) as error:
        build_repository([FilesBuilder(data_dir=source)], tmp_path / "new" / "out")
    lines = str(error.value).splitlines()
    assert lines[0].startswith(f"{source}:1: ")
    assert len(lines) == 11
    assert lines[-1] == "... and 2 more problems"
    assert list((tmp_path / "new").iterdir()) == []


def test_only_an_earlier_build_can_be_overwritten(tmp_path, scierc, built):
    with pytest.raises(PLMarkerError, match="--overwrite"):
        build_repository([SciERCBuilder(data_dir=scierc)], built)
    write_scierc(scierc, label="Method")
    build_repository([SciERCBuilder(data_dir=scierc)], built, overwrite=True)
    assert load_documents(built)["train"][0]["ner"][0][0]["label"] == "Method"
    other = tmp_path / "other"
    other.mkdir()
    (other / "README.md").write_text("mine")
    with pytest.raises(PLMarkerError, match=r"other: .*not overwritten"):
        build_repository([SciERCBuilder(data_dir=scierc)], other, overwrite=True)
    assert (other / "README.md").read_text() == "mine"


class FakeHub:
    """A fake of `HfApi`. It stores the files and the visibility of repositories."""

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


def test_push_uploads_only_the_card_and_parquet_files_to_a_private_repository(hub, built):
    (built / "notes.txt").write_text("mine")
    result = push_repository(built, "me/scierc")
    assert result == {"repo": "me/scierc", "private": True, "url": "https://hub/datasets/me/scierc"}
    names = {path.relative_to(built).as_posix() for path in built.rglob("*.parquet")}
    assert len(names) == 3
    assert hub.files["me/scierc"].keys() == {".gitattributes", "README.md", *names}
    # The loading code of the card uses the Hub id.
    assert b'load_dataset("me/scierc")' in hub.files["me/scierc"]["README.md"]


def test_push_without_a_token_is_an_error_that_explains_how_to_get_one(hub, built, monkeypatch):
    monkeypatch.setattr(repository_module, "get_token", lambda: None)
    with pytest.raises(PLMarkerError, match=r"me/scierc: .*`hf auth login`"):
        push_repository(built, "me/scierc")
    assert hub.files == {}
    assert push_repository(built, "me/scierc", token="hf_given")["private"]


def test_a_second_push_replaces_the_first(hub, tmp_path, scierc, built):
    push_repository(built, "me/scierc")
    before = set(hub.files["me/scierc"])
    write_scierc(scierc, label="Method")
    build_repository([SciERCBuilder(data_dir=scierc)], built, overwrite=True)
    push_repository(built, "me/scierc")
    assert len(hub.files["me/scierc"]) == len(before)
    assert set(hub.files["me/scierc"]) & before == {".gitattributes", "README.md"}


def test_push_does_not_change_a_repository_with_other_files(hub, built):
    for card in ({}, {"README.md": b"---\nlicense: mit\n---\nmine"}, {"README.md": b"---\na: [\n---\n"}):
        hub.private["me/other"], hub.files["me/other"] = True, {"train.parquet": b"mine", **card}
        with pytest.raises(PLMarkerError, match=r"me/other: .*nothing was uploaded"):
            push_repository(built, "me/other")
        assert hub.files["me/other"] == {"train.parquet": b"mine", **card}


def test_push_to_a_public_repository_needs_public(hub, built):
    hub.private["me/open"], hub.files["me/open"] = False, {}
    with pytest.raises(PLMarkerError, match=r"me/open: .*nothing was uploaded"):
        push_repository(built, "me/open")
    assert hub.files["me/open"] == {}
    assert push_repository(built, "me/open", public=True)["private"] is False


def test_restricted_texts_cannot_be_public(hub, built):
    card = built / "README.md"
    card.write_text(card.read_text().replace("plmarker:\n", "plmarker:\n  restricted: not to be copied\n", 1))
    with pytest.raises(PLMarkerError, match="not to be copied"):
        push_repository(built, "me/open", public=True)
    assert hub.private == {}
    assert push_repository(built, "me/closed")["private"] is True


def test_push_needs_a_built_repository(hub, tmp_path):
    assert not is_repository(tmp_path)
    with pytest.raises(PLMarkerError, match="data build"):
        push_repository(tmp_path, "me/x")
    assert hub.private == {}


def test_the_card_does_not_contain_the_path(built):
    assert str(built.parent) not in (built / "README.md").read_text()
    assert 'load_dataset("scierc")' in (built / "README.md").read_text()
