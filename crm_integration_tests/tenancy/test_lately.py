"""What was looked at a moment ago is not looked at again, and nothing is believed for long."""

from __future__ import annotations

import pytest

from crm_integration.tenancy import lately
from crm_integration.tenancy.lately import Lately


def test_what_was_noted_is_known_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody's edit would go unnoticed for the life of a run."""
    now = 100.0
    monkeypatch.setattr(lately.time, "monotonic", lambda: now)
    known = Lately(seconds=30.0)
    assert not known.knows("one", "stores", "main")
    known.note("one", "stores", "main")
    now = 129.0
    assert known.knows("one", "stores", "main")
    assert not known.knows("one", "stores", "main", "second"), "another order is another question"
    assert not known.knows("other", "stores", "main"), "one tenant's answer is nobody else's"
    now = 130.0
    assert not known.knows("one", "stores", "main")


def test_a_pass_that_broke_asks_everything_again() -> None:
    """What it had found was taken back with its transaction."""
    known = Lately()
    known.note("one", "a")
    known.note("one", "b")
    known.note("other", "a")
    known.forget("one")
    assert not known.knows("one", "a")
    assert not known.knows("one", "b")
    assert known.knows("other", "a")


def test_memory_stays_flat(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run over ten thousand tenants would remember each of them for ever."""
    monkeypatch.setattr(lately, "MOST", 10)
    known = Lately()
    for number in range(50):
        known.note(f"t{number}", "a")
    assert not known.knows("t39", "a")
    assert all(known.knows(f"t{number}", "a") for number in range(40, 50))
