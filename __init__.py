"""plmarker: packed levitated markers for entity recognition and relation extraction, as `transformers` models."""

from typing import TYPE_CHECKING

from . import registration
from .lazy import lazy_names

if TYPE_CHECKING:
    from .data import EntityFeatures, RelationFeatures, load_documents
    from .encoders.loading import load_tokenizer
    from .modeling.configuration_plmarker import PLMarkerConfig, PLMarkerEntityConfig, PLMarkerRelationConfig
    from .modeling.extraction_plmarker import Entity, ExplainedWord, Explanation, Extraction, Relation
    from .modeling.modeling_plmarker import (
        PLMarkerForEntityRecognition,
        PLMarkerForRelationExtraction,
        PLMarkerModel,
    )
    from .modeling.schema_plmarker import LabelSchema, PLMarkerError
    from .pipeline import EntityRelationExtractionPipeline
    from .precision import fastest_cpu_dtype
    from .serving.extractor import Extractor
    from .trainers import PLMarkerTrainer, tune_pruner

__version__ = "0.1.0"

__all__ = [
    "Entity",
    "EntityFeatures",
    "EntityRelationExtractionPipeline",
    "ExplainedWord",
    "Explanation",
    "Extraction",
    "Extractor",
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

# torch, transformers, datasets and accelerate take seconds to load. The first name that needs them loads them.
__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "Entity": ".modeling.extraction_plmarker",
        "EntityFeatures": ".data",
        "EntityRelationExtractionPipeline": ".pipeline",
        "ExplainedWord": ".modeling.extraction_plmarker",
        "Explanation": ".modeling.extraction_plmarker",
        "Extraction": ".modeling.extraction_plmarker",
        "Extractor": ".serving.extractor",
        "LabelSchema": ".modeling.schema_plmarker",
        "PLMarkerConfig": ".modeling.configuration_plmarker",
        "PLMarkerEntityConfig": ".modeling.configuration_plmarker",
        "PLMarkerError": ".modeling.schema_plmarker",
        "PLMarkerForEntityRecognition": ".modeling.modeling_plmarker",
        "PLMarkerForRelationExtraction": ".modeling.modeling_plmarker",
        "PLMarkerModel": ".modeling.modeling_plmarker",
        "PLMarkerRelationConfig": ".modeling.configuration_plmarker",
        "PLMarkerTrainer": ".trainers",
        "Relation": ".modeling.extraction_plmarker",
        "RelationFeatures": ".data",
        "fastest_cpu_dtype": ".precision",
        "load_documents": ".data",
        "load_tokenizer": ".encoders.loading",
        "tune_pruner": ".trainers",
    },
)

registration.install()
