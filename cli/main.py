"""The parser of all commands, and the one place where errors become messages."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from ..data.files import write_json
from ..modeling.schema_plmarker import PLMarkerError, one_sentence
from . import convert, data, evaluate, predict, train
from .options import common_options

# The options of all commands that name what is read, and what is written.
INPUTS = ("input", "config", "dataset", "path", "paths", "folders", "folder", "model", "schema", "candidates_from")
OUTPUTS = ("json", "out", "predictions")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command. Bad input gives one sentence on standard error, and exit status 2."""
    # The package's own reports, such as unreachable annotations, are shown. The other libraries' chatter is not.
    logging.basicConfig(format="%(message)s")
    logging.getLogger(__package__.partition(".")[0]).setLevel(logging.INFO)
    parser = build_parser()
    options, rest = parser.parse_known_args(arguments)
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
        for path in (value, f"{value}.partial", f"{value}.partial.settings"):
            other = taken.setdefault(Path(path).resolve(), f"--{name}")
            if other != f"--{name}":
                raise PLMarkerError(f"--{name} {value} is {other}: the command would write over it")


def build_parser() -> argparse.ArgumentParser:
    """The parser of `plmarker` with all its commands."""
    parser = argparse.ArgumentParser(
        prog="plmarker", description="Entities and relations with packed levitated markers."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    for command in (train, convert, evaluate, predict, data):
        command.add_parser(commands, common_options())
    return parser
