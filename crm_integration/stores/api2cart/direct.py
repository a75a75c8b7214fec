"""Reads objects by id, and says which of them do not exist any more.

Prevents a deletion that never happened: an id that a list leaves out proves nothing; only a read
by id that answers `return_code` 112 does. Carts left behind have no such read: for them it takes
the whole list, read to its end.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from crm_integration.errors import BadInput, Permanent
from crm_integration.stores._contract import Gone, SourceObject
from crm_integration.stores.api2cart.answers import RefusedParameter, is_gone
from crm_integration.stores.api2cart.client import Client
from crm_integration.stores.api2cart.listing import Listing, Scope
from crm_integration.stores.api2cart.methods import CART, LISTED, ORDER, SHIPMENT, Kind
from crm_integration.stores.api2cart.objects import cut_one, cut_page, id_text
from crm_integration.stores.api2cart.shipments import fetch_parcels, no_such_id

_BATCH = 100
_LISTABLE = re.compile(r"[A-Za-z0-9_.:/=-]+")
"""Ids that may stand in a comma separated list; others are read singly."""


def fetch(
    client: Client, object_type: str, source_ids: Sequence[str]
) -> Iterator[SourceObject | Gone]:
    """Each id answered once. Raises BadInput for a type unknown here, Permanent for an answer
    that is not the object asked for."""
    wanted = list(dict.fromkeys(source_ids))
    if object_type == SHIPMENT.object_type:
        yield from fetch_parcels(client, wanted)
    elif object_type == CART.object_type:
        yield from _carts(client, wanted)
    elif object_type in LISTED:
        yield from _by_ids(client, LISTED[object_type], wanted)
    else:
        raise BadInput(f"API2Cart has no {object_type!r}: see manifest.yaml, object_types")


def found_by_ids(client: Client, kind: Kind, ids: list[str]) -> Iterator[SourceObject]:
    """Those of the ids that still exist."""
    found = _by_ids(client, kind, ids)
    return (item for item in found if isinstance(item, SourceObject))


def _by_ids(client: Client, kind: Kind, wanted: list[str]) -> Iterator[SourceObject | Gone]:
    for start in range(0, len(wanted), _BATCH):
        batch = wanted[start : start + _BATCH]
        found = _listed(client, kind, [one for one in batch if _LISTABLE.fullmatch(one)])
        yield from found.values()
        for source_id in batch:
            if source_id not in found:
                yield _one(client, kind, source_id)


def _listed(client: Client, kind: Kind, ids: list[str]) -> dict[str, SourceObject]:
    """What a list of ids answers; a cart that cannot filter by ids is asked for each alone."""
    if kind.by_ids is None or len(ids) < 2:
        return {}
    params = {kind.by_ids: ",".join(ids), "count": str(_BATCH), "params": kind.fields}
    params |= {name: text for name, text in kind.optional.items() if name == "include_guests"}
    try:
        cut = cut_page(kind, client.call(kind.method, params), client.zone)
    except RefusedParameter:
        return {}
    return {item.source_id: item for item in cut.objects if item.source_id in ids}


def _one(client: Client, kind: Kind, source_id: str) -> SourceObject | Gone:
    if id_text(source_id) != source_id or kind.info is None:
        return no_such_id(client, kind, source_id)
    for name in kind.ids:
        try:
            answer = client.call(kind.info, {name: source_id, "params": kind.fields})
        except Permanent as error:
            if is_gone(error):
                continue
            raise
        item = cut_one(kind, answer, client.zone)
        if item.source_id == source_id:
            return item
        if kind is not ORDER or name == "id":
            raise Permanent(f"API2Cart answered something else than this {kind.object_type}")
    return Gone(kind.object_type, source_id)


def _carts(client: Client, wanted: list[str]) -> Iterator[SourceObject | Gone]:
    if not wanted:
        return
    found: dict[str, SourceObject] = {}
    for page in Listing(client, CART, Scope()).pages(None):
        found |= {item.source_id: item for item in page.objects if item.source_id in wanted}
    yield from found.values()
    yield from (Gone(CART.object_type, one) for one in wanted if one not in found)
