"""Identity: which canonical customer a store's account or guest is.

Prevents the guest who registers later from becoming a second customer, and a shared mailbox
from becoming one customer made of many people. First the external id, then the e-mail match
key; a key that more than five holders share is no key, and customers it had joined come apart
again, so that the outcome does not depend on the order of arrival.

Callers hold the tenant's identity lock (`lock_identities`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any
from unicodedata import normalize
from uuid import UUID

from sqlalchemy import func, or_, select, tuple_
from sqlalchemy.dialects.postgresql import insert

from crm_integration.storage.bulk import stage
from crm_integration.storage.tables.canonical import customer_identities, identity_merges
from crm_integration.tenancy.scope import TenantScope

MAX_HOLDERS = 5
"""A key that more people than this hold is a shared mailbox, not a person."""

_COLUMNS = (
    *("connection_id", "kind", "source_id", "customer_id", "email_key", "holder_key"),
    *("rule", "raw_id"),
)
"""Of an identity's row, in the order of `_Row`; the first three are its key."""


@dataclass(frozen=True)
class IdentityKey:
    """A store customer (`registered`, the account's id) or a guest (`guest`, the order's id)."""

    connection_id: str
    kind: str
    source_id: str


@dataclass(frozen=True)
class Claimant:
    """What a payload says about who an identity is; `email` None when it says nothing."""

    key: IdentityKey
    email: str | None
    name: str
    raw_id: int


@dataclass(frozen=True)
class _Row:
    key: IdentityKey
    customer_id: UUID | None
    email_key: bytes | None
    holder_key: bytes
    rule: str
    raw_id: int


@dataclass
class Resolution:
    """Where every claimant belongs, which identities moved to another customer, and which
    customers they left."""

    customers: dict[IdentityKey, UUID] = field(default_factory=lambda: dict[IdentityKey, UUID]())
    moved: dict[IdentityKey, UUID] = field(default_factory=lambda: dict[IdentityKey, UUID]())
    left: set[UUID] = field(default_factory=lambda: set[UUID]())
    merged: list[tuple[UUID, UUID, bytes]] = field(
        default_factory=lambda: list[tuple[UUID, UUID, bytes]]()
    )


@lru_cache(maxsize=65_536)
def normal_email(email: str) -> str | None:
    """Lower-cased, with an ASCII domain; None for text that is no deliverable address.

    The local part is folded too: RFC 5321 allows case to matter there, no large provider lets it.
    """
    from email_validator import EmailNotValidError, validate_email

    try:
        checked = validate_email(
            email.strip(), check_deliverability=False, test_environment=True, strict=False
        )
    except EmailNotValidError:
        return None
    return f"{checked.local_part}@{checked.ascii_domain}".lower()


def email_key(scope: TenantScope, email: str | None) -> bytes | None:
    """The keyed match key of an address; None where there is none to match by."""
    normal = normal_email(email) if email else None
    return None if normal is None else scope.keys.digest("email", normal.encode())


def lock_identities(scope: TenantScope) -> None:
    """One transaction at a time resolves a tenant's identities and writes its canonical rows."""
    number = int.from_bytes(scope.keys.digest("lock", b"identity")[:8], "big", signed=True)
    scope.connection.execute(select(func.pg_advisory_xact_lock(number)))


def object_id(scope: TenantScope, entity: str, connection_id: str, source_id: str) -> UUID:
    """The canonical id of a store object: the same one whenever it is derived again."""
    named = "\x1f".join((entity, connection_id, source_id)).encode()
    return UUID(bytes=scope.keys.digest("id", named)[:16], version=4)


def resolve(scope: TenantScope, claimants: Sequence[Claimant]) -> Resolution:
    """Find or found the customer of each claimant; rewrites the identity rows it touches."""
    if not claimants:
        return Resolution()
    said = {claimant.key: claimant for claimant in claimants}
    rows = _known(scope, said)
    before = {key: row.customer_id for key, row in rows.items()}
    for key, claimant in said.items():
        rows[key] = _updated(scope, rows.get(key), claimant)
    resolution = Resolution()
    for email, members in _by_email(rows.values()).items():
        _assign(scope, email, members, rows, resolution)
    for key, row in rows.items():
        if row.customer_id is None:
            rows[key] = replace(row, customer_id=_own_id(scope, key), rule="external_id")
    _save(scope, rows, before, resolution)
    resolution.customers = {key: _placed(rows[key]) for key in said}
    return resolution


def _placed(row: _Row) -> UUID:
    assert row.customer_id is not None  # every row was given a customer above
    return row.customer_id


def _own_id(scope: TenantScope, key: IdentityKey) -> UUID:
    return object_id(scope, f"customer.{key.kind}", key.connection_id, key.source_id)


def _updated(scope: TenantScope, row: _Row | None, claimant: Claimant) -> _Row:
    key = claimant.key
    spoken = email_key(scope, claimant.email)
    holder = _holder_key(scope, claimant)
    if row is None:
        return _Row(key, None, spoken, holder, "external_id", claimant.raw_id)
    return replace(row, email_key=spoken or row.email_key, holder_key=holder)


def _holder_key(scope: TenantScope, claimant: Claimant) -> bytes:
    """Who holds a mailbox: an account is one holder, guests are told apart by their names."""
    key = claimant.key
    if key.kind == "registered":
        named = f"account\x1f{key.connection_id}\x1f{key.source_id}"
    else:
        named = "name\x1f" + " ".join(normalize("NFKC", claimant.name).casefold().split())
    return scope.keys.digest("holder", named.encode())


