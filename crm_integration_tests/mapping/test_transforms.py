"""Each transform's values, the odd ones first."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm_integration.canonical.money import to_decimal_text
from crm_integration.mapping.paths import CanonicalPath, canonical_paths
from crm_integration.mapping.transforms import TRANSFORMS, OptionProblem

MORNING = datetime(2026, 3, 1, 0, 30, tzinfo=timezone(timedelta(hours=1)))


def run(name: str, *values: Any, **options: Any) -> Any:
    return TRANSFORMS[name].build(options, [CanonicalPath("p", "text", ())])(*values)


@pytest.mark.parametrize(
    ("name", "values", "result"),
    [
        ("text", ("  a  ",), "a"), ("text", (" ",), None), ("text", (0,), "0"),
        ("email", (" Ada@Example.com ",), "Ada@Example.com"), ("lower", ("ÄB",), "äb"),
        ("upper", ("äb",), "ÄB"), ("money", (-5, "EUR"), "-0.05"), ("money", (5, "KWD"), "0.005"),
        ("money", (0, "JPY"), "0"), ("money", (5, None), None), ("integer", (0,), 0),
        ("boolean", (False,), False), ("iso_datetime", (MORNING,), "2026-02-28T23:30:00.000Z"),
        ("iso_date", (MORNING,), "2026-02-28"), ("epoch_millis", (MORNING,), 1772321400000),
        ("country_name", ("GB",), "United Kingdom"), ("country_name", ("XX",), "XX"),
        ("join", ("a", " ", None, 3), "a 3"), ("join", (None, ""), None),
        ("html_lines", (" a ", None, "b < c\r\n\nd & e"), "a<br>b &lt; c<br>d &amp; e"),
        ("html_lines", (" ", ""), None),
        ("phone_e164", ("+44 20 7946 0958",), "+442079460958"),
        ("phone_e164", ("020 7946 0958", "GB"), "+442079460958"),
        ("phone_e164", ("ask for Bob", "GB"), "ask for Bob"),
        ("phone_e164", ("12", "GB"), "12"), ("phone_e164", ("020 7946 0958", None),
                                             "020 7946 0958"),
    ],
)  # fmt: skip
def test_a_value_is_turned_as_the_readme_says(name: str, values: tuple[Any, ...], result: Any):
    """The table is the transforms' reference, edge cases included."""
    assert run(name, *values) == result


@pytest.mark.parametrize("name", sorted(set(TRANSFORMS) - {"sentence", "truncate", "enum_map"}))
def test_a_missing_value_stays_missing(name: str) -> None:
    """`None` once arrived in a CRM as the word None."""
    assert run(name, *([None] * TRANSFORMS[name].least)) is None


def test_a_cut_text_does_not_end_in_a_blank() -> None:
    """The CRM trims it, and the next comparison would see a change."""
    assert run("truncate", "ab cd", max=3) == "ab"
    assert run("truncate", None, max=3) is None


@given(minor=st.integers(-(10**15), 10**15), currency=st.sampled_from(["EUR", "JPY", "KWD"]))
def test_money_equals_the_canonical_rooms_decimal(minor: int, currency: str) -> None:
    """The fast form by integers must never differ from the exact one."""
    assert run("money", minor, currency) == to_decimal_text(minor, currency)


def test_a_sentence_refuses_cents_without_their_currency() -> None:
    """A note that says "refunded 1050" is read as a thousand."""
    paths = canonical_paths("refund")
    build = TRANSFORMS["sentence"].build
    with pytest.raises(OptionProblem, match="currency"):
        build({"parts": ["{amount_minor}"]}, [paths["amount_minor"], paths["currency"]])
    with pytest.raises(OptionProblem, match="currency"):
        build({"parts": ["{amount_minor:money}"]}, [paths["amount_minor"]])
    with pytest.raises(OptionProblem, match="not in 'from'"):
        build({"parts": ["{number}"]}, [paths["reason"]])
    with pytest.raises(OptionProblem, match="not readable"):
        build({"parts": ["{number!r}"]}, [paths["number"]])


def test_times_of_views_are_always_written_in_utc() -> None:
    """A shop in +01:00 whose order moved to the day before in every report."""
    assert run("iso_datetime", datetime(2026, 1, 1, tzinfo=UTC)) == "2026-01-01T00:00:00.000Z"
