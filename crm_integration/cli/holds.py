"""`crm-integration holds`: what is held back from the CRM, why, and its release by a person."""

from __future__ import annotations

from typing import Annotated

import typer

from crm_integration.cli.opened import actor, house
from crm_integration.errors import NotFound
from crm_integration.quality.holds import open_holds
from crm_integration.quality.release import release_by_person


def holds(
    tenant: Annotated[str, typer.Argument(help="The merchant.")],
    release_type: Annotated[
        str | None,
        typer.Option("--release", help="The object type, such as order: write it again, as it is."),
    ] = None,
) -> None:
    """List a merchant's open holds; with --release let one object type go (audited).

    A hold ends by itself when what failed is mended and run again; one of `volume` also with the
    next day within bounds. What is released counts as right: the same windows, and the payloads
    that `drift` was about, hold again only when it gets worse.
    """
    with house().engines.tenancy.scope(tenant) as scope:
        if release_type is not None:
            released = release_by_person(scope, release_type, None, by=actor())
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
