"""Dates follow the PHP format that comes with them, or are refused."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from crm_integration.stores._contract import Unreadable
from crm_integration.stores.api2cart.dates import Moment, read_date, zone_of

NOON = datetime(2026, 1, 31, 12, 5, 9, tzinfo=UTC)
KYIV = ZoneInfo("Europe/Kyiv")


@pytest.mark.parametrize(
    ("form", "value"),
    [
        ("Y-m-d\\TH:i:sO", "2026-01-31T14:05:09+0200"),
        ("Y-m-d\\TH:i:sP", "2026-01-31T12:05:09Z"),
        ("Y-m-d\\TH:i:s.vP", "2026-01-31T07:05:09.000-05:00"),
        ("Y-m-d H:i:s T", "2026-01-31 12:05:09 UTC"),
        ("Y-m-d H:i:s e", "2026-01-31 14:05:09 Europe/Kyiv"),
        ("c", "2026-01-31T12:05:09+00:00"),
        ("r", "Sat, 31 Jan 2026 12:05:09 +0000"),
        ("D, d M y H:i:s O", "Sat, 31 Jan 26 12:05:09 +0000"),
        ("F j, Y g:i:s a P", "January 31, 2026 12:05:09 pm +00:00"),
        ("n/j/Y h:i:s A O", "1/31/2026 02:05:09 PM +0200"),
        ("U", "1769861109"),
    ],
)
def test_a_date_is_read_by_its_own_format(form: str, value: str) -> None:
    assert read_date({"value": value, "format": form}, KYIV, "at") == Moment(NOON)


def test_a_date_without_a_zone_is_in_the_stores() -> None:
    """Read as UTC it would be two hours late, and the newer of two versions the older one."""
    date = {"value": "2026-01-31 14:05:09", "format": "Y-m-d H:i:s"}
    assert read_date(date, KYIV, "at") == Moment(NOON)
    assumed = read_date(date, None, "at")
    assert assumed == Moment(NOON.replace(hour=14), assumed=True)


@pytest.mark.parametrize("form", ["Y-m-d \\a\\t H:i", "Y-m-d H:i", "Y-m-d"])
def test_what_a_format_leaves_out_is_zero(form: str) -> None:
    value = {"Y-m-d \\a\\t H:i": "2026-01-31 at 12:05", "Y-m-d H:i": "2026-01-31 12:05"}
    found = read_date({"value": value.get(form, "2026-01-31"), "format": form}, UTC, "at")
    assert found is not None
    assert found.at == NOON.replace(second=0, hour=12 if form in value else 0,
                                    minute=5 if form in value else 0)  # fmt: skip


@pytest.mark.parametrize("form", ["", "z Y", "W", "H:i", "Y-m", "Y-m-d Y", None, 7, "Y-m-d X"])
def test_an_unknown_format_is_refused_with_a_fix(form: object) -> None:
    with pytest.raises(Unreadable) as error:
        read_date({"value": "2026-01-31", "format": form}, UTC, "modified_at")
    assert (error.value.reason, error.value.field) == ("unknown_date_format", "modified_at.format")
    assert error.value.fix


@pytest.mark.parametrize(
    "date", ["2026-01-31", 7, {"value": "soon", "format": "Y-m-d"},
             {"value": "2026-13-01", "format": "Y-m-d"}, {"value": "9" * 11, "format": "U"},
             {"value": "2026-01-31 Mars/Base", "format": "Y-m-d e"}], ids=repr,
)  # fmt: skip
def test_what_does_not_follow_its_format_is_refused(date: object) -> None:
    with pytest.raises(Unreadable, match="not_a_date"):
        read_date(date, UTC, "at")


@pytest.mark.parametrize("value", [None, "", "0000-00-00 00:00:00"])
def test_an_empty_date_is_none(value: object) -> None:
    """PHP shops write zeros where nothing happened."""
    assert read_date({"value": value, "format": "Y-m-d H:i:s"}, UTC, "at") is None
    assert read_date(None, UTC, "at") is None


def test_zones_come_as_names_and_as_offsets() -> None:
    at = datetime(2026, 1, 31, tzinfo=UTC)
    offsets = {
        name: at.astimezone(zone).utcoffset()
        for name in ("Europe/Kyiv", "UTC+02:00", "+0200", "+02:00", "GMT+2")
        if (zone := zone_of(name))
    }
    assert len(offsets) == 5
    assert len(set(offsets.values())) == 1
    assert zone_of("Nowhere/At all") is zone_of("") is zone_of(None) is zone_of("+99:99") is None
