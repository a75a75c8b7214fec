"""The rules of data quality, as data.

Prevents a rule that one driver applies and the other forgot: live runs and partition runs, row
checks and great_expectations suites are all made from this one table, and every accepted row
carries the digest of the rules that accepted it.

A rule on lines names the entity `order_line` (`cart_line`); its findings belong to the order
(`line` level: that line alone is kept back, the order goes on with the rest).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from functools import lru_cache
from hashlib import blake2b
from operator import itemgetter

import orjson

from crm_integration.quality.checks import AtLeast, Matches
from crm_integration.quality.options import Options, Scalar, read_options
from crm_integration.quality.rule import Rule, keep_back
from crm_integration.quality.rules_of_activities import ACTIVITY_RULES
from crm_integration.quality.rules_of_goods import CART_LINE_RULES, CART_RULES, PRODUCT_RULES
from crm_integration.quality.rules_of_people import COMPANY_RULES, CONSENT_RULES, CUSTOMER_RULES
from crm_integration.quality.rules_of_sales import (
    ORDER_LINE_RULES,
    ORDER_RULES,
    REFUND_RULES,
    SHIPMENT_RULES,
)

LINES_OF = {"order": "order_line", "cart": "cart_line"}
"""Entities that have lines, and the entity their line rules name."""

ONLY_IN_ROWS = frozenset({"email", "name", "cart_lines_minor"})
"""Fields that no canonical table holds in the open (sealed): frames read
from the database lack them, and their rules are judged on rows only."""

RULES: tuple[Rule, ...] = (
    *COMPANY_RULES,
    *CUSTOMER_RULES,
    *CONSENT_RULES,
    *PRODUCT_RULES,
    *ORDER_RULES,
    *ORDER_LINE_RULES,
    *REFUND_RULES,
    *SHIPMENT_RULES,
    *CART_RULES,
    *CART_LINE_RULES,
    *ACTIVITY_RULES,
)
"""The rules without a tenant's options; what a tenant switches on is added by `rules_for`."""


def rules_for(options: Mapping[str, Scalar]) -> tuple[Rule, ...]:
    """The rules in force for a tenant's `rules:` options. Raises BadInput for a wrong option."""
    return (*RULES, *_chosen(read_options(options)))


def _chosen(options: Options) -> tuple[Rule, ...]:
    chosen: list[Rule] = []
    if options.order_number_pattern is not None:
        chosen.append(
            keep_back(
                "order.number",
                Matches("number", options.order_number_pattern),
                "number_not_an_order",
                "Check what this document is: by its number it is no order of this shop.",
            )
        )
    if options.order_lines_required:
        chosen.append(
            keep_back(
                "order.lines",
                AtLeast("line_count", 1),
                "no_accepted_line",
                "Give the order a line with a quantity above 0, or cancel it in the store.",
            )
        )
    return tuple(chosen)


def rules_version(options: Mapping[str, Scalar]) -> str:
    """12 hex digits over the rules in force: the same rules give the same version anywhere.

    Thresholds of a window (`quarantine.*`, `volume.*`), contracts, set rules and the wording of
    a fix are left out: they change no row's verdict. Raises BadInput for a wrong option.
    """
    return _rules_version(tuple(sorted(options.items())))


@lru_cache(maxsize=1_024)
def _rules_version(options: tuple[tuple[str, Scalar], ...]) -> str:
    rows = sorted(
        (
            {**asdict(replace(rule, fix="")), "kind": type(rule.check).__name__}
            for rule in rules_for(dict(options))
            if rule.level != "set"
        ),
        key=itemgetter("name"),
    )
    return blake2b(orjson.dumps(rows, option=orjson.OPT_SORT_KEYS), digest_size=6).hexdigest()
