"""`crm-integration connection login`: an account whose owner allows it in their browser.

Prevents tokens from passing through a person's hands: they see an address to open, and nothing of
what comes back.
"""

from __future__ import annotations

from typing import Annotated

import typer

from crm_integration.cli.connection_secrets import asked_for, from_stdin
from crm_integration.cli.opened import actor, house
from crm_integration.credentials import token_requests
from crm_integration.credentials.authorization import WITHIN, Callback, Consent
from crm_integration.credentials.logins import OAuthLogin
from crm_integration.credentials.token_requests import Tokens
from crm_integration.crms._registry import crm_connector
from crm_integration.errors import BadInput
from crm_integration.stores._registry import connector
from crm_integration.sync.connecting import Side, connect_crm, connect_store


def login(
    tenant: Annotated[str, typer.Argument(help="The merchant.")],
    side: Annotated[Side, typer.Argument(help="store or crm")],
    platform: Annotated[str, typer.Argument(help="shopify, hubspot, …")],
    url: Annotated[str, typer.Argument(help="Where the account lives (https).")],
    way: Annotated[str, typer.Option(help="Which of the platform's logins.")] = "oauth",
    name: Annotated[
        str | None, typer.Option(help="Its name among the tenant's. Default: main, or crm.")
    ] = None,
    secrets_stdin: Annotated[
        bool, typer.Option(help="Read client id and secret as JSON from standard input.")
    ] = False,
    port: Annotated[
        int, typer.Option(help="Port of the callback on this machine. 0: any free one.")
    ] = 0,
    redirect: Annotated[
        str | None,
        typer.Option(help="The app's registered redirect address, where the browser is elsewhere: "
                          "its owner pastes what they were sent to."),
    ] = None,
    wait: Annotated[float, typer.Option(help="Seconds the owner has.")] = WITHIN,
) -> None:  # fmt: skip
    """Connect an account, or reconnect it: its owner allows it, its tokens are kept sealed."""
    found = _way(side, platform, way)
    given = from_stdin() if secrets_stdin else asked_for(found.secrets)
    tokens = (
        token_requests.renew(found, url, given)
        if found.authorize is None
        else _allowed(found, url, given, port=port, redirect=redirect, wait=wait)
    )
    connect = connect_store if side is Side.store else connect_crm
    named = name or ("main" if side is Side.store else "crm")
    made = connect(
        house(), tenant, named, platform, url, tokens.into(given),
        actor=actor(), login=way, lives=tokens.lives,
    )  # fmt: skip
    print(f"{tenant}: {side} {named} is {platform} account {made.account_id}")


def _way(side: Side, platform: str, way: str) -> OAuthLogin:
    manifest = (connector if side is Side.store else crm_connector)(platform).manifest
    if way not in manifest.logins:
        known = ", ".join(manifest.logins) or "none: use `connection add` with its keys"
        raise BadInput(f"{platform} has no login {way!r}; there are: {known}")
    return manifest.logins[way]


def _allowed(
    way: OAuthLogin,
    url: str,
    given: dict[str, str],
    *,
    port: int,
    redirect: str | None,
    wait: float,
) -> Tokens:
    """The tokens that the owner's consent brings."""
    if redirect is not None:
        consent = Consent(way, url, given["client_id"], redirect)
        typer.echo(f"Let the account's owner open\n\n  {consent.address}\n", err=True)
        return consent.tokens(typer.prompt("The address they were sent to", err=True), given)
    with Callback(port) as callback:
        consent = Consent(way, url, given["client_id"], callback.address)
        typer.echo(f"Open in a browser on this machine\n\n  {consent.address}\n", err=True)
        return consent.tokens(callback.returned(wait), given)
