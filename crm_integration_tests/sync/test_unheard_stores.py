"""Every record that no delivery told of is found by its id, healed, and proven: of stores that
forgot to send, gave up sending, or were edited while they were listed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import httpx
import orjson
import pytest

from crm_integration.sandbox import shop_edits
from crm_integration.stores._registry import connector
from crm_integration.sync.completeness import scan
from crm_integration.sync.completeness.model import WRONG, Completeness
from crm_integration.sync.live_pass import LivePass
from crm_integration_tests.house import House, Tenant
from crm_integration_tests.intake.receiving import Receiving, order_headers, receiving
from crm_integration_tests.served import Shop
from crm_integration_tests.sync.live import engine_of
from crm_integration_tests.sync.proving import healed, lives, proven

Ids = dict[tuple[str, str], set[str]]
"""(entity, verdict) -> the store's ids, at the stage raw."""

GIVES_UP_AT = 7
"""WooCommerce disables a webhook at its seventh failed delivery in a row."""


def _ids(done: Completeness, verdicts: tuple[str, ...] = WRONG) -> Ids:
    found = done.found[(done.found["stage"] == "raw") & done.found["verdict"].isin(verdicts)]
    ids: Ids = {}
    for entity, verdict, number in zip(found["entity"], found["verdict"], found["id"], strict=True):
        ids.setdefault((entity, verdict), set()).add(str(number))
    return ids


def _texts(numbers: Iterator[int] | list[int]) -> set[str]:
    return {str(one) for one in numbers}


def _counted(done: Completeness) -> int:
    """What is wrong, by the counts that a person sees."""
    return sum(one.wrong for one in done.days)


def _in_crm(tenant: Tenant) -> set[str]:
    """Ids of the orders that the CRM holds."""
    return {one["hs_external_order_id"] for one in tenant.portal.records("order").values()}


def _healed_whole(tenant: Tenant, wrong: int) -> None:
    first, second = healed(tenant)
    assert _counted(first) == second.healed == wrong
    assert second.whole, _ids(second)
    assert _in_crm(tenant) >= _texts(list(tenant.shop.state.orders))


@pytest.mark.parametrize("platform", ["woocommerce", "shopify", "api2cart"])
def test_every_record_of_a_store_that_forgot_its_webhooks_is_found(
    house: House, platform: str
) -> None:
    """An update of the shop took its webhooks along. A sample of twenty hid the twenty-first."""
    tenant = house.tenant(platform)
    shop, first = tenant.shop, lives(tenant)
    known = [first, *(shop.guest_order(f"old{n}@example.com") for n in range(4))]
    tenant.run_once()

    orders = [shop.guest_order(f"new{number}@example.com") for number in range(25)]
    people = [shop.account(f"person{number}@example.com") for number in range(3)]
    edited, gone = known[:2], known[2]
    for order in edited:
        _note(shop, order)
    shop_edits.delete_order(shop.state, gone)

    done = proven(tenant)
    assert _ids(done) == {
        ("order", "missing"): _texts(orders),
        ("customer", "missing"): _texts(people),
        ("order", "differs"): _texts(edited),
        ("order", "surplus"): {str(gone)},
    }
    assert _counted(done) == 25 + 3 + 2 + 1
    _healed_whole(tenant, wrong=31)


def _note(shop: Shop, order: int) -> None:
    """Somebody edits an order."""
    shop.now += 60
    held = shop_edits.held_order(shop.state, order)
    shop_edits.edit_order(shop.state, held, {"status": "completed"})


@dataclass
class Hook:
    """A WooCommerce shop's webhook of its orders, which gives up as the shop does."""

    tenant: Tenant
    path: str
    failures: int = 0
    disabled: bool = False
    sent: int = 0

    def tell(self, url: str, order: int) -> None:
        """One delivery; WooCommerce sends none a second time."""
        if self.disabled:
            return
        self.sent += 1
        body = orjson.dumps(self.tenant.shop.call("GET", f"/orders/{order}"))
        headers = order_headers(body, delivery=f"d{self.sent}")
        try:
            taken = httpx.post(
                url + self.path, content=body, headers=headers, timeout=5, trust_env=False
            ).is_success
        except httpx.TransportError:
            taken = False
        self.failures = 0 if taken else self.failures + 1
        self.disabled = self.failures >= GIVES_UP_AT


