"""Puts what shops send into the drop table, as the receiver does after it has checked a delivery.

Prevents deliveries that arrive once and in order: they are shuffled within a round, some come
twice, some only with a later round.
"""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Engine
from sqlalchemy.exc import OperationalError

from crm_integration.intake.drop_table import put
from crm_integration.storage.engine import engine_for
from crm_integration.storage.sealing import TenantKeys
from crm_integration_tests.certificate.stand import Stand, house

Sent = dict[str, Any]


def post(stand: Stand, sent: Sequence[Sent]) -> None:
    """Put all, in this order. While the database restarts a shop's delivery waits."""
    office = PostOffice(stand, random.Random(0))
    office.put(sent)


@dataclass
class PostOffice:
    """Delivers as the internet does."""

    stand: Stand
    rng: random.Random
    duplicated: int = 0
    reordered: int = 0
    _late: list[Sent] = field(default_factory=list[Sent])
    _keys: dict[str, TenantKeys] = field(default_factory=dict[str, TenantKeys])

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
        self.put(now)

    def flush(self) -> None:
        """Deliver what was kept."""
        late, self._late = self._late, []
        self.put(late)

    def put(self, sent: Sequence[Sent]) -> None:
        """Put these, again and again while the database is away: nothing is lost on the way."""
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

    def _put(self, intake: Engine, one: Sent) -> None:
        tenant = one["tenant"]
        if tenant not in self._keys:
            with house(self.stand.urls, self.stand.mappings).engines.tenancy.scope(tenant) as scope:
                self._keys[tenant] = scope.keys
        with intake.begin() as connection:
            put(connection, self._keys[tenant], "main", one["headers"], one["body"].encode())
