"""Many rows at once: COPY into a temporary table, then one statement from there.

Prevents the insert per record (9 to 20 times slower, platform-facts) and the COPY that row
level security refuses: the temporary table has no policy, the INSERT … SELECT passes it. And the
table that is made, analysed and dropped for a single row: a few rows travel as one JSON value (an
array for each of twenty columns took a tenth of a live run's processor time). And the statement
that is built anew for every event, which costs four times what running it does: with `hand` it is
built once, and only the rows change.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import chain, islice
from typing import Any
from typing import cast as cast_to

import orjson
from sqlalchemy import (
    JSON,
    BindParameter,
    Boolean,
    Column,
    Connection,
    Date,
    DateTime,
    Double,
    FromClause,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    Uuid,
    bindparam,
    cast,
    column,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.schema import CreateTable
from sqlalchemy.types import TypeEngine

_IN_USE = "crm_integration.staged"

FEW = 50
"""Rows that travel as JSON; a temporary table costs three round trips and some rows of the
database's own catalogue."""

FEW_BYTES = 1024 * 1024
"""Bytes of such rows' sealed values: as JSON they are held in memory several times."""

_PLAIN = (Boolean, Date, DateTime, Double, Integer, LargeBinary, Text, Uuid)
"""Types whose values PostgreSQL reads from JSON as they are; of bytes their hexadecimal form."""


def stage(
    connection: Connection,
    target: Table,
    columns: Sequence[str],
    rows: Iterable[Sequence[Any]],
) -> FromClause:
    """Rows to join with or to insert from, with `columns` (types as in `target`).

    Rows are tuples in the order of `columns`. Many are a temporary table, gone at commit.
    """
    source = iter(rows)
    some = list(islice(source, FEW + 1))
    types = [target.c[name].type for name in columns]
    if not _are_few(some, types):
        return _copied(connection, target, columns, chain(some, source))
    given = bindparam(None, _json(columns, some), type_=Text)
    return _recordset(f"staged_{target.name}_{_number(connection)}", columns, types, given)


@dataclass(frozen=True)
class Handed:
    """Rows for a statement that is built once: `source` is the same object for all rows of this
    shape, so a builder may be cached by it; `values` go along when it is executed."""

    source: FromClause
    values: Mapping[str, Any] = field(repr=False)


def hand(
    connection: Connection,
    name: str,
    target: Table,
    columns: Sequence[str],
    rows: Iterable[Sequence[Any]],
) -> Handed:
    """As `stage`, with the rows apart from the statement; `name` is the source's in its statement.

    Many rows are a temporary table, and nothing goes along.
    """
    source = iter(rows)
    some = list(islice(source, FEW + 1))
    names = tuple(columns)
    types = [target.c[one].type for one in names]
    if not _are_few(some, types):
        return Handed(_copied(connection, target, names, chain(some, source)), {})
    return Handed(_handed(name, target, names), {f"{name}__rows": _json(names, some)})


@lru_cache(maxsize=1_024)
def _handed(name: str, target: Table, columns: tuple[str, ...]) -> FromClause:
    types = [target.c[one].type for one in columns]
    return _recordset(name, columns, types, bindparam(f"{name}__rows", type_=Text))


def _recordset(
    name: str,
    columns: Sequence[str],
    types: Sequence[TypeEngine[Any]],
    given: BindParameter[str],
) -> FromClause:
    typed = (column(one, kind) for one, kind in zip(columns, types, strict=True))
    rows = func.json_to_recordset(cast(given, JSON)).table_valued(*typed)
    return rows.render_derived(name=name, with_types=True)


def _are_few(rows: Sequence[Sequence[Any]], types: Sequence[TypeEngine[Any]]) -> bool:
    """Whether these rows, FEW + 1 at most, may travel as JSON."""
    if len(rows) > FEW or not all(_travels(one) for one in types):
        return False
    sealed = [place for place, kind in enumerate(types) if isinstance(kind, LargeBinary)]
    return sum(len(row[place] or b"") for row in rows for place in sealed) <= FEW_BYTES


def _travels(kind: TypeEngine[Any]) -> bool:
    if isinstance(kind, ARRAY):
        return isinstance(cast_to(Any, kind).item_type, (Uuid, Text))
    return isinstance(kind, _PLAIN)


def _json(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    names = [str(one) for one in columns]  # a column's own name is of a kind of its own
    named = [dict(zip(names, row, strict=True)) for row in rows]
    return orjson.dumps(named, default=_as_text).decode()


def _as_text(value: object) -> str:
    if isinstance(value, (bytes, bytearray, memoryview)):
        return f"\\x{value.hex()}"
    raise TypeError(f"a {type(value).__name__} cannot travel as JSON")


def _copied(
    connection: Connection,
    target: Table,
    columns: Sequence[str],
    rows: Iterable[Sequence[Any]],
) -> Table:
    staged = _staging_table(target, tuple(columns), _number(connection))
    connection.execute(CreateTable(staged))
    raw = connection.connection.driver_connection
    assert raw is not None  # the pool always holds a live driver connection here
    quoted = connection.dialect.identifier_preparer.format_table(staged)
    with raw.cursor() as cursor, cursor.copy(f"COPY {quoted} FROM STDIN") as copy:
        for row in rows:
            copy.write_row(row)
    connection.exec_driver_sql(f"ANALYZE {quoted}")
    return staged


@lru_cache(maxsize=1_024)
def _staging_table(target: Table, columns: tuple[str, ...], number: int) -> Table:
    """One object per shape and number: SQLAlchemy's statement cache goes by the table object, so
    a fresh one would have every statement compiled anew, chunk after chunk."""
    return Table(
        f"staged_{target.name}_{number}",
        MetaData(),
        *(Column(name, target.c[name].type) for name in columns),
        prefixes=["TEMPORARY"],
        postgresql_on_commit="DROP",
    )


def _number(connection: Connection) -> int:
    """Counts the staging tables of one transaction from 1, so that names recur in the next."""
    transaction = connection.get_transaction()
    before, number = connection.info.get(_IN_USE, (None, 0))
    number = number + 1 if before is transaction else 1
    connection.info[_IN_USE] = (transaction, number)
    return number


def join_by_hash(connection: Connection) -> None:
    """For this transaction: whole windows are joined by hash, not row by row.

    Reports over a run's windows come right after the rows were written, when the planner's
    statistics still say that there are none; a nested loop then reads a table a row.
    """
    connection.execute(text("set local enable_nestloop = off"))
