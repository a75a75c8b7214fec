"""Drivers are written out, lines off this machine are verified, and all roles meet one server."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy import text
from sqlalchemy.engine import make_url

from crm_integration.errors import BadSetting
from crm_integration.settings import Settings
from crm_integration.storage.embedded import EmbeddedServer
from crm_integration.storage.engine import dispose_engines, engine_for
from crm_integration.storage.roles import drop_databases
from crm_integration.storage.urls import DatabaseUrls, normalised, resolve

APP, DAGSTER = "CRM_INTEGRATION_APP_URL", "CRM_INTEGRATION_DAGSTER_URL"


@pytest.fixture
def settings(server: EmbeddedServer, tmp_path: Path) -> Settings:
    return Settings(home=server.server_log.parents[1], mappings=tmp_path)


@pytest.mark.parametrize("scheme", ["postgresql", "postgres"])
def test_a_bare_url_gets_the_driver_its_reader_needs(scheme: str) -> None:
    """SQLAlchemy 2.1 reads a bare URL as psycopg 3, under which Dagster launches no run."""
    bare = f"{scheme}://crm_x@localhost:5432/crm"
    assert normalised(bare, variable=APP).startswith("postgresql+psycopg://crm_x@localhost")
    assert normalised(bare, variable=DAGSTER).startswith("postgresql+psycopg2://crm_x@localhost")


@pytest.mark.parametrize(
    ("variable", "url"),
    [
        (DAGSTER, "postgresql+psycopg://u:hidden-word@localhost/d"),  # pragma: allowlist secret
        (APP, "postgresql+psycopg2://u:hidden-word@localhost/d"),  # pragma: allowlist secret
        (APP, "mysql://u:hidden-word@localhost/d"),  # pragma: allowlist secret
        (APP, "u:hidden-word@localhost"),
        (APP, "postgresql://u:hidden-word@/d"),  # pragma: allowlist secret
        (APP, "postgresql://u:hidden-word@localhost:port/d"),  # pragma: allowlist secret
    ],
)
def test_a_wrong_url_names_its_variable_and_never_its_password(variable: str, url: str) -> None:
    """A password in a start-up message ends in a log collector."""
    with pytest.raises(BadSetting, match=variable) as refused:
        normalised(url, variable=variable)
    assert "hidden-word" not in str(refused.value)
    assert refused.value.__suppress_context__ or refused.value.__context__ is None


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u@db.example.com/d",
        "postgresql://u@db.example.com/d?sslmode=require",
        "postgresql://u@db.example.com/d?sslmode=verify-ca",
        "postgresql://u@localhost/d?host=db.example.com",
        "postgresql://u@localhost/d?hostaddr=192.0.2.7",
        "postgresql://u@/d?host=/var/run/postgresql,db.example.com",
        "postgresql://u@/d?host=localhost&host=db.example.com",
        "postgresql://u@db.example.com/d?sslmode=verify-full&sslmode=disable",
    ],
)
def test_an_unverified_line_off_this_machine_is_refused(url: str) -> None:
    """sslmode=require encrypts, and hands the data to whoever answers."""
    with pytest.raises(BadSetting, match="sslmode=verify-full"):
        normalised(url, variable=APP)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u@127.0.0.1/d",
        "postgresql://u@[::1]:5433/d",
        "postgresql://u@/d?host=/var/run/postgresql",
        "postgresql://u:p%40ss@db.example.com/d?sslmode=verify-full",  # pragma: allowlist secret
    ],
)
def test_a_verified_or_local_line_is_taken_as_it_is(url: str) -> None:
    """Only the driver may change: a lost option would open the line again."""
    before, after = make_url(url), make_url(normalised(url, variable=APP))
    assert after.drivername == "postgresql+psycopg"
    assert (after.username, after.password, after.host, after.query) == (
        before.username,
        before.password,
        before.host,
        before.query,
    )


def test_without_settings_every_role_reaches_the_embedded_server(
    settings: Settings, server: EmbeddedServer
) -> None:
    """A fresh machine has no URLs; each part must still come in under its own role."""
    urls = resolve(settings, "t_resolved")
    try:
        for name in ("owner", "app", "intake", "ops"):
            with engine_for(getattr(urls, name)).connect() as connection:
                found = connection.execute(
                    text("select current_user::text, current_database()::text")
                ).one()
            assert tuple(found) == (f"crm_{name}", "t_resolved")
        assert make_url(urls.dagster).drivername == "postgresql+psycopg2"
        assert make_url(urls.dagster).database == "t_resolved_dagster"
    finally:
        dispose_engines()
        drop_databases(server, "t_resolved")


def test_some_urls_without_the_others_are_refused(settings: Settings) -> None:
    """Half of the parts would work on the embedded server, without a word."""
    partly = settings.model_copy(update={"app_url": SecretStr("postgresql://u@localhost/d")})
    with pytest.raises(BadSetting, match="CRM_INTEGRATION_OWNER_URL.*not set"):
        resolve(partly)


def test_urls_from_the_settings_start_no_server(tmp_path: Path) -> None:
    """In production the home may not even be writable."""
    given = SecretStr("postgresql://u:hidden-word@localhost/d")
    settings = Settings(
        home=tmp_path / "untouched",
        mappings=tmp_path,
        owner_url=given,
        app_url=given,
        intake_url=given,
        ops_url=given,
        dagster_url=given,
    )
    urls = resolve(settings)
    behind = "://u:hidden-word@localhost/d"  # pragma: allowlist secret
    assert urls.app == f"postgresql+psycopg{behind}"
    assert urls.dagster == f"postgresql+psycopg2{behind}"
    assert not (tmp_path / "untouched").exists()
    assert "hidden-word" not in repr(urls)


def test_sessions_are_in_utc_and_end_forgotten_statements(urls: DatabaseUrls) -> None:
    """A laptop's time zone once moved every window by an hour."""
    with engine_for(urls.app).connect() as connection:
        shown = [
            connection.execute(text("select current_setting(:name)"), {"name": name}).scalar()
            for name in ("TimeZone", "statement_timeout", "application_name")
        ]
    assert shown == ["UTC", "10min", "crm_integration"]


def test_a_forked_process_gets_an_engine_of_its_own(urls: DatabaseUrls) -> None:
    """Two processes on one socket read each other's answers."""
    engine = engine_for(urls.app)
    assert engine_for(urls.app) is engine
    with engine.connect() as connection:
        parent = connection.execute(text("select pg_backend_pid()")).scalar_one()
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        with engine_for(urls.app).connect() as connection:
            backend = connection.execute(text("select pg_backend_pid()")).scalar_one()
        os.write(writer, str(backend).encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as answer:
        other = answer.read()
    assert os.waitpid(child, 0)[1] == 0
    assert int(other) != parent
    with engine.connect() as connection:
        assert connection.execute(text("select pg_backend_pid()")).scalar_one() == parent
