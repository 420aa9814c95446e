"""A corpus and a model are built, pushed, loaded and used, on a small Hub that runs on this machine.

This file is also the program of the owner and of a stranger. huggingface_hub reads its environment when it is
imported, so each of the two needs a process.
"""

import importlib.util
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from datasets import Dataset, load_dataset
from datasets.exceptions import DatasetNotFoundError
from huggingface_hub import HfApi, ModelCard, hf_hub_download
from huggingface_hub.errors import RepositoryNotFoundError
from on_the_hub import save_tiny_encoder, stay_on_this_machine, step, steps_of, tell
from peft import PeftModel
from transformers import AutoModel, PreTrainedTokenizerBase, TrainingArguments, pipeline

import plmarker
from plmarker.cli import main
from plmarker.data.loading import SAMPLE_FOLDER, dataset_revision
from plmarker.hub.adapters import add_lora
from plmarker.trainers.span_f1 import FOLDER

TEXT = "Ada Morrow founded the Kelmoor Institute in 1998. 🙂 She married Tom Vell."
HAS_EVALUATE = importlib.util.find_spec("evaluate") is not None
OWNER_STEPS = [
    "build",
    "push",
    "load with a token",
    "stream with a token",
    "push again",
    "push in public",
    "push to what is public already",
    "train",
    "push the model",
    "push the model with its code",
    "push the model with newer figures",
    "load the model",
    "extract in a pipeline",
    "push the adapter",
    "load the adapter",
    "start from a revision of an encoder",
    "push the metric",
    *(["load the metric"] if HAS_EVALUATE else []),
]
STRANGER_STEPS = ["load what is public", "no private dataset", "no private model", "no push"]


def documents_of(folder: Path, split: str, count: int) -> None:
    """The first of the sample's documents."""
    lines = (SAMPLE_FOLDER / f"{split}.jsonl").read_text(encoding="utf-8").splitlines()[:count]
    (folder / f"{split}.jsonl").write_text("\n".join(lines), encoding="utf-8")


def owner(folder: Path) -> None:
    """Everything that the owner of a token can do."""
    os.chdir(folder)
    share_data(folder)
    share_model(trained_model(folder, plmarker.load_documents("me/tiny")["train"]))
    share_adapter()
    share_encoder(folder)
    share_metric()


def share_data(folder: Path) -> None:
    """Build a corpus, push it twice, load it, and publish it."""
    source, built, api = folder / "source", folder / "tiny", HfApi()
    source.mkdir()
    documents_of(source, "train", 6)
    documents_of(source, "validation", 2)
    build = ["data", "build", "jsonl", "--source", str(source), "--out", str(built)]
    push = ["data", "push", str(built), "--repo"]
    assert main(build) == 0
    step("build")
    assert main([*push, "me/tiny"]) == 0
    assert api.repo_info("me/tiny", repo_type="dataset").private
    step("push")
    loaded = load_dataset("me/tiny")
    assert {split: len(rows) for split, rows in loaded.items()} == {"train": 6, "validation": 2}
    documents = plmarker.load_documents("me/tiny")
    assert documents["train"].to_list() == load_dataset(str(built), split="train").to_list()
    assert dataset_revision("me/tiny") == api.repo_info("me/tiny", repo_type="dataset").sha
    step("load with a token")
    stream = load_dataset("me/tiny", split="validation", streaming=True)
    assert [row["doc_key"] for row in stream] == documents["validation"]["doc_key"]
    step("stream with a token")
    before = set(api.list_repo_files("me/tiny", repo_type="dataset"))
    documents_of(source, "train", 8)
    assert main([*build, "--overwrite"]) == 0
    assert main([*push, "me/tiny"]) == 0
    after = set(api.list_repo_files("me/tiny", repo_type="dataset"))
    # A split that did not change keeps its file.
    assert [len({name for name in names if "train-" in name}) for names in (before - after, after - before)] == [1, 1]
    assert len(before) == len(after)
    assert len(load_dataset("me/tiny", split="train")) == 8
    step("push again")
    assert main([*push, "me/open", "--public"]) == 0
    assert not api.repo_info("me/open", repo_type="dataset").private
    step("push in public")
    assert main([*push, "me/open"]) == 2
    step("push to what is public already")


