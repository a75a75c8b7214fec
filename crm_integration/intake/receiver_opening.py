"""Opens what the receiver needs, and no more: role `crm_intake` and the master key.

Prevents the machine that faces the internet from holding the keys to everything: it needs one
database URL of the five, with the one role that may not read, and refuses any other role.
"""

from __future__ import annotations

from sqlalchemy import Engine
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ProgrammingError

from crm_integration.credentials.master_key import master_key
from crm_integration.errors import BadSetting, StorageError
from crm_integration.intake.path_lookup import ask
from crm_integration.settings import PREFIX, Settings
from crm_integration.storage.engine import engine_for
from crm_integration.storage.roles import INTAKE, assert_safe_role
from crm_integration.storage.schema import migrate
from crm_integration.storage.sealing import MasterKey
from crm_integration.storage.urls import normalised, resolve

CONNECT_SECONDS = 3
STATEMENT_MS = 5_000
"""Half of the time after which a store is told to come again."""


def open_receiver(settings: Settings) -> tuple[Engine, MasterKey]:
    """The engine of role `crm_intake`, checked, and the master key.

    Raises BadSetting, UnsafeRole, or StorageError for a database that is not ready.
    """
    url = _intake_url(settings)
    engine = engine_for(in_short(url), pool_size=4)
    with engine.connect() as connection:
        assert_safe_role(connection, INTAKE)
    master = master_key(settings)
    try:
        ask(engine, master, b"")
    except ProgrammingError as error:
        raise StorageError(
            "the database is older than this release: migrate it first (any command on "
            "crm_owner's URL does, such as crm-integration tenant list)"
        ) from error
    return engine, master


def in_short(url: str) -> str:
    """The URL with short waits: no store waits longer, and a thread that hangs is one less."""
    parsed = make_url(url)
    options = parsed.query.get("options", "")
    own = options if isinstance(options, str) else " ".join(options)
    return parsed.update_query_dict(
        {
            "options": f"-c statement_timeout={STATEMENT_MS} {own}".strip(),
            "connect_timeout": str(CONNECT_SECONDS),
        }
    ).render_as_string(hide_password=False)


def _intake_url(settings: Settings) -> str:
    given = settings.intake_url
    if given is None or settings.owner_url is not None or settings.app_url is not None:
        urls = resolve(settings, settings.database)
        if settings.owner_url is None:
            migrate(urls.owner)
        return urls.intake
    if settings.master_key is None and settings.master_key_file is None:
        raise BadSetting(
            f"no master key: set {PREFIX}MASTER_KEY or {PREFIX}MASTER_KEY_FILE to the key that "
            "the other parts use; what this receiver kept under another one could not be read"
        )
    return normalised(given.get_secret_value(), variable=f"{PREFIX}INTAKE_URL")
