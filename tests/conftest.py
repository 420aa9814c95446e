"""What the tests of several rooms share. No test reaches the network."""

import os
import shutil
import tempfile

os.environ["HF_HUB_OFFLINE"] = "1"
# A cache of their own, so that no test passes by what an earlier state of the code has left there.
os.environ["HF_DATASETS_CACHE"] = tempfile.mkdtemp(prefix="plmarker-tests-")

from collections.abc import Callable
from pathlib import Path
from typing import Any

import hypothesis
import pytest
import torch
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from plmarker.data import LabelSchema, read_documents
from plmarker.encoders.loading import resolve_encoder
from plmarker.modeling.modeling_plmarker import (
    PLMarkerForEntityRecognition,
    PLMarkerForRelationExtraction,
    PLMarkerPreTrainedModel,
)
from plmarker.modeling.tasks_plmarker import task_of

# The same examples in every run, and no failures for the speed of a machine.
hypothesis.settings.register_profile("plmarker", derandomize=True, deadline=None, max_examples=60, database=None)
hypothesis.settings.load_profile("plmarker")


def pytest_sessionfinish() -> None:
    shutil.rmtree(os.environ["HF_DATASETS_CACHE"], ignore_errors=True)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of reference recordings and corpora that lies beside the repository; it is not part of it."""
    folder = Path(__file__).parents[1].parent / "shared"
    if not folder.is_dir():
        pytest.skip("needs the folder 'shared' (reference recordings, SciERC) beside the repository")
    return folder


@pytest.fixture(scope="session")
def minilm_tokenizer() -> PreTrainedTokenizerBase:
    """MiniLM's tokenizer; tests must not change it."""
    return AutoTokenizer.from_pretrained(resolve_encoder("minilm"))


@pytest.fixture(scope="session")
def scierc_schema() -> LabelSchema:
    """SciERC's labels in the original's order."""
    return LabelSchema(
        ("Method", "OtherScientificTerm", "Task", "Generic", "Material", "Metric"),
        ("CONJUNCTION", "COMPARE", "PART-OF", "USED-FOR", "FEATURE-OF", "EVALUATE-FOR", "HYPONYM-OF"),
        ("CONJUNCTION", "COMPARE"),
    )


@pytest.fixture(scope="session")
def scierc_dev(shared: Path) -> list[dict[str, Any]]:
    """SciERC's development documents, typed."""
    return read_documents(shared / "data" / "scierc" / "dev.json")


@pytest.fixture(scope="session")
def schema() -> LabelSchema:
    """Two entity types, a symmetric and two directed relation types: 6 relation classes."""
    return LabelSchema(("PER", "ORG"), ("MARRIED", "WORKS_FOR", "OWNS"), ("MARRIED",))


@pytest.fixture
def make_tiny_model(schema: LabelSchema, minilm_tokenizer: PreTrainedTokenizerBase) -> Callable[..., Any]:
    """Builds a two-layer BERT with a head over MiniLM's vocabulary, with weights large enough that it finds things."""

    def make(
        model_class: type[PLMarkerPreTrainedModel], seed: int = 0, schema: LabelSchema = schema, **values: Any
    ) -> Any:
        encoder = {
            "model_type": "bert",
            "vocab_size": len(minilm_tokenizer),
            "hidden_size": 32,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "intermediate_size": 48,
            "max_position_embeddings": 512,
        }
        torch.manual_seed(seed)
        config = model_class.config_class(encoder_config=encoder, **schema.to_dict(), **values)
        config.marker_tokens = [f"[unused{number}]" for number in range(len(task_of(config).marker_words))]
        config.marker_token_ids = minilm_tokenizer.convert_tokens_to_ids(config.marker_tokens)
        model = model_class(config)
        for name, parameter in model.named_parameters():
            if parameter.dim() > 1:
                torch.nn.init.normal_(parameter, std=1.0 if "embeddings" in name or "classifier" in name else 0.3)
        model.tokenizer = minilm_tokenizer
        return model.eval()

    return make


@pytest.fixture
def tiny_entity_model(make_tiny_model: Callable[..., Any]) -> PLMarkerForEntityRecognition:
    return make_tiny_model(PLMarkerForEntityRecognition, max_seq_length=64, max_span_length=4)


@pytest.fixture
def tiny_relation_model(make_tiny_model: Callable[..., Any]) -> PLMarkerForRelationExtraction:
    return make_tiny_model(PLMarkerForRelationExtraction, seed=3, max_seq_length=64)
