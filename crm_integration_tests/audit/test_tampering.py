"""Fifty ways to rewrite the past, by whoever owns the table: each is found."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest

from crm_integration.audit import trail
from crm_integration_tests.house import House, Tenant

SEEDS = 50
ENTRIES = 12

Tampering = Callable[[psycopg.Connection, str, list[int], random.Random], None]


@contextmanager
def _owner(house: House) -> Iterator[psycopg.Connection]:
    """The table's owner, who can switch the walls off."""
    url = house.urls.owner.replace("postgresql+psycopg://", "postgresql://")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("alter table audit_trail no force row level security")
        try:
            yield connection
        finally:
            connection.execute("alter table audit_trail force row level security")


def _changed(by: psycopg.Connection, tenant: str, ids: list[int], dice: random.Random) -> None:
    change = dice.choice([
        "actor = 'eve'", "action = 'nothing'", "subject = 'other'", "details = '{}'",
        "at = at + interval '1 second'", "digest = previous", "previous = digest",
    ])  # fmt: skip
    by.execute(f"update audit_trail set {change} where entry_id = {dice.choice(ids)}")  # type: ignore[arg-type]  # noqa: S608


def _removed(by: psycopg.Connection, tenant: str, ids: list[int], dice: random.Random) -> None:
    by.execute("delete from audit_trail where entry_id = %s", (dice.choice(ids[:-1]),))


def _cut(by: psycopg.Connection, tenant: str, ids: list[int], dice: random.Random) -> None:
    by.execute(
        "delete from audit_trail where tenant_id = %s and entry_id >= %s",
        (tenant, dice.choice(ids[-4:])),
    )


def _emptied(by: psycopg.Connection, tenant: str, ids: list[int], dice: random.Random) -> None:
    by.execute("delete from audit_trail where tenant_id = %s", (tenant,))


def _inserted(by: psycopg.Connection, tenant: str, ids: list[int], dice: random.Random) -> None:
    """With a digest that has no key, at the end or (ids are the order) in between."""
    after = dice.choice(ids)
    by.execute(
        "insert into audit_trail (tenant_id, at, actor, action, subject, details, previous, digest)"
        " select tenant_id, at, 'eve', 'hold.release', 'order', '{}', digest, sha256('guess')"
        " from audit_trail where entry_id = %s",
        (after,),
    )


def _swapped(by: psycopg.Connection, tenant: str, ids: list[int], dice: random.Random) -> None:
    one, other = dice.sample(ids, 2)
    by.execute(
        "update audit_trail a set actor = b.actor, action = b.action, subject = b.subject,"
        " details = b.details, at = b.at, previous = b.previous, digest = b.digest"
        " from audit_trail b where (a.entry_id, b.entry_id) in ((%s, %s), (%s, %s))",
        (one, other, other, one),
    )


def _another_merchants(
    by: psycopg.Connection, tenant: str, ids: list[int], dice: random.Random
) -> None:
    """An entry that is right where it was written."""
    by.execute(
        "update audit_trail a set digest = b.digest, previous = b.previous from audit_trail b"
        " where a.entry_id = %s and b.tenant_id <> %s and b.entry_id ="
        " (select max(entry_id) from audit_trail where tenant_id <> %s)",
        (dice.choice(ids), tenant, tenant),
    )


def _rewritten(by: psycopg.Connection, tenant: str, ids: list[int], dice: random.Random) -> None:
    """The whole chain anew, each digest fitting the one before, as far as one can without a key."""
    before = bytes(32)
    for number in ids:
        after = hashlib.sha256(before + b"eve").digest()
        by.execute(
            "update audit_trail set actor = 'eve', previous = %s, digest = %s where entry_id = %s",
            (before, after, number),
        )
        before = after


TAMPERINGS: tuple[Tampering, ...] = (
    _changed, _removed, _cut, _emptied, _inserted, _swapped, _another_merchants, _rewritten,
)  # fmt: skip


def _filled(tenant: Tenant) -> list[int]:
    with tenant.scope() as scope:
        for number in range(ENTRIES):
            trail.record(scope, actor="ada", action="test", subject=str(number), count=number)
    return [row.entry_id for row in tenant.rows("select entry_id from audit_trail order by 1")]


def _found(tenant: Tenant) -> trail.Verified:
    with tenant.scope() as scope:
        return trail.verify(scope)


@pytest.mark.parametrize("seed", range(SEEDS))
def test_each_tampering_of_the_tables_owner_is_found(
    house: House, tenant: Tenant, neighbour: Tenant, seed: int
) -> None:
    """And the neighbour's trail still holds: the alarm says whose past it is."""
    dice = random.Random(seed)  # noqa: S311
    tampering = TAMPERINGS[seed % len(TAMPERINGS)]
    _filled(neighbour)
    ids = _filled(tenant)
    assert _found(tenant).problem is None
    with _owner(house) as owner:
        tampering(owner, tenant.name, ids, dice)
    assert _found(tenant).problem is not None, tampering.__name__
    assert _found(neighbour).problem is None


def test_a_cut_end_is_found_although_the_work_went_on(house: House, tenant: Tenant) -> None:
    """New entries follow what was left of the trail, and each of them holds."""
    ids = _filled(tenant)
    with _owner(house) as owner:
        owner.execute(
            "delete from audit_trail where tenant_id = %s and entry_id > %s",
            (tenant.name, ids[-3]),
        )
    _filled(tenant)
    assert "taken off" in (_found(tenant).problem or "")


@pytest.mark.parametrize(
    "statement",
    [
        "update audit_heads.heads set entries = 1",
        "delete from audit_heads.heads",
        "drop schema audit_heads cascade",
        "drop function audit_heads.advance",
        "create or replace function audit_heads.head() returns int language sql as 'select 1'",
        "select audit_heads.advance('', '')",
        "set role crm_audit",
        "grant crm_audit to crm_owner",
        "alter table audit_heads.heads owner to crm_owner",
    ],
)
def test_the_end_is_out_of_the_owners_reach(house: House, statement: str) -> None:
    with _owner(house) as owner, pytest.raises(psycopg.Error):
        owner.execute(statement)  # type: ignore[arg-type]


def test_a_tenant_moves_no_other_ones_end(tenant: Tenant, neighbour: Tenant) -> None:
    _filled(neighbour)
    _filled(tenant)
    with tenant.scope() as scope:
        mine = scope.connection.exec_driver_sql("select * from audit_heads.head()").all()
    with neighbour.scope() as scope:
        theirs = scope.connection.exec_driver_sql("select * from audit_heads.head()").all()
    assert len(mine) == len(theirs) == 1
    assert mine != theirs


def test_a_trail_from_before_the_end_was_kept_is_taken_as_it_is(
    server: Any, database_prefix: str, tenant: Tenant
) -> None:
    """An update must not cry wolf over every merchant."""
    from crm_integration.storage.embedded import SUPERUSER

    _filled(tenant)
    with psycopg.connect(
        host=str(server.socket_dir), user=SUPERUSER, dbname=database_prefix, autocommit=True
    ) as admin:
        admin.execute("delete from audit_heads.heads where tenant_id = %s", (tenant.name,))
    assert _found(tenant).problem is None
    ids = _filled(tenant)
    assert _found(tenant) == trail.Verified(len(ids))
