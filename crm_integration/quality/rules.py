"""The rules of data quality, as data.

Prevents a rule that one driver applies and the other forgot: live runs and partition runs, row
checks and great_expectations suites are all made from this one table, and every accepted row
carries the digest of the rules that accepted it.

A rule on lines names the entity `order_line`; its findings belong to the order (`line` level:
that line alone is kept back, the order goes on with the rest).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from hashlib import blake2b
from operator import itemgetter
from typing import Literal

import orjson

from crm_integration.quality.checks import (
    AtLeast,
    Between,
    Check,
    KnownCurrency,
    Matches,
    NotAfter,
    NotEmpty,
    Refers,
    Storable,
    SumsTo,
    UniqueTogether,
)
from crm_integration.quality.options import Options, Scalar, read_options

Level = Literal["row", "line", "set"]
Severity = Literal["quarantine", "flag"]


@dataclass(frozen=True)
class Rule:
    """One rule; `reason` is a finding's stable code (and the flag's name), `fix` a sentence."""

    name: str
    entity: str
    level: Level
    check: Check
    severity: Severity
    reason: str
    fix: str


LINES_OF = {"order": "order_line"}
"""Entities that have lines, and the entity their line rules name."""

ONLY_IN_ROWS = frozenset({"email"})
"""Fields that no canonical table holds in the open (sealed): frames read
from the database lack them, and their rules are judged on rows only."""

_DAY = 86_400
# WooCommerce writes 1970 or year 0 for a date it lost; web shops began in 1995.
_FIRST_SHOP = datetime(1995, 1, 1, tzinfo=UTC)
_FAR_FUTURE = datetime(2100, 1, 1, tzinfo=UTC)
# One @, a dot in the domain, no blanks, 254 characters (RFC 5321); DNS is asked by nobody.
_EMAIL = r"(?=.{3,254}\Z)[^@\s\x00-\x1f<>,;]+@[^@\s\x00-\x1f<>,;.]+(?:\.[^@\s\x00-\x1f<>,;.]+)+"
_STORED_TEXT = {
    "customer": ("source_id",),
    "product": ("source_id", "title", "sku", "description", "variant_text"),
    "order": ("source_id", "number", "customer_source_id", "store_status"),
    "refund": ("source_id", "number", "order_source_id", "customer_source_id"),
}


def _keep_back(name: str, check: Check, reason: str, fix: str) -> Rule:
    return Rule(name, name.split(".")[0], "row", check, "quarantine", reason, fix)


def _keep_line_back(name: str, check: Check, reason: str, fix: str) -> Rule:
    return replace(_keep_back(name, check, reason, fix), level="line")


def _flag(name: str, check: Check, reason: str, fix: str) -> Rule:
    return replace(_keep_back(name, check, reason, fix), severity="flag")


def _set(name: str, check: Check, reason: str, fix: str) -> Rule:
    return replace(_keep_back(name, check, reason, fix), level="set")


def _one_row_each(entity: str) -> Rule:
    fix = "One object is in our tables twice: replay the day, and report it if it stays."
    return _set(f"{entity}.unique", UniqueTogether(("connection_id", "source_id")), "twice", fix)


def _every_entity(entity: str) -> tuple[Rule, ...]:
    return (
        _keep_back(
            f"{entity}.source_id",
            NotEmpty("source_id"),
            "source_id_missing",
            "The store sent an object without an id: report it to the store's support.",
        ),
        _keep_back(
            f"{entity}.source_time",
            Between("source_time", _FIRST_SHOP, _FAR_FUTURE),
            "source_time_impossible",
            "Save the object again in the store, so that it gets a modification date.",
        ),
        _keep_back(
            f"{entity}.storable",
            Storable(_STORED_TEXT[entity]),
            "text_with_nul",
            "Remove the NUL character from the object's texts in the store.",
        ),
        _one_row_each(entity),
    )


def _known_currency(entity: str) -> Rule:
    fix = "Set a currency with an ISO 4217 code such as EUR in the store."
    return _keep_back(f"{entity}.currency", KnownCurrency("currency"), "currency_unknown", fix)


_ORDER_RULES = (
    _known_currency("order"),
    _keep_back(
        "order.total",
        AtLeast("total_minor", 0),
        "total_negative",
        "Enter what was given back as a refund, not as a negative order.",
    ),
    _keep_back(
        "order.placed_at",
        Between("placed_at", _FIRST_SHOP, _FAR_FUTURE),
        "placed_at_impossible",
        "Correct the order's date in the store.",
    ),
    _keep_back(
        "order.placed_before_change",
        # A day of grace: shops write both in shop time, which differs from UTC by up to 14 h.
        NotAfter("placed_at", "source_time", _DAY),
        "placed_after_its_last_change",
        "Correct the order's date in the store: it lies after the order's last change.",
    ),
    _flag(
        "order.total_adds_up",
        SumsTo("total_minor", ("lines_total_minor", "tax_minor", "shipping_minor"), "line_count"),
        "total_differs",
        "Look for fees or discounts that the order's lines do not show.",
    ),
    _keep_line_back(
        "order_line.quantity",
        AtLeast("quantity", 0, exclusive=True),
        "quantity_not_positive",
        "Enter returned items as a refund, not as a line with a quantity of 0 or less.",
    ),
    _keep_line_back(
        "order_line.unit_price",
        AtLeast("unit_price", 0),
        "price_negative",
        "Enter price reductions as a discount, not as a line with a negative price.",
    ),
    _keep_line_back(
        "order_line.total",
        AtLeast("total_minor", 0),
        "line_total_negative",
        "Enter price reductions as a discount, not as a line with a negative total.",
    ),
    _keep_line_back(
        "order_line.storable",
        Storable(("product_source_id", "variant_source_id", "sku", "title")),
        "text_with_nul",
        "Remove the NUL character from the line's texts in the store.",
    ),
    _set(
        "order.customer",
        Refers("customer_exists"),
        "customer_missing",
        "Replay the day: the order's customer was not derived with it.",
    ),
)

_CUSTOMER_RULES = (
    _flag(
        "customer.email",
        Matches("email", _EMAIL),
        "email_unusable",
        "Correct the customer's e-mail address in the store.",
    ),
)

_PRODUCT_RULES = (
    _keep_back(
        "product.title", NotEmpty("title"), "title_missing", "Give the product a name in the store."
    ),
    _known_currency("product"),
    _keep_back(
        "product.price",
        AtLeast("price_minor", 0),
        "price_negative",
        "Correct the product's price in the store.",
    ),
)

_REFUND_RULES = (
    _known_currency("refund"),
    _flag(
        "refund.amount",
        AtLeast("amount_minor", 0, exclusive=True),
        "refund_not_positive",
        "Look at the refund in the store: it gave nothing back.",
    ),
    _set(
        "refund.order",
        Refers("order_accounted_for"),
        "order_missing",
        "Fetch the refund's order from the store, or replay the day it was placed.",
    ),
)

RULES: tuple[Rule, ...] = (
    *_every_entity("customer"),
    *_CUSTOMER_RULES,
    *_every_entity("product"),
    *_PRODUCT_RULES,
    *_every_entity("order"),
    *_ORDER_RULES,
    *_every_entity("refund"),
    *_REFUND_RULES,
)
"""The rules without a tenant's options; what a tenant switches on is added by `rules_for`."""


