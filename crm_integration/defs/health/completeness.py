"""The check `complete` on every CRM asset: one evaluation for each tenant, object and day.

Prevents the green of the last partition that was looked at: each partition has its own evaluation,
tied to its materialization, and a run over all tenants fails at its end with the names of those of
whom something is missing, so that people hear of it.
"""

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from datetime import UTC, date, datetime, timedelta
from typing import Any

from dagster import (
    AssetCheckExecutionContext,
    AssetCheckSpec,
    AssetKey,
    Failure,
    Field,
    MetadataValue,
    Noneable,
    OpExecutionContext,
    multi_asset_check,
)

from crm_integration.canonical.entities import ENTITIES
from crm_integration.defs import canonical, crm_sync
from crm_integration.defs.health.completeness_report import report_proofs
from crm_integration.defs.memory import bound_heaps, give_back
from crm_integration.defs.resources import HouseResource
from crm_integration.defs.store_extracts import OBJECT_TYPES, PLURAL
from crm_integration.errors import CrmIntegrationError
from crm_integration.sync.completeness.heal import prove_healed
from crm_integration.sync.completeness.model import Completeness, Request
from crm_integration.sync.completeness.prove import prove
from crm_integration.sync.path import House
from crm_integration.sync.replay_plan import days_between
from crm_integration.sync.report import unforeseen
from crm_integration.tenancy.tenants import all_tenants

PROVE = "prove_completeness"
CHECK = "complete"
LOOK_BACK = timedelta(days=6)
"""A week with today: what a store changes lies on the day on which it changed it."""
TENANTS_AT_ONCE = 4

_CRM = {entity: crm_sync.NAMES[name] for name, entity in crm_sync.OBJECTS.items()}

ASSETS: Mapping[str, AssetKey] = {
    name: AssetKey([crm_sync.GROUP, _CRM[name]])
    if name in _CRM
    else AssetKey([canonical.GROUP, PLURAL[name]])
    for name in ENTITIES
    if name in _CRM or name in OBJECT_TYPES
}
"""Entity -> the last asset of its way."""

specs = [
    AssetCheckSpec(
        CHECK,
        asset=key,
        description=(
            "Nothing is missing: each object that the store lists is a raw record, a canonical "
            "row, a written ledger row and a CRM record with what we wrote. Run by the job "
            f"{PROVE}; it says nothing of raw records that came after it."
        ),
    )
    for key in ASSETS.values()
]

_CONFIG = {
    "from_day": Field(Noneable(str), default_value=None, is_required=False,
                      description="The first day (2026-11-23); without it a week up to today."),
    "to_day": Field(Noneable(str), default_value=None, is_required=False,
                    description="The last day, included."),
    "tenants": Field([str], default_value=[], is_required=False, description="Else all."),
    "heal": Field(bool, default_value=False, is_required=False,
                  description="Read again and send again what is missing, and prove again."),
    "surplus": Field(bool, default_value=False, is_required=False,
                     description="List all CRM records with our key, too."),
}  # fmt: skip


@multi_asset_check(name="completeness", specs=specs, can_subset=True, config_schema=_CONFIG)
def completeness(context: AssetCheckExecutionContext, house: HouseResource) -> Iterator[Any]:
    """Prove every tenant of the run, each on its own; in other jobs' runs there is nothing to do:
    a store must not be listed twice because somebody materializes an asset."""
    run = context.op_execution_context
    if run.job_name == PROVE:
        _prove_all(run, house.open())
    yield from ()


def _prove_all(context: OpExecutionContext, house: House) -> None:
    bound_heaps()
    config: Mapping[str, Any] = context.op_config
    tenants = list(config["tenants"]) or all_tenants(house.engines.ops)
    failed: dict[str, str] = {}
    with ThreadPoolExecutor(TENANTS_AT_ONCE, thread_name_prefix="tenant") as pool:
        running = {pool.submit(_prove, context, house, one, config): one for one in tenants}
        for finished in as_completed(running):
            tenant = running[finished]
            try:
                done = finished.result()
                report_proofs(context, ASSETS, CHECK, done)
                if not done.whole:
                    failed[tenant] = _said(done)
            except CrmIntegrationError as error:
                failed[tenant] = str(error)
            except Exception as error:  # noqa: BLE001 - the tenant's boundary: its neighbours go on
                failed[tenant] = unforeseen(error)
            context.log.info(f"{tenant}: {failed.get(tenant, 'whole')}")
            give_back()
    if failed:
        raise _failure(failed)


def _prove(
    context: OpExecutionContext, house: House, tenant: str, config: Mapping[str, Any]
) -> Completeness:
    request = Request(tenant, days_between(*_days(config)), surplus=config["surplus"])
    if config["heal"]:
        return prove_healed(house, request, run_id=context.run_id, by=f"job {PROVE}")[1]
    return prove(house, request, run_id=context.run_id)


def _days(config: Mapping[str, Any]) -> tuple[date, date]:
    today = datetime.now(UTC).date()
    last = date.fromisoformat(config["to_day"]) if config["to_day"] else today
    first = date.fromisoformat(config["from_day"]) if config["from_day"] else last - LOOK_BACK
    return first, last


def _said(done: Completeness) -> str:
    wrong = sum(one.wrong for one in done.days)
    unseen = f", {len(done.problems)} parts could not be looked at" if done.problems else ""
    return f"{wrong} objects are missing, differ or are too many{unseen}"


def _failure(failed: Mapping[str, str]) -> Failure:
    lines = [f"| {tenant} | {why} |" for tenant, why in sorted(failed.items())]
    table = "\n".join(["| tenant | what |", "|---|---|", *lines[:50]])
    return Failure(
        f"{len(failed)} tenant(s) are not proven: {', '.join(sorted(failed))}. All others are.",
        metadata={"what failed": MetadataValue.md(table)},
        allow_retries=False,
    )
