"""Which records changed since a moment, by HubSpot's search.

Prevents the record that is skipped: search ends at 10,000 results, and paging by position loses
one whenever another is changed meanwhile and moves to the end. Each page asks anew from the last
change that the page before told of.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from crm_integration.crms.hubspot.answers import object_of
from crm_integration.crms.hubspot.client import Client

PAGE: Final = 200
"""Documented: the most results a page of search may have."""

_ID: Final = "hs_object_id"
_Result = Mapping[str, Any]


def changed_at(hubspot_type: str) -> str:
    """The property with the time of a record's last change."""
    return "lastmodifieddate" if hubspot_type == "contacts" else "hs_lastmodifieddate"


@dataclass(frozen=True)
class Changes:
    """The changed records of one type, with these properties."""

    client: Client
    hubspot_type: str
    properties: Sequence[str]

    def since(self, moment: datetime) -> Iterator[_Result]:
        """Results of search by the time of their last change, from `moment` on.

        One that changes while we read comes again.
        """
        start, told = _milliseconds(moment), set[tuple[str, int]]()
        while True:
            page = self._page([self._changed("GTE", start)], changed_at(self.hubspot_type))
            times = [_milliseconds(self.time_of(one)) for one in page]
            yield from (
                one for one, at in zip(page, times, strict=True) if (str(one["id"]), at) not in told
            )
            if len(page) < PAGE:
                return
            newest = max(times)
            if newest > start:
                told = {(str(one["id"]), at) for one, at in zip(page, times, strict=True)}
                start = newest
            else:
                yield from self._of_one_moment(start)
                start += 1

    def time_of(self, result: _Result) -> datetime:
        """Of the last change, as the index knows it, by which it sorts."""
        said = object_of(result.get("properties")).get(changed_at(self.hubspot_type))
        return datetime.fromisoformat(str(said))

    def _of_one_moment(self, moment: int) -> Iterator[_Result]:
        """More records than a page holds changed within one millisecond, such as by an import."""
        behind = 0
        while True:
            later = {"propertyName": _ID, "operator": "GT", "value": str(behind)}
            page = self._page([self._changed("EQ", moment), later], _ID)
            yield from page
            if len(page) < PAGE:
                return
            behind = max(int(one["id"]) for one in page)

    def _changed(self, operator: str, moment: int) -> dict[str, str]:
        name = changed_at(self.hubspot_type)
        return {"propertyName": name, "operator": operator, "value": str(moment)}

    def _page(self, filters: Sequence[Mapping[str, str]], by: str) -> list[_Result]:
        names = [*self.properties, changed_at(self.hubspot_type)]
        body = {
            "filterGroups": [{"filters": list(filters)}],
            "sorts": [{"propertyName": by, "direction": "ASCENDING"}],
            "properties": list(dict.fromkeys(names)),
            "limit": PAGE,
        }
        path = f"crm/v3/objects/{self.hubspot_type}/search"
        return self.client.query(path, body, budget="search").results


def _milliseconds(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)
