"""One tenant's webhooks looked at and put right, and what they had missed taken the whole way.

Prevents a repair that leaves the gap: what a dead topic did not tell is fetched and brought to the
CRM in the same run, and one store that cannot be asked stops no other.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from crm_integration.errors import CrmIntegrationError
from crm_integration.intake.open_store import OpenStore, open_store
from crm_integration.intake.watchdog import Look, is_watched, look, mend
from crm_integration.intake.webhook_gaps import Fetched, fetch_gaps
from crm_integration.sync.path import House
from crm_integration.sync.report import unforeseen
from crm_integration.tenancy.connections import StoredConnection, connections_of


@dataclass
class Watched:
    """What a watch found, by connection. `problems` name what could not be asked or put right."""

    tenant: str
    looks: dict[str, list[Look]] = field(default_factory=lambda: dict[str, list[Look]]())
    fetched: dict[str, list[Fetched]] = field(default_factory=lambda: dict[str, list[Fetched]]())
    problems: list[str] = field(default_factory=lambda: list[str]())

    @property
    def kept(self) -> int:
        """Raw records that the gaps brought."""
        return sum(one.kept for some in self.fetched.values() for one in some)


def watch_webhooks(
    house: House, tenant: str, *, receiver_url: str | None, run_id: str, mending: bool = True
) -> Watched:
    """Look at every store of a tenant that was given an address for deliveries.

    Without `mending` nothing is changed anywhere. Raises nothing.
    """
    done = Watched(tenant)
    try:
        for connection in _watched(house, tenant):
            try:
                _watch(house, tenant, connection, done, receiver_url, run_id, mending)
            except CrmIntegrationError as error:
                done.problems.append(f"{connection.connection_id}: {error}")
    except Exception as error:  # noqa: BLE001 - the tenant's boundary: its neighbours go on
        done.problems.append(unforeseen(error))
    return done


def _watched(house: House, tenant: str) -> list[StoredConnection]:
    with house.engines.tenancy.scope(tenant) as scope:
        return [
            one for one in connections_of(scope, "store") if is_watched(scope, one.connection_id)
        ]


def _watch(
    house: House,
    tenant: str,
    connection: StoredConnection,
    done: Watched,
    receiver_url: str | None,
    run_id: str,
    mending: bool,
) -> None:
    engines, name = house.engines, connection.connection_id
    store: OpenStore = open_store(engines.tenancy, engines.ops, tenant, connection)
    try:
        done.looks[name] = look(engines.tenancy, engines.ops, store)
        if not mending:
            return
        looks = mend(engines.tenancy, store, done.looks[name], receiver_url=receiver_url)
        done.looks[name] = looks
        done.problems += [f"{name} {one.topic}: {one.problem}" for one in looks if one.problem]
        done.fetched[name] = fetch_gaps(engines.tenancy, store, run_id=run_id)
    finally:
        store.client.close()
