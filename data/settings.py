"""Settings in YAML: their values, and the place of each key for messages."""

from __future__ import annotations

import re
import reprlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import count as count_from
from pathlib import Path
from typing import Any

import yaml

from ..modeling.schema_plmarker import PLMarkerError, one_line
from .files import has_ending

# A few aliases of aliases stand for billions of values.
MAX_YAML_VALUES = 100_000
KeyPath = tuple[str | int, ...]


# Values of the core schema of YAML 1.2 that are no text, and the first characters of each.
CORE = {
    "null": (r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    "bool": (r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    "int": (r"[-+]?\d+|0o[0-7]+|0x[\da-fA-F]+", list("-+0123456789")),
    "float": (
        r"[-+]?(\.\d+|\d+(\.\d*)?)([eE][-+]?\d+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        list("-+.0123456789"),
    ),
    # This is no part of the core schema, but widely known.
    "merge": ("<<", ["<"]),
}


class Loader(yaml.SafeLoader):
    """Reads the core schema of YAML 1.2: `NO` and `1:30` are text, 010 is 10, and 3e-4 is a number.

    PyYAML alone reads YAML 1.1.
    """

    yaml_implicit_resolvers = dict[str, Any]()

    def whole_number(self, node: yaml.ScalarNode) -> int:
        """The value of a whole number. A zero in front of it does not make it octal."""
        text = self.construct_scalar(node)
        return int(text, {"0o": 8, "0x": 16}.get(text[:2], 10))


for name, (pattern, first) in CORE.items():
    # `$` would also match before a line break.
    Loader.add_implicit_resolver(f"tag:yaml.org,2002:{name}", re.compile(rf"(?:{pattern})\Z"), first)
Loader.add_constructor("tag:yaml.org,2002:int", Loader.whole_number)


@dataclass
class Settings:
    """The values of YAML files and of the command line.

    Args:
        values: the values.
        places: where each key was given, by its path, such as `my.yaml:3`.
    """

    values: dict[str, Any]
    places: dict[KeyPath, str] = field(default_factory=dict)

    def place(self, path: KeyPath) -> str:
        """Where a key was given. A key that was not given has the place of what should hold it."""
        while path not in self.places and path:
            path = path[:-1]
        return self.places[path]

    def at(self, path: KeyPath) -> Any:
        """The value of a key."""
        found: Any = self.values
        for key in path:
            found = found[key]
        return found

    def set(self, key: str, value: Any, place: str) -> None:
        """Set the value of a dotted key.

        Raises:
            PLMarkerError: where one of the outer keys holds no mapping.
        """
        path = tuple(key.split("."))
        inside = self.values
        for depth, name in enumerate(path[:-1]):
            if inside.get(name) is None:
                inside[name] = {}
                self.places[path[: depth + 1]] = place
            inside = inside[name]
            if not isinstance(inside, dict):
                raise PLMarkerError(f"{place}: {key!r} cannot be set: {name!r} holds {reprlib.repr(inside)}")
        inside[path[-1]] = value
        self.places[path] = place

    def extended(self, changes: Settings) -> Settings:
        """These settings with changes. Mappings are merged, and a null removes a key."""
        return Settings(_merge(self.values, changes.values), {**self.places, **changes.places})


def _merge(base: dict[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in changes.items():
        if value is None:
            merged.pop(key, None)
        elif isinstance(value, dict) and isinstance(merged.get(key), dict):
            merged[key] = _merge(merged[key], value)
        else:
            merged[key] = value
    return merged


def read_value(text: str) -> Any:
    """One value, as a YAML file has it. Raises `PLMarkerError` for broken YAML."""
    try:
        return yaml.load(text, Loader)  # a kind of SafeLoader
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise PLMarkerError(f"{reprlib.repr(text)}: broken YAML, {one_line(error)}") from None


def read_settings(path: Path, expected: str) -> Settings:
    """Read a YAML or JSON file that holds a mapping.

    Args:
        expected: the keys of the mapping, for the message.

    Raises:
        PLMarkerError: naming the file, for broken YAML, anything but a mapping, and a key that is given twice.
    """
    try:
        text = path.read_text(encoding="utf-8")
        # JSON is YAML, but for the tabs between its values.
        loader = Loader(text.replace("\t", " ") if has_ending(path, ".json") else text)
        node = loader.get_single_node()
        if not isinstance(node, yaml.MappingNode):
            raise PLMarkerError(f"{path}: expected a mapping with {expected}")
        _check_size(path, node)
        places: dict[KeyPath, str] = {(): str(path)}
        # Constructing copies the keys that `<<` merges into the node. A key may replace one of them.
        _find_places(path, node, (), places)
        return Settings(loader.construct_document(node), places)
    except PLMarkerError:
        raise
    except OSError as error:
        raise PLMarkerError(f"{path}: cannot be read: {error.strerror}") from None
    except RecursionError:
        raise PLMarkerError(f"{path}: broken YAML, lists or mappings are nested too deeply") from None
    except (yaml.YAMLError, ValueError) as error:
        raise PLMarkerError(f"{path}: broken YAML, {one_line(error)}") from None


def _check_size(path: Path, node: yaml.Node) -> None:
    waiting = [node]
    for count in count_from(0):
        if not waiting:
            return
        if count > MAX_YAML_VALUES:
            raise PLMarkerError(f"{path}: more than {MAX_YAML_VALUES} values, with those that aliases repeat")
        value = waiting.pop()
        if isinstance(value, yaml.MappingNode):
            waiting += [inner for _, inner in value.value]
        elif isinstance(value, yaml.SequenceNode):
            waiting += value.value


def _find_places(path: Path, node: yaml.Node, above: KeyPath, places: dict[KeyPath, str]) -> None:
    if isinstance(node, yaml.SequenceNode):
        for number, item in enumerate(node.value):
            places[(*above, number)] = f"{path}:{item.start_mark.line + 1}"
            _find_places(path, item, (*above, number), places)
    elif isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            name = (*above, str(key.value))
            place = f"{path}:{key.start_mark.line + 1}"
            if name in places:
                raise PLMarkerError(f"{place}: {_dotted(name)!r} is given twice, first at {places[name]}")
            places[name] = place
            _find_places(path, value, name, places)


def checked(kind: Any, settings: Settings, path: KeyPath = (), unknown: Callable[[KeyPath], str] | None = None) -> Any:
    """Settings as a dataclass, or as another type that pydantic knows.

    Args:
        kind: the type.
        settings: the settings.
        path: the key whose value is taken. Without it, all values are taken.
        unknown: what is said about a key that the type does not have, by the path of the key.

    Raises:
        PLMarkerError: for the first wrong value: its place, its key, what was found and what was expected.
    """
    # pydantic takes a while to load.
    from pydantic import TypeAdapter, ValidationError

    try:
        return TypeAdapter(kind).validate_python(settings.at(path))
    except ValidationError as found:
        error = found.errors(include_url=False)[0]
    keys: KeyPath = path
    inside: Any = settings.at(path)
    for key in error["loc"]:
        # The other parts of `loc` name types.
        is_key = isinstance(inside, dict) or (isinstance(inside, list) and isinstance(key, int))
        if not is_key:
            break
        keys = (*keys, key)
        inside = inside.get(key) if isinstance(inside, dict) else inside[key]
    name, place = _dotted(keys), settings.place(keys)
    if error["type"].startswith("missing"):
        raise PLMarkerError(f"{place}: {name!r} is missing")
    if error["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
        raise PLMarkerError(f"{place}: unknown key {name!r}{unknown(keys) if unknown else ''}")
    message = error["msg"].removeprefix("Input ").removeprefix("Value error, ").replace("valid tuple", "list")
    message = re.sub(r"a (valid )?dictionary( or an instance of \w+)?", "a mapping", message)
    raise PLMarkerError(f"{place}: {name!r} {message}, got {reprlib.repr(error['input'])}")


def _dotted(path: KeyPath) -> str:
    return ".".join(map(str, path))
