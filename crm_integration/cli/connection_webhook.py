"""`crm-integration connection webhook`: where a store sends its deliveries, and how it signs.

Prevents an address or a secret from being read off a screen twice: each is printed once, when it
is made; later only its age and its end are told.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import timedelta
from typing import Annotated

import typer

from crm_integration.cli.opened import actor, house
from crm_integration.errors import BadInput
from crm_integration.intake.webhook_paths import (
    Validity,
    WebhookState,
    add_secret,
    make_path,
    new_secret,
    webhook_state,
)
from crm_integration.settings import get_settings
from crm_integration.storage.sealing import MasterKey
from crm_integration.tenancy.scope import TenantScope

_LOCAL = "http://127.0.0.1:8700"


def webhook(
    tenant: Annotated[str, typer.Argument(help="The merchant.")],
    connection: Annotated[str, typer.Argument(help="The store connection, such as main.")],
    rotate: Annotated[bool, typer.Option(help="Make a new address; the old one ends.")] = False,
    rotate_secret: Annotated[
        bool, typer.Option(help="Take a new signing secret; the old one ends.")
    ] = False,
    secret_stdin: Annotated[
        bool, typer.Option(help="Read a secret that the platform states from standard input.")
    ] = False,
    overlap_hours: Annotated[
        float, typer.Option(help="How long the old one stays valid.", min=0, max=24 * 30)
    ] = 24,
) -> None:
    """Show a store's webhook address; the first time, and with --rotate, it is made and printed."""
    overlap = timedelta(hours=overlap_hours)
    tenancy = house().engines.tenancy
    with tenancy.scope(tenant) as scope:
        found = webhook_state(scope, connection)
        first = found.signing.chosen_by != "nobody" and not found.secrets
    told = _told_secret(found, secret_stdin) if first or rotate_secret or secret_stdin else None
    ours = found.signing.chosen_by == "us" and not secret_stdin
    with tenancy.scope(tenant) as scope:
        lines = (
            _made_secret(scope, connection, told, overlap, shown=ours) if told is not None else []
        )
        if rotate or not found.paths:
            lines += _made_path(scope, tenancy.master, connection, overlap)
        lines += _ages(webhook_state(scope, connection))
    print("\n".join(lines))  # only what is committed is told


def _told_secret(found: WebhookState, from_stdin: bool) -> str:
    """Ours is made; one that the platform states is asked for, never typed into the command."""
    if found.signing.chosen_by == "nobody":
        raise BadInput(f"{found.platform} signs nothing: its address is the secret; use --rotate")
    if from_stdin:
        return sys.stdin.readline().strip()
    if found.signing.chosen_by == "us":
        return new_secret()
    asked: str = typer.prompt(f"signing secret of {found.platform}", hide_input=True, err=True)
    return asked.strip()


def _made_secret(
    scope: TenantScope, connection: str, secret: str, overlap: timedelta, *, shown: bool
) -> list[str]:
    add_secret(scope, connection, secret, actor=actor(), overlap=overlap)
    return [f"secret   {secret if shown else 'as you gave it'}"]


def _made_path(
    scope: TenantScope, master: MasterKey, connection: str, overlap: timedelta
) -> list[str]:
    path = make_path(scope, master, connection, actor=actor(), overlap=overlap)
    return [f"address  {(get_settings().receiver_url or _LOCAL).rstrip('/')}{path}"]


def _ages(state: WebhookState) -> list[str]:
    return _lines("address", state.paths) + _lines("secret", state.secrets)


def _lines(what: str, held: Sequence[Validity]) -> list[str]:
    return [
        f"{what:<9}made {one.made_at:%Y-%m-%d %H:%M} UTC"
        + (f", ends {one.valid_until:%Y-%m-%d %H:%M} UTC" if one.valid_until else ", in use")
        for one in held
    ]
