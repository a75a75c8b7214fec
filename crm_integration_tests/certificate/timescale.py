"""The engine's own waits, about sixty times shorter, in the processes of a certificate.

Prevents a certificate that takes a day: a frozen process is only interesting after its claim has
passed, a retry only after its pause. The order of the lengths stays as it is: a call ends within
half a claim, pauses grow, and what a run waits for is shorter than what a later run takes up.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import httpx

from crm_integration.credentials import standing
from crm_integration.crms.hubspot import client as hubspot_client
from crm_integration.intake import poison
from crm_integration.stores.shopify import throttle
from crm_integration.sync import (
    crm_session,
    dispatch,
    ledger,
    live_pass,
    live_run,
    orphaned_claims,
    outcomes,
    retry_policy,
    setbacks,
    waiting,
)
from crm_integration.tenancy import lately
from crm_integration.transport import http, retry

CLAIM = 3.6
CALL, SILENCE, CONNECT = 0.8, 0.8, 0.3
"""A call lasts at most all three together."""


def hurry(*, next_day: bool = False) -> dict[tuple[Any, str], Any]:
    """Shorten the waits of this process; with `next_day` also those that last until tomorrow.

    Returns what was there before, by module and name. Raises AttributeError for a constant that
    is gone.
    """
    reads = hubspot_client._READS.__class__(
        attempts=3, timeout=1.2, wait_initial=0.02, wait_max=0.1
    )
    wanted: dict[tuple[Any, str], Any] = {
        (ledger, "CLAIM_SECONDS"): CLAIM,
        (dispatch, "CLAIM_SECONDS"): CLAIM,
        (dispatch, "SEND_WITHIN"): CLAIM - CALL - SILENCE - CONNECT,
        (http, "TIMEOUT"): httpx.Timeout(SILENCE, connect=CONNECT),
        (http, "LONGEST_CALL"): CALL,
        (retry_policy, "FIRST_SECONDS"): 0.05,
        (retry_policy, "LONGEST_SECONDS"): 2.0,
        (crm_session, "PAUSE"): 0.05,
        (crm_session, "LONGEST_PAUSE"): 0.3,
        (outcomes, "ACCOUNT_PAUSE"): 0.5,
        (live_run, "LOOK_EVERY"): 0.2,
        (live_run, "RETRIES_EVERY"): 0.5,
        (live_run, "LONGEST_PAUSE"): 2.0,
        (live_pass, "LONGEST_SILENCE"): 0.5,
        (setbacks, "FIRST"): 0.05,
        (lately, "SECONDS"): 0.5,
        (standing, "FIRST_REST"): 0.1,
        (standing, "LONGEST_REST"): 2.0,
        (orphaned_claims, "GRACE"): 0.2,
        (live_run, "GRACE"): 0.2,
        (poison, "WAITS"): timedelta(seconds=1),
        (throttle, "_UNTOLD_WAIT"): 0.05,
        (retry, "LONGEST_WAIT"): 0.5,
        (hubspot_client, "_READS"): reads,
    }
    if next_day:
        wanted[waiting, "LOOK_AGAIN"] = timedelta(seconds=1)
    before = {(module, name): getattr(module, name) for module, name in wanted}
    _set(wanted)
    return before


@contextmanager
def hurried() -> Generator[None]:
    """Shorter waits for a while: the process that directs a run has other things to do after it."""
    before = hurry()
    try:
        yield
    finally:
        _set(before)


def _set(values: Mapping[tuple[Any, str], Any]) -> None:
    for (module, name), value in values.items():
        setattr(module, name, value)
