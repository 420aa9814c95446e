"""Options and values that several commands share."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import typer

from ..data.alignment import WORDS
from ..data.formats import FORMATS, ReadingOptions
from ..data.occurrences import OCCURRENCES
from ..data.settings import read_value
from ..data.tags import SCHEMES
from ..modeling.schema_plmarker import PLMarkerError, Threshold
from ..modeling.text_plmarker import BATCH_TOKENS

DTYPES = ("auto", "float32", "bfloat16")
FORMATS_HELP = ", ".join(f"{name} ({found.description})" for name, found in FORMATS.items())


def one_of(option: str, names: Collection[str], help: str, metavar: str | None = None) -> Any:
    """An option whose value is one of some names, which the shell completes."""

    def check(value: str | None) -> str | None:
        if value is not None and value not in names:
            raise typer.BadParameter(f"{value!r} is not one of {', '.join(names)}.")
        return value

    return typer.Option(
        option, metavar=metavar or "|".join(names), callback=check, autocompletion=lambda: list(names), help=help
    )


Format = Annotated[
    str | None, one_of("--format", FORMATS, f"Format of the input, by default found from it: {FORMATS_HELP}.", "NAME")
]
ModelName = Annotated[str, typer.Argument(help="A Hub id or a folder.")]
ChangedModel = Annotated[str, typer.Argument(help="A folder, whose config is changed; or a Hub id, with --out.")]
Dataset = Annotated[str, typer.Option(metavar="NAME", help="A Hub id, a folder, a file, or sample.")]


BatchTokens = Annotated[int, typer.Option("--batch_tokens", metavar="N", help="Most text tokens of a batch.")]
Device = Annotated[
    str | None,
    typer.Option(
        metavar="NAME", help="Device of the model, such as cpu or cuda:1, by default an accelerator if there is one."
    ),
]


@dataclass
class LoadingOptions:
    """The options of commands that load a model to run it."""

    compat: Annotated[
        str | None,
        one_of("--compat", ("original",), "Compute what the published scripts compute, with their quirks."),
    ] = None
    dtype: Annotated[
        str | None,
        one_of(
            "--dtype",
            DTYPES,
            "Number type of the model, by default as it was saved. auto runs a self-test, and takes bfloat16 where a "
            "CPU is faster with it.",
        ),
    ] = None
    device: Device = None


@dataclass
class ModelOptions(LoadingOptions):
    """The options of commands that run a model on many texts."""

    batch_tokens: BatchTokens = BATCH_TOKENS


@dataclass
class Listening:
    """The options of commands that open a port."""

    host: Annotated[
        str, typer.Option(metavar="ADDRESS", help="Address to listen on; 0.0.0.0 lets other machines in.")
    ] = "127.0.0.1"
    port: Annotated[
        int | None, typer.Option(metavar="N", help="0 takes a free one; by default 8000, and 7860 for app.")
    ] = None


@dataclass
class Reading:
    """The options of commands that read corpora, as `ReadingOptions` names them."""

    scheme: Annotated[
        str | None,
        one_of("--scheme", ("auto", *SCHEMES), "Tag scheme of a column file, by default found from the file."),
    ] = None
    columns: Annotated[
        str | None,
        typer.Option(
            metavar="word=N,tag=N",
            help="Columns of a column file, by number, by name in a header row, or `last`, by default found from the "
            "file. Several tags are layers; tag=N:KEY reads KEY=tag.",
        ),
    ] = None
    words: Annotated[
        str | None,
        one_of("--words", WORDS, "How raw text is cut into words, by default plmarker, and spacy for ACE."),
    ] = None
    extent: Annotated[
        str | None, one_of("--extent", ("head", "full"), "Extent of ACE's mentions, by default head.")
    ] = None
    language: Annotated[str | None, typer.Option(metavar="CODE", help="ISO 639-1 code of raw text, by default en.")] = (
        None
    )
    annotator: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Whose annotations are read in an export of several annotators."),
    ] = None
    occurrences: Annotated[
        str | None,
        one_of(
            "--occurrences",
            OCCURRENCES,
            "Which occurrences are annotated of an entity that is given by its text: all, which is the default; those "
            "that relations join, or that are nearest to the entity before; or the first.",
        ),
    ] = None

    def over(self, defaults: ReadingOptions) -> ReadingOptions:
        """How to read a corpus: the defaults of its format, and the options that were given."""
        return replace(defaults, **{name: value for name, value in asdict(self).items() if value is not None})


def must_exist(*names: str) -> None:
    """Raise an error for paths that do not exist, before anything large is loaded. Hub ids are left to the Hub."""
    for name in names:
        is_path = Path(name).is_absolute() or name.startswith(".") or len(Path(name).parts) > 2
        if is_path and not Path(name).exists():
            raise PLMarkerError(f"{name}: no such file or folder")


def must_be_changeable(model: str, out: str | None) -> None:
    """Raise an error for a model whose config cannot be changed in its place."""
    if out is None and not Path(model).is_dir():
        raise PLMarkerError(f"{model}: no folder, so its config cannot be changed; give --out FOLDER")


def exclude_each_other(**given: Any) -> None:
    """Raise an error of usage if more than one of these options was given."""
    found = [f"--{name}" for name, value in given.items() if value not in (None, False)]
    if len(found) > 1:
        raise typer.BadParameter(f"{' and '.join(found)} exclude each other.")


def given_options(context: typer.Context, *names: str) -> list[str]:
    """The options of a command that were given, even where the value is the default one."""
    assert context.params.keys() >= set(names), names
    sources = {name: context.get_parameter_source(name) for name in names}
    return [f"--{name}" for name, source in sources.items() if source is not None and source.name != "DEFAULT"]


def needs(context: typer.Context, needed: str, is_there: bool, *names: str) -> None:
    """Raise an error if an option was given without what it needs: it would have no effect.

    Args:
        needed: what the options need, for the message, such as `--dataset`.
        is_there: whether that is there.
        names: the options.
    """
    found = given_options(context, *names)
    if found and not is_there:
        raise PLMarkerError(f"{found[0]} needs {needed} and has no effect without it")


def without_effect(context: typer.Context, beside: str, is_there: bool, *names: str) -> None:
    """Raise an error if an option was given beside another one with which it has no effect. See `needs`."""
    found = given_options(context, *names)
    if found and is_there:
        raise PLMarkerError(f"{found[0]} has no effect with {beside}")


def key_values(items: Sequence[str]) -> dict[str, Any]:
    """`KEY=VALUE` as fields of a model's config."""
    values = {}
    for item in items:
        key, equals, value = item.partition("=")
        if not equals:
            raise PLMarkerError(f"expected KEY=VALUE, got {item!r}")
        values[key] = read_value(value)
    return values


def threshold(option: str, text: str | None) -> Threshold | None:
    """`0.5`, or `Person=0.8,Place=0.6`."""
    if text is None:
        return None
    try:
        if "=" not in text:
            return float(text)
        return {label: float(score) for label, _, score in (part.rpartition("=") for part in text.split(","))}
    except ValueError:
        raise typer.BadParameter(f"{text!r} is neither a number nor LABEL=NUMBER,...", param_hint=option) from None


def counts_line(counts: Any) -> str:
    """The size of a corpus in one line."""
    return ", ".join(f"{counts.get(what, 0)} {what}" for what in ("documents", "sentences", "entities", "relations"))
