"""A model as the files of its checkpoint: the same model has the same files in every process."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

from ..hub.loading import load_model
from ..modeling.attention_plmarker import LEVITATED
from ..modeling.internals_plmarker import attention_implementation
from ..modeling.schema_plmarker import PLMarkerError

# The card holds the date.
CARD = "README.md"


def model_files(model: Any) -> dict[str, Any]:
    """A model with its tokenizer as bytes by file name, and what its checkpoint does not say.

    No class is pickled, so that the bytes do not depend on the process. They hold no code.

    Raises:
        PLMarkerError: for a model without its tokenizer, and for one that cannot be saved.
    """
    if model.tokenizer is None:
        raise PLMarkerError("the model has no tokenizer: load it with from_pretrained, or set model.tokenizer")
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        files = {path.name: _content(path) for path in sorted(Path(folder).iterdir()) if path.name != CARD}
    parts = [part for part in model.readers if part is not None]
    return {
        "files": files,
        "attention": attention_implementation(parts[0]),
        "marker_tokens": [part.marker_tokens for part in parts],
        "device": str(model.device),
    }


def _content(path: Path) -> bytes:
    """A file without what loading and calling a model change in it."""
    if path.suffix != ".json":
        return path.read_bytes()
    values = json.loads(path.read_text(encoding="utf-8"))
    if path.name == "tokenizer.json":
        # The last call of the tokenizer sets them.
        values |= {"truncation": None, "padding": None}
    elif path.name == "tokenizer_config.json":
        values = {key: value for key, value in values.items() if key not in ("is_local", "local_files_only")}
    else:
        values = _without_origin(values)
    return json.dumps(values, ensure_ascii=False, sort_keys=True).encode()


def _without_origin(config: dict[str, Any]) -> dict[str, Any]:
    """A config without where it was loaded from. Only the whole model has a number type."""
    return {
        key: _without_origin(value | {"dtype": None}) if key.endswith("_config") and isinstance(value, dict) else value
        for key, value in config.items()
        if key not in ("_name_or_path", "transformers_version")
    }


def model_of_files(values: dict[str, Any], device: Any = None) -> Any:
    """The model that `model_files` was called for, in evaluation mode.

    Args:
        device: in place of the model's.
    """
    with tempfile.TemporaryDirectory() as folder:
        for name, content in values["files"].items():
            (Path(folder) / name).write_bytes(content)
        model: Any = load_model(folder, device or values["device"])[0]
    if values["attention"] != LEVITATED:
        model.set_attn_implementation(values["attention"])
    for part, marker_tokens in zip(filter(None, model.readers), values["marker_tokens"], strict=True):
        part.marker_tokens = marker_tokens
    return model.eval()
