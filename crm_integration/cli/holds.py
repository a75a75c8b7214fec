"""`crm-integration holds`: what is held back from the CRM, why, and its release by a person."""

from __future__ import annotations

from typing import Annotated

import typer

from crm_integration.cli.opened import actor, house
from crm_integration.errors import NotFound
from crm_integration.quality.holds import open_holds, release


def holds(
    tenant: Annotated[str, typer.Argument(help="The merchant.")],
    release_type: Annotated[
        str | None,
        typer.Option("--release", help="contact, product, order or refund: write it again."),
    ] = None,
) -> None:
    """List a merchant's open holds; with --release let one object type go (audited).

    A hold ends by itself when the partition that opened it is mended and run again.
    """
    with house().engines.tenancy.scope(tenant) as scope:
        if release_type is not None:
            released = release(scope, release_type, None, by=actor())
            if not released:
                raise NotFound(
                    f"no hold is open for {release_type} of {tenant}: nothing to release"
                )
            print(f"{tenant}: {release_type} is released; the next run writes what waited")
            return
        for object_type, found in open_holds(scope).items():
            for one in found:
                print(f"{object_type}: {one.check_name}: {one.reason} ({one.records} records)")
                print(f"    since {one.opened_at:%Y-%m-%d %H:%M} UTC. {one.fix}")