def share_model(model: plmarker.PLMarkerModel) -> None:
    """Push a model with its card and with its code, load it, and use it in a pipeline."""
    api = HfApi()
    model.push_to_hub("me/model", private=True)
    assert api.repo_info("me/model").private
    assert ModelCard.load("me/model").data.library_name
    step("push the model")
    model.push_to_hub("me/model-code", include_code=True)
    step("push the model with its code")
    for figure in (0.25, 0.5):
        model.config.training_run = {"dataset": "me/tiny", "metrics": {"ent_f1": figure}}
        model.push_to_hub("me/card", private=True)
        assert [result.metric_value for result in ModelCard.load("me/card").data.eval_results] == [figure]
    model.config.training_run = {"dataset": "me/tiny", "metrics": {"ent_f1": 0.75}}
    model.push_to_hub("me/card", create_pr=True, tags=["proposed"])
    assert [result.metric_value for result in ModelCard.load("me/card").data.eval_results] == [0.5]
    model.save_pretrained("saved", push_to_hub=True, repo_id="me/saved", private=True)
    assert ModelCard.load("me/saved").data.eval_results[0].metric_value == 0.75
    own = ModelCard("---\nlicense: mit\n---\n\n# Mine\n")
    api.upload_file(path_or_fileobj=own.content.encode(), path_in_repo="README.md", repo_id="me/card")
    model.push_to_hub("me/card")
    assert ModelCard.load("me/card").text == own.text
    model.config.training_run = None
    step("push the model with newer figures")
    weights = model.state_dict()
    for options in ({}, {"revision": "main"}, {"revision": api.repo_info("me/model").sha}):
        again = AutoModel.from_pretrained("me/model", **options)
        assert isinstance(again, plmarker.PLMarkerModel)
        assert again.state_dict().keys() == weights.keys()
        assert all(torch.equal(tensor, weights[name]) for name, tensor in again.state_dict().items())
        assert again.extract(TEXT) == model.extract(TEXT)
    step("load the model")
    found = pipeline("entity-relation-extraction", model="me/model")(TEXT)
    assert found == model.extract(TEXT).to_dict()
    assert found["entities"]
    assert found["relations"]
    assert all(TEXT[entity["start"] : entity["end"]] == entity["text"] for entity in found["entities"])
    step("extract in a pipeline")


def share_adapter() -> None:
    """Push an adapter of the pushed model without the model, and load it by its name."""
    adapted = add_lora(AutoModel.from_pretrained("me/model").entity, r=2)
    with torch.no_grad():
        for name, parameter in adapted.named_parameters():
            if "lora_B" in name:
                parameter.normal_()
    adapted.push_to_hub("me/adapter", private=True)
    step("push the adapter")
    files = HfApi().list_repo_files("me/adapter")
    assert "adapter_model.safetensors" in files
    assert "model.safetensors" not in files
    again = PeftModel.from_pretrained(AutoModel.from_pretrained("me/model").entity, "me/adapter")
    weights = adapted.state_dict()
    assert all(torch.equal(tensor, weights[name]) for name, tensor in again.state_dict().items())
    step("load the adapter")


def share_encoder(folder: Path) -> None:
    """Push an encoder twice, and start from its first revision, with a token that is given in the call."""
    api, schema = HfApi(), plmarker.LabelSchema(("Person",))
    api.create_repo("me/encoder", private=True)
    first = api.upload_folder(repo_id="me/encoder", folder_path=folder / "encoder").oid
    config = json.loads((folder / "encoder" / "config.json").read_text())
    config["hidden_dropout_prob"] = 0.5
    api.upload_file(path_or_fileobj=json.dumps(config).encode(), path_in_repo="config.json", repo_id="me/encoder")
    token = os.environ.pop("HF_TOKEN")
    try:
        start = plmarker.PLMarkerForEntityRecognition.from_encoder
        older = start("me/encoder", schema, max_seq_length=64, revision=first, token=token)
        newer = start("me/encoder", schema, max_seq_length=64, token=token)
    finally:
        os.environ["HF_TOKEN"] = token
    assert older.config.encoder_config.hidden_dropout_prob != newer.config.encoder_config.hidden_dropout_prob == 0.5
    assert newer.config.encoder_config._name_or_path == "me/encoder"
    step("start from a revision of an encoder")


def share_metric() -> None:
    """Push the metric as a Space, and load it."""
    api = HfApi()
    api.create_repo("me/span_f1", repo_type="space", space_sdk="static")
    api.upload_folder(repo_id="me/span_f1", repo_type="space", folder_path=FOLDER, ignore_patterns="__pycache__/*")
    step("push the metric")
    if HAS_EVALUATE:
        import evaluate

        rows = [[(0, 1, "Person")]]
        assert evaluate.load("me/span_f1").compute(predictions=rows, references=rows)["ent_f1"] == 1.0
        step("load the metric")


