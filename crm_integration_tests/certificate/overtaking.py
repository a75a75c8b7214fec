"""Brings a newer version of what is being sent right now, while its sender lingers.

Prevents a race that is only hoped for: what is in flight is asked of the ledger, exactly those
objects change in their shop, and their wishes move on before the sender goes on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine, text

from crm_integration.mapping.tenant_file import compiled_mappings
from crm_integration.quality.rules import rules_version
from crm_integration.sync.live_pass import LivePass
from crm_integration.sync.project import project
from crm_integration_tests.certificate.posting import PostOffice
from crm_integration_tests.certificate.stand import Stand, house, impatient

_IN_FLIGHT = """
select l.tenant_id, 'orders' as kind, o.source_id
from ledger l join orders o on o.tenant_id = l.tenant_id and o.order_id = l.object_id
where l.state = 'in_flight'
union all
select l.tenant_id, 'accounts', i.source_id
from ledger l join customer_identities i
  on i.tenant_id = l.tenant_id and i.customer_id = l.object_id and i.kind = 'registered'
where l.state = 'in_flight'
"""
_OVERTAKEN = """
select count(*) from ledger where state = 'in_flight' and desired_digest <> sending_digest
"""
_MOST = 3
_ARRIVES_WITHIN = 0.4
"""Seconds that a newer version has to arrive: whoever sends the older one lingers for longer."""


@dataclass
class Overtaking:
    """`everywhere` reads all tenants' ledgers, as only a test may."""

    stand: Stand
    everywhere: Engine
    office: PostOffice

    def overtake(self) -> bool:
        """True if something in flight has a newer version now."""
        found = self._in_flight()
        if found is None:
            return False
        tenant, orders, accounts = found
        body = {"again": {"tenant": tenant, "orders": orders, "accounts": accounts}}
        self.office.put(self.stand.town.ask("/advance", body))
        self.office.carrier.arrived(_ARRIVES_WITHIN)
        self._derive(tenant)
        with self.everywhere.connect() as connection:
            return bool(connection.scalar(text(_OVERTAKEN)))

    def _in_flight(self) -> tuple[str, list[int], list[int]] | None:
        with self.everywhere.connect() as connection:
            rows: list[Any] = list(connection.execute(text(_IN_FLIGHT)).all())
        if not rows:
            return None
        tenant = rows[0].tenant_id

        def those(kind: str) -> list[int]:
            return [int(r.source_id) for r in rows if (r.tenant_id, r.kind) == (tenant, kind)]

        return tenant, those("orders")[:_MOST], those("accounts")[:_MOST]

    def _derive(self, tenant: str) -> None:
        """What a third driver would do, up to the wishes."""
        engine = house(impatient(self.stand.urls), self.stand.mappings)
        third = LivePass(engine, "overtaking")
        try:
            third.take_in(tenant)
        finally:
            third.close()
        config = engine.config(tenant)
        mappings = compiled_mappings(engine.mappings, config)
        version = rules_version(config.rules)
        project(engine.engines.tenancy, tenant, "crm", mappings, version, run_id="overtaking")
