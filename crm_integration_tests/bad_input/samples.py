"""Real payloads of each platform, as its emulator sends them, and copies of them to be spoilt.

Prevents a suite that spoils payloads somebody made up for it: every text field that a platform
really sends is met, and a new connector brings its own. Nothing here knows a platform.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import Any, cast

from crm_integration.canonical.model import StoreObject
from crm_integration.canonical.versions import upcast
from crm_integration.sandbox.shop_state import ConsentRecord, RefundRecord, ShopState
from crm_integration.stores._contract import (
    JsonObject,
    SourceObject,
    StoreContext,
    Unreadable,
    Window,
)
from crm_integration.stores._registry import StoreConnector, connector
from crm_integration_tests.conformance import books
from crm_integration_tests.conformance.street import EmulatedStore
from crm_integration_tests.served import Street

Path = tuple[str | int, ...]
_DAYS = Window(date(2026, 10, 19), date(2026, 10, 22))
"""Around `books.NOON`; some platforms list a few days in another form than everything."""
_MAIL = "@example."
_STRIDE = 1_000_000
"""Copies of one payload have ids so far apart that no two of them share one."""


@dataclass(frozen=True)
class Sample:
    """One payload as the store sent it, decoded, with that of its parent where it needs one."""

    platform: str
    object_type: str
    source: SourceObject
    parent: Sample | None

    @property
    def name(self) -> str:
        return f"{self.object_type}-{self.source.shape}".rstrip("-")

    @cached_property
    def connector(self) -> StoreConnector:
        return connector(self.platform)

    @cached_property
    def document(self) -> JsonObject:
        return cast(JsonObject, json.loads(self.source.payload))

    def read(self, document: JsonObject) -> list[StoreObject]:
        """What the connector makes of it. Raises Unreadable."""
        parent = self.parent._lifted(self.parent.document) if self.parent else None
        context = StoreContext("GBP")
        canonical = self.connector.canonical
        return list(
            canonical.to_canonical(self.object_type, self._lifted(document), parent, context)
        )

    def _lifted(self, document: JsonObject) -> JsonObject:
        newest = self.connector.manifest.shape
        steps: Any = getattr(self.connector.canonical, "UPCASTERS", {})
        return upcast(steps, self.object_type, self.source.shape or newest, newest, document)

    @cached_property
    def free(self) -> tuple[Path, ...]:
        """Text fields that may all at once hold any word: names, notes, titles, addresses."""
        found: dict[Path, str] = {}
        for path in self.texts:
            if not _is_id(path) and self._takes({**found, path: "Word"}):
                found[path] = "Word"
        return tuple(found)

    @cached_property
    def bound(self) -> tuple[Path, ...]:
        """Text fields with a form of their own (dates, money, states), without the object's id."""
        return tuple(path for path in self.texts if path not in self.free)

    @cached_property
    def texts(self) -> tuple[Path, ...]:
        """Every text field but those that hold the object's own id."""
        found = (path for path, value in leaves(self.document) if isinstance(value, str))
        return tuple(path for path in found if path not in self.own_ids)

    @cached_property
    def own_ids(self) -> tuple[Path, ...]:
        own = self.source.source_id
        return tuple(
            path
            for path, value in leaves(self.document)
            if _is_id(path) and (str(value) == own or str(value).endswith(f"/{own}"))
        )

    def _takes(self, changes: dict[Path, Any]) -> bool:
        before = [type(one) for one in self.read(self.document)]
        try:
            found = self.read(replaced(self.document, changes))
        except Unreadable:
            return False
        return [type(one) for one in found] == before

    def copy(self, number: int, changes: dict[Path, Any] | None = None) -> list[SourceObject]:
        """The payload with these values changed under ids of its own, and its parent before it."""
        made = [] if self.parent is None else self.parent.copy(number)
        document = renumbered(replaced(self.document, changes or {}), number)
        return [*made, self.as_sent(number, encoded(document))]

    def as_sent(self, number: int, payload: bytes) -> SourceObject:
        """These bytes as the `number`-th copy of the object."""
        parent_id = self.source.parent_id
        return SourceObject(
            self.object_type,
            _shifted(self.source.source_id, number),
            self.source.source_time,
            payload,
            None if parent_id is None else _shifted(parent_id, number),
            self.source.shape or self.connector.manifest.shape,
        )


def encoded(document: Any) -> bytes:
    """As JSON; lone surrogates are escaped, as the shops that send them do."""
    return json.dumps(document, ensure_ascii=True).encode()