def trained_model(folder: Path, documents: Dataset) -> plmarker.PLMarkerModel:
    """Train each of the two models for two steps."""
    labels: dict[str, set[str]] = {
        name: {row["label"] for document in documents for rows in document[name] for row in rows}
        for name in ("ner", "relations")
    }
    schema = plmarker.LabelSchema(tuple(sorted(labels["ner"])), tuple(sorted(labels["relations"])))
    encoder, models = str(folder / "encoder"), []
    tokenizer = plmarker.load_tokenizer(encoder)
    for model_class in (plmarker.PLMarkerForEntityRecognition, plmarker.PLMarkerForRelationExtraction):
        model = model_class.from_encoder(encoder, schema, max_seq_length=64)
        arguments = TrainingArguments(
            str(folder / "run"), max_steps=2, save_strategy="no", report_to="none", disable_tqdm=True, use_cpu=True
        )
        trainer = plmarker.PLMarkerTrainer(model, arguments, documents, processing_class=tokenizer)
        assert trainer.train().global_step == 2
        models.append(model.eval())
    step("train")
    # The models have learnt nothing. These biases make them find something.
    models[0].classifier.bias.data[0] = -9
    models[1].subject_classifier.bias.data[0] = -9
    return plmarker.PLMarkerModel.from_models(*models, tokenizer)


def stranger(folder: Path) -> None:
    """Load what is public, and fail to load or write anything else."""
    assert len(load_dataset("me/open", split="train")) == 8
    assert plmarker.load_documents("me/open").num_rows == {"train": 8, "validation": 2}
    assert isinstance(AutoModel.from_pretrained("me/model-code"), plmarker.PLMarkerModel)
    step("load what is public")
    for load, error in ((load_dataset, DatasetNotFoundError), (plmarker.load_documents, plmarker.PLMarkerError)):
        with pytest.raises(error, match="me/tiny"):
            load("me/tiny")
    with pytest.raises(RepositoryNotFoundError):
        hf_hub_download("me/tiny", "README.md", repo_type="dataset")
    step("no private dataset")
    with pytest.raises(OSError, match="me/model"):
        AutoModel.from_pretrained("me/model")
    step("no private model")
    assert main(["data", "push", str(folder / "tiny"), "--repo", "me/other"]) == 2
    step("no push")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, minilm_tokenizer: PreTrainedTokenizerBase) -> Path:
    """The folder of both programs, with a tiny encoder in it."""
    folder = tmp_path_factory.mktemp("hub")
    save_tiny_encoder(folder / "encoder", minilm_tokenizer)
    return folder


@pytest.fixture(scope="module")
def owner_lines(folder: Path, hub: Any) -> list[str]:
    return tell(__file__, "owner", folder, hub, hub.token)


def test_the_owner_completes_all_steps(owner_lines, hub):
    assert steps_of(owner_lines) == OWNER_STEPS
    private = {repo for (_, repo), repository in hub.repositories.items() if repository.private}
    assert private == {"me/tiny", "me/model", "me/card", "me/saved", "me/adapter", "me/encoder"}


def test_the_hub_has_the_pushed_files(owner_lines, hub):
    card = hub.files("me/tiny", "dataset")["README.md"].decode()
    assert 'load_dataset("me/tiny")' in card
    plain, with_code = hub.files("me/model"), hub.files("me/model-code")
    assert {"README.md", "config.json", "model.safetensors", "tokenizer.json"} <= plain.keys()
    assert 'AutoModel.from_pretrained("me/model")' in plain["README.md"].decode()
    assert not [name for name in plain if name.endswith(".py")]
    assert "auto_map" not in json.loads(plain["config.json"])
    assert {"modeling_plmarker.py", "configuration_plmarker.py"} <= with_code.keys()
    assert "trust_remote_code=True" in with_code["README.md"].decode()
    assert "trust_remote_code" not in plain["README.md"].decode()
    assert json.loads(with_code["config.json"])["auto_map"]["AutoModel"] == "modeling_plmarker.PLMarkerModel"
    # A proposal contains its own card, and so does a commit of weights.
    (proposed,) = hub.repositories["model", "me/card"].pull_requests
    assert "value: 0.75" in proposed["README.md"].content.decode()
    assert "- proposed" in proposed["README.md"].content.decode()
    first = list(hub.repositories["model", "me/model"].commits.values())[1]
    assert {"README.md", "model.safetensors"} <= first.keys()
    assert hub.files("me/adapter")["README.md"].decode().count("base_model: me/model") == 1
    assert {"span_f1.py", "counting.py"} <= hub.files("me/span_f1", "space").keys()


def test_a_stranger_sees_only_public_repositories(owner_lines, folder, hub):
    lines = tell(__file__, "stranger", folder, hub)
    assert steps_of(lines) == STRANGER_STEPS
    assert ("dataset", "me/other") not in hub.repositories


if __name__ == "__main__":
    stay_on_this_machine()
    {"owner": owner, "stranger": stranger}[sys.argv[1]](Path(sys.argv[2]))
