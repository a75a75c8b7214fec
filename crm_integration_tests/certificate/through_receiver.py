"""Shops that POST their deliveries to the receiver, and send again what got no 2xx.

Prevents a promise that nobody holds the receiver to: what was answered with 2xx is never sent
again, so it has to be in the drop table, whoever was killed in that very moment.
"""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256

import httpx
import orjson
from sqlalchemy import select

from crm_integration.intake.webhook_paths import add_secret, make_path
from crm_integration.storage.tables.intake import webhook_drop
from crm_integration.tenancy.scope import Tenancy, TenantScope
from crm_integration_tests.certificate.posting import Sent
from crm_integration_tests.certificate.world import SIGNING_SECRET, TENANTS

AT_ONCE = 6
"""Deliveries on their way to the receiver at once."""
_PAUSE = 0.15
"""Seconds until a shop sends again: hours of a real one."""
_ANSWER_WITHIN = 8.0
_COME_AGAIN = frozenset({408, 429, *range(500, 600)})
"""Answers that no shop takes for a refusal; any other one may end its deliveries for good."""

Digest = tuple[str, bytes]
"""Tenant, and a digest of what identifies a delivery: its own headers and its body."""


def addresses(tenancy: Tenancy) -> dict[str, str]:
    """A path for each tenant's shop, and the secret it signs with where its platform signs."""
    made: dict[str, str] = {}
    for tenant, platform in TENANTS:
        with tenancy.scope(tenant) as scope:
            if platform != "api2cart":  # signs nothing: its path is the secret
                add_secret(scope, "main", SIGNING_SECRET, actor="certificate")
            made[tenant] = make_path(scope, tenancy.master, "main", actor="certificate")
    return made


@dataclass
class ThroughReceiver:
    """A crowd of shops at the receiver's door; a context manager that ends its threads."""

    url: str
    paths: Mapping[str, str] = field(repr=False)
    acknowledged: set[Digest] = field(default_factory=set[Digest], repr=False)
    answers: Counter[str] = field(default_factory=Counter[str])
    """Answers by status, and `none` where the connection broke."""
    _waiting: deque[Sent] = field(default_factory=deque[Sent], repr=False)
    _open: int = 0
    """Deliveries without a 2xx so far."""
    _changed: threading.Condition = field(default_factory=threading.Condition, repr=False)
    _ended: threading.Event = field(default_factory=threading.Event, repr=False)
    _threads: list[threading.Thread] = field(default_factory=list[threading.Thread], repr=False)

    def carry(self, sent: Sequence[Sent]) -> None:
        """Let shops send these; returns before they have."""
        with self._changed:
            self._waiting.extend(sent)
            self._open += len(sent)
            self._changed.notify_all()

    def arrived(self, patience: float) -> bool:
        """Wait until each has its 2xx, for so many seconds at most."""
        with self._changed:
            return self._changed.wait_for(lambda: self._open == 0, patience)

    @property
    def on_their_way(self) -> int:
        """Deliveries without a 2xx so far."""
        return self._open

    @property
    def taken(self) -> int:
        """Answers with 2xx."""
        return sum(n for name, n in self.answers.copy().items() if name.startswith("2"))

    @property
    def turned_away(self) -> int:
        """Good deliveries that were answered as if they were none."""
        told = {name: number for name, number in self.answers.copy().items() if name.isdigit()}
        return sum(n for one, n in told.items() if int(one) // 100 == 4 and not _again(int(one)))

    @property
    def sent_again(self) -> int:
        """Deliveries that were sent once more, for want of a 2xx."""
        return sum(n for name, n in self.answers.copy().items() if not name.startswith("2"))

    def __enter__(self) -> ThroughReceiver:
        for number in range(AT_ONCE):
            thread = threading.Thread(target=self._send_all, name=f"shop-{number}", daemon=True)
            thread.start()
            self._threads.append(thread)
        return self

    def __exit__(self, *_: object) -> None:
        with self._changed:
            self._ended.set()
            self._changed.notify_all()
        for thread in self._threads:
            thread.join(_ANSWER_WITHIN + 2)

    def _send_all(self) -> None:
        with httpx.Client(base_url=self.url, timeout=_ANSWER_WITHIN, trust_env=False) as http:
            while (one := self._next()) is not None:
                self._send(http, one)

    def _next(self) -> Sent | None:
        with self._changed:
            self._changed.wait_for(lambda: bool(self._waiting) or self._ended.is_set())
            return None if self._ended.is_set() else self._waiting.popleft()

    def _send(self, http: httpx.Client, one: Sent) -> None:
        """Until it is taken. The shop never learns whether what broke had been kept."""
        body = one["body"].encode()
        while not self._ended.is_set():
            answer = _posted(http, self.paths[one["tenant"]], body, one["headers"])
            with self._changed:
                self.answers[answer] += 1
                if answer.startswith("2"):
                    self.acknowledged.add((one["tenant"], digest(one["headers"], body)))
                    self._open -= 1
                    self._changed.notify_all()
                    return
            time.sleep(_PAUSE)


def _posted(http: httpx.Client, path: str, body: bytes, headers: Mapping[str, str]) -> str:
    """The answer's status, `none` for none."""
    try:
        answer = http.post(
            path, content=body, headers={**headers, "content-type": "application/json"}
        )
    except httpx.TransportError:
        return "none"
    return str(answer.status_code)


def _again(status: int) -> bool:
    return status in _COME_AGAIN


def digest(headers: Mapping[str, str], body: bytes) -> bytes:
    """Of what the shop itself wrote: whatever HTTP adds is left out."""
    own = sorted((name, value) for name, value in headers.items() if name.startswith("x-"))
    return sha256(orjson.dumps(own) + body).digest()


def forgotten(tenancy: Tenancy, acknowledged: Iterable[Digest]) -> Counter[str]:
    """By tenant: deliveries that were answered with 2xx and are not in the drop table."""
    lost = Counter[str]()
    told = set(acknowledged)
    for tenant in sorted({one[0] for one in told}):
        with tenancy.scope(tenant) as scope:
            kept = {(tenant, one) for one in _kept(scope)}
        lost[tenant] = len({one for one in told if one[0] == tenant} - kept)
    return +lost


def _kept(scope: TenantScope) -> Iterable[bytes]:
    table = webhook_drop.c
    rows = scope.connection.execute(
        select(table.drop_id, table.headers, table.body).where(table.tenant_id == scope.tenant)
    )
    for row in rows:
        headers = scope.keys.open("webhook_drop", f"{row.drop_id}/headers", row.headers)
        body = scope.keys.open("webhook_drop", f"{row.drop_id}/body", row.body)
        yield digest(orjson.loads(headers), body)
