"""Translates a Shopify answer into what to do next.

Prevents a throttled or forbidden answer from passing as an empty shop: GraphQL refuses inside a
200, with `data` that may be half there, and nothing of it may be used.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import httpx

from crm_integration.errors import MissingScope, NeedsReconnect, Permanent, RemoteError, Transient
from crm_integration.stores._contract import JsonObject
from crm_integration.stores._cutting import NotSplittable, whole
from crm_integration.stores._payload import block_if_any
from crm_integration.transport.http import retry_after

THROTTLED = "THROTTLED"
TOO_COSTLY = "MAX_COST_EXCEEDED"
_SCOPE = re.compile(r"\b(?:read|write)_[a-z_]+")
_RATE_LIMITED = (408, 425, 429, 430)
"""430 is Shopify's own: too many requests of a kind it takes for an attack."""


@dataclass(frozen=True)
class Refusal:
    """One entry of `errors`: its code, and where it states them the required access (or the
    path) and the field of the schema that it does not know."""

    code: str
    access: str
    host: str
    unknown: str = ""


def read(response: httpx.Response) -> JsonObject:
    """The whole answer of a usable 200.

    Raises:
        NeedsReconnect: 401, 402 (frozen), 423 (locked), an inactive shop.
        MissingScope: 403 and ACCESS_DENIED. Transient: 408, 425, 429, 430, 5xx, THROTTLED,
        failures of Shopify's own, a web page. Permanent: everything else.
    """
    host = response.url.host
    if response.status_code != 200:
        raise _by_status(response.status_code, host, retry_after(response))
    try:
        answer = whole(response.content)
    except NotSplittable as error:
        raise Transient(
            f"{host} sent something else than JSON ({error.reason}): it is tried again",
            status=200,
            code=error.reason,
        ) from error
    errors = answer.get("errors")
    if errors:
        raise _by_code(errors, host)
    if not isinstance(answer.get("data"), dict):
        raise Transient(f"{host} answered without data", status=200, code="no_data")
    return answer


def _by_status(status: int, host: str, wait: float | None) -> RemoteError:
    if status == 401:
        return NeedsReconnect(f"{host} refuses the access token: reconnect the shop", status=status)
    if status in (402, 423):
        return NeedsReconnect(
            f"{host} is {'frozen' if status == 402 else 'locked'}: the merchant must settle this "
            "with Shopify and reconnect the shop",
            status=status,
        )
    if status == 403:
        return MissingScope(
            f"{host} forbids the Admin API: give the app its access scopes anew",
            scope="admin_api",
            status=status,
        )
    if status in _RATE_LIMITED or status >= 500:
        return Transient(
            f"{host} answered {status}: try again later", retry_after=wait, status=status
        )
    return Permanent(
        f"{host} answered {status}: check that the address is the shop's myshopify.com domain",
        status=status,
    )


def _throttled(refusal: Refusal) -> RemoteError:
    return Transient(f"{refusal.host} throttles this app", status=200, code=refusal.code)


def _denied(refusal: Refusal) -> RemoteError:
    return MissingScope(
        f"{refusal.host} denies access: grant the app {refusal.access or 'the scope it lacks'}",
        scope=refusal.access or "unknown",
        status=200,
        code=refusal.code,
    )


def _closed(refusal: Refusal) -> RemoteError:
    return NeedsReconnect(
        f"{refusal.host} lets this app in no more ({refusal.code}): reconnect the shop",
        status=200,
        code=refusal.code,
    )


def _failed_there(refusal: Refusal) -> RemoteError:
    return Transient(
        f"{refusal.host} failed inside ({refusal.code}): try again later",
        status=200,
        code=refusal.code,
    )


def _refused(refusal: Refusal) -> RemoteError:
    return Permanent(
        f"{refusal.host} refuses the query ({refusal.code or 'no code'}{refusal.unknown}): it will "
        "fail again",
        status=200,
        code=refusal.code,
    )


_CODES: dict[str, Callable[[Refusal], RemoteError]] = {
    THROTTLED: _throttled,
    "ACCESS_DENIED": _denied,
    "FORBIDDEN": _denied,
    "UNAUTHORIZED": _closed,
    "SHOP_INACTIVE": _closed,
    "INTERNAL_SERVER_ERROR": _failed_there,
    "TIMEOUT": _failed_there,
    "SERVICE_UNAVAILABLE": _failed_there,
    TOO_COSTLY: _refused,
}
"""Every other code (a wrong field, a wrong argument) is refused for good."""
_GRAVEST = (NeedsReconnect, MissingScope, Permanent, Transient)


def _by_code(errors: Any, host: str) -> RemoteError:
    """The gravest of what is stated: a query that is throttled and forbidden is forbidden."""
    listed = cast(list[Any], errors) if isinstance(errors, list) else [errors]
    found: list[RemoteError] = []
    for entry in listed:
        refusal = _refusal(cast(JsonObject, entry) if isinstance(entry, dict) else {}, host)
        found.append(_CODES.get(refusal.code, _refused)(refusal))
    return min(found, key=lambda error: _GRAVEST.index(type(error)))


def _refusal(entry: JsonObject, host: str) -> Refusal:
    """Never the message itself: it may quote what was searched for."""
    extensions = block_if_any(entry, "extensions")
    code = extensions.get("code")
    return Refusal(
        code[:80] if isinstance(code, str) else "",
        _access(extensions, entry),
        host,
        _unknown(extensions),
    )


def _unknown(extensions: JsonObject) -> str:
    """` Type.field` of a schema that is not the one we know; names of theirs and ours only."""
    names = [extensions.get("typeName"), extensions.get("fieldName")]
    known = [name for name in names if isinstance(name, str) and name.isidentifier()]
    return f" {'.'.join(known)}" if known else ""


def _access(extensions: JsonObject, entry: JsonObject) -> str:
    """The scope by name, else the field that was denied."""
    for text in (extensions.get("requiredAccess"), entry.get("message")):
        scopes = _SCOPE.findall(text) if isinstance(text, str) else []
        if scopes:
            return ",".join(dict.fromkeys(scopes))
    path = entry.get("path")
    names = [str(part) for part in cast(list[Any], path)] if isinstance(path, list) else []
    return ".".join(name for name in names if name.isidentifier())[:200]
