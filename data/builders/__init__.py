"""Builders of corpora. Each builder reads the files of one corpus in their original layout.

`FilesBuilder` reads other files in one of the formats of `data/formats`.
"""

from __future__ import annotations

from .ace04 import Ace04Builder
from .ace05 import Ace05Builder
from .conll2003 import Conll2003Builder
from .corpus import Corpus, CorpusBuilder, CorpusConfig
from .fewnerd import FewNerdBuilder
from .files import FilesBuilder
from .ontonotes import OntoNotesBuilder
from .scierc import SciERCBuilder

BUILDERS: dict[str, type[CorpusBuilder]] = {
    "ace04": Ace04Builder,
    "ace05": Ace05Builder,
    "conll2003": Conll2003Builder,
    "fewnerd": FewNerdBuilder,
    "ontonotes": OntoNotesBuilder,
    "scierc": SciERCBuilder,
}

__all__ = [
    "BUILDERS",
    "Ace04Builder",
    "Ace05Builder",
    "Conll2003Builder",
    "Corpus",
    "CorpusBuilder",
    "CorpusConfig",
    "FewNerdBuilder",
    "FilesBuilder",
    "OntoNotesBuilder",
    "SciERCBuilder",
]
