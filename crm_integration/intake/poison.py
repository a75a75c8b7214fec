"""Deliveries that break whoever reads them are put aside after a few tries.

Prevents the one delivery that keeps all later ones of its tenant waiting for ever: it stays in the
drop table as it came, polling reads the object it was about, and the queue shows how often it was
tried.
"""

from __future__ import annotations

import logging
from datetime import timedelta
from uuid import UUID

from sqlalchemy import Connection, cast, func, literal

from crm_integration.intake.put_off import put_off
from crm_integration.storage.tables.intake import webhook_queue

TRIES = 5
"""After so many broken passes a delivery is left alone."""

WAITS = timedelta(seconds=30)
"""From the first try to the second; each further wait is longer by as much."""

_log = logging.getLogger(__name__)


def count_try(connection: Connection, tenant: str, drop_id: UUID, error: Exception) -> None:
    """This delivery, read alone, broke its reader: try it later, and at last never again.

    What the error says is not told: it may quote the delivery.
    """
    queue = webhook_queue.c
    never = cast(literal("infinity"), queue.ready_at.type)
    later = func.now() + WAITS * (queue.tries + 1)
    tries = put_off(connection, [drop_id], {"tries": queue.tries + 1, "ready_at": later})
    _log.error("%s: delivery %s broke its reader: %s", tenant, drop_id, type(error).__name__)
    if tries and tries[0] >= TRIES:
        put_off(connection, [drop_id], {"ready_at": never})
        _log.error("%s: delivery %s is put aside after %s tries", tenant, drop_id, tries[0])
