"""The seeded world: three merchants, their shops and CRM accounts, and a clock of its own.

Prevents a fault certificate that proves something else each time: all that happens follows from
the seed and the number of events, whatever the engine does meanwhile. Only when it happens in real
time, and what sales people do in the CRM, depends on the run.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from dataclasses import dataclass, field

from crm_integration.sandbox.portal_state import PortalSettings, PortalState
from crm_integration.sandbox.shop_edits import edit_customer, edit_order
from crm_integration.sandbox.shop_state import ShopSettings, ShopState
from crm_integration.sandbox.token_desk import TokenDesk
from crm_integration_tests.certificate.deliveries import Sent, deliveries
from crm_integration_tests.certificate.happenings import HAPPENINGS
from crm_integration_tests.certificate.merchant import Merchant, Told

TENANTS = (("north", "woocommerce"), ("south", "shopify"), ("west", "api2cart"))
TOKEN_LIVES = 3.0
"""Seconds of an access token to a CRM."""
SPAN_DAYS = 40
"""The world's events lie in so many days before now."""
_SPAN = (SPAN_DAYS - 1) * 86_400
_SAME_SECOND = 0.05
"""How often two things happen in one second."""
KEYS = ("key-of-the-certificate", "secret-of-the-certificate")
SIGNING_SECRET = KEYS[1]
"""What shops sign their deliveries with."""


@dataclass
class Clock:
    """Epoch seconds of the world."""

    now: float


@dataclass
class World:
    """Everything outside of the engine."""

    merchants: tuple[Merchant, ...]
    clock: Clock
    began: float
    step: float
    """Seconds of the world between two events."""
    rng: random.Random
    happened: Counter[str] = field(default_factory=Counter[str])
    moved: int = 0

    @classmethod
    def made(cls, seed: int, events: int) -> World:
        """Nothing has happened so far. Search lags by half a second."""
        now = time.time()
        clock = Clock(now - SPAN_DAYS * 86_400)
        rng = random.Random(seed)
        merchants = tuple(
            _merchant(seed, place, name, platform, clock)
            for place, (name, platform) in enumerate(TENANTS)
        )
        step = _SPAN / (events + 2)
        return cls(merchants, clock, clock.now, step, rng)

    def advance(self, count: int) -> list[Sent]:
        """Let so many events happen; what the shops send about them."""
        sent: list[Sent] = []
        while count > 0:
            merchant = self.rng.choice(self.merchants)
            kind = self.rng.choices(HAPPENINGS, [one.weight for one in HAPPENINGS])[0]
            told = kind.happen(merchant)
            if not told:
                continue
            self._pass_time()
            self.happened[kind.name] += 1
            count -= 1
            self._tell(merchant, told, sent)
        return sent

    def _pass_time(self) -> None:
        """The next event lies somewhere in the next step of the span; those beyond the span come
        second by second, so that none lies behind now: no store has orders of tomorrow."""
        self.moved += 1
        if self.rng.random() < _SAME_SECOND:
            return
        planned = self.began + (self.moved + self.rng.random()) * self.step
        self.clock.now = max(self.clock.now + 1, min(planned, self.began + _SPAN))

    def again(self, tenant: str, orders: list[int], accounts: list[int]) -> list[Sent]:
        """New versions of these objects of a tenant: older ones are on their way right now."""
        sent: list[Sent] = []
        merchant = next(one for one in self.merchants if one.name == tenant)
        for key in accounts:
            self.clock.now += 1
            billing = {"address_1": f"{self.rng.randrange(1, 300)} Wexcombe Wynd"}
            edit_customer(merchant.shop, merchant.shop.customers[key], {"billing": billing})
            sent += deliveries(merchant, Told("customer", key, "update"))
        for key in orders:
            self.clock.now += 1
            note = {"customer_note": f"Ring {self.rng.randrange(999)} times"}
            edit_order(merchant.shop, merchant.shop.orders[key], note)
            sent += deliveries(merchant, Told("order", key, "update"))
        self.happened["changed_again"] += len(orders) + len(accounts)
        return sent

    def finale(self) -> list[Sent]:
        """What is still going on at the end: carts that somebody has open right now."""
        self.clock.now = time.time() - 60
        sent: list[Sent] = []
        for merchant in self.merchants[1:]:
            for number in list(merchant.accounts)[:4]:
                cart = merchant.cart(merchant.someone(number))
                self.happened["cart_opened"] += 1
                self._tell(merchant, [Told("cart", cart.id, "create")], sent)
        return sent

    def _tell(self, merchant: Merchant, told: list[Told], sent: list[Sent]) -> None:
        for one in told:
            sent += deliveries(merchant, one)


def _merchant(seed: int, place: int, name: str, platform: str, clock: Clock) -> Merchant:
    shop = ShopState(
        ShopSettings(
            name, *KEYS, f"https://{name}.shop.example", seed=seed,
            utc_offset_minutes=(-300, 60, 330)[place],
        ),
        clock=lambda: clock.now,
    )  # fmt: skip
    portal = PortalState(
        PortalSettings(
            51_000_001 + place, f"pat-invented-{name}", search_lag_seconds=0.5,
            per_ten_seconds=100_000, searches_per_second=10_000, reshapes=True,
        ),
        # A replaced refresh token stays good until its successor is used: who is killed between
        # the vendor's answer and our commit must not lose the login (Shopify, 2026-08-28).
        desk=TokenDesk("app", f"secret-{name}", seconds=TOKEN_LIVES, rotates=True, grace=True),
    )  # fmt: skip
    return Merchant(name, place, platform, shop, portal, random.Random(f"{seed}/{name}"))
