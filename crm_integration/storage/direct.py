"""Statements that are built once go straight to the driver.

Prevents the interpretation of what is known: SQLAlchemy takes 50 of the 77 microseconds of a small
statement to look at its types, its cursor and its columns anew for each execution, and a live pass
consists of small statements. What it compiles is kept by statement; only values travel. Errors are
SQLAlchemy's own, and whatever this does not understand goes SQLAlchemy's way.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast
from weakref import WeakKeyDictionary

from psycopg import Cursor
from psycopg import Error as DriverError
from sqlalchemy import ARRAY, Connection, Dialect, Engine
from sqlalchemy.engine.base import OptionEngine
from sqlalchemy.engine.result import IteratorResult, SimpleResultMetaData
from sqlalchemy.sql.base import Executable
from sqlalchemy.sql.compiler import SQLCompiler

_CURSOR = "crm_integration.cursor"
_SEEN_OFTEN = 3
"""Executions after which a statement is believed to be one that is built once."""

_Value = Callable[[Any], Any]


@dataclass
class _Compiled:
    """A statement as the driver takes it."""

    sql: bytes
    names: frozenset[str]
    """Those of the values that are given for each execution."""
    fixed: Mapping[str, Any] = field(repr=False)
    """Values that belong to the statement."""
    made: Mapping[str, _Value] = field(repr=False)
    """How given values become the driver's, where they are not so already."""
    shape: SimpleResultMetaData | None = None

    def values(self, given: Mapping[str, Any]) -> dict[str, Any]:
        values = {**self.fixed, **given}
        for name, made in self.made.items():
            values[name] = made(values[name])
        return values


class _Rows(IteratorResult[Any]):
    """A result that also tells how many rows a statement has changed."""

    rowcount: int = -1


_kept: WeakKeyDictionary[Executable, _Compiled | int | None] = WeakKeyDictionary()
"""By statement: compiled; how often it was seen; or None, where it goes SQLAlchemy's way. All
connections of a process speak one dialect."""


class DirectConnection(Connection):
    """A connection whose statements go straight to the driver where they can, once a transaction
    was begun or none is needed.

    Whoever listens to the execution of statements hears all of them: then none goes this way.
    """

    def execute(self, statement: Any, parameters: Any = None, **options: Any) -> Any:
        """As SQLAlchemy's."""
        compiled = self._direct(statement, parameters or {}, options)
        if compiled is None:
            return super().execute(statement, parameters, **options)
        return self._run(compiled, parameters or {})

    def scalar(self, statement: Any, parameters: Any = None, **options: Any) -> Any:
        """As SQLAlchemy's."""
        compiled = self._direct(statement, parameters or {}, options)
        if compiled is None:
            return super().scalar(statement, parameters, **options)
        return self._run(compiled, parameters or {}).scalar()

    def _direct(self, statement: Any, parameters: Any, options: Any) -> _Compiled | None:
        if not isinstance(parameters, dict) or options or _is_heard(self.dispatch):
            return None
        given = cast(dict[str, Any], parameters)
        kept = _kept.get(statement, 0)
        if isinstance(kept, int):
            seen = kept + 1
            kept = seen if seen < _SEEN_OFTEN else _compiled(statement, given, self.dialect)
            _kept[statement] = kept
        if not isinstance(kept, _Compiled) or kept.names != given.keys():
            return None
        return kept if self.in_transaction() or _alone(self) else None

    def _run(self, compiled: _Compiled, parameters: Mapping[str, Any]) -> _Rows:
        cursor = self._cursor()
        try:
            cursor.execute(compiled.sql, compiled.values(parameters))
            told = cursor.pgresult is not None and cursor.pgresult.nfields > 0
            rows = cursor.fetchall() if told else []
        except DriverError as error:
            # Not the values: they may be personal, and an error is told.
            self._handle_dbapi_exception(error, compiled.sql.decode(), None, None, None)
        if compiled.shape is None:
            names = [one.name for one in cursor.description or ()]
            compiled.shape = SimpleResultMetaData(names)
        result = _Rows(compiled.shape, iter(rows))
        result.rowcount = cursor.rowcount
        return result

    def _cursor(self) -> Cursor[tuple[Any, ...]]:
        """One for each connection of the driver's: what it holds is read before the next use."""
        info = self.info
        cursor: Cursor[tuple[Any, ...]] | None = info.get(_CURSOR)
        if cursor is not None and not cursor.closed:
            return cursor
        driver: Any = self.connection.dbapi_connection
        made: Cursor[tuple[Any, ...]] = driver.cursor()
        info[_CURSOR] = made
        return made


def _is_heard(dispatch: Any) -> bool:
    """Whether somebody listens to what is executed."""
    return bool(
        dispatch.before_cursor_execute
        or dispatch.after_cursor_execute
        or dispatch.before_execute
        or dispatch.after_execute
    )


class _WithOptions(OptionEngine):
    _connection_cls = DirectConnection


def speak_directly(engine: Engine) -> None:
    """Let connections of this engine, with other options too, be `DirectConnection`s. Of another
    driver they stay as they are."""
    if engine.dialect.driver == "psycopg":
        # There is no public way to say so.
        told: Any = engine
        told._connection_cls, told._option_cls = DirectConnection, _WithOptions  # noqa: SLF001


def _alone(connection: Connection) -> bool:
    """Whether each statement is a transaction, so that none is to be begun."""
    return connection.get_execution_options().get("isolation_level") == "AUTOCOMMIT"


def _compiled(statement: Any, parameters: Mapping[str, Any], dialect: Dialect) -> _Compiled | None:
    """The statement as the driver takes it; None where its execution needs more than that."""
    compiled: Any = statement.compile(dialect=dialect, column_keys=sorted(parameters))
    if not isinstance(compiled, SQLCompiler) or _needs_more(compiled):
        return None
    columns: list[Any] = compiled._result_columns  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
    if any(_of_driver(one[-1], dialect) is not None for one in columns):
        return None
    made = {name: _to_driver(bind.type, dialect) for name, bind in compiled.binds.items()}
    values = compiled.params
    fixed = {name: value for name, value in values.items() if name not in parameters}
    for name in fixed:
        process = made.get(name)
        fixed[name] = fixed[name] if process is None else process(fixed[name])
    given = {name: made[name] for name in parameters if made.get(name) is not None}
    return _Compiled(str(compiled).encode(), frozenset(parameters), fixed, given)


def _needs_more(compiled: SQLCompiler) -> bool:
    """Lists that become as many places, and defaults that Python makes."""
    lists = compiled.post_compile_params or compiled.literal_execute_params
    return bool(lists or compiled.insert_prefetch or compiled.update_prefetch)


def _to_driver(kind: Any, dialect: Dialect) -> Any:
    return kind.dialect_impl(dialect).bind_processor(dialect)


def _of_driver(kind: Any, dialect: Dialect) -> Any:
    if isinstance(kind, ARRAY) and not kind.as_tuple:
        # The driver's is a list already; SQLAlchemy makes another one of it.
        return _of_driver(cast(Any, kind).item_type, dialect)
    return kind.dialect_impl(dialect).result_processor(dialect, None)
