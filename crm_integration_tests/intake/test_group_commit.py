"""Deliveries share commits, and each is answered for what became of it alone."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import Engine
from sqlalchemy.exc import OperationalError

from crm_integration.intake.away import AWAY_SECONDS, Away
from crm_integration.intake.drop_table import Arrived, put_all
from crm_integration.intake.group_commit import GroupCommit, NotKept
from crm_integration.intake.rate_limit import NoRoom
from crm_integration.storage.engine import engine_for
from crm_integration.storage.sealing import TenantKeys, new_tenant_keys
from crm_integration_tests.house import House, Tenant
from crm_integration_tests.intake.receiving import kept, keys_of

KEYS = new_tenant_keys("anybody")


def _arrived(keys: TenantKeys = KEYS, connection: str = "main", body: bytes = b"{}") -> Arrived:
    return Arrived(uuid4(), keys, connection, {"x": "y"}, body)


class Database:
    """The real one, counted; it waits where it is told to."""

    def __init__(self, intake: Engine | None) -> None:
        self._intake = intake
        self.batches: list[int] = []
        self.go_on = threading.Event()
        self.go_on.set()
        self.error: Exception | None = None

    def keep(self, arrived: Sequence[Arrived]) -> None:
        self.go_on.wait(5)
        self.batches.append(len(arrived))
        if self.error is not None:
            raise self.error
        if self._intake is not None:
            with self._intake.begin() as connection:
                put_all(connection, arrived)


def _run(database: Database, story: Callable[[GroupCommit], Awaitable[Any]], **limits: Any) -> Any:
    async def told() -> Any:
        commit = GroupCommit(database.keep, **limits)
        commit.start()
        try:
            return await story(commit)
        finally:
            database.go_on.set()
            await commit.close()

    return asyncio.run(told())


async def _outcomes(commit: GroupCommit, arrived: Sequence[Arrived]) -> list[Any]:
    return await asyncio.gather(*(commit.commit(one) for one in arrived), return_exceptions=True)


def test_what_comes_during_a_commit_shares_the_next_one(
    house: House, tenant: Tenant, neighbour: Tenant
) -> None:
    """A commit for each delivery bounds a sale at what one disk can sync."""
    database = Database(engine_for(house.urls.intake))
    mine, other = keys_of(tenant), keys_of(neighbour)
    many = [_arrived(mine if number % 2 else other) for number in range(200)]

    assert _run(database, lambda commit: _outcomes(commit, many)) == [None] * 200
    assert sum(database.batches) == 200
    assert len(database.batches) <= 3
    assert len(kept(tenant)) == len(kept(neighbour)) == 100


def test_one_delivery_that_cannot_be_kept_does_not_take_the_others_with_it(
    house: House, tenant: Tenant
) -> None:
    """A connection was taken away while its deliveries waited; 499 shops' orders were refused."""
    database = Database(engine_for(house.urls.intake))
    keys = keys_of(tenant)
    many = [_arrived(keys, "gone" if number == 4 else "main") for number in range(10)]

    found = _run(database, lambda commit: _outcomes(commit, many))

    assert [type(one) for one in found] == [
        NotKept if number == 4 else type(None) for number in range(10)
    ]
    assert len(kept(tenant)) == 9


def test_a_database_that_is_away_is_not_asked_by_each(house: House) -> None:
    """Each request waited three seconds for a connection that nobody answers."""
    database = Database(None)
    database.error = OperationalError("insert", {}, Exception("no route"))

    async def story(commit: GroupCommit) -> None:
        assert {type(one) for one in await _outcomes(commit, [_arrived()])} == {Away}
        assert commit.away
        began = time.monotonic()
        outcomes = await _outcomes(commit, [_arrived() for _ in range(1_000)])
        assert {type(one) for one in outcomes} == {Away}
        assert time.monotonic() - began < AWAY_SECONDS / 2
        assert database.batches == [1], "it was not asked again"
        database.error = None
        await asyncio.sleep(AWAY_SECONDS + 0.1)
        assert await _outcomes(commit, [_arrived()]) == [None]

    _run(database, story)


def test_the_queue_has_a_limit_and_each_connection_its_share() -> None:
    """A slow disk and one flood filled the memory; then nobody was answered."""
    database = Database(None)
    database.go_on.clear()

    async def story(commit: GroupCommit) -> list[Any]:
        mine = [asyncio.create_task(commit.commit(_arrived())) for _ in range(30)]
        await asyncio.sleep(0)
        others = [
            asyncio.create_task(commit.commit(_arrived(connection=f"c{number}")))
            for number in range(100)
        ]
        await asyncio.sleep(0)
        assert commit.waiting == 80
        database.go_on.set()
        first = await asyncio.gather(*mine, return_exceptions=True)
        second = await asyncio.gather(*others, return_exceptions=True)
        assert commit.waiting == 0
        return [sum(isinstance(one, NoRoom) for one in some) for some in (first, second)]

    assert _run(database, story, most_waiting=80) == [10, 40]


def test_nobody_waits_for_ever_for_a_commit() -> None:
    """The database hung, and every sender with it."""
    database = Database(None)
    database.go_on.clear()

    async def story(commit: GroupCommit) -> None:
        first = asyncio.create_task(commit.commit(_arrived()))
        await asyncio.sleep(0.05)  # it is on its way to the database
        second = asyncio.create_task(commit.commit(_arrived()))
        found = await asyncio.gather(first, second, return_exceptions=True)
        assert [type(one) for one in found] == [Away, Away]
        database.go_on.set()
        await asyncio.sleep(0.05)
        assert database.batches == [1], "who was told to come again is not kept behind his back"

    _run(database, story, seconds=0.2)


def test_what_waits_at_the_end_is_committed(house: House, tenant: Tenant) -> None:
    """At each release the last deliveries were lost."""
    database = Database(engine_for(house.urls.intake))
    database.go_on.clear()
    keys = keys_of(tenant)

    async def story() -> list[Any]:
        commit = GroupCommit(database.keep)
        commit.start()
        sent = [asyncio.create_task(commit.commit(_arrived(keys))) for _ in range(20)]
        await asyncio.sleep(0.05)
        closing = asyncio.create_task(commit.close())
        await asyncio.sleep(0)
        late = await asyncio.gather(commit.commit(_arrived(keys)), return_exceptions=True)
        assert [type(one) for one in late] == [Away]
        database.go_on.set()
        await closing
        return await asyncio.gather(*sent)

    assert asyncio.run(story()) == [None] * 20
    assert len(kept(tenant)) == 20


def test_a_writer_that_died_is_not_ready(caplog: pytest.LogCaptureFixture) -> None:
    """The process lived on, answered nobody and looked well."""
    database = Database(None)
    database.error = RuntimeError("needle@example.com")

    async def story() -> None:
        commit = GroupCommit(database.keep, seconds=0.2)
        assert commit.away, "not started"
        commit.start()
        with pytest.raises(Away):
            await commit.commit(_arrived())
        assert commit.away
        with suppress(RuntimeError):
            await commit.close()

    asyncio.run(story())
    assert "RuntimeError" in caplog.text
    assert "needle" not in caplog.text


def test_a_batch_is_bounded_in_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """500 orders of 9 MB in one transaction are 4 GB."""
    monkeypatch.setattr("crm_integration.intake.group_commit.BATCH_BYTES", 1_000)
    database = Database(None)
    many = [_arrived(body=b"x" * 400) for _ in range(9)]
    _run(database, lambda commit: _outcomes(commit, many))
    assert max(database.batches) == 2
    assert sum(database.batches) == 9
