"""Posts failed quality checks to a web address that takes Slack's JSON.

Prevents both silence and noise: each failed verdict is posted once, several of one tenant and
check as one message, and a message that did not arrive is sent again.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from itertools import groupby

import httpx
from sqlalchemy import Engine

from crm_integration.errors import Transient
from crm_integration.quality.verdicts import FailedVerdict, failing_since
from crm_integration.transport.http import http_client, send

AT_ONCE = 200
"""Failed verdicts read a tick."""

SETTLED_FOR = timedelta(seconds=30)
"""A verdict is posted when it is this old. Holds are written between its insert and its commit:
milliseconds, and seconds on a busy database."""


def post_failed_checks(ops: Engine, url: str, *, after: int) -> int:
    """Post what failed behind verdict `after`; returns the last verdict that was posted.

    Raises Transient when the address does not take the message: nothing moves on then.
    """
    with ops.connect() as connection:
        failed = failing_since(connection, after, AT_ONCE, settled_for=SETTLED_FOR)
    if not failed:
        return after
    with http_client(url) as client:
        for _, group in groupby(failed, key=_cause):
            _post(client, url, _text(list(group)))
    return failed[-1].verdict_id


def _cause(failed: FailedVerdict) -> tuple[str, str, str]:
    return failed.tenant, failed.verdict.entity, failed.verdict.check_name


def _post(client: httpx.Client, url: str, text: str) -> None:
    answer = send(client, client.build_request("POST", url, json={"text": text}))
    if answer.is_error:
        raise Transient(
            f"the alert address answered {answer.status_code}", status=answer.status_code
        )


def _text(failed: Sequence[FailedVerdict]) -> str:
    """Who is hurt, what, since which window, how many rows, and what to do."""
    first, last = failed[0], failed[-1]
    rows = sum(one.verdict.failed for one in failed)
    windows = first.verdict.window_start.isoformat()
    if len(failed) > 1:
        windows += f" to {last.verdict.window_start.isoformat()} ({len(failed)} windows)"
    return (
        f"Check {first.verdict.check_name} failed for tenant {first.tenant}: "
        f"canonical {first.verdict.entity}, window {windows}, {rows} of "
        f"{sum(one.verdict.rows for one in failed)} rows. Closed windows are held back from the "
        "CRM. Look at the check in Dagster, mend the rows or the rule, then re-run the partition."
    )
