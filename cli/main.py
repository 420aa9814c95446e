"""The parser of all commands, and the one place where errors become messages."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from .. import __version__
from ..data.files import write_json
from ..modeling.schema_plmarker import PLMarkerError, one_sentence
from .options import common_options

COMMANDS = {
    "train": "train the models of an experiment",
    "evaluate": "the Ent / Rel / Rel+ table of a split",
    "predict": "entities and relations of texts or documents",
    "calibrate": "scores that are probabilities, and thresholds by label",
    "show": "a page that shows predictions",
    "serve": "a model behind HTTP, for programs",
    "app": "a model in the browser, for people",
    "convert": "the original's checkpoints as a model",
}
DATA_HELP = "build, push, check, describe and convert corpora"
DATA_COMMANDS = {
    "build": "a dataset repository from the files of a corpus, which load_dataset reads",
    "push": "upload what build made, privately",
    "check": "every problem of files, with its line",
    "stats": "counts, what limits lose, and a picture",
    "export": "documents to another format, or to an annotation tool",
}
# Another name of a command.
ALIASES = {"export": ["convert"]}

# The options of all commands that name what is read, and what is written.
INPUTS = (
    "input",
    "gold",
    "config",
    "dataset",
    "path",
    "paths",
    "folders",
    "folder",
    "model",
    "schema",
    "candidates_from",
)
OUTPUTS = ("json", "out", "predictions", "report", "picture")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command. Bad input gives one sentence on standard error, and exit status 2."""
    # The package's own reports, such as unreachable annotations, are shown. The other libraries' chatter is not.
    logging.basicConfig(format="%(message)s")
    # Processes that torchrun starts beside the first one would repeat what it says.
    is_first = os.environ.get("RANK", "0") == "0"
    logging.getLogger(__package__.partition(".")[0]).setLevel(logging.INFO if is_first else logging.ERROR)
    given = sys.argv[1:] if arguments is None else arguments
    parser = build_parser(given)
    options, rest = parser.parse_known_args(given)
    try:
        if rest and options.command != "train":
            parser.error(f"unrecognized arguments: {' '.join(rest)}")
        options.rest = rest
        check_outputs(options)
        result = options.run(options)
    except BrokenPipeError:
        # The reader of the output, such as `head`, has seen enough.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except Exception as error:
        if options.debug:
            raise
        hint = "" if isinstance(error, PLMarkerError) else " (--debug shows where this comes from)"
        print(f"plmarker: error: {one_sentence(error)}{hint}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("plmarker: interrupted; repeat the command to continue predict, add --resume for train", file=sys.stderr)
        return 130
    # Processes that torchrun starts beside the main process have no result. They must not write the same file.
    if options.json and result is not None:
        write_json(options.json, result)
    return int(bool(isinstance(result, dict) and result.get("problems")))


def check_outputs(options: argparse.Namespace) -> None:
    """Make sure that no output of a command overwrites one of its inputs, or another output.

    Raises:
        PLMarkerError: naming the output and what it would overwrite.
    """
    taken: dict[Path, str] = {}
    for name in INPUTS:
        values = getattr(options, name, None) or []
        for value in [values] if isinstance(values, str) else values:
            taken[Path(value).resolve()] = "an input"
    for name in OUTPUTS:
        value = getattr(options, name, None)
        if value is None:
            continue
        for path in (value, f"{value}.partial", f"{value}.partial.settings", f"{value}.partial.words"):
            other = taken.setdefault(Path(path).resolve(), f"--{name}")
            if other != f"--{name}":
                raise PLMarkerError(f"--{name} {value} is {other}: the command would write over it")


def build_parser(arguments: Sequence[str]) -> argparse.ArgumentParser:
    """The parser of `plmarker`. Only the module of the command that is called is loaded."""
    parser = argparse.ArgumentParser(
        prog="plmarker", description="Entities and relations with packed levitated markers."
    )
    parser.add_argument("--version", action="version", version=f"plmarker {__version__}")
    names = [argument for argument in arguments if not argument.startswith("-")]
    groups = parser.add_subparsers(dest="command", required=True)
    _add_commands(groups, COMMANDS, names[:1], "")
    group = groups.add_parser("data", help=DATA_HELP)
    _add_commands(group.add_subparsers(dest="data_command", required=True), DATA_COMMANDS, names[1:2], "data_")
    return parser


def _add_commands(commands: Any, helps: Mapping[str, str], called: Sequence[str], prefix: str) -> None:
    for name, text in helps.items():
        aliases = ALIASES.get(name, []) if prefix else []
        parser = commands.add_parser(name, parents=[common_options()], help=text, aliases=aliases)
        if {name, *aliases} & set(called):
            import_module(f".{prefix}{name}", __package__).add_arguments(parser)
