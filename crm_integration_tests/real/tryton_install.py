"""Tryton in an environment and a process of its own, and the database that tests copy.

Tryton is GPL-3: it is installed beside us by pip, run as a program and spoken to by HTTP; nothing
of ours imports it. Installing takes about 10 s and the database about 15 s, once: both are kept in
the user's cache.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

PACKAGES = (
    "trytond==8.2.1",
    "trytond-party==8.2.0",
    "trytond-sale==8.2.0",
    "trytond-sale-opportunity==8.2.0",
)
MODULES = ("sale", "sale_opportunity")


class NotInstallable(Exception):
    """pip could not bring the packages: no index is within reach. Tests skip with this text."""


@dataclass(frozen=True)
class Installed:
    """Where Tryton is: its Python, its programs, and the database as Tryton itself makes it."""

    folder: Path

    @property
    def python(self) -> Path:
        """The environment's own Python."""
        return self.folder / "venv" / "bin" / "python"

    def program(self, name: str) -> Path:
        """`trytond` or `trytond-admin`."""
        return self.folder / "venv" / "bin" / name

    @property
    def empty(self) -> Path:
        """A database with our modules and nothing in it; never opened, only copied."""
        return self.folder / "empty.sqlite"


def installed() -> Installed:
    """Tryton from the cache, put there first if need be. Raises NotInstallable."""
    wanted = "\n".join((*PACKAGES, *MODULES, sys.version, sys.prefix))
    folder = _cache() / f"tryton-{hashlib.sha256(wanted.encode()).hexdigest()[:12]}"
    folder.mkdir(parents=True, exist_ok=True)
    found = Installed(folder)
    with _locked(folder / "lock"):
        if not (folder / "installed").exists():
            _install(found)
            (folder / "installed").touch()
        if not found.empty.exists():
            _make_database(found)
    return found


def _cache() -> Path:
    root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    try:
        folder = root / "crm-integration-tests"
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        folder = Path(tempfile.gettempdir()) / f"crm-integration-tests-{os.getuid()}"
        folder.mkdir(mode=0o700, exist_ok=True)
    return folder


@contextmanager
def _locked(path: Path) -> Generator[None]:
    """Two test runs at once install once."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _install(to: Installed) -> None:
    venv = [sys.executable, "-m", "venv", "--clear", str(to.folder / "venv")]
    subprocess.run(venv, check=True, capture_output=True, timeout=120)
    pip = [str(to.python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
           "--retries", "1", "--timeout", "10", *PACKAGES]  # fmt: skip
    done = subprocess.run(pip, capture_output=True, text=True, timeout=300, check=False)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no word"])[-1]
        raise NotInstallable(f"pip cannot install Tryton: {last}")


def _make_database(to: Installed) -> None:
    with tempfile.TemporaryDirectory(dir=to.folder) as made:
        database = Path(made) / "empty.sqlite"
        database.touch()
        config, password = Path(made) / "trytond.conf", Path(made) / "password"
        config.write_text(f"[database]\nuri = sqlite://\npath = {made}\n", "utf-8")
        password.write_text(secrets.token_urlsafe(), "utf-8")
        command = [str(to.python), str(to.program("trytond-admin")), "-c", str(config),
                   "-d", "empty", "--activate-dependencies", "-l", "en",
                   "--email", "admin@example.com", "-u", *MODULES]  # fmt: skip
        environment = {**os.environ, "TRYTONPASSFILE": str(password)}
        subprocess.run(command, check=True, capture_output=True, timeout=300, env=environment)
        database.rename(to.empty)
