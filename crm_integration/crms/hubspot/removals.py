"""Archives records and associations: calls whose answer names nobody.

Prevents one bad id from keeping its 99 neighbours: a refused batch is halved down to it. Removing
what is not there is no error in HubSpot, so that a lost answer costs nothing but a second call.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from crm_integration.crms.hubspot.client import Client
from crm_integration.errors import MissingScope, NeedsReconnect, RemoteError, Transient

_A_CALL: Final = 100
"""Documented limit of the archive batches."""


def removed(
    client: Client, path: str, inputs: Sequence[Mapping[str, Any]], *, budget: str
) -> list[RemoteError | None]:
    """None for each input that is gone now; errors one by one, never raised."""
    outcomes: list[RemoteError | None] = []
    for start in range(0, len(inputs), _A_CALL):
        outcomes += _removed(client, path, inputs[start : start + _A_CALL], budget)
    return outcomes


def _removed(
    client: Client, path: str, inputs: Sequence[Mapping[str, Any]], budget: str
) -> list[RemoteError | None]:
    try:
        client.write(path, {"inputs": list(inputs)}, budget=budget)
    except (Transient, NeedsReconnect, MissingScope) as error:
        return [error] * len(inputs)
    except RemoteError as error:
        if len(inputs) == 1:
            return [None if error.status == 404 else error]
        middle = len(inputs) // 2
        halves = (inputs[:middle], inputs[middle:])
        return [one for half in halves for one in _removed(client, path, half, budget)]
    return [None] * len(inputs)
