"""Who the people behind accounts, guest orders and carts are, and what a CRM must say of each.

Rules (docs/identity.md): one mailbox is one person, in any letter case; field by field an account
counts before a guest before a lead, and the newest of a kind before older ones.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from crm_integration_tests.oracle.street.expected import (
    Expected,
    Value,
    moment,
    none_or_lately,
    number,
    phone,
    text,
)
from crm_integration_tests.oracle.street.trade import counted, updated

Json = dict[str, Any]
_RANK = {"registered": 0, "guest": 1, "lead": 2}
_NO_PHONE = "west"
"""The tenant whose file says that the CRM owns phones."""
FILL_EMPTY = frozenset((
    *("email", "firstname", "lastname", "phone", "company"),
    *("address", "city", "zip", "country", "jobtitle"),
))  # fmt: skip
_STAGES = ("lead", "opportunity", "customer")


@dataclass(frozen=True)
class Said:
    """What one account, guest or cart says of its person."""

    kind: str
    at: float
    source: int
    email: str
    first: str
    last: str
    company: str = ""
    phone: str = ""
    home: Mapping[str, str] = field(default_factory=dict[str, str])
    consent: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Somebody:
    """One person: what was said of them, the word that counts most first, and their orders."""

    email: str
    said: tuple[Said, ...]
    orders: tuple[Json, ...]

    def first(self, name: str) -> Any:
        """The first who says anything."""
        return next((value for one in self.said if (value := getattr(one, name))), "")


def everybody(tenant: Json) -> list[Somebody]:
    """The people of a tenant."""
    shop = tenant["shop"]
    said: dict[str, list[Said]] = defaultdict(list)
    for one in _speakers(tenant):
        said[one.email.strip().lower()].append(one)
    accounts = {one["id"]: one["fields"]["email"].strip().lower() for one in shop["accounts"]}
    orders: dict[str, list[Json]] = defaultdict(list)
    for order in shop["orders"]:
        if order["credit"]:
            continue
        whose = accounts.get(order["customer_id"]) or order["billing"]["email"].strip().lower()
        orders[whose].append(order)
    return [
        Somebody(
            email,
            tuple(sorted(words, key=lambda one: (_RANK[one.kind], -one.at, -one.source))),
            tuple(orders[email]),
        )
        for email, words in said.items()
    ]


def _speakers(tenant: Json) -> Iterator[Said]:
    shop = tenant["shop"]
    for account in shop["accounts"]:
        fields = account["fields"]
        home = fields.get("billing", {})
        yield Said(
            "registered", account["modified"], account["id"], fields["email"],
            fields.get("first_name", ""), fields.get("last_name", ""),
            home.get("company", ""), home.get("phone", ""), home, account["consent"],
        )  # fmt: skip
    for order in shop["orders"]:
        if not order["customer_id"]:
            home = order["billing"]
            yield Said(
                "guest", updated(tenant["platform"], order), order["id"], home["email"],
                home["first_name"], home["last_name"], home["company"], home["phone"], home,
            )  # fmt: skip
    for cart in shop["carts"]:
        if lead := cart["lead"]:
            # API2Cart tells an e-mail and a name, Shopify the address that was typed as well.
            home = lead["home"] if tenant["platform"] == "shopify" else {}
            yield Said(
                "lead", cart["modified"], cart["id"], lead["email"], lead["first_name"],
                lead["last_name"], home.get("company", ""), home.get("phone", ""), home,
            )  # fmt: skip


def contact(tenant: Json, who: Somebody, opted_out: bool) -> Expected:
    """The contact of one person."""
    home = who.first("home") or {}
    street = ", ".join(part for name in ("address_1", "address_2") if (part := home.get(name)))
    company = who.first("company")
    typed = who.first("phone") if tenant["name"] != _NO_PHONE else ""
    leader = who.said[0]
    return Expected(
        "contacts",
        who.email,
        {
            "email": text(who.email),
            "firstname": text(who.first("first")),
            "lastname": text(who.first("last")),
            "phone": phone(typed),
            "company": text(company),
            "address": text(street),
            "city": text(home.get("city")),
            "zip": text(home.get("postcode")),
            "country": text("United Kingdom" if home.get("country") == "GB" else None),
            "ci_store": text("main"),
            "ci_store_customer_id": text(leader.source if leader.kind == "registered" else None),
            "ci_customer_kind": text(leader.kind),
            **_history(who),
            **_consent(tenant, who, opted_out),
        },
        frozenset([("companies", company)] if company else []),
        frozenset(("ci_email_consent", "ci_email_consent_at", "ci_email_consent_basis")),
        FILL_EMPTY,
    )


def stage(who: Somebody) -> str:
    """lead, opportunity, customer or repeat, by the orders that count."""
    orders = [one for one in who.orders if counted(one)]
    if not orders:
        return "lead"
    if all(one["status"] in ("pending", "on-hold") for one in orders):
        return "opportunity"
    return "customer" if len(orders) == 1 else "repeat"


def _history(who: Somebody) -> dict[str, Value]:
    orders = [one for one in who.orders if counted(one)]
    times = sorted(one["created"] for one in orders)
    derived = stage(who)
    last = f"{datetime.fromtimestamp(times[-1], UTC):%Y-%m-%d}" if times else ""
    many = "1 order" if len(orders) == 1 else f"{len(orders)} orders"
    reason = "no order so far" if not orders else f"{many}, the last on {last}"
    if derived == "opportunity":
        reason = f"{many}, none of them paid"
    # A stage never goes back in the CRM: one that an order since cancelled had brought may stand.
    reached = "customer" if derived == "repeat" else derived
    may = {reached}
    if reached == "lead" and len(who.orders) > len(orders):
        may.add("opportunity")
    return {
        "lifecyclestage": text(*may),
        "ci_lifecycle_stage": text(derived),
        "ci_current_stage": text(derived),
        "ci_lifecycle_reason": text(reason),
        "ci_orders_count": number(len(orders)),
        "ci_first_order_at": moment(times[0] if times else None),
        "ci_last_order_at": moment(times[-1] if times else None),
    }


def _consent(tenant: Json, who: Somebody, opted_out: bool) -> dict[str, Value]:
    """What the account said last; an opt-out in the CRM stands against it."""
    words = [one.consent for one in who.said if one.kind == "registered" and one.consent]
    if not words:
        silent = text("never_asked", None)
        return {"ci_email_consent": silent} if tenant["platform"] != "woocommerce" else {
            "ci_email_consent": text(None)
        }  # fmt: skip
    said = words[0]
    if opted_out and said["state"] == "subscribed":
        return {
            "ci_email_consent": text("unsubscribed"),
            # Read with the record right before a write, or as a change of the CRM's own.
            "ci_email_consent_at": none_or_lately(),
            "ci_email_consent_basis": text("crm", "crm: hs_email_optout"),
        }
    at = moment(said["at"])
    if opted_out:
        # Both said no. The CRM's word is timed by when it was said there, which is today.
        at = none_or_lately(float(said["at"]))
    return {"ci_email_consent": text(said["state"]), "ci_email_consent_at": at}


def companies(people: list[Somebody]) -> Iterator[Expected]:
    """The firms that people name, with how many name them."""
    named: dict[str, int] = defaultdict(int)
    for who in people:
        if name := who.first("company"):
            named[name] += 1
    for name, count in named.items():
        yield Expected(
            "companies",
            name,
            {
                "name": text(name),
                "city": text("Quillhaven"),
                "country": text("United Kingdom"),
                "ci_store": text("main"),
                "ci_customers_count": number(count),
            },
        )
