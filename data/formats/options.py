"""Options for reading annotated files."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Literal

from ...modeling.schema_plmarker import PLMarkerError
from ..alignment import WORDS
from ..occurrences import OCCURRENCES
from ..tags import SCHEMES

Extent = Literal["head", "full"]


@dataclass(frozen=True)
class ReadingOptions:
    """Settings that a file does not state itself. `Format.uses` names those that a format uses.

    Example:
        >>> ReadingOptions(words="spacy", language="de").extent
        'head'

    Args:
        scheme: the tagging scheme, one of `SCHEMES` in data/tags.py. `auto` guesses it from the tags of the file.
        columns: the columns of a column file, such as `word=2,tag=3`, see `layout_of_option`. None guesses them.
        words: the rules that split raw text into words, one of `WORDS` in data/alignment.py. `word_locator` describes
            them.
        language: ISO 639-1 code of the raw text.
        extent: the part of an ACE mention that becomes an entity. `head` is the usual choice in the literature. `full`
            is the full extent.
        annotator: whose annotations are read where several people annotated a text: the id, the e-mail address or the
            name that the annotation tool writes. None takes one annotation of each text, see `read_offsets`.
        occurrences: which occurrences of an entity are annotated that is given by its text alone: `all`, `nearest` or
            `first`, see `place_mentions`.

    Raises:
        PLMarkerError: if a value is unknown.
    """

    scheme: str = "auto"
    columns: str | None = None
    words: str = "plmarker"
    language: str = "en"
    extent: Extent = "head"
    annotator: str | None = None
    occurrences: str = "all"

    def __post_init__(self) -> None:
        allowed = {"scheme": ("auto", *SCHEMES), "words": WORDS, "extent": ("head", "full"), "occurrences": OCCURRENCES}
        for name, values in allowed.items():
            if getattr(self, name) not in values:
                raise PLMarkerError(f"{name} must be one of {', '.join(values)}, got {getattr(self, name)!r}")

    def changed(self) -> list[str]:
        """The names of the options that differ from their defaults.

        Example:
            >>> ReadingOptions(words="spacy").changed()
            ['words']
        """
        return [item.name for item in fields(self) if getattr(self, item.name) != item.default]
