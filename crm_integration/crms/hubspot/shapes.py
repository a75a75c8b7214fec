"""The three batches we send: upsert by our key, update by record id, default association.

Prevents an answer from being credited to the wrong record: each shape knows by which ids HubSpot
names the items it was given.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from crm_integration.crms._contract import Association, FieldValue, Write
from crm_integration.crms.hubspot.answers import list_of, object_of
from crm_integration.crms.hubspot.batches import Numbered
from crm_integration.errors import DataRejected


def as_text(value: FieldValue) -> str:
    """A value as HubSpot takes it: always text, "" clears the property."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return format(Decimal(repr(value)), "f")
    return str(value)


def is_utf8(text: str) -> bool:
    """False for text with a lone surrogate, which no request can carry."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def unsendable(write: Write) -> DataRejected | None:
    """The error of a record no request can carry; sent, it would break the batch's other 99."""
    for name, value in write.fields.items():
        if isinstance(value, str) and not is_utf8(value):
            return DataRejected(
                f"the field {name} holds a broken character (a lone surrogate): correct it at "
                "its source",
                field=name,
                code="NOT_UTF8",
            )
    return None


def context_ids(error: Mapping[str, Any], *names: str) -> list[str]:
    """The ids an error of a 207 names in its context; HubSpot gives lists of text."""
    context = object_of(error.get("context"))
    return [str(value) for name in names for value in list_of(context.get(name))]


@dataclass(frozen=True)
class _RecordBatch(ABC):
    """What upsert and update share: HubSpot gives our trace id back with results and errors."""

    hubspot_type: str
    key_field: str

    @abstractmethod
    def name_of(self, item: Write) -> str | None:
        """The id by which the batch names the record."""

    def writes_field(self, item: Write, name: str) -> bool:
        """Whether a property that does not exist spoils this record."""
        return name in item.fields

    def owners_of_error(self, error: Mapping[str, Any], items: Numbered[Write]) -> Sequence[int]:
        """The records an error's context names."""
        named = set(context_ids(error, "ids", "id"))
        traces = set(context_ids(error, "objectWriteTraceId"))
        return [n for n, item in items if str(n) in traces or self.name_of(item) in named]

    def owners_of_result(self, result: Mapping[str, Any], items: Numbered[Write]) -> Sequence[int]:
        """The write a result belongs to: by trace id, else by the name we gave it."""
        if trace := result.get("objectWriteTraceId"):
            return [n for n, _ in items if str(n) == str(trace)]
        names = {str(result.get("id", "")), object_of(result.get("properties")).get(self.key_field)}
        return [n for n, item in items if self.name_of(item) in names]


class UpsertByKey(_RecordBatch):
    """Creates, by our unique key: the same create again finds the record of the first."""

    @property
    def path(self) -> str:
        """Endpoint; creating by `batch/create` would double a record after a lost answer."""
        return f"crm/v3/objects/{self.hubspot_type}/batch/upsert"

    def name_of(self, item: Write) -> str:
        """Our key."""
        return item.key

    def input_of(self, number: int, item: Write) -> dict[str, Any]:
        """One entry of `inputs`; the key is sent among the properties, too, to be given back."""
        properties = {name: as_text(value) for name, value in item.fields.items()}
        return {
            "id": item.key,
            "idProperty": self.key_field,
            "objectWriteTraceId": str(number),
            "properties": {**properties, self.key_field: item.key},
        }


class UpdateById(_RecordBatch):
    """Updates of known records, and adoptions. `idProperty` must be left out for record ids."""

    @property
    def path(self) -> str:
        """Endpoint."""
        return f"crm/v3/objects/{self.hubspot_type}/batch/update"

    def name_of(self, item: Write) -> str | None:
        """The record's id."""
        return item.record_id

    def input_of(self, number: int, item: Write) -> dict[str, Any]:
        """One entry of `inputs`; an adopted record is given our key."""
        properties = {name: as_text(value) for name, value in item.fields.items()}
        if item.adopt:
            properties[self.key_field] = item.key
        return {
            "id": item.record_id,
            "objectWriteTraceId": str(number),
            "properties": properties,
        }


@dataclass(frozen=True)
class DefaultAssociation:
    """Unlabelled associations between two types; making one that stands is no error."""

    from_type: str
    to_type: str

    @property
    def path(self) -> str:
        """Endpoint (v4)."""
        pair = f"{self.from_type}/{self.to_type}"
        return f"crm/v4/associations/{pair}/batch/associate/default"

    def input_of(self, number: int, item: Association) -> dict[str, Any]:
        """One entry of `inputs`."""
        return {"from": {"id": item.from_id}, "to": {"id": item.to_id}}

    def writes_field(self, item: Association, name: str) -> bool:
        """Associations carry no properties."""
        return False

    def owners_of_error(
        self, error: Mapping[str, Any], items: Numbered[Association]
    ) -> Sequence[int]:
        """The pairs an error names; with one end named, every pair that has it."""
        from_ids = set(context_ids(error, "fromObjectId", "fromId", "from"))
        to_ids = set(context_ids(error, "toObjectId", "toId", "to"))
        if not from_ids and not to_ids:
            named = set(context_ids(error, "ids", "id"))
            return [n for n, item in items if item.from_id in named or item.to_id in named]
        return [
            n
            for n, item in items
            if (not from_ids or item.from_id in from_ids) and (not to_ids or item.to_id in to_ids)
        ]

    def owners_of_result(
        self, result: Mapping[str, Any], items: Numbered[Association]
    ) -> Sequence[int]:
        """The pair a result names; HubSpot answers once for each direction."""
        ends = {str(object_of(result.get(end)).get("id", "")) for end in ("from", "to")}
        return [n for n, item in items if {item.from_id, item.to_id} == ends]
