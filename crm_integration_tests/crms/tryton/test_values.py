"""Tryton's own JSON, and our key among a merchant's own numbers."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from crm_integration.crms.tryton.values import (
    day,
    decimal,
    escaped,
    key_in,
    marked,
    newest,
    plain,
)
from crm_integration.errors import DataRejected

KEY = "0b0e7c1a-0000-4000-8000-00000000000a"


def test_our_key_is_known_and_a_number_of_the_merchants_is_not() -> None:
    """A merchant's K-17 taken for our key makes a party nobody's candidate for ever."""
    assert key_in(marked(KEY)) == KEY
    for other in (KEY, "K-17", "ci-17", f"{marked(KEY)} ", "", None, 17):
        assert key_in(other) is None


def test_an_amount_goes_there_and_back_without_becoming_a_float() -> None:
    """0.1 + 0.2 on an invoice."""
    sent = decimal("amount", "1234567890123.10")
    assert sent == {"__class__": "Decimal", "decimal": "1234567890123.10"}
    assert plain(sent) == "1234567890123.10"
    assert decimal("amount", None) is None
    for wrong in ("ten", "NaN", "inf"):
        with pytest.raises(DataRejected):
            decimal("amount", wrong)


def test_a_day_goes_there_and_back() -> None:
    """Tryton has no text form for a date."""
    assert plain(day("start_date", "2024-02-29")) == "2024-02-29"
    assert day("start_date", "") is None
    with pytest.raises(DataRejected):
        day("start_date", "2024-02-30")


def test_the_latest_time_counts_and_is_utc() -> None:
    """A party says nothing of a phone number that somebody changed in it."""
    early = {"__class__": "datetime", "year": 2024, "month": 3, "day": 1, "hour": 1, "minute": 2,
             "second": 3, "microsecond": 4}  # fmt: skip
    late = {**early, "hour": 5}
    assert newest([early, None, late]) == datetime(2024, 3, 1, 5, 2, 3, 4, tzinfo=UTC)
    assert newest([None]) is None


def test_what_is_empty_is_one_value() -> None:
    """An empty text and a missing one would look like an edit of a person."""
    assert plain("") is None
    assert plain(None) is None
    assert plain({"__class__": "bytes"}) is None


def test_a_pattern_is_taken_by_the_letter() -> None:
    """`_` and `%` stand for anything in Tryton's search."""
    assert escaped(r"a_b%c\d") == r"a\_b\%c\\d"