def _known(scope: TenantScope, said: dict[IdentityKey, Claimant]) -> dict[IdentityKey, _Row]:
    """Identity rows of the claimants, and all that share an e-mail with any of them."""
    keys = {email_key(scope, claimant.email) for claimant in said.values()} - {None}
    table = customer_identities
    asked = stage(
        scope.connection,
        table,
        ("connection_id", "kind", "source_id"),
        [(key.connection_id, key.kind, key.source_id) for key in said],
    )
    emails = stage(scope.connection, table, ("email_key",), [(key,) for key in keys])
    own = tuple_(table.c.connection_id, table.c.kind, table.c.source_id).in_(select(*asked.c))
    # Two index look-ups; the second also finds who shares an address an asked one had before.
    had = select(table.c.email_key).where(own, table.c.tenant_id == scope.tenant)
    rows = scope.connection.execute(
        select(*(table.c[name] for name in _COLUMNS)).where(
            table.c.tenant_id == scope.tenant,
            or_(
                own,
                table.c.email_key.in_(select(emails.c.email_key)),
                table.c.email_key.in_(had),
            ),
        )
    )
    return {row.key: row for row in map(_read, rows)}


def _read(found: Any) -> _Row:
    """A row of `_COLUMNS`."""
    return _Row(IdentityKey(*found[:3]), *found[3:])


def _by_email(rows: Iterable[_Row]) -> dict[bytes, list[_Row]]:
    groups: dict[bytes, list[_Row]] = defaultdict(list)
    for row in rows:
        if row.email_key is not None:
            groups[row.email_key].append(row)
    return groups


def _assign(
    scope: TenantScope,
    email: bytes,
    members: list[_Row],
    rows: dict[IdentityKey, _Row],
    resolution: Resolution,
) -> None:
    """One customer for all members of a key; one per holder when the key is no key."""
    holders: dict[bytes, list[_Row]] = defaultdict(list)
    for member in sorted(members, key=lambda row: (row.raw_id, row.key.source_id)):
        holders[member.holder_key].append(member)
    if len(holders) <= MAX_HOLDERS:
        everyone = [member for group in holders.values() for member in group]
        _join(scope, email, everyone, rows, resolution)
        return
    taken: set[UUID] = set()
    for group in holders.values():
        home = next((row.customer_id for row in group if row.customer_id), None)
        if home is None or home in taken:
            home = _own_id(scope, group[0].key)
        taken.add(home)
        for member in group:
            rows[member.key] = replace(member, customer_id=home, rule="shared_mailbox")


def _join(
    scope: TenantScope,
    email: bytes,
    members: list[_Row],
    rows: dict[IdentityKey, _Row],
    resolution: Resolution,
) -> None:
    """The members' customers become one: an account's before a guest's, the oldest first."""
    ranked = sorted(members, key=lambda row: (row.key.kind != "registered", row.raw_id))
    homes = list(dict.fromkeys(row.customer_id for row in ranked if row.customer_id))
    winner = homes[0] if homes else _own_id(scope, ranked[0].key)
    for loser in homes[1:]:
        resolution.merged.append((loser, winner, email))
    for member in members:
        alone = "external_id" if member.rule == "shared_mailbox" else member.rule
        rule = "email" if len(members) > 1 else alone
        rows[member.key] = replace(member, customer_id=winner, rule=rule)


def _save(
    scope: TenantScope,
    rows: dict[IdentityKey, _Row],
    before: dict[IdentityKey, UUID | None],
    resolution: Resolution,
) -> None:
    """Write every row; remember merges with their evidence, and who moved."""
    lost = {loser: winner for loser, winner, _ in resolution.merged}
    _follow_merges(scope, lost, rows, before)
    for key, row in rows.items():
        home = before.get(key)
        if home is not None and home != row.customer_id:
            resolution.moved[key] = _placed(row)
            resolution.left.add(home)
    _write_rows(scope, rows)
    if resolution.merged:
        scope.connection.execute(
            insert(identity_merges),
            [
                {
                    "tenant_id": scope.tenant,
                    "loser": loser,
                    "winner": winner,
                    "rule": "email",
                    "evidence": evidence,
                }
                for loser, winner, evidence in resolution.merged
            ],
        )


def _write_rows(scope: TenantScope, rows: dict[IdentityKey, _Row]) -> None:
    names = ("tenant_id", *_COLUMNS)
    staged = stage(
        scope.connection,
        customer_identities,
        names,
        [
            (scope.tenant, key.connection_id, key.kind, key.source_id, row.customer_id)
            + (row.email_key, row.holder_key, row.rule, row.raw_id)
            for key, row in rows.items()
        ],
    )
    statement = insert(customer_identities).from_select(
        names, select(*(staged.c[name] for name in names))
    )
    scope.connection.execute(
        statement.on_conflict_do_update(
            index_elements=list(customer_identities.primary_key.columns),
            set_={name: statement.excluded[name] for name in _COLUMNS[3:7]},
            where=or_(
                customer_identities.c.customer_id != statement.excluded.customer_id,
                customer_identities.c.email_key.is_distinct_from(statement.excluded.email_key),
                customer_identities.c.holder_key != statement.excluded.holder_key,
                customer_identities.c.rule != statement.excluded.rule,
            ),
        )
    )


def _follow_merges(
    scope: TenantScope,
    lost: dict[UUID, UUID],
    rows: dict[IdentityKey, _Row],
    before: dict[IdentityKey, UUID | None],
) -> None:
    """Identities of a merged customer that came in by another key go along with it."""
    if not lost:
        return
    table = customer_identities
    found = scope.connection.execute(
        select(*(table.c[name] for name in _COLUMNS)).where(
            table.c.tenant_id == scope.tenant, table.c.customer_id.in_(list(lost))
        )
    )
    for row in map(_read, found):
        if row.key not in rows:
            before[row.key] = row.customer_id
            rows[row.key] = replace(row, customer_id=lost[_placed(row)], rule="merge")
