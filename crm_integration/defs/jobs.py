"""Jobs, named for what a person wants to do."""

from __future__ import annotations

from dagster import AssetSelection, define_asset_job

from crm_integration.defs import canonical, crm_sync
from crm_integration.defs.health.completeness import PROVE, completeness

PURPOSE = "crm_integration/purpose"

_PROOFS = AssetSelection.checks(completeness)
"""They list whole windows of the stores again: only their own job runs them."""

reconcile_all = define_asset_job(
    "reconcile_all",
    selection=AssetSelection.all() - _PROOFS,
    description="List the last windows of every tenant again and bring their CRMs up to date.",
    tags={PURPOSE: "reconcile"},
)

sync_one_tenant_now = define_asset_job(
    "sync_one_tenant_now",
    selection=AssetSelection.all() - _PROOFS,
    description="Take one tenant the whole way, now. Choose the tenant and a window.",
    tags={PURPOSE: "live", "dagster/priority": "10"},
)

replay_a_window = define_asset_job(
    "replay_a_window",
    selection=AssetSelection.groups(canonical.GROUP, crm_sync.GROUP) - _PROOFS,
    description=(
        "Derive a window again from its raw records and send what differs. The store is not "
        "asked; over unchanged data no call is made to the CRM."
    ),
    tags={PURPOSE: "replay"},
)

send_to_crm = define_asset_job(
    "send_to_crm",
    selection=AssetSelection.groups(crm_sync.GROUP) - _PROOFS,
    description="Send what the ledger has due. Writes nothing while a hold is open.",
    tags={PURPOSE: "reconcile"},
)

sweep_abandoned_carts = define_asset_job(
    "sweep_abandoned_carts",
    selection=AssetSelection.assets([canonical.GROUP, "carts"], [crm_sync.GROUP, "carts"])
    - _PROOFS,
    description=(
        "Find carts that nobody touched for a while and whose owner has not ordered since, and "
        "tell the CRM. The store is not asked."
    ),
    tags={PURPOSE: "live"},
)

prove_completeness = define_asset_job(
    PROVE,
    selection=_PROOFS,
    description=(
        "Prove that nothing is missing: store = raw = canonical = ledger = CRM, object by object. "
        "Nothing is written unless `heal` is set; then what is missing is read again, what differs "
        "is sent again, and the second proof counts."
    ),
    tags={PURPOSE: "reconcile"},
)

JOBS = [reconcile_all, sync_one_tenant_now, replay_a_window, send_to_crm, sweep_abandoned_carts,
        prove_completeness]  # fmt: skip
