"""What is tried again within a process, and what is handed back at once."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import stamina

from crm_integration.errors import NeedsReconnect, RemoteError, Transient
from crm_integration.transport.retry import (
    BUDGET,
    CLAIM_NEARLY_OVER,
    LONGEST_WAIT,
    repeated,
)


@pytest.fixture(autouse=True)
def no_pauses() -> Iterator[None]:
    with stamina.set_testing(True, attempts=4):
        yield


class Remote:
    """Fails with each error in turn, then answers; counts the calls."""

    def __init__(self, *errors: RemoteError) -> None:
        self._errors, self.calls = list(errors), 0

    def __call__(self) -> str:
        self.calls += 1
        if self._errors:
            raise self._errors.pop(0)
        return "answer"


def test_a_hiccup_is_over_at_the_next_call() -> None:
    remote = Remote(Transient("502"), Transient("429", retry_after=0.0))
    assert (repeated(remote), remote.calls) == ("answer", 3)


def test_a_host_that_never_recovers_is_given_up() -> None:
    remote = Remote(*[Transient("502")] * 9)
    with pytest.raises(Transient, match="502"):
        repeated(remote)
    assert remote.calls == 4


@pytest.mark.parametrize(
    "error",
    [
        Transient("later", retry_after=LONGEST_WAIT + 1),
        Transient("no budget", retry_after=LONGEST_WAIT, code=BUDGET),
        Transient("not sent", code=CLAIM_NEARLY_OVER),
        NeedsReconnect("a wrong key"),
    ],
    ids=["a long pause", "our budget", "our claim", "no hiccup"],
)
def test_what_waiting_here_cannot_mend_goes_back_at_once(error: RemoteError) -> None:
    """One throttled shop kept a process for minutes while all others waited for their turn."""
    remote = Remote(error)
    with pytest.raises(type(error)):
        repeated(remote)
    assert remote.calls == 1


def test_a_write_is_sent_again_only_after_a_refusal_that_proves_it_was_not_done() -> None:
    """A mutation whose answer got lost may stand; one that was throttled does not."""
    lost, throttled = Remote(Transient("lost")), Remote(Transient("full", status=429))
    with pytest.raises(Transient):
        repeated(lost, harmless=lambda error: error.status == 429)
    assert repeated(throttled, harmless=lambda error: error.status == 429) == "answer"
    assert (lost.calls, throttled.calls) == (1, 2)
