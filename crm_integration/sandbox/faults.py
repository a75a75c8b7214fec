"""Planned misfortune for any app of the sandbox, as ASGI middleware.

Prevents the failure where a connector was never seen losing an answer: a plan makes the n-th
matching call fail, wait, break off, or be carried out and its answer dropped.
"""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import Callable, MutableMapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, cast

import orjson
from starlette.types import ASGIApp, Message, Receive, Scope, Send

FaultAction = Literal[
    "status", "delay", "cut", "commit_then_drop", "partial", "conflict", "revoke",
    "scope_missing", "hang", "drip",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class FaultRule:
    """One planned fault.

    `method` and `path` (a regular expression, searched in path and query) choose calls; of these
    the `first`-th (from 1) and the next `count` - 1 are hit (`count` 0: all from there on).

    Actions: `status` answers `status` with `body` and Retry-After; `delay` waits `seconds`, then
    goes on; `cut` breaks the connection before the app sees the call; `commit_then_drop` after
    the app has carried it out; `partial` takes the batch inputs that hold one of `records` (an
    id or a property's value), or each `every`-th, out and reports them as errors in a 207;
    `conflict` answers a whole batch with 409; `revoke` and `scope_missing` answer 401 and 403 as
    a CRM does; `hang` lets the app carry the call out and answers nothing for `seconds`; `drip`
    sends the app's answer in small pieces that take `seconds` together. A rule with `least` hits
    only batches of so many inputs. `name` is what a rule is counted by.
    """

    action: FaultAction
    method: str = ""
    path: str = ""
    first: int = 1
    count: int = 1
    status: int = 503
    body: Any = None
    retry_after: float | None = None
    seconds: float = 0.0
    records: tuple[str, ...] = ()
    category: str = "VALIDATION_ERROR"
    message: str = "This record was refused by a planned fault"
    every: int = 0
    least: int = 0
    name: str = ""


@dataclass(frozen=True, slots=True)
class FaultPlan:
    """The rules for one app; the first that matches and is due acts."""

    rules: tuple[FaultRule, ...] = field(default=())

    def json(self) -> list[dict[str, Any]]:
        return [asdict(rule) for rule in self.rules]

    @classmethod
    def from_json(cls, rules: list[dict[str, Any]]) -> FaultPlan:
        return cls(tuple(_rule(given) for given in rules))


def _rule(given: dict[str, Any]) -> FaultRule:
    """A rule as JSON brings it: its records are a list there."""
    fields: dict[str, Any] = {**given, "records": tuple(given["records"])}
    return FaultRule(**fields)


class FaultyApp:
    """An ASGI app that does what its plan says to the app behind it."""

    def __init__(self, app: ASGIApp, plan: FaultPlan | None = None) -> None:
        self._app = app
        self._seen: dict[int, int] = {}
        self._plan = plan or FaultPlan()
        self.acted: Counter[str] = Counter()
        """Rules that have hit a call at all, by their `name`."""

    def follow(self, plan: FaultPlan) -> None:
        """Follow another plan from now on; its counts start at none."""
        self._plan, self._seen = plan, {}

    def expect(self, rules: Sequence[FaultRule]) -> None:
        """Let these rules come on top of the plan; what is spent is forgotten."""
        self._keep(lambda rule, seen: not rule.count or seen < rule.first + rule.count - 1)
        self._plan = FaultPlan((*self._plan.rules, *rules))

    def forget(self, name: str) -> None:
        """End the rules of this name; the others stay as they are."""
        self._keep(lambda rule, seen: rule.name != name)

    def _keep(self, stays: Callable[[FaultRule, int], bool]) -> None:
        counted = [(rule, self._seen.get(n, 0)) for n, rule in enumerate(self._plan.rules)]
        left = [(rule, seen) for rule, seen in counted if stays(rule, seen)]
        self._plan = FaultPlan(tuple(rule for rule, _ in left))
        self._seen = {position: seen for position, (_, seen) in enumerate(left)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        receive, inputs = await self._counted(scope, receive)
        await self._act(self._due(scope, inputs), scope, receive, send)

    async def _counted(self, scope: Scope, receive: Receive) -> tuple[Receive, int]:
        """How many inputs a batch has, where a rule asks for that; the body can be read again."""
        if scope["method"] != "POST" or not any(rule.least for rule in self._plan.rules):
            return receive, 0
        body = await _read(receive)

        async def again() -> Message:
            return {"type": "http.request", "body": body, "more_body": False}

        try:
            told: Any = orjson.loads(body)
        except orjson.JSONDecodeError:
            return again, 0
        inputs: Any = cast(dict[str, Any], told).get("inputs") if isinstance(told, dict) else None
        return again, len(cast(list[Any], inputs)) if isinstance(inputs, list) else 0

    async def _act(
        self, rule: FaultRule | None, scope: Scope, receive: Receive, send: Send
    ) -> None:
        if rule is None:
            await self._app(scope, receive, send)
        elif rule.action == "hang":
            await self._app(scope, receive, _swallow)
            await asyncio.sleep(rule.seconds)
            await _cut(send)
        elif rule.action == "drip":
            await self._app(scope, receive, _dripping(send, rule.seconds))
        elif rule.action == "delay":
            await asyncio.sleep(rule.seconds)
            await self._app(scope, receive, send)
        elif rule.action == "cut":
            await _cut(send)
        elif rule.action == "commit_then_drop":
            await self._app(scope, receive, _swallow)
            await _cut(send)
        elif rule.action == "partial":
            await self._partial(rule, scope, receive, send)
        else:
            await _answer(send, *_planned(rule))

    def _due(self, scope: Scope, inputs: int) -> FaultRule | None:
        target = f"{scope['path']}?{scope['query_string'].decode('latin-1')}"
        for position, rule in enumerate(self._plan.rules):
            if rule.method and rule.method != scope["method"]:
                continue
            if inputs < rule.least or not re.search(rule.path, target):
                continue
            seen = self._seen[position] = self._seen.get(position, 0) + 1
            if seen >= rule.first and (not rule.count or seen < rule.first + rule.count):
                if seen == rule.first:
                    self.acted[rule.name or rule.action] += 1
                return rule
        return None

    async def _partial(self, rule: FaultRule, scope: Scope, receive: Receive, send: Send) -> None:
        body = orjson.loads(await _read(receive))
        refused = [
            one
            for number, one in enumerate(body.get("inputs", []), start=1)
            if _names(one, rule.records) or (rule.every and number % rule.every == 0)
        ]
        left = [one for one in body.get("inputs", []) if one not in refused]
        answered: dict[str, Any] = {"status": "COMPLETE", "results": []}
        if left:
            status, passed = await self._pass_on(scope, orjson.dumps({**body, "inputs": left}))
            answered = orjson.loads(passed)
            if not refused or status >= 400:
                await _answer(send, status, answered, {})
                return
        errors = [*answered.get("errors", []), *(_error(rule, one) for one in refused)]
        await _answer(send, 207, {**answered, "errors": errors, "numErrors": len(errors)}, {})

    async def _pass_on(self, scope: Scope, body: bytes) -> tuple[int, bytes]:
        """Send another body to the app behind; gives its status and answer."""
        status, parts = 0, list[bytes]()

        async def receive() -> Message:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            else:
                parts.append(message.get("body", b""))

        kept = [pair for pair in scope["headers"] if pair[0] != b"content-length"]
        headers = [*kept, (b"content-length", str(len(body)).encode())]
        await self._app({**scope, "headers": headers}, receive, send)
        return status, b"".join(parts)


def _planned(rule: FaultRule) -> tuple[int, Any, dict[str, str]]:
    headers = {} if rule.retry_after is None else {"Retry-After": f"{rule.retry_after:g}"}
    if rule.action == "status":
        body = rule.body or {"status": "error", "message": "planned", "correlationId": "planned"}
        return rule.status, body, headers
    status, category = {
        "conflict": (409, "CONFLICT"),
        "revoke": (401, "INVALID_AUTHENTICATION"),
        "scope_missing": (403, "MISSING_SCOPES"),
    }[rule.action]
    body = {"status": "error", "message": rule.message, "correlationId": "planned"}
    return status, rule.body or {**body, "category": category}, headers


def _names(one: dict[str, Any], records: tuple[str, ...]) -> bool:
    values = [one.get("id"), *cast(dict[str, Any], one.get("properties") or {}).values()]
    return any(str(value) in records for value in values if value is not None)


def _error(rule: FaultRule, one: dict[str, Any]) -> dict[str, Any]:
    """HubSpot names the record by its trace id where one was sent, else by its id."""
    trace = one.get("objectWriteTraceId")
    context = {"objectWriteTraceId": [trace]} if trace else {"ids": [str(one.get("id", ""))]}
    return {
        "status": "error", "category": rule.category, "message": rule.message, "context": context,
    }  # fmt: skip


async def _read(receive: Receive) -> bytes:
    parts: list[bytes] = []
    more = True
    while more:
        message = await receive()
        parts.append(message.get("body", b""))
        more = message.get("more_body", False)
    return b"".join(parts)


async def _answer(send: Send, status: int, body: Any, headers: dict[str, str]) -> None:
    content = body.encode() if isinstance(body, str) else orjson.dumps(body)
    raw = [
        (b"content-type", b"application/json;charset=utf-8"),
        (b"content-length", str(len(content)).encode()),
        *((name.lower().encode(), value.encode()) for name, value in headers.items()),
    ]
    await send({"type": "http.response.start", "status": status, "headers": raw})
    await send({"type": "http.response.body", "body": content})


def _dripping(send: Send, seconds: float) -> Send:
    """Sends bodies in twenty pieces."""

    async def dripped(message: Message) -> None:
        body = message.get("body", b"")
        if message["type"] != "http.response.body" or not body:
            await send(message)
            return
        size = max(1, len(body) // 20)
        pieces = [body[at : at + size] for at in range(0, len(body), size)]
        for number, piece in enumerate(pieces, start=1):
            more = number < len(pieces) or message.get("more_body", False)
            await send({**message, "body": piece, "more_body": more})
            await asyncio.sleep(seconds / 20)

    return dripped


async def _swallow(message: MutableMapping[str, Any]) -> None:
    """Where an answer goes that nobody gets."""


async def _cut(send: Send) -> None:
    """Break the connection without a byte of an answer.

    uvicorn's send is a method of the object that owns the transport; without one (in-process)
    the caller sees the error itself.
    """
    transport: Any = getattr(getattr(send, "__self__", None), "transport", None)
    if transport is None:
        raise ConnectionResetError("the planned fault cut the connection")
    transport.abort()
    for _ in range(3):  # lets the server notice the loss, so that it does not try to answer
        await asyncio.sleep(0)
