"""The house for a command: opened on the database that the settings name."""

from __future__ import annotations

import os
import pwd

from crm_integration.settings import get_settings
from crm_integration.sync.opening import open_house
from crm_integration.sync.path import House


def house() -> House:
    """Raises BadSetting, NewerSchema, UnsafeRole or StorageError, each with the fix."""
    settings = get_settings()
    return open_house(settings, database=settings.database)


def actor() -> str:
    """Who types this, for the audit trail: the account the system knows, whatever LOGNAME says,
    since an approval must come from somebody else."""
    number = os.getuid()
    try:
        return f"cli:{pwd.getpwuid(number).pw_name}"
    except KeyError:  # a container may run under a number without a name
        return f"cli:{number}"
