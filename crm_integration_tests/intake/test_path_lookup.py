"""A path is asked for once, whatever comes by it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy.exc import OperationalError

from crm_integration.intake.away import AWAY_SECONDS, Away
from crm_integration.intake.path_lookup import LOOKED_AGAIN_SECONDS, Addressee, PathLookup, ask
from crm_integration.intake.webhook_paths import PREFIX, make_path
from crm_integration.storage.engine import engine_for
from crm_integration_tests.house import House, Tenant


class Asked:
    """The real question, counted; a database that is away for the first `away` questions."""

    def __init__(self, house: House, away: int = 0) -> None:
        self._house, self._away = house, away
        self.digests: list[bytes] = []
        self.go_on = threading.Event()
        self.go_on.set()

    def __call__(self, digest: bytes) -> Addressee | None:
        self.go_on.wait(5)
        self.digests.append(digest)
        if len(self.digests) <= self._away:
            raise OperationalError("select", {}, Exception("no route"))
        return ask(engine_for(self._house.urls.intake), self._house.tenancy.master, digest)


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as made:
        yield made


def _token(tenant: Tenant, overlap: timedelta = timedelta(hours=1)) -> str:
    with tenant.scope() as scope:
        master = tenant.house.tenancy.master
        made = make_path(scope, master, "main", actor="test", overlap=overlap)
    return made.removeprefix(PREFIX)


def test_a_thousand_deliveries_of_one_path_ask_once(
    house: House, tenant: Tenant, pool: ThreadPoolExecutor
) -> None:
    asked, token = Asked(house), _token(tenant)
    asked.go_on.clear()

    async def story() -> None:
        lookup = PathLookup(house.tenancy.master, asked, pool)
        waiting = [asyncio.create_task(lookup.find(token)) for _ in range(1_000)]
        await asyncio.sleep(0.05)
        asked.go_on.set()
        found = await asyncio.gather(*waiting)
        assert {one.tenant for one in found if one} == {tenant.name}
        assert await lookup.find(token) is not None

    asyncio.run(story())
    assert len(asked.digests) == 1


def test_an_ended_path_is_remembered_as_ended(
    house: House, tenant: Tenant, pool: ThreadPoolExecutor
) -> None:
    """A store that was never told the new address sends to the old one for ever."""
    asked, token = Asked(house), _token(tenant)
    _token(tenant, overlap=timedelta(0))

    async def story() -> None:
        lookup = PathLookup(house.tenancy.master, asked, pool)
        assert [await lookup.find(token) for _ in range(50)] == [None] * 50

    asyncio.run(story())
    assert len(asked.digests) == 1


def test_a_path_ends_at_its_second_although_it_is_remembered(
    house: House, tenant: Tenant, pool: ThreadPoolExecutor
) -> None:
    asked, token = Asked(house), _token(tenant)
    _token(tenant, overlap=timedelta(seconds=0.4))

    async def story() -> None:
        lookup = PathLookup(house.tenancy.master, asked, pool)
        assert await lookup.find(token) is not None
        await asyncio.sleep(0.5)
        assert await lookup.find(token) is None

    asyncio.run(story())
    assert len(asked.digests) == 1


def test_an_outage_is_not_taken_for_an_unknown_path(
    house: House, tenant: Tenant, pool: ThreadPoolExecutor
) -> None:
    """'Not found' was remembered, and the shop switched its webhook off."""
    asked, token = Asked(house, away=1), _token(tenant)

    async def story() -> None:
        lookup = PathLookup(house.tenancy.master, asked, pool)
        for _ in range(100):
            with pytest.raises(Away):
                await lookup.find(token)
        assert len(asked.digests) == 1, "each of them waited for a connection"
        await asyncio.sleep(AWAY_SECONDS + 0.1)
        assert await lookup.find(token) is not None

    asyncio.run(story())


def test_what_does_not_fit_is_looked_at_once_more_and_not_a_thousand_times(
    house: House, tenant: Tenant, pool: ThreadPoolExecutor
) -> None:
    """A secret was added a second ago; and forged requests ask for nothing more."""
    asked, token = Asked(house), _token(tenant)

    async def story() -> None:
        lookup = PathLookup(house.tenancy.master, asked, pool)
        first = await lookup.find(token)
        for _ in range(1_000):
            assert await lookup.look_again(token) is first
        await asyncio.sleep(LOOKED_AGAIN_SECONDS + 0.1)
        again = await asyncio.gather(*(lookup.look_again(token) for _ in range(1_000)))
        assert all(one is not first for one in again)
        assert len(asked.digests) == 2

    asyncio.run(story())
