"""plmarker: packed levitated markers for entity recognition and relation extraction, as `transformers` models."""

from transformers import AutoConfig, AutoModel
from transformers.pipelines import PIPELINE_REGISTRY

from .data import EntityFeatures, LabelSchema, PLMarkerError, RelationFeatures, load_documents
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
from .original import dense, quirks
from .pipeline import TASK, EntityRelationExtractionPipeline
from .precision import fastest_cpu_dtype
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
