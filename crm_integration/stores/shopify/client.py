"""Authenticated GraphQL queries to one Shopify shop, and the download of its bulk files.

Prevents a hiccup from failing a whole listing (queries are tried again, bounded), a mutation from
being sent twice, and the access token from leaving for the host that keeps the bulk files.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import urlsplit

import httpx

from crm_integration.errors import BadInput, Permanent, Transient
from crm_integration.stores._client import StoreClient, secret
from crm_integration.stores._contract import JsonObject, StoreAccess
from crm_integration.stores._cutting import NotSplittable, whole
from crm_integration.stores.shopify.answers import THROTTLED, read
from crm_integration.stores.shopify.documents import API_VERSION, Document
from crm_integration.stores.shopify.throttle import Throttle
from crm_integration.transport.budget import refused
from crm_integration.transport.http import http_client, retry_after, send
from crm_integration.transport.retry import repeated
from crm_integration.transport.token_auth import TokenAuth

_ATTEMPTS = 5
PATH = f"admin/api/{API_VERSION}/graphql.json"
ENDPOINT_CLASS = "graphql"


@dataclass(frozen=True)
class Answer:
    """A usable answer: its own bytes and its `data`."""

    body: bytes
    data: JsonObject


class Client(StoreClient):
    """One shop."""

    def __init__(self, access: StoreAccess) -> None:
        """Raises BadInput for a missing token and for plain http off loopback."""
        token = secret(access, "access_token", fix="install the app in the shop")
        auth = TokenAuth(token, access.renew, header="X-Shopify-Access-Token", form="{}")
        super().__init__(access, auth=auth, headers={"Accept": "application/json"})
        self.served_version = API_VERSION
        self.throttle = Throttle()

    @property
    def version_drifted(self) -> bool:
        """True once the shop served another version than was asked for: ours is out of date."""
        return self.served_version != API_VERSION

    def query(
        self, document: Document, variables: Mapping[str, Any], *, repeatable: bool = True
    ) -> Answer:
        """A usable answer. Transient ones are tried up to five times, as long as the shop asks.

        What is not `repeatable` (a mutation) is sent again only after a refusal that proves that
        it was not carried out. Raises NeedsReconnect, MissingScope, Transient, Permanent.
        """
        return repeated(
            lambda: self._once(document, variables),
            attempts=_ATTEMPTS,
            timeout=120.0,
            harmless=lambda error: repeatable or error.code == THROTTLED or error.status == 429,
        )

    def _once(self, document: Document, variables: Mapping[str, Any]) -> Answer:
        self.throttle.wait(document.name, document.cost)
        self._gate(ENDPOINT_CLASS)
        asked = {"query": document.text, "variables": dict(variables)}
        response = send(self._http, self._http.build_request("POST", PATH, json=asked))
        self._note(document, response)
        try:
            answer = read(response)
        except Transient as error:
            if error.code == THROTTLED:
                error.retry_after = self.throttle.after_refusal(document.name, document.cost)
            elif error.status == 429:
                refused(self._gate, ENDPOINT_CLASS, error)
            raise
        return Answer(response.content, cast(JsonObject, answer["data"]))

    def _note(self, document: Document, response: httpx.Response) -> None:
        """The bucket and the version that answered; of a refusal, too."""
        self.served_version = response.headers.get("x-shopify-api-version", API_VERSION)
        try:
            self.throttle.learn(document.name, whole(response.content))
        except NotSplittable:
            return  # what answered was not the API; `read` says so


def lines(url: str) -> Iterator[bytes]:
    """The lines of a file at the address that the shop gave, as they arrive.

    The file lies with another host: no token is sent, no redirect followed, and the address must
    be https off loopback (Permanent otherwise). Lines end at `\\n` alone: U+2028 may stand raw
    in a text. Raises Transient for a download that fails or breaks off.
    """
    parts = urlsplit(url)
    try:
        http = http_client(f"{parts.scheme}://{parts.netloc}")
    except BadInput as error:
        raise Permanent(
            "the shop gave no https address for its bulk file: it is not opened", code="bulk_url"
        ) from error
    with http:
        try:
            with http.stream("GET", url) as response:
                if response.status_code != 200:
                    raise Transient(
                        f"{response.url.host} answered {response.status_code} for a bulk file",
                        retry_after=retry_after(response),
                        status=response.status_code,
                        code="bulk_file",
                    )
                yield from _split(response.iter_bytes())
        except httpx.HTTPError as error:
            raise Transient(
                f"the download of a bulk file broke off ({type(error).__name__})",
                code="bulk_file",
            ) from error


def _split(chunks: Iterator[bytes]) -> Iterator[bytes]:
    rest: list[bytes] = []
    for chunk in chunks:
        first, *others = chunk.split(b"\n")
        rest.append(first)
        for other in others:
            yield b"".join(rest)
            rest = [other]
    if any(rest):
        yield b"".join(rest)
