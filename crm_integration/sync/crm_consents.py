"""Opt-outs that people gave in the CRM, as words about consent in the canonical model.

Prevents the newsletter by way of a second mapping or store: an opt-out that only the CRM's own
field holds is unknown to everything else. What we wrote ourselves is told apart by what the CRM
gave back, and an opt-out that is lifted there is taken back as a word, never turned into an opt-in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID

import orjson
from sqlalchemy import func, select

from crm_integration.canonical.consent_rows import refresh_consent, write_consents
from crm_integration.canonical.consents import Channel, Consent, ConsentState
from crm_integration.canonical.crm_words import SPEAKER, Said, living, said_before
from crm_integration.canonical.sourced import Sourced, Stamp
from crm_integration.crms._contract import CrmRecord
from crm_integration.intake.raw_records import Observation, keep, note_outcomes
from crm_integration.mapping.consent import crms_opt_out, shows_no
from crm_integration.mapping.model import CompiledMapping, FieldRule
from crm_integration.storage.tables.intake import raw_records
from crm_integration.stores._contract import SourceObject
from crm_integration.sync.bindings import Fields
from crm_integration.tenancy.scope import TenantScope

OBJECT_TYPE = "crm_consent"
"""Of the raw records that hold what a CRM record showed."""


@dataclass(frozen=True)
class Shown:
    """What a bound object's record holds now, and what it gave back for our last write."""

    object_id: UUID
    record: CrmRecord
    given_back: Fields = field(repr=False)


@dataclass(frozen=True)
class _News:
    shown: Shown
    channel: Channel
    state: ConsentState
    basis: str

    @property
    def source_id(self) -> str:
        return f"{SPEAKER}/{self.shown.object_id}/{self.channel}"


def note_consents(
    scope: TenantScope,
    connection_id: str,
    mapping: CompiledMapping,
    shown: Sequence[Shown],
    stamp: Stamp,
) -> tuple[int, int]:
    """Write what is news; returns how many opted out, and how many opt-outs were lifted.

    The caller holds the tenant's identity lock.
    """
    rules = [rule for rule in mapping.fields.values() if rule.rule == "consent"]
    if not rules or not shown:
        return 0, 0
    before = said_before(scope, connection_id, [one.object_id for one in shown])
    news = [
        _News(one, channel, *found)
        for one in shown
        for rule in rules
        for channel in (Channel(rule.paths[0].removesuffix("_consent")),)
        if (found := _news(rule, one, before.get((one.object_id, channel)))) is not None
    ]
    if not news:
        return 0, 0
    words = _words(connection_id, news, _kept(scope, connection_id, news, stamp))
    write_consents(scope, words, stamp)
    refresh_consent(scope, living(scope, {one.shown.object_id for one in news}))
    out = sum(one.state is ConsentState.unsubscribed for one in news)
    return out, len(news) - out


def _news(rule: FieldRule, one: Shown, before: Said | None) -> tuple[ConsentState, str] | None:
    """The new word of one record on one channel, None where it says what it said."""
    if before is not None and one.record.updated_at and one.record.updated_at < before.at:
        return None  # an index that lags tells of an older state
    held = before is not None and before.state is ConsentState.unsubscribed
    basis = before.basis if before is not None and held else ""
    said = crms_opt_out(rule, one.record.fields, one.given_back)
    if said is not None:
        return None if said == basis else (ConsentState.unsubscribed, said)
    if not held:
        return None
    shown = one.record.fields.get(rule.name)
    ours = shown not in (None, "") and shown == one.given_back.get(rule.name)
    if basis == rule.name and (ours or shows_no(rule, one.record.fields)):
        return None  # nobody but we touched the field since
    return ConsentState.never_asked, basis


def _kept(
    scope: TenantScope, connection_id: str, news: Sequence[_News], stamp: Stamp
) -> Mapping[str, tuple[int, datetime]]:
    """Keep what was seen as raw records; source id -> (raw id, its source time)."""
    objects = [
        SourceObject(OBJECT_TYPE, one.source_id, one.shown.record.updated_at, _payload(one))
        for one in news
    ]
    keep(scope, connection_id, objects, Observation.direct, run_id=stamp.run_id)
    rows = scope.connection.execute(
        select(
            raw_records.c.source_id,
            func.max(raw_records.c.raw_id).label("raw_id"),
            func.max(raw_records.c.source_time).label("at"),
        )
        .where(
            raw_records.c.tenant_id == scope.tenant,
            raw_records.c.connection_id == connection_id,
            raw_records.c.object_type == OBJECT_TYPE,
            raw_records.c.source_id.in_([one.source_id for one in news]),
        )
        .group_by(raw_records.c.source_id)
    ).all()
    outcomes = {row.source_id: (row.raw_id, "applied") for row in rows}
    note_outcomes(scope, connection_id, OBJECT_TYPE, outcomes)
    return {row.source_id: (row.raw_id, row.at) for row in rows}


def _payload(one: _News) -> bytes:
    return orjson.dumps(
        {
            "record": one.shown.record.record_id,
            "customer": str(one.shown.object_id),
            "channel": one.channel,
            "field": one.basis,
            "says": "opted out" if one.state is ConsentState.unsubscribed else "lifted",
        }
    )


def _words(
    connection_id: str, news: Sequence[_News], kept: Mapping[str, tuple[int, datetime]]
) -> list[Sourced[Consent]]:
    return [
        Sourced(
            Consent(
                source_id=one.source_id,
                source_time=kept[one.source_id][1].astimezone(UTC),
                customer_kind=SPEAKER,
                customer_source_id=str(one.shown.object_id),
                channel=one.channel,
                state=one.state,
                explicit=True,
                basis=one.basis,
            ),
            connection_id,
            kept[one.source_id][0],
            Observation.direct,
        )
        for one in news
    ]
