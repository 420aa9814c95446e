"""Corpora: the exchange format, its checks, loading by name, and the features for `map()`."""

from typing import TYPE_CHECKING

from ..lazy import lazy_names
from ..modeling.schema_plmarker import LabelSchema, PLMarkerError
from .documents import raw_document, typed_document, write_documents
from .report import Problem
from .validation import check_file, read_documents

if TYPE_CHECKING:
    from .features import EntityFeatures, RelationFeatures
    from .loading import load_documents
    from .tables import DOCUMENT_FEATURES, dataset_of

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

# These names load datasets and torch. Reading a file needs neither.
__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "DOCUMENT_FEATURES": ".tables",
        "EntityFeatures": ".features",
        "RelationFeatures": ".features",
        "dataset_of": ".tables",
        "load_documents": ".loading",
    },
)
