"""`crm-integration connection`: a merchant's store and CRM accounts.

Prevents a secret on the command line, where every user of the machine and the shell's history
can read it: secrets are asked for without echo, or read as JSON from standard input.
"""

from __future__ import annotations

import json
import sys
from enum import StrEnum
from typing import Annotated

import typer

from crm_integration.cli.connection_webhook import webhook
from crm_integration.cli.connection_webhooks import webhooks
from crm_integration.cli.opened import actor, house
from crm_integration.crms._registry import crm_connector
from crm_integration.errors import BadInput
from crm_integration.stores._registry import connector
from crm_integration.sync.connecting import connect_crm, connect_store
from crm_integration.tenancy.connections import connections_of

connection = typer.Typer(help="Store and CRM accounts of a merchant.", no_args_is_help=True)
connection.command("webhook")(webhook)
connection.command("webhooks")(webhooks)


class Side(StrEnum):
    """Which kind of account."""

    store = "store"
    crm = "crm"


@connection.command("add")
def add(
    tenant: Annotated[str, typer.Argument(help="The merchant.")],
    side: Annotated[Side, typer.Argument(help="store or crm")],
    platform: Annotated[str, typer.Argument(help="woocommerce, hubspot, …")],
    url: Annotated[str, typer.Argument(help="Where the account lives (https).")],
    name: Annotated[
        str | None, typer.Option(help="Its name among the tenant's. Default: main, or crm.")
    ] = None,
    secrets_stdin: Annotated[
        bool, typer.Option(help="Read secrets as one JSON object from standard input.")
    ] = False,
) -> None:
    """Check an account's credentials with the account itself, and keep them sealed."""
    wanted = (
        connector(platform).manifest.secrets
        if side is Side.store
        else crm_connector(platform).manifest.secrets
    )
    secrets = _from_stdin() if secrets_stdin else _asked(wanted)
    opened = house()
    connect = connect_store if side is Side.store else connect_crm
    named = name or ("main" if side is Side.store else "crm")
    made = connect(opened, tenant, named, platform, url, secrets, actor=actor())
    print(f"{tenant}: {side} {named} is {platform} account {made.account_id}")


@connection.command("list")
def show(tenant: Annotated[str, typer.Argument(help="The merchant.")]) -> None:
    """The merchant's accounts, without their secrets."""
    with house().engines.tenancy.scope(tenant) as scope:
        for side in ("store", "crm"):
            for one in connections_of(scope, side):
                print(f"{one.side:<6}{one.connection_id:<16}{one.platform:<14}{one.account_id}")


def _asked(names: tuple[str, ...]) -> dict[str, str]:
    return {name: typer.prompt(name, hide_input=True, err=True) for name in names}


def _from_stdin() -> dict[str, str]:
    try:
        found = json.load(sys.stdin)
    except ValueError as error:
        raise BadInput('standard input is not JSON: give {"name": "secret", …}') from error
    if not isinstance(found, dict) or not all(isinstance(one, str) for one in found.values()):
        raise BadInput('standard input is no JSON object of texts: give {"name": "secret", …}')
    return found
