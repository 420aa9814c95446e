"""How the files of a format are to be read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ...modeling.schema_plmarker import PLMarkerError
from ..alignment import WORDS
from ..tags import SCHEMES

Extent = Literal["head", "full"]


@dataclass(frozen=True)
class ReadingOptions:
    """What a file does not say of itself; each format takes what concerns it.

    Args:
        scheme: of tags, one of `SCHEMES` in data/tags.py, or `auto`, to tell it from the file.
        words: how raw text is cut into words, one of `WORDS` in data/alignment.py.
        language: ISO 639-1 code of raw text.
        extent: of ACE's mentions, the `head`, as the literature takes them, or the `full` extent.

    Raises:
        PLMarkerError: for an unknown value.
    """

    scheme: str = "auto"
    words: str = "plmarker"
    language: str = "en"
    extent: Extent = "head"

    def __post_init__(self) -> None:
        known = {"scheme": ("auto", *SCHEMES), "words": WORDS, "extent": ("head", "full")}
        for name, values in known.items():
            if getattr(self, name) not in values:
                raise PLMarkerError(f"{name} is one of {', '.join(values)}, got {getattr(self, name)!r}")
