"""A tiny encoder in a folder, and documents that it can learn by heart."""

from pathlib import Path
from typing import Any

import pytest
import torch
from datasets import Dataset
from transformers import BertConfig, BertModel, PreTrainedTokenizerBase

from plmarker import (
    LabelSchema,
    PLMarkerForEntityRecognition,
    PLMarkerForRelationExtraction,
    PLMarkerModel,
    load_documents,
)
from plmarker.data import dataset_of, typed_document


@pytest.fixture(scope="session")
def tiny_encoder(tmp_path_factory: pytest.TempPathFactory, minilm_tokenizer: PreTrainedTokenizerBase) -> str:
    """A two-layer BERT with random weights and MiniLM's vocabulary."""
    return save_encoder(tmp_path_factory.mktemp("encoder"), minilm_tokenizer, dropout=0.1)


@pytest.fixture(scope="session")
def still_encoder(tmp_path_factory: pytest.TempPathFactory, minilm_tokenizer: PreTrainedTokenizerBase) -> str:
    """The same without dropout: two ways of computing it can be compared while it is trained."""
    return save_encoder(tmp_path_factory.mktemp("still-encoder"), minilm_tokenizer, dropout=0.0)


def save_encoder(folder: Path, tokenizer: PreTrainedTokenizerBase, dropout: float) -> str:
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=128,
        hidden_dropout_prob=dropout,
        attention_probs_dropout_prob=dropout,
    )
    BertModel(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


def raw_document(number: int) -> dict[str, Any]:
    """Two sentences: an entity pair with a directed and one with a symmetric relation."""
    person, firm, other = ("Ann", "Bob", "Eve")[number % 3], ("Acme", "Initech")[number % 2], ("Dan", "Pat")[number % 2]
    return {
        "doc_key": f"d{number}",
        "sentences": [[person, "works", "for", firm, "."], [person, "married", other, "."], []],
        "ner": [[[0, 0, "PER"], [3, 3, "ORG"]], [[5, 5, "PER"], [7, 7, "PER"]], []],
        "relations": [[[0, 0, 3, 3, "WORKS_FOR"]], [[5, 5, 7, 7, "MARRIED"]], []],
    }


@pytest.fixture(scope="session")
def documents() -> Dataset:
    return dataset_of([typed_document(raw_document(number)) for number in range(12)])


@pytest.fixture
def model(make_tiny_model: Any) -> PLMarkerModel:
    """A model that finds much, and nothing that is right but by chance."""
    labels = LabelSchema.from_documents(load_documents("sample")["test"], ["SPOUSE_OF"])
    common = {"schema": labels, "max_seq_length": 64}
    entity = make_tiny_model(PLMarkerForEntityRecognition, max_span_length=3, **common)
    relation = make_tiny_model(PLMarkerForRelationExtraction, seed=3, **common)
    return PLMarkerModel.from_models(entity, relation, entity.tokenizer)
