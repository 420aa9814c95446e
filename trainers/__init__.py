"""Training and evaluation: the Trainer, its collator and sampler, evaluators and span metrics."""

from .collator import ExampleCollator
from .evaluation import Evaluation, evaluate_documents
from .evaluator import EntityEvaluator, RelationEvaluator
from .metrics import EntityMetrics, RelationMetrics
from .pruning import PrunerFigures, measure_pruner, tune_pruner
from .trainer import PLMarkerTrainer

__all__ = [
    "EntityEvaluator",
    "EntityMetrics",
    "Evaluation",
    "ExampleCollator",
    "PLMarkerTrainer",
    "PrunerFigures",
    "RelationEvaluator",
    "RelationMetrics",
    "evaluate_documents",
    "measure_pruner",
    "tune_pruner",
]
