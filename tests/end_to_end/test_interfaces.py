"""The code and the commands that users are promised, one after the other, with small models and corpora.

The names of repositories are those of the documentation. They are on a small Hub that runs on this machine, or are
local folders of that name. This file is also the program in which that code runs.
"""

import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from datasets import load_dataset
from on_the_hub import save_tiny_encoder, stay_on_this_machine, step, steps_of, tell
from transformers import AutoModel, AutoTokenizer, PreTrainedTokenizerBase, TrainingArguments, pipeline, set_seed
from writing import put_ace

import plmarker
from plmarker.cli import main
from plmarker.data import EntityFeatures, LabelSchema
from plmarker.data.builders.ace import document_names

TEXT = "We apply a BiLSTM to named entity recognition and evaluate it on CoNLL-2003."
ENCODER = "allenai/scibert_scivocab_uncased"
SCIERC = LabelSchema(("Material", "Method", "Task"), ("EVALUATE-FOR", "USED-FOR"))
SHORT = "--max_steps 2 --eval_strategy no --save_strategy no --encoder tiny-scibert"


def documents(count: int) -> list[dict[str, Any]]:
    words = [["We", "apply", "a", "BiLSTM", "to", "parsing", "."], ["CoNLL-2003", "is", "used", "."]]
    ner = [[[3, 3, "Method"], [5, 5, "Task"]], [[7, 7, "Material"]]]
    relations = [[[3, 3, 5, 5, "USED-FOR"]], []]
    return [{"doc_key": f"d{n}", "sentences": words, "ner": ner, "relations": relations} for n in range(count)]


