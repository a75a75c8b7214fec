"""When two deliveries are one.

Prevents both errors: a delivery id alone is not unique (13 of 33 recorded WooCommerce deliveries
share 6 ids, with different objects), and a store that sends again after a lost answer would fill
the drop table. Two are one only if connection, topic, object, delivery id and the digest of the
raw bytes agree; whatever cannot be told is kept, and becomes a no-op when it is read. Of two that
name no object, and agree in all else, the second says nothing that the first did not.

The id of a kept delivery is made of these five, so that the database itself knows a repeat, from
whichever process, and after a restart.
"""

from __future__ import annotations

import struct
from collections import OrderedDict
from collections.abc import Mapping
from hashlib import sha256
from uuid import UUID, uuid4

from crm_integration.storage.sealing import TenantKeys
from crm_integration.stores._contract import Delivery

MOST_REMEMBERED = 50_000
_PURPOSE = "webhook delivery"


def drop_id_of(
    keys: TenantKeys,
    connection_id: str,
    delivery: Delivery | None,
    headers: Mapping[str, str],
    body: bytes,
    *,
    ping: bool = False,
) -> UUID:
    """The same for two deliveries that are one; one of its own for any that is in doubt.

    A `ping` has no delivery id, where it is one that the platform sends unsigned.
    """
    if delivery is None or not (delivery.delivery_id or ping):
        return uuid4()
    parts = (
        connection_id,
        delivery.topic,
        delivery.source_id or "",
        delivery.delivery_id or "",
        headers.get("content-encoding", ""),
    )
    texts = [part.encode("utf-8", "surrogatepass") for part in parts]
    told = b"".join(struct.pack(">I", len(one)) + one for one in (*texts, sha256(body).digest()))
    return UUID(bytes=keys.digest(_PURPOSE, told)[:16])


class RecentlyKept:
    """Deliveries that this process has committed: a repeat costs no insert."""

    def __init__(self, most: int = MOST_REMEMBERED) -> None:
        self._most = most
        self._kept: OrderedDict[tuple[str, UUID], None] = OrderedDict()

    def add(self, tenant: str, drop_id: UUID) -> None:
        """Only after the commit."""
        self._kept[tenant, drop_id] = None
        while len(self._kept) > self._most:
            self._kept.popitem(last=False)

    def __contains__(self, one: tuple[str, UUID]) -> bool:
        return one in self._kept