def rules_for(options: Mapping[str, Scalar]) -> tuple[Rule, ...]:
    """The rules in force for a tenant's `rules:` options. Raises BadInput for a wrong option."""
    return (*RULES, *_chosen(read_options(options)))


def _chosen(options: Options) -> tuple[Rule, ...]:
    chosen: list[Rule] = []
    if options.order_number_pattern is not None:
        chosen.append(
            _keep_back(
                "order.number",
                Matches("number", options.order_number_pattern),
                "number_not_an_order",
                "Check what this document is: by its number it is no order of this shop.",
            )
        )
    if options.order_lines_required:
        chosen.append(
            _keep_back(
                "order.lines",
                AtLeast("line_count", 1),
                "no_accepted_line",
                "Give the order a line with a quantity above 0, or cancel it in the store.",
            )
        )
    return tuple(chosen)


def rules_version(options: Mapping[str, Scalar]) -> str:
    """12 hex digits over the rules in force: the same rules give the same version anywhere.

    Thresholds of a window (`quarantine.*`), set rules and the wording of a fix are left out:
    they change no row's verdict. Raises BadInput for a wrong option.
    """
    rows = sorted(
        (
            {**asdict(replace(rule, fix="")), "kind": type(rule.check).__name__}
            for rule in rules_for(options)
            if rule.level != "set"
        ),
        key=itemgetter("name"),
    )
    return blake2b(orjson.dumps(rows, option=orjson.OPT_SORT_KEYS), digest_size=6).hexdigest()
