"""`crm-integration mapping`: versions compared, and tenants moved from one to another."""

from __future__ import annotations

from typing import Annotated, Any

import orjson
import typer

from crm_integration.audit import trail
from crm_integration.cli.mapping_lines import change_lines, diff_document, shadow_lines
from crm_integration.cli.opened import actor, house
from crm_integration.cli.progress import progress
from crm_integration.cli.replay_lines import plan_document, plan_lines
from crm_integration.mapping.load import load_mapping
from crm_integration.mapping.masking import masked, shown
from crm_integration.mapping.model import CompiledMapping
from crm_integration.mapping.names import MappingName, as_pinned
from crm_integration.mapping.preview import Mask
from crm_integration.mapping.rule_changes import rule_changes
from crm_integration.settings import get_settings
from crm_integration.sync.path import House
from crm_integration.sync.pinning import in_use, pin_request
from crm_integration.sync.pinning import pin as moved
from crm_integration.sync.replay import plan
from crm_integration.sync.shadowing import Shadowed, shadowed

mapping = typer.Typer(
    help="Mapping versions: compare them, and pin tenants to one.", no_args_is_help=True
)

Named = Annotated[str, typer.Argument(metavar="CRM/OBJECT@vN", help="Such as hubspot/contact@v2.")]
Show = Annotated[bool, typer.Option("--show", help="Show personal values, too (audited).")]
Json = Annotated[bool, typer.Option("--json", help="One JSON document.")]


@mapping.command("diff")
def diff(
    old: Named,
    new: Annotated[str, typer.Argument(metavar="@vN", help="The other version, such as @v2.")],
    tenant: Annotated[
        str | None, typer.Option("--tenant", help="Compare on this merchant's recorded rows, too.")
    ] = None,
    show: Show = False,
    as_json: Json = False,
) -> None:
    """Which rules differ between two versions and, for a merchant, which values. Writes nothing."""
    opened = None if tenant is None else house()
    root = get_settings().mappings if opened is None else opened.mappings
    first = MappingName.read(old, root)
    second = first.other(new, root)
    files = [load_mapping(root, one.crm, one.object_type, one.version) for one in (first, second)]
    changes = rule_changes(files[0], files[1])
    found = None
    if opened is not None and tenant is not None:
        found = _shadowed(opened, tenant, first, second, show=show)
    if as_json:
        _document(diff_document(first, second, changes, found))
        return
    for line in change_lines(changes):
        print(line)
    if found is not None:
        for line in shadow_lines(found):
            print(line)


@mapping.command("pin")
def pin(
    named: Named,
    tenant: Annotated[str, typer.Option("--tenant", help="The merchant.")],
    limit: Annotated[int, typer.Option(min=0, help="Records shown field by field.")] = 20,
    yes: Annotated[bool, typer.Option("--yes", help="Do it without asking.")] = False,
    as_json: Json = False,
) -> None:
    """Move a merchant to a version: shows what the next run would write, and asks (audited).

    With --json and without --yes it only shows.
    """
    opened = house()
    name = MappingName.read(named, opened.mappings)
    used = in_use(opened, tenant, name)
    with progress(f"planning {tenant}") as told:
        made = plan(opened, pin_request(tenant, name), limit=limit, progress=told)
    if not as_json:
        print(f"{tenant} uses {used}; through {name.mapping_id} the next run would write:")
        for line in plan_lines(made):
            print(line)
    if as_json and not yes:
        _document({**plan_document(made), "before": used, "pinned": False})
        return
    if not yes:
        typer.confirm(f"Pin {tenant} to {name}?", abort=True, err=True)
    moved(opened, name, made, by=actor())
    if as_json:
        _document({**plan_document(made), "before": used, "pinned": True})
        return
    print(f"{tenant}: tenants/{tenant}.yaml pins {name}; the next run maps anew")


def _shadowed(
    opened: House, tenant: str, first: MappingName, second: MappingName, *, show: bool
) -> Shadowed:
    config = opened.config(tenant)
    old, new = (as_pinned(opened.mappings, config, one)[one.object_type] for one in (first, second))
    if show:
        with opened.engines.tenancy.scope(tenant) as scope:
            trail.record(scope, actor=actor(), action="mapping.show", subject=f"{first} {second}")
    mask = _both(old, new, show=show)
    with progress(f"comparing {first} and {second}") as told:
        return shadowed(opened.engines.tenancy, tenant, old, new, mask=mask, progress=told)


def _both(old: CompiledMapping, new: CompiledMapping, *, show: bool) -> Mask:
    """Hidden where either version's field may be about a person."""
    if show:
        return shown(old)
    first, second = masked(old), masked(new)
    return lambda name, value: second(name, first(name, value))


def _document(found: Any) -> None:
    print(orjson.dumps(found, default=str, option=orjson.OPT_INDENT_2).decode())
