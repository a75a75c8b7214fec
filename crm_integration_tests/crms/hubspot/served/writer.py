"""One record looked at, decided and written, as the engine does it, without its ledger."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from crm_integration.crms._contract import Association, CrmRecord, FieldNeed, Write
from crm_integration.crms.hubspot.adapter import Adapter
from crm_integration.mapping.compile import compile_mapping
from crm_integration.mapping.load import load_mapping, versions
from crm_integration.mapping.model import CompiledMapping, FieldValue
from crm_integration.mapping.ownership import diff, remembered, to_write
from crm_integration_tests.mapping.views import MAPPINGS

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def newest(object_type: str) -> CompiledMapping:
    """The latest released mapping of an object type."""
    version = versions(MAPPINGS, "hubspot", object_type)[-1]
    return compile_mapping(load_mapping(MAPPINGS, "hubspot", object_type, version))


def needs(mapping: CompiledMapping) -> list[FieldNeed]:
    """What the account must have for this mapping."""
    written = [FieldNeed(one.name, one.kind, one.label) for one in mapping.fields.values()]
    return written + [FieldNeed(name, "bool", written=False) for name in mapping.opt_outs]


@dataclass
class Writer:
    """Writes records of one object type and remembers what the CRM gave back."""

    adapter: Adapter
    object_type: str
    mapping: CompiledMapping = field(init=False)
    base: dict[str, FieldValue] = field(default_factory=lambda: dict[str, FieldValue]())
    sent: dict[str, FieldValue] = field(default_factory=lambda: dict[str, FieldValue]())

    def __post_init__(self) -> None:
        self.mapping = newest(self.object_type)
        self.adapter.prepare(self.object_type, needs(self.mapping))

    def create(self, key: str, view: dict[str, Any]) -> str:
        """A new record's id."""
        desired = {
            name: value for name, value in self.mapping.project(view).items() if value is not None
        }
        return self._write(Write(key, None, desired))

    def adopt(self, key: str, view: dict[str, Any], record: CrmRecord) -> dict[str, FieldValue]:
        """What was written of a record that was there before us."""
        return self._decided(key, view, record, adopt=True)

    def update(self, key: str, view: dict[str, Any], record_id: str) -> dict[str, FieldValue]:
        """What was written of a record of ours."""
        found = self.adapter.read(self.object_type, [record_id], self.mapping.reads)
        return self._decided(key, view, found[record_id], adopt=False)

    def _decided(
        self, key: str, view: dict[str, Any], record: CrmRecord, *, adopt: bool
    ) -> dict[str, FieldValue]:
        decisions = diff(
            self.mapping, desired=self.mapping.project(view), given_back=self.base,
            current=record.fields, desired_at=NOON, current_at=record.updated_at,
            bound_before=bool(self.sent), sent=self.sent,
        )  # fmt: skip
        fields = to_write(decisions)
        if fields or adopt:
            self._write(Write(key, record.record_id, fields, adopt=adopt))
        return fields

    def _write(self, write: Write) -> str:
        (outcome,) = self.adapter.write(self.object_type, [write])
        assert outcome.record is not None, outcome.error
        self.sent |= write.fields
        self.base = remembered(
            self.base, written=write.fields, answered=outcome.record.fields
        )  # fmt: skip
        return outcome.record.record_id


def tie(adapter: Adapter, start: tuple[str, str], end: tuple[str, str]) -> None:
    """Associate two records, (object type, record id) each."""
    assert adapter.associate([Association(*start, *end)]) == [None]
