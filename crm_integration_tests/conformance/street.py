"""One emulated store of any platform over real HTTP, and a connector's own calls to it.

Prevents a suite that is written for the connector it grew up with: nothing here or in the tests
beside it knows a platform. The registry names the connectors, `SHOP_KINDS` the emulators, and a
test asks what the shop holds (`truth.py`), never how its platform says so.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import count
from typing import Any

import pytest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from crm_integration.canonical.model import StoreObject
from crm_integration.canonical.versions import upcast
from crm_integration.sandbox.faults import FaultPlan, FaultRule, FaultyApp
from crm_integration.sandbox.order_book import CREDIT_TAG
from crm_integration.sandbox.shop_kinds import SHOP_KINDS, ShopKind
from crm_integration.sandbox.shop_state import ShopSettings, ShopState
from crm_integration.stores._contract import (
    Client,
    Gone,
    JsonObject,
    Page,
    SourceObject,
    StoreAccess,
    StoreContext,
    Window,
)
from crm_integration.stores._registry import StoreConnector, connector, platforms
from crm_integration_tests.served import Street

KEY, SECRET = "key-of-the-suite-7f31", "secret-of-the-suite-c0de"
CUT = None
"""What a spoiler gives for an answer that breaks off in the middle."""
MOST_PAGES, MOST_ANSWERS = 1_000, 3_000
"""Beyond these a listing is taken for endless, and is ended."""
SETTINGS: Mapping[str, Any] = {"credit_without_order_tag": CREDIT_TAG[1]}
"""Connection settings that several platforms understand; a connector gets those it names."""

Spoiler = Callable[[int, bytes], bytes | None]


class Traffic:
    """Between a connector and a shop: counts answers, edits the shop in between, spoils bytes.

    `after(n)` runs when the shop has made up its n-th answer and before anybody reads it, so
    the edit lies between two answers and nowhere else. `spoil(n, body)` gives the bytes that
    arrive instead, or CUT.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.quiet()

    def quiet(self) -> None:
        """Neither edits nor spoils; counting starts at none."""
        self.answers, self.most = 0, MOST_ANSWERS
        self.after: Callable[[int], None] = lambda number: None
        self.spoil: Spoiler = lambda number, body: body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        start: Message = {}
        parts: list[bytes] = []

        async def gather(message: Message) -> None:
            if message["type"] == "http.response.start":
                start.update(message)
            else:
                parts.append(message.get("body", b""))

        self.answers += 1
        if self.answers > self.most:
            await _enough(send)
            return
        await self._app(scope, receive, gather)
        number, body = self.answers, b"".join(parts)
        self.after(number)
        spoiled = self.spoil(number, body)
        sent = body if spoiled is CUT else spoiled
        kept = [pair for pair in start["headers"] if pair[0].lower() != b"content-length"]
        length = (b"content-length", str(len(sent)).encode())
        await send({**start, "headers": [*kept, length]})
        if spoiled is not CUT:
            await send({"type": "http.response.body", "body": sent})
            return
        half = body[: len(body) // 2]
        await send({"type": "http.response.body", "body": half, "more_body": True})
        getattr(send, "__self__").transport.abort()  # noqa: B009 - uvicorn's own object


async def _enough(send: Send) -> None:
    """A refusal that no connector tries again."""
    await send({"type": "http.response.start", "status": 400, "headers": []})
    await send({"type": "http.response.body", "body": b"the suite ends an endless listing"})


class Calls:
    """Counts the calls that reach a shop, the refused ones too."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.count = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.count += 1
        await self._app(scope, receive, send)


@dataclass(frozen=True)
class Listed:
    """What one listing brought."""

    pages: tuple[Page, ...]

    @property
    def objects(self) -> list[SourceObject]:
        return [item for page in self.pages for item in page.objects]

    @property
    def ids(self) -> set[str]:
        return {item.source_id for item in self.objects}

    @property
    def kept_back(self) -> int:
        """Pieces that were kept whole with a reason: the engine knows that something is missing."""
        return sum(len(page.unreadable) for page in self.pages)

    @property
    def newest(self) -> dict[str, SourceObject]:
        """The last version of each object."""
        return {item.source_id: item for item in self.objects}


@dataclass
class EmulatedStore:
    """A shop of one platform, served; every call to it is the connector's own."""

    platform: str
    serving: Street
    currency: str = "GBP"
    utc_offset_minutes: int = -300
    now: int = 0
    url: str = ""
    paused: float = 0.0
    state: ShopState = field(init=False, repr=False)
    traffic: Traffic = field(init=False, repr=False)
    faulty: FaultyApp = field(init=False, repr=False)
    calls: Calls = field(init=False, repr=False)
    _numbers = count(1)

    def __post_init__(self) -> None:
        name = f"{self.platform}-{next(self._numbers)}"
        self.state = ShopState(
            ShopSettings(
                name, KEY, SECRET, f"https://{name}.shop.example",
                utc_offset_minutes=self.utc_offset_minutes, currency=self.currency,
            ),
            clock=lambda: self.now,
        )  # fmt: skip
        self.traffic = Traffic(self._emulator())
        self.faulty = FaultyApp(self.traffic)
        self.calls = Calls(self.faulty)
        self.url = self.serving.open(name, self.calls)

    @property
    def kind(self) -> ShopKind:
        """Fails the test with what is missing."""
        if self.platform not in SHOP_KINDS:
            pytest.fail(f"{self.platform} has no emulator: enter it in sandbox/shop_kinds.py")
        return SHOP_KINDS[self.platform]

    def _emulator(self) -> ASGIApp:
        kind = self.kind
        try:
            return kind.app(self.state)
        except ImportError as error:
            pytest.fail(f"the emulator of {self.platform} ({kind.served_by}) is missing: {error}")

    @cached_property
    def connector(self) -> StoreConnector:
        """Fails the test with what is missing."""
        if self.platform not in platforms():
            pytest.fail(f"{self.platform} has no connector: make crm_integration/stores/<platform>")
        try:
            return connector(self.platform)
        except ImportError as error:
            pytest.fail(f"the connector of {self.platform} cannot be imported: {error}")

    @property
    def secrets(self) -> dict[str, str]:
        return self.kind.secrets(self.state.settings)

    @property
    def context(self) -> StoreContext:
        """What `to_canonical` gets beside the payload."""
        named = self.connector.manifest.settings
        return StoreContext(self.currency, {k: v for k, v in SETTINGS.items() if k in named})

    def access(self, **changes: Any) -> StoreAccess:
        """The way into this shop; `changes` replace fields."""
        return replace(StoreAccess(self.url, self.secrets, self.context.settings), **changes)

    @contextmanager
    def opened(self, **changes: Any) -> Iterator[Client]:
        """A new client, closed at the end."""
        client = self.connector.open(self.access(**changes))
        self.traffic.most = self.traffic.answers + MOST_ANSWERS
        self._hurry(client)
        try:
            yield client
        finally:
            client.close()

    def _hurry(self, client: Client) -> None:
        """Pauses are counted instead of made, where a connector pauses by an attribute `sleep` of
        its client or of a part of it (waiting for a bulk file takes seconds)."""
        for part in (client, *vars(client).values()):
            if callable(getattr(part, "sleep", None)):
                part.sleep = self._pause

    def _pause(self, seconds: float) -> None:
        self.paused += seconds

    def pages(
        self, client: Client, object_type: str, window: Window | None = None,
        resume: str | None = None,
    ) -> Iterator[Page]:  # fmt: skip
        """The connector's listing; an endless one fails the test."""
        for number, page in enumerate(
            self.connector.extract.pages(client, object_type, window, resume)
        ):
            assert number < MOST_PAGES, f"the listing of {object_type} does not end"
            yield page

    def listed(
        self, object_type: str, window: Window | None = None, resume: str | None = None,
        **changes: Any,
    ) -> Listed:  # fmt: skip
        """A whole listing by a new client."""
        with self.opened(**changes) as client:
            return Listed(tuple(self.pages(client, object_type, window, resume)))

    def fetched(self, object_type: str, ids: Sequence[str]) -> list[SourceObject | Gone]:
        """Direct reads by a new client."""
        with self.opened() as client:
            return list(self.connector.extract.fetch(client, object_type, ids))

    def follow(self, *rules: FaultRule) -> None:
        """Plan these faults; none ends them."""
        self.faulty.follow(FaultPlan(rules))

    def decoded(self, item: SourceObject) -> JsonObject:
        """A payload in the shape that `to_canonical` reads."""
        manifest, module = self.connector.manifest, self.connector.canonical
        steps: Any = getattr(module, "UPCASTERS", {})
        shape = item.shape or manifest.shape
        return upcast(steps, item.object_type, shape, manifest.shape, json.loads(item.payload))

    def parent(self, item: SourceObject, parents: Mapping[str, SourceObject]) -> JsonObject | None:
        """The payload of the object that this one cannot be read without."""
        if item.object_type not in self.connector.manifest.parents:
            return None
        assert item.parent_id is not None, f"{item.object_type} {item.source_id} names no parent"
        return self.decoded(parents[item.parent_id])

    def canonical(
        self, item: SourceObject, parents: Mapping[str, SourceObject] | None = None
    ) -> list[StoreObject]:
        """What one object stands for."""
        parent = self.parent(item, parents or {})
        return list(
            self.connector.canonical.to_canonical(
                item.object_type, self.decoded(item), parent, self.context
            )
        )
