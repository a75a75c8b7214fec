"""The engine with its tenants, each with a shop and a CRM account of its own over real HTTP.

A test takes a fresh tenant, edits its shop or its portal as people would, and runs the way
through; so no test sees another one's records.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any, Protocol

import orjson
from sqlalchemy import text

from crm_integration.intake.extract import Extracted, extract
from crm_integration.intake.open_store import OpenStore, open_store
from crm_integration.intake.raw_records import Kept, Observation, keep
from crm_integration.mapping.model import CompiledMapping
from crm_integration.mapping.tenant_file import compiled_mappings, tenant_config
from crm_integration.quality.rules import rules_version
from crm_integration.storage.engine import engine_for
from crm_integration.storage.sealing import MasterKey
from crm_integration.storage.urls import DatabaseUrls
from crm_integration.stores._contract import SourceObject, StoreAccess, Window
from crm_integration.stores._registry import connector
from crm_integration.sync.crm_run import sync_crm
from crm_integration.sync.crm_session import CrmRun
from crm_integration.sync.derive import Derived, derive_window, deriver
from crm_integration.sync.engines import Engines
from crm_integration.sync.restraint import Limit
from crm_integration.sync.tenant_settings import USUAL, EngineSettings
from crm_integration.tenancy.connections import StoredConnection, save_connection
from crm_integration.tenancy.scope import Tenancy, TenantScope
from crm_integration.tenancy.tenants import create_tenant
from crm_integration_tests.served import Portal, Shop, Street

MAPPINGS = Path(__file__).parents[1] / "mappings"
STARTED = date(2010, 1, 1)
WHOLE = Window(date(2009, 1, 1), date(2100, 1, 1))
CREDIT_TAG = "credit-without-order"
OPTIONS: Mapping[str, str | int | float | bool] = {}
VERSION = rules_version(OPTIONS)


@dataclass(frozen=True)
class Ran:
    """What one pass of the whole way did."""

    extracted: dict[str, Extracted]
    derived: Derived
    crm: CrmRun


@dataclass
class Store:
    """One connected shop of a tenant."""

    shop: Shop
    connection: StoredConnection


class Account(Protocol):
    """A CRM account that a test brings along, in place of a HubSpot portal."""

    @property
    def connection(self) -> StoredConnection: ...
    @property
    def secrets(self) -> Mapping[str, str]: ...
    @property
    def mappings(self) -> dict[str, CompiledMapping]: ...


@dataclass(repr=False)
class Tenant:
    """A tenant with its stores and its CRM account, and the way through in one call.

    `stores` by connection id; the first one, `main`, is what is meant where none is named.
    """

    house: House = field(repr=False)
    name: str
    portal: Portal = field(repr=False)
    stores: dict[str, Store] = field(default_factory=dict[str, Store], repr=False)
    order: tuple[str, ...] = ()
    """The order of the stores that its file would give."""
    account: Account | None = field(default=None, repr=False)
    _runs: Iterator[int] = field(default_factory=lambda: count(1))

    def __repr__(self) -> str:
        return f"<{self.name}>"

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        """Hypothesis would print every field otherwise."""
        printer.text(repr(self))

    @property
    def shop(self) -> Shop:
        """The first store's shop."""
        return self.stores["main"].shop

    @property
    def store(self) -> StoredConnection:
        """The first store's connection as it was saved."""
        return self.stores["main"].connection

    def add_store(self, platform: str, connection_id: str) -> Shop:
        """Connect a new shop of this platform; what its own check says is its account."""
        suffix = "" if connection_id == "main" else f"-{connection_id}"
        shop = Shop(f"{self.name}{suffix}", platform)
        shop.url = self.house.street.open(f"{self.name}{suffix}-shop", shop.app)
        connection = StoredConnection(
            connection_id,
            "store",
            platform,
            shop.url,
            _account_id(platform, shop),
            "GBP",
            "UTC",
            _settings(platform),
        )
        self.stores[connection_id] = Store(shop, connection)
        with self.scope() as scope:
            save_connection(scope, connection, shop.secrets, actor="test")
        return shop

    @property
    def crm(self) -> StoredConnection:
        """The CRM connection as it was saved."""
        if self.account is not None:
            return self.account.connection
        portal_id = str(self.portal.state.settings.portal_id)
        return StoredConnection("crm", "crm", "hubspot", self.portal.url, portal_id)

    @contextmanager
    def scope(self) -> Iterator[TenantScope]:
        """One transaction inside this tenant's walls."""
        with self.house.tenancy.scope(self.name) as scope:
            yield scope

    def rows(self, sql: str, **values: Any) -> list[Any]:
        """Rows of a query inside the walls."""
        with self.scope() as scope:
            return list(scope.connection.execute(text(sql), values).all())

    def value(self, sql: str, **values: Any) -> Any:
        """The only value of a query inside the walls."""
        ((found,),) = self.rows(sql, **values)
        return found

    def state(self, object_type: str) -> list[tuple[str, str | None]]:
        """(state, reason) of the ledger's rows of a type, sorted."""
        rows = self.rows("select state, reason from ledger where object_type = :t", t=object_type)
        found = ((row.state, row.reason) for row in rows)
        return sorted(found, key=lambda one: (one[0], one[1] or ""))

    def hurry(self) -> None:
        """Make every row that waits for its time due now."""
        with self.scope() as scope:
            scope.connection.execute(text("update ledger set next_try_at = now()"))

    def opened(self, connection_id: str = "main") -> OpenStore:
        """The store with a client; the caller closes it."""
        connection = self.stores[connection_id].connection
        return open_store(self.house.tenancy, self.house.engines.ops, self.name, connection)

    def extract(
        self, *object_types: str, window: Window = WHOLE, connection_id: str = "main"
    ) -> dict[str, Extracted]:
        """List these types (all, in the connector's order) of one store."""
        store = self.opened(connection_id)
        run_id = f"r{next(self._runs)}"
        try:
            return {
                one: extract(self.house.tenancy, store, one, window, run_id=run_id)
                for one in object_types or store.connector.manifest.object_types
            }
        finally:
            store.client.close()

    def keep(
        self,
        *objects: SourceObject,
        how: Observation = Observation.list,
        connection_id: str = "main",
    ) -> Kept:
        """Keep objects as if a listing (or a delivery, or a read) had brought them."""
        with self.scope() as scope:
            return keep(scope, connection_id, objects, how, run_id="test")

    def derive(self, window: Window = WHOLE) -> Derived:
        """Raw records of all stores to canonical rows."""
        done = Derived()
        for one in self.stores.values():
            made = deriver(
                one.connection, OPTIONS, run_id=f"r{next(self._runs)}", stores=self.order
            )
            types = made.connector.manifest.object_types
            days = (window.start, window.end)
            done.add(derive_window(self.house.tenancy, self.name, made, days, types))
        return done

    @property
    def mappings(self) -> dict[str, CompiledMapping]:
        """Those that its CRM account brings, else the latest ones."""
        return self.account.mappings if self.account else self.house.mappings

    def sync(
        self,
        *object_types: str,
        version: str = VERSION,
        limit: Limit = USUAL.limit,
        settings: EngineSettings = USUAL,
    ) -> CrmRun:
        """Canonical rows to the CRM: these object types (all)."""
        mappings = self.mappings
        return sync_crm(
            self.house.engines,
            self.name,
            mappings,
            version,
            object_types or tuple(mappings),
            run_id=f"r{next(self._runs)}",
            limit=limit,
            settings=settings,
        )

    def run_once(self) -> Ran:
        """Extract all of all stores, derive, write to the CRM.

        What was extracted is told by object type, that of further stores as `<store>/<type>`.
        """
        extracted = self.extract()
        for name in list(self.stores)[1:]:
            more = self.extract(connection_id=name)
            extracted |= {f"{name}/{one}": brought for one, brought in more.items()}
        return Ran(extracted, self.derive(), self.sync())


