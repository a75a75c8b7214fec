"""A canonical object together with where it came from and under which rules it passed.

Prevents a canonical row that cannot be traced: nothing is written without its raw record, the
run, and the rules version that let it through.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import orjson

from crm_integration.canonical.model import StoreObject
from crm_integration.tenancy.scope import TenantScope

T = TypeVar("T", bound=StoreObject, covariant=True)


@dataclass(frozen=True)
class Sourced(Generic[T]):
    """`item` as raw record `raw_id` of a connection says it."""

    item: T
    connection_id: str
    raw_id: int
    observation: int


@dataclass(frozen=True)
class Stamp:
    """The run that writes, and the version of the rules that the rows have passed."""

    run_id: str
    rules_version: str


def version_values(
    sourced: Sourced[StoreObject],
    stamp: Stamp,
    *,
    rank: int,
    content: bytes,
    schema_version: int,
) -> tuple[Any, ...]:
    """Values of `upsert.VERSION_COLUMNS`."""
    return (
        rank,
        sourced.item.source_time,
        sourced.observation,
        sourced.raw_id,
        content,
        schema_version,
        stamp.rules_version,
        list(sourced.item.flags),
        stamp.run_id,
    )


def content_digest(scope: TenantScope, entity: str, parts: Sequence[Any]) -> bytes:
    """Keyed digest of what an object says, whatever order and time it came in."""
    return scope.keys.digest(f"content.{entity}", orjson.dumps(parts, default=str))


def seal_fields(scope: TenantScope, table: str, row: str, fields: dict[str, Any]) -> bytes:
    """The personal fields of one row as sealed JSON."""
    return scope.keys.seal(table, row, orjson.dumps(fields, default=str))


def open_fields(scope: TenantScope, table: str, row: str, sealed: bytes | None) -> dict[str, Any]:
    """What `seal_fields` sealed; nothing for a row without personal fields."""
    return {} if sealed is None else orjson.loads(scope.keys.open(table, row, sealed))
