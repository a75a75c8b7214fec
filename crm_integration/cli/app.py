"""`crm-integration`: the commands, and what a failed one says.

Prevents the traceback as an answer: an error that we raise on purpose is one sentence with its
fix on stderr, and the exit code is 1.
"""

from __future__ import annotations

import sys

import typer

from crm_integration.cli.audit import audit
from crm_integration.cli.bench import bench
from crm_integration.cli.certify import certify
from crm_integration.cli.completeness import completeness
from crm_integration.cli.connection import connection
from crm_integration.cli.credentials import credentials
from crm_integration.cli.dead_letters import dead_letters
from crm_integration.cli.demo import demo
from crm_integration.cli.dev import dev
from crm_integration.cli.holds import holds
from crm_integration.cli.identity import identity
from crm_integration.cli.mapping import mapping
from crm_integration.cli.receiver import receiver
from crm_integration.cli.replay import replay
from crm_integration.cli.sandbox import sandbox
from crm_integration.cli.tenant import tenant
from crm_integration.errors import CrmIntegrationError

_typer = typer.Typer(
    name="crm-integration",
    help="The customer-data path from web stores to CRMs.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,
)
_typer.command(rich_help_panel="run")(demo)
_typer.command(rich_help_panel="run")(dev)
_typer.command(rich_help_panel="run")(receiver)
_typer.command(rich_help_panel="run")(sandbox)
_typer.command(rich_help_panel="fix")(holds)
_typer.add_typer(replay, name="replay", rich_help_panel="fix")
_typer.add_typer(dead_letters, name="dead-letters", rich_help_panel="fix")
_typer.add_typer(identity, name="identity", rich_help_panel="fix")
_typer.command(rich_help_panel="prove")(completeness)
_typer.command(rich_help_panel="prove")(certify)
_typer.add_typer(bench, name="bench", rich_help_panel="prove")
_typer.add_typer(tenant, name="tenant", rich_help_panel="admin")
_typer.add_typer(connection, name="connection", rich_help_panel="admin")
_typer.add_typer(mapping, name="mapping", rich_help_panel="admin")
_typer.add_typer(credentials, name="credentials", rich_help_panel="admin")
_typer.add_typer(audit, name="audit", rich_help_panel="admin")


def app() -> None:
    """The entry point of the `crm-integration` script."""
    try:
        _typer()
    except CrmIntegrationError as error:
        print(f"crm-integration: {error}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
