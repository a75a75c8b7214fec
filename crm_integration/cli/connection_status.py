"""`crm-integration connection status`: how each login stands, and what to tell the merchant.

Prevents the guess: support reads the state, since when and why, and the words for the merchant.
"""

from __future__ import annotations

from typing import Annotated

import orjson
import typer

from crm_integration.cli.opened import house
from crm_integration.credentials.overview import LoginStands, logins_of
from crm_integration.credentials.standing import TO_TELL, LoginState


def status(
    tenant: Annotated[str, typer.Argument(help="The merchant.")],
    as_json: Annotated[bool, typer.Option("--json", help="One document on stdout.")] = False,
) -> None:
    """The merchant's logins. Exit code 1 when one of them needs somebody."""
    with house().engines.tenancy.scope(tenant) as scope:
        found = logins_of(scope)
    if as_json:
        print(orjson.dumps([_document(one) for one in found]).decode())
    else:
        for one in found:
            print(_line(one))
    if any(one.state not in (LoginState.active, LoginState.refreshing) for one in found):
        raise typer.Exit(1)


def _line(one: LoginStands) -> str:
    why = f" ({one.reason})" if one.reason else ""
    since = f"{one.since:%Y-%m-%d %H:%M} UTC"
    return f"{one.connection_id:<16}{one.platform:<14}{one.state}{why} since {since}\n  {one.tell}"


def _document(one: LoginStands) -> dict[str, object]:
    return {
        "connection": one.connection_id,
        "platform": one.platform,
        "state": one.state.value,
        "reason": one.reason,
        "since": one.since,
        "tell": TO_TELL[one.state],
    }
