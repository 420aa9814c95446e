"""Training and evaluation: the Trainer, its collator and the span metrics."""

from .collator import PackedRowCollator
from .metrics import EntityMetrics, RelationMetrics
from .trainer import PLMarkerTrainer

__all__ = ["EntityMetrics", "PLMarkerTrainer", "PackedRowCollator", "RelationMetrics"]
