"""What every builder of an answer needs: the shop, its dates, its money, its order numbers.

Prevents the lookup by number that reads every order: numbers are found in an index that notices
edits made directly on the shop.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from crm_integration.sandbox.api2cart.dates import ISO_WITH_OFFSET, date_time
from crm_integration.sandbox.invoices import exponent_of
from crm_integration.sandbox.shop_state import Json, OrderRecord, ShopState

_NAMES = {
    "GBP": ("British Pound Sterling", "£"),
    "EUR": ("Euro", "€"),
    "USD": ("US Dollar", "$"),
    "JPY": ("Japanese Yen", "¥"),
}
#: Said on every order and account, so that nobody takes an invented person for a real one.
INVENTED: Json = {"_invented_identity": "yes"}


class OrderNumbers:
    """Order ids by number; a miss looks once more, so that a new order is found at once."""

    def __init__(self, shop: ShopState) -> None:
        self._shop = shop
        self._ids: dict[str, int] = {}

    def find(self, number: str) -> OrderRecord | None:
        """The order of a number (`order_id` in every answer), trashed ones too."""
        return self._held(number) or self._read_again(number)

    def _held(self, number: str) -> OrderRecord | None:
        order = self._shop.orders.get(self._ids.get(number, -1))
        return order if order is not None and order.number == number else None

    def _read_again(self, number: str) -> OrderRecord | None:
        self._ids = {order.number: key for key, order in self._shop.orders.items()}
        return self._held(number)


@dataclass(frozen=True)
class View:
    """One store as API2Cart sees it; `date_format` is a PHP date format."""

    shop: ShopState
    date_format: str = ISO_WITH_OFFSET
    numbers: OrderNumbers = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "numbers", OrderNumbers(self.shop))

    def time(self, epoch: int | None) -> Json | None:
        if epoch is None:
            return None
        return date_time(epoch, self.date_format, self.shop.settings.utc_offset_minutes)

    def currency(self, code: str) -> Json:
        name, symbol = _NAMES.get(code, (code, ""))
        return {
            "id": code,
            "name": name,
            "iso3": code,
            "symbol_left": symbol,
            "symbol_right": "",
            "rate": 1,
            "avail": True,
            "default": code == self.shop.settings.currency,
        }


def amount(minor: int, currency: str) -> float:
    """Minor units as API2Cart writes money: a JSON number."""
    return minor / 10 ** exponent_of(currency)
