"""Corpora: the exchange format, its checks, loading by name, and the features for `map()`."""

from ..modeling.schema_plmarker import LabelSchema, PLMarkerError
from .documents import DOCUMENT_FEATURES, dataset_of, raw_document, typed_document, write_documents
from .features import EntityFeatures, RelationFeatures
from .loading import load_documents
from .report import Problem
from .validation import check_file, read_documents

__all__ = [
    "DOCUMENT_FEATURES",
    "EntityFeatures",
    "LabelSchema",
    "PLMarkerError",
    "Problem",
    "RelationFeatures",
    "check_file",
    "dataset_of",
    "load_documents",
    "raw_document",
    "read_documents",
    "typed_document",
    "write_documents",
]
