"""Tombstones: kept once, only for what a read called gone, and newer than all that is known."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from crm_integration.errors import NeedsReconnect
from crm_integration.intake import deletions
from crm_integration.intake.deletions import keep_gone, unseen_since
from crm_integration.intake.extract import fetch
from crm_integration.intake.raw_reading import last_words_of, newest_of
from crm_integration.intake.raw_records import CAME_BACK, Kept, Observation
from crm_integration.quality.holds import open_holds
from crm_integration.sandbox import shop_edits
from crm_integration_tests.departures import tombstones
from crm_integration_tests.house import Tenant, account, at, order, refund


def _gone(tenant: Tenant, *numbers: int, object_type: str = "order", run_id: str = "r") -> Kept:
    names = [str(one) for one in numbers]
    with tenant.scope() as scope:
        return keep_gone(scope, "main", object_type, names, run_id=run_id)


def test_a_tombstone_is_a_raw_record_without_words(tenant: Tenant) -> None:
    """What is kept is that a read said so, and when; the last words stay beside it."""
    tenant.keep(order(7, at(0)))
    assert _gone(tenant, 7) == Kept(1)
    assert _gone(tenant, 7) == Kept(0, 1), "kept again, though nothing is new"
    with tenant.scope() as scope:
        (newest,) = newest_of(scope, "main", "order", ["7"])
        (words,) = last_words_of(scope, "main", "order", ["7"])
    assert (newest.is_gone, newest.payload) == (True, b"")
    assert (words.is_gone, words.payload) == (False, order(7, at(0)).payload)
    assert tenant.value("select count(distinct digest) from raw_records") == 2


def test_a_tombstone_is_newer_than_a_version_of_a_clock_that_is_ahead(tenant: Tenant) -> None:
    """Three minutes ahead are believed; the deletion would have been older than the update."""
    ahead = datetime.now(UTC) + timedelta(minutes=3)
    tenant.keep(order(7, ahead))
    _gone(tenant, 7)
    with tenant.scope() as scope:
        (newest,) = newest_of(scope, "main", "order", ["7"])
    assert newest.is_gone
    assert newest.source_time > ahead


def test_a_child_is_read_with_the_last_words_of_a_parent_that_is_gone(tenant: Tenant) -> None:
    """A refund carries no currency: with the tombstone for its order it could not be read."""
    tenant.keep(order(7, at(0)), refund(70, 7, "4.00", at(1)))
    _gone(tenant, 7)
    with tenant.scope() as scope:
        (found,) = newest_of(scope, "main", "refund", ["70"], parent_type="order")
    assert found.parent == order(7, at(0)).payload


@pytest.mark.parametrize("how", [Observation.webhook, Observation.list])
@pytest.mark.parametrize("minutes", [0, 1])
def test_whatever_shows_what_is_gone_must_be_read(
    tenant: Tenant, how: Observation, minutes: int
) -> None:
    """A late delivery, or a return: by its time alone nobody can tell."""
    tenant.keep(order(7, at(0)))
    _gone(tenant, 7)
    assert tenant.keep(order(7, at(minutes)), how=how).doubtful == (("order", "7"),)


def test_a_direct_read_of_what_was_gone_is_its_return(tenant: Tenant) -> None:
    """With the date it had: as a version it is older than the tombstone."""
    tenant.keep(order(7, at(0)))
    _gone(tenant, 7)
    tenant.keep(order(7, at(0)), how=Observation.direct)
    with tenant.scope() as scope:
        (newest,) = newest_of(scope, "main", "order", ["7"])
    assert newest.flags == (CAME_BACK,)
    assert tenant.keep(order(7, at(0))).doubtful == ()


def test_a_few_may_go_and_a_type_that_melts_is_held(
    tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More than 20 and more than 1 % (here: half) of what is known, found gone in one run."""
    monkeypatch.setattr(deletions, "SHARE", 0.5)
    tenant.keep(*(order(number, at(0)) for number in range(1, 61)))
    _gone(tenant, *range(1, 21), run_id="a")
    _gone(tenant, *range(900, 940), run_id="a")  # nobody has told about these
    _gone(tenant, *range(21, 41), run_id="b")
    with tenant.scope() as scope:
        assert open_holds(scope) == {}
    _gone(tenant, *range(41, 52), run_id="b")
    with tenant.scope() as scope:
        (hold,) = open_holds(scope)["order"]
    assert (hold.check_name, hold.records) == ("deletions", 31)


def test_only_what_nothing_has_shown_since_is_suspected(tenant: Tenant) -> None:
    """Seen again, newly seen, and gone already are none; the one seen longest ago comes first."""
    tenant.keep(*(account(number, at(0), f"p{number}@example.com") for number in (1, 2, 3, 4)))
    tenant.keep(account(5, at(0), "p5@example.com"))
    _gone(tenant, 4, object_type="customer")
    since = tenant.value("select clock_timestamp()")
    tenant.keep(account(2, at(0), "p2@example.com"), account(6, at(0), "p6@example.com"))
    with tenant.scope() as scope:
        assert unseen_since(scope, "main", "customer", since) == ["1", "3", "5"]


def test_a_list_with_something_unreadable_in_it_suspects_nobody(tenant: Tenant) -> None:
    """An account came without its id: whoever it was is not missing from that list."""
    kept, lost = (tenant.shop.account(f"p{one}@example.com") for one in range(2))
    tenant.extract("customer")
    shop_edits.delete_customer(tenant.shop.state, lost)
    named = f'"id":{kept}'.encode()
    tenant.shop.spoiling.spoil = lambda body: body.replace(named, b'"id":null')
    assert tenant.extract("customer")["customer"].unreadable
    assert tombstones(tenant, "customer") == []
    tenant.shop.spoiling.spoil = lambda body: body
    tenant.extract("customer")
    assert tombstones(tenant, "customer") == [str(lost)]


def test_nothing_is_kept_when_another_account_answers(tenant: Tenant) -> None:
    """The address was given to another shop between two calls: of course it knows no id."""
    number = tenant.shop.guest_order("gus@example.com")
    tenant.extract("order")
    store = tenant.opened()
    shop_edits.delete_order(tenant.shop.state, number)
    tenant.shop.spoiling.spoil = lambda body: body.replace(b".shop.example", b".other.example")
    with pytest.raises(NeedsReconnect):
        fetch(tenant.house.tenancy, store, "order", [str(number)], run_id="r")
    store.client.close()
    assert tombstones(tenant, "order") == []
