"""One database URL per role.

Prevents two silent failures: a bare `postgresql://` is read as psycopg 3 by SQLAlchemy 2.1, under
which Dagster's storage fails at every event; and a URL off this machine without verified TLS
sends personal data to whoever answers.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from pydantic import SecretStr
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from crm_integration.errors import BadSetting
from crm_integration.settings import PREFIX, Settings
from crm_integration.storage.embedded import EmbeddedServer
from crm_integration.storage.roles import APP, DAGSTER, INTAKE, OPS, OWNER, ensure_databases

OUR_DRIVER = "postgresql+psycopg"
DAGSTER_DRIVER = "postgresql+psycopg2"
_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
_NAMES = ("owner", "app", "intake", "ops", "dagster")


@dataclass(frozen=True)
class DatabaseUrls:
    """A URL for each role, driver written out; left out of `repr` since they may hold passwords."""

    owner: str = field(repr=False)
    app: str = field(repr=False)
    intake: str = field(repr=False)
    ops: str = field(repr=False)
    dagster: str = field(repr=False)


def resolve(settings: Settings, database: str = "crm_integration") -> DatabaseUrls:
    """The URLs of the settings, or those of the embedded server, which is then started.

    `database` (and `<database>_dagster`) is used on the embedded server only.
    Raises `BadSetting` when only some URLs are set or one is wrong, `StorageError` when the
    embedded server does not start.
    """
    given = {name: _given(settings, name) for name in _NAMES}
    missing = [f"{PREFIX}{name.upper()}_URL" for name, value in given.items() if value is None]
    # Dagster reads its own URL from the environment, so it is set on the embedded server, too.
    if set(_NAMES) - {"dagster"} <= {name for name, value in given.items() if value is None}:
        return _embedded(settings, database)
    if missing:
        raise BadSetting(
            f"{', '.join(missing)} not set while others are: the parts would work on different "
            "servers. Set all five, or none for the embedded server."
        )
    return DatabaseUrls(
        **{
            name: normalised(value.get_secret_value(), variable=f"{PREFIX}{name.upper()}_URL")
            for name, value in given.items()
            if value is not None
        }
    )


def normalised(url: str, *, variable: str) -> str:
    """`url` with the driver its reader needs; `variable` (named in errors) decides which.

    Raises `BadSetting` for another database, no host, or no verified TLS off loopback.
    """
    driver = DAGSTER_DRIVER if variable == f"{PREFIX}DAGSTER_URL" else OUR_DRIVER
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise BadSetting(
            f"{variable}: not a URL. Use {driver}://role@host:port/database?sslmode=verify-full"
        ) from None
    if parsed.drivername not in {"postgresql", "postgres", driver}:
        raise BadSetting(f"{variable}: wrong driver. Start it with {driver}://")
    _refuse_open_line(parsed, variable)
    return parsed.set(drivername=driver).render_as_string(hide_password=False)


def _given(settings: Settings, name: str) -> SecretStr | None:
    value: SecretStr | None = getattr(settings, f"{name}_url")
    return value


def _embedded(settings: Settings, database: str) -> DatabaseUrls:
    server = EmbeddedServer(settings.home, pg_bin=settings.pg_bin)
    server.start()
    ensure_databases(server, database)
    return embedded_urls(server, database)


def embedded_urls(server: EmbeddedServer, database: str) -> DatabaseUrls:
    """The URLs of the databases that `ensure_databases(server, database)` made."""
    return DatabaseUrls(
        owner=server.url(OWNER, database),
        app=server.url(APP, database),
        intake=server.url(INTAKE, database),
        ops=server.url(OPS, database),
        dagster=server.url(DAGSTER, f"{database}_dagster", DAGSTER_DRIVER),
    )


def _query(url: URL, key: str) -> list[str]:
    value = url.query.get(key, ())
    return [value] if isinstance(value, str) else list(value)


def _hosts(url: URL) -> list[str]:
    """Every host libpq may connect to: it takes several, from the host part and the query."""
    named = [url.host or "", *_query(url, "host"), *_query(url, "hostaddr")]
    return [host for item in named for host in item.split(",") if host]


def _refuse_open_line(url: URL, variable: str) -> None:
    hosts = _hosts(url)
    if not hosts:
        # libpq would take PGHOST, or a socket folder that depends on how it was built.
        raise BadSetting(f"{variable}: no host. Name it, or ?host=/folder for a Unix socket.")
    local = all(host in _LOOPBACK or host.startswith(("/", "@")) for host in hosts)
    if not local and _query(url, "sslmode") != ["verify-full"]:
        raise BadSetting(
            f"{variable}: a server off this machine needs verified TLS. Add sslmode=verify-full "
            "(and sslrootcert=… for a private authority) to the URL."
        )
