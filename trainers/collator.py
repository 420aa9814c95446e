"""Features to rows, as a data collator."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ..modeling.modeling_plmarker import PLMarkerPreTrainedModel
from ..modeling.packing_plmarker import Row, split_by_tokens
from ..modeling.processing_plmarker import Feature


@dataclass
class PackedRowCollator:
    """Packs the features of a batch into rows of at most `max_tokens` tokens, without padding.

    Args:
        make_row: makes one row of features and marker ids: `make_row` of the model's class.
        marker_ids: ids of the model's marker tokens.
        max_tokens: most tokens of a row; a feature with more makes a row of its own. None packs a batch into one row.
    """

    make_row: Callable[[Sequence[Feature], Sequence[int]], Row]
    marker_ids: Sequence[int]
    max_tokens: int | None = None

    @classmethod
    def for_model(cls, model: PLMarkerPreTrainedModel, max_tokens: int | None = None) -> PackedRowCollator:
        """The collator of a model; it does not hold the model, so that workers need not copy it."""
        return cls(type(model).make_row, model.config.marker_token_ids, max_tokens)

    def __call__(self, features: Sequence[Feature]) -> dict[str, Any]:
        """Collate features.

        Returns:
            `rows`, what the model takes; `index`, for each row the `index` of its features, where they have one.
        """
        batches = list(split_by_tokens(features, self.max_tokens))
        return {
            "rows": [self.make_row(batch, self.marker_ids) for batch in batches],
            "index": [[feature.get("index", -1) for feature in batch] for batch in batches],
        }
