"""Translates a WooCommerce answer into what to do next.

Prevents two misreadings: `cannot_view` taken for a missing permission (a wrong key gets the very
same answer), and a maintenance page with status 200 taken for an empty shop.
"""

from __future__ import annotations

import json
from typing import Any, cast

import httpx

from crm_integration.errors import MissingScope, NeedsReconnect, Permanent, RemoteError, Transient
from crm_integration.stores._payload import block_if_any
from crm_integration.transport.http import retry_after

_WRONG_SECRET = "woocommerce_rest_authentication_error"  # noqa: S105 - an error code
_CANNOT_VIEW = "woocommerce_rest_cannot_view"


def refuse(response: httpx.Response, *, created: bool = False) -> None:
    """Return for a usable 200 (201 too where something may be `created`); raise the error that
    says what to do otherwise.

    Raises:
        NeedsReconnect: 401. MissingScope: 403. Transient: 408, 425, 429, 5xx, a web page.
        Permanent: everything else (400 names the parameter, 3xx is never followed).
    """
    if response.status_code != 200 and not (created and response.status_code == 201):
        raise _error(response)
    if response.content.lstrip()[:1] == b"<":
        raise Transient(
            f"{response.url.host} sent a web page instead of data (maintenance or a bot check): "
            "it is tried again; if it lasts, let the shop's firewall pass /wp-json/",
            status=200,
            code="web_page",
        )


def is_gone(error: RemoteError) -> bool:
    """True only where the shop says that an id is unknown; `rest_no_route` is a 404 as well."""
    return error.status in (404, 410) and error.code.endswith("invalid_id")


def _error(response: httpx.Response) -> RemoteError:
    status, host = response.status_code, response.url.host
    code, params = _code_and_params(response)
    if status == 401:
        return NeedsReconnect(_why_401(host, code), status=status, code=code)
    if status == 403:
        return MissingScope(
            f"{host} forbids this read ({code or 'no code'}): give the key Read permission",
            scope="read",
            status=status,
            code=code,
        )
    if status in (408, 425, 429) or status >= 500:
        return Transient(
            f"{host} answered {status} ({code or 'no code'}): try again later",
            retry_after=retry_after(response),
            status=status,
            code=code,
        )
    return Permanent(_why_permanent(host, status, code, params), status=status, code=code)


def _why_401(host: str, code: str) -> str:
    if code == _WRONG_SECRET:
        return f"{host} refuses the consumer secret or signature ({code}): reconnect the shop"
    if code == _CANNOT_VIEW:
        return (
            f"{host} does not show this list ({code}): the consumer key is wrong, or its user "
            "lacks the permission; make a new key with Read permission and reconnect the shop"
        )
    return f"{host} refuses the credentials ({code or 'no code'}): reconnect the shop"


def _why_permanent(host: str, status: int, code: str, params: tuple[str, ...]) -> str:
    if 300 <= status < 400:
        return f"{host} redirects elsewhere ({status}): give the shop's present address"
    if code == "rest_no_route":
        return f"{host} has no WooCommerce REST API v3 here: check address and permalinks"
    if params:
        return f"{host} refuses the parameter {', '.join(params)} ({code})"
    return f"{host} answered {status} ({code or 'no code'}): the request will fail again"


def _code_and_params(response: httpx.Response) -> tuple[str, tuple[str, ...]]:
    """Vendor's error code and names of refused parameters; never values or messages."""
    try:
        body: Any = json.loads(response.content)
    except (ValueError, RecursionError):
        return "", ()
    if not isinstance(body, dict):
        return "", ()
    answer = cast(dict[str, Any], body)
    code, names = answer.get("code"), block_if_any(block_if_any(answer, "data"), "params")
    return (code[:80] if isinstance(code, str) else ""), tuple(names)
