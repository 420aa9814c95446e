"""Pages that show what a model found."""

from .evaluation import evaluation_page
from .page import documents_page, extraction_page

__all__ = ["documents_page", "evaluation_page", "extraction_page"]
