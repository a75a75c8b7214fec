"""The one way to Tryton: bearer key, budget, one request, one answer or one error.

Prevents a write from being sent twice: reads are tried again here, writes never, and a write
whose answer did not come is told apart (code `unknown`) from one that was surely not carried out.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from typing import Any, Final, Literal, cast

import httpx

from crm_integration.crms._contract import CrmAccess, Gate
from crm_integration.crms.tryton.answers import (
    GONE,
    SERVER_ERROR,
    UNKNOWN,
    Answer,
    error_for,
    no_access,
)
from crm_integration.errors import NeedsReconnect, Permanent, Transient
from crm_integration.transport.budget import refused
from crm_integration.transport.http import http_client, retry_after, send
from crm_integration.transport.retry import BUDGET, CLAIM_NEARLY_OVER, repeated

_NOT_SENT: Final = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
_NOT_WRITTEN: Final = (BUDGET, CLAIM_NEARLY_OVER, GONE, SERVER_ERROR)
_NO_KEY: Final = "this Tryton connection has no key: connect the account again"

Row = Mapping[str, Any]
"""A record as Tryton reads it; what a dotted name reads is under `name.`, with the dot."""


class _Bearer(httpx.Auth):
    def __init__(self, key: str) -> None:
        self._header = f"bearer {key}"

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        request.headers["Authorization"] = self._header
        yield request


class Client:
    """Calls to one Tryton database. `gate` is asked before every call, retries included.

    The connection's address ends with the database: `https://erp.example.com/production`.
    """

    def __init__(self, access: CrmAccess, gate: Gate) -> None:
        key = access.secrets.get("api_key", "")
        if not key:
            raise NeedsReconnect(_NO_KEY)
        self._http = http_client(access.base_url, auth=_Bearer(key))
        self._gate = gate
        self.settings = access.settings

    def rows(
        self,
        model: str,
        domain: Sequence[Any],
        fields: Sequence[str],
        *,
        limit: int | None = None,
    ) -> list[Row]:
        """All records of a model that a domain describes (the first `limit`), in the order of
        their ids.

        Raises the errors of `answers.ANSWERS`; a search is refused only for a lacking right.
        """
        order = [["id", "ASC"]]
        body: dict[str, Any] = {
            "domain": list(domain),
            "fields_names": list(fields),
            "order": order,
        }
        if limit is not None:
            body["limit"] = limit
        try:
            return cast(list[Row], self.ask(model, "search_read", body, kind=list))
        except Permanent as error:
            if error.status != 403:
                raise
            raise no_access(model, error.status) from error

    def ask(self, model: str, action: str, body: Mapping[str, Any], *, kind: type) -> Any:
        """What an action that only reads answers, asked up to three times.

        Raises the errors of `answers.ANSWERS`, Permanent for an answer that is no `kind`.
        """
        path = f"rest/model/{model}/{action}"
        found = repeated(lambda: self._once("POST", path, model, body), attempts=3, timeout=45.0)
        if not isinstance(found.body, kind):
            raise Permanent(f"Tryton's answer for {model} is no {kind.__name__}: wrong address?")
        return found.body

    def create(self, model: str, values: Sequence[Mapping[str, Any]]) -> list[int]:
        """Create records in one transaction; their ids in the order given. Sent once.

        One alone takes the way on which Tryton says why it refuses.
        """
        path = f"rest/model/{model}"
        if len(values) == 1:
            return [int(self._write("POST", path, model, values[0]).body["id"])]
        answer = self._write("POST", f"{path}/create", model, {"vlist": list(values)})
        return [int(one) for one in answer.body]

    def update(self, model: str, record_id: str, values: Mapping[str, Any]) -> None:
        """Change one record. Sent once."""
        self._write("PUT", f"rest/model/{model}/{int(record_id)}", model, values)

    def act(self, model: str, record_id: str, action: str) -> None:
        """Press one of Tryton's buttons on a record. Sent once."""
        self._write("POST", f"rest/model/{model}/{int(record_id)}/{action}", model, {})

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def _write(
        self,
        method: Literal["POST", "PUT"],
        path: str,
        model: str,
        body: Mapping[str, Any],
    ) -> Answer:
        """One writing call. Transient has the code `unknown` if it may have been carried out."""
        try:
            return self._once(method, path, model, body)
        except Transient as error:
            if not _maybe_written(error):
                raise
            raise Transient(
                f"{error}; the write may stand: look before writing again",
                retry_after=error.retry_after,
                status=error.status,
                code=UNKNOWN,
            ) from error

    def _once(self, method: str, path: str, model: str, body: Mapping[str, Any]) -> Answer:
        self._gate("all")
        headers = {"Accept": "application/json", "Accept-Language": "en"}
        request = self._http.build_request(method, path, json=body, headers=headers)
        response = send(self._http, request)
        answer = _answer(response, model)
        if not response.is_success:
            error = error_for(answer)
            if isinstance(error, Transient) and error.status == 429:
                refused(self._gate, "all", error)
            raise error
        return answer


def _answer(response: httpx.Response, model: str) -> Answer:
    """The answer with its JSON; raises Transient for a broken 2xx."""
    value: Any = None
    try:
        value = response.json()
    except ValueError as error:
        if response.is_success and response.content:
            text = "Tryton's answer is no JSON"
            raise Transient(text, status=response.status_code, code="no_json") from error
    told: Mapping[str, Any] = cast(Row, value) if isinstance(value, dict) else {}
    words = "\n".join(str(told.get(name) or "") for name in ("message", "description"))
    return Answer(response.status_code, model, value, words, retry_after(response))


def _maybe_written(error: Transient) -> bool:
    """True unless the request never left us or Tryton turned it away.

    With a 500 Tryton took its transaction back; every create looks for our key first, so that
    one which a proxy made of a success does no harm either.
    """
    if error.status in (408, 429) or error.code in _NOT_WRITTEN:
        return False
    return not isinstance(error.__cause__, _NOT_SENT)