def _account_id(platform: str, shop: Shop) -> str:
    """As the shop itself states it; the calls it took are not counted."""
    found = connector(platform)
    client = found.open(StoreAccess(shop.url, shop.secrets))
    try:
        return found.extract.check(client).account_id
    finally:
        client.close()
        shop.app.calls.clear()


def _settings(platform: str) -> dict[str, str]:
    named = connector(platform).manifest.settings
    return {"credit_without_order_tag": CREDIT_TAG} if "credit_without_order_tag" in named else {}


@dataclass
class House:
    """A migrated database, the engines on it, and tenants on demand."""

    urls: DatabaseUrls
    street: Street
    tenancy: Tenancy
    engines: Engines
    mappings: dict[str, CompiledMapping]
    _numbers: Iterator[int] = field(default_factory=lambda: count(1))
    _tenants: list[Tenant] = field(default_factory=list[Tenant])

    @classmethod
    def built(cls, urls: DatabaseUrls, street: Street) -> House:
        """On a database that is migrated already."""
        tenancy = Tenancy(engine_for(urls.app), MasterKey(b"k" * 32))
        config = tenant_config(MAPPINGS, "anyone", crm="hubspot")
        mappings = compiled_mappings(MAPPINGS, config)
        return cls(urls, street, tenancy, Engines(tenancy, engine_for(urls.ops)), mappings)

    def tenant(self, platform: str = "woocommerce", *, crm: Account | None = None) -> Tenant:
        """A new tenant with a new shop and a new CRM account, both connected.

        Its CRM is the account that `crm` brings, else a HubSpot portal of its own.
        """
        number = next(self._numbers)
        name = f"tenant{number}"
        portal = Portal(42_000_000 + number)
        portal.url = self.street.open(f"{name}-crm", portal.app)
        create_tenant(self.tenancy, name, started_on=STARTED, actor="test")
        made = Tenant(self, name, portal, account=crm)
        made.add_store(platform, "main")
        with made.scope() as scope:
            secrets = crm.secrets if crm else {"access_token": portal.token}
            save_connection(scope, made.crm, secrets, actor="test")
        self._tenants.append(made)
        return made

    def close(self) -> None:
        """Give the shops' own clients back."""
        for tenant in self._tenants:
            for one in tenant.stores.values():
                one.shop.close()


