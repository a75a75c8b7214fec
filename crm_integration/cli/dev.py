"""`crm-integration dev`: database and Dagster UI for everyday work."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from crm_integration.cli.embedded_home import databases, embedded_server
from crm_integration.settings import get_settings
from crm_integration.storage.schema import migrate


def dev(
    port: Annotated[int, typer.Option(help="Port of the Dagster UI on 127.0.0.1.")] = 3000,
) -> None:
    """Start the embedded database and the Dagster UI; both stop with Ctrl-C."""
    settings = get_settings()
    console = Console(stderr=True)
    if settings.owner_url is not None:
        serve_ui(settings.home / "dagster", port)
        return
    with embedded_server(settings, leave_up=False) as server:
        urls = databases(server, settings.database, anew=False)
        migrate(urls.owner)
        console.print(f"Dagster UI: [link]http://127.0.0.1:{port}[/link]  (Ctrl-C stops)")
        serve_ui(settings.home / "dagster", port)


def serve_ui(dagster_home: Path, port: int) -> None:
    """`dagster dev` in the foreground, on loopback, until it is interrupted."""
    process = _start_ui(dagster_home, port)
    try:
        process.wait()
    except KeyboardInterrupt:
        process.terminate()
        process.wait(timeout=30)


def _start_ui(dagster_home: Path, port: int) -> subprocess.Popen[bytes]:
    """Start `dagster dev` with our workspace and instance."""
    from crm_integration.defs.run_here import place_dagster_yaml

    place_dagster_yaml(dagster_home)
    checkout = Path(__file__).resolve().parents[2]
    beside = Path(sys.executable).with_name("dagster")
    dagster = str(beside) if beside.exists() else shutil.which("dagster") or "dagster"
    return subprocess.Popen(  # noqa: S603 - our own arguments, no shell
        [
            dagster,
            "dev",
            "-w",
            str(checkout / "workspace.yaml"),
            "-h",
            "127.0.0.1",
            "-p",
            str(port),
            "--log-level",
            "warning",
        ],
        env={**os.environ, "DAGSTER_HOME": str(dagster_home)},
        cwd=checkout,
    )
