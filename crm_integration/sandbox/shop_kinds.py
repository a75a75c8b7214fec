"""The kinds of shop the sandbox can be: which app serves them, and what opens their door.

Prevents the emulator that only one test knows how to start: hosting, tests and the demo all take
a shop by its platform's name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from starlette.types import ASGIApp

from crm_integration.sandbox.shop_state import ShopSettings, ShopState


@dataclass(frozen=True)
class ShopKind:
    """One platform: `module:class` of its app (called with a ShopState; has `.app`), and the
    names a connection gives to the shop's two secrets (None: that one is not used).
    """

    platform: str
    served_by: str
    key_name: str | None
    secret_name: str

    def app(self, shop: ShopState) -> ASGIApp:
        """The ASGI application of a shop."""
        module, _, name = self.served_by.partition(":")
        made: Any = getattr(import_module(module), name)(shop)
        return made.app

    def secrets(self, settings: ShopSettings) -> dict[str, str]:
        """What a connection to this shop must hold."""
        secret = {self.secret_name: settings.consumer_secret}
        if self.key_name is None:
            return secret
        return {self.key_name: settings.consumer_key, **secret}


SHOP_KINDS: Mapping[str, ShopKind] = {
    kind.platform: kind
    for kind in (
        ShopKind(
            "woocommerce",
            "crm_integration.sandbox.woocommerce:WooCommerceApp",
            "consumer_key",
            "consumer_secret",
        ),
        ShopKind("shopify", "crm_integration.sandbox.shopify.app:ShopifyApp", None, "access_token"),
        ShopKind(
            "api2cart", "crm_integration.sandbox.api2cart.app:Api2CartApp", "api_key", "store_key"
        ),
    )
}
