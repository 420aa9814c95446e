"""A checkpoint that carries the code of its model, for those who do not have this package (`include_code=True`)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from transformers import PreTrainedModel


@contextmanager
def carried_code(model: PreTrainedModel) -> Iterator[None]:
    """While a model is saved inside, transformers copies the modules of its class beside the weights.

    `config.json` then names them (`auto_map`), and `trust_remote_code=True` runs them. Where the package is installed
    its own classes are taken all the same.
    """
    classes: list[tuple[Any, str]] = [(type(model), "AutoModel"), (type(model.config), "AutoConfig")]
    before = [found._auto_class for found, _ in classes]
    for found, auto_class in classes:
        found._auto_class = auto_class
    try:
        yield
    finally:
        for (found, _), auto_class in zip(classes, before, strict=True):
            found._auto_class = auto_class
        # Saving put it there; what is saved next may be without the code.
        model.config.__dict__.pop("auto_map", None)
