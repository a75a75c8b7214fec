"""What every store connector offers, and all that the engine knows of a store.

Prevents the second platform from leaking into the engine: intake and sync are written against
these shapes alone. A connector is a folder `stores/<platform>/` with

- `manifest.yaml`   what can be declared (see `_registry.StoreManifest`)
- `client.py`       `Client(access: StoreAccess)`: authenticated calls, vendor answers -> errors
- `extract.py`      `check`, `pages`, `fetch` (signatures below)
- `to_canonical.py` `to_canonical(object_type, payload, parent, context)`
- `webhook.py`      `read_delivery(headers, body)`, and what the store is subscribed to

A connector never sees a tenant, a database or another connector.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Protocol, Self

from crm_integration.canonical.model import StoreObject
from crm_integration.transport.token_auth import Renew

JsonObject = dict[str, Any]


Gate = Callable[[str], None]
"""Called with an endpoint class of the manifest's `budgets` right before each HTTP call; it may
wait for the metered account's budget, and raises Transient when there is none left."""

Upcaster = Callable[[JsonObject], JsonObject]
"""One payload of an older shape as the next newer one. Pure; raises Unreadable."""


def unmetered(endpoint_class: str) -> None:
    """The gate of a store that meters nobody."""


@dataclass(frozen=True)
class StoreAccess:
    """Where the store is and how we may enter; `secrets` never appears in a repr."""

    base_url: str
    secrets: Mapping[str, str] = field(repr=False)
    settings: Mapping[str, Any] = field(default_factory=lambda: dict[str, Any]())
    gate: Gate = field(default=unmetered, repr=False)
    renew: Renew | None = field(default=None, repr=False)
    """Gives a token in place of one that the account refused; None where nothing runs out."""


@dataclass(frozen=True)
class StoreAccount:
    """The account's own identity, as the store states it, and what its answers leave out."""

    account_id: str
    currency: str
    timezone: str
    name: str = ""


@dataclass(frozen=True)
class Window:
    """Source time in `[start, end)`, whole UTC days; `since` and `until` narrow it to moments."""

    start: date
    end: date
    since: datetime | None = None
    until: datetime | None = None

    @classmethod
    def between(cls, since: datetime, until: datetime) -> Self:
        """From one moment up to another, with the UTC days that hold them."""
        since, until = since.astimezone(UTC), until.astimezone(UTC)
        last = (until - timedelta(microseconds=1)).date()
        return cls(since.date(), max(last, since.date()) + timedelta(days=1), since, until)

    @property
    def begin(self) -> datetime:
        """The first moment that belongs to it."""
        return self.since or datetime.combine(self.start, time(), UTC)

    @property
    def finish(self) -> datetime:
        """The first moment that does not."""
        return self.until or datetime.combine(self.end, time(), UTC)


@dataclass(frozen=True)
class SourceObject:
    """One object exactly as the store sent it.

    `payload` is the object's own bytes cut out of the answer, never re-serialised; an object
    that comes in several pieces (the lines of a bulk file) is those pieces, verbatim, in a JSON
    envelope. `source_time` (UTC) is None where the store states none. `parent_id` names the
    object that this one cannot be read without (a WooCommerce refund carries no currency: its
    order does). `shape` names the form of the payload where a platform has several, "" for the
    manifest's own `shape`; two forms of one version are no contradiction.
    """

    object_type: str
    source_id: str
    source_time: datetime | None
    payload: bytes
    parent_id: str | None = None
    shape: str = ""


@dataclass(frozen=True)
class Gone:
    """A read by id said that the object does not exist (any more)."""

    object_type: str
    source_id: str


@dataclass(frozen=True)
class Unsplittable:
    """A page that is not what the store's API promises; kept whole, with the reason."""

    object_type: str
    reason: str
    payload: bytes


@dataclass(frozen=True)
class Page:
    """One answer of a listing.

    `checkpoint` is opaque to the engine: handed back as `resume`, the listing goes on behind
    this page, in another process too. `listed` is how many objects the store counts in the
    whole listing, None where it cannot count.
    """

    objects: tuple[SourceObject, ...]
    checkpoint: str
    listed: int | None = None
    unreadable: tuple[Unsplittable, ...] = ()


