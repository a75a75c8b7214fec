"""`crm-integration tenant`: merchants."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import typer

from crm_integration.cli.opened import actor, house
from crm_integration.tenancy.tenants import all_tenants, create_tenant

tenant = typer.Typer(help="Merchants: add and list.", no_args_is_help=True)


@tenant.command("add")
def add(
    name: Annotated[str, typer.Argument(help="1-63 of a-z, 0-9, _ and -")],
    since: Annotated[
        datetime,
        typer.Option(formats=["%Y-%m-%d"], help="No record of the store is older than this day."),
    ],
) -> None:
    """Add a merchant; fresh keys are made. One that exists stays as it is."""
    create_tenant(house().engines.tenancy, name, started_on=since.date(), actor=actor())
    print(f"{name}: connect its accounts with: crm-integration connection add {name} --help")


@tenant.command("list")
def names() -> None:
    """The names of all merchants."""
    for name in all_tenants(house().engines.ops):
        print(name)