def _orders(tenant: Tenant, hook: Hook, url: str, names: list[str]) -> list[int]:
    made = [tenant.shop.guest_order(f"{one}@example.com") for one in names]
    for one in made:
        hook.tell(url, one)
    return made


def _drained(tenant: Tenant) -> None:
    one_pass = LivePass(engine_of(tenant), "live")
    one_pass(tenant.name)
    one_pass.close()


def _connected(receiver: Receiving, tenant: Tenant) -> Hook:
    return Hook(tenant, receiver.shop(tenant))


def test_every_record_of_a_store_that_disabled_its_webhook_is_found(
    house: House, tenant: Tenant
) -> None:
    """The receiver was away for seven deliveries; the shop never sent another one, and said so
    nowhere."""
    with receiving(house) as receiver:
        hook, away = _connected(receiver, tenant), receiver.url
        heard = _orders(tenant, hook, receiver.url, [f"heard{n}" for n in range(4)])
    lost = _orders(tenant, hook, away, [f"lost{n}" for n in range(GIVES_UP_AT)])
    assert hook.disabled
    with receiving(house) as receiver:
        unsent = _orders(tenant, hook, receiver.url, [f"unsent{n}" for n in range(20)])
        assert hook.sent == 4 + GIVES_UP_AT
    _drained(tenant)
    assert _in_crm(tenant) == _texts(heard)

    done = proven(tenant)
    found = _ids(done)
    assert found["order", "missing"] == _texts([*lost, *unsent])
    assert set(found) == {("order", "missing"), ("product", "missing")}
    _healed_whole(tenant, wrong=GIVES_UP_AT + 20 + len(found["product", "missing"]))


CROWD = 130
"""Orders of two pages, at 100 a page."""


@pytest.fixture
def fine_clocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """The shop's clock and the database's are one here: nothing is too young to be told."""
    monkeypatch.setattr(scan, "SETTLES", timedelta(0))


def _between_pages(monkeypatch: pytest.MonkeyPatch, platform: str, edit: Callable[[], None]) -> Any:
    """The shop's people work while its second page of orders is not asked for so far."""
    pages = connector(platform).extract.pages
    seen = SimpleNamespace(pages=0, first=set[str]())

    def watched(client: Any, object_type: str, *more: Any) -> Iterator[Any]:
        for page in pages(client, object_type, *more):
            yield page
            if object_type == "order":
                seen.pages += 1
                if seen.pages == 1:
                    seen.first = {one.source_id for one in page.objects}
                    edit()

    monkeypatch.setattr(connector(platform).extract, "pages", watched)
    return seen


def test_what_is_edited_while_the_store_is_listed_is_judged_next_time_and_found(
    tenant: Tenant, monkeypatch: pytest.MonkeyPatch, fine_clocks: None
) -> None:
    """Orders that jumped from the second page to the last one were missing, others surplus."""
    shop = tenant.shop
    crowd = [shop.guest_order(f"g{number}@example.com") for number in range(CROWD)]
    tenant.run_once()
    edited = [*crowd[:15], *crowd[-15:]]
    gone, made = crowd[50:53], list[int]()

    def work() -> None:
        moment = int(time.time()) + 1 - 60  # each of these takes a minute
        for order in edited:
            shop.now = moment
            _note(shop, order)
        for order in gone:
            shop_edits.delete_order(shop.state, order)
        for number in range(5):
            shop.now = moment
            made.append(shop.guest_order(f"late{number}@example.com"))

    with monkeypatch.context() as patched:
        seen = _between_pages(patched, "woocommerce", work)
        during = proven(tenant)
    assert seen.pages >= 2
    assert 0 < len(seen.first) < CROWD
    assert during.whole, _ids(during)
    later = _ids(during, ("later",)).get(("order", "later"), set[str]())
    assert later
    assert later <= _texts([*edited, *made])
    untouched = _texts(crowd) - _texts([*edited, *gone])
    assert _ids(during, ("proven",))["order", "proven"] >= untouched

    time.sleep(2)  # they changed in the second after the scan's
    afterwards = proven(tenant)
    assert _ids(afterwards) == {
        ("order", "differs"): _texts(edited),
        ("order", "missing"): _texts(made),
        ("order", "surplus"): _texts(gone),
    }
    assert _counted(afterwards) == 30 + 5 + 3
    _healed_whole(tenant, wrong=38)
