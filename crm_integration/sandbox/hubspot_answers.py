"""The shapes of HubSpot's answers: records, batches with their 207, errors with their category.

Prevents the failure where the same refusal reads differently in two endpoints and a connector
learns the wrong one.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, cast

import orjson
from starlette.requests import Request
from starlette.responses import Response

from crm_integration.sandbox.portal_properties import (
    DEFAULTS,
    Json,
    created_property,
    modified_property,
    singular,
    zulu,
)
from crm_integration.sandbox.portal_state import AlreadyExists, InvalidValue, Record


class Refused(Exception):
    """An answer that is an error: status, category, message, and what else belongs to its body."""

    def __init__(self, status: int, category: str, message: str, **more: Any) -> None:
        super().__init__(message)
        self.status, self.category, self.more = status, category, more

    def body(self) -> Json:
        return {
            "status": "error",
            "message": str(self),
            "correlationId": str(uuid.uuid4()),
            "category": self.category,
            **self.more,
        }


def answer(body: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return Response(
        orjson.dumps(body), status_code=status, headers=dict(headers or {}),
        media_type="application/json;charset=utf-8",
    )  # fmt: skip


async def json_body(request: Request) -> Json:
    """The request's JSON object.

    Raises:
        Refused: 400, as HubSpot answers what it cannot parse.
    """
    try:
        body = orjson.loads(await request.body() or b"{}")
    except orjson.JSONDecodeError as error:
        raise invalid("Invalid input JSON: it could not be parsed") from error
    if not isinstance(body, dict):
        raise invalid("Invalid input JSON: an object is expected")
    return cast(Json, body)


def invalid(message: str, **more: Any) -> Refused:
    return Refused(400, "VALIDATION_ERROR", message, **more)


def not_found() -> Refused:
    return Refused(404, "OBJECT_NOT_FOUND", "resource not found")


def refused_value(wrong: InvalidValue) -> Refused:
    """400 for one property; the code says which rule it broke."""
    error = {"message": str(wrong), "code": wrong.code, "context": {"propertyName": [wrong.name]}}
    told = orjson.dumps(
        [{"isValid": False, "message": str(wrong), "error": wrong.code, "name": wrong.name}]
    ).decode()
    return invalid(f"Property values were not valid: {told}", errors=[error])


def refused_twin(twin: AlreadyExists) -> Refused:
    """409 for a unique value that another record holds, in HubSpot's words for contacts."""
    message = f"{singular(twin.kind).capitalize()} already exists. Existing ID: {twin.existing_id}"
    return Refused(409, "CONFLICT", message)


def now_text() -> str:
    return zulu(datetime.now(UTC))


def record_json(kind: str, record: Record, wanted: Iterable[str] | None) -> Json:
    """A record; `wanted` None gives all its properties (writes), else the defaults and those."""
    if wanted is None:
        properties: dict[str, str | None] = dict(record.properties)
    else:
        usual = DEFAULTS.get(
            kind, (created_property(kind), modified_property(kind), "hs_object_id")
        )
        properties = {name: record.properties.get(name) for name in (*usual, *wanted)}
    return {
        "id": str(record.id),
        "properties": properties,
        "createdAt": zulu(datetime.fromtimestamp(record.created, UTC)),
        "updatedAt": zulu(datetime.fromtimestamp(record.updated, UTC)),
        "archived": record.archived,
    }


def batch_answer(
    results: list[Json], errors: list[Json], *, started: str, created: bool = False
) -> Response:
    """200 (201 when created) if all went well, else 207 with the errors beside the results."""
    body: Json = {
        "status": "COMPLETE", "results": results, "startedAt": started, "completedAt": now_text(),
    }  # fmt: skip
    if not errors:
        return answer(body, 201 if created else 200)
    return answer({**body, "numErrors": len(errors), "errors": errors}, 207)


def batch_error(category: str, message: str, context: Mapping[str, list[str]], **more: Any) -> Json:
    return {
        "status": "error", "category": category, "message": message, "context": dict(context),
        **more,
    }  # fmt: skip


def inputs_of(body: Json, most: int) -> list[Json]:
    """The `inputs` of a batch.

    Raises:
        Refused: none, too many, or not objects.
    """
    inputs = body.get("inputs")
    if not isinstance(inputs, list) or not inputs:
        raise invalid("The request needs 'inputs' with at least one entry")
    listed = cast(list[Any], inputs)
    if len(listed) > most:
        raise invalid(f"The maximum number of inputs in a batch request is {most}")
    if any(not isinstance(one, dict) for one in listed):
        raise invalid("Invalid input JSON: each input must be an object")
    return cast(list[Json], listed)
