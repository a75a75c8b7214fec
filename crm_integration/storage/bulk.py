"""Many rows at once: COPY into a temporary table, then one statement from there.

Prevents the insert per record (9 to 20 times slower, platform-facts) and the COPY that row
level security refuses: the temporary table has no policy, the INSERT … SELECT passes it. And the
table that is made, analysed and dropped for a single row: a few rows travel as arrays. And the
statement that is built anew for every event, which costs four times what running it does: with
`hand` it is built once, and only the rows change.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import lru_cache
from itertools import chain, islice
from typing import Any
from typing import cast as cast_to

from sqlalchemy import (
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
    select,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.schema import CreateTable
from sqlalchemy.types import TypeEngine

_IN_USE = "crm_integration.staged"

FEW = 50
"""Rows that travel as arrays; a temporary table costs three round trips and some rows of the
database's own catalogue."""

_PLAIN = (Boolean, Date, DateTime, Double, Integer, LargeBinary, Text, Uuid)
"""Types whose values may travel in an array."""


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
    if len(some) <= FEW and all(_travels(one) for one in types):
        return _arrays(f"staged_{target.name}_{_number(connection)}", columns, types, some)
    return _copied(connection, target, columns, chain(some, source))


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
    if len(some) > FEW or not all(_travels(one) for one in types):
        return Handed(_copied(connection, target, names, chain(some, source)), {})
    values = {
        f"{name}__{column}": [_sendable(row[place], types[place]) for row in some]
        for place, column in enumerate(names)
    }
    return Handed(_handed(name, target, names), values)


@lru_cache(maxsize=1_024)
def _handed(name: str, target: Table, columns: tuple[str, ...]) -> FromClause:
    types = [target.c[one].type for one in columns]
    given = [
        bindparam(f"{name}__{column}", type_=ARRAY(_sent(kind)))
        for column, kind in zip(columns, types, strict=True)
    ]
    return _unnested(name, columns, types, given)


def _travels(kind: TypeEngine[Any]) -> bool:
    return isinstance(kind, _PLAIN) or _is_list(kind)


def _is_list(kind: TypeEngine[Any]) -> bool:
    return isinstance(kind, ARRAY) and isinstance(cast_to(Any, kind).item_type, (Uuid, Text))


def _arrays(
    name: str, columns: Sequence[str], types: Sequence[TypeEngine[Any]], rows: list[Sequence[Any]]
) -> FromClause:
    """The rows as one array a column. An array of arrays would come apart: those travel as text."""
    values = [[_sendable(row[place], types[place]) for row in rows] for place in range(len(types))]
    given = [
        bindparam(None, one, type_=ARRAY(_sent(kind)))
        for one, kind in zip(values, types, strict=True)
    ]
    return _unnested(name, columns, types, given)


def _sent(kind: TypeEngine[Any]) -> TypeEngine[Any]:
    return Text() if _is_list(kind) else kind


def _unnested(
    name: str,
    columns: Sequence[str],
    types: Sequence[TypeEngine[Any]],
    given: Sequence[BindParameter[Any]],
) -> FromClause:
    unnested = func.unnest(*given).table_valued(
        *(column(one, _sent(kind)) for one, kind in zip(columns, types, strict=True))
    )
    derived = unnested.render_derived(name=name)
    if not any(_is_list(kind) for kind in types):
        return derived
    return select(
        *(
            cast(derived.c[one], kind).label(one) if _is_list(kind) else derived.c[one]
            for one, kind in zip(columns, types, strict=True)
        )
    ).subquery(f"{name}_typed")


def _sendable(value: Any, kind: TypeEngine[Any]) -> Any:
    if value is None:
        return None
    if _is_list(kind):
        return "{" + ",".join(_quoted(str(one)) for one in value) + "}"
    if isinstance(kind, Text):
        return str(value.value if isinstance(value, Enum) else value)
    return value


def _quoted(one: str) -> str:
    escaped = one.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


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
