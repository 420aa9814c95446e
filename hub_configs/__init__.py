"""Experiments as YAML, and where they are found."""

from __future__ import annotations

import difflib
from pathlib import Path

from ..modeling.schema_plmarker import PLMarkerError

FOLDER = Path(__file__).parent


def experiment_names() -> list[str]:
    """The experiments in this folder."""
    return sorted(file.stem for file in FOLDER.glob("*.yaml"))


def experiment_file(name: str | Path) -> Path:
    """The YAML file of an experiment: a path, or the name of a file in this folder.

    Raises:
        PLMarkerError: for a missing file.
    """
    for path in (Path(name), FOLDER / f"{name}.yaml"):
        if path.is_file():
            return path
    known = experiment_names()
    near = difflib.get_close_matches(str(name), known, cutoff=0.3) or known[:3]
    raise PLMarkerError(f"{name}: no such file, nor one of the {len(known)} experiments ({', '.join(near)} ...)")
