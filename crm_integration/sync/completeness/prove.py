"""The proof of one tenant, from its stores to its CRM.

Prevents one store that is down from hiding what is missing in another: what could not be looked at
is a problem of the proof, which then is no proof, and all else is judged all the same.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from crm_integration.canonical.entities import ENTITIES
from crm_integration.crms._registry import crm_connector
from crm_integration.errors import RemoteError
from crm_integration.intake.open_store import OpenStore, open_store
from crm_integration.mapping.tenant_file import compiled_mappings
from crm_integration.stores._registry import connector
from crm_integration.sync.completeness.crm_side import CrmSide
from crm_integration.sync.completeness.frames import frame, pandas
from crm_integration.sync.completeness.model import FOUND, Completeness, Frame, Request
from crm_integration.sync.completeness.proofs import keep_proofs
from crm_integration.sync.completeness.scan import Scan, begin
from crm_integration.sync.completeness.store_side import StoreSide
from crm_integration.sync.completeness.surplus import surplus_records
from crm_integration.sync.completeness.tally import tally
from crm_integration.sync.crm_session import CrmSession
from crm_integration.sync.path import House
from crm_integration.sync.report import Problem
from crm_integration.tenancy.connections import StoredConnection

Told = Callable[[str, int], None]
"""`(what, how many so far)`."""


def prove(
    house: House, request: Request, *, run_id: str, progress: Told | None = None
) -> Completeness:
    """Prove what is asked for, and keep the proofs. Writes nothing to a store or a CRM.

    What a store or the CRM refuses is a problem of the answer. Raises BadInput and BadMapping for
    a tenant's file that is wrong, NotFound for no tenant or one without a CRM.
    """
    scan = begin(house, request, run_id=run_id)
    looking = _Looking(scan, progress or _untold)
    looking.at_stores()
    looking.at_crm()
    made = [one for one in looking.frames if len(one)]
    found = pandas().concat(made, ignore_index=True) if made else frame([], FOUND)
    entities = [one for one in ENTITIES if one in looking.entities]
    days = tally(scan, found, entities, looking.problems)
    done = Completeness(
        request, scan.began, scan.highest_raw_id, found, days, looking.problems, looking.calls
    )
    keep_proofs(house.engines.tenancy, done, run_id=run_id)
    return done


def _untold(what: str, count: int) -> None:
    """Nobody watches."""


@dataclass
class _Looking:
    """One scan on its way."""

    scan: Scan
    told: Told
    frames: list[Frame] = field(default_factory=lambda: list[Frame]())
    problems: list[Problem] = field(default_factory=lambda: list[Problem]())
    entities: set[str] = field(default_factory=lambda: set[str]())
    calls: int = 0

    def at_stores(self) -> None:
        """Every object type of every store that stands for an entity that is asked for."""
        scan = self.scan
        for connection in scan.connected.stores:
            types = connector(connection.platform).manifest.object_types
            wanted = [one for one in types if scan.request.wants(one)]
            self.entities.update(wanted)
            if wanted:
                self._at_store(connection, wanted)

    def _at_store(self, connection: StoredConnection, wanted: list[str]) -> None:
        engines = self.scan.house.engines
        try:
            store = open_store(engines.tenancy, engines.ops, self.scan.tenant, connection)
        except RemoteError as error:
            self.problems += [Problem("store", one, _why(error)) for one in wanted]
            return
        try:
            for object_type in wanted:
                self._at_type(store, object_type)
        finally:
            store.client.close()

    def _at_type(self, store: OpenStore, object_type: str) -> None:
        try:
            made = StoreSide(self.scan, store, object_type).prove()
        except RemoteError as error:
            self.problems.append(Problem("store", object_type, _why(error)))
            return
        self.frames.append(made)
        self.told(f"listed {object_type}", len(made))

    def at_crm(self) -> None:
        """Every object type that is mapped, and on demand all records that carry our key."""
        scan = self.scan
        mappings = compiled_mappings(scan.house.mappings, scan.config)
        connection = scan.connected.crm
        manifest = crm_connector(connection.platform).manifest
        session = CrmSession(
            scan.house.engines, scan.tenant, connection, mappings, scan.rules_version, scan.run_id
        )
        sides = [
            CrmSide(scan, session, manifest, one)
            for one in mappings.values()
            if scan.request.wants(one.entity) and one.object_type in manifest.objects
        ]
        self.entities.update(one.mapping.entity for one in sides)
        try:
            for side in sides:
                self._guarded(side.mapping.entity, side.prove)
                self.told(f"looked at {side.object_type}", sum(map(len, self.frames)))
            if scan.request.surplus:
                self._at_surplus(sides)
        finally:
            self.calls = session.close()

    def _at_surplus(self, sides: list[CrmSide]) -> None:
        for first, listing in surplus_records(self.scan, sides):
            self._guarded(first, listing)

    def _guarded(self, entity: str, look: Callable[[], Frame]) -> None:
        try:
            self.frames.append(look())
        except RemoteError as error:
            self.problems.append(Problem("crm", entity, _why(error)))


def _why(error: RemoteError) -> str:
    """The kind of a refusal; its text may hold what a vendor repeated."""
    return f"{type(error).__name__} {error.code or ''}".strip()
