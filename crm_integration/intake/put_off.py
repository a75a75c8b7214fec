"""Puts deliveries off, each in one row of the queue.

Prevents the repeat that stops its shop: what a store sent again before it was read stands in the
queue twice, and two rows of one delivery cannot be put off to the same moment.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, delete, exists, update

from crm_integration.storage.tables.intake import webhook_queue


def put_off(
    connection: Connection, deliveries: Collection[UUID], values: Mapping[str, Any]
) -> list[int]:
    """Change the rows of these deliveries, `ready_at` among others; returns their `tries`.

    The earliest row of each stays alone. One that comes in between is left as it is, for the next
    who reads.
    """
    queue, other = webhook_queue.c, webhook_queue.alias()
    chosen = queue.drop_id.in_(list(deliveries))
    repeated = exists().where(
        other.c.lane == queue.lane,
        other.c.drop_id == queue.drop_id,
        other.c.ready_at < queue.ready_at,
    )
    connection.execute(delete(webhook_queue).where(chosen, repeated))
    changed = update(webhook_queue).where(chosen, ~repeated).values(values).returning(queue.tries)
    return list(connection.execute(changed).scalars())