def write(path: Path, rows: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def command(line: str) -> None:
    """Run `plmarker` with the arguments of a line."""
    assert main(shlex.split(line)) == 0, line


def build_and_push_a_corpus() -> None:
    names = document_names("ace05")
    for split in names:
        put_ace(Path("LDC2006T06/data/English/nw/timex2norm"), names[split][0])
    command("data build ace05 --source LDC2006T06 --out plmarker/ace05")
    command("data push  plmarker/ace05 --repo plmarker/ace05 --private")
    write(Path("my_corpus/train.jsonl"), documents(4))
    command("data check my_corpus/train.jsonl")


def load_data() -> None:
    local = load_dataset("plmarker/ace05")
    shutil.rmtree("plmarker")
    # The folder is gone, so the name now means the private repository.
    ds = load_dataset("plmarker/ace05")
    assert {split: rows.to_list() for split, rows in ds.items()} == {s: rows.to_list() for s, rows in local.items()}

    tokenizer = AutoTokenizer.from_pretrained(ENCODER)
    schema = LabelSchema.from_documents(ds["train"])
    features = ds.map(
        EntityFeatures(tokenizer, schema, max_span_length=8), batched=True, remove_columns=ds["train"].column_names
    )
    assert "input_ids" in features["train"].column_names


def fine_tune() -> None:
    from plmarker import PLMarkerForEntityRecognition, PLMarkerTrainer

    write(Path("small/train.jsonl"), documents(4))
    write(Path("small/validation.jsonl"), documents(2))
    ds, schema, tokenizer = plmarker.load_documents("small"), SCIERC, AutoTokenizer.from_pretrained(ENCODER)
    model = PLMarkerForEntityRecognition.from_encoder("allenai/scibert_scivocab_uncased", schema=schema)
    args = TrainingArguments(
        "org/plmarker-small", max_steps=2, save_strategy="no", report_to="none", hub_model_id="org/plmarker-small"
    )
    trainer = PLMarkerTrainer(
        model=model,
        args=args,
        train_dataset=ds["train"],
        eval_dataset=ds["validation"],
        processing_class=tokenizer,
    )
    trainer.train()
    figures = trainer.evaluate()
    assert {"eval_ent_f1", "eval_ent_f1/Method"} <= figures.keys()
    trainer.push_to_hub(license="mit", dataset="plmarker/small")
    shutil.rmtree("org")
    entity = AutoModel.from_pretrained("org/plmarker-small")
    assert type(entity) is PLMarkerForEntityRecognition
    pushed = AutoTokenizer.from_pretrained("org/plmarker-small")
    assert plmarker.PLMarkerModel.from_models(entity, None, pushed).extract(TEXT).text == TEXT


def fine_tune_by_command() -> None:
    for split, count in (("train", 4), ("dev", 2), ("test", 2)):
        write(Path(f"plmarker/scierc/{split}.json"), documents(count))
    Path("hub_configs").mkdir()
    shutil.copy(Path(plmarker.__file__).parent / "hub_configs" / "scierc-ner-scibert.yaml", "hub_configs")
    command(f"train hub_configs/scierc-ner-scibert.yaml --learning_rate 3e-5 --seeds 42 43 44 {SHORT}")
    assert sorted(path.name for path in Path("runs/scierc-ner-scibert").glob("seed-*")) == [
        "seed-42",
        "seed-43",
        "seed-44",
    ]
    command(f"train scierc-scibert --output_dir runs/scierc {SHORT}")
    command("evaluate runs/scierc --dataset plmarker/scierc --split test --json figures.json")
    wanted = {"ent_f1", "ent_f1_overlap", "rel_f1", "rel_strict_f1", "retyped_ent_f1", "gold_rel_strict_f1"}
    assert wanted <= json.loads(Path("figures.json").read_text()).keys()
    write(Path("corpus.jsonl"), [{"doc_key": "t", "text": TEXT}])
    command("predict  runs/scierc corpus.jsonl --out predictions.jsonl")
    assert json.loads(Path("predictions.jsonl").read_text())["text"] == TEXT


def fine_tune_by_torchrun() -> None:
    """Train in two processes, started by torchrun."""
    line = f"train scierc-ner-scibert --output_dir runs/two {SHORT} --use_cpu true --json two.json"
    launch = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2", "--standalone"]
    done = subprocess.run([*launch, "-m", "plmarker", *shlex.split(line)], capture_output=True, encoding="utf-8")
    assert done.returncode == 0, done.stderr
    assert "ent_f1" in json.loads(Path("two.json").read_text())["42"]


def push_a_model() -> None:
    """Push the model of the command for the next parts. It has learnt nothing; new biases make it find something."""
    model = AutoModel.from_pretrained("runs/scierc")
    model.entity.classifier.bias.data[0] = -9
    model.relation.subject_classifier.bias.data[0] = -9
    model.push_to_hub("org/plmarker-scierc", include_code=True)


def extract() -> None:
    model = AutoModel.from_pretrained("org/plmarker-scierc")
    doc = model.extract("We apply a BiLSTM to named entity recognition and evaluate it on CoNLL-2003.")
    assert doc.entities
    assert doc.relations
    for entity in doc.entities:
        assert TEXT[entity.start : entity.end] == entity.text
        assert entity.label in model.config.schema.entity_labels
        assert 0 <= entity.score <= 1
        assert entity.sentence == 0
    assert {relation.label for relation in doc.relations} <= set(model.config.schema.relation_labels)
    assert all(relation.head in doc.entities and relation.tail in doc.entities for relation in doc.relations)
    assert json.loads(json.dumps(doc.to_dict())) == doc.to_dict()

    texts = [TEXT, "", "Parsing."]
    many = model.extract(texts, batch_tokens=8192, show_progress=True)
    assert [found.text for found in many] == texts
    words = model.extract(words=[["We", "apply", "BiLSTMs"], ["Parsing", "works"]])
    assert words.sentences == [["We", "apply", "BiLSTMs"], ["Parsing", "works"]]


def extract_in_a_pipeline() -> None:
    extractor = pipeline("entity-relation-extraction", model="org/plmarker-scierc")
    found = extractor([TEXT, TEXT])
    assert found[0] == found[1] == extractor(TEXT)
    assert json.loads(json.dumps(found)) == found
    assert found[0]["entities"]


def measure() -> None:
    from huggingface_hub import HfApi

    from plmarker.trainers.span_f1 import FOLDER

    api = HfApi()
    api.create_repo("plmarker/span_f1", repo_type="space", space_sdk="gradio")
    api.upload_folder(repo_id="plmarker/span_f1", repo_type="space", folder_path=FOLDER)

    import evaluate

    metric = evaluate.load("plmarker/span_f1")
    for loaded in (metric, evaluate.load(FOLDER)):
        figures = loaded.compute(predictions=[[(0, 1, "Method")]], references=[[(0, 1, "Method")]])
        assert figures["ent_f1"] == 1.0


def adapt() -> None:
    from peft import LoraConfig, get_peft_model

    repo = "org/plmarker-scierc"
    entity = AutoModel.from_pretrained(repo).entity
    adapted = get_peft_model(entity, LoraConfig(r=2, target_modules=["query", "value"], modules_to_save=["classifier"]))
    assert 0 < adapted.get_nb_trainable_parameters()[0] < adapted.get_nb_trainable_parameters()[1]


def choose_the_attention() -> None:
    repo = "org/plmarker-scierc"
    found = [AutoModel.from_pretrained(repo, attn_implementation=name).extract(TEXT) for name in ("levitated", "eager")]
    assert AutoModel.from_pretrained(repo).entity.encoder.config._attn_implementation == "levitated"
    places = [[(entity.start, entity.end, entity.label) for entity in doc.entities] for doc in found]
    assert places[0] == places[1]


PARTS = [
    build_and_push_a_corpus,
    load_data,
    fine_tune,
    fine_tune_by_command,
    fine_tune_by_torchrun,
    push_a_model,
    extract,
    extract_in_a_pipeline,
    measure,
    adapt,
    choose_the_attention,
]


def user(folder: Path) -> None:
    os.chdir(folder)
    set_seed(0)
    AutoModel.from_pretrained("tiny-scibert").push_to_hub(ENCODER)
    AutoTokenizer.from_pretrained("tiny-scibert").push_to_hub(ENCODER)
    for part in PARTS:
        part()
        step(part.__name__)


@pytest.fixture(scope="module")
def steps(tmp_path_factory: pytest.TempPathFactory, minilm_tokenizer: PreTrainedTokenizerBase, hub: Any) -> list[str]:
    pytest.importorskip("evaluate")
    folder = tmp_path_factory.mktemp("user")
    save_tiny_encoder(folder / "tiny-scibert", minilm_tokenizer)
    return steps_of(tell(__file__, "user", folder, hub, hub.token))


@pytest.mark.parametrize("part", [part.__name__ for part in PARTS])
def test_what_is_promised_runs(steps: list[str], part: str) -> None:
    assert part in steps


def test_what_was_pushed_has_a_card(steps: list[str], hub: Any) -> None:
    card = hub.files("org/plmarker-small")["README.md"].decode()
    assert "license: mit" in card
    assert "plmarker/small" in card
    assert "Ent F1" in card
    assert hub.repositories["dataset", "plmarker/ace05"].private


if __name__ == "__main__":
    stay_on_this_machine()
    user(Path(sys.argv[2]))
