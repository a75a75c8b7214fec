"""People as several stores know them, written straight to the canonical tables of a tenant."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import count
from typing import Any
from uuid import UUID

from crm_integration.canonical.customer_rows import CustomersWritten, write_customers
from crm_integration.canonical.customers import Address, Customer, CustomerKind
from crm_integration.canonical.identity import lock_identities
from crm_integration.canonical.sourced import Sourced, Stamp, open_fields
from crm_integration_tests.house import Tenant, at

STAMP = Stamp("test", "v1")
PHONE = "020 7946 0123"


@dataclass(frozen=True)
class Seen:
    """One store object about a person: its connection, and what it says."""

    connection_id: str
    item: Customer

    @property
    def name(self) -> str:
        """How tests call it: connection and source id."""
        return f"{self.connection_id}/{self.item.source_id}"


def seen(
    source_id: str | int,
    name: str,
    email: str | None = None,
    *,
    store: str = "main",
    kind: str = "guest",
    when: datetime | None = None,
    line1: str = "",
    phone: str = "",
    **said: Any,
) -> Seen:
    """`name` is given name and surname; an address is there when `line1` is."""
    first, _, last = name.partition(" ")
    here = Address(kind="billing", line1=line1, city="London", postcode="SW1A 1AA",
                   country="GB", phone=phone)  # fmt: skip
    item = Customer(
        source_id=str(source_id), source_time=when or at(0), kind=CustomerKind(kind), email=email,
        first_name=first, last_name=last, addresses=(here,) if line1 else (), **said,
    )  # fmt: skip
    return Seen(store, item)


@dataclass
class People:
    """Writes people into a tenant and says who is one customer."""

    tenant: Tenant
    stores: Sequence[str] = ()
    not_keys: Sequence[str] = ()
    _raw: Any = field(default_factory=lambda: count(1))

    def write(self, *many: Seen) -> CustomersWritten:
        """All in one transaction, as one chunk."""
        batch = [Sourced(one.item, one.connection_id, next(self._raw), 1) for one in many]
        with self.tenant.scope() as scope:
            lock_identities(scope)
            return write_customers(scope, batch, STAMP, self.stores, self.not_keys)

    def groups(self, among: Iterable[Seen] = ()) -> set[frozenset[str]]:
        """Which of these (all) are one customer, by their names."""
        wanted = {one.name for one in among}
        found: dict[UUID, set[str]] = {}
        for row in self.tenant.rows("select * from customer_identities"):
            name = f"{row.connection_id}/{row.source_id}"
            if name in wanted or not wanted:
                found.setdefault(row.customer_id, set()).add(name)
        return {frozenset(group) for group in found.values()}

    def customers(self) -> dict[UUID, dict[str, Any]]:
        """The living customers, with their personal fields and addresses opened."""
        living = "select * from customers where merged_into is null"
        with self.tenant.scope() as scope:
            found = {
                row.customer_id: {
                    **row._mapping,
                    **open_fields(scope, "customers", str(row.customer_id), row.sealed),
                }
                for row in self.tenant.rows(living)
            }
            for row in self.tenant.rows("select * from addresses"):
                sealed = f"{row.customer_id}/{row.kind}"
                if row.customer_id in found:
                    opened = open_fields(scope, "addresses", sealed, row.sealed)
                    found[row.customer_id][row.kind] = opened
        return found

    def only(self) -> dict[str, Any]:
        """The one customer there is."""
        (one,) = self.customers().values()
        return one
