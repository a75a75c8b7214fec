"""Rows for a statement that is built once: the statement is the same, the rows are not."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import func, select

from crm_integration.storage.bulk import FEW, hand, stage
from crm_integration.storage.tables.canonical import products
from crm_integration.storage.tables.intake import raw_records
from crm_integration_tests.house import Tenant

_NAMES = ("object_type", "source_id", "flags")


def test_rows_of_one_shape_share_a_source_and_keep_their_values(tenant: Tenant) -> None:
    """The second batch was answered with the first one's rows."""
    with tenant.scope() as scope:
        place = (scope.connection, "asked", raw_records, _NAMES)
        one = hand(*place, [("order", "7", ['a "b", c'])])
        other = hand(*place, [("order", "8", []), ("cart", "9", ["x", "y"])])
        assert one.source is other.source
        statement = select(one.source)
        found = [scope.connection.execute(statement, each.values).all() for each in (one, other)]
    assert [tuple(row) for row in found[0]] == [("order", "7", ['a "b", c'])]
    assert [tuple(row) for row in found[1]] == [("order", "8", []), ("cart", "9", ["x", "y"])]


def test_two_sources_of_one_statement_do_not_mix(tenant: Tenant) -> None:
    """Both were called by their table, and one got the other's rows."""
    with tenant.scope() as scope:
        left = hand(scope.connection, "left", raw_records, ("source_id",), [("1",), ("2",)])
        right = hand(scope.connection, "right", raw_records, ("source_id",), [("2",), ("3",)])
        both = select(left.source.c.source_id).where(
            left.source.c.source_id == right.source.c.source_id
        )
        rows = scope.connection.execute(both, {**left.values, **right.values}).all()
    assert [row.source_id for row in rows] == ["2"]


def test_a_column_may_be_named_by_itself(tenant: Tenant) -> None:
    """A name that came from the column was no text to the JSON's writer."""
    name, key = raw_records.c.uid.name, UUID(int=7)
    with tenant.scope() as scope:
        staged = stage(scope.connection, raw_records, (name, "payload"), [(key, b"\x00\xff")])
        handed = hand(scope.connection, "asked", raw_records, (name,), [(key,)])
        assert [tuple(row) for row in scope.connection.execute(select(staged))] == [
            (key, b"\x00\xff")
        ]
        assert scope.connection.scalar(select(handed.source), handed.values) == key


def test_many_rows_are_a_table_and_so_is_what_no_list_of_rows_can_carry(tenant: Tenant) -> None:
    """Fifty thousand orders as one parameter, and a JSON value that became text."""
    with tenant.scope() as scope:
        many = hand(
            scope.connection, "asked", raw_records, _NAMES,
            (("order", str(one), []) for one in range(FEW + 1)),
        )  # fmt: skip
        odd = hand(scope.connection, "asked", products, ("variants",), [('[{"sku": "A"}]',)])
        assert not many.values
        assert not odd.values
        assert scope.connection.scalar(select(func.count()).select_from(many.source)) == FEW + 1
        assert scope.connection.scalar(select(odd.source.c.variants)) == [{"sku": "A"}]
