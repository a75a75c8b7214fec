"""Checked reads out of one decoded payload, the same for every platform.

Prevents a strange payload from becoming a strange record: what has the wrong type is refused with
its JSON path (never its value), what no database takes (NUL, lone surrogates) is repaired and
marked.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, tzinfo
from typing import Any, cast

from pydantic import ValidationError

from crm_integration.canonical.countries import country_code
from crm_integration.canonical.model import StoreObject
from crm_integration.stores._contract import JsonObject, Unreadable

TEXT_REPAIRED = "text_repaired"
COUNTRY_UNKNOWN = "country_unknown"
FIRST_YEAR = 1900
"""Earlier years are the empty dates of old databases, never a change in a web shop."""
_ZONED = "a time like 2026-01-31T12:00:00Z"


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

    def address(self, kind: str, said: Mapping[str, str], *countries: str) -> dict[str, Any] | None:
        """`said` as values of an Address, with the first of the `countries` that is one.

        A country nobody knows is left out and marked: it costs the country, not the address.
        None for an address that holds nothing.
        """
        code = next((known for one in countries if one and (known := country_code(one))), None)
        if code is None and any(countries):
            self.flag(COUNTRY_UNKNOWN)
        if code is None and not any(value.strip() for value in said.values()):
            return None
        return {"kind": kind, "country": code, **said}

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


def block_if_any(holder: JsonObject, name: str) -> JsonObject:
    """An object; everything else counts as empty. For what only informs: a strange answer about
    costs must not refuse the data that came with it."""
    value: Any = holder.get(name)
    return cast(JsonObject, value) if isinstance(value, dict) else {}


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


def required_id(found: str | None, path: str, expected: str) -> str:
    """An id that was read. Raises Unreadable `no_id`: what has none would be everybody's."""
    if found is None:
        raise Unreadable("no_id", field=path, fix=f"expected {expected}")
    return found


def utc(value: Any, *, unzoned: tzinfo | None = None) -> datetime | None:
    """An ISO time in UTC, one that states no zone in that of `unzoned`; None for everything else,
    and for a time without a zone where `unzoned` is None."""
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value)
        zone = moment.tzinfo or unzoned
        if zone is None:
            return None
        moment = moment.replace(tzinfo=zone).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return moment if moment.year >= FIRST_YEAR else None


def first_moment(found: Iterable[datetime | None], path: str, expected: str) -> datetime:
    """The first time that is there. Raises Unreadable `no_time`: a version without a time could
    replace a newer one."""
    for moment in found:
        if moment is not None:
            return moment
    raise Unreadable("no_time", field=path, fix=f"expected {expected}")


def moment(holder: JsonObject, *names: str, path: str = "") -> datetime:
    """The first of the times that is there, in UTC. Raises Unreadable `no_time`, `bad_time`."""
    found = (optional_moment(holder, name, path) for name in names)
    return first_moment(found, f"{path}{names[0]}", _ZONED)


def optional_moment(holder: JsonObject, name: str, path: str = "") -> datetime | None:
    """A time, None for null. Raises Unreadable `bad_time` for one without a zone and for others."""
    value = holder.get(name)
    found = utc(value)
    if value is not None and found is None:
        raise Unreadable("bad_time", field=f"{path}{name}", fix=f"expected {_ZONED}")
    return found


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
