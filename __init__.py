"""plmarker: packed levitated markers for entity recognition and relation extraction, as `transformers` models."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from transformers import AutoConfig, AutoModel
from transformers.pipelines import PIPELINE_REGISTRY

from .encoders import starting
from .encoders.loading import load_tokenizer
from .hub import saving
from .modeling.configuration_plmarker import PLMarkerConfig, PLMarkerEntityConfig, PLMarkerRelationConfig
from .modeling.extraction_plmarker import Entity, Extraction, Relation
from .modeling.modeling_plmarker import (
    PLMarkerForEntityRecognition,
    PLMarkerForRelationExtraction,
    PLMarkerModel,
)
from .modeling.schema_plmarker import LabelSchema, PLMarkerError
from .original import dense, quirks
from .pipeline import TASK, EntityRelationExtractionPipeline
from .precision import fastest_cpu_dtype

if TYPE_CHECKING:
    from .data import EntityFeatures, RelationFeatures, load_documents
    from .trainers import PLMarkerTrainer, tune_pruner

__version__ = "0.1.0"

__all__ = [
    "Entity",
    "EntityFeatures",
    "Extraction",
    "LabelSchema",
    "PLMarkerConfig",
    "PLMarkerEntityConfig",
    "PLMarkerError",
    "PLMarkerForEntityRecognition",
    "PLMarkerForRelationExtraction",
    "PLMarkerModel",
    "PLMarkerRelationConfig",
    "PLMarkerTrainer",
    "Relation",
    "RelationFeatures",
    "fastest_cpu_dtype",
    "load_documents",
    "load_tokenizer",
    "tune_pruner",
]

# Reading text needs neither corpora nor training. These names load their rooms, and with them datasets and accelerate,
# when they are first used (PEP 562).
LATER = {
    "EntityFeatures": ".data",
    "RelationFeatures": ".data",
    "load_documents": ".data",
    "PLMarkerTrainer": ".trainers",
    "tune_pruner": ".trainers",
}


def __getattr__(name: str) -> Any:
    if name not in LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(LATER[name], __name__), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


for _config, _model in (
    (PLMarkerEntityConfig, PLMarkerForEntityRecognition),
    (PLMarkerRelationConfig, PLMarkerForRelationExtraction),
    (PLMarkerConfig, PLMarkerModel),
):
    AutoConfig.register(_config.model_type, _config)
    AutoModel.register(_config, _model)

starting.install()
saving.install()
quirks.install()
dense.install()

if TASK not in PIPELINE_REGISTRY.supported_tasks:
    PIPELINE_REGISTRY.register_pipeline(
        TASK, pipeline_class=EntityRelationExtractionPipeline, pt_model=AutoModel, type="text"
    )
