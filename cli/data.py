"""`plmarker data`: build, push, check, describe and convert corpora."""

from __future__ import annotations

import argparse
from typing import Any

from . import data_build, data_check, data_convert, data_push, data_stats


def add_parser(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add the group to the parser of `plmarker`."""
    parser = commands.add_parser("data", help="build, push, check, describe and convert corpora")
    group = parser.add_subparsers(dest="data_command", required=True)
    for command in (data_build, data_push, data_check, data_stats, data_convert):
        command.add_parser(group, common)
