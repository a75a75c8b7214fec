"""What is kept of the words about consent, whatever order they come in and how often."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from crm_integration.canonical.consent_rows import refresh_consent, write_consents
from crm_integration.canonical.consents import Channel, Consent, ConsentState, OptInLevel
from crm_integration.canonical.customers import Customer, CustomerKind
from crm_integration.canonical.identity import lock_identities
from crm_integration.canonical.sourced import Sourced
from crm_integration.sync.derive import deriver
from crm_integration.sync.reading import Chunk
from crm_integration.sync.writing import Written, write
from crm_integration_tests import shop_life
from crm_integration_tests.canonical.people import STAMP, People, seen
from crm_integration_tests.house import House, Tenant, at, source

NEVER, IN, OUT = ConsentState.never_asked, ConsentState.subscribed, ConsentState.unsubscribed


def _word(state: ConsentState, when: datetime, number: int = 1, **said: Any) -> Consent:
    return Consent(
        source_id=f"registered/{number}/email", source_time=when, customer_kind="registered",
        customer_source_id=str(number), channel=Channel.email, state=state,
        level=OptInLevel.single, explicit=True, **said,
    )  # fmt: skip


def _received(tenant: Tenant, minutes: list[int]) -> dict[int, int]:
    """Raw records of one account, received in this order; minute of its version -> raw id."""
    for minute in minutes:
        tenant.keep(source("customer", 1, at(minute), {"version": minute}))
    rows = tenant.rows("select source_time, raw_id from raw_records")
    raw = {row.source_time: row.raw_id for row in rows}
    return {minute: raw[at(minute)] for minute in minutes}


def _says(tenant: Tenant, raw: dict[int, int], words: dict[int, ConsentState]) -> int:
    """One chunk with these words; returns how many were news."""
    batch = [Sourced(_word(state, at(m)), "main", raw[m], 2) for m, state in words.items()]
    with tenant.scope() as scope:
        lock_identities(scope)
        spoke = write_consents(scope, batch, STAMP)
        rows = tenant.rows("select customer_id from customers")
        refresh_consent(scope, {row.customer_id for row in rows})
    return len(spoke)


@pytest.mark.parametrize(
    ("middle", "last", "counts"), [(IN, OUT, "unsubscribed"), (OUT, NEVER, "unsubscribed")]
)
def test_a_word_that_comes_late_was_said_before_the_newer_one(
    tenant: Tenant, middle: ConsentState, last: ConsentState, counts: str
) -> None:
    """An opt-in was delivered after the opt-out that followed it, and counted as the newer."""
    People(tenant).write(seen(1, "Ada Byron", "ada@example.com", kind="registered"))
    raw = _received(tenant, [0, 20, 10])
    _says(tenant, raw, {0: NEVER})
    _says(tenant, raw, {20: last})
    _says(tenant, raw, {20: last, 10: middle})
    events = tenant.rows("select event_at, timed_by from consent_events order by source_time")
    times = [event.event_at for event in events]
    assert times == sorted(times)
    assert [event.timed_by for event in events][:2] == ["first_sight", "change"]
    assert tenant.value("select email_consent from customers") == counts


def test_several_late_words_keep_their_order(tenant: Tenant) -> None:
    """Each was held against the newest known, and not against the one that came with it."""
    People(tenant).write(seen(1, "Ada Byron", "ada@example.com", kind="registered"))
    raw = _received(tenant, [0, 30, 20, 10])
    _says(tenant, raw, {0: NEVER})
    _says(tenant, raw, {30: OUT})
    _says(tenant, raw, {30: OUT, 20: IN, 10: OUT})
    events = tenant.rows("select event_at from consent_events order by source_time")
    times = [event.event_at for event in events]
    assert len(times) == 4
    assert times == sorted(times)
    assert tenant.value("select email_consent from customers") == "unsubscribed"


def test_a_word_heard_before_is_no_news(tenant: Tenant) -> None:
    """Every replay reported each first opt-in as a change."""
    raw = _received(tenant, [0, 10])
    words = {0: NEVER, 10: IN}
    assert _says(tenant, raw, words) == 1
    assert _says(tenant, raw, words) == 0
    assert tenant.value("select count(*) from consent_events") == 2


def test_a_replay_changes_no_consent(house: House) -> None:
    """The report of a replay is read to see what it changed."""
    tenant = house.tenant("shopify")
    shop_life.says(tenant.shop, tenant.shop.account("ada@example.com"), "subscribed", "confirmed")
    assert tenant.run_once().derived.changed["consent"] > 0
    assert tenant.derive().changed["consent"] == 0


def test_an_opt_in_counts_as_soon_as_its_address_is_verified(tenant: Tenant) -> None:
    """The e-mail was verified, nothing else changed, and the opt-in went on not counting."""
    tenant.keep(source("customer", 1, at(0), {}), source("customer", 2, at(0), {}))
    rows = tenant.rows("select source_id, raw_id from raw_records")
    raw = {row.source_id: row.raw_id for row in rows}

    def account(number: int, minute: int, *, verified: bool) -> Customer:
        return Customer(
            source_id=str(number), source_time=at(minute), kind=CustomerKind.registered,
            email="ada@example.com", first_name="Ada", email_verified=verified,
        )  # fmt: skip

    def derive(*items: tuple[str, str, Customer | Consent]) -> None:
        chunk = Chunk()
        for entity, number, item in items:
            chunk.accepted[entity].append(Sourced(item, "main", raw[number], 2))
        with tenant.scope() as scope:
            lock_identities(scope)
            write(scope, deriver(tenant.store, {}, run_id="r"), chunk, Written())

    derive(
        ("customer", "1", account(1, 9, verified=True)),
        ("customer", "2", account(2, 0, verified=False)),
        ("consent", "1", _word(NEVER, at(0))),
        ("consent", "2", _word(IN, at(1), 2, consented_at=at(1))),
    )
    consent = "select email_consent from customers where merged_into is null"
    assert tenant.value(consent) == "never_asked"
    derive(("customer", "2", account(2, 5, verified=True)))
    assert tenant.value(consent) == "subscribed"
