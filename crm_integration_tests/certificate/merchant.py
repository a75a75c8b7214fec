"""One merchant of the seeded world: a shop, a CRM account, and what happens there.

Prevents a world in which things only ever happen once: every object is made, changed, paid, sent
and taken back through the shop's own edits, and each edit says which objects a shop would tell of.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

from crm_integration.sandbox import shop_edits
from crm_integration.sandbox.invoices import Line
from crm_integration.sandbox.order_book import CREDIT_TAG
from crm_integration.sandbox.portal_state import PortalState
from crm_integration.sandbox.shop_state import (
    CartRecord,
    ConsentRecord,
    CustomerRecord,
    OrderRecord,
    ShipmentRecord,
    ShopState,
)
from crm_integration_tests.certificate.people import Person, person

PEOPLE = 900
SKUS = 24


@dataclass(frozen=True)
class Told:
    """A shop would tell of this object: `event` in the world's own words."""

    object_type: str
    key: int
    event: str


@dataclass
class Merchant:
    """A tenant's side of the world. `rng` decides everything."""

    name: str
    place: int
    platform: str
    shop: ShopState
    portal: PortalState
    rng: random.Random
    accounts: dict[int, int] = field(default_factory=dict[int, int])
    """Person -> account."""
    met: list[int] = field(default_factory=list[int])
    """People somebody has heard of, oldest first."""

    def someone(self, number: int) -> Person:
        return person(self.name, self.place, number)

    def stranger(self) -> Person | None:
        """Somebody nobody has heard of so far; None when all are known."""
        if len(self.met) >= PEOPLE:
            return None
        self.met.append(len(self.met))
        return self.someone(self.met[-1])

    def lines(self) -> list[dict[str, Any]]:
        """One to three lines to order."""
        chosen = self.rng.sample(range(SKUS), self.rng.randint(1, 3))
        return [
            {
                "sku": f"SKU-{number}",
                "name": f"Thing {number}",
                "quantity": self.rng.randint(1, 4),
                "total": f"{self.rng.randint(100, 9_999) / 100:.2f}",
            }
            for number in chosen
        ]

    def register(self, who: Person) -> CustomerRecord:
        billing = {**who.billing(self.rng), "email": who.email}
        made = shop_edits.create_customer(
            self.shop,
            {"email": who.email, "first_name": who.first, "last_name": who.last,
             "billing": billing, "shipping": {}},
        )  # fmt: skip
        self.accounts[who.number] = made.id
        return made

    def order(self, who: Person, **more: Any) -> OrderRecord:
        """An order of somebody, by their account if they have one."""
        body = {
            "customer_id": self.accounts.get(who.number, 0),
            "billing": who.billing(self.rng),
            "line_items": self.lines(),
            **more,
        }
        return shop_edits.create_order(self.shop, body)

    def credit(self, who: Person) -> tuple[OrderRecord, int]:
        """An order that only carries a refund; returns it and the refund's id."""
        tag = {"key": CREDIT_TAG[0], "value": CREDIT_TAG[1]}
        made = self.order(who, set_paid=True, meta_data=[tag])
        amount = made.total_minor / 100
        back = shop_edits.create_refund(self.shop, made, {"amount": f"{amount:.2f}"})
        return made, back.id

    def consent(self, account: CustomerRecord, state: str) -> None:
        """The person says yes or no to e-mails, now."""
        account.consent = ConsentRecord(state, self.shop.now())
        account.modified = self.shop.now()

    def ship(self, order: OrderRecord, *, whole: bool) -> ShipmentRecord:
        """Send all lines, or the first one alone."""
        lines = [(n, line.quantity) for n, line in enumerate(order.lines)]
        now, key = self.shop.now(), self.shop.next_id("shipment")
        parcel = ShipmentRecord(
            key, order.id, now, now, "shipped", "Royal Mail", f"ZZ{key % 10**9:09d}GB",
            tuple(lines if whole else lines[:1]),
        )  # fmt: skip
        self.shop.add_shipment(order, parcel)
        return parcel

    def cart(self, who: Person) -> CartRecord:
        """A cart of an account, or of an e-mail that was typed."""
        key, now = self.shop.next_id("cart"), self.shop.now()
        account = self.accounts.get(who.number, 0)
        lines = tuple(
            Line(
                one["sku"], one["name"], one["quantity"], 1.0, int(float(one["total"]) * 100 + 0.5)
            )
            for one in self.lines()
        )
        made = CartRecord(
            key, account, "" if account else f"customer:{self.name}{who.number}",
            "United Kingdom", "GBP",
            now, now, lines, sum(line.amount_minor for line in lines),
        )  # fmt: skip
        self.shop.carts[key] = made
        return made
