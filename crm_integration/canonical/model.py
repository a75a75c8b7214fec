"""What every canonical model shares: strictness, a schema version, and the place it came from.

Prevents two stores from meaning different things by one field: a value that does not fit the
model is refused here, with the field's name, before it reaches a table.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field


def _as_utc(value: datetime) -> datetime:
    if value.tzinfo is None:
        raise ValueError("a time without a zone is ambiguous: give it in UTC")
    return value.astimezone(UTC)


UtcTime = Annotated[datetime, AfterValidator(_as_utc)]
"""A moment, always in UTC; naive times are refused since shops answer in shop time."""

Currency = Annotated[str, Field(pattern=r"^[A-Z]{3}$")]
"""ISO 4217 code; whether the code exists is checked where money is read (`money.py`)."""

Minor = int
"""Money in the currency's smallest unit (cents; yen have none), never a float."""


class CanonicalModel(BaseModel):
    """Frozen, no unknown fields. `schema_version` numbers the shape (upcasters read old ones)."""

    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True)


class StoreObject(CanonicalModel):
    """An object a store told us about.

    `source_id` is the store's own id within its connection; `source_time` is when the store
    says this version was made (UTC), the first part of the order of versions.
    """

    source_id: Annotated[str, Field(min_length=1, max_length=200)]
    source_time: UtcTime
    flags: tuple[str, ...] = ()
    """Oddities that were kept and marked, such as `refund_not_positive` or `time_in_future`."""
