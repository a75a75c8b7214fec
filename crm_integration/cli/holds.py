"""`crm-integration holds`: what is held back from the CRM, why, and its release by a person."""

from __future__ import annotations

from typing import Annotated

import typer

from crm_integration.cli.opened import actor, house
from crm_integration.errors import BadInput, NotFound
from crm_integration.quality.holds import open_holds
from crm_integration.quality.release import release_by_person
from crm_integration.sync.held_differences import approve, differences
from crm_integration.tenancy.scope import TenantScope


def holds(
    tenant: Annotated[str, typer.Argument(help="The merchant.")],
    release_type: Annotated[
        str | None,
        typer.Option("--release", help="The object type, such as order: write it again, as it is."),
    ] = None,
    differences_of: Annotated[
        str | None,
        typer.Option("--differences", help="The object type: what would be rewritten, by field."),
    ] = None,
    digest: Annotated[
        str | None,
        typer.Option("--approve", help="With --differences: the digest of what you looked at."),
    ] = None,
) -> None:
    """List a merchant's open holds; with --release let one object type go (audited).

    A hold ends by itself when what failed is mended and run again; one of `volume` also with the
    next day within bounds. What is released counts as right: the same windows, and the payloads
    that `drift` was about, hold again only when it gets worse. One of `blast_radius` keeps back
    the records it shows: look with --differences, then --approve the digest that is shown.
    """
    if digest is not None and differences_of is None:
        raise BadInput("--approve needs --differences with the object type you looked at")
    with house().engines.tenancy.scope(tenant) as scope:
        if release_type is not None:
            _release(scope, release_type)
        elif differences_of is not None and digest is not None:
            records = approve(scope, differences_of, digest, by=actor())
            print(f"{tenant}: {records} {differences_of} records are approved; the next run writes "
                  "those that still differ as shown, within a day")  # fmt: skip
        elif differences_of is not None:
            _show(scope, differences_of)
        else:
            _list(scope)


def _release(scope: TenantScope, object_type: str) -> None:
    if not release_by_person(scope, object_type, None, by=actor()):
        raise NotFound(f"no hold is open for {object_type} of {scope.tenant}: nothing to release")
    print(f"{scope.tenant}: {object_type} is released; the next run writes what waited")


def _list(scope: TenantScope) -> None:
    for object_type, found in open_holds(scope).items():
        for one in found:
            print(f"{object_type}: {one.check_name}: {one.reason} ({one.records} records)")
            print(f"    since {one.opened_at:%Y-%m-%d %H:%M} UTC. {one.fix}")


def _show(scope: TenantScope, object_type: str) -> None:
    waiting = differences(scope, object_type)
    print(f"{waiting.records} {object_type} records wait; digest {waiting.digest}")
    for name, records in sorted(waiting.by_field.items(), key=lambda one: -one[1]):
        print(f"    {name}: {records} records")
    for example in waiting.examples:
        print(str(example.object_id))
        for one in example.fields:
            back = "  (a step back)" if one.steps_back else ""
            print(f"    {one.name}: {one.old!r} -> {one.new!r}  by {one.rule}{back}")
    print(f"Approve exactly this: crm-integration holds {scope.tenant} "
          f"--differences {object_type} --approve {waiting.digest}")  # fmt: skip
