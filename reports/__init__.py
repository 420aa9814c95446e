"""Pages that show what a model found."""

from .page import documents_page, extraction_page

__all__ = ["documents_page", "extraction_page"]
