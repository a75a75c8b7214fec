"""Parcels, which API2Cart shows only order by order.

Prevents the order that looks open for ever: many carts send a parcel without touching the order's
own date, so a window asks for the parcels of orders that changed some time before it, too. It
costs one call an order; `shipment_lookback_days` bounds it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from crm_integration.errors import BadInput, Permanent
from crm_integration.stores._contract import (
    Gone,
    JsonObject,
    Page,
    SourceObject,
    Unsplittable,
)
from crm_integration.stores._cutting import whole
from crm_integration.stores.api2cart.answers import is_gone
from crm_integration.stores.api2cart.client import Client
from crm_integration.stores.api2cart.listing import Listing, Scope
from crm_integration.stores.api2cart.methods import (
    MOST,
    ORDER_REFERENCE,
    SHIPMENT,
    STORE_FIELDS,
    Kind,
)
from crm_integration.stores.api2cart.objects import (
    cut_one,
    cut_page,
    id_text,
    identity,
)
from crm_integration.stores.api2cart.states import nothing_sent

USUAL_LOOKBACK_DAYS = 14
"""Goods that leave later than two weeks after the last word about their order are rare, and an
order's parcels are asked for again whenever the order itself changes."""


def shipment_pages(client: Client, scope: Scope, resume: str | None) -> Iterator[Page]:
    """The parcels of all orders, or for a window those parcels that changed within it, of orders
    that were made before its end and changed no earlier than the lookback before its start."""
    listing = Listing(client, ORDER_REFERENCE, _orders_of(scope, client.settings))
    for page in listing.pages(resume):
        objects: list[SourceObject] = []
        strange: list[Unsplittable] = []
        for order in page.objects:
            found, odd = _of_order(client, order)
            objects += [one for one in found if scope.holds(one)]
            strange += odd
        yield Page(tuple(objects), page.checkpoint, unreadable=tuple(strange))


def fetch_parcels(client: Client, source_ids: Sequence[str]) -> Iterator[SourceObject | Gone]:
    """Each parcel by its order and its own id (`17/3`). Raises Permanent for another answer."""
    numbers: dict[str, str | None] = {}
    for source_id in source_ids:
        order_id, _, shipment_id = source_id.rpartition("/")
        if id_text(order_id) != order_id or id_text(shipment_id) != shipment_id:
            yield no_such_id(client, SHIPMENT, source_id)
            continue
        if order_id not in numbers:
            numbers[order_id] = _number_of(client, order_id)
        asked = numbers[order_id]
        yield _one(client, source_id, asked) if asked else Gone(SHIPMENT.object_type, source_id)


def no_such_id(client: Client, kind: Kind, source_id: str) -> Gone:
    """Gone for what is no id of this API, once the store has answered at all: with keys that do
    not open nothing may be told gone."""
    client.call("cart.info", {"params": STORE_FIELDS})
    return Gone(kind.object_type, source_id)


def _one(client: Client, source_id: str, order_number: str) -> SourceObject | Gone:
    order_id, _, shipment_id = source_id.rpartition("/")
    params = {"id": shipment_id, "order_id": order_number, "params": SHIPMENT.fields}
    try:
        answer = client.call("order.shipment.info", params)
    except Permanent as error:
        if is_gone(error):
            return Gone(SHIPMENT.object_type, source_id)
        raise
    item = cut_one(SHIPMENT, answer, client.zone)
    if item.source_id != shipment_id:
        raise Permanent("API2Cart answered something else than this shipment")
    return replace(item, source_id=source_id, parent_id=order_id)


def _number_of(client: Client, order_id: str) -> str | None:
    """What parcels are asked by: the shown number of the order; None where it is gone."""
    for name in ORDER_REFERENCE.ids:
        try:
            answer = client.call("order.info", {name: order_id, "params": "id,order_id"})
        except Permanent as error:
            if is_gone(error):
                continue
            raise
        if identity(ORDER_REFERENCE, answer.result) == order_id:
            return _asked_by(answer.result, order_id)
    return None


def _asked_by(order: JsonObject, source_id: str) -> str:
    return id_text(order.get("order_id")) or source_id


def _orders_of(scope: Scope, settings: Mapping[str, Any]) -> Scope:
    if scope.since is None:
        return scope
    days = settings.get("shipment_lookback_days", USUAL_LOOKBACK_DAYS)
    if not isinstance(days, int) or isinstance(days, bool) or not 0 <= days <= 366:
        raise BadInput("setting shipment_lookback_days: give whole days from 0 to 366")
    return Scope(since=scope.since - timedelta(days=days), made_before=scope.before)


def _only_sent(settings: Mapping[str, Any]) -> bool:
    chosen = settings.get("ask_parcels_of", "all")
    if chosen not in ("all", "sent"):
        raise BadInput("setting ask_parcels_of: give all or sent")
    return chosen == "sent"


def _of_order(
    client: Client, order: SourceObject
) -> tuple[list[SourceObject], tuple[Unsplittable, ...]]:
    """An order's parcels; none where the order has been deleted since it was listed.

    With `ask_parcels_of: sent` no call is spent on an order of which its cart says that nothing
    was sent: a parcel that is only labelled is then first seen when it leaves.
    """
    reference = whole(order.payload)
    if _only_sent(client.settings) and nothing_sent(reference):
        return [], ()
    asked = _asked_by(reference, order.source_id)
    objects: list[SourceObject] = []
    strange: tuple[Unsplittable, ...] = ()
    start = 0
    while True:
        params = {"order_id": asked, "count": str(MOST), "params": SHIPMENT.fields}
        params |= {"start": str(start)} if start else {}
        try:
            cut = cut_page(SHIPMENT, client.call(SHIPMENT.method, params), client.zone)
        except Permanent as error:
            if is_gone(error):
                return objects, strange
            raise
        objects += [
            replace(one, source_id=f"{order.source_id}/{one.source_id}", parent_id=order.source_id)
            for one in cut.objects
        ]
        strange += cut.strange
        if cut.count < MOST:
            return objects, strange
        start += cut.count
