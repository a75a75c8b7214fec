"""Canonical = ledger = CRM: wishes are made again, ledger rows asked, CRM records read.

Prevents the ledger that says "synced" of something else than stands in the CRM: what a canonical
row maps to is computed once more, and the CRM is read by record id in batches, never searched.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select

from crm_integration.crms._contract import CrmRecord
from crm_integration.crms._registry import CrmManifest
from crm_integration.mapping.model import CompiledMapping, FieldValue
from crm_integration.mapping.ownership import diff
from crm_integration.quality.holds import open_holds
from crm_integration.storage.bulk import stage
from crm_integration.storage.tables.intake import raw_records
from crm_integration.storage.tables.sync import ledger
from crm_integration.sync.bindings import Binding, bindings_of
from crm_integration.sync.completeness.frames import first_of, frame, pandas, truth, where
from crm_integration.sync.completeness.known import canonical_ids, kept_back
from crm_integration.sync.completeness.model import (
    DIFFERS,
    FOUND,
    LATER,
    MISSING,
    PROVEN,
    SURPLUS,
    WRONG,
    Frame,
    Stage,
)
from crm_integration.sync.completeness.scan import Scan
from crm_integration.sync.crm_session import CrmSession
from crm_integration.sync.ledger import TABLE, Desired, row_name
from crm_integration.sync.project import mapped
from crm_integration.sync.reading import QUARANTINED
from crm_integration.sync.transitions import State
from crm_integration.sync.views import VIEWS, Choice
from crm_integration.sync.waiting import WITHOUT
from crm_integration.sync.wishes import Wish
from crm_integration.tenancy.scope import TenantScope

CHUNK = 1_000
"""Objects opened, mapped and read from the CRM at a time."""

MERGED, NOBODY, UNPLACED = "merged", "unknown", "unplaced"
UNJUDGED, LEFT_OUT = "unjudged", "left_out"
"""Reasons that account for an object: the customer became another one; nobody has said anything of
them; it is a cart of nobody, or belongs to an order that is not known so far; it waits to be judged
by the rules that count now; it was written without a field that another record holds."""

_NAMED = (State.parked, State.held, State.dead, State.skipped, State.retry)
"""States that account for an object under their own name."""

_LEDGER = (
    *("object_id", "state", "reason", "desired_digest", "written_digest", "desired_at"),
    *("written_at", "edited_from_digest", "rules_version", "claim_expires_at", "in_ledger"),
)
_TIMES = ("desired_at", "written_at", "claim_expires_at")


@dataclass(frozen=True)
class _Wished:
    """What one canonical row is to look like in the CRM, by our own count."""

    fields: dict[str, FieldValue] = field(repr=False)
    source_time: datetime


@dataclass(frozen=True)
class CrmSide:
    """One object type of the tenant's CRM."""

    scan: Scan
    session: CrmSession
    manifest: CrmManifest
    mapping: CompiledMapping

    @property
    def object_type(self) -> str:
        return self.mapping.object_type

    @property
    def _place(self) -> tuple[str, str]:
        return self.session.connection.connection_id, self.object_type

    def prove(self) -> Frame:
        """Verdicts (`FOUND`) of all objects at the stages ledger and crm; what is wrong has been
        looked at twice. Raises the errors of the adapter's `read`."""
        view = VIEWS[self.mapping.entity]
        with self.scan.tenancy.scope(self.scan.tenant) as scope:
            asked = canonical_ids(scope, self.scan, view.table, view.key)
        made = [self._chunk(part) for part in _chunks(asked)]
        made.append(self._without_row())
        found = pandas().concat([one for one in made if len(one)] or made[:1])
        wrong = found[found["verdict"].isin(WRONG) & (found["verdict"] != SURPLUS)]
        if not len(wrong):
            return found
        # A live run may have been about to write them.
        again = asked[asked["object_id"].astype(str).isin(wrong["id"])]
        looked = [self._chunk(part) for part in _chunks(again)]
        return pandas().concat([found[~found["id"].isin(wrong["id"])], *looked])

    def _chunk(self, asked: Frame) -> Frame:
        wished, judged = self._in_ledger(asked)
        written = judged[judged["verdict"] == PROVEN]
        there = self._in_crm(written, wished)
        return pandas().concat(
            [self._found(judged, Stage.ledger), self._found(there, Stage.crm)], ignore_index=True
        )

    def _in_ledger(self, asked: Frame) -> tuple[dict[UUID, _Wished], Frame]:
        ids: list[UUID] = asked["object_id"].tolist()
        with self.scan.tenancy.scope(self.scan.tenant) as scope:
            wished, digests = self._wishes(scope, ids)
            rows = _ledger_rows(scope, self._place, ids)
            refused = kept_back(scope, self._place[0], self.mapping.entity)
            held = self.object_type in open_holds(scope)
        merged = asked.merge(digests, on="object_id", how="left")
        merged = merged.merge(rows, on="object_id", how="left").reset_index(drop=True)
        merged["in_ledger"] = truth(merged["in_ledger"])
        merged["refused"] = where(merged["object_id"], lambda one: str(one) in refused)
        return wished, self._judge(merged, held=held)

    def _judge(self, rows: Frame, *, held: bool) -> Frame:
        began, state = self.scan.began, rows["state"]
        mapped_from = rows["edited_from_digest"].where(
            rows["edited_from_digest"].notna(), rows["desired_digest"]
        )
        stands = rows["in_ledger"] & (mapped_from == rows["wished_digest"])
        written = rows["in_ledger"] & (rows["written_digest"] == rows["desired_digest"])
        old_rules = rows["row_rules"] != self.scan.rules_version
        being_sent = (state == State.in_flight.value) & (rows["claim_expires_at"] > began)
        waits = state.isin([State.pending.value]) & held
        unsent = stands & state.isin([State.pending.value])
        never = ~rows["in_ledger"] | rows["written_digest"].isna()
        rows["verdict"] = first_of(
            [
                (truth(rows["merged"]), MERGED),
                (truth(rows["unknown"]), NOBODY),
                ((rows["changed_at"] >= began) | (rows["desired_at"] >= began), LATER),
                (~truth(rows["shown"]) & ~rows["in_ledger"], UNPLACED),
                (rows["refused"] & ~truth(rows["fits"]), QUARANTINED),
                (~rows["in_ledger"] & old_rules, UNJUDGED),
                (~rows["in_ledger"], MISSING),
                (~stands & old_rules, UNJUDGED),
                (~stands, DIFFERS),
                (state.isin([one.value for one in _NAMED]), state),
                (being_sent, LATER),
                (waits, State.held.value),
                (unsent & (rows["rules_version"] != self.scan.rules_version), UNJUDGED),
                ((state == State.synced.value) & written, PROVEN),
                (never, MISSING),
            ],
            DIFFERS,
        )
        return rows

    def _wishes(self, scope: TenantScope, ids: Sequence[UUID]) -> tuple[dict[UUID, _Wished], Frame]:
        """What these rows map to now, and its digest, as the ledger would keep it."""
        choice = Choice(None, max(1, len(ids)), waiting=False, among=tuple(ids))
        wished: dict[UUID, _Wished] = {}
        digests: list[tuple[UUID, bytes | None, bool, bool]] = []
        for row in VIEWS[self.mapping.entity].read(scope, choice):
            outcome = mapped(self.mapping, row)
            if isinstance(outcome, Wish):
                digest = scope.keys.digest("desired", outcome.desired.encoded())
                wished[row.object_id] = _Wished(outcome.desired.fields, outcome.source_time)
                digests.append((row.object_id, digest, True, True))
            else:
                digests.append((row.object_id, None, False, True))
        return wished, frame(digests, ("object_id", "wished_digest", "fits", "shown"))

    def _in_crm(self, written: Frame, wished: dict[UUID, _Wished]) -> Frame:
        """Those that the ledger calls written, as the CRM holds them."""
        ids: list[UUID] = written["object_id"].tolist()
        if not ids:
            return written
        edited = written[written["edited_from_digest"].notna()]["object_id"].tolist()
        with self.scan.tenancy.scope(self.scan.tenant) as scope:
            bound = bindings_of(scope, *self._place, ids)
            wished = wished | _edited(scope, self._place, edited, wished)
        account = self.session.opened()
        adapter, gate = account.adapter, account.gate
        gate.deadline = float("inf")
        records = [one.record_id for one in bound.values()]
        live = adapter.read(self.object_type, records, list(self.mapping.reads)) if records else {}
        held = [
            (key, *self._compared(key, binding, live.get(binding.record_id), wished[key]))
            for key, binding in bound.items()
        ]
        looked = frame(held, ("object_id", "there", "equal", "lacks"))
        both = written.merge(looked, on="object_id", how="left").reset_index(drop=True)
        left_out = where(both["reason"], lambda one: str(one).startswith(WITHOUT))
        young = both["written_at"] >= self.scan.delayed(self.manifest.read_delay_seconds)
        both["verdict"] = first_of(
            [
                (truth(both["equal"]), PROVEN),
                (young, LATER),
                (~truth(both["there"]), MISSING),
                (left_out & truth(both["lacks"]), LEFT_OUT),
            ],
            DIFFERS,
        )
        return both

    def _compared(
        self, key: UUID, binding: Binding, record: CrmRecord | None, wished: _Wished
    ) -> tuple[bool, bool, bool]:
        """Whether there is a record; whether it is ours and holds what its rules want; whether it
        lacks nothing but the field by which records are matched."""
        if record is None:
            return False, False, False
        decided = diff(
            self.mapping,
            desired=wished.fields,
            given_back=binding.given_back,
            current=record.fields,
            desired_at=wished.source_time,
            current_at=record.updated_at,
            bound_before=bool(binding.sent),
            sent=binding.sent,
        )
        wrong = {one.rule.name for one in decided if one.decision.write}
        match = self.mapping.match
        ours = record.key == str(key)
        return True, ours and not wrong, ours and match is not None and wrong == {match.field}

    def _without_row(self) -> Frame:
        """Ledger rows of objects that have no canonical row."""
        view, days = VIEWS[self.mapping.entity], self.scan.request.days
        none = (
            select(view.key)
            .where(view.table.c.tenant_id == ledger.c.tenant_id, view.key == ledger.c.object_id)
            .exists()
        )
        same = (raw_records.c.tenant_id == ledger.c.tenant_id) & (
            raw_records.c.raw_id == ledger.c.raw_id
        )
        statement = (
            select(ledger.c.object_id, raw_records.c.day)
            .join_from(ledger, raw_records, same, isouter=True)
            .where(
                ledger.c.tenant_id == self.scan.tenant,
                ledger.c.connection_id == self._place[0],
                ledger.c.object_type == self.object_type,
                ~none,
            )
        )
        if days is not None:
            statement = statement.where(
                raw_records.c.day >= days.start, raw_records.c.day < days.end
            )
        with self.scan.tenancy.scope(self.scan.tenant) as scope:
            rows = scope.connection.execute(statement).all()
        made = frame(((*row, SURPLUS) for row in rows), ("object_id", "raw_day", "verdict"))
        return self._found(made, Stage.ledger)

    def _found(self, rows: Frame, stage_: Stage) -> Frame:
        made = rows[rows["verdict"] != NOBODY]
        made = made.assign(
            entity=self.mapping.entity,
            day=made["raw_day"],
            stage=stage_.value,
            connection_id=self._place[0],
            object_type=self.object_type,
            id=made["object_id"].astype(str),
        )
        return made[list(FOUND)]


