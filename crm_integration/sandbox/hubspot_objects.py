"""HubSpot's CRM object endpoints: single records, batches, search.

Prevents the failure where partial answers are never seen: a batch here answers 207 with errors
for some, 400 or 409 for all, exactly where HubSpot does.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from itertools import islice
from typing import Any, cast

from starlette.requests import Request
from starlette.responses import Response

from crm_integration.sandbox.hubspot_answers import (
    Refused,
    answer,
    batch_answer,
    batch_error,
    inputs_of,
    invalid,
    json_body,
    not_found,
    now_text,
    record_json,
    refused_twin,
    refused_value,
)
from crm_integration.sandbox.portal_properties import Json, object_type, singular
from crm_integration.sandbox.portal_search import BadSearch, search
from crm_integration.sandbox.portal_state import AlreadyExists, InvalidValue, PortalState, Record

_BATCH = 100
_DEFAULT_PAGE = 10
_SEARCH_CHARACTERS = 3_000


def kind_of(request: Request, name: str = "kind") -> str:
    """The plural object type of a path.

    Raises:
        Refused: no such type.
    """
    given = request.path_params[name]
    kind = object_type(given)
    if kind is None:
        raise invalid(f"Unable to infer object type from: {given}")
    return kind


def _names(request: Request, name: str) -> list[str]:
    values = request.query_params.getlist(name)
    return [part for value in values for part in value.split(",") if part]


class ObjectEndpoints:
    """Handlers over one portal."""

    def __init__(self, portal: PortalState) -> None:
        self._portal = portal

    def _found(self, request: Request) -> Record:
        id_property = request.query_params.get("idProperty")
        found = self._portal.get(kind_of(request), request.path_params["key"], id_property)
        if found is None:
            raise not_found()
        return found

    def _with_links(self, request: Request, kind: str, record: Record) -> Json:
        body = record_json(kind, record, _names(request, "properties"))
        links: Json = {}
        for name in _names(request, "associations"):
            to_kind = object_type(name)
            if to_kind is None:
                raise invalid(f"Unable to infer object type from: {name}")
            held = self._portal.linked(kind, record.id, to_kind)
            if held:
                label = f"{singular(kind)}_to_{singular(to_kind)}"
                results = [{"id": str(end), "type": label} for end in sorted(held)]
                links[to_kind] = {"results": results}
        return {**body, "associations": links} if links else body

    async def list(self, request: Request) -> Response:
        """GET objects: by id, `after` is the last id of the page before."""
        kind, params = kind_of(request), request.query_params
        limit, after = params.get("limit", str(_DEFAULT_PAGE)), params.get("after", "0")
        if not limit.isdigit() or not 1 <= int(limit) <= 100 or not after.isdigit():
            raise invalid("limit must be 1 to 100 and after the cursor of the page before")
        archived, size = params.get("archived", "false") == "true", int(limit)
        from_here = self._portal.records(kind, since=int(after))
        rows = list(islice((row for row in from_here if row.archived == archived), size + 1))
        body: Json = {"results": [self._with_links(request, kind, row) for row in rows[:size]]}
        if len(rows) > size:
            cursor = str(rows[size].id)
            body["paging"] = {"next": {"after": cursor, "link": f"?after={cursor}"}}
        return answer(body)

    async def get(self, request: Request) -> Response:
        return answer(self._with_links(request, kind_of(request), self._found(request)))

    async def create(self, request: Request) -> Response:
        kind, body = kind_of(request), await json_body(request)
        record = _written(lambda: self._portal.create(kind, _properties(body)))
        return answer(record_json(kind, record, None), 201)

    async def update(self, request: Request) -> Response:
        kind, record, body = kind_of(request), self._found(request), await json_body(request)
        _written(lambda: self._portal.update(kind, record, _properties(body)))
        return answer(record_json(kind, record, None))

    async def archive(self, request: Request) -> Response:
        kind = kind_of(request)
        found = self._portal.get(kind, request.path_params["key"])
        if found is not None:
            self._portal.archive(kind, found)
        return Response(status_code=204)

    async def search(self, request: Request) -> Response:
        kind, body = kind_of(request), await json_body(request)
        if len((await request.body()).decode()) > _SEARCH_CHARACTERS:
            raise invalid(f"The search request holds more than {_SEARCH_CHARACTERS} characters")
        try:
            keys, total, after = search(self._portal, kind, body)
        except BadSearch as wrong:
            raise invalid(str(wrong)) from wrong
        held, shelf = self._portal.shelf(kind).records, self._portal.shelf(kind)
        wanted = _wanted(body)
        results: list[Json] = []
        for key in keys:
            as_indexed = Record(key, shelf.index[key], held[key].created, held[key].updated)
            results.append(record_json(kind, as_indexed, wanted))
        answered: Json = {"total": total, "results": results}
        if after is not None:
            answered["paging"] = {"next": {"after": str(after)}}
        return answer(answered)

    # Batches

    def _id_property(self, kind: str, body: Json, inputs: list[Json]) -> str | None:
        """The one property that names the records; it must be unique."""
        named = {str(name) for one in inputs if (name := one.get("idProperty"))}
        if name := body.get("idProperty"):
            named.add(str(name))
        if len(named) > 1:
            raise invalid("All inputs must use the same idProperty")
        name = named.pop() if named else None
        if name and not self._portal.unique_property(kind, name):
            raise invalid(f"{name} is not a unique identifier property for {kind}")
        return name

    async def batch_read(self, request: Request) -> Response:
        kind, body, started = kind_of(request), await json_body(request), now_text()
        inputs = inputs_of(body, _BATCH)
        id_property = self._id_property(kind, body, inputs)
        wanted = _wanted(body)
        results: dict[int, Json] = {}
        missing: list[str] = []
        for key in dict.fromkeys(str(one.get("id", "")) for one in inputs):
            found = self._portal.get(kind, key, id_property)
            if found is None:
                missing.append(key)
            else:
                results[found.id] = record_json(kind, found, wanted)
        return batch_answer(list(results.values()), _missing(kind, missing), started=started)

    async def batch_create(self, request: Request) -> Response:
        """All or none, but for inputs with an objectWriteTraceId, whose bad values get a 207."""
        kind, body, started = kind_of(request), await json_body(request), now_text()
        inputs = inputs_of(body, _BATCH)
        self._no_twins(kind, inputs)
        sound, errors = self._sound(kind, inputs, [None] * len(inputs))
        results = [
            record_json(kind, self._portal.create(kind, _properties(one)), None) for one, _ in sound
        ]
        return batch_answer(results, errors, started=started, created=True)

    async def batch_update(self, request: Request) -> Response:
        kind, body, started = kind_of(request), await json_body(request), now_text()
        inputs = inputs_of(body, _BATCH)
        id_property = self._id_property(kind, body, inputs)
        _each_once(inputs)
        self._no_twins(kind, inputs)
        held = [self._portal.get(kind, str(one.get("id", "")), id_property) for one in inputs]
        known = [(one, record) for one, record in zip(inputs, held, strict=True) if record]
        missing = [str(one.get("id", "")) for one, record in zip(inputs, held, strict=True)
                   if record is None]  # fmt: skip
        sound, errors = self._sound(kind, [one for one, _ in known], [row for _, row in known])
        results = [
            record_json(kind, self._portal.update(kind, record, _properties(one)), None)
            for one, record in sound if record is not None
        ]  # fmt: skip
        return batch_answer(results, [*errors, *_missing(kind, missing)], started=started)

    async def batch_upsert(self, request: Request) -> Response:
        kind, body, started = kind_of(request), await json_body(request), now_text()
        inputs = inputs_of(body, _BATCH)
        id_property = self._id_property(kind, body, inputs)
        if id_property is None and any(not str(one.get("id", "")).isdigit() for one in inputs):
            raise invalid("idProperty is required unless every id is a record id")
        _each_once(inputs)
        for one in inputs:
            if id_property:
                one["properties"] = {id_property: one.get("id"), **_properties(one)}
        self._no_twins(kind, inputs)
        held = [self._portal.get(kind, str(one["id"]), id_property) for one in inputs]
        if id_property is None and None in held:
            raise invalid("One or more record ids do not exist")
        sound, errors = self._sound(kind, inputs, held)
        results: list[Json] = []
        for one, record in sound:
            new = record is None
            written = (self._portal.create(kind, _properties(one)) if record is None
                       else self._portal.update(kind, record, _properties(one)))  # fmt: skip
            told = {"objectWriteTraceId": one["objectWriteTraceId"]} if _trace(one) else {}
            results.append({**record_json(kind, written, None), "new": new, **told})
        return batch_answer(results, errors, started=started)

    async def batch_archive(self, request: Request) -> Response:
        kind = kind_of(request)
        for one in inputs_of(await json_body(request), _BATCH):
            found = self._portal.get(kind, str(one.get("id", "")))
            if found is not None:
                self._portal.archive(kind, found)
        return Response(status_code=204)

    def _no_twins(self, kind: str, inputs: list[Json]) -> None:
        """A unique value may occur once in a batch; if it occurs twice, all of it is refused."""
        for name, definition in self._portal.definitions(kind).items():
            if not definition.unique:
                continue
            values = Counter(
                str(value).strip().lower() if name == "email" else str(value).strip()
                for one in inputs if (value := _properties(one).get(name))
            )  # fmt: skip
            if any(count > 1 for count in values.values()):
                raise invalid(f"Duplicate values of the unique property {name} in one batch")

    def _sound(
        self, kind: str, inputs: list[Json], held: list[Record | None]
    ) -> tuple[list[tuple[Json, Record | None]], list[Json]]:
        """Inputs that can be written, and errors for those that cannot.

        Raises:
            Refused: 409 for a taken unique value, 400 for a bad value without a trace id; both
                fail the whole batch before anything of it is written.
        """
        sound: list[tuple[Json, Record | None]] = []
        errors: list[Json] = []
        for one, record in zip(inputs, held, strict=True):
            try:
                self._portal.checked(kind, _properties(one), record.id if record else None)
                sound.append((one, record))
            except AlreadyExists as twin:
                raise refused_twin(twin) from twin
            except InvalidValue as wrong:
                if not _trace(one):
                    raise refused_value(wrong) from wrong
                context = {"objectWriteTraceId": [_trace(one)], "propertyName": [wrong.name]}
                errors.append(batch_error(
                    "VALIDATION_ERROR", str(wrong), context, subCategory=wrong.code
                ))  # fmt: skip
        return sound, errors


def _wanted(body: Json) -> list[str]:
    return [str(name) for name in cast(list[Any], body.get("properties") or [])]


def _trace(one: Json) -> str:
    return str(one.get("objectWriteTraceId") or "")


def _properties(body: Json) -> dict[str, Any]:
    properties = body.get("properties", {})
    if not isinstance(properties, dict):
        raise invalid("properties must be an object")
    return cast(dict[str, Any], properties)


def _written(write: Callable[[], Record]) -> Record:
    try:
        return write()
    except AlreadyExists as twin:
        raise refused_twin(twin) from twin
    except InvalidValue as wrong:
        raise refused_value(wrong) from wrong


def _each_once(inputs: list[Json]) -> None:
    counted = Counter(str(one.get("id", "")) for one in inputs)
    if any(count > 1 for count in counted.values()):
        raise invalid("Duplicate IDs found in batch input")
    if "" in counted:
        raise invalid("Every input needs an id")


def _missing(kind: str, keys: list[str]) -> list[Json]:
    if not keys:
        return []
    message = (
        f"Could not get some {singular(kind).upper()} objects, they may be deleted or not exist."
        " Check that ids are valid."
    )
    return [batch_error("OBJECT_NOT_FOUND", message, {"ids": keys})]


__all__ = ["ObjectEndpoints", "Refused", "kind_of"]
