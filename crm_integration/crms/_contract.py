"""What every CRM adapter offers, and all that the sync engine knows of a CRM.

Prevents the vendor's batch semantics from leaking into the ledger: whatever a vendor answers
(207, 409 for all, 200 with an error inside), the engine sees one outcome per record. A CRM is a
folder `crms/<crm>/` with `manifest.yaml`, `client.py` (`Client(access, gate)`), `adapter.py`
(`Adapter(client)`) and `describe.py`.

Object types are the engine's (`contact`, `order`, `refund`, …: `mapping.model.OBJECT_TYPES`); the
manifest says where each lands. Two may share one of the CRM's types (refunds and activities are
notes in HubSpot): our key tells their records apart. An adapter never sees a tenant or a
database and never retries: that is the ledger's work.

`archive`, `dissociate`, `changed_since` and `keyed` may be absent: the manifest's `offers` names
those there are (`archive`, `dissociate`, `changes`, `keyed`), and the engine calls no other. A CRM
that does not archive keeps the records of merged customers; one that does not dissociate keeps
their old associations; of one that tells no changes nothing is read but what a write looks at; in
one that does not list what carries our key nobody sees a record too many.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from crm_integration.errors import RemoteError
from crm_integration.transport.token_auth import Renew

FieldValue = str | int | float | bool | None


@dataclass(frozen=True)
class CrmAccess:
    """Where the CRM is and how we may enter; `secrets` never appears in a repr."""

    base_url: str
    secrets: Mapping[str, str] = field(repr=False)
    settings: Mapping[str, Any] = field(default_factory=lambda: dict[str, Any]())
    renew: Renew | None = field(default=None, repr=False)
    """Gives a token in place of one that the account refused; None where nothing runs out."""


Gate = Callable[[str], None]
"""Called with an endpoint class (`search`, `batch`, …) right before each HTTP call; it may wait
for the account's budget, counts the call, and raises Transient when there is none left."""


@dataclass(frozen=True)
class CrmRecord:
    """A record as the CRM holds it now. `key` is our key on it, None when it has none.

    `merged`: ids of records that people merged into this one, directly or through others.
    """

    record_id: str
    key: str | None
    fields: Mapping[str, FieldValue] = field(repr=False)
    updated_at: datetime | None = None
    merged: tuple[str, ...] = ()


@dataclass(frozen=True)
class Write:
    """One record to write: only the fields that change.

    `record_id` None creates (by our key, so that a repeated create is an update); otherwise the
    record with this id is updated and, if `adopt`, given our key.
    """

    key: str
    record_id: str | None
    fields: Mapping[str, FieldValue] = field(repr=False)
    adopt: bool = False


@dataclass(frozen=True)
class Outcome:
    """What became of one write. Exactly one of `record` and `error` is set.

    `record.fields` holds what the CRM gave back, as it normalised it. `status` is the HTTP
    status that carried the answer; `answer` the record's own part of the body.
    """

    status: int
    record: CrmRecord | None = None
    error: RemoteError | None = None
    created: bool = False
    answer: Mapping[str, Any] | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Association:
    """`from_id` (of `from_type`) belongs to `to_id` (of `to_type`); CRM record ids."""

    from_type: str
    from_id: str
    to_type: str
    to_id: str


@dataclass(frozen=True)
class FieldNeed:
    """A CRM field a mapping needs. `kind`: text, number, datetime, date, bool or enum.

    One that is not `written` is the CRM's own and only read, such as its opt-out.
    """

    name: str
    kind: str
    label: str = ""
    written: bool = True


@dataclass(frozen=True)
class CrmField:
    """A field as the CRM describes it."""

    name: str
    kind: str
    read_only: bool
    unique: bool
    options: tuple[str, ...] = ()


class Adapter(Protocol):
    """Reads and writes of one CRM account. Batches of any size: the adapter cuts them."""

    def account_id(self) -> str:
        """The account's own id (portal, org), asked from the CRM."""
        ...

    def prepare(self, object_type: str, needs: Sequence[FieldNeed]) -> None:
        """Make sure our unique key field and our own custom fields exist (idempotent).

        Raises DataRejected(field) when a mapping writes a field that exists neither in the CRM
        nor among ours, or reads one that the CRM does not have.
        """
        ...

    def read(
        self, object_type: str, record_ids: Sequence[str], fields: Sequence[str]
    ) -> dict[str, CrmRecord]:
        """Records by the id that was asked for; ids that are gone are absent.

        A record that people merged into another one answers with that one: its `record_id` is
        then not the id that was asked for, and two ids may answer with one record.
        """
        ...

    def find_by_key(
        self, object_type: str, keys: Sequence[str], fields: Sequence[str]
    ) -> dict[str, CrmRecord]:
        """Records by our key; exact right after a write (no search index)."""
        ...

    def find_by_match(
        self, object_type: str, match_field: str, values: Sequence[str], fields: Sequence[str]
    ) -> dict[str, list[CrmRecord]]:
        """Records that were there before us: value (case-folded) -> all records holding it."""
        ...

    def write(self, object_type: str, writes: Sequence[Write]) -> list[Outcome]:
        """One outcome per write, in the order given. Never raises for a single bad record.

        Raises NeedsReconnect, MissingScope and Transient when the whole account is concerned
        and nothing of the call was written.
        """
        ...

    def associate(self, associations: Sequence[Association]) -> list[RemoteError | None]:
        """None for each that stands now (also when it stood before)."""
        ...

    def dissociate(self, associations: Sequence[Association]) -> list[RemoteError | None]:
        """None for each that does not stand now (also when it never did, or an end is gone).

        Errors one by one, never raised. Only where the manifest offers `dissociate`.
        """
        ...

    def archive(self, object_type: str, record_ids: Sequence[str]) -> list[RemoteError | None]:
        """Put records where a person can restore them; None for each that is not there now.

        Errors one by one, never raised. Only where the manifest offers `archive`.
        """
        ...

    def changed_since(
        self, object_type: str, since: datetime, fields: Sequence[str]
    ) -> Iterator[CrmRecord]:
        """Records whose last change is at or after `since`, the longest unchanged first.

        May repeat a record, and may leave one out that changed within the last
        `changes_lag_seconds` of the manifest: it is told when asked again from before that time.
        Raises the errors of `read`. Only where the manifest offers `changes`.
        """
        ...

    def keyed(self, object_type: str) -> Iterator[CrmRecord]:
        """All records of the CRM's own type that carry a key of ours, with no fields.

        Without a search index, archived ones left out; a record with two keys comes once for
        each. Where two object types share a type of the CRM, those of both. Raises the errors of
        `read`. Only where the manifest offers `keyed`.
        """
        ...

    def close(self) -> None:
        """Give the connections back."""
        ...


class DescribeModule(Protocol):
    """`crms/<crm>/describe.py`."""

    def describe(self, client: Any, object_type: str) -> dict[str, CrmField]:
        """All fields of the object type by name."""
        ...
