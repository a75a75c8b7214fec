"""What each of the engine's object types is in Tryton, behind one face.

Prevents three copies of the look-before-create and of the batch: the adapter does both, a kind
says which model, which fields, and how a change is made.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from crm_integration.crms._contract import FieldValue, Write
from crm_integration.crms.tryton.client import Client, Row
from crm_integration.crms.tryton.directory import Directory
from crm_integration.crms.tryton.values import is_utf8
from crm_integration.errors import DataRejected

PARTY = "party"
"""The field that holds our key of the party a record belongs to."""

TIMES = ("create_date", "write_date")


@dataclass(frozen=True)
class Place:
    """Where a field of ours lives: a Tryton model's field. `kind` as in the contract."""

    kind: str
    model: str
    name: str


@dataclass(frozen=True)
class Around:
    """What a batch needs beside its records: parties by our key, and the database's own lists."""

    directory: Directory
    parties: Mapping[str, int] = field(default_factory=lambda: dict[str, int](), repr=False)


class Kind(ABC):
    """One object type. Rows are as Tryton reads `asked`."""

    model: ClassVar[str]
    places: ClassVar[Mapping[str, Place]]
    asked: ClassVar[tuple[str, ...]]

    @property
    def models(self) -> tuple[str, ...]:
        """All models this kind reads or writes."""
        return tuple(dict.fromkeys(place.model for place in self.places.values()))

    @abstractmethod
    def by_key(self, keys: Sequence[str], parties: Collection[int]) -> list[Any] | None:
        """The domain of the records that carry one of our keys, archived ones among them.

        `parties` are those the records belong to, as far as they are known; None where they
        must be known and are not.
        """

    @abstractmethod
    def keyed(self, parties: Collection[int]) -> list[Any] | None:
        """The domain of the records that carry any key of ours, on `parties` where they must be
        known; None where they must be and are not. What people archived is left out."""

    def read(self, client: Client, ids: Sequence[int]) -> list[Row]:
        """These records, archived ones among them; what is gone is left out."""
        return client.rows(self.model, [["id", "in", list(ids)]], self.asked)

    @abstractmethod
    def keys(self, row: Row) -> list[str]:
        """Our keys on a record."""

    @abstractmethod
    def held(self, row: Row, party: str | None) -> dict[str, FieldValue]:
        """All fields of a record; `party` is our key of the party it belongs to."""

    @abstractmethod
    def party_id(self, row: Row) -> int | None:
        """The party a record belongs to."""

    @abstractmethod
    def times(self, row: Row) -> list[object]:
        """When the record and its parts were made and changed."""

    @abstractmethod
    def new(self, write: Write, around: Around) -> dict[str, Any]:
        """The values of a record to be created. Raises DataRejected, Transient."""

    @abstractmethod
    def change(self, client: Client, write: Write, row: Row, around: Around) -> int:
        """Make a change; the record's id afterwards."""

    @abstractmethod
    def tie(self, party_id: int) -> dict[str, Any]:
        """The values that make a record belong to a party; none where it cannot be changed."""

    @abstractmethod
    def archive(self, client: Client, row: Row) -> None:
        """Put a record where a person can restore it; nothing if it is there already."""

    @abstractmethod
    def finish(self, client: Client, write: Write, record_id: int) -> None:
        """What is left to do of a record that was created."""


def refuse_broken(write: Write) -> None:
    """Raises DataRejected for a record no request can carry."""
    for name, value in write.fields.items():
        if isinstance(value, str) and not is_utf8(value):
            raise DataRejected(
                f"the field {name} holds a broken character (a lone surrogate): correct it at "
                "its source",
                field=name,
                code="NOT_UTF8",
            )


def text_of(fields: Mapping[str, FieldValue], name: str) -> str:
    """A field's value as text; "" where there is none."""
    value = fields.get(name)
    return "" if value is None else str(value).strip()
