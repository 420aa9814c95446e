"""What every command does around its work: shared options, messages instead of tracebacks, results as JSON."""

from __future__ import annotations

import errno
import inspect
import logging
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer
from typer.core import TyperCommand

from ..data.files import file_to_write, place_to_write, write_json
from ..modeling.schema_plmarker import PLMarkerError, one_sentence

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
PACKAGE = __package__.partition(".")[0]


@dataclass
class Common:
    """The options of every command."""

    json: Annotated[str | None, typer.Option(metavar="FILE", help="Write the results as JSON.")] = None
    debug: Annotated[
        bool, typer.Option("--debug", help="Show the traceback of an error. PLMARKER_DEBUG=1 does the same.")
    ] = False
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Show the messages and progress bars of the libraries.")
    ] = False


class Command(TyperCommand):
    """A command whose options may take several values, as in `--seeds 42 43 44`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Repeat the name of such an option before each of its values, which is what typer expects."""
        several = {name for param in self.params if getattr(param, "multiple", False) for name in param.opts}
        repeated: list[str] = []
        option = None
        for word in args:
            if word.startswith("-"):
                option = word if word in several else None
            elif option is not None and repeated[-1] != option:
                repeated.append(option)
            repeated.append(word)
        return super().parse_args(ctx, repeated)


def command(function: Callable[..., Any]) -> Callable[..., None]:
    """Prepare a function to be a command of typer.

    A parameter whose type is a dataclass stands for the options that are the fields of the dataclass. The options of
    `Common` are added. What the function returns is written to `--json`. Bad input gives one sentence on standard error
    and exit status 2; a result with problems gives exit status 1.

    Args:
        function: takes the options, and returns the results.
    """
    groups: dict[str, Any] = {}
    parameters = []
    hints = get_type_hints(function, include_extras=True)
    for parameter in inspect.signature(function).parameters.values():
        kind = hints[parameter.name]
        if is_dataclass(kind):
            groups[parameter.name] = kind
            parameters += _parameters(kind)
        else:
            parameters.append(parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY, annotation=kind))
    parameters += _parameters(Common)

    def run(**values: Any) -> None:
        common = _taken(Common, values)
        debug = common.debug or os.environ.get("PLMARKER_DEBUG", "") not in ("", "0")
        set_up_messages(common.verbose)
        try:
            check_outputs({**values, "json": common.json})
            for name, group in groups.items():
                values[name] = _taken(group, values)
            result = function(**values)
            # Processes that torchrun starts beside the main process have no result. They must not write the same file.
            if common.json and result is not None:
                write_json(common.json, result)
        except BrokenPipeError:
            # The reader of the output, such as `head`, has seen enough.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(141) from None
        except typer.BadParameter:
            raise
        except Exception as error:
            if debug:
                raise
            print(f"plmarker: error: {message_of(error)}", file=sys.stderr)
            raise typer.Exit(2) from None
        except KeyboardInterrupt:
            print(
                "plmarker: interrupted; repeat the command to continue predict, add --resume for train", file=sys.stderr
            )
            raise typer.Exit(130) from None
        raise typer.Exit(int(bool(isinstance(result, dict) and result.get("problems"))))

    run.__name__, run.__doc__ = function.__name__, function.__doc__
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return run


def message_of(error: Exception) -> str:
    """What a person is told about an error."""
    if disk_is_full(error):
        return (
            "the disk is full: free some space, and repeat the command; predict goes on, and train does with --resume"
        )
    if isinstance(error, PLMarkerError):
        # A list of problems has one on each line.
        return "\n".join(" ".join(line.split()) for line in str(error).splitlines())
    return f"{one_sentence(error)} (--debug shows where this comes from)"


def disk_is_full(error: BaseException | None) -> bool:
    """Whether an error says so, or one that caused it. Libraries in other languages give the text alone."""
    # An error may be its own cause, over others.
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT) or os.strerror(errno.ENOSPC) in str(error):
            return True
        seen.add(id(error))
        error = error.__cause__ or error.__context__
    return False


def _parameters(group: Any) -> list[inspect.Parameter]:
    """The fields of a dataclass as parameters."""
    hints = get_type_hints(group, include_extras=True)
    return [
        inspect.Parameter(
            item.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=inspect.Parameter.empty if item.default is MISSING else item.default,
            annotation=hints[item.name],
        )
        for item in fields(group)
    ]


def _taken(group: Any, values: dict[str, Any]) -> Any:
    """An object of a dataclass, made of its values, which are removed from the others."""
    return group(**{item.name: values.pop(item.name) for item in fields(group)})


def set_up_messages(verbose: bool) -> None:
    """Show the package's own reports, such as unreachable annotations. With `verbose`, all messages are shown."""
    logging.basicConfig(format="%(message)s")
    # Processes that torchrun starts beside the first one would repeat what it says.
    is_first = os.environ.get("RANK", "0") == "0"
    level = logging.DEBUG if verbose else logging.INFO
    logging.getLogger(PACKAGE).setLevel(level if is_first else logging.ERROR)


def check_outputs(values: Mapping[str, Any]) -> None:
    """Make sure that no output of a command overwrites one of its inputs, or another output, and that all have names.

    Raises:
        PLMarkerError: naming the output and what it would overwrite, or the option that is empty.
    """
    taken: dict[Path, str] = {}
    for name in INPUTS:
        given = values.get(name)
        for value in [given] if isinstance(given, str) else given or []:
            _check_not_empty(name, value)
            taken[Path(value).resolve()] = "an input"
    for name in OUTPUTS:
        value = values.get(name)
        if value is None:
            continue
        _check_not_empty(name, value)
        if value == "-":
            raise PLMarkerError(f"--{name} -: standard output is not written to, expected a name")
        (file_to_write if name == "json" else place_to_write)(Path(value))
        for path in (value, f"{value}.partial", f"{value}.partial.settings", f"{value}.partial.words"):
            other = taken.setdefault(Path(path).resolve(), f"--{name}")
            if other != f"--{name}":
                raise PLMarkerError(f"--{name} {value} is {other}: the command would write over it")


def _check_not_empty(name: str, value: object) -> None:
    """A shell leaves an argument empty for a variable without a value. An empty path would be the current folder."""
    if value == "":
        raise PLMarkerError(f"{name} is empty, expected a name")
