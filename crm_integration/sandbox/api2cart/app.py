"""API2Cart v1.1 over HTTP for one shop of the sandbox.

Prevents the failure where a connector meets API2Cart's habits at a merchant: poor default fields,
errors within a 200, cursors that stand alone, dates in three formats.
"""

from __future__ import annotations

import hmac
import time
from collections.abc import Callable

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from crm_integration.sandbox.api2cart.calls import HANDLERS, Call
from crm_integration.sandbox.api2cart.cursors import pagination, unfolded
from crm_integration.sandbox.api2cart.dates import ISO_WITH_OFFSET
from crm_integration.sandbox.api2cart.envelope import (
    NO_METHOD,
    STORE_DENIED,
    STORE_NOT_FOUND,
    THROTTLED,
    WRONG_KEY,
    Failure,
    answered,
    failed,
)
from crm_integration.sandbox.api2cart.methods import METHODS, Method
from crm_integration.sandbox.api2cart.parameters import read
from crm_integration.sandbox.api2cart.selection import Selection
from crm_integration.sandbox.api2cart.view import View
from crm_integration.sandbox.api2cart.webhooks import FailedDeliveries
from crm_integration.sandbox.shop_state import ShopState

_VERBS = ["GET", "POST", "PUT", "DELETE"]


class Throttle:
    """A bucket of calls, refilled at `rate` a second up to one second's worth; None: no limit."""

    def __init__(self, rate: float | None, clock: Callable[[], float]) -> None:
        self._rate, self._clock = rate, clock
        self._left = max(1.0, rate or 1.0)
        self._at = clock()

    def take(self) -> bool:
        """Whether one more call is let through; a refused one costs nothing."""
        if self._rate is None:
            return True
        now = self._clock()
        self._left = min(max(1.0, self._rate), self._left + (now - self._at) * self._rate)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True


class Api2CartApp:
    """Routes for one `ShopState`; `app` is the ASGI application.

    The API key is the shop's `consumer_key`, the store key its `consumer_secret`. `date_format`
    is a PHP date format. Beyond `calls_per_second` calls answer `throttle_code` (111, or 110 for
    the store's own limit). While `refusing` is a return code, every call with valid keys answers
    it: 5 and 6 for the key's state, 4, 100 and 101 for the store's, 110 for its limit.
    """

    def __init__(
        self,
        shop: ShopState,
        *,
        date_format: str = ISO_WITH_OFFSET,
        calls_per_second: float | None = None,
        throttle_code: int = THROTTLED,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.shop = shop
        self.refusing: int | None = None
        self.failed_deliveries = FailedDeliveries()
        self._view = View(shop, date_format)
        self._throttle, self._throttle_code = Throttle(calls_per_second, clock), throttle_code
        self._calls = 0
        self.app = Starlette(routes=[
            Route("/v1.1/{method}.json", self._call, methods=_VERBS),
            Route("/{rest:path}", self._nowhere, methods=_VERBS),
        ])  # fmt: skip

    async def _nowhere(self, request: Request) -> Response:
        return failed(Failure(NO_METHOD))

    async def _call(self, request: Request) -> Response:
        try:
            method = _method(request)
            self._let_in(request, method)
            return self._answer(method, dict(request.query_params))
        except Failure as failure:
            return failed(failure)

    def _let_in(self, request: Request, method: Method) -> None:
        settings = self.shop.settings
        if not _same(request.headers.get("x-api-key"), settings.consumer_key):
            raise Failure(WRONG_KEY)
        if method.store:
            key = request.headers.get("x-store-key")
            if not key:
                raise Failure(STORE_DENIED)
            if not _same(key, settings.consumer_secret):
                raise Failure(STORE_NOT_FOUND)
        if self.refusing is not None:
            raise Failure(self.refusing)
        if not self._throttle.take():
            raise Failure(self._throttle_code)
        self._calls += 1

    def _answer(self, method: Method, query: dict[str, str]) -> Response:
        whole = unfolded(method, query)
        given = read(method, whole, self.shop.settings.utc_offset_minutes)
        selection = Selection.of(method, given)
        call = Call(self._view, given, selection, self.failed_deliveries, self._calls)
        outcome = HANDLERS[method.name](call)
        block = None
        if outcome.stretch and method.paged_by_cursor and selection.shows("pagination"):
            block = pagination(method, whole, outcome.stretch)
        return answered(outcome.result, block)


def _method(request: Request) -> Method:
    method = METHODS.get(request.path_params["method"])
    if method is None or method.verb != request.method:
        raise Failure(NO_METHOD)
    return method


def _same(given: str | None, held: str) -> bool:
    return given is not None and hmac.compare_digest(given.encode(), held.encode())
