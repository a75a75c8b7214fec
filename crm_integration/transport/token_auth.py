"""A token in a request's header, which may run out while a batch is under way.

Prevents the half-written batch: a 401 says that nothing was carried out, so the same request goes
once more with a renewed token; a second 401 is the account's word.
"""

from __future__ import annotations

from collections.abc import Callable, Generator

import httpx

Renew = Callable[[str], str]
"""The refused token -> one that works. Raises NeedsReconnect or Transient."""


class TokenAuth(httpx.Auth):
    """`header: form` with the token in the form's place."""

    def __init__(
        self,
        token: str,
        renew: Renew | None = None,
        *,
        header: str = "Authorization",
        form: str = "Bearer {}",
    ) -> None:
        self._token, self._renew = token, renew
        self._header, self._form = header, form

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """One request; after a 401 once more, if somebody can renew the token."""
        request.headers[self._header] = self._form.format(self._token)
        answer = yield request
        if answer.status_code != 401 or self._renew is None:
            return
        self._token = self._renew(self._token)
        request.headers[self._header] = self._form.format(self._token)
        yield request
