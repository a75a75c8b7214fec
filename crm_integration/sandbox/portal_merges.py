"""Two records that a person makes one, as HubSpot does it since 2025.

Prevents the test of a merge that never happened: the record that comes out of one has an id of
its own, and both ids from before answer it. Read in HubSpot's changelog ("Updated merge
functionality for contacts and companies") and its help page on merging records; that an opt-out
of either stands is the careful reading of what both leave open.
"""

from __future__ import annotations

from collections.abc import Mapping

from crm_integration.sandbox.portal_properties import (
    LIFECYCLE_STAGES,
    MERGED_IDS,
    OPT_OUT,
    created_property,
)
from crm_integration.sandbox.portal_state import PortalState, Record

_OTHER_EMAILS = "hs_additional_emails"


def merge(portal: PortalState, kind: str, primary: Record, other: Record) -> Record:
    """Make one record of two living ones: the primary's values, and the other's where it has none.

    A unique value of the other is free afterwards if the primary has one of its own, but for a
    contact's e-mail address, which goes on finding the record.
    """
    both = (primary, other)
    kept = _values(kind, primary, other)
    email = other.properties.get("email", "")
    for one in both:
        portal.archive(kind, one)
    oldest = min(one.created for one in both)
    made = portal.merged(kind, kept, both, created=oldest)
    if kind == "contacts" and email:
        portal.shelf(kind).unique.setdefault("email", {}).setdefault(email, made.id)
    return made


def _values(kind: str, primary: Record, other: Record) -> dict[str, str]:
    one, two = primary.properties, other.properties
    kept = {**two, **one, MERGED_IDS: _went_in(primary, other)}
    kept[created_property(kind)] = min(one[created_property(kind)], two[created_property(kind)])
    if kind != "contacts":
        return kept
    kept["lifecyclestage"] = _furthest(one, two)
    if "true" in (one.get(OPT_OUT), two.get(OPT_OUT)):
        kept[OPT_OUT] = "true"
    emails = [*_listed(one), *_listed(two), two.get("email", "")]
    others = [found for found in dict.fromkeys(emails) if found and found != kept.get("email")]
    kept[_OTHER_EMAILS] = ";".join(others)
    return kept


def _went_in(primary: Record, other: Record) -> str:
    ids: list[str] = []
    for one in (primary, other):
        before = one.properties.get(MERGED_IDS, "")
        ids += [*(before.split(";") if before else []), str(one.id)]
    return ";".join(dict.fromkeys(ids))


def _listed(properties: Mapping[str, str]) -> list[str]:
    return properties.get(_OTHER_EMAILS, "").split(";")


def _furthest(one: Mapping[str, str], two: Mapping[str, str]) -> str:
    found = [properties.get("lifecyclestage", "") for properties in (one, two)]
    known = [stage for stage in found if stage in LIFECYCLE_STAGES]
    return max(known, key=LIFECYCLE_STAGES.index) if known else next(filter(None, found), "")
