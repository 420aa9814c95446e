"""The command `plmarker`: one thin file for each command."""

from .main import main

__all__ = ["main"]
