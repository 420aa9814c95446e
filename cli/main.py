"""The commands of `plmarker`, and the entry point."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Annotated, Any

import typer
from typer.main import get_command

from .. import __version__
from .app import app as app_command
from .calibrate import calibrate
from .constrain import constrain
from .convert import convert
from .data_build import build
from .data_check import check
from .data_export import export
from .data_push import push
from .data_stats import stats
from .evaluate import evaluate
from .export import export as export_model
from .predict import predict
from .running import Command, command
from .serve import serve
from .show import show
from .train import REST, train


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command, and return its exit status. Bad input gives one sentence on standard error, and exit status 2.

    Example:
        >>> main(["--version"])
        plmarker 0.1.0
        0
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        get_command(application())(given, prog_name="plmarker")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    return 0


def application() -> typer.Typer:
    """The tree of all commands. Boxes and colours are for terminals."""
    settings: dict[str, Any] = {
        "rich_markup_mode": "rich" if sys.stdout.isatty() and sys.stderr.isatty() else None,
        # An option with hyphens is the same as one with underscores.
        "context_settings": {
            "help_option_names": ["--help", "-h"],
            "token_normalize_func": lambda name: name.replace("-", "_"),
        },
        "pretty_exceptions_enable": False,
    }
    app = typer.Typer(help="Entities and relations with packed levitated markers.", callback=root, **settings)
    app.command(cls=Command, context_settings=REST)(command(train))
    models: tuple[Callable[..., Any], ...] = (
        evaluate,
        predict,
        calibrate,
        constrain,
        show,
        serve,
        app_command,
        convert,
        export_model,
    )
    for function in models:
        app.command(cls=Command)(command(function))
    data = typer.Typer(help="Build, push, check, describe and convert corpora.", **settings)
    corpora: tuple[Callable[..., Any], ...] = (build, push, check, stats, export)
    for function in corpora:
        data.command(cls=Command)(command(function))
    # The earlier name of this command.
    data.command("convert", cls=Command, hidden=True)(command(export))
    app.add_typer(data, name="data")
    return app


def show_version(wanted: bool) -> None:
    """Print the version, and end."""
    if wanted:
        print(f"plmarker {__version__}")
        raise typer.Exit


def root(
    version: Annotated[
        bool, typer.Option("--version", callback=show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Take the options before the command."""
