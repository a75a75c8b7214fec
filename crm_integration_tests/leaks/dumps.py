"""Dumps of the embedded server's databases, as an operator's backup would make them.

Prevents the proof on the wrong copy: the dump is a superuser's, so that no policy hides a row.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from crm_integration.storage.embedded import SUPERUSER, EmbeddedServer


def dump(server: EmbeddedServer, database: str, folder: Path) -> Path:
    """`folder/DATABASE.sql` by the server's own pg_dump, plain format, everything in it."""
    target = folder / f"{database}.sql"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    subprocess.run(
        [server.binary("pg_dump"), "--host", server.socket_dir, "--username", SUPERUSER,
         "--format", "plain", "--file", target, "--dbname", database],
        check=True, timeout=300, env=environment, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    return target


def haystacks(server: EmbeddedServer, prefix: str, folder: Path) -> list[Path]:
    """Dumps of both databases of a prefix, and the server's log."""
    ours, dagster = (dump(server, name, folder) for name in (prefix, f"{prefix}_dagster"))
    return [ours, dagster, server.server_log]
