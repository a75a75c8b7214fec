"""Reads a call's query by the method's own table, and refuses what the table does not allow.

Prevents a typing error that costs data: `modified_form=` or `count=251` must not answer with the
first ten rows of everything.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from crm_integration.sandbox.api2cart.dates import read_time
from crm_integration.sandbox.api2cart.envelope import (
    BAD_PARAMETER,
    NOT_FOUND,
    REQUIRED,
    Failure,
    wrong,
)
from crm_integration.sandbox.api2cart.methods import Method, Parameter

#: The one store behind the key; the description's `store_id` chooses among several.
STORE_ID = "1"
#: "Max allowed count=250" of the description.
MOST, USUAL = 250, 10
_FLAGS = {"true": True, "1": True, "false": False, "0": False}
_HIGHEST_START = 2**31


@dataclass(frozen=True, slots=True)
class Given:
    """The parameters of one call, each of the type its method gives it."""

    values: Mapping[str, Any]

    def text(self, name: str) -> str | None:
        return cast("str | None", self.values.get(name))

    def number(self, name: str) -> int | None:
        return cast("int | None", self.values.get(name))

    def flag(self, name: str) -> bool | None:
        return cast("bool | None", self.values.get(name))

    def time(self, name: str) -> int | None:
        """Epoch seconds."""
        return cast("int | None", self.values.get(name))

    def several(self, name: str) -> frozenset[str] | None:
        """A comma separated list, or None where the parameter is absent."""
        text = self.values.get(name)
        if text is None:
            return None
        return frozenset(part.strip() for part in str(text).split(",") if part.strip())

    def one_of(self, name: str, allowed: Mapping[str, str], usual: str) -> str:
        """What an enumerated parameter stands for.

        Raises:
            Failure: 109 with what is allowed.
        """
        value = self.text(name) or usual
        if value not in allowed:
            raise wrong(name, f"one of {', '.join(allowed)}")
        return allowed[value]

    def covers(self, created: int, modified: int) -> bool:
        """Whether both times (epoch seconds) lie within the call's bounds, all inclusive."""
        for name, at in (("created", created), ("modified", modified)):
            first, last = self.time(f"{name}_from"), self.time(f"{name}_to")
            if (first is not None and at < first) or (last is not None and at > last):
                return False
        return True

    @property
    def start(self) -> int:
        return self.number("start") or 0

    @property
    def count(self) -> int:
        count = self.number("count")
        return USUAL if count is None else count


def read(method: Method, query: Mapping[str, str], offset_minutes: int) -> Given:
    """Every parameter of a call, typed.

    Raises:
        Failure: 109 (unknown, empty, ill-typed or foreign), 112 (no such store), 114 (missing).
    """
    values: dict[str, Any] = {}
    for name, text in query.items():
        values[name] = _value(_known(method, name), text, offset_minutes)
    for name, parameter in method.parameters.items():
        if parameter.required and name not in values:
            raise Failure(REQUIRED, f"Parameter '{name}' is required.")
    if not 1 <= values.get("count", USUAL) <= MOST:
        raise wrong("count", f"unsigned integer from 1 to {MOST}")
    if values.get("store_id", STORE_ID) != STORE_ID:
        raise Failure(NOT_FOUND, f"Store with id {values['store_id']} not found")
    return Given(values)


def _known(method: Method, name: str) -> Parameter:
    parameter = method.parameters.get(name)
    if parameter is None:
        raise Failure(BAD_PARAMETER, f"Parameter '{name}' is not supported by '{method.name}'.")
    if parameter.foreign:
        raise Failure(BAD_PARAMETER, f"Parameter '{name}' is not supported by this store.")
    return parameter


def _value(parameter: Parameter, text: str, offset_minutes: int) -> Any:
    if not text:
        raise Failure(BAD_PARAMETER, f"Parameter '{parameter.name}' is incorrect (empty).")
    if parameter.kind == "number":
        if not (text.isascii() and text.isdigit()) or int(text) >= _HIGHEST_START:
            raise wrong(parameter.name, "unsigned integer")
        return int(text)
    if parameter.kind == "flag":
        if text.lower() not in _FLAGS:
            raise wrong(parameter.name, "boolean")
        return _FLAGS[text.lower()]
    if parameter.kind == "time":
        return read_time(parameter.name, text, offset_minutes)
    return text
