"""Tryton as the engine sees it: reads, writes and associations of one database.

Prevents Tryton's ways (whole batches refused, archived records hidden, merges, notes that nobody
finds) from reaching the ledger: it asks for records by id, key or match, and gets an outcome for
each.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from crm_integration.crms._contract import Association, CrmRecord, FieldNeed, Outcome, Write
from crm_integration.crms._halving import Numbered
from crm_integration.crms._registry import CrmManifest
from crm_integration.crms.tryton.answers import GONE
from crm_integration.crms.tryton.client import Client, Row
from crm_integration.crms.tryton.describe import check_models, check_needs, kind_of
from crm_integration.crms.tryton.directory import Directory
from crm_integration.crms.tryton.kinds import Around, Kind
from crm_integration.crms.tryton.parties import Parties
from crm_integration.crms.tryton.reading import Reader, chunks
from crm_integration.crms.tryton.values import is_utf8
from crm_integration.crms.tryton.writing import Writer
from crm_integration.errors import Permanent, RemoteError, Transient


class Adapter:
    """One Tryton database. Not safe for use by two threads at once."""

    def __init__(self, client: Client, manifest: CrmManifest) -> None:
        self._client, self._manifest = client, manifest
        self._directory = Directory(client)
        self._reader = Reader(client, self._directory)
        self._writer = Writer(client, self._reader, self._directory)
        self._checked: set[str] = set()

    def account_id(self) -> str:
        """The company we write for, with when it was made."""
        return self._directory.account()

    def prepare(self, object_type: str, needs: Sequence[FieldNeed]) -> None:
        """Nothing is made: Tryton takes no fields of ours. What is checked once costs no call."""
        check_needs(object_type, needs)
        models = set(kind_of(object_type).models) - self._checked
        if models:
            check_models(self._client, sorted(models))
            self._checked |= models

    def read(
        self, object_type: str, record_ids: Sequence[str], fields: Sequence[str]
    ) -> dict[str, CrmRecord]:
        """Records by the id asked for, archived ones among them; deleted ones are absent.

        A party that people replaced by another answers with that one.
        """
        kind = kind_of(object_type)
        rows = self._reader.by_id(kind, [int(one) for one in record_ids])
        return {
            str(asked): record
            for asked, record, _ in self._reader.standing(kind, rows, fields)
            if str(asked) in record_ids
        }

    def find_by_key(
        self, object_type: str, keys: Sequence[str], fields: Sequence[str]
    ) -> dict[str, CrmRecord]:
        """Records by our key, archived ones among them; of two the older one.

        No notes: those are found as they are created (`notes.Notes.by_key`).
        """
        kind = kind_of(object_type)
        rows = self._reader.by_key(kind, keys, Around(self._directory))
        return {
            key: replace(record, key=key)
            for _, record, row in reversed(list(self._reader.standing(kind, rows, fields)))
            for key in kind.keys(row)
            if key in keys
        }

    def find_by_match(
        self, object_type: str, match_field: str, values: Sequence[str], fields: Sequence[str]
    ) -> dict[str, list[CrmRecord]]:
        """Parties with one of these e-mails or names, by case-folded value."""
        kind = kind_of(object_type)
        if not isinstance(kind, Parties):
            raise Permanent(f"Tryton's {object_type} is not looked for by {match_field}")
        wanted = list(dict.fromkeys(value.strip() for value in values if is_utf8(value)))
        found: dict[str, list[CrmRecord]] = {}
        for chunk in chunks(wanted, self._manifest.objects[object_type].batch):
            domain = kind.by_match(match_field, chunk)
            rows = self._client.rows(kind.model, domain, kind.asked)
            for record, row in self._reader.records(kind, rows, fields):
                held = {value.strip().casefold() for value in kind.matched(match_field, row)}
                for value in held & {one.casefold() for one in chunk}:
                    found.setdefault(value, []).append(record)
        return found

    def write(self, object_type: str, writes: Sequence[Write]) -> list[Outcome]:
        """One outcome per write, in the order given; see the contract for what is raised."""
        size = self._manifest.objects[object_type].batch
        return self._writer.write(kind_of(object_type), writes, size)

    def associate(self, associations: Sequence[Association]) -> list[RemoteError | None]:
        """None for each that stands now; what stands already costs no write."""
        answers: dict[int, RemoteError | None] = {}
        by_type: dict[str, list[tuple[int, Association]]] = {}
        for number, wanted in enumerate(associations):
            by_type.setdefault(wanted.from_type, []).append((number, wanted))
        for from_type, items in by_type.items():
            answers |= self._tie_all(kind_of(from_type), items)
        return [answers[number] for number in range(len(associations))]

    def archive(self, object_type: str, record_ids: Sequence[str]) -> list[RemoteError | None]:
        """None for each that is put away now; errors one by one, never raised.

        A party is archived, an opportunity cancelled; a note nobody can put away.
        """
        kind = kind_of(object_type)
        try:
            rows = {
                str(row["id"]): row
                for row in self._reader.by_id(kind, [int(n) for n in record_ids])
            }
        except RemoteError as error:
            return [error] * len(record_ids)
        return [self._put_away(kind, rows.get(one)) for one in record_ids]

    def keyed(self, object_type: str) -> Iterator[CrmRecord]:
        """Parties and opportunities by their keys; of notes those on parties of ours, since Tryton
        lets nobody but administrators list the others."""
        kind = kind_of(object_type)
        for row in self._reader.keyed(kind):
            for key in dict.fromkeys(kind.keys(row)):
                yield CrmRecord(str(row["id"]), key, {})

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _put_away(self, kind: Kind, row: Row | None) -> RemoteError | None:
        try:
            if row is not None:
                kind.archive(self._client, row)
        except RemoteError as error:
            return None if error.status == 404 else error
        return None

    def _tie_all(self, kind: Kind, items: Numbered[Association]) -> dict[int, RemoteError | None]:
        try:
            rows = self._reader.by_id(kind, [int(one.from_id) for _, one in items])
        except RemoteError as error:
            return {number: error for number, _ in items}
        there = {str(row["id"]): row for row in rows}
        return {number: self._tie(kind, one, there.get(one.from_id)) for number, one in items}

    def _tie(self, kind: Kind, wanted: Association, row: Row | None) -> RemoteError | None:
        to_model = self._manifest.objects[wanted.to_type].type
        if isinstance(kind, Parties) or to_model != Parties.model:
            return Permanent(f"in Tryton no {wanted.from_type} belongs to a {wanted.to_type}")
        if row is None:
            return Transient("the record was deleted in the meantime", status=404, code=GONE)
        values = kind.tie(int(wanted.to_id))
        if not values or kind.party_id(row) is not None:
            return None  # it is ours, or the one that sales chose
        try:
            self._client.update(kind.model, wanted.from_id, values)
        except RemoteError as error:
            return error
        return None
