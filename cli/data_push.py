"""`plmarker data push FOLDER --repo OWNER/NAME`: upload what `build` made, privately."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from .options import exclude_each_other


def push(
    folder: Annotated[str, typer.Argument(help="What build has made.")],
    repo: Annotated[str, typer.Option(metavar="OWNER/NAME", help="The repository on the Hub.")],
    private: Annotated[bool, typer.Option("--private", help="Only you may read it, which is the default.")] = False,
    public: Annotated[bool, typer.Option("--public", help="Anybody may read it; check its licence first.")] = False,
) -> Any:
    """Upload what build made, privately."""
    exclude_each_other(private=private, public=public)
    from ..data.repository import push_repository

    result = push_repository(folder, repo, public)
    print(f"{result['url']}: {'private' if result['private'] else 'public'}")
    return result
