"""Reads YAML into plain values that remember their lines, and collects what is wrong.

Prevents a complaint without a place, and the two ways a YAML file hurts its reader: an alias
bomb that grows to gigabytes, and `no` or `1:30` silently becoming something else.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import yaml
from yaml.constructor import ConstructorError, SafeConstructor

from crm_integration.errors import BadMapping

MAX_BYTES = 256 * 1024
"""The largest mapping here has 5 kB; more than 50 times that is no mapping."""
MAX_DEPTH = 8
_TAG = "tag:yaml.org,2002:"
_SCALARS = {"str", "int", "float", "bool", "null"}

# A NUL breaks Postgres and JSON readers; line feed and tab are text.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")

Scalar = str | int | float | bool | None


@dataclass(frozen=True)
class Located:
    """A value with its 1-based line: `value` is a scalar, a list or a dict of Located."""

    value: Scalar | list[Located] | dict[str, Located]
    line: int
    key_lines: dict[str, int] = field(default_factory=lambda: dict[str, int]())

    def plain(self) -> Any:
        """The value without its lines."""
        if isinstance(self.value, dict):
            return {name: item.plain() for name, item in self.value.items()}
        if isinstance(self.value, list):
            return [item.plain() for item in self.value]
        return self.value

    def line_of(self, key: str) -> int:
        """The line of a key, or of the whole where the key is missing."""
        return self.key_lines.get(key, self.line)


class Problems:
    """Everything wrong with one file, raised as one BadMapping that lists it in line order."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._found: list[tuple[int, str, str]] = []

    def __len__(self) -> int:
        return len(self._found)

    def add(self, line: int, problem: str, fix: str) -> None:
        """Note a problem; `fix` is an order in one sentence."""
        self._found.append((line, problem, fix))

    def raise_if_any(self) -> None:
        """Raise BadMapping with all problems; `.line` is the first one's."""
        if not self._found:
            return
        (line, problem, fix), *others = sorted(self._found, key=lambda found: found[0])
        rest = "".join(f"\n{self.path}:{at}: {what}. {how}" for at, what, how in others)
        raise BadMapping(problem, path=self.path, line=line, fix=fix + rest)


def read_located(data: bytes, problems: Problems) -> Located:
    """The file's top-level block. Raises BadMapping when it is no YAML mapping."""
    try:
        _refuse_traps(data, problems)
        # CSafeLoader parses with libyaml; only nodes are built here, never objects.
        node = cast(Any, yaml).compose(data, Loader=yaml.CSafeLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        what = getattr(error, "problem", None) or "these are not readable characters"
        line = 1 if mark is None else int(mark.line) + 1
        problems.add(line, f"not readable as YAML: {what}", "Indent with spaces, save as UTF-8.")
        problems.raise_if_any()
        raise
    if not isinstance(node, yaml.MappingNode):
        problems.add(1, "the file holds no keys", "Start from the example in mappings/README.md.")
        problems.raise_if_any()
    located = _locate(node, problems)
    problems.raise_if_any()
    return located


def read_file(path: Path, problems: Problems, *, fix: str) -> bytes:
    """The file's bytes. Raises BadMapping when it is missing or too large to be a mapping."""
    try:
        data = path.read_bytes() if path.stat().st_size <= MAX_BYTES else None
    except OSError as error:
        problems.add(1, f"cannot be read ({error.strerror})", fix)
        problems.raise_if_any()
        raise
    if data is None:
        problems.add(1, f"is larger than {MAX_BYTES} bytes", "Split it or remove what is no rule.")
        problems.raise_if_any()
    return data or b""


def _refuse_traps(data: bytes, problems: Problems) -> None:
    """Aliases, anchors, own tags and deep nesting, seen in the events before anything is built."""
    depth = 0
    for event in cast(Any, yaml).parse(data, Loader=yaml.CSafeLoader):
        line = int(event.start_mark.line) + 1
        if getattr(event, "anchor", None) is not None:
            problems.add(line, "anchors and aliases are refused", "Write the value out.")
        if getattr(event, "tag", None) is not None:
            problems.add(line, "YAML tags are refused", "Write the plain value.")
        if isinstance(event, (yaml.MappingStartEvent, yaml.SequenceStartEvent)):
            depth += 1
        elif isinstance(event, (yaml.MappingEndEvent, yaml.SequenceEndEvent)):
            depth -= 1
        if depth > MAX_DEPTH:
            problems.add(line, "nested too deeply", "Nothing in a mapping is that deep.")
        problems.raise_if_any()


def _locate(node: Any, problems: Problems) -> Located:
    line = int(node.start_mark.line) + 1
    if isinstance(node, yaml.MappingNode):
        return _locate_keys(node, line, problems)
    if isinstance(node, yaml.SequenceNode):
        items = cast(list[Any], node.value)
        return Located([_locate(item, problems) for item in items], line)
    return Located(_scalar(node, line, problems), line)


def _locate_keys(node: Any, line: int, problems: Problems) -> Located:
    values: dict[str, Located] = {}
    lines: dict[str, int] = {}
    for key_node, value_node in node.value:
        key = str(key_node.value)
        at = int(key_node.start_mark.line) + 1
        if not isinstance(key_node, yaml.ScalarNode) or key_node.tag != f"{_TAG}str":
            problems.add(at, "this key is not read as text by YAML", "Put the key in quotes.")
        elif key in values:
            problems.add(at, f"{key!r} is given twice (line {lines[key]})", "Remove one of them.")
        else:
            values[key], lines[key] = _locate(value_node, problems), at
    return Located(values, line, lines)


def _scalar(node: Any, line: int, problems: Problems) -> Scalar:
    kind = str(node.tag).removeprefix(_TAG)
    text = str(node.value)
    if kind == "str":
        if _CONTROL.search(text):
            problems.add(line, "this text holds a control character", "Remove the escape.")
        return text
    if kind not in _SCALARS or (kind in {"int", "float"} and ":" in text):
        problems.add(line, f"{text[:30]!r} is read as a {kind} by YAML", "Put it in quotes.")
        return None
    try:
        return cast(Scalar, cast(Any, SafeConstructor)().construct_object(node))
    except (ConstructorError, ValueError):
        problems.add(line, f"{text[:30]!r} is not readable", "Put it in quotes.")
        return None
