"""How retries within a process are told: as log records, never on stdout.

Prevents a command's one JSON document from being mixed with a library's warnings: stamina prints
through structlog, wherever that writes, if it happens to be installed.
"""

from __future__ import annotations

from stamina.instrumentation import LoggingOnRetryHook, set_on_retry_hooks


def tell_by_logging() -> None:
    """Let stamina tell retries by the standard logging module."""
    set_on_retry_hooks([LoggingOnRetryHook])
