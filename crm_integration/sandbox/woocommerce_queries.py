"""WooCommerce's list parameters: what they mean, what is refused, which rows a page holds.

Prevents the failure of a lenient emulator: 101 a page is a 400, `modified_after` is strictly
after in whole seconds and in shop time, and a page number counts rows as they lie *now*.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol
from urllib.parse import urlencode

from crm_integration.sandbox.shop_state import OrderRecord, ShopState, SortedIds

_DATE = re.compile(
    r"^\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}:\d{2}(\.\d+)?(?P<zone>[Zz]|[+-]\d{2}:?\d{2})?$"
)
_DATES = ("after", "before", "modified_after", "modified_before")
_TRUE = {"1", "true", "yes"}
_HIGHEST = 2**63


class InvalidParameter(ValueError):
    """A parameter WooCommerce refuses with 400 (`name`, its message, WordPress' detail code)."""

    def __init__(self, name: str, message: str, code: str = "rest_invalid_param") -> None:
        super().__init__(message)
        self.name, self.message, self.code = name, message, code


@dataclass(frozen=True, slots=True)
class Paging:
    """Where a page lies: `page` from 1, `offset` wins over it as in WordPress."""

    page: int
    per_page: int
    offset: int | None
    descending: bool

    @property
    def start(self) -> int:
        return self.offset if self.offset is not None else (self.page - 1) * self.per_page


@dataclass(frozen=True, slots=True)
class Page:
    """The rows of a page and the totals its headers tell."""

    keys: list[int]
    total: int


def paging(params: Mapping[str, str]) -> Paging:
    """page, per_page, offset, order.

    Raises:
        InvalidParameter: as WordPress refuses it.
    """
    per_page = _number(params, "per_page", 10)
    if not 1 <= per_page <= 100:
        raise InvalidParameter(
            "per_page",
            "per_page must be between 1 (inclusive) and 100 (inclusive)",
            "rest_out_of_bounds",
        )
    page = _number(params, "page", 1)
    if page < 1:
        raise InvalidParameter(
            "page", "page must be greater than or equal to 1", "rest_out_of_bounds"
        )
    order = one_of(params, "order", ("asc", "desc"), "desc")
    offset = _number(params, "offset", 0) if "offset" in params else None
    return Paging(page, per_page, offset, order == "desc")


def one_of(params: Mapping[str, str], name: str, allowed: tuple[str, ...], fallback: str) -> str:
    """An enumerated parameter.

    Raises:
        InvalidParameter: with the list of what is allowed.
    """
    value = params.get(name, fallback)
    if value not in allowed:
        raise InvalidParameter(
            name, f"{name} is not one of {', '.join(allowed)}.", "rest_not_in_enum"
        )
    return value


def _number(params: Mapping[str, str], name: str, fallback: int) -> int:
    text = params.get(name, "")
    if not text and name not in params:
        return fallback
    if not re.fullmatch(r"-?\d{1,12}", text):
        raise InvalidParameter(name, f"{name} is not of type integer.", "rest_invalid_type")
    return int(text)


def ids_in(params: Mapping[str, str], name: str) -> set[int] | None:
    """A comma separated list of ids, or None where the parameter is absent."""
    text = params.get(name, "")
    if not text:
        return None
    if not re.fullmatch(r"\d+(,\d+)*", text):
        raise InvalidParameter(name, f"{name}[0] is not of type integer.", "rest_invalid_type")
    return {int(part) for part in text.split(",")}


def order_page(shop: ShopState, params: Mapping[str, str]) -> Page:
    """One page of GET orders.

    Raises:
        InvalidParameter: a date, an enumeration or a number is refused.
    """
    place = paging(params)
    times = _times(shop, params)
    orderby = one_of(params, "orderby", ("date", "id", "include", "title", "slug", "modified"),
                     "date")  # fmt: skip
    index, low, high = _range(shop, orderby, times)
    keep = _filter(shop, params, times)
    pairs = index.pairs
    if keep is None:
        return Page(_slice(pairs, low, high, place), high - low)
    kept = [pair for pair in pairs[low:high] if keep(shop.orders[pair[1]])]
    return Page(_slice(kept, 0, len(kept), place), len(kept))


def _slice(pairs: list[tuple[int, int]], low: int, high: int, place: Paging) -> list[int]:
    if place.descending:
        last = high - place.start
        chosen = pairs[max(low, last - place.per_page) : max(low, last)][::-1]
    else:
        first = low + place.start
        chosen = pairs[first : min(high, first + place.per_page)]
    return [key for _, key in chosen]


def _times(shop: ShopState, params: Mapping[str, str]) -> dict[str, int]:
    gmt = params.get("dates_are_gmt", "").lower() in _TRUE
    offset = 0 if gmt else shop.settings.utc_offset_minutes * 60
    return {name: _epoch(name, params[name], offset) for name in _DATES if name in params}


def _epoch(name: str, text: str, offset: int) -> int:
    found = _DATE.match(text)
    if found is None:
        raise InvalidParameter(name, "Invalid date.", "rest_invalid_date")
    try:
        moment = datetime.fromisoformat(text.upper().replace(" ", "T"))
    except ValueError as error:
        raise InvalidParameter(name, "Invalid date.", "rest_invalid_date") from error
    if found["zone"]:
        return int(moment.timestamp())
    return int(moment.replace(tzinfo=UTC).timestamp()) - offset


def _range(shop: ShopState, orderby: str, times: dict[str, int]) -> tuple[SortedIds, int, int]:
    """The index to walk and the stretch of it that the matching date bounds leave."""
    index, after, before = {
        "modified": (shop.by_modified, "modified_after", "modified_before"),
        "date": (shop.by_created, "after", "before"),
    }.get(orderby, (shop.by_id, "", ""))
    low, high = 0, len(index.pairs)
    if after in times:
        low = bisect_right(index.pairs, (times.pop(after), _HIGHEST))
    if before in times:
        high = max(low, bisect_left(index.pairs, (times.pop(before), -1)))
    return index, low, high


def _filter(
    shop: ShopState, params: Mapping[str, str], times: dict[str, int]
) -> Callable[[OrderRecord], bool] | None:
    """What the index could not answer, or None if nothing is left to check."""
    checks: list[Callable[[OrderRecord], bool]] = []
    for name, bound in times.items():
        checks.append(_time_check(name, bound))
    statuses = set(params.get("status", "any").split(","))
    if "any" not in statuses:
        checks.append(lambda order: order.status in statuses)
    include, exclude = ids_in(params, "include"), ids_in(params, "exclude")
    if include is not None:
        checks.append(lambda order: order.id in include)
    if exclude is not None:
        checks.append(lambda order: order.id not in exclude)
    if "customer" in params:
        customer = _number(params, "customer", 0)
        checks.append(lambda order: order.customer_id == customer)
    if not checks:
        return None
    return lambda order: all(check(order) for check in checks)


def dated(shop: ShopState, params: Mapping[str, str]) -> Callable[[_Dated], bool]:
    """Whether an object's times lie within the date bounds of the parameters."""
    checks = [_time_check(name, bound) for name, bound in _times(shop, params).items()]
    return lambda one: all(check(one) for check in checks)


class _Dated(Protocol):
    @property
    def created(self) -> int: ...
    @property
    def modified(self) -> int: ...


def _time_check(name: str, bound: int) -> Callable[[_Dated], bool]:
    if name.startswith("modified"):
        if name.endswith("after"):
            return lambda order: order.modified > bound
        return lambda order: order.modified < bound
    if name.endswith("after"):
        return lambda order: order.created > bound
    return lambda order: order.created < bound


def paging_headers(
    shop: ShopState, path: str, params: list[tuple[str, str]], place: Paging, page: Page
) -> dict[str, str]:
    """X-WP-Total, X-WP-TotalPages and Link; past the end the totals are 0, as recorded."""
    total = page.total if page.keys or place.start == 0 else 0
    pages = -(-total // place.per_page)
    headers = {"X-WP-Total": str(total), "X-WP-TotalPages": str(pages)}
    turns: list[tuple[str, int]] = []
    if place.page > 1:
        turns.append(("prev", min(place.page - 1, pages)))
    if place.page < pages:
        turns.append(("next", place.page + 1))
    kept = [(name, value) for name, value in params if name != "page"]
    links = [
        f"<{shop.settings.public_url}{path}?{urlencode([*kept, ('page', str(number))])}>;"
        f' rel="{name}"'
        for name, number in turns
    ]
    if links:
        headers["Link"] = ", ".join(links)
    return headers
