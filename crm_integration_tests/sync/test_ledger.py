"""The ledger: who may send what, whose answer counts, and what comes next."""

from __future__ import annotations

import threading
from itertools import product
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from crm_integration.errors import (
    Conflict,
    DataRejected,
    MissingScope,
    NeedsReconnect,
    NotYet,
    Permanent,
    Transient,
)
from crm_integration.sync import outcomes, retry_policy
from crm_integration.sync.ledger import Claimed, Desired, move
from crm_integration.sync.transitions import TRANSITIONS, ImpossibleTransition, State, check
from crm_integration.sync.waiting import DEPENDENCY, LONGEST_WAIT, settle_waiting
from crm_integration.tenancy.scope import TenantScope
from crm_integration_tests.house import VERSION, Tenant, at
from crm_integration_tests.sync.rows import PLACE, answered, claimed, expire, states, wished

ALLOWED = {
    "pending": "in_flight parked held skipped",
    "in_flight": "synced retry unknown dead parked pending",
    "unknown": "synced pending",
    "retry": "pending",
    "parked": "pending",
    "held": "pending",
    "skipped": "pending",
    "synced": "pending",
    "dead": "pending",
}
"""Architecture, section 8, written down a second time."""


@pytest.mark.parametrize(("before", "after"), list(product(State, State)))
def test_only_the_ways_of_the_design_are_open(before: State, after: State) -> None:
    """A row that was never sent became `synced`: the customer was never written."""
    if after in ALLOWED[before].split():
        check(before, after)
    else:
        with pytest.raises(ImpossibleTransition):
            check(before, after)
    assert set(TRANSITIONS) == set(State)


@pytest.mark.parametrize("before", list(State))
def test_rows_are_not_moved_by_a_way_that_is_not_open(tenant: Tenant, before: State) -> None:
    """The table guards the code that writes, not only a function beside it."""
    wished(tenant)
    for after in set(State) - TRANSITIONS[before]:
        with tenant.scope() as scope, pytest.raises(ImpossibleTransition):
            move(scope, *PLACE, before, after)
    assert states(tenant) == ["pending"]


def test_an_answer_counts_only_under_its_own_claim(tenant: Tenant) -> None:
    """A process frozen for minutes came back and marked as written what another was sending."""
    ids = wished(tenant)
    (first,) = claimed(tenant)
    expire(tenant, ids)
    with tenant.scope() as scope:
        settle_waiting(scope, *PLACE, held=False)
    assert answered(tenant, first, State.synced) == set()
    assert states(tenant) == ["pending"]
    (second,) = claimed(tenant)
    assert second.claim_id != first.claim_id
    assert answered(tenant, first, State.dead) == set()
    assert states(tenant) == ["in_flight"]
    assert answered(tenant, second, State.synced) == set(ids)
    assert states(tenant) == ["synced"]


def test_an_expired_claim_is_looked_at_before_it_is_written_again(tenant: Tenant) -> None:
    """The try is counted: a second one first looks for the record by our key."""
    ids = wished(tenant)
    claimed(tenant)
    assert claimed(tenant) == []
    expire(tenant, ids)
    assert claimed(tenant) == [], "an expired claim must pass `unknown` first"
    with tenant.scope() as scope:
        settle_waiting(scope, *PLACE, held=False)
    assert [one.tries for one in claimed(tenant)] == [2]


def test_a_newer_version_that_comes_while_an_older_one_is_in_flight_is_sent_too(
    tenant: Tenant,
) -> None:
    """The success of the older write wiped out the newer one's turn."""
    ids = wished(tenant, name="Ada")
    (first,) = claimed(tenant)
    wished(tenant, *ids, name="Adele")
    assert states(tenant) == ["in_flight"]
    answered(tenant, first, State.synced)
    assert states(tenant) == ["pending"]
    (second,) = claimed(tenant)
    assert (first.desired.fields, second.desired.fields) == (
        {"firstname": "Ada"},
        {"firstname": "Adele"},
    )


@pytest.mark.parametrize("outcome", [State.retry, State.dead, State.parked, State.unknown])
def test_a_newer_version_is_not_buried_by_the_failure_of_an_older_one(
    tenant: Tenant, outcome: State
) -> None:
    """A dead older version must not take the corrected newer one with it."""
    ids = wished(tenant, name="Ada")
    (first,) = claimed(tenant)
    wished(tenant, *ids, name="Adele")
    answered(tenant, first, outcome)
    assert states(tenant) == ["unknown" if outcome is State.unknown else "pending"]


@pytest.mark.parametrize("state", [State.dead, State.parked, State.retry, State.synced])
def test_a_newer_version_brings_a_row_back(tenant: Tenant, state: State) -> None:
    """ "Three tries, then aborted for good" lost every later change of the record."""
    ids = wished(tenant, name="Ada")
    answered(tenant, claimed(tenant)[0], state, delay=3600.0)
    assert claimed(tenant) == []
    wished(tenant, *ids, name="Adele")
    assert len(claimed(tenant)) == 1


def test_an_equal_wish_does_not_wake_a_written_row(tenant: Tenant) -> None:
    """A replay that wishes what stands costs no call."""
    ids = wished(tenant)
    answered(tenant, claimed(tenant)[0], State.synced)
    wished(tenant, *ids)
    assert (states(tenant), claimed(tenant)) == (["synced"], [])


def test_the_fingerprint_of_what_was_written_is_kept_only_after_the_write(tenant: Tenant) -> None:
    """Saved before the write, a failed row was skipped for ever."""
    wished(tenant)
    (one,) = claimed(tenant)
    assert tenant.value("select written_digest from ledger") is None
    answered(tenant, one, State.retry)
    assert tenant.value("select written_digest from ledger") is None
    tenant.hurry()
    answered(tenant, claimed(tenant)[0], State.synced)
    assert tenant.value("select written_digest = desired_digest from ledger")


