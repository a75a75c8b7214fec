"""A refused batch is split down to the records it was refused for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm_integration.crms._halving import MOST_SENDS, Halving
from crm_integration.errors import DataRejected, NeedsReconnect, RemoteError, Transient


@dataclass
class Crm:
    """Takes a batch as a whole, or refuses it for one of its bad items."""

    bad: frozenset[int] = frozenset()
    fails: RemoteError | None = None
    fails_at: int = 0
    written: list[int] = field(default_factory=list[int])
    calls: int = 0

    def send(self, items: Sequence[tuple[int, int]]) -> dict[int, str | RemoteError]:
        self.calls += 1
        if self.fails is not None and self.calls > self.fails_at:
            raise self.fails
        if self.bad & {item for _, item in items}:
            raise DataRejected("bad", field="x", status=400)
        self.written += [item for _, item in items]
        return {number: f"r{item}" for number, item in items}


def halved(crm: Crm, count: int, size: int = 100) -> Halving[int, str]:
    """A run over items 0, 1, 2, …"""
    made: Halving[int, str] = Halving(crm.send, lambda error: error.status == 400)
    made.run([(number, number) for number in range(count)], size)
    return made


@given(bad=st.frozensets(st.integers(0, 99), max_size=4), count=st.integers(0, 100))
def test_the_bad_ones_fail_and_every_other_one_is_written_once(
    bad: frozenset[int], count: int
) -> None:
    """One bad record of a hundred lost ninety-nine customers."""
    crm = Crm(bad)
    made = halved(crm, count)
    assert sorted(crm.written) == [n for n in range(count) if n not in bad]
    assert made.settled.keys() == set(range(count))
    assert {n for n, one in made.settled.items() if isinstance(one, DataRejected)} == {
        n for n in bad if n < count
    }


def test_a_batch_of_nothing_but_bad_ones_ends_early() -> None:
    """A bad import ate the account's whole budget; the rest comes back to the ledger."""
    crm = Crm(frozenset(range(100)))
    made = halved(crm, 100)
    assert crm.calls == MOST_SENDS
    assert len(made.settled) == 100
    assert any(isinstance(one, Transient) for one in made.settled.values())


@pytest.mark.parametrize("error", [NeedsReconnect("no"), Transient("busy", code="busy")])
def test_what_concerns_the_account_stops_everything(error: RemoteError) -> None:
    """Nothing was written: the caller is told by the error itself."""
    crm = Crm(fails=error)
    made = halved(crm, 300)
    assert crm.calls == 1
    with pytest.raises(type(error)):
        made.raise_if_nothing_reached()


def test_a_lost_answer_is_told_apart_from_what_was_not_sent() -> None:
    """What may stand is looked for; what was never sent is simply sent."""
    crm = Crm(fails=Transient("lost", code="unknown"), fails_at=1)
    made = halved(crm, 6, size=2)
    codes = [one.code if isinstance(one, RemoteError) else one for one in made.settled.values()]
    assert codes == ["r0", "r1", "unknown", "unknown", "not_sent", "not_sent"]
    made.raise_if_nothing_reached()
