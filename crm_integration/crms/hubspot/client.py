"""The one way to HubSpot: bearer token, budget, one request, one answer or one error.

Prevents a write from being sent twice: reads are tried again here, writes never, and a write
whose answer did not come is told apart (code `unknown`) from one that was surely not carried out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, Literal, cast

import httpx
import stamina

from crm_integration.crms._contract import CrmAccess, Gate
from crm_integration.crms.hubspot.answers import UNKNOWN, Answer, error_for
from crm_integration.crms.hubspot.limits import METERED_BY, heard
from crm_integration.errors import NeedsReconnect, Transient
from crm_integration.transport import http
from crm_integration.transport.budget import refused
from crm_integration.transport.http import http_client, retry_after, send
from crm_integration.transport.token_auth import TokenAuth

_READS: Final = stamina.RetryingCaller(attempts=3, timeout=45.0, wait_max=5.0)
_LONGEST_WAIT: Final = 10.0
"""Seconds a read waits for HubSpot here (its rolling window); a longer wait is the ledger's."""

_NOT_SENT: Final = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
_NO_TOKEN: Final = "this HubSpot connection has no access token: connect the account again"  # noqa: S105


class Client:
    """Calls to one HubSpot account. `gate` is asked before every call, retries included."""

    def __init__(self, access: CrmAccess, gate: Gate) -> None:
        token = access.secrets.get("access_token", "")
        if not token:
            raise NeedsReconnect(_NO_TOKEN)
        self._http = http_client(access.base_url, auth=TokenAuth(token, access.renew))
        self._gate = gate

    def get(self, path: str, *, budget: str) -> Answer:
        """GET, tried up to three times. Raises the errors of `answers.ANSWERS`."""
        return _retried(lambda: self._call("GET", path, None, budget))

    def query(self, path: str, body: Mapping[str, Any], *, budget: str) -> Answer:
        """A POST that only reads (batch read, search), tried up to three times."""
        return _retried(lambda: self._call("POST", path, body, budget))

    def write(self, path: str, body: Mapping[str, Any], *, budget: str) -> Answer:
        """A POST that writes, sent once.

        Raises the errors of `answers.ANSWERS`; Transient has the code `unknown` if HubSpot may
        have carried the write out, any other code if it surely has not.
        """
        self._gate(budget)
        try:
            return self._once("POST", path, body)
        except Transient as error:
            if not _maybe_written(error):
                raise
            raise Transient(
                f"{error}; the write may stand: look before writing again",
                retry_after=error.retry_after,
                status=error.status,
                code=UNKNOWN,
            ) from error

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def _call(
        self, method: Literal["GET", "POST"], path: str, body: Mapping[str, Any] | None, budget: str
    ) -> Answer:
        self._gate(budget)
        return self._once(method, path, body)

    def _once(
        self, method: Literal["GET", "POST"], path: str, body: Mapping[str, Any] | None
    ) -> Answer:
        request = self._http.build_request(method, path, json=body)
        response = send(self._http, request, within=http.LONGEST_CALL)
        answer = Answer(response.status_code, _body(response), retry_after(response))
        heard(self._gate, response)
        if not response.is_success:
            error = error_for(answer)
            if isinstance(error, Transient) and error.status == 429:
                refused(self._gate, METERED_BY.get(error.code, "all"), error)
            raise error
        return answer


def _body(response: httpx.Response) -> Mapping[str, Any]:
    """The JSON object of an answer; {} for an error page. Raises Transient for a broken 2xx."""
    try:
        value: object = response.json()
    except ValueError:
        value = None
    if isinstance(value, dict):
        return cast(Mapping[str, Any], value)
    if response.is_success and response.content:
        raise Transient("HubSpot's answer is no JSON object", status=response.status_code)
    return {}


def _maybe_written(error: Transient) -> bool:
    """True unless the request never left us or HubSpot turned it away before looking at it."""
    if error.status in (423, 429, 477):
        return False
    return not isinstance(error.__cause__, _NOT_SENT)


def _retried(call: Callable[[], Answer]) -> Answer:
    return _READS(_pause, call)


def _pause(error: Exception) -> bool | float:
    """Whether to try a read again, or after how many seconds.

    A Transient without status and code of `send` comes from the gate: there is no budget, and
    trying again here would only burn the claim.
    """
    if not isinstance(error, Transient):
        return False
    if not error.status and error.code not in ("timeout", "unreachable"):
        return False
    if error.retry_after is None:
        return True
    return max(error.retry_after, 0.05) if error.retry_after <= _LONGEST_WAIT else False
