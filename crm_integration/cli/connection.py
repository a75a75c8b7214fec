"""`crm-integration connection`: a merchant's store and CRM accounts.

Prevents an account that nobody proved: its credentials are kept once the account itself has said
who it is.
"""

from __future__ import annotations

from typing import Annotated

import typer

from crm_integration.cli.connection_login import login
from crm_integration.cli.connection_secrets import asked_for, from_stdin
from crm_integration.cli.connection_status import status
from crm_integration.cli.connection_webhook import webhook
from crm_integration.cli.connection_webhooks import webhooks
from crm_integration.cli.opened import actor, house
from crm_integration.crms._registry import crm_connector
from crm_integration.stores._registry import connector
from crm_integration.sync.connecting import Side, connect_crm, connect_store
from crm_integration.tenancy.connections import connections_of

connection = typer.Typer(help="Store and CRM accounts of a merchant.", no_args_is_help=True)
connection.command("login")(login)
connection.command("status")(status)
connection.command("webhook")(webhook)
connection.command("webhooks")(webhooks)


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
    secrets = from_stdin() if secrets_stdin else asked_for(wanted)
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
