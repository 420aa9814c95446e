"""Features to rows, as a data collator."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..modeling.base_plmarker import PLMarkerPreTrainedModel
from ..modeling.packing_plmarker import RowMaker, row_maker, shares_windows, split_by_tokens
from ..modeling.processing_plmarker import Feature


@dataclass
class PackedRowCollator:
    """Packs the features of a batch into rows of at most `max_tokens` tokens, without padding.

    Args:
        make_row: makes one row of features, see `row_maker`.
        max_tokens: most tokens of a row; a feature with more makes a row of its own. None packs a batch into one row.
        share: whether features with the same text share it in a row.
    """

    make_row: RowMaker
    max_tokens: int | None = None
    share: bool = True

    @classmethod
    def for_model(cls, model: PLMarkerPreTrainedModel, max_tokens: int | None = None) -> PackedRowCollator:
        """The collator of a model; it does not hold the model, so that workers need not copy it."""
        return cls(row_maker(model.config), max_tokens, shares_windows(model.config))

    def __call__(self, features: Sequence[Feature]) -> dict[str, Any]:
        """Collate features.

        Returns:
            `rows`, what the model takes; `index`, for each row the `index` of its features, where they have one.
        """
        batches = list(split_by_tokens(features, self.max_tokens, self.share))
        return {
            "rows": [self.make_row(batch) for batch in batches],
            "index": [[feature.get("index", -1) for feature in batch] for batch in batches],
        }
