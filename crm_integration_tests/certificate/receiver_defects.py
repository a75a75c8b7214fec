"""Deliberate defects of the receiver: each replaces one part of it in the process that calls it.

Prevents a receiver whose promise nobody could see broken: polling heals what a delivery brought,
so that these show in no CRM, and only in what was acknowledged and is not there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from uuid import UUID, uuid5

from crm_integration.intake import delivery_check
from crm_integration.intake.away import Away
from crm_integration.intake.drop_table import Arrived
from crm_integration.intake.group_commit import GroupCommit, NotKept
from crm_integration.intake.rate_limit import NoRoom
from crm_integration.intake.receiver_answers import REFUSALS
from crm_integration.storage.sealing import TenantKeys
from crm_integration.stores._contract import Delivery

_NAMES = UUID(int=0)
_tasks: set[asyncio.Task[None]] = set()


def answered_before_commit() -> None:
    """A delivery is answered as soon as it is in memory; its commit comes when it comes."""
    known = GroupCommit.commit

    async def kept(self: GroupCommit, arrived: Arrived) -> None:
        with suppress(Away, NoRoom, NotKept):
            await known(self, arrived)

    async def commit(self: GroupCommit, arrived: Arrived) -> None:
        task = asyncio.get_running_loop().create_task(kept(self, arrived))
        _tasks.add(task)
        task.add_done_callback(_tasks.discard)

    GroupCommit.commit = commit


def unknown_while_away() -> None:
    """While the database is away a shop is told that there is no such address; many then stop."""
    REFUSALS["Away"] = REFUSALS["unknown"]


def delivery_id_is_identity() -> None:
    """Two deliveries with one delivery id count as one, whatever they are about."""
    known = delivery_check.drop_id_of

    def drop_id_of(
        keys: TenantKeys, connection_id: str, delivery: Delivery | None,
        headers: Mapping[str, str], body: bytes,
    ) -> UUID:  # fmt: skip
        if delivery is None or not delivery.delivery_id:
            return known(keys, connection_id, delivery, headers, body)
        return uuid5(_NAMES, f"{keys.tenant}/{connection_id}/{delivery.delivery_id}")

    delivery_check.drop_id_of = drop_id_of


ALL: tuple[Callable[[], None], ...] = (
    answered_before_commit, unknown_while_away, delivery_id_is_identity,
)  # fmt: skip
