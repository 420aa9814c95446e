"""`plmarker data push FOLDER --repo OWNER/NAME`: upload what `build` made, privately."""

from __future__ import annotations

import argparse
from typing import Any


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("folder")
    parser.add_argument("--repo", required=True, metavar="OWNER/NAME")
    visibility = parser.add_mutually_exclusive_group()
    visibility.add_argument("--private", action="store_true", help="the default")
    visibility.add_argument("--public", action="store_true", help="anybody may read it; check its licence first")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> Any:
    """Push, and return the address."""
    from ..data.repository import push_repository

    result = push_repository(options.folder, options.repo, options.public)
    print(f"{result['url']}: {'private' if result['private'] else 'public'}")
    return result