def _chunks(asked: Frame) -> Iterator[Frame]:
    for start in range(0, max(1, len(asked)), CHUNK):
        yield asked.iloc[start : start + CHUNK]


def _ledger_rows(scope: TenantScope, place: tuple[str, str], ids: Sequence[UUID]) -> Frame:
    asked = stage(scope.connection, ledger, ("object_id",), [(one,) for one in ids])
    rows = scope.connection.execute(
        select(*(ledger.c[name] for name in _LEDGER[:-1])).join_from(
            asked,
            ledger,
            (ledger.c.tenant_id == scope.tenant)
            & (ledger.c.connection_id == place[0])
            & (ledger.c.object_type == place[1])
            & (ledger.c.object_id == asked.c.object_id),
        )
    )
    return frame(((*row, True) for row in rows), _LEDGER, times=_TIMES)


def _edited(
    scope: TenantScope, place: tuple[str, str], ids: Sequence[UUID], wished: dict[UUID, _Wished]
) -> dict[UUID, _Wished]:
    """What a person made of dead letters: it is what was written."""
    if not ids:
        return {}
    rows: Any = scope.connection.execute(
        select(ledger.c.object_id, ledger.c.desired).where(
            ledger.c.tenant_id == scope.tenant,
            ledger.c.connection_id == place[0],
            ledger.c.object_type == place[1],
            ledger.c.object_id.in_(ids),
        )
    )
    return {
        key: _Wished(
            Desired.decoded(scope.keys.open(TABLE, row_name(*place, key), sealed)).fields,
            wished[key].source_time,
        )
        for key, sealed in rows
    }
