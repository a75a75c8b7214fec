"""The engine's own waits, about sixty times shorter, in the processes of a certificate.

Prevents a certificate that takes a day: a frozen process is only interesting after its claim has
passed, a retry only after its pause. The order of the lengths stays as it is: a call ends within
half a claim, pauses grow, and what a run waits for is shorter than what a later run takes up.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import httpx

from crm_integration.crms.hubspot import client as hubspot_client
from crm_integration.stores.shopify import throttle
from crm_integration.sync import crm_run, dispatch, ledger, outcomes, retry_policy, waiting
from crm_integration.transport import http, retry

CLAIM = 3.6
CALL, SILENCE, CONNECT = 0.8, 0.8, 0.3
"""A call lasts at most all three together."""


def hurry(*, next_day: bool = False) -> None:
    """Shorten the waits of this process; with `next_day` also those that last until tomorrow.

    Raises AttributeError for a constant that is gone.
    """
    _set(ledger, CLAIM_SECONDS=CLAIM)
    _set(dispatch, CLAIM_SECONDS=CLAIM, SEND_WITHIN=CLAIM - CALL - SILENCE - CONNECT)
    _set(http, TIMEOUT=httpx.Timeout(SILENCE, connect=CONNECT))
    _set(http, LONGEST_CALL=CALL)
    _set(retry_policy, FIRST_SECONDS=0.05, LONGEST_SECONDS=2.0)
    _set(crm_run, PAUSE=0.05, LONGEST_PAUSE=0.3)
    _set(outcomes, ACCOUNT_PAUSE=0.5)
    if next_day:
        _set(waiting, LOOK_AGAIN=timedelta(seconds=1))
    _set(throttle, _UNTOLD_WAIT=0.05)
    _set(retry, LONGEST_WAIT=0.5)
    hubspot_client._READS = hubspot_client._READS.__class__(  # type: ignore[misc]
        attempts=3, timeout=1.2, wait_initial=0.02, wait_max=0.1
    )


def _set(module: Any, **values: Any) -> None:
    for name, value in values.items():
        getattr(module, name)
        setattr(module, name, value)
