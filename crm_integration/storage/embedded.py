"""The supervisor of the embedded Postgres server.

Prevents what happened with ready-made wrappers: a reused pid in a stale pid file got an
unrelated process killed, a half-made data folder stayed for ever, and several processes that
started at once destroyed one another's server. Hence: one lock, liveness asked of the server and
never of a pid, the data folder made beside and renamed, stopped only on request.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

from sqlalchemy.engine import URL

from crm_integration.errors import StorageError
from crm_integration.storage.binaries import Programs, find_programs
from crm_integration.storage.server_user import (
    ServerUser,
    prepare_home,
    private_folder,
    reachable_programs,
    server_user,
)

SUPERUSER = "crm_superuser"
_PORT = 5432  # only part of the socket's file name: nothing listens on the network
_LONGEST_SOCKET_FOLDER = 90  # sun_path holds 104 bytes on macOS, 108 on Linux, with the file name
_START_SECONDS = 15.0  # after kill -9 old backends may hold the shared memory for some seconds
_LOCK_SECONDS = 60.0
_PLAIN = re.compile(r"[\w./-]+", re.ASCII)
_LOG_BYTES = 10_000_000

# Statements, details and errors of clients stay out of the log: they may quote personal data.
_CONFIGURATION = """\
listen_addresses = ''
port = {port}
unix_socket_directories = '{socket_dir}'
unix_socket_permissions = 0700
max_connections = 200
fsync = on
synchronous_commit = on
full_page_writes = on
# Tables grow from nothing to a million rows in one run; plans made from old statistics read a
# whole index a row.
autovacuum_naptime = 5s
autovacuum_analyze_scale_factor = 0.05
timezone = 'UTC'
log_timezone = 'UTC'
log_statement = none
log_min_messages = log
log_min_error_statement = panic
log_error_verbosity = terse
log_parameter_max_length = 0
log_parameter_max_length_on_error = 0
log_checkpoints = off
"""


class EmbeddedServer:
    """One Postgres server below `home`, shared by every process that names the same `home`."""

    def __init__(self, home: Path, *, pg_bin: Path | None = None) -> None:
        """`home` is absolute; nothing is touched before `start`."""
        self._home = home.resolve()  # one spelling: socket and command line carry it
        self._pg_bin = pg_bin
        self._root = self._home / "postgres"
        self._data = self._root / "data"
        self.server_log = self._root / "server.log"

    @cached_property
    def socket_dir(self) -> Path:
        """Folder of the server's socket, 0700 and at most 90 plain characters long."""
        folder = self._root / "run"
        # Plain, because Postgres and libpq read a comma in it as a list, each quoting its own way.
        if len(str(folder)) <= _LONGEST_SOCKET_FOLDER and _PLAIN.fullmatch(str(folder)):
            return folder
        digest = hashlib.sha256(str(self._home).encode()).hexdigest()[:12]
        # Not tempfile.gettempdir(): TMPDIR differs between the processes that must meet here.
        return Path("/tmp") / f"crm_integration-{digest}"  # noqa: S108

    @cached_property
    def _user(self) -> ServerUser:
        return server_user(self._data)

    @cached_property
    def _programs(self) -> Programs:
        version = self._data / "PG_VERSION"
        major = int(version.read_text()) if version.exists() else None
        programs = find_programs(pg_bin=self._pg_bin, major=major)
        return reachable_programs(programs, self._home, self._user)

    def binary(self, name: str) -> Path:
        """Path of a Postgres program (`pg_dump`, `psql`) of the server's version."""
        return self._programs.folder / name

    def url(self, role: str, database: str, driver: str = "postgresql+psycopg") -> str:
        """SQLAlchemy URL over the socket; no password, since only we may enter its folder."""
        query = {"host": str(self.socket_dir), "port": str(_PORT)}
        made = URL.create(driver, username=role, database=database, query=query)
        return made.render_as_string(hide_password=False)

    def running(self) -> bool:
        """Whether the server accepts connections, asked of the server itself."""
        return self._root.exists() and self._answers({0})

    def start(self) -> None:
        """Have it running; four processes may call this at once. Raises `StorageError`."""
        prepare_home(self._home, self._user)
        if self.running():
            return
        with self._lock():
            if self.running():
                return
            private_folder(self._root, self._user)
            private_folder(self.socket_dir, self._user)
            self._create_data()
            self._configure()
            self._launch()

    def stop(self, *, at_once: bool = False) -> None:
        """Stop the server for everyone; without effect when it is not running.

        `at_once`: as a crash would, without finishing anything; the next start recovers.
        """
        if not self._root.exists():
            return
        with self._lock():
            # 1 = starting or stopping: it is ours all the same. Without any answer the pid file
            # may name a stranger, and pg_ctl would signal that one.
            if self._answers({0, 1}):
                self._pg_ctl("stop", "-m", "immediate" if at_once else "fast")

    def _answers(self, codes: set[int]) -> bool:
        command = [
            self.binary("pg_isready"),
            "-q",
            "-h",
            self.socket_dir,
            "-p",
            str(_PORT),
            "-t",
            "3",
        ]
        return (
            self._user.run([*command, "-U", SUPERUSER, "-d", "postgres"], timeout=10).returncode
            in codes
        )

    def _create_data(self) -> None:
        if self._data.exists():
            return
        unfinished = self._root / "data.new"
        shutil.rmtree(unfinished, ignore_errors=True)
        command = [
            self.binary("initdb"),
            "-D",
            unfinished,
            "-U",
            SUPERUSER,
            "-E",
            "UTF8",
            "--no-locale",
        ]
        made = self._user.run([*command, "--auth=trust", "--data-checksums"], timeout=120)
        if made.returncode != 0:
            raise StorageError(f"the database could not be created: {made.stderr.strip()[-500:]}")
        include = "\ninclude 'crm_integration.conf'\n"
        self._user.write(unfinished / "postgresql.conf", include, append=True)
        unfinished.rename(self._data)

    def _configure(self) -> None:
        content = _CONFIGURATION.format(port=_PORT, socket_dir=self.socket_dir)
        self._user.write(self._data / "crm_integration.conf", content)
        if self.server_log.exists() and self.server_log.stat().st_size > _LOG_BYTES:
            self.server_log.rename(self.server_log.with_suffix(".log.1"))

    def _launch(self) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while True:
            self._forget_stale_pid()
            started = self._pg_ctl("start", "-l", str(self.server_log))
            if started.returncode == 0 and self.running():
                return
            if time.monotonic() > deadline:
                raise StorageError(
                    f"the database did not start within {_START_SECONDS:.0f} s. "
                    f"Read the last lines of {self.server_log}."
                )
            time.sleep(0.3)

    def _pg_ctl(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [self.binary("pg_ctl"), "-D", self._data, "-s", "-w", "-t", "60", *arguments]
        return self._user.run(command, timeout=90)

    def _forget_stale_pid(self) -> None:
        """Remove a lock file whose number now belongs to another program.

        Postgres would refuse to start beside it. Its own shared-memory check still protects the
        data from a survivor of the old server.
        """
        for path in (
            self._data / "postmaster.pid",
            self.socket_dir / f".s.PGSQL.{_PORT}.lock",
        ):
            pid = path.read_text().split("\n", 1)[0].strip() if path.exists() else ""
            if pid.isdigit() and str(self._data) not in _command_line(int(pid)):
                path.unlink(missing_ok=True)

    @contextmanager
    def _lock(self) -> Generator[None]:
        descriptor = os.open(self._home / "postgres.lock", os.O_RDWR | os.O_CREAT, 0o600)
        deadline = time.monotonic() + _LOCK_SECONDS
        try:
            while not _locked(descriptor):
                if time.monotonic() > deadline:
                    raise StorageError(f"another process holds {self._home}/postgres.lock.")
                time.sleep(0.05)
            yield
        finally:
            os.close(descriptor)


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _command_line(pid: int) -> str:
    """Command line of a process; empty when there is none. /proc, or `ps` where there is none."""
    if sys.platform == "linux":
        try:
            return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
        except OSError:
            return ""
    command = ["ps", "-p", str(pid), "-o", "command="]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout  # noqa: S603
