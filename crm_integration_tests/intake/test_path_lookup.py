"""A path is asked for once, whatever comes by it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy.exc import OperationalError

from crm_integration.intake.path_lookup import Addressee, PathLookup, ask
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
        with pytest.raises(OperationalError):
            await lookup.find(token)
        assert await lookup.find(token) is not None

    asyncio.run(story())
