"""A live pass asks little: what it knows from the pass before is not asked again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import event

from crm_integration.errors import StorageError
from crm_integration.quality.drift_judgement import MIN_RECORDS
from crm_integration.quality.holds import open_holds
from crm_integration.sync import derive
from crm_integration.sync.live_pass import LivePass
from crm_integration_tests.house import Tenant
from crm_integration_tests.sync.live import deliver, engine_of

MOST = 44
"""Statements of a pass over one known customer; there were 93, then 62, then 49."""


@contextmanager
def _asked(tenant: Tenant) -> Iterator[list[str]]:
    """The statements of both roles, as they are sent."""
    found: list[str] = []

    def note(_: Any, __: Any, statement: str, *___: Any) -> None:
        found.append(statement)

    engines = (tenant.house.engines.tenancy.engine, tenant.house.engines.ops)
    for one in engines:
        event.listen(one, "before_cursor_execute", note)
    try:
        yield found
    finally:
        for one in engines:
            event.remove(one, "before_cursor_execute", note)


def _account(tenant: Tenant) -> dict[str, Any]:
    return tenant.shop.call("GET", f"/customers/{tenant.shop.account('ada@example.com')}")


def _told(tenant: Tenant, account: dict[str, Any], minute: int, **changes: Any) -> None:
    """The account as it was changed in this minute."""
    stamp = f"2026-01-01T10:{minute:02d}:00"
    deliver(tenant, "customer", {**account, "date_modified_gmt": stamp, **changes})


def _nothing(*_: object) -> None:
    """Killed before it could."""


@pytest.fixture
def live(tenant: Tenant) -> Iterator[LivePass]:
    """A pass whose clients and memories live on, as in a live run."""
    one = LivePass(engine_of(tenant), "live")
    yield one
    one.close()


def test_an_event_costs_few_statements(tenant: Tenant, live: LivePass) -> None:
    """Each delivery asked all that the one before it had asked, and built each question anew."""
    account = _account(tenant)
    for minute in (1, 2):
        _told(tenant, account, minute, first_name=f"Ada{minute}")
        live(tenant.name)
    _told(tenant, account, 3, first_name="Adele")
    with _asked(tenant) as asked:
        passed = live(tenant.name)
    assert (passed.writes, passed.problems) == (1, [])
    assert len(asked) <= MOST
    assert not [one for one in asked if "payload_paths" in one]
    (contact,) = tenant.portal.records("contact").values()
    assert contact["firstname"] == "Adele"


def test_a_payload_of_another_type_holds_at_once(tenant: Tenant, live: LivePass) -> None:
    """What a live run remembers of a topic must not make it blind until the hour is over."""
    account = _account(tenant)
    for minute in range(3):
        _told(tenant, account, minute)
        live(tenant.name)
    for minute in range(3, 3 + MIN_RECORDS):
        _told(tenant, account, minute, email=["ada@example.com"])
        live(tenant.name)
    with tenant.scope() as scope:
        assert "contact" in open_holds(scope)


def test_what_a_broken_pass_saw_is_forgotten_and_seen_again(
    tenant: Tenant, live: LivePass, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its transaction was rolled back, and what it had left underived was asked for by nobody."""
    account = _account(tenant)
    _told(tenant, account, 1)
    live(tenant.name)

    def breaks(*_: Any) -> None:
        raise StorageError("the disk is full: make room")

    with monkeypatch.context() as broken:
        broken.setattr(derive, "write", breaks)
        _told(tenant, account, 2, first_name="Adele", an_unheard_field=1)
        with pytest.raises(StorageError):
            live(tenant.name)
    live(tenant.name)
    paths = tenant.rows("select path from payload_paths where path = 'an_unheard_field'")
    assert len(paths) == 1
    (contact,) = tenant.portal.records("contact").values()
    assert contact["firstname"] == "Adele"


def test_what_a_killed_run_left_underived_is_found_after_a_while(
    tenant: Tenant, live: LivePass, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run was killed between the raw record and the customer."""
    account = _account(tenant)
    _told(tenant, account, 1)
    live(tenant.name)
    _told(tenant, account, 2, first_name="Adele")
    other = LivePass(engine_of(tenant), "killed")
    monkeypatch.setattr(other, "_derive", _nothing)
    other(tenant.name)
    other.close()
    live.lately.seconds = 0.0
    live(tenant.name)
    (contact,) = tenant.portal.records("contact").values()
    assert contact["firstname"] == "Adele"


def test_what_was_kept_before_a_pass_broke_is_derived_by_the_next(
    tenant: Tenant, live: LivePass, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The delivery had left the queue, and nobody looked for half a minute."""
    account = _account(tenant)
    _told(tenant, account, 1)
    live(tenant.name)

    def breaks(*_: object) -> None:
        raise StorageError("the server went away: wait for it")

    with monkeypatch.context() as broken:
        broken.setattr(LivePass, "_derive", breaks)
        _told(tenant, account, 2, first_name="Adele")
        with pytest.raises(StorageError):
            live(tenant.name)
    live(tenant.name)
    (contact,) = tenant.portal.records("contact").values()
    assert contact["firstname"] == "Adele"
