"""HubSpot's v4 associations: a call of their own, by batches, with numbered types.

Prevents the failure where a connector believes that a record's write also linked it.
"""

from __future__ import annotations

from typing import cast

from starlette.requests import Request
from starlette.responses import Response

from crm_integration.sandbox.hubspot_answers import (
    answer,
    batch_answer,
    batch_error,
    inputs_of,
    invalid,
    json_body,
    not_found,
    now_text,
)
from crm_integration.sandbox.hubspot_objects import kind_of
from crm_integration.sandbox.portal_properties import Json, singular, type_number
from crm_integration.sandbox.portal_state import PortalState

#: HubSpot's default association types (documented list); both directions have a number.
_TYPES = {
    ("orders", "contacts"): 507, ("contacts", "orders"): 508,
    ("orders", "companies"): 509, ("companies", "orders"): 510,
    ("orders", "deals"): 512, ("deals", "orders"): 511,
    ("orders", "line_items"): 513, ("line_items", "orders"): 514,
    ("orders", "carts"): 592, ("carts", "orders"): 593,
    ("carts", "contacts"): 586, ("contacts", "carts"): 587,
    ("notes", "contacts"): 202, ("contacts", "notes"): 201,
    ("notes", "companies"): 190, ("companies", "notes"): 189,
    ("notes", "deals"): 214, ("deals", "notes"): 213,
    ("contacts", "companies"): 279, ("companies", "contacts"): 280,
    ("contacts", "deals"): 4, ("deals", "contacts"): 3,
    ("deals", "line_items"): 19, ("line_items", "deals"): 20,
    ("tickets", "contacts"): 16, ("contacts", "tickets"): 15,
}  # fmt: skip
#: HubSpot shows notes on orders, but lists no number: made of the types' own ids.
_UNLISTED = frozenset({("notes", "orders"), ("orders", "notes")})
_CREATE, _READ = 2_000, 1_000


def default_type(start: str, end: str) -> int:
    """The number of the default type.

    Raises:
        Refused: 400, HubSpot associates no such two.
    """
    known = _TYPES.get((start, end))
    if known is not None:
        return known
    if (start, end) not in _UNLISTED:
        raise invalid(f"There is no default association type between {start} and {end}")
    first, second = (int(type_number(kind).partition("-")[2]) for kind in (start, end))
    return 100_000 + first * 1_000 + second


