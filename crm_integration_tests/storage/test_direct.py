"""Statements that go straight to the driver say what SQLAlchemy's say, and fail as they do."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Connection, Executable, Uuid, any_, bindparam, event, func, select, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.exc import DBAPIError, InternalError, ProgrammingError, StatementError

from crm_integration.storage import direct
from crm_integration.storage.direct import DirectConnection
from crm_integration.storage.engine import dispose_engines, engine_for
from crm_integration.storage.urls import DatabaseUrls


@pytest.fixture
def connection(urls: DatabaseUrls) -> Iterator[Connection]:
    engine = engine_for(urls.app, pool_size=3)
    with engine.begin() as made:
        yield made
    dispose_engines()


def _went(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """What goes straight to the driver from now on."""
    went: list[bytes] = []
    real: Any = DirectConnection._run  # pyright: ignore[reportPrivateUsage]

    def run(self: Any, compiled: Any, parameters: Any) -> Any:
        went.append(compiled.sql)
        return real(self, compiled, parameters)

    monkeypatch.setattr(DirectConnection, "_run", run)
    return went


def _often(connection: Connection, statement: Executable, given: dict[str, Any]) -> Any:
    for _ in range(5):
        connection.execute(statement, given)
    return connection.execute(statement, given)


def test_rows_are_the_same_by_name_and_by_place(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    went = _went(monkeypatch)
    statement = text("select :number + 1 as more, :word as word, '{a,b}'::text[] as several")
    first = connection.execute(statement, {"number": 1, "word": "x"}).one()
    for number in range(6):
        row = connection.execute(statement, {"number": number, "word": "x"}).one()
    assert went
    assert (row.more, row.word, row.several) == (6, "x", ["a", "b"])
    assert row._fields == first._fields == ("more", "word", "several")
    assert [one.more for one in connection.execute(statement, {"number": 8, "word": "x"})] == [9]
    assert connection.scalar(statement, {"number": 4, "word": "x"}) == 5


def test_lists_times_and_values_of_its_own_come_through(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    went, key = _went(monkeypatch), uuid4()
    asked = bindparam("ids", type_=ARRAY(Uuid))
    statement = select(func.upper("a").label("letter"), func.now().label("at")).where(
        bindparam("key", type_=Uuid) == any_(asked)
    )
    row = _often(connection, statement, {"ids": [key, UUID(int=1)], "key": key}).one()
    assert went
    assert row.letter == "A"
    assert isinstance(row.at, datetime)
    assert row.at.astimezone(UTC).year >= 2025
    assert connection.execute(statement, {"ids": [UUID(int=1)], "key": key}).all() == []


def test_how_many_rows_were_changed_is_told(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection.execute(text("create temporary table several (number int) on commit drop"))
    connection.execute(text("insert into several select generate_series(1, 7)"))
    went = _went(monkeypatch)
    changed = _often(connection, text("update several set number = number + :more"), {"more": 0})
    assert went
    assert changed.rowcount == 7


def test_an_error_is_sqlalchemys_and_shows_no_value(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    went = _went(monkeypatch)
    statement = text("select 10 / cast(:number as int), cast(:word as text)")
    _often(connection, statement, {"number": 1, "word": "calm"})
    with pytest.raises(DBAPIError) as raised:
        connection.execute(statement, {"number": 0, "word": "someones-secret"})
    assert went
    assert raised.value.orig is not None
    assert "someones-secret" not in str(raised.value)
    with pytest.raises((InternalError, ProgrammingError)):
        connection.execute(statement, {"number": 1, "word": "after"})


def test_a_lost_connection_is_known_to_be_lost(urls: DatabaseUrls) -> None:
    """What is not told to the pool would be handed to the next one who asks."""
    statement = text("select cast(:number as int)")
    engine = engine_for(urls.app, pool_size=2)
    with engine.connect() as connection:
        transaction = connection.begin()
        _often(connection, statement, {"number": 1})
        mine = connection.execute(text("select pg_backend_pid()")).scalar_one()
        with engine.begin() as other:
            other.execute(text("select pg_terminate_backend(:mine)"), {"mine": mine})
        with pytest.raises(DBAPIError) as raised:
            connection.execute(statement, {"number": 1})
        assert raised.value.connection_invalidated
        transaction.rollback()
        with connection.begin():
            assert connection.execute(statement, {"number": 7}).scalar_one() == 7
    dispose_engines()


def test_who_listens_hears_every_statement(connection: Connection) -> None:
    """A count of statements that misses the direct ones would be a lie."""
    statement = text("select cast(:number as int)")
    _often(connection, statement, {"number": 1})
    heard: list[str] = []

    def note(*told: Any) -> None:
        heard.append(told[2])

    event.listen(connection.engine, "before_cursor_execute", note)
    try:
        connection.execute(statement, {"number": 1})
    finally:
        event.remove(connection.engine, "before_cursor_execute", note)
    assert len(heard) == 1


def test_other_values_than_usual_go_the_usual_way(connection: Connection) -> None:
    """A value that was left out, or came in addition, is SQLAlchemy's to refuse."""
    statement = text("select cast(:number as int), cast(:other as text)")
    _often(connection, statement, {"number": 1, "other": "x"})
    with pytest.raises(StatementError):
        connection.execute(statement, {"number": 1, "less": 2})


def test_a_statement_that_is_built_each_time_is_not_kept(connection: Connection) -> None:
    """Memory stays flat however many are built: SQLAlchemy remembers some hundreds of them."""
    for number in range(3_000):
        connection.execute(text(f"select {number}"))
    gc.collect()
    assert len(direct._kept) < 1_500  # pyright: ignore[reportPrivateUsage]
