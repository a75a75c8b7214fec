"""The world's state as plain JSON: what is true in each shop, told without any platform.

Prevents an oracle that asks our connectors what a shop holds. Values are the shop's own, nothing is
decided here: who is one person, what a state is called in a CRM and what is owed to whom is the
oracle's to say.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from crm_integration.sandbox.order_book import CREDIT_TAG
from crm_integration.sandbox.shop_rendering import billing_of
from crm_integration.sandbox.shop_state import ShopState
from crm_integration.sandbox.shopify.people import cart_address, person_of_cart
from crm_integration_tests.certificate.merchant import Merchant
from crm_integration_tests.certificate.sales import Sales


def exported(merchants: tuple[Merchant, ...], sales: Sales, url: str) -> dict[str, Any]:
    """All of the world that an oracle needs, tokens of the invented CRMs included."""
    return {
        "tenants": [
            {
                "name": one.name,
                "platform": one.platform,
                "crm_url": f"{url}/{one.name}-crm",
                "crm_token": one.portal.settings.token,
                "shop": _shop(one.shop),
            }
            for one in merchants
        ],
        "sales": sales.json(),
    }


def _shop(shop: ShopState) -> dict[str, Any]:
    return {
        "accounts": [asdict(one) for one in shop.customers.values()],
        "orders": [
            {
                **asdict(one),
                "lines": [line._asdict() for line in one.lines],
                "refunds": [{**asdict(back), "lines": []} for back in one.refunds],
                "billing": billing_of(shop, one),
                "credit": CREDIT_TAG in one.meta,
            }
            for one in shop.orders.values()
        ],
        "products": [asdict(one) for one in shop.products.values()],
        "carts": [
            {
                **asdict(one),
                "lines": [line._asdict() for line in one.lines],
                "lead": _lead(shop, one.id),
            }
            for one in shop.carts.values()
        ],
    }


def _lead(shop: ShopState, cart_id: int) -> dict[str, Any] | None:
    """Who typed an e-mail into a cart without an account."""
    cart = shop.carts[cart_id]
    if cart.customer_id or not (who := person_of_cart(shop, cart)):
        return None
    home = cart_address(shop, cart)
    names = {"first_name": who.first_name, "last_name": who.last_name}
    return {"email": who.email, **names, "home": home.fields if home else {}}
