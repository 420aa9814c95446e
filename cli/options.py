"""Options and values that several commands share."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import yaml

from ..data.alignment import WORDS
from ..data.formats import FORMATS, ReadingOptions
from ..data.tags import SCHEMES
from ..modeling.schema_plmarker import PLMarkerError, Threshold
from ..modeling.text_plmarker import BATCH_TOKENS

# The options that say how a corpus is read, as `ReadingOptions` names them.
READING = ("scheme", "columns", "words", "language", "extent", "annotator")
DTYPES = ("auto", "float32", "bfloat16")


def common_options() -> argparse.ArgumentParser:
    """The options of every command."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--json", metavar="FILE", help="write the results as JSON")
    parser.add_argument(
        "--debug",
        action="store_true",
        default=os.environ.get("PLMARKER_DEBUG", "") not in ("", "0"),
        help="show the traceback of an error; PLMARKER_DEBUG=1 does the same",
    )
    return parser


def model_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of commands that run a model."""
    parser.add_argument(
        "--batch_tokens", type=int, default=BATCH_TOKENS, help="most text tokens of a batch (%(default)s)"
    )
    parser.add_argument(
        "--compat", choices=("original",), help="compute what the published scripts compute, with their quirks"
    )
    parser.add_argument(
        "--dtype",
        choices=DTYPES,
        help="number type of the model; auto runs a self-test, and takes bfloat16 where a CPU is faster with it "
        "(as the model was saved)",
    )
    parser.add_argument("--device", help="device of the model, such as cpu or cuda:1 (an accelerator if there is one)")


def listening_options(parser: argparse.ArgumentParser, port: int) -> None:
    """Add the options of commands that open a port."""
    parser.add_argument(
        "--host", default="127.0.0.1", help="address to listen on; 0.0.0.0 lets other machines in (%(default)s)"
    )
    parser.add_argument("--port", type=int, default=port, help="0 takes a free one (%(default)s)")


def reading_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of commands that read corpora."""
    parser.add_argument(
        "--scheme", choices=("auto", *SCHEMES), help="tag scheme of a column file (found from the file)"
    )
    parser.add_argument(
        "--columns",
        metavar="word=N,tag=N",
        help="columns of a column file, by number, by name in a header row, or `last`; several tags are layers; "
        "tag=N:KEY reads KEY=tag (found from the file)",
    )
    parser.add_argument("--words", choices=WORDS, help="how raw text is cut into words (plmarker; spacy for ACE)")
    parser.add_argument("--extent", choices=("head", "full"), help="extent of ACE's mentions (head)")
    parser.add_argument("--language", metavar="CODE", help="ISO 639-1 code of raw text (en)")
    parser.add_argument(
        "--annotator", metavar="NAME", help="whose annotations are read in an export of several annotators"
    )


def formats_help() -> str:
    """The formats that are read, for a help text."""
    return ", ".join(f"{name} ({found.description})" for name, found in FORMATS.items())


def chosen_reading(options: argparse.Namespace, defaults: ReadingOptions) -> ReadingOptions:
    """How to read a corpus: the defaults of its format, and the options of the command."""
    given = {name: getattr(options, name, None) for name in READING}
    return replace(defaults, **{name: value for name, value in given.items() if value is not None})


def key_values(items: Sequence[str]) -> dict[str, Any]:
    """`KEY=VALUE` as fields of a model's config."""
    values = {}
    for item in items:
        key, equals, value = item.partition("=")
        if not equals:
            raise PLMarkerError(f"expected KEY=VALUE, got {item!r}")
        try:
            values[key] = yaml.safe_load(value)
        except yaml.YAMLError:
            raise PLMarkerError(f"{item!r}: the value is broken YAML") from None
    return values


def threshold(text: str) -> Threshold:
    """`0.5`, or `Person=0.8,Place=0.6`."""
    try:
        if "=" not in text:
            return float(text)
        return {label: float(score) for label, _, score in (part.rpartition("=") for part in text.split(","))}
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is neither a number nor LABEL=NUMBER,...") from None


def counts_line(counts: Any) -> str:
    """The size of a corpus in one line."""
    return ", ".join(f"{counts.get(what, 0)} {what}" for what in ("documents", "sentences", "entities", "relations"))
