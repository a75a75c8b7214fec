"""Any history of a ledger row: wishes, claims, answers in any order, frozen senders."""

from __future__ import annotations

from dataclasses import dataclass, field
from uuid import UUID, uuid4

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crm_integration.sync.ledger import Claimed
from crm_integration.sync.transitions import TRANSITIONS, State
from crm_integration.sync.waiting import settle_waiting
from crm_integration_tests.house import Tenant
from crm_integration_tests.sync.rows import PLACE, answered, claimed, expire, wished

ANSWERS = sorted(TRANSITIONS[State.in_flight])
STEPS = st.one_of(
    st.tuples(st.just("wish"), st.integers(0, 3)),
    st.tuples(st.just("claim"), st.just(0)),
    st.tuples(st.just("answer"), st.tuples(st.integers(0, 5), st.sampled_from(ANSWERS))),
    st.tuples(st.just("expire"), st.just(0)),
    st.tuples(st.just("look"), st.just(0)),
)


@dataclass
class Row:
    """One contact's row, what claims of it were handed out, and what was written by whom."""

    tenant: Tenant
    object_id: UUID = field(default_factory=uuid4)
    claims: list[Claimed] = field(default_factory=list[Claimed])

    def seen(self) -> tuple[State, bytes, bytes | None, UUID | None]:
        """(state, desired digest, written digest, claim id)."""
        ((state, desired, written, claim_id),) = self.tenant.rows(
            "select state, desired_digest, written_digest, claim_id from ledger where object_id=:o",
            o=self.object_id,
        )
        return State(state), bytes(desired), None if written is None else bytes(written), claim_id

    def wish(self, version: int) -> None:
        wished(self.tenant, self.object_id, name=f"Ada {version}")

    def claim(self) -> None:
        self.tenant.hurry()
        self.claims += [one for one in claimed(self.tenant) if one.object_id == self.object_id]

    def answer(self, number: int, state: State) -> None:
        if self.claims:
            answered(self.tenant, self.claims[number % len(self.claims)], state)

    def look(self) -> None:
        with self.tenant.scope() as scope:
            settle_waiting(scope, *PLACE, held=False)


def _take(row: Row, step: str, more: object) -> None:
    if step == "wish":
        assert isinstance(more, int)
        row.wish(more)
    elif step == "answer":
        number, state = more  # type: ignore[misc]
        row.answer(number, state)
    elif step == "expire":
        expire(row.tenant, [row.object_id])
    else:
        {"claim": row.claim, "look": row.look}[step]()


def _reachable(before: State, after: State, most: int) -> bool:
    found = {before}
    for _ in range(most):
        found |= {there for here in found for there in TRANSITIONS[here]}
    return after in found


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(steps=st.lists(STEPS, max_size=14))
def test_no_history_leaves_the_table_or_loses_the_newest_wish(
    tenant: Tenant, steps: list[tuple[str, object]]
) -> None:
    """An answer counts under its own claim only, and whatever happened the last wish is written."""
    row = Row(tenant)
    row.wish(0)
    for step, more in steps:
        state, desired, written, claim_id = row.seen()
        _take(row, step, more)
        state_now, desired_now, written_now, _ = row.seen()
        most = {"look": 3, "claim": 2}.get(step, 1)  # edges of the table in one transaction
        assert _reachable(state, state_now, most), (state, step, state_now)
        if step != "wish":
            assert desired_now == desired
        if written_now != written:
            assert step == "answer"
            assert state is State.in_flight
            assert claim_id is not None
    row.wish(9)
    for _ in range(3):
        expire(tenant, [row.object_id])
        row.look()
        row.claim()
        row.answer(len(row.claims) - 1, State.synced)
    state, desired, written, _ = row.seen()
    assert state is State.synced
    assert written == desired


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(answers=st.permutations(ANSWERS))
def test_of_two_senders_only_the_one_with_the_claim_is_heard(
    tenant: Tenant, answers: list[State]
) -> None:
    """A process that slept through its claim woke up and called a newer version written."""
    row = Row(tenant)
    row.wish(1)
    row.claim()
    expire(tenant, [row.object_id])
    row.look()
    row.wish(2)
    row.claim()
    before = row.seen()
    for state in answers:
        answered(tenant, row.claims[0], state)
        assert row.seen() == before
    row.answer(1, State.synced)
    state, desired, written, _ = row.seen()
    assert (state, written) == (State.synced, desired)
