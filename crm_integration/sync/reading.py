"""Raw records to judged canonical objects: one transaction's worth at a time.

Prevents one payload from ending a whole chunk: what cannot be read, has drifted under a frozen
contract or breaks a rule is kept back alone, with the reason and the fix.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from crm_integration.canonical.consents import Consent
from crm_integration.canonical.entities import ENTITIES
from crm_integration.canonical.milestones import milestones
from crm_integration.canonical.model import StoreObject
from crm_integration.canonical.sourced import Sourced, Stamp
from crm_integration.canonical.versions import NoWayUp, upcast
from crm_integration.intake.limits import refuse_marked
from crm_integration.intake.payload import parsed
from crm_integration.intake.raw_reading import RawRecord
from crm_integration.quality.drift import Watch
from crm_integration.quality.options import Scalar
from crm_integration.quality.quarantine import QuarantineEntry
from crm_integration.quality.row_checks import THE_ROW, Finding, RowCheck
from crm_integration.stores._contract import JsonObject, StoreContext, Unreadable
from crm_integration.stores._registry import StoreConnector
from crm_integration.tenancy.connections import StoredConnection
from crm_integration.tenancy.lately import Lately

QUARANTINED = "quarantined"
_ENTITY_OF: Mapping[type[StoreObject], str] = {one.model: one.name for one in ENTITIES.values()}


@dataclass(frozen=True)
class Deriver:
    """Everything that stays the same while one connection's records are derived.

    `stores` is the tenant's order of its stores, by connection: the first one wins a field.
    `not_keys` are addresses and domains that the tenant says identify nobody.
    """

    connection: StoredConnection
    connector: StoreConnector
    context: StoreContext
    checks: Mapping[str, RowCheck]
    stamp: Stamp
    options: Mapping[str, Scalar]
    stores: tuple[str, ...] = ()
    not_keys: tuple[str, ...] = ()
    lately: Lately | None = None
    """With it what rarely changes is asked only now and then."""


@dataclass
class Chunk:
    """One transaction's worth, sorted by entity."""

    accepted: dict[str, list[Sourced[StoreObject]]] = field(
        default_factory=lambda: defaultdict[str, list[Sourced[StoreObject]]](list)
    )
    entries: list[QuarantineEntry] = field(default_factory=lambda: list[QuarantineEntry]())
    judged: dict[str, set[str]] = field(default_factory=lambda: defaultdict[str, set[str]](set))
    still: dict[str, set[tuple[str, int, str]]] = field(
        default_factory=lambda: defaultdict[str, set[tuple[str, int, str]]](set)
    )
    outcomes: dict[int, str] = field(default_factory=lambda: dict[int, str]())


def read_all(
    derive: Deriver,
    object_type: str,
    records: Sequence[RawRecord],
    earlier: Iterable[RawRecord],
    watch: Watch | None,
) -> Chunk:
    """The chunk of these records; of `earlier` versions only what was said about consent."""
    chunk = Chunk()
    for record in records:
        _read(derive, object_type, record, chunk, watch)
    for record in earlier:
        _read_consents(derive, object_type, record, chunk)
    return chunk


def _read(
    derive: Deriver, object_type: str, record: RawRecord, chunk: Chunk, watch: Watch | None
) -> None:
    chunk.judged[object_type].add(record.source_id)
    try:
        objects = list(objects_in(derive, object_type, record, watch))
    except Unreadable as problem:
        _keep_back(chunk, object_type, record, problem)
        return
    for one in objects:
        accepted = _judged(derive, record, one, chunk, main=_ENTITY_OF[type(one)] == object_type)
        if accepted is not None:
            for milestone in milestones(accepted):
                _judged(derive, record, milestone, chunk, main=False)


def objects_in(
    derive: Deriver, object_type: str, record: RawRecord, watch: Watch | None = None
) -> Iterator[StoreObject]:
    """What the connector makes of one record. Raises Unreadable."""
    refuse_marked(record.flags)
    payload = parsed(record.payload)
    breach = watch.look(record.raw_id, payload, shape=record.shape) if watch else None
    if breach is not None:
        raise Unreadable("contract", field=breach.path, fix=breach.fix)
    payload = _lifted(derive, object_type, record.shape, payload)
    parent = None
    parent_type = derive.connector.manifest.parents.get(object_type)
    if record.parent is not None and parent_type is not None:
        parent = _lifted(derive, parent_type, record.parent_shape, parsed(record.parent))
    yield from derive.connector.canonical.to_canonical(object_type, payload, parent, derive.context)


def _lifted(derive: Deriver, object_type: str, shape: str, payload: JsonObject) -> JsonObject:
    steps = getattr(derive.connector.canonical, "UPCASTERS", {})
    try:
        return upcast(steps, object_type, shape, derive.connector.manifest.shape, payload)
    except NoWayUp as problem:
        fix = f"add an upcaster to the {derive.connection.platform} connector: {problem}"
        raise Unreadable("shape_unknown", field="$", fix=fix) from problem


def _judged(
    derive: Deriver, record: RawRecord, one: StoreObject, chunk: Chunk, *, main: bool
) -> StoreObject | None:
    """The object as the row rules let it through, None when they keep it back."""
    entity = _ENTITY_OF[type(one)]
    verdict = derive.checks[entity](one)
    chunk.judged[entity].add(one.source_id)
    for finding in verdict.findings:
        _note(chunk, record, finding)
    if verdict.accepted is None:
        if main:
            chunk.outcomes[record.raw_id] = QUARANTINED
        return None
    accepted = verdict.accepted
    if record.flags:
        accepted = accepted.model_copy(update={"flags": (*accepted.flags, *record.flags)})
    chunk.accepted[entity].append(_sourced(derive, record, accepted))
    return accepted


def _sourced(derive: Deriver, record: RawRecord, one: StoreObject) -> Sourced[StoreObject]:
    return Sourced(one, derive.connection.connection_id, record.raw_id, record.observation)


def _read_consents(derive: Deriver, object_type: str, record: RawRecord, chunk: Chunk) -> None:
    """A version that nobody derived in time still tells when somebody opted in or out."""
    try:
        objects = list(objects_in(derive, object_type, record))
    except Unreadable:
        return  # its newer version is judged on its own
    for one in objects:
        if isinstance(one, Consent) and derive.checks["consent"](one).accepted is not None:
            chunk.accepted["consent"].append(_sourced(derive, record, one))


def _keep_back(chunk: Chunk, object_type: str, record: RawRecord, problem: Unreadable) -> None:
    chunk.outcomes[record.raw_id] = QUARANTINED
    rule = f"{object_type}.{'contract' if problem.reason == 'contract' else 'readable'}"
    chunk.still[object_type].add((record.source_id, THE_ROW, rule))
    chunk.entries.append(
        QuarantineEntry(
            entity=object_type,
            source_id=record.source_id,
            position=THE_ROW,
            rule=rule,
            raw_id=record.raw_id,
            reason=f"{problem.reason} at {problem.field}",
            fix=problem.fix,
        )
    )


def _note(chunk: Chunk, record: RawRecord, finding: Finding) -> None:
    if finding.severity != "quarantine":
        return
    chunk.still[finding.entity].add((finding.source_id, finding.position, finding.rule))
    chunk.entries.append(
        QuarantineEntry(
            entity=finding.entity,
            source_id=finding.source_id,
            position=finding.position,
            rule=finding.rule,
            raw_id=record.raw_id,
            reason=finding.reason,
            fix=finding.fix,
        )
    )