class AssociationEndpoints:
    """Handlers over one portal."""

    def __init__(self, portal: PortalState) -> None:
        self._portal = portal

    def _kinds(self, request: Request) -> tuple[str, str]:
        return kind_of(request, "start"), kind_of(request, "end")

    def _link(self, start: tuple[str, int], end: tuple[str, int], types: list[Json]) -> None:
        labels = [
            (str(one.get("associationCategory")), int(one.get("associationTypeId", 0)))
            for one in types
        ] or [("HUBSPOT_DEFINED", default_type(start[0], end[0]))]
        back = [("HUBSPOT_DEFINED", default_type(end[0], start[0]))]
        self._portal.associate(start, end, labels, back)

    def _ends(self, one: Json, start: str, end: str) -> tuple[int, int] | Json:
        """Both ids of an input, or the error that one of them does not exist."""
        keys: list[int] = []
        for side, kind in (("from", start), ("to", end)):
            key = str(cast(Json, one.get(side) or {}).get("id", ""))
            found = self._portal.get(kind, key)
            if found is None:
                return batch_error(
                    "OBJECT_NOT_FOUND", f"No {singular(kind)} with ID {key} exists",
                    {f"{side}ObjectId": [key]},
                )  # fmt: skip
            keys.append(found.id)
        return keys[0], keys[1]

    async def associate_default(self, request: Request) -> Response:
        """POST .../batch/associate/default"""
        (start, end), started = self._kinds(request), now_text()
        default_type(start, end)
        results: list[Json] = []
        errors: list[Json] = []
        for one in inputs_of(await json_body(request), _CREATE):
            keys = self._ends(one, start, end)
            if isinstance(keys, dict):
                errors.append(keys)
                continue
            self._link((start, keys[0]), (end, keys[1]), [])
            results.append(_default_json(start, end, keys))
        return batch_answer(results, errors, started=started)

    async def create(self, request: Request) -> Response:
        """POST .../batch/create with explicit types"""
        (start, end), started = self._kinds(request), now_text()
        results: list[Json] = []
        errors: list[Json] = []
        for one in inputs_of(await json_body(request), _CREATE):
            keys = self._ends(one, start, end)
            if isinstance(keys, dict):
                errors.append(keys)
                continue
            types = cast(list[Json], one.get("types") or [])
            if not types:
                raise invalid("types must hold at least one association type")
            self._link((start, keys[0]), (end, keys[1]), types)
            results.append({
                "fromObjectTypeId": type_number(start), "fromObjectId": str(keys[0]),
                "toObjectTypeId": type_number(end), "toObjectId": str(keys[1]), "labels": [],
            })  # fmt: skip
        return batch_answer(results, errors, started=started, created=True)

    async def read(self, request: Request) -> Response:
        """POST .../batch/read; a record without any such link is an error in a 207."""
        (start, end), started = self._kinds(request), now_text()
        results: list[Json] = []
        errors: list[Json] = []
        for one in inputs_of(await json_body(request), _READ):
            key = str(one.get("id", ""))
            found = self._portal.get(start, key)
            ends = self._ends_json(start, found.id, end) if found is not None else []
            if ends:
                results.append({"from": {"id": key}, "to": ends})
                continue
            message = f"No {singular(end)} is associated with {singular(start)} {key}."
            errors.append(batch_error(
                "OBJECT_NOT_FOUND", message, {"fromObjectId": [key]},
                subCategory="crm.associations.NO_ASSOCIATIONS_FOUND",
            ))  # fmt: skip
        return batch_answer(results, errors, started=started)

    def _ends_json(self, start: str, key: int, end: str) -> list[Json]:
        held = self._portal.linked(start, key, end)
        return [
            {
                "toObjectId": other,
                "associationTypes": [
                    {"category": category, "typeId": number, "label": None}
                    for category, number in sorted(labels)
                ],
            }
            for other, labels in sorted(held.items())
        ]

    async def archive(self, request: Request) -> Response:
        """POST .../batch/archive: inputs {from, to: [ids]}"""
        start, end = self._kinds(request)
        for one in inputs_of(await json_body(request), _CREATE):
            held = self._portal.get(start, str(cast(Json, one.get("from") or {}).get("id", "")))
            for other in cast(list[Json], one.get("to") or []):
                found = self._portal.get(end, str(other.get("id", "")))
                if held is not None and found is not None:
                    self._portal.dissociate((start, held.id), (end, found.id))
        return Response(status_code=204)

    async def of_record(self, request: Request) -> Response:
        """GET objects/{start}/{key}/associations/{end}"""
        start, end = self._kinds(request)
        found = self._portal.get(start, request.path_params["key"])
        if found is None:
            raise not_found()
        return answer({"results": self._ends_json(start, found.id, end)})

    async def put_default(self, request: Request) -> Response:
        """PUT objects/{start}/{key}/associations/default/{end}/{other}"""
        (start, end), started = self._kinds(request), now_text()
        path = request.path_params
        one: Json = {"from": {"id": path["key"]}, "to": {"id": path["other"]}}
        keys = self._ends(one, start, end)
        if isinstance(keys, dict):
            raise not_found()
        self._link((start, keys[0]), (end, keys[1]), [])
        return batch_answer([_default_json(start, end, keys)], [], started=started)


def _default_json(start: str, end: str, keys: tuple[int, int]) -> Json:
    return {
        "from": {"id": str(keys[0])},
        "to": {"id": str(keys[1])},
        "associationSpec": {
            "associationCategory": "HUBSPOT_DEFINED",
            "associationTypeId": default_type(start, end),
        },
    }
