"""Changes, removals and merges of an account over HTTP, with an index that lags."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from crm_integration.crms._contract import Association, FieldNeed, Write
from crm_integration.crms.hubspot.adapter import Adapter
from crm_integration.crms.hubspot.changes import PAGE
from crm_integration.sandbox.portal_merges import merge
from crm_integration.sandbox.portal_state import PortalState, Record

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
START = NOON - timedelta(minutes=1)


def _enter(account: PortalState, number: int, second: float) -> Record:
    at = NOON.timestamp() + second
    return account.seed("contacts", {"email": f"p{number}@example.com"}, created=at)


def _told(adapter: Adapter, since: datetime) -> list[str]:
    return [one.record_id for one in adapter.changed_since("contact", since, ["email"])]


def test_changes_come_once_in_the_order_of_their_time(adapter: Adapter, account: PortalState):
    """Three pages and their borders: none lost, none told twice."""
    made = [str(_enter(account, n, n // 2).id) for n in range(2 * PAGE + 50)]
    assert _told(adapter, START) == made
    assert _told(adapter, NOON + timedelta(seconds=200)) == made[400:]


def test_an_import_within_one_millisecond_is_read_whole(adapter: Adapter, account: PortalState):
    """The page after the last change found the same page again, for ever."""
    account.settings = replace(account.settings, searches_per_second=100)
    made = [str(_enter(account, n, 5).id) for n in range(2 * PAGE + 10)]
    later = str(_enter(account, 9_999, 6).id)
    assert sorted(set(_told(adapter, START))) == sorted([*made, later])


def test_one_that_changes_while_we_read_pushes_no_other_out(adapter: Adapter, account: PortalState):
    """Paging by position skips one for each that moves to the end."""
    made = [_enter(account, n, n) for n in range(2 * PAGE)]
    changes = adapter.changed_since("contact", START, ["email"])
    told = [next(changes).record_id for _ in range(PAGE)]
    account.clock = lambda: NOON.timestamp() + 10_000
    account.update("contacts", made[3], {"firstname": "Ada"})
    account.clock = lambda: NOON.timestamp() + 20_000
    told += [one.record_id for one in changes]
    assert set(told) == {str(one.id) for one in made}
    assert told[-1] == str(made[3].id), "and it comes again"


def test_a_change_the_index_does_not_know_is_told_later(adapter: Adapter, account: PortalState):
    """The cursor had passed the moment of the change, and nobody ever heard of it."""
    one = _enter(account, 1, 0)
    account.clock = lambda: NOON.timestamp() + 100
    account.update("contacts", one, {"firstname": "Ada"})
    assert _told(adapter, NOON + timedelta(seconds=50)) == []
    account.clock = lambda: NOON.timestamp() + 100 + account.settings.search_lag_seconds
    (found,) = adapter.changed_since("contact", NOON + timedelta(seconds=50), ["firstname"])
    assert (found.fields["firstname"], found.updated_at) == ("Ada", NOON + timedelta(seconds=100))


def test_both_ids_of_merged_records_answer_the_one_that_came_out(
    adapter: Adapter, account: PortalState
):
    """The old ids were taken for deleted, and a second person was made."""
    first, second = _enter(account, 1, 0), _enter(account, 2, 1)
    made = merge(account, "contacts", first, second)
    last = merge(account, "contacts", made, _enter(account, 3, 2))
    asked = [str(first.id), str(second.id), str(last.id), "1"]
    found = adapter.read("contact", asked, ["email"])
    assert {asked: one.record_id for asked, one in found.items()} == dict.fromkeys(
        asked[:3], str(last.id)
    )
    assert {str(first.id), str(second.id), str(made.id)} < set(found[str(last.id)].merged)


def test_what_is_archived_is_gone_and_archiving_it_again_is_no_error(
    adapter: Adapter, account: PortalState
):
    """A lost answer must not make a dead letter of a record that is where it should be."""
    records = [str(_enter(account, n, n).id) for n in range(150)]
    assert adapter.archive("contact", records) == [None] * 150
    assert adapter.read("contact", records, []) == {}
    assert adapter.archive("contact", [*records[:2], "77"]) == [None] * 3


def test_an_association_that_was_taken_away_is_gone_and_others_stay(
    adapter: Adapter, account: PortalState
):
    """Also where one end does not exist any more."""
    adapter.prepare("company", [FieldNeed("name", "text")])
    one, other = _enter(account, 1, 0), _enter(account, 2, 0)
    (done,) = adapter.write("company", [Write("key-1", None, {"name": "Lumen"})])
    assert done.record is not None
    company = done.record.record_id
    ties = [Association("contact", str(end.id), "company", company) for end in (one, other)]
    assert adapter.associate(ties) == [None, None]
    gone = Association("contact", "99", "company", company)
    assert adapter.dissociate([ties[0], gone]) == [None, None]
    assert account.linked("contacts", one.id, "companies") == {}
    assert set(account.linked("contacts", other.id, "companies")) == {int(company)}
