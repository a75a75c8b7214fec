"""One pass of the range driver: everything of a tenant, listed, derived, judged, written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import count

from crm_integration.canonical.entities import ENTITIES
from crm_integration.crms._registry import crm_connector
from crm_integration.stores._contract import Window
from crm_integration.stores._registry import connector, platforms
from crm_integration.sync.path import House, run_path
from crm_integration.sync.report import Selection
from crm_integration_tests.certificate.world import SPAN_DAYS


@dataclass(frozen=True)
class Passed:
    """What one pass did: records written, and what went wrong."""

    writes: int = 0
    problems: list[str] = field(default_factory=list[str])


@cache
def everything() -> Selection:
    """All that any store lists, all entities, all CRM objects."""
    listed = {name for one in platforms() for name in connector(one).manifest.object_types}
    return Selection(
        frozenset(listed), frozenset(ENTITIES), frozenset(crm_connector("hubspot").manifest.objects)
    )


def windows() -> list[Window]:
    """The whole span of the world as one window."""
    today = datetime.now(UTC).date()
    return [Window(today - timedelta(days=SPAN_DAYS + 2), today + timedelta(days=2))]


def passes(house: House, run_id: str) -> Callable[[str], Passed]:
    """What takes all of a tenant through, pass after pass."""
    numbers = count(1)

    def one_pass(tenant: str) -> Passed:
        named = f"range-{run_id}-{next(numbers)}"
        report = run_path(house, tenant, windows(), everything(), run_id=named)
        problems = [f"{tenant}: {one.stage} {one.what}: {one.reason}" for one in report.problems]
        sent = report.crm.sent.values() if report.crm else ()
        return Passed(sum(one.writes for one in sent), problems)

    return one_pass
