"""The webhook receiver: the one part of the house that faces the internet.

Prevents a delivery from being believed, lost or answered too early: its path names a connection,
its raw bytes must be signed with that connection's secret, and 2xx is said only after they are
committed, sealed, as they came. Whatever is refused is refused as early and as cheaply as it can
be told, with the status after which a store does the right thing (give up, or send again).
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass

from starlette.types import Receive, Scope, Send

from crm_integration.intake.away import Away
from crm_integration.intake.content_coding import (
    BrokenCoding,
    TooLargeOpened,
    UnknownCoding,
    opened,
)
from crm_integration.intake.delivery_body import (
    BODY_SECONDS,
    LARGEST_BODY,
    BadLength,
    BodyTooLarge,
    BodyTooSlow,
    Hung,
    read_body,
)
from crm_integration.intake.delivery_check import (
    Forged,
    came_unsigned,
    can_be_checked,
    identity,
    trail,
    without_secrets,
)
from crm_integration.intake.drop_identity import RecentlyKept
from crm_integration.intake.drop_table import Arrived
from crm_integration.intake.group_commit import GroupCommit, NotKept
from crm_integration.intake.path_lookup import Addressee, PathLookup
from crm_integration.intake.rate_limit import NoRoom, RateLimit, Room
from crm_integration.intake.receiver_answers import (
    ACCEPTED,
    REFUSALS,
    Answer,
    read_headers,
    send_answer,
)
from crm_integration.intake.receiver_metrics import ReceiverMetrics

PER_SECOND = 100.0
"""Deliveries a second and connection, over time; ten seconds' worth at once."""

UNSIGNED_PER_SECOND = 0.5
"""The same for what is taken without a signature: a store pings once for each of its webhooks."""

BODY_ROOM = 256 * 1024 * 1024
"""Bytes of bodies that are being read or wait for their commit."""

_REFUSED = (
    BodyTooLarge, TooLargeOpened, BodyTooSlow, BadLength, UnknownCoding, BrokenCoding, NoRoom,
    Away, NotKept, Forged,
)  # fmt: skip

_log = logging.getLogger(__name__)


class _Refused(Exception):
    """A delivery that is not taken, by its name in `REFUSALS`."""

    def __init__(self, outcome: str, wait: float = 0.0) -> None:
        super().__init__(outcome)
        self.outcome, self.wait = outcome, wait


@dataclass(frozen=True)
class Receiver:
    """Takes deliveries; an ASGI endpoint for `POST /webhooks/{token}`."""

    paths: PathLookup
    commit: GroupCommit
    rate: RateLimit
    unsigned_rate: RateLimit
    bodies: Room
    kept: RecentlyKept
    metrics: ReceiverMetrics
    body_seconds: float = BODY_SECONDS

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request: the boundary at which anything unforeseen becomes a 500."""
        began = time.monotonic()
        headers = read_headers(scope)
        answer, platform = REFUSALS["fault"], ""
        try:
            token = _token(scope)
            addressee = await self._addressee(token)
            platform = addressee.store.manifest.platform
            answer = await self._taken(token, addressee, headers, receive)
        except Hung:
            self.metrics.answered("hung", platform, 0)
            return
        except _Refused as refused:
            answer = REFUSALS[refused.outcome].after(refused.wait)
        except _REFUSED as refused:
            answer = REFUSALS[type(refused).__name__]
        except Exception as error:  # noqa: BLE001 - the request boundary
            _log.error("a delivery failed: %s", trail(error))
        self.metrics.answered(answer.outcome, platform, time.monotonic() - began)
        await send_answer(send, answer, headers)

    async def _addressee(self, token: str) -> Addressee:
        found = await self.paths.find(token)
        if found is None:
            raise _Refused("unknown")
        if not can_be_checked(found):
            found = await self.paths.look_again(token)
        if found is None or not can_be_checked(found):
            raise _Refused("no_secret")
        return found

    async def _taken(
        self, token: str, addressee: Addressee, headers: Mapping[str, str], receive: Receive
    ) -> Answer:
        """Read, check, keep. A flood waits outside; only what was signed counts towards it."""
        self._pass(self.rate, addressee)
        with self.bodies.held(addressee.name) as take:
            body = await read_body(receive, headers, take=take, seconds=self.body_seconds)
            plain = await _plain(headers, body)
            unsigned = await self._checked(token, addressee, headers, body, plain)
            rate = self.unsigned_rate if unsigned else self.rate
            self._pass(rate, addressee)
            rate.take(addressee.name)
            drop_id = identity(addressee, headers, body, plain, unsigned=unsigned)
            if (addressee.tenant, drop_id) in self.kept:
                return ACCEPTED["duplicate"]
            kept = without_secrets(addressee, headers)
            await self.commit.commit(
                Arrived(drop_id, addressee.keys, addressee.connection_id, kept, body)
            )
            self.kept.add(addressee.tenant, drop_id)
        return ACCEPTED["unsigned" if unsigned else "kept"]

    def _pass(self, rate: RateLimit, addressee: Addressee) -> None:
        wait = rate.seconds_to_wait(addressee.name)
        if wait:
            raise _Refused("rate", wait)

    async def _checked(
        self,
        token: str,
        addressee: Addressee,
        headers: Mapping[str, str],
        body: bytes,
        plain: bytes,
    ) -> bool:
        """As `came_unsigned`; a secret may have been added since this path was looked up."""
        try:
            return came_unsigned(addressee, headers, body, plain)
        except Forged:
            fresh = await self.paths.look_again(token)
            if fresh is None or fresh is addressee:
                raise
            return came_unsigned(fresh, headers, body, plain)


def _token(scope: Scope) -> str:
    if scope["method"] != "POST":
        raise _Refused("method")
    token: str = scope["path_params"]["token"]
    return token


async def _plain(headers: Mapping[str, str], body: bytes) -> bytes:
    """The body without its coding; opened beside the loop, for it may take a while."""
    if headers.get("content-encoding", ""):
        return await asyncio.to_thread(opened, headers, body, limit=LARGEST_BODY)
    return body
