"""Tiny random models of six families, and batches for them."""

from typing import Any

import torch
from transformers import AutoConfig

from plmarker.modeling.configuration_plmarker import PLMarkerEntityConfig, PLMarkerRelationConfig
from plmarker.modeling.modeling_plmarker import PLMarkerForEntityRecognition, PLMarkerForRelationExtraction
from plmarker.modeling.rows_plmarker import PairRow, SpanRow

SIZES = {
    "vocab_size": 60,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "max_position_embeddings": 80,
    "pad_token_id": 0,
}
FAMILIES: dict[str, dict[str, Any]] = {
    "bert": {},
    "roberta": {"pad_token_id": 1},
    "xlm-roberta": {"pad_token_id": 1},
    "albert": {"embedding_size": 16},
    "electra": {"embedding_size": 16},
    # One layer sees all of the window, the other four subwords to either side.
    "modernbert": {"local_attention": 8, "global_attn_every_n_layers": 2},
}
# Floating-point sums in another order.
TOLERANCE = {"rtol": 0, "atol": 1e-4}
TEXTS = [list(range(5, 35)), list(range(10, 19)), list(range(20, 45))]
SPANS = [[(1, 1), (1, 4), (3, 28), (20, 22), (28, 28)], [(7, 7)], []]


def tiny_model(family: str, task: str = "entity", dropout: float = 0.0, **values: Any) -> Any:
    """A random model whose weights are so large that attention chooses: small ones would take a mean of everything."""
    torch.manual_seed(0)
    encoder = AutoConfig.for_model(family, **{**SIZES, **FAMILIES[family]})
    for name in ("hidden_dropout_prob", "attention_probs_dropout_prob", "attention_dropout", "mlp_dropout"):
        if hasattr(encoder, name):
            setattr(encoder, name, dropout)
    common = {"encoder_config": encoder, "entity_labels": ["A"], "head_dropout": dropout}
    if task == "entity":
        model: Any = PLMarkerForEntityRecognition(PLMarkerEntityConfig(marker_token_ids=[3, 4], **common, **values))
    else:
        model = PLMarkerForRelationExtraction(
            PLMarkerRelationConfig(marker_token_ids=[2, 3, 4, 46], relation_labels=["R"], **common, **values)
        )
    for parameter in model.parameters():
        if parameter.dim() > 1:
            torch.nn.init.normal_(parameter, std=0.3)
    return model.eval()


def span_batch(model: Any, spans: list[list[tuple[int, int]]] = SPANS) -> dict[str, torch.Tensor]:
    examples = []
    for text, chosen in zip(TEXTS, spans, strict=True):
        starts, ends = [start for start, _ in chosen], [end for _, end in chosen]
        row = SpanRow("d", text, [0] * len(chosen), [0] * len(chosen), [len(chosen)], starts, ends, starts, ends)
        examples += model.task.examples([row])
    return model.task.batch(examples).inputs


def pair_batch(model: Any) -> dict[str, torch.Tensor]:
    """Two subjects of one window, and one of another."""
    examples = []
    for text, pairs in (
        (TEXTS[0], [((2, 4), (2, 4)), ((2, 4), (9, 9)), ((9, 9), (2, 4))]),
        (TEXTS[1], [((1, 1), (5, 6))]),
    ):
        row = PairRow("d", text)
        for subject, entity in pairs:
            row.sentences.append(0)
            row.labels.append(1)
            row.examples.append(1)
            for kind, (start, end) in (("subject", subject), ("object", entity)):
                values = {"word_starts": start, "word_ends": end, "starts": start, "ends": end, "types": 1, "labels": 1}
                for name, value in values.items():
                    getattr(row, f"{kind}_{name}").append(value)
        examples += model.task.training_examples(row)
    return model.task.batch(examples).inputs


def gradients(model: Any, batch: dict[str, torch.Tensor], seed: int = 0) -> dict[str, torch.Tensor]:
    model.zero_grad()
    torch.manual_seed(seed)
    model(**batch).loss.backward()
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


def assert_equal_gradients(found: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> None:
    assert found.keys() == expected.keys()
    assert len(found) > 10
    for name, gradient in expected.items():
        scale = max(1.0, float(gradient.abs().max()))
        torch.testing.assert_close(found[name] / scale, gradient / scale, **TOLERANCE, msg=f"gradient of {name}")