def source(
    object_type: str,
    source_id: str | int,
    at: datetime | None,
    payload: Mapping[str, Any] | bytes,
    *,
    parent: str | int | None = None,
) -> SourceObject:
    """One object as a store would send it."""
    body = payload if isinstance(payload, bytes) else orjson.dumps(payload)
    return SourceObject(
        object_type, str(source_id), at, body, None if parent is None else str(parent)
    )


NOON = datetime(2024, 3, 1, 12, tzinfo=UTC)


def at(minutes: int) -> datetime:
    """A source time so many minutes after noon of a day in 2024."""
    return NOON + timedelta(minutes=minutes)


def order(number: int, when: datetime, /, **changes: Any) -> SourceObject:
    """A guest's paid order of £10 as WooCommerce sends it."""
    stamp = when.strftime("%Y-%m-%dT%H:%M:%S")
    email = changes.pop("email", f"guest{number}@example.com")
    name = changes.pop("first_name", "Gus")
    payload = {
        "id": number, "number": str(number), "status": "processing", "currency": "GBP",
        "customer_id": 0, "date_created_gmt": "2024-03-01T12:00:00", "date_modified_gmt": stamp,
        "date_paid_gmt": "2024-03-01T12:00:00", "total": "10.00", "total_tax": "0.00",
        "shipping_total": "0.00", "discount_total": "0.00", "refunds": [], "meta_data": [],
        "billing": {"first_name": name, "last_name": "Guest", "email": email, "country": "GB"},
        "line_items": [line("MUG")],
    }  # fmt: skip
    return source("order", number, when, {**payload, **changes})


def line(sku: str, quantity: int = 1, total: str = "10.00") -> dict[str, Any]:
    """One line item."""
    return {
        "id": 1, "name": sku.title(), "product_id": 5, "variation_id": 0, "quantity": quantity,
        "sku": sku, "price": 10, "total": total, "total_tax": "0.00",
    }  # fmt: skip


def account(number: int, when: datetime, email: str, **changes: Any) -> SourceObject:
    """A registered customer as WooCommerce sends it."""
    stamp = when.strftime("%Y-%m-%dT%H:%M:%S")
    payload = {
        "id": number, "email": email, "first_name": "Ada", "last_name": "Account",
        "date_created_gmt": "2024-02-01T12:00:00", "date_modified_gmt": stamp,
        "billing": {}, "shipping": {},
    }  # fmt: skip
    return source("customer", number, when, {**payload, **changes})


def refund(number: int, order_id: int, amount: str, when: datetime) -> SourceObject:
    """A refund as WooCommerce lists it; it carries no currency, its order does."""
    stamp = when.strftime("%Y-%m-%dT%H:%M:%S")
    payload = {
        "id": number, "parent_id": order_id, "amount": amount, "reason": "",
        "date_created_gmt": stamp,
    }  # fmt: skip
    return source("refund", number, when, payload, parent=order_id)


def partition(tenant: Tenant, numbers: Iterable[str]) -> set[frozenset[str]]:
    """Which of these store identities (their source ids) are one customer."""
    rows = tenant.rows("select source_id, customer_id from customer_identities")
    groups: dict[Any, set[str]] = {}
    wanted: Sequence[str] = list(numbers)
    for row in rows:
        if row.source_id in wanted:
            groups.setdefault(row.customer_id, set()).add(row.source_id)
    return {frozenset(group) for group in groups.values()}