def test_two_senders_never_get_the_same_row(tenant: Tenant) -> None:
    """Range run and live run on one tenant: the claim is what keeps them apart."""
    ids = wished(tenant, *[uuid4() for _ in range(120)])
    got: list[UUID] = []
    start = threading.Barrier(4)

    def take() -> None:
        start.wait()
        while rows := claimed(tenant, limit=7):
            got.extend(one.object_id for one in rows)

    threads = [threading.Thread(target=take) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(got) == sorted(ids)


def test_a_claim_takes_no_more_than_its_batch(tenant: Tenant) -> None:
    """An update over a locking sub-select can be planned so that the limit does not hold."""
    wished(tenant, *[uuid4() for _ in range(30)])
    assert len(claimed(tenant, limit=7)) == 7


def test_a_row_of_an_old_rules_version_is_not_sent(tenant: Tenant) -> None:
    """What passed last year's rules has not passed this year's."""
    wished(tenant, version="old")
    assert claimed(tenant) == []
    assert len(claimed(tenant, version="old")) == 1


def test_a_hold_that_opens_in_mid_run_stops_the_next_claim(tenant: Tenant) -> None:
    """Asked only at the start of a run, a hold let an hour of bad records through."""
    from crm_integration.quality.holds import open_hold, release

    wished(tenant)
    with tenant.scope() as scope:
        open_hold(scope, "contact", "volume", "too many", "look", 1)
    assert claimed(tenant) == []
    with tenant.scope() as scope:
        release(scope, "contact", "volume", by="test")
    assert len(claimed(tenant)) == 1


def test_a_row_that_waits_too_long_is_written_without_what_it_waited_for(tenant: Tenant) -> None:
    """An order whose customer never came was not written for ever."""
    missing = uuid4()
    with tenant.scope() as scope:
        _wish_with_link(scope, missing)
        settle_waiting(scope, *PLACE, held=False)
    assert tenant.state("contact") == [("parked", DEPENDENCY)]
    with tenant.scope() as scope:
        scope.connection.execute(
            text("update ledger set waiting_since = now() - :wait"), {"wait": LONGEST_WAIT}
        )
    for _ in range(2):  # and is not parked again by the next look
        with tenant.scope() as scope:
            settle_waiting(scope, *PLACE, held=False)
        assert states(tenant) == ["pending"]


def _wish_with_link(scope: TenantScope, link: UUID) -> None:
    from crm_integration.sync.wishes import Wish, wish
    from crm_integration_tests.sync.rows import ORIGIN

    desired = Desired({}, None, (("contact", link),))
    wish(scope, ORIGIN, [Wish(uuid4(), desired, at(0), 1, VERSION)])


def _row(tries: int) -> Claimed:
    desired = Desired({}, None, ())
    return Claimed(uuid4(), uuid4(), desired, at(0), tries, (), "m", 1, written_before=False)


def test_a_retry_waits_longer_each_time_and_ends() -> None:
    """Both the hammering of a CRM that is down and the endless try."""
    delays = [retry_policy.delay(tries, None) for tries in range(1, retry_policy.MAX_TRIES + 1)]
    assert delays[-1] is None
    waited = [one for one in delays if one is not None]
    assert len(waited) == retry_policy.MAX_TRIES - 1
    assert 2.5 <= waited[0] <= 5.0
    assert max(waited) <= retry_policy.LONGEST_SECONDS
    assert sum(waited) > 3600, "an outage of an hour must not use all tries up"


@pytest.mark.parametrize("asked", [0.0, 60.0, 7200.0])
def test_a_retry_never_comes_before_the_crm_allows_it(asked: float) -> None:
    """A Retry-After that is undercut lengthens the ban."""
    found = outcomes.failed(_row(1), Transient("busy", retry_after=asked, status=429))
    assert found.state is State.retry
    assert found.delay >= asked


@pytest.mark.parametrize("tries", [1, 5, 100])
def test_rejected_data_is_never_tried_again(tries: int) -> None:
    """One invalid phone number was sent every ten minutes for a year."""
    for error in (DataRejected("no", field="phone"), Permanent("no")):
        assert outcomes.failed(_row(tries), error).state is State.dead


@pytest.mark.parametrize("tries", [1, 12, 100])
def test_an_account_that_refuses_us_costs_no_record(tries: int) -> None:
    """A revoked token made dead letters of a whole night."""
    for error in (NeedsReconnect("no"), MissingScope("no", scope="s")):
        found = outcomes.failed(_row(tries), error)
        assert (found.state, found.delay) == (State.retry, outcomes.ACCOUNT_PAUSE)


def test_a_record_that_is_said_to_exist_and_is_not_found_is_not_looked_for_for_ever() -> None:
    """A hidden record answered "exists already" in an endless loop of create and look."""
    conflict = Conflict("there", existing_id="7")
    tries = range(1, retry_policy.MAX_TRIES + 1)
    found = [outcomes.failed(_row(number), conflict) for number in tries]
    assert found[0].state is State.pending
    assert {one.state for one in found[outcomes.LOOKS - 1 : -1]} == {State.retry}
    assert found[-1].state is State.dead


def test_what_is_not_clear_is_looked_at_and_what_depends_waits() -> None:
    """An unclear answer taken as failure makes the second record; as success, none at all."""
    assert outcomes.failed(_row(1), Transient("?", code="unknown")).state is State.unknown
    assert outcomes.failed(_row(1), NotYet("no", dependency="contact")).state is State.parked
