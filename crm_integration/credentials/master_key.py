"""Where the master key comes from: the environment, a named file, a command, or a file made on a
laptop; and the keys before it, while what they wrapped is wrapped anew.

Prevents a start on a machine where the key is missing from quietly making a second key, and a
key file that others can read.
"""

from __future__ import annotations

import base64
import binascii
import os
import shlex
import subprocess
from pathlib import Path
from secrets import token_hex

from crm_integration.errors import BadSetting
from crm_integration.settings import Settings
from crm_integration.storage.sealing import MasterKey

KEY_BYTES = 32
COMMAND_WITHIN = 30.0
"""Seconds that a command has to print the key."""


def master_key(settings: Settings) -> MasterKey:
    """The master key, with those before it. On the embedded server a key file is made on first use
    (mode 0600).

    Raises BadSetting when the key is malformed, its file is readable by others, its command fails,
    or none is set although the database is not the embedded one.
    """
    before = settings.master_key_previous
    each = [] if before is None else before.get_secret_value().split(",")
    named = "CRM_INTEGRATION_MASTER_KEY_PREVIOUS"
    return MasterKey(_current(settings), tuple(_decode(one, named) for one in each))


def _current(settings: Settings) -> bytes:
    if settings.master_key is not None:
        return _decode(settings.master_key.get_secret_value(), "CRM_INTEGRATION_MASTER_KEY")
    if settings.master_key_file is not None:
        return _read(settings.master_key_file)
    if settings.master_key_command is not None:
        return _told_by(settings.master_key_command)
    if settings.app_url is not None:
        raise BadSetting(
            "no master key: set CRM_INTEGRATION_MASTER_KEY (base64 of 32 random bytes), "
            "CRM_INTEGRATION_MASTER_KEY_FILE or CRM_INTEGRATION_MASTER_KEY_COMMAND; a database of "
            "your own never gets a generated one"
        )
    return _read_or_make(settings.home / "master.key")


def _told_by(command: str) -> bytes:
    """What a secret manager's own program prints; neither its words nor ours repeat it."""
    named = "CRM_INTEGRATION_MASTER_KEY_COMMAND"
    try:
        done = subprocess.run(  # noqa: S603 - the operator's own setting, and no shell
            shlex.split(command), capture_output=True, timeout=COMMAND_WITHIN, check=False
        )
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        raise BadSetting(f"{named} did not run ({type(error).__name__}): try it by hand") from None
    if done.returncode:
        raise BadSetting(f"{named} ended with {done.returncode}: run it by hand to see why")
    try:
        return _decode(done.stdout.decode("ascii"), f"what {named} prints")
    except UnicodeDecodeError:
        raise BadSetting(f"what {named} prints is not base64") from None


def _decode(text: str, source: str) -> bytes:
    try:
        key = base64.b64decode(text.strip(), validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadSetting(
            f"{source} is not base64; make one with: openssl rand -base64 32"
        ) from error
    if len(key) != KEY_BYTES:
        raise BadSetting(f"{source} holds {len(key)} bytes instead of {KEY_BYTES}")
    return key


def _read(path: Path) -> bytes:
    try:
        mode = path.stat().st_mode & 0o077
        text = path.read_text("ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise BadSetting(f"the master key file {path} cannot be read: {error}") from error
    if mode:
        raise BadSetting(f"the master key file {path} is open to others: run chmod 600 {path}")
    return _decode(text, str(path))


def _read_or_make(path: Path) -> bytes:
    """Made under a name of its own and linked, so that two first starts agree on one key."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{token_hex(8)}")
    draft.touch(mode=0o600)
    draft.write_text(base64.b64encode(os.urandom(KEY_BYTES)).decode() + "\n", "ascii")
    try:
        os.link(draft, path)
    except FileExistsError:
        return _read(path)
    finally:
        draft.unlink()
    return _read(path)