@dataclass(frozen=True)
class StoreContext:
    """What a payload leaves out: the shop's currency and the connection's settings."""

    currency: str
    settings: Mapping[str, Any] = field(default_factory=lambda: dict[str, Any]())


class Unreadable(ValueError):
    """One payload cannot become canonical; `reason` is a stable code, `field` the JSON path.

    The message carries no value of the payload.
    """

    def __init__(self, reason: str, *, field: str, fix: str) -> None:
        super().__init__(f"{reason} at {field}: {fix}")
        self.reason, self.field, self.fix = reason, field, fix


class Client(Protocol):
    """Authenticated calls to one store."""

    def close(self) -> None:
        """Give the connections back."""


class ExtractModule(Protocol):
    """`stores/<platform>/extract.py`."""

    def check(self, client: Client) -> StoreAccount:
        """Who answers with these credentials? Raises NeedsReconnect, MissingScope, Transient."""
        ...

    def pages(
        self, client: Client, object_type: str, window: Window | None, resume: str | None
    ) -> Iterator[Page]:
        """Everything of a type whose source time lies in the window, and maybe more.

        None: everything there is. Types in the manifest's `swept` have no filter at the store:
        they are listed whole whatever the window. No object that exists during the whole
        listing may be missed, whatever changes meanwhile; seeing one twice is allowed.
        """
        ...

    def fetch(
        self, client: Client, object_type: str, source_ids: Sequence[str]
    ) -> Iterator[SourceObject | Gone]:
        """Direct reads by id, in any order, each id answered once."""
        ...


class ToCanonicalModule(Protocol):
    """`stores/<platform>/to_canonical.py`.

    It may have `UPCASTERS: Mapping[tuple[str, str], tuple[str, Upcaster]]`: (object type, shape)
    -> (the next newer shape, how to get there). `to_canonical` sees the manifest's shape only.
    """

    def to_canonical(
        self,
        object_type: str,
        payload: JsonObject,
        parent: JsonObject | None,
        context: StoreContext,
    ) -> Iterable[StoreObject]:
        """The canonical objects one raw record stands for (an order of a guest: two).

        Of the entities that the manifest's `yields` names for this type. Milestones on the
        timeline are made by the engine from orders and shipments, not here.

        Pure: no I/O, no clock. Raises Unreadable for a payload that cannot be understood.
        """
        ...


@dataclass(frozen=True)
class Delivery:
    """What a webhook delivery is about, read from headers and body alone.

    `thin`: the body is not the object in the shape that `to_canonical` reads, so the object is
    read from the store before anything is believed.
    """

    topic: str
    object_type: str | None
    source_id: str | None
    source_time: datetime | None
    delivery_id: str | None
    deleted: bool = False
    thin: bool = False


@dataclass(frozen=True)
class Subscription:
    """One webhook as the store keeps it; `address` holds the secret path. `active` is False for
    one that the store has switched off."""

    subscription_id: str
    topic: str
    address: str = field(repr=False)
    active: bool = True


class WebhookModule(Protocol):
    """`stores/<platform>/webhook.py`.

    What changes a subscription is sent once and raises what the store refuses; nothing else of a
    store is ever written. `secret` is what the store shall sign with, None where it chooses.
    """

    def read_delivery(self, headers: Mapping[str, str], body: bytes) -> Delivery:
        """Header names are lower-case. Raises Unreadable when nothing can be told."""
        ...

    def subscriptions(self, client: Client) -> Sequence[Subscription]:
        """All webhooks that these credentials may see, other programs' too."""
        ...

    def subscribe(self, client: Client, topic: str, address: str, secret: str | None) -> None:
        """Let the store tell an address of a topic."""
        ...

    def revive(self, client: Client, found: Subscription, secret: str | None) -> None:
        """Switch on again what the store has switched off, at the same address."""
        ...

    def unsubscribe(self, client: Client, found: Subscription) -> None:
        """Take a webhook away; one that is gone already is as wanted."""
        ...
