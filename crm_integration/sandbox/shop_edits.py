"""What a shop's own people do after the fact: edit, refund, register, delete.

Prevents the failure of testing only first loads: each edit moves the dates that WooCommerce
moves (an empty PUT does, an order made for a customer does not touch the customer).
"""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Any, cast

from crm_integration.sandbox.identities import invented
from crm_integration.sandbox.invoices import Line, amount_minor, exponent_of
from crm_integration.sandbox.shop_state import (
    CustomerRecord,
    Json,
    OrderRecord,
    RefundRecord,
    ShopState,
)


class Refused(Exception):
    """WooCommerce says no: its code, its message, its HTTP status."""

    def __init__(self, message: str, code: str, status: int) -> None:
        super().__init__(message)
        self.code, self.status = code, status


def held_order(shop: ShopState, key: int) -> OrderRecord:
    """Raises: Refused (404, as recorded) for an id that is gone or never was."""
    order = shop.orders.get(key)
    if order is None:
        raise Refused("Invalid ID.", "woocommerce_rest_shop_order_invalid_id", 404)
    return order


def held_customer(shop: ShopState, key: int) -> CustomerRecord:
    """Raises: Refused (404); a guest is no customer."""
    customer = shop.customers.get(key)
    if customer is None:
        raise Refused("Invalid resource ID.", "woocommerce_rest_invalid_id", 404)
    return customer


def email_of(shop: ShopState, customer: CustomerRecord) -> str:
    """The account's e-mail with the letter case its owner typed."""
    if "email" in customer.fields:
        return str(customer.fields["email"])
    return invented(shop.settings.seed, customer.person).email


def create_order(shop: ShopState, body: Json) -> OrderRecord:
    """POST orders: pending until paid, with a REST id of its own."""
    key, now = shop.next_id("order"), shop.now()
    order = OrderRecord(
        id=key,
        number=str(key),
        status="pending",
        currency=str(body.get("currency", shop.settings.currency)),
        created=now,
        modified=now,
        customer_id=0,
        person="",
        country="",
        lines=(),
        total_minor=0,
        created_via="rest-api",
        billing={},
    )
    _apply(shop, order, body)
    if body.get("set_paid"):
        order.status = "processing"
    return shop.insert_order(order)


def edit_order(shop: ShopState, order: OrderRecord, body: Json) -> OrderRecord:
    """PUT orders/ID; an empty body moves date_modified too, as recorded."""
    relisted = order.status == "trash" and body.get("status", "trash") != "trash"
    _apply(shop, order, body)
    if relisted:
        shop.insert_order(order)
    shop.touch(order) if order.status != "trash" else shop.trash(order)
    return order


def _apply(shop: ShopState, order: OrderRecord, body: Json) -> None:
    order.status = str(body.get("status", order.status))
    order.customer_note = str(body.get("customer_note", order.customer_note))
    order.customer_id = int(body.get("customer_id", order.customer_id))
    if isinstance(body.get("billing"), dict):
        from crm_integration.sandbox.shop_rendering import billing_of

        order.billing = {**billing_of(shop, order), **cast(Json, body["billing"])}
    if isinstance(body.get("meta_data"), list):
        order.meta = _merged_meta(order.meta, cast(list[Json], body["meta_data"]))
    if isinstance(body.get("line_items"), list):
        _apply_lines(shop, order, cast(list[Json], body["line_items"]))


def _merged_meta(held: tuple[tuple[str, Any], ...], given: list[Json]) -> tuple[Any, ...]:
    merged = dict(held)
    for item in given:
        merged[str(item.get("key", ""))] = item.get("value", "")
    return tuple(merged.items())


def _apply_lines(shop: ShopState, order: OrderRecord, given: list[Json]) -> None:
    """An item with an id changes that line (quantity 0 removes it), one without is added."""
    held = {order.id_of_line(n): line for n, line in enumerate(order.lines)}
    for item in given:
        key = item.get("id")
        if key is None:
            held[order.id * 10_000 + 5_000 + len(held)] = _line(shop, order, item, None)
        elif key not in held:
            raise Refused("Order item ID provided is not associated with order.",
                          "woocommerce_rest_invalid_item_id", 400)  # fmt: skip
        elif item.get("quantity") == 0:
            del held[key]
        else:
            held[key] = _line(shop, order, item, held[key])
    order.lines, order.line_ids = tuple(held.values()), tuple(held)
    order.total_minor = sum(line.amount_minor for line in order.lines)


