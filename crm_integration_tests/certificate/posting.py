"""Delivers what shops send as the internet does, and puts it into the drop table.

Prevents deliveries that arrive once and in order: they are shuffled within a round, some come
twice, some only with a later round.
"""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from sqlalchemy import Engine
from sqlalchemy.exc import OperationalError

from crm_integration.intake.drop_table import put
from crm_integration.storage.engine import engine_for
from crm_integration.storage.sealing import TenantKeys
from crm_integration_tests.certificate.stand import Stand, house

Sent = dict[str, Any]


class Carrier(Protocol):
    """The way from the shops to the drop table."""

    def carry(self, sent: Sequence[Sent]) -> None:
        """Take these on; none of them is lost on the way."""
        ...

    def arrived(self, patience: float) -> bool:
        """Wait until all have arrived, for so many seconds at most."""
        ...


@dataclass
class PostOffice:
    """Delivers as the internet does."""

    carrier: Carrier
    rng: random.Random
    duplicated: int = 0
    reordered: int = 0
    _late: list[Sent] = field(default_factory=list[Sent])

    def deliver(self, sent: Sequence[Sent]) -> None:
        """Shuffle, duplicate one in ten, keep one in ten for the next time."""
        now, later = list(self._late), list[Sent]()
        for one in sent:
            (later if self.rng.random() < 0.1 else now).append(one)
            if self.rng.random() < 0.1:
                now.append(one)
                self.duplicated += 1
        self.rng.shuffle(now)
        self.reordered += len(later)
        self._late = later
        self.carrier.carry(now)

    def flush(self) -> None:
        """Deliver what was kept."""
        late, self._late = self._late, []
        self.carrier.carry(late)

    def put(self, sent: Sequence[Sent]) -> None:
        """Deliver these at once, as they are."""
        self.carrier.carry(sent)


@dataclass
class IntoTheTable:
    """Puts deliveries into the drop table, as the receiver does after it has checked one."""

    stand: Stand
    _keys: dict[str, TenantKeys] = field(default_factory=dict[str, TenantKeys])

    def carry(self, sent: Sequence[Sent]) -> None:
        """Put these, again and again while the database is away."""
        left = list(sent)
        deadline = time.monotonic() + 60
        intake = engine_for(self.stand.urls.intake)
        while left:
            try:
                while left:
                    self._put(intake, left[-1])
                    left.pop()
            except OperationalError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)

    def arrived(self, patience: float) -> bool:
        """They have: `carry` returns after the last commit."""
        return True

    def _put(self, intake: Engine, one: Sent) -> None:
        tenant = one["tenant"]
        if tenant not in self._keys:
            with house(self.stand.urls, self.stand.mappings).engines.tenancy.scope(tenant) as scope:
                self._keys[tenant] = scope.keys
        with intake.begin() as connection:
            put(connection, self._keys[tenant], "main", one["headers"], one["body"].encode())
