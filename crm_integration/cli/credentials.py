"""`crm-integration credentials`: the master key's rotation.

Prevents an old key that stays in use because nobody knows what still depends on it.
"""

from __future__ import annotations

import typer

from crm_integration.cli.opened import actor, house
from crm_integration.credentials.rotation import rotate as rotate_keys
from crm_integration.errors import BadInput
from crm_integration.tenancy.tenants import all_tenants

credentials = typer.Typer(help="Keys.", no_args_is_help=True)


@credentials.callback()
def group() -> None:
    """The master key."""


@credentials.command("rotate")
def rotate() -> None:
    """Wrap every merchant's keys with the new master key, while everything goes on (audited).

    First give all processes the new key, and the old one as CRM_INTEGRATION_MASTER_KEY_PREVIOUS;
    then run this; then take the old one away. Webhook addresses that were made under the old key
    stay valid only as long as it is there: make new ones before (connection webhook … --rotate).
    """
    opened = house()
    tenancy = opened.engines.tenancy
    if not tenancy.master.before:
        raise BadInput(
            "there is no key before this one: set CRM_INTEGRATION_MASTER_KEY to the new key and "
            "CRM_INTEGRATION_MASTER_KEY_PREVIOUS to the old one, for all processes"
        )
    done = rotate_keys(tenancy, all_tenants(opened.engines.ops), actor=actor())
    print(f"{done.anew} wrapped anew, {done.already} were so already")