def leaves(value: Any, at: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Every place that holds no further places, with its value."""
    if isinstance(value, dict) and value:
        for key, inner in cast(JsonObject, value).items():
            yield from leaves(inner, (*at, key))
    elif isinstance(value, list) and value:
        for position, inner in enumerate(cast(list[Any], value)):
            yield from leaves(inner, (*at, position))
    else:
        yield at, value


def places(value: Any, at: Path = ()) -> Iterator[Path]:
    """Every place below the root, blocks and lists too."""
    if at:
        yield at
    if isinstance(value, dict):
        for key, inner in cast(JsonObject, value).items():
            yield from places(inner, (*at, key))
    elif isinstance(value, list):
        for position, inner in enumerate(cast(list[Any], value)):
            yield from places(inner, (*at, position))


def replaced(document: JsonObject, changes: dict[Path, Any]) -> JsonObject:
    """A copy with other values at these places."""
    made = json.loads(json.dumps(document))
    for path, value in changes.items():
        holder: Any = made
        for part in path[:-1]:
            holder = holder[part]
        holder[path[-1]] = value
    return made


def renumbered(document: JsonObject, number: int) -> JsonObject:
    """A copy whose ids (and so all it stands for) are its own, and whose e-mail addresses too."""

    def walk(value: Any, key: str) -> Any:
        if isinstance(value, dict):
            return {name: walk(one, name) for name, one in cast(JsonObject, value).items()}
        if isinstance(value, list):
            return [walk(one, key) for one in cast(list[Any], value)]
        if isinstance(value, str) and _MAIL in value:
            return f"n{number}.{value}"
        return _other_id(value, number) if _names_an_id(key) else value

    return cast(JsonObject, walk(document, ""))


def _is_id(path: Path) -> bool:
    return any(_names_an_id(part) for part in path[-2:] if isinstance(part, str))


def _names_an_id(key: str) -> bool:
    return key == "id" or key.endswith(("_id", "Id", "_ids"))


def _other_id(value: Any, number: int) -> Any:
    if type(value) is int and value > 0:
        return value * _STRIDE + number
    return _shifted(value, number) if isinstance(value, str) else value


def _shifted(text: str, number: int) -> str:
    """`7` and `gid://shop/Order/7?key=x` with the 7 moved on; everything else as it is."""
    head, slash, last = text.rpartition("/")
    digits, mark, rest = last.partition("?")
    if not (digits.isascii() and digits.isdigit() and int(digits)):
        return text
    return f"{head}{slash}{int(digits) * _STRIDE + number}{mark}{rest}"


def samples_of(platform: str, serving: Street) -> tuple[Sample, ...]:
    """One rich payload of each object type and shape that the platform's listings bring."""
    store = EmulatedStore(platform, serving, now=books.LATER)
    _furnish(store.state)
    manifest = store.connector.manifest
    found: dict[str, Sample] = {}
    for object_type in manifest.object_types:
        for window in (_DAYS, None):
            for one in _richest(store, object_type, window):
                parent_type = manifest.parents.get(object_type)
                parent = found.get(parent_type or "")
                made = Sample(platform, object_type, one, parent)
                found.setdefault(made.name, made)
    return tuple(found.values())


def _richest(store: EmulatedStore, object_type: str, window: Window | None) -> list[SourceObject]:
    objects = store.listed(object_type, window).objects
    return sorted(objects, key=lambda one: len(one.payload), reverse=True)[:1]


def _furnish(state: ShopState) -> None:
    """An account with an address, its order with a parcel and a refund, its cart, its consent."""
    at = books.NOON
    holder = books.account(state, 11, at)
    holder.consent = ConsentRecord("subscribed", at - 3_600, "confirmed")
    billing = {
        "first_name": "Gus", "last_name": "Guest", "company": "Guest Ltd", "address_1": "1 Road",
        "address_2": "Flat 2", "city": "Leeds", "state": "West Yorkshire", "postcode": "LS1 1AA",
        "country": "GB", "email": "gus@example.com", "phone": "+44 113 496 0000",
    }  # fmt: skip
    order = books.order(
        state, 12, at, lines=(books.mug(700, quantity=2), books.mug(300, "SPOON", "Spoon")),
        total_minor=1_000, billing=billing, customer_note="leave it at the door",
    )  # fmt: skip
    books.parcel(state, 13, order, at + 60, "shipped")
    state.add_refund(order, RefundRecord(14, order.id, at + 120, 50, "broken", ()))
    books.cart(state, 15, at, customer_id=11, person="customer:11")
    state.reindex()
