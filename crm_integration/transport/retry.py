"""Trying again within a process: how often, how long, and how it is told.

Prevents a hiccup of a remote host from failing a whole run, a process that is kept waiting for as
long as some host likes, and a command's one JSON document from being mixed with a library's
warnings: stamina prints through structlog, wherever that writes, if it happens to be installed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import stamina
from stamina.instrumentation import LoggingOnRetryHook, set_on_retry_hooks

from crm_integration.errors import Transient
from crm_integration.transport.slots import given_back

LONGEST_WAIT = 20.0
"""Seconds a remote side may keep this process waiting; beyond it the caller comes back."""
LEAST_WAIT = 0.05
BUDGET, CLAIM_NEARLY_OVER = "budget", "claim_nearly_over"
"""Codes of our own gate's refusals: trying again here would only burn the claim."""

Answer = TypeVar("Answer")


def tell_by_logging() -> None:
    """Let stamina tell retries by the standard logging module."""
    set_on_retry_hooks([LoggingOnRetryHook])


def repeated(
    call: Callable[[], Answer],
    *,
    attempts: int = 4,
    timeout: float = 90.0,
    harmless: Callable[[Transient], bool] = lambda error: True,
) -> Answer:
    """What `call` answers, asked again after a Transient: with growing pauses, or as it asks.

    At most `attempts` times within `timeout` seconds. `harmless` says whether after this error
    nothing can happen twice (a write). Raises the last error: one that asks for more than
    LONGEST_WAIT, and what our own gate refuses, at once.
    """

    def again(error: Exception) -> bool | float:
        if not isinstance(error, Transient) or error.code in (BUDGET, CLAIM_NEARLY_OVER):
            return False
        return _pause(error) if harmless(error) else False

    caller = stamina.RetryingCaller(
        attempts=attempts, timeout=timeout, wait_initial=0.2, wait_max=5.0
    )
    with given_back():
        return caller(again, call)


def _pause(error: Transient) -> bool | float:
    """Seconds to wait, True for as long as usual, False for too long."""
    if error.retry_after is None:
        return True
    return max(error.retry_after, LEAST_WAIT) if error.retry_after <= LONGEST_WAIT else False
