"""The operating-system user the embedded server runs as, and the folders it may enter.

Prevents two failures: Postgres refuses to run as root, and the usual way round (opening the
parent folders to everyone) shows the data to every account of the machine. Parents are never
changed; what the server owns is 0700.
"""

from __future__ import annotations

import os
import pwd
import re
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from crm_integration.errors import BadSetting, StorageError
from crm_integration.storage.binaries import Programs

_UNPRIVILEGED = "nobody"
_SHELL = re.compile(r'["$`\\\n]')


@dataclass(frozen=True)
class ServerUser:
    """User and group id of the server; `dropped` when we are root and must become it."""

    uid: int
    gid: int
    dropped: bool

    def run(
        self, command: Sequence[str | Path], *, timeout: float
    ) -> subprocess.CompletedProcess[str]:
        """Run a Postgres program as this user, with none of our environment's PG* variables."""
        environment = {
            key: value
            for key, value in os.environ.items()
            if key in {"PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "TMPDIR"}
        }
        environment |= {"LC_ALL": "C", "TZ": "UTC"}
        return subprocess.run(  # noqa: S603
            [str(part) for part in command],
            capture_output=True,
            text=True,
            check=False,
            cwd="/",
            env=environment,
            timeout=timeout,
            stdin=subprocess.DEVNULL,
            umask=0o077,
            user=self.uid if self.dropped else None,
            group=self.gid if self.dropped else None,
            extra_groups=[] if self.dropped else None,
        )

    def own(self, path: Path) -> None:
        """Hand `path` over; a symbolic link itself, never what it points to."""
        if self.dropped:
            os.chown(path, self.uid, self.gid, follow_symlinks=False)

    def write(self, path: Path, content: str, *, append: bool = False) -> None:
        """Write a 0600 file into a folder of this user.

        A link put there under this user's name must not make root write elsewhere: a new file is
        made anew, an old one is opened only if it is no link.
        """
        if not append:
            path.unlink(missing_ok=True)
        flags = os.O_APPEND if append else os.O_CREAT | os.O_EXCL
        descriptor = os.open(path, os.O_WRONLY | os.O_NOFOLLOW | flags, 0o600)
        with os.fdopen(descriptor, "w") as file:
            if self.dropped:
                os.fchown(file.fileno(), self.uid, self.gid)
            file.write(content)


def server_user(data: Path) -> ServerUser:
    """Ourselves, or as root whoever owns the data folder already, or `nobody`."""
    if os.geteuid() != 0:
        return ServerUser(os.geteuid(), os.getegid(), dropped=False)
    if data.exists() and data.stat().st_uid != 0:
        owner = data.stat()
        return ServerUser(owner.st_uid, owner.st_gid, dropped=True)
    entry = pwd.getpwnam(_UNPRIVILEGED)
    return ServerUser(entry.pw_uid, entry.pw_gid, dropped=True)


def private_folder(folder: Path, user: ServerUser) -> None:
    """Make `folder` 0700 and the server's own; refuses one that belongs to someone else.

    Raises `StorageError`: in a shared temporary folder another account may have made it first.
    """
    folder.mkdir(mode=0o700, exist_ok=True)
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        raise StorageError(f"{folder} is not our folder. Remove it and start again.") from None
    try:
        if os.fstat(descriptor).st_uid not in {os.geteuid(), user.uid}:
            raise StorageError(f"{folder} belongs to another user. Remove it and start again.")
        if user.dropped:
            os.fchown(descriptor, user.uid, user.gid)
        os.fchmod(descriptor, 0o700)
    finally:
        os.close(descriptor)


def prepare_home(home: Path, user: ServerUser) -> None:
    """Create `home`; the server may pass through it, no other account may.

    Raises `BadSetting` when a folder above it cannot be entered by the server's user, or when
    its name holds what a shell would read: pg_ctl starts the server through one.
    """
    if _SHELL.search(str(home)):
        raise BadSetting(
            "CRM_INTEGRATION_HOME: the folder's name holds one of \" $ ` \\ or a line break. "
            "Choose another folder."
        )
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not user.dropped:
        return
    private = not home.stat().st_mode & 0o077
    if private and not _can_enter(home, user):
        os.chown(home, -1, user.gid)
        home.chmod(0o710)
    for folder in (home, *home.parents):
        if not _can_enter(folder, user):
            raise BadSetting(
                f"CRM_INTEGRATION_HOME: as root the database runs as the user "
                f"{pwd.getpwuid(user.uid).pw_name}, who cannot enter {folder}. Use a folder such "
                f"as /var/lib/crm_integration, or start as an ordinary user."
            )


def _can_enter(folder: Path, user: ServerUser) -> bool:
    found = folder.stat()
    if found.st_uid == user.uid:
        return bool(found.st_mode & stat.S_IXUSR)
    if found.st_gid == user.gid:
        return bool(found.st_mode & stat.S_IXGRP)
    return bool(found.st_mode & stat.S_IXOTH)


def reachable_programs(programs: Programs, home: Path, user: ServerUser) -> Programs:
    """`programs`, or a copy below `home` when they lie where the server's user cannot go.

    A virtual environment below /root is the usual case.
    """
    if not user.dropped or all(
        _can_enter(f, user) for f in (programs.folder, *programs.folder.parents)
    ):
        return programs
    copy = home / f"postgres-{programs.version}"
    install = programs.folder.parent
    if not copy.exists():
        _copy_install(install, copy, user)
    return Programs(copy / install.parent.name / install.name / "bin", programs.version)


def _copy_install(install: Path, copy: Path, user: ServerUser) -> None:
    """Copy beside and rename; of two processes that do it at once the second throws its own away.

    A repaired wheel's programs look for their libraries three folders up, in a sibling of the
    package: both go along, in the same places.
    """
    package = install.parent
    libraries = package.with_name(f"{package.name}.libs")
    unfinished = Path(tempfile.mkdtemp(prefix=f"{copy.name}-", dir=copy.parent))
    shutil.copytree(install, unfinished / package.name / install.name, symlinks=True)
    if libraries.is_dir():
        shutil.copytree(libraries, unfinished / libraries.name, symlinks=True)
    for path in (unfinished, *unfinished.rglob("*")):
        user.own(path)
    try:
        unfinished.rename(copy)
    except OSError:
        shutil.rmtree(unfinished)
        if not copy.exists():
            raise
