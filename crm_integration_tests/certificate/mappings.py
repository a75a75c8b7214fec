"""The mappings of a run: the released ones, and tenant files that may change in mid-run.

Prevents a certificate that edits the checkout: the released files are copied into a folder of the
run's own, and a tenant's file is replaced whole, as a merchant's file is.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from crm_integration_tests.certificate.world import TENANTS

RELEASED = Path(__file__).parents[2] / "mappings"
NEVER_PHONE = "west"
"""The tenant whose sales keep phones themselves."""


def made_mappings(folder: Path) -> Path:
    """A copy of the released mappings with a file for each tenant of the world."""
    root = folder / "mappings"
    shutil.copytree(RELEASED, root, ignore=shutil.ignore_patterns("tenants"))
    (root / "tenants").mkdir()
    for tenant, _ in TENANTS:
        write_tenant(root, tenant)
    return root


def write_tenant(root: Path, tenant: str, *, older: str = "") -> None:
    """The tenant's file; with `older` this object's mapping is pinned to its first version."""
    pins = {"company": 1, "contact": 2, "product": 1, "order": 2, "refund": 1, "cart": 1,
            "activity": 1}  # fmt: skip
    if older:
        pins[older] = 1
    pinned = ", ".join(f"{name}: {version}" for name, version in pins.items())
    lines = [f"tenant: {tenant}", "crm: hubspot", f"pins: {{{pinned}}}", "stores: [main]"]
    if tenant == NEVER_PHONE:
        lines += ["overrides:", "  contact:", "    phone: {owner: crm, rule: never}"]
    # A day of the world has more rewrites than any merchant's: nobody is asked about them here.
    lines += ["settings:", "  credit_without_order_tag: credit-without-order",
              "  ask_parcels_of: sent", "  rewrites_a_day_records: 1000000"]  # fmt: skip
    path = root / "tenants" / f"{tenant}.yaml"
    draft = path.with_suffix(".draft")
    draft.write_text("\n".join(lines) + "\n")
    draft.replace(path)
