"""Checked reads out of one decoded payload, the same for every platform.

Prevents a strange payload from becoming a strange record: what has the wrong type is refused with
its JSON path (never its value), what no database takes (NUL, lone surrogates) is repaired and
marked.
"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Any, cast

from pydantic import ValidationError

from crm_integration.canonical.model import StoreObject
from crm_integration.canonical.money import minor_digits, to_minor
from crm_integration.stores._contract import JsonObject, Unreadable

TEXT_REPAIRED = "text_repaired"
_FIRST_YEAR = 1900
"""Earlier years are the empty dates of old databases, never a change in a web shop."""
_LARGEST_COUNT = 2**31 - 1
_LARGEST_MINOR = 2**63 - 1
"""What the database's columns hold: one absurd number must not stop a whole batch."""
_DIGITS = 30


class Reading:
    """Reads texts of one payload and gathers the flags of what was odd on the way."""

    def __init__(self) -> None:
        self._flags: set[str] = set()

    @property
    def flags(self) -> tuple[str, ...]:
        """Sorted, so that one payload always gives one record."""
        return tuple(sorted(self._flags))

    def flag(self, name: str) -> None:
        self._flags.add(name)

    def text(self, holder: JsonObject, name: str, path: str = "") -> str:
        """Text; `""` for a missing one or null. Raises Unreadable `wrong_type`."""
        value = holder.get(name)
        if value is None:
            return ""
        if not isinstance(value, str):
            raise wrong_type(f"{path}{name}", "a text")
        if value.isascii() and "\0" not in value:
            return value
        return self._repaired(value)

    def _repaired(self, value: str) -> str:
        repaired = value.replace("\0", "")
        try:
            repaired.encode("utf-8")
        except UnicodeEncodeError:
            # Halves of a pair that were escaped one by one join here; lone ones are replaced.
            repaired = repaired.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
        if repaired != value:
            self.flag(TEXT_REPAIRED)
        return repaired


def block(holder: JsonObject, name: str, path: str = "") -> JsonObject:
    """An object; missing and null count as empty. Raises Unreadable `wrong_type`."""
    value = holder.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise wrong_type(f"{path}{name}", "an object")
    return cast(JsonObject, value)


def rows(holder: JsonObject, name: str, path: str = "") -> list[JsonObject]:
    """A list of objects; missing and null count as empty. Raises Unreadable `wrong_type`."""
    value = holder.get(name)
    if value is None:
        return []
    if not isinstance(value, list):
        raise wrong_type(f"{path}{name}", "a list")
    found = cast(list[Any], value)
    for position, row in enumerate(found):
        if not isinstance(row, dict):
            raise wrong_type(f"{path}{name}[{position}]", "an object")
    return cast(list[JsonObject], found)


def zoned_utc(value: Any) -> datetime | None:
    """An ISO time that states its zone, in UTC; None for everything else."""
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value)
        if moment.tzinfo is None:
            return None
        moment = moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return moment if moment.year >= _FIRST_YEAR else None


def moment(holder: JsonObject, *names: str, path: str = "") -> datetime:
    """The first of the times that is there, in UTC. Raises Unreadable `no_time`, `bad_time`."""
    for name in names:
        found = optional_moment(holder, name, path)
        if found is not None:
            return found
    raise Unreadable(
        "no_time", field=f"{path}{names[0]}", fix="expected a time like 2026-01-31T12:00:00Z"
    )


def optional_moment(holder: JsonObject, name: str, path: str = "") -> datetime | None:
    """A time, None for null. Raises Unreadable `bad_time` for one without a zone and for others."""
    value = holder.get(name)
    found = zoned_utc(value)
    if value is not None and found is None:
        raise Unreadable(
            "bad_time", field=f"{path}{name}", fix="expected a time like 2026-01-31T12:00:00Z"
        )
    return found


def known_currency(value: Any, path: str = "currency") -> str:
    """An ISO 4217 code that exists. Raises Unreadable `unknown_currency`."""
    code = value.strip().upper() if isinstance(value, str) else ""
    try:
        minor_digits(code)
    except ValueError as error:
        raise Unreadable(
            "unknown_currency", field=path, fix="expected an ISO 4217 code like EUR"
        ) from error
    return code


def money(value: Any, currency: str, path: str) -> int:
    """A decimal text in minor units. Raises Unreadable `not_money`, for a JSON float too."""
    found = _to_minor(value, currency) if isinstance(value, str) else None
    if found is None:
        raise Unreadable("not_money", field=path, fix='expected a decimal text such as "12.50"')
    return found


def decimal(value: Any, path: str) -> Decimal:
    """A decimal text as the store gave it. Raises Unreadable `not_a_number`."""
    found = _to_decimal(value) if isinstance(value, str) else None
    if found is None:
        raise Unreadable("not_a_number", field=path, fix='expected a text such as "17.995"')
    return found


def whole_number(holder: JsonObject, name: str, path: str = "") -> int:
    """An integer of JSON. Raises Unreadable `not_a_number`, `out_of_range`."""
    value = holder.get(name)
    if not isinstance(value, int) or isinstance(value, bool):
        raise Unreadable("not_a_number", field=f"{path}{name}", fix="expected a whole number")
    if abs(value) > _LARGEST_COUNT:
        raise Unreadable("out_of_range", field=f"{path}{name}", fix="expected a smaller number")
    return value


def checked(model: type[StoreObject], values: dict[str, Any]) -> StoreObject:
    """The model, or Unreadable `invalid` with the path of the first refused field."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False, include_context=False)[0]
        path = ".".join(str(part) for part in first["loc"])
        raise Unreadable(
            "invalid", field=path, fix=f"the model refuses it ({first['type']})"
        ) from None


def wrong_type(path: str, expected: str) -> Unreadable:
    """The refusal of a value of another JSON type."""
    return Unreadable("wrong_type", field=path, fix=f"expected {expected}")


@lru_cache(maxsize=65_536)
def _to_minor(text: str, currency: str) -> int | None:
    try:
        found = to_minor(text, currency)
    except (ValueError, InvalidOperation):
        return None
    return found if abs(found) <= _LARGEST_MINOR else None


@lru_cache(maxsize=65_536)
def _to_decimal(text: str) -> Decimal | None:
    try:
        found = Decimal(text)
    except InvalidOperation:
        return None
    sane = found.is_finite() and abs(found.adjusted()) <= _DIGITS
    return found if sane else None
