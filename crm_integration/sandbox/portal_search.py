"""HubSpot's search: filter groups over the lagging index, sorts, paging.

Prevents the failure where a search filter means something else here than there: filters within
a group are all needed, one group suffices, and values of IN must be lower case for texts.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any, cast

from crm_integration.sandbox.portal_properties import Json
from crm_integration.sandbox.portal_state import MATCHED_BY, PortalState

_OPERATORS = {"EQ", "NEQ", "IN", "NOT_IN", "CONTAINS_TOKEN", "HAS_PROPERTY", "NOT_HAS_PROPERTY",
              "GT", "GTE", "LT", "LTE"}  # fmt: skip
#: HubSpot's own limits (documented with the search API).
_GROUPS, _FILTERS, _PAGE, _REACH = 5, 6, 200, 10_000
_A_TIME = re.compile(r"\d{4}-\d\d-\d\dT")


class BadSearch(ValueError):
    """A search HubSpot refuses with 400."""


def search(portal: PortalState, kind: str, body: Json) -> tuple[list[int], int, int | None]:
    """(ids of the page, total, position after it or None).

    Raises:
        BadSearch: a limit is passed or an operator or property unknown.
    """
    limit, start = _place(body)
    groups = [cast(list[Json], group.get("filters", [])) for group in body.get("filterGroups", [])]
    _check(portal, kind, groups)
    shelf = portal.index(kind)
    candidates = _by_match(shelf.by_match, groups, MATCHED_BY.get(kind, ""))
    keys = candidates if candidates is not None else set(shelf.index)
    text = str(body.get("query", "")).lower()
    found = [
        key for key in keys
        if (not groups or any(_all(shelf.index[key], group) for group in groups))
        and (not text or any(text in value.lower() for value in shelf.index[key].values()))
    ]  # fmt: skip
    found.sort()
    for sort in reversed(cast(list[Any], body.get("sorts", []))):
        _sort(found, shelf.index, sort)
    end = start + limit
    return found[start:end], len(found), end if end < len(found) else None


def _place(body: Json) -> tuple[int, int]:
    limit, after = body.get("limit", 10), str(body.get("after") or "0")
    if not isinstance(limit, int) or not 0 < limit <= _PAGE:
        raise BadSearch(f"The limit must be between 1 and {_PAGE}")
    if not after.isdigit():
        raise BadSearch("after must be a number")
    if int(after) + limit > _REACH:
        raise BadSearch(f"Search results are limited to {_REACH}; narrow the filters")
    return limit, int(after)


def _check(portal: PortalState, kind: str, groups: list[list[Json]]) -> None:
    if len(groups) > _GROUPS or any(len(group) > _FILTERS for group in groups):
        raise BadSearch(f"Too many filters: {_GROUPS} groups of {_FILTERS} are allowed")
    for one in (one for group in groups for one in group):
        if one.get("propertyName") not in portal.definitions(kind):
            raise BadSearch(f"There was a problem with the request: property"
                            f" {one.get('propertyName')} does not exist")  # fmt: skip
        if one.get("operator") not in _OPERATORS:
            raise BadSearch(f"Unknown operator {one.get('operator')}")
        if one["operator"] in {"IN", "NOT_IN"} and not 0 < len(one.get("values") or []) <= 100:
            raise BadSearch("IN needs 1 to 100 values")


def _by_match(
    index: Mapping[str, set[int]], groups: list[list[Json]], name: str
) -> set[int] | None:
    """Candidates from the index if every group asks for its property, else None (look at all)."""
    found: set[int] = set()
    for group in groups:
        named = [one for one in group
                 if one["propertyName"] == name and one["operator"] in {"EQ", "IN"}]  # fmt: skip
        if not named:
            return None
        for value in _values(named[0]):
            found |= index.get(value, set())
    return found if groups else None


def _values(one: Json) -> set[str]:
    if one["operator"] == "IN":
        return {str(value) for value in one["values"]}
    return {str(one.get("value", "")).lower()}


def _all(properties: Mapping[str, str], group: list[Json]) -> bool:
    return all(_holds(properties.get(one["propertyName"]), one) for one in group)


def _holds(value: str | None, one: Json) -> bool:
    operator = one["operator"]
    if operator in {"HAS_PROPERTY", "NOT_HAS_PROPERTY"}:
        return (value is not None) == (operator == "HAS_PROPERTY")
    if operator in {"NEQ", "NOT_IN"}:
        opposite = {"NEQ": "EQ", "NOT_IN": "IN"}[operator]
        return value is not None and not _holds(value, {**one, "operator": opposite})
    if value is None:
        return False
    if operator == "IN":
        return value.lower() in _values(one)
    wanted = str(one.get("value", ""))
    if operator == "EQ" and _A_TIME.match(value):
        left, right = _comparable(value, wanted)
        return left == right
    if operator == "EQ":
        return value.lower() in _values(one)
    if operator == "CONTAINS_TOKEN":
        return _contains(value.lower(), wanted.lower())
    left, right = _comparable(value, wanted)
    return {"GT": left > right, "GTE": left >= right, "LT": left < right, "LTE": left <= right}[
        operator
    ]


def _contains(value: str, wanted: str) -> bool:
    """Tokens are runs of letters and digits; `*` stands for the rest of a token."""
    parts = re.split(r"(\*)", wanted)
    pattern = "".join(".*" if part == "*" else re.escape(part) for part in parts)
    tokens = [*re.split(r"[^\w]+", value), *value.split(), value]
    return any(re.fullmatch(pattern, token) for token in tokens)


def _comparable(left: str, right: str) -> tuple[Any, Any]:
    """Both as numbers, where they are; a time as its milliseconds, in which filters name it."""
    try:
        return _number(left), _number(right)
    except (InvalidOperation, ValueError):
        return left, right


def _number(text: str) -> Decimal:
    if _A_TIME.match(text):
        return Decimal(round(datetime.fromisoformat(text).timestamp() * 1000))
    return Decimal(text)


def _sort(keys: list[int], index: Mapping[int, Mapping[str, str]], sort: Any) -> None:
    name, descending = (sort, False) if isinstance(sort, str) else (
        str(sort.get("propertyName", "")), sort.get("direction") == "DESCENDING"
    )  # fmt: skip

    def order(key: int) -> tuple[int, Any, str]:
        value = index[key].get(name, "")
        try:
            return (0, Decimal(value), "")
        except InvalidOperation:
            return (1, Decimal(0), value)

    keys.sort(key=order, reverse=descending)
