"""The receiver and the shops at its door, together: what a storm does to them.

Prevents a kill that hits nobody: the receiver is killed only while it has deliveries in hand, and
what it had answered with 2xx is counted against the drop table in the end.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass

from crm_integration_tests.certificate.receiver_process import ReceiverProcess
from crm_integration_tests.certificate.stand import Stand, house
from crm_integration_tests.certificate.through_receiver import (
    ThroughReceiver,
    addresses,
    forgotten,
)

LONGEST_ABSENCE = 0.5
"""Seconds until a killed receiver is followed by another one."""


@dataclass
class Reception:
    """One receiver after the other at one address, and the shops that deliver to it."""

    stand: Stand
    receiver: ReceiverProcess
    shops: ThroughReceiver
    _again_at: float = 0.0
    _taken: int = 0
    """What had been taken when the one before was killed."""

    def kill_in_mid_load(self, rng: random.Random) -> bool:
        """Kill it if it has taken deliveries, and others are on their way to it."""
        if not self.shops.on_their_way or self.shops.taken == self._taken:
            return False
        self.receiver.kill()
        self._taken = self.shops.taken
        self._again_at = time.monotonic() + rng.uniform(0, LONGEST_ABSENCE)
        return True

    def keep_up(self) -> None:
        """Let another one follow a dead one."""
        if time.monotonic() >= self._again_at:
            self.receiver.keep_up()

    def told(self) -> dict[str, int]:
        """What the shops saw."""
        return {
            "webhook_acknowledged": len(self.shops.acknowledged),
            "webhook_sent_again": self.shops.sent_again,
        }

    def found(self) -> dict[str, int]:
        """What must be zero: acknowledged and not kept; good and turned away."""
        tenancy = house(self.stand.urls, self.stand.mappings).engines.tenancy
        lost: Counter[str] = forgotten(tenancy, self.shops.acknowledged)
        return {
            "acknowledged_lost": sum(lost.values()),
            "turned_away": self.shops.turned_away,
        }


@contextmanager
def reception(stand: Stand, broken: str = "") -> Generator[Reception]:
    """A receiver that takes deliveries, and shops that have not sent any."""
    tenancy = house(stand.urls, stand.mappings).engines.tenancy
    with ReceiverProcess(stand, broken) as receiver:
        receiver.begin()
        with ThroughReceiver(receiver.url, addresses(tenancy)) as shops:
            yield Reception(stand, receiver, shops)
