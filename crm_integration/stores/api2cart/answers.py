"""Translates an API2Cart answer into what to do next.

Prevents the loss that its answers invite: an error comes with status 200 and an empty `result`
([], {} or null), so a reader that does not look at `return_code` sees a shop without orders.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, cast

import httpx

from crm_integration.errors import NeedsReconnect, Permanent, RemoteError, Transient
from crm_integration.stores._contract import JsonObject
from crm_integration.stores._cutting import NotSplittable, whole
from crm_integration.stores._payload import block_if_any
from crm_integration.transport.http import retry_after

THROTTLED_PAUSE = 5.0
"""Seconds after "too many requests": API2Cart names no time, its queue holds one for seconds."""
GONE = "112"
ACCOUNT_LIMIT = "10"
"""Of all who share the key; 7 and 110 are one store's."""
REFUSED_PARAMETER = frozenset({"109", "114", "115"})
_CREDENTIALS = re.compile(r"credential|unauthori|access|denied|token|forbidden", re.IGNORECASE)
_PARAMETER = re.compile(r"\b[a-z]+(?:_[a-z0-9]+)+\b|\b(?:count|ids|start|params)\b")


class _Do(Enum):
    """What an error code asks for."""

    reconnect = "reconnect"
    wait = "wait"
    retry = "retry"
    give_up = "give_up"
    read_message = "read_message"


# Meanings: docs.api2cart.com, "Error codes". A code that is not here is one we do not understand:
# give up and say so, never go on as if there had been data.
_CODES: Mapping[int, tuple[_Do, str]] = {
    1: (_Do.retry, "the service is not available"),
    2: (_Do.reconnect, "the API key is wrong"),
    3: (_Do.give_up, "the method is not specified"),
    4: (_Do.reconnect, "access to the store is denied"),
    5: (_Do.reconnect, "access to the API is denied"),
    6: (_Do.reconnect, "the API key is disabled"),
    7: (_Do.wait, "the store's request limit is exceeded"),
    8: (_Do.give_up, "the store exists already"),
    9: (_Do.retry, "an error inside the service"),
    10: (_Do.wait, "the account's request limit is exceeded"),
    12: (_Do.wait, "the request is still queued"),
    100: (_Do.read_message, "the store cannot be reached or refuses its credentials"),
    101: (_Do.reconnect, "the store is not found: is the store key right?"),
    102: (_Do.reconnect, "the store's FTP access is wrong"),
    103: (_Do.reconnect, "the store's FTP may not be written to"),
    104: (_Do.reconnect, "there is no bridge in the store"),
    105: (_Do.retry, "the bridge in the store failed"),
    106: (_Do.retry, "the store's address is not reachable"),
    107: (_Do.retry, "the store failed in its own way"),
    109: (_Do.give_up, "a parameter is wrong"),
    110: (_Do.wait, "the store throttles"),
    111: (_Do.wait, "too many items or requests at a time"),
    112: (_Do.give_up, "there is no such item"),
    113: (_Do.give_up, "the item exists already"),
    114: (_Do.give_up, "a required parameter is missing"),
    115: (_Do.give_up, "a parameter is ambiguous (too many possible prefixes)"),
    116: (_Do.give_up, "the record exists already (duplicate)"),
}


class RefusedParameter(Permanent):
    """A cart does not take a parameter; `names` are those its message names, if any."""

    def __init__(self, message: str, *, names: frozenset[str], code: str) -> None:
        super().__init__(message, status=200, code=code)
        self.names = names


@dataclass(frozen=True)
class Answer:
    """A usable answer: its bytes to cut objects from, and the same decoded."""

    body: bytes
    content: JsonObject

    @property
    def result(self) -> JsonObject:
        """Raises Permanent where success comes without an object: not data, so not empty."""
        value = self.content.get("result")
        if not isinstance(value, dict):
            raise Permanent("API2Cart says success but sends no result object", code="no_result")
        return cast(JsonObject, value)

    @property
    def next_cursor(self) -> str | None:
        """`pagination.next` as it came (URL-encoded), None on the last page."""
        value = block_if_any(self.content, "pagination").get("next")
        return value if isinstance(value, str) and value else None


def usable(response: httpx.Response) -> Answer:
    """The answer whose `return_code` is 0.

    Raises:
        NeedsReconnect: keys or the store's own access. Transient: throttling, an unreachable
        store, 429, 5xx, an answer that is no JSON. RefusedParameter: 109, 114, 115.
        Permanent: everything else, also a code nobody knows; `code` is the return code.
    """
    if response.status_code != 200:
        raise _http_error(response)
    try:
        content = whole(response.content)
    except NotSplittable as error:
        raise Transient(
            "API2Cart answered something that is no JSON: it is tried again",
            status=200,
            code="not_json",
        ) from error
    code = _code(content.get("return_code"))
    if code is None:
        raise Permanent("API2Cart's answer has no return_code", status=200, code="no_return_code")
    if code:
        raise _error(code, content.get("return_message"))
    return Answer(response.content, content)


def is_gone(error: RemoteError) -> bool:
    """True only where the API says that an id is unknown."""
    return error.code == GONE


def _code(value: Any) -> int | None:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    return int(value) if isinstance(value, str) and value.isdigit() else None


def _error(code: int, message: Any) -> RemoteError:
    said = message if isinstance(message, str) else ""
    do, meaning = _CODES.get(code, (_Do.give_up, "a code that is not documented"))
    if do is _Do.read_message:
        do = _Do.reconnect if _CREDENTIALS.search(said) else _Do.retry
    tell = f"API2Cart answered return_code {code}: {meaning}"
    if do is _Do.reconnect:
        fix = f"{tell}; check api_key and store_key, and the store in API2Cart, then reconnect"
        return NeedsReconnect(fix, status=200, code=str(code))
    if do is _Do.retry:
        return Transient(f"{tell}; it is tried again", status=200, code=str(code))
    if do is _Do.wait:
        pause = THROTTLED_PAUSE
        return Transient(f"{tell}; try later", retry_after=pause, status=200, code=str(code))
    if str(code) in REFUSED_PARAMETER:
        names = frozenset(_PARAMETER.findall(said))  # names only: messages may quote values
        named = f" ({', '.join(sorted(names))})" if names else ""
        return RefusedParameter(tell + named, names=names, code=str(code))
    return Permanent(tell, status=200, code=str(code))


def _http_error(response: httpx.Response) -> RemoteError:
    status = response.status_code
    if status in (401, 403):
        return NeedsReconnect(f"API2Cart answered {status}: check api_key", status=status)
    if status in (408, 425, 429) or status >= 500:
        return Transient(
            f"API2Cart answered {status}: try again later",
            retry_after=retry_after(response),
            status=status,
        )
    return Permanent(f"API2Cart answered {status}: check the connection's address", status=status)
