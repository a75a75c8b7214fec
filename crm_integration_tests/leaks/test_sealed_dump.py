"""A real pg_dump of rows in every form: sealed ones show nothing, open ones show each form.

Prevents a search proven only on bytes that a test made up: here pg_dump itself escapes them.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from crm_integration.storage.embedded import SUPERUSER, EmbeddedServer
from crm_integration.storage.sealing import new_tenant_keys
from crm_integration_tests.leaks.dumps import dump
from crm_integration_tests.leaks.planted import EMAIL, FORMS, NEEDLES
from crm_integration_tests.leaks.search import search_for


def _filled(
    server: EmbeddedServer, database: str, rows: Iterable[bytes], *, output: str = "hex"
) -> None:
    """The only rows of a table with one bytea column; the dump shows bytea as `output`."""
    with psycopg.connect(
        host=str(server.socket_dir), user=SUPERUSER, dbname=database, autocommit=True
    ) as connection:
        connection.execute("set client_min_messages = warning")
        connection.execute("drop table if exists kept")
        connection.execute("create table kept (id int generated always as identity, body bytea)")
        connection.cursor().executemany(
            "insert into kept (body) values (%s)", [(row,) for row in rows]
        )
        connection.execute(
            sql.SQL("alter database {} set bytea_output = {}").format(
                sql.Identifier(database), sql.Literal(output)
            )
        )


def _kinds(dumped: Path) -> set[str]:
    return {hit.needle_kind for hit in search_for(NEEDLES, [dumped])}


def _rows(form: str) -> list[bytes]:
    return [b"{before " + FORMS[form](needle.text) + b" after}" for needle in NEEDLES]


@pytest.mark.parametrize("output", ["hex", "escape"])
@pytest.mark.parametrize("form", FORMS)
def test_open_rows_are_found_in_each_form(
    server: EmbeddedServer, database_prefix: str, tmp_path: Path, form: str, output: str
) -> None:
    """What the next test does not find is found here: the same rows, only open."""
    _filled(server, database_prefix, _rows(form), output=output)
    assert _kinds(dump(server, database_prefix, tmp_path)) == {one.kind for one in NEEDLES}


@pytest.mark.parametrize("output", ["hex", "escape"])
def test_sealed_rows_show_nothing(
    server: EmbeddedServer, database_prefix: str, tmp_path: Path, output: str
) -> None:
    """Nothing of a sealed row can be read from a backup, whatever form it had."""
    keys = new_tenant_keys("aurora")
    opened = [row for form in FORMS for row in _rows(form)]
    sealed = [keys.seal("kept", str(number), row) for number, row in enumerate(opened)]
    _filled(server, database_prefix, sealed, output=output)
    dumped = dump(server, database_prefix, tmp_path)
    assert dumped.read_bytes().count(b"\n") > len(sealed)
    assert search_for(NEEDLES, [dumped]) == []


def test_a_hit_says_the_table(server: EmbeddedServer, database_prefix: str, tmp_path: Path) -> None:
    """The one who mends it needs the place, and must not be shown the person."""
    _filled(server, database_prefix, [EMAIL.text.encode()])
    hits = search_for([EMAIL], [dump(server, database_prefix, tmp_path)])
    assert {hit.where for hit in hits} == {f"{database_prefix}.sql, table public.kept"}