def _line(shop: ShopState, order: OrderRecord, item: Json, old: Line | None) -> Line:
    product = shop.products.get(int(item.get("product_id", 0)))
    sku = str(item.get("sku") or (product.sku if product else old.stock_code if old else ""))
    name = str(item.get("name") or (product.name if product else old.description if old else sku))
    quantity = int(item.get("quantity", old.quantity if old else 1))
    if "total" in item:
        amount = minor_of(item["total"], order.currency)
        price = float(amount) / 10 ** exponent_of(order.currency) / (quantity or 1)
    else:
        fallback = product.price_minor / 100 if product else 0.0
        price = float(item.get("price", old.unit_price if old else fallback))
        amount = amount_minor(quantity, price, order.currency)
    if sku:
        shop.product_of(sku, name, abs(amount) // max(1, abs(quantity)), shop.now())
    return Line(sku, name, quantity, price, amount)


def minor_of(value: object, currency: str) -> int:
    """Minor units of an amount as written in a request.

    Raises:
        Refused: it is no number.
    """
    try:
        scaled = Decimal(str(value)).scaleb(exponent_of(currency))
        return int(scaled.quantize(Decimal(1), ROUND_HALF_UP))
    except (InvalidOperation, ValueError) as error:
        raise Refused("Invalid amount.", "rest_invalid_param", 400) from error


def create_refund(shop: ShopState, order: OrderRecord, body: Json) -> RefundRecord:
    """POST orders/ID/refunds; moves the order's date, leaves a partly refunded one's status.

    Raises:
        Refused: more than is left, or an amount that is no number.
    """
    amount = minor_of(body.get("amount", "0"), order.currency)
    if amount < 0 or amount > order.total_minor - order.refunded_minor:
        raise Refused("Invalid refund amount.", "woocommerce_rest_cannot_create_order_refund", 500)
    key = shop.next_id("order")
    refund = RefundRecord(key, order.id, shop.now(), amount, str(body.get("reason", "")))
    shop.add_refund(order, refund)
    shop.touch(order)
    return refund


_CUSTOMER_FIELDS = ("email", "first_name", "last_name", "username", "billing", "shipping")


def create_customer(shop: ShopState, body: Json) -> CustomerRecord:
    """POST customers.

    Raises:
        Refused: the e-mail is missing or taken (in any letter case), as recorded.
    """
    email = str(body.get("email", ""))
    if not email:
        raise Refused("Missing parameter(s): email", "rest_missing_callback_param", 400)
    _email_is_free(shop, email, None)
    key, now = shop.next_id("customer"), shop.now()
    customer = CustomerRecord(key, "", "", now, now, fields={"is_paying_customer": False})
    shop.customers[key] = customer
    return _write_customer(customer, body)


def edit_customer(shop: ShopState, customer: CustomerRecord, body: Json) -> CustomerRecord:
    """PUT customers/ID: moves the account's date, never its orders'."""
    if "email" in body:
        _email_is_free(shop, str(body["email"]), customer.id)
    customer.modified = shop.now()
    return _write_customer(customer, body)


def _write_customer(customer: CustomerRecord, body: Json) -> CustomerRecord:
    for name in _CUSTOMER_FIELDS:
        if isinstance(body.get(name), dict):
            customer.fields[name] = {**customer.fields.get(name, {}), **body[name]}
        elif name in body:
            customer.fields[name] = body[name]
    if isinstance(body.get("meta_data"), list):
        customer.fields["meta_data"] = [
            {"id": n + 1, **item} for n, item in enumerate(cast(list[Json], body["meta_data"]))
        ]
    return customer


def _email_is_free(shop: ShopState, email: str, own: int | None) -> None:
    for key, customer in shop.customers.items():
        if key != own and email_of(shop, customer).lower() == email.lower():
            raise Refused(
                f"An account is already registered with {email}. Please log in or use a"
                " different email address.",
                "registration-error-email-exists",
                400,
            )


def delete_order(shop: ShopState, key: int) -> OrderRecord:
    """Deleted for good: a read by id says so on every platform, no list tells of it. Returns what
    was deleted, as a backup would hold it. Raises Refused (404)."""
    held = held_order(shop, key)
    shop.delete_order(held)
    return held


def delete_customer(shop: ShopState, key: int) -> CustomerRecord:
    """The account is gone; its orders stay. Raises Refused (404)."""
    held = held_customer(shop, key)
    del shop.customers[key]
    return held


def delete_product(shop: ShopState, key: int) -> None:
    """Gone from the catalogue; lines of orders keep its name. Raises KeyError."""
    held = shop.products.pop(key)
    shop.product_ids.pop(held.sku, None)


def delete_refund(shop: ShopState, key: int) -> None:
    """The refund is gone and its order's date stays. Raises KeyError."""
    held = shop.refunds.pop(key)
    shop.orders[held.order_id].refunds.remove(held)


HOOK_STATES = ("active", "paused", "disabled")
_HOOK_TOPICS = frozenset(
    f"{resource}.{event}"
    for resource in ("coupon", "customer", "order", "product")
    for event in ("created", "updated", "deleted", "restored")
)


def create_webhook(shop: ShopState, body: Json) -> Json:
    """POST webhooks: kept and listed; deliveries are another part of the sandbox.

    Raises Refused for a topic or address that WooCommerce does not take.
    """
    topic, url = str(body.get("topic", "")), str(body.get("delivery_url", ""))
    if topic not in _HOOK_TOPICS and not topic.startswith("action."):
        raise Refused(
            "Webhook topic is required and must be valid.",
            "woocommerce_rest_shop_webhook_invalid_topic", 400,
        )  # fmt: skip
    if not url.startswith(("http://", "https://")):
        raise Refused(
            "Webhook delivery URL must be a valid URL starting with http:// or https://.",
            "woocommerce_rest_shop_webhook_invalid_delivery_url", 400,
        )  # fmt: skip
    key = shop.next_id("webhook")
    resource, _, event = topic.partition(".")
    shop.webhooks[key] = {
        "id": key, "name": str(body.get("name", f"Webhook {key}")),
        "status": str(body.get("status", "active")), "topic": topic, "resource": resource,
        "event": event, "hooks": [], "delivery_url": url, "secret": str(body.get("secret", "")),
    }  # fmt: skip
    return shop.webhooks[key]


def edit_webhook(held: Json, body: Json) -> None:
    """PUT webhooks/N. Raises Refused for a state there is not."""
    state = body.get("status", held["status"])
    if state not in HOOK_STATES:
        raise Refused(
            "Webhook status must be valid.", "woocommerce_rest_shop_webhook_invalid_status", 400
        )
    for name in ("name", "status", "topic", "delivery_url", "secret"):
        held[name] = str(body.get(name, held[name]))


def webhook_json(held: Json) -> Json:
    """As it is shown: whoever may read the list does not get the secret."""
    return {name: value for name, value in held.items() if name != "secret"}
