"""Rules of activities.

Prevents entries on a timeline that belong to nobody, or to the year 1970.
"""

from __future__ import annotations

from crm_integration.canonical.activities import ActivityKind
from crm_integration.quality.checks import AnyGiven, AtLeast
from crm_integration.quality.rule import (
    Rule,
    every_entity,
    flag,
    identity_exists,
    keep_back,
    known_currency,
    one_of,
    order_accounted_for,
    plausible,
)

ACTIVITY_RULES: tuple[Rule, ...] = (
    *every_entity(
        "activity", ("order_source_id", "customer_source_id", "number", "subject", "body")
    ),
    one_of("activity", "kind", ActivityKind),
    plausible("activity", "occurred_at", "Correct the date of the entry in the store."),
    known_currency("activity"),
    flag(
        "activity.amount",
        AtLeast("amount_minor", 0),
        "amount_negative",
        "Look at the entry in the store: its amount is negative.",
    ),
    keep_back(
        "activity.about",
        AnyGiven(("order_source_id", "customer_source_id")),
        "about_nothing",
        "The store named neither order nor customer of the entry: link it to one of them.",
    ),
    order_accounted_for("activity"),
    identity_exists("activity"),
)
