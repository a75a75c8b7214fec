"""Products and their one variant, from the shop's stock codes.

Prevents the failure of a connector that takes the product's id for the variant's: they differ.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from crm_integration.sandbox.shop_state import ProductRecord, ShopState
from crm_integration.sandbox.shopify.listing import Few
from crm_integration.sandbox.shopify.types import FieldTable, asked, connection, plain
from crm_integration.sandbox.shopify.values import fixed, gid, moment, money

#: What a variant's id is beyond its product's.
VARIANT_IDS = 4_000_000_000


@dataclass(frozen=True, slots=True)
class ProductView:
    """A product."""

    record: ProductRecord
    currency: str

    @property
    def title(self) -> str:
        return self.record.name or self.record.sku

    @property
    def handle(self) -> str:
        return re.sub(r"[^a-z0-9]+", "-", f"{self.title} {self.record.sku}".lower()).strip("-")


@dataclass(frozen=True, slots=True)
class VariantView:
    """The product's only variant, which carries price and SKU."""

    product: ProductView

    @property
    def id(self) -> int:
        return VARIANT_IDS + self.product.record.id


def product_view(shop: ShopState, key: int) -> ProductView | None:
    held = shop.products.get(key)
    return None if held is None else ProductView(held, shop.settings.currency)


def variant_view(shop: ShopState, key: int) -> VariantView | None:
    held = product_view(shop, key - VARIANT_IDS)
    return None if held is None else VariantView(held)


def product_of(shop: ShopState, stock_code: str) -> ProductView | None:
    return product_view(shop, shop.product_ids.get(stock_code, 0))


def variant_of(shop: ShopState, stock_code: str) -> VariantView | None:
    held = product_of(shop, stock_code)
    return None if held is None else VariantView(held)


PRODUCT_TABLES: dict[str, FieldTable] = {
    "Product": {
        "id": plain("ID!", lambda one: gid("Product", one.record.id)),
        "legacyResourceId": plain("UnsignedInt64!", lambda one: str(one.record.id)),
        "title": plain("String!", lambda one: one.title),
        "handle": plain("String!", lambda one: one.handle),
        "status": plain("ProductStatus!", lambda _: "ACTIVE"),
        "vendor": asked("String!", lambda _, call: call.shop.settings.name),
        "productType": plain("String!", lambda _: ""),
        "descriptionHtml": plain("HTML!", lambda _: ""),
        "description": plain("String!", lambda _: ""),
        "tags": plain("[String!]!", lambda _: []),
        "isGiftCard": plain("Boolean!", lambda _: False),
        "hasOnlyDefaultVariant": plain("Boolean!", lambda _: True),
        "tracksInventory": plain("Boolean!", lambda _: False),
        "totalInventory": plain("Int!", lambda _: 0),
        "createdAt": plain("DateTime!", lambda one: moment(one.record.created)),
        "updatedAt": plain("DateTime!", lambda one: moment(one.record.modified)),
        "publishedAt": plain("DateTime", lambda one: moment(one.record.created)),
        "onlineStoreUrl": asked("URL", lambda one, call: (
            f"{call.shop.settings.public_url}/products/{one.handle}")),
        "priceRangeV2": plain("ProductPriceRangeV2!", lambda one: money(
            one.record.price_minor, one.currency)),
        "variantsCount": plain("Count", lambda _: (1, "EXACT")),
        "variants": connection("ProductVariantConnection!", lambda one, _: Few(
            [VariantView(one)], lambda variant: variant.id)),
    },
    "ProductPriceRangeV2": {
        "minVariantPrice": plain("MoneyV2!", lambda price: price),
        "maxVariantPrice": plain("MoneyV2!", lambda price: price),
    },
    "ProductVariant": {
        "id": plain("ID!", lambda one: gid("ProductVariant", one.id)),
        "legacyResourceId": plain("UnsignedInt64!", lambda one: str(one.id)),
        "title": plain("String!", lambda _: "Default Title"),
        "displayName": plain("String!", lambda one: f"{one.product.title} - Default Title"),
        "sku": plain("String", lambda one: one.product.record.sku or None),
        "barcode": plain("String", lambda _: None),
        "position": plain("Int!", lambda _: 1),
        "price": plain("Money!", lambda one: fixed(
            one.product.record.price_minor, one.product.currency)),
        "compareAtPrice": plain("Money", lambda _: None),
        "taxable": plain("Boolean!", lambda _: True),
        "availableForSale": plain("Boolean!", lambda _: True),
        "inventoryQuantity": plain("Int", lambda _: 0),
        "createdAt": plain("DateTime!", lambda one: moment(one.product.record.created)),
        "updatedAt": plain("DateTime!", lambda one: moment(one.product.record.modified)),
        "product": plain("Product!", lambda one: one.product),
        "selectedOptions": plain("[SelectedOption!]!", lambda _: [("Title", "Default Title")]),
    },
    "SelectedOption": {
        "name": plain("String!", lambda one: one[0]),
        "value": plain("String!", lambda one: one[1]),
    },
}  # fmt: skip
