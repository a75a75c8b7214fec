"""Listings whose answers are not what the store's API promises, and deliveries that are none."""

from __future__ import annotations

import gzip
from collections.abc import Callable

import httpx
import pytest

from crm_integration.errors import Permanent, RemoteError
from crm_integration.intake.drop_table import drain
from crm_integration.transport.http import LARGEST_ANSWER, TOO_LARGE, send
from crm_integration_tests.bad_input.accounting import accounted, to_the_crm
from crm_integration_tests.bad_input.measuring import measured
from crm_integration_tests.bad_input.spoiling import DAYS, deliver, no_pauses
from crm_integration_tests.conformance import books
from crm_integration_tests.house import House, Tenant, at, order

__all__ = ["no_pauses"]
DEEP = 10_000
Spoiler = Callable[[bytes], bytes]

PAGES: dict[str, Spoiler] = {
    "empty": lambda body: b"",
    "null": lambda body: b"null",
    "a text": lambda body: b'"no"',
    "an empty object": lambda body: b"{}",
    "brackets": lambda body: b"[" * DEEP,
    "brackets to the end": lambda body: b"[" * DEEP + b"]" * DEEP,
    "cut in half": lambda body: body[: len(body) // 2],
    "the last byte missing": lambda body: body[:-1],
    "twice": lambda body: body + body,
    "gzip": gzip.compress,
    "utf-16": lambda body: body.decode().encode("utf-16"),
    "a warning before it": lambda body: b"Warning: something\n" + body,
    "a warning behind it": lambda body: body + b"\nNotice: something",
    "a web page": lambda body: b"<html>maintenance</html>",
    "nul bytes": lambda body: b"\0" * 100,
}
"""What may stand in the place of a page."""

NOTES: dict[str, bytes] = {
    "broken utf-8": b"\xff\xfe\xc3\x28",
    "a bare quote": b'no " quote',
    "a bare NUL": b"a\0b",
    "an escaped NUL": b"a\\u0000b",
    "half a pair": b"\\ud83d",
    "brackets": b'","zz":' + b"[" * DEEP + b"]" * DEEP + b',"yy":"',
    "objects": b'","zz":' + b'{"a":' * DEEP + b"1" + b"}" * DEEP + b',"yy":"',
    "100,000 keys": b'","zz":{' + b",".join(b'"k%d":1' % n for n in range(100_000)) + b'},"yy":"',
    "the same key again": b'","note":1,"customer_note":2,"comment":3,"yy":"',
    "digits": b'","zz":' + b"9" * 100_000 + b',"yy":"',
    "a bad escape": b"\\x41",
}
"""What may stand in the place of one order's note."""


@pytest.fixture
def shop(tenant: Tenant) -> Tenant:
    """A tenant with three orders in its shop."""
    tenant.shop.now = books.LATER
    for key in (501, 502, 503):
        books.order(tenant.shop.state, key, books.NOON + key)
    return tenant


def _listed(tenant: Tenant, spoil: Spoiler) -> bool:
    """List what is spoilt and derive it; whether anything was said about it."""
    tenant.shop.spoiling.spoil = spoil
    said = False
    try:
        tenant.extract("order", window=DAYS)
    except RemoteError as error:
        said = bool(str(error))
    tenant.derive()
    return said or bool(tenant.value("select count(*) from quarantine where released_at is null"))


def test_pages_of_anything(shop: Tenant) -> None:
    """Nothing of a spoilt page counts as seen, and the next listing brings all of it."""
    for key, (name, spoil) in enumerate(PAGES.items(), start=601):
        note = _with_note(shop, key)

        def whole(body: bytes, spoil: Spoiler = spoil, note: bytes = note) -> bytes:
            return spoil(body) if note in body else body

        _told_or_read(shop, name, key, whole)
    _all_arrive(shop, 3 + len(PAGES))


def test_one_order_of_anything_among_others(shop: Tenant) -> None:
    """It is read, kept back or makes the listing fail by name; the next listing settles it."""
    for key, (name, instead) in enumerate(NOTES.items(), start=601):
        note = _with_note(shop, key)
        _told_or_read(shop, name, key, lambda body, old=note, new=instead: body.replace(old, new))
    _all_arrive(shop, 3 + len(NOTES))


def _with_note(tenant: Tenant, key: int) -> bytes:
    """A further order; returns its note."""
    note = f"the note of order {key}"
    books.order(tenant.shop.state, key, books.NOON + key, customer_note=note)
    return note.encode()


def _told_or_read(tenant: Tenant, name: str, key: int, spoil: Spoiler) -> None:
    said = _listed(tenant, spoil)
    if not _numbers(tenant) >= {"502", str(key)}:
        assert said, f"{name}: left out without a word"
        tenant.shop.spoiling.spoil = lambda body: body
        tenant.extract("order", window=DAYS)  # one that failed goes on with what it began with


def _all_arrive(tenant: Tenant, orders: int) -> None:
    """What was kept back is settled by the next good listing."""
    to_the_crm(tenant)
    assert not _listed(tenant, lambda body: body), "what is readable again is still kept back"
    account = accounted(tenant)
    assert account.states["order", "synced"] == orders
    assert not account.reasons


def _numbers(tenant: Tenant) -> set[str]:
    return {row.source_id for row in tenant.rows("select source_id from orders")}


def test_deliveries_of_anything_do_not_stop_those_behind_them(house: House) -> None:
    """One endpoint, open to the world: a body of brackets stopped a tenant's queue for a day."""
    tenant = house.tenant("woocommerce")
    good = order(7, at(0)).payload
    spoilt = [spoil(good) for spoil in PAGES.values()]
    odd = [good[:-1] + b',"note":"' + one + b'"}' for one in NOTES.values()]
    deliver(house, tenant, *spoilt, *odd, good, order(8, at(1)).payload)
    drain(house.tenancy, house.engines.ops, tenant.name, tenant.store, run_id="r1")
    account = accounted(tenant)
    assert account.states["order", "synced"] == 2
    told = tenant.value("select count(*) from quarantine where entity = 'delivery'")
    assert told >= len(PAGES) - 3, "a delivery nobody could read was dropped without a word"
    with house.engines.ops.connect() as connection:
        left = connection.exec_driver_sql(
            "select count(*) from webhook_queue where tenant_id = %s", (tenant.name,)
        ).scalar_one()
    assert left == 0


def test_a_small_packed_answer_that_unpacks_to_anything_is_not_read() -> None:
    """64 kB on the wire, gigabytes in memory: the length that the answer states says nothing."""
    packed = gzip.compress(b" " * (LARGEST_ANSWER + 1), compresslevel=1)

    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, headers={"content-encoding": "gzip"}, content=packed)

    shop = "https://shop.example.com"
    with (
        measured() as cost,
        httpx.Client(base_url=shop, transport=httpx.MockTransport(answer)) as client,
        pytest.raises(Permanent) as refused,
    ):
        send(client, client.build_request("GET", "/orders"))
    assert refused.value.code == TOO_LARGE
    assert cost.mb < 200
