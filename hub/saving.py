"""What the package writes beside a model's weights: its card, and its code where that is asked for."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

from transformers import PreTrainedModel

from .card import save_card

# transformers asks the class of a model whether its code is saved. So threads save one after the other.
ONE_SAVE = threading.RLock()


class HubSaver:
    """The `Saver` of the models of this package."""

    def save(self, model: Any, save: Callable[[], None], folder: Any, include_code: bool, is_main: bool) -> None:
        """Save a model, with its code where that is asked for, and with a card where the training is known."""
        with ONE_SAVE:
            if model._auto_class is None:
                # A model that came with its code must not name it when it is saved without.
                model.config.__dict__.pop("auto_map", None)
            with carried_code(model) if include_code else nullcontext():
                save()
        if model.config.training_run is not None and is_main:
            save_card(model.config, folder)

    def before_upload(self, model: Any, folder: Any, repo_id: str) -> None:
        """Write the card of a model that is about to be uploaded."""
        save_card(model.config, folder, repo_id)


@contextmanager
def carried_code(model: PreTrainedModel) -> Iterator[None]:
    """While a model is saved inside, transformers copies the modules of its class beside the weights.

    `config.json` then names them (`auto_map`), and `trust_remote_code=True` runs them. Where the package is installed,
    its own classes are used all the same.
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
        # Saving has put it there. The next save may be without the code.
        model.config.__dict__.pop("auto_map", None)
