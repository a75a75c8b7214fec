"""HubSpot as the engine sees it: reads, writes and associations of one account.

Prevents HubSpot's batch semantics from reaching the ledger: whatever a batch of 100 answers, one
outcome per record comes out, matched by id.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final, TypeVar

from crm_integration.crms._contract import (
    Association,
    CrmRecord,
    FieldNeed,
    Outcome,
    Write,
)
from crm_integration.crms._registry import CrmManifest
from crm_integration.crms.hubspot.answers import object_of, record_error
from crm_integration.crms.hubspot.batches import Batches, Settled
from crm_integration.crms.hubspot.changes import Changes
from crm_integration.crms.hubspot.client import Client
from crm_integration.crms.hubspot.properties import prepare_type
from crm_integration.crms.hubspot.removals import removed
from crm_integration.crms.hubspot.shapes import (
    DefaultAssociation,
    UpdateById,
    UpsertByKey,
    is_utf8,
    unsendable,
)
from crm_integration.errors import Permanent, RemoteError

_ASSOCIATIONS_A_CALL: Final = 100
"""Documented limit of `batch/associate/default`."""

_SEARCH_VALUES: Final = 100
"""Documented limit of the values of one IN filter."""

_SEARCH_CHARACTERS: Final = 2_600
"""Documented: a search's body holds 3,000 characters. The rest of ours takes under 300."""

_LISTED: Final = 100
"""Documented: the most records a page of the list has."""

_MERGED: Final = "hs_merged_object_ids"
"""Of types that people can merge; a batch read leaves out what a type does not have."""

_Item = TypeVar("_Item")


class Adapter:
    """One HubSpot account. Not safe for use by two threads at once."""

    def __init__(self, client: Client, manifest: CrmManifest) -> None:
        self._client, self._manifest = client, manifest
        self._prepared: dict[str, set[FieldNeed]] = {}

    def account_id(self) -> str:
        """The portal id."""
        answer = self._client.get("account-info/v3/details", budget="account")
        portal = answer.body.get("portalId")
        if portal is None:
            raise Permanent("HubSpot's account details carry no portalId", status=answer.status)
        return str(portal)

    def prepare(self, object_type: str, needs: Sequence[FieldNeed]) -> None:
        """See `properties.prepare_type`; what this adapter has prepared costs no call."""
        done = self._prepared.get(object_type)
        if done is not None and done.issuperset(needs):
            return
        prepare_type(self._client, self._type(object_type), self._manifest.key_field, needs)
        self._prepared[object_type] = (done or set()) | set(needs)

    def read(
        self, object_type: str, record_ids: Sequence[str], fields: Sequence[str]
    ) -> dict[str, CrmRecord]:
        """Records by the id asked for; deleted ones are absent.

        HubSpot gives a merged record an id of its own and answers with it for the ids that went
        into it; which those are stands on the record.
        """
        asked = set(record_ids)
        found = self._batch_read(object_type, record_ids, fields, id_property=None)
        return {
            name: record
            for record in found
            for name in (record.record_id, *record.merged)
            if name in asked
        }

    def find_by_key(
        self, object_type: str, keys: Sequence[str], fields: Sequence[str]
    ) -> dict[str, CrmRecord]:
        """Records by our key, by batch read: search lags behind writes, this does not."""
        key_field = self._manifest.key_field
        found = self._batch_read(object_type, keys, fields, id_property=key_field)
        return {record.key: record for record in found if record.key is not None}

    def find_by_match(
        self, object_type: str, match_field: str, values: Sequence[str], fields: Sequence[str]
    ) -> dict[str, list[CrmRecord]]:
        """All records whose `match_field` is one of the values, by case-folded value.

        Searches, so a record written in the last seconds may be missing: only for records that
        were there before us. What was found is read by id, since the index also lags in what it
        tells of a record: an opt-out of a minute ago counts. HubSpot takes the values of an IN
        filter in lower case, and a page may repeat a record when others move.
        """
        usable = [value.strip() for value in values if is_utf8(value)]
        wanted = {value.casefold(): value.lower() for value in usable}
        ids = [
            str(result["id"])
            for chunk in _searches(wanted.values())
            for result in self._search(object_type, match_field, chunk)
        ]
        found: dict[str, list[CrmRecord]] = {}
        names = [*fields, match_field]
        for record in self._batch_read(object_type, ids, names, id_property=None):
            value = str(record.fields[match_field] or "").strip().casefold()
            if value in wanted:
                found.setdefault(value, []).append(record)
        return found

    def write(self, object_type: str, writes: Sequence[Write]) -> list[Outcome]:
        """One outcome per write, in the order given; see the contract for what is raised."""
        hubspot_type, key_field = self._type(object_type), self._manifest.key_field
        size = self._manifest.objects[object_type].batch
        batches: Batches[Write] = Batches(self._client, size=size, budget="batch")
        numbered = list(enumerate(writes))
        batches.settled.update(
            (n, Settled(0, error)) for n, write in numbered if (error := unsendable(write))
        )
        sendable = [(n, write) for n, write in numbered if n not in batches.settled]
        creates = [(n, write) for n, write in sendable if write.record_id is None]
        updates = [(n, write) for n, write in sendable if write.record_id is not None]
        batches.run(UpsertByKey(hubspot_type, key_field), creates)
        batches.run(UpdateById(hubspot_type, key_field), updates)
        batches.raise_if_nothing_reached()
        return [self._outcome(write, batches.settled[n]) for n, write in numbered]

    def associate(self, associations: Sequence[Association]) -> list[RemoteError | None]:
        """None for each that stands now; errors (also Transient) one by one, never raised."""
        settled: dict[int, Settled] = {}
        pairs: dict[tuple[str, str], list[tuple[int, Association]]] = {}
        for number, wanted in enumerate(associations):
            pair = (self._type(wanted.from_type), self._type(wanted.to_type))
            pairs.setdefault(pair, []).append((number, wanted))
        for (from_type, to_type), items in pairs.items():
            batches: Batches[Association] = Batches(
                self._client, size=_ASSOCIATIONS_A_CALL, budget="associations"
            )
            batches.run(DefaultAssociation(from_type, to_type), items)
            settled.update(batches.settled)
        return [settled[number].error for number in range(len(associations))]

    def dissociate(self, associations: Sequence[Association]) -> list[RemoteError | None]:
        """None for each that is gone; one that has labels loses these, too."""
        found: dict[int, RemoteError | None] = {}
        pairs: dict[tuple[str, str], list[tuple[int, Association]]] = {}
        for number, one in enumerate(associations):
            pair = (self._type(one.from_type), self._type(one.to_type))
            pairs.setdefault(pair, []).append((number, one))
        for (from_type, to_type), items in pairs.items():
            path = f"crm/v4/associations/{from_type}/{to_type}/batch/archive"
            inputs = [{"from": {"id": one.from_id}, "to": [{"id": one.to_id}]} for _, one in items]
            errors = removed(self._client, path, inputs, budget="associations")
            found.update(zip((number for number, _ in items), errors, strict=True))
        return [found[number] for number in range(len(associations))]

    def archive(self, object_type: str, record_ids: Sequence[str]) -> list[RemoteError | None]:
        """To HubSpot's recycle bin, from which a person can restore for 90 days."""
        path = f"crm/v3/objects/{self._type(object_type)}/batch/archive"
        inputs = [{"id": one} for one in record_ids]
        return removed(self._client, path, inputs, budget="batch")

    def changed_since(
        self, object_type: str, since: datetime, fields: Sequence[str]
    ) -> Iterator[CrmRecord]:
        """See the contract and `changes.Changes`; values and time are those of the index."""
        changes = Changes(self._client, self._type(object_type), self._asked(fields))
        for result in changes.since(since):
            yield replace(self._record(result, fields), updated_at=changes.time_of(result))

    def keyed(self, object_type: str) -> Iterator[CrmRecord]:
        """By HubSpot's list of all records, 100 a call, which knows at once what was written."""
        key_field = self._manifest.key_field
        path = f"crm/v3/objects/{self._type(object_type)}?limit={_LISTED}&properties={key_field}"
        after = ""
        while True:
            answer = self._client.get(path + after, budget="list")
            for record in (self._record(one, ()) for one in answer.results):
                if record.key is not None:
                    yield record
            place = object_of(object_of(answer.body.get("paging")).get("next")).get("after")
            if not place:
                return
            after = f"&after={place}"

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _type(self, object_type: str) -> str:
        return self._manifest.objects[object_type].type

    def _asked(self, fields: Sequence[str]) -> list[str]:
        return list(dict.fromkeys([*fields, self._manifest.key_field, _MERGED]))

    def _batch_read(
        self,
        object_type: str,
        ids: Sequence[str],
        fields: Sequence[str],
        *,
        id_property: str | None,
    ) -> Iterator[CrmRecord]:
        path = f"crm/v3/objects/{self._type(object_type)}/batch/read"
        named = {} if id_property is None else {"idProperty": id_property}
        for chunk in _chunks(list(dict.fromkeys(ids)), self._manifest.objects[object_type].batch):
            inputs = [{"id": value} for value in chunk]
            body = {"inputs": inputs, "properties": self._asked(fields), **named}
            answer = self._client.query(path, body, budget="batch")
            for error in map(record_error, answer.errors):
                if error.status != 404:
                    raise error
            for result in answer.results:
                yield self._record(result, fields)

    def _search(
        self, object_type: str, match_field: str, values: Sequence[str]
    ) -> Iterator[Mapping[str, Any]]:
        """All pages of one search; 100 a page."""
        path = f"crm/v3/objects/{self._type(object_type)}/search"
        test = {"propertyName": match_field, "operator": "IN", "values": list(values)}
        body: dict[str, Any] = {
            "filterGroups": [{"filters": [test]}],
            "properties": [match_field],
            "limit": 100,
        }
        while True:
            answer = self._client.query(path, body, budget="search")
            yield from answer.results
            after = object_of(object_of(answer.body.get("paging")).get("next")).get("after")
            if not after:
                return
            body = {**body, "after": after}

    def _record(self, result: Mapping[str, Any], fields: Sequence[str]) -> CrmRecord:
        properties = object_of(result.get("properties"))
        return CrmRecord(
            record_id=str(result["id"]),
            key=_given_back(properties.get(self._manifest.key_field)),
            fields={name: _given_back(properties.get(name)) for name in fields},
            updated_at=_time(result.get("updatedAt")),
            merged=_ids(properties.get(_MERGED)),
        )

    def _outcome(self, write: Write, settled: Settled) -> Outcome:
        if settled.error is not None or settled.answer is None:
            return Outcome(settled.status, error=settled.error, answer=settled.answer)
        result = settled.answer
        properties = object_of(result.get("properties"))
        given = [n for n, value in write.fields.items() if n in properties or value in (None, "")]
        record = self._record(result, given)
        return Outcome(
            settled.status,
            record=record if record.key else replace(record, key=write.key),
            created=write.record_id is None and _is_new(result),
            answer=result,
        )


def _given_back(value: object) -> str | None:
    """HubSpot clears with "" and reads back null or "": one value for both, or the next look
    would take the difference for an edit in the CRM."""
    return None if value is None or value == "" else str(value)


def _is_new(result: Mapping[str, Any]) -> bool:
    new = result.get("new")
    if isinstance(new, bool):
        return new
    return "createdAt" in result and result["createdAt"] == result.get("updatedAt")


def _ids(value: object) -> tuple[str, ...]:
    return tuple(part for part in str(value or "").split(";") if part)


def _time(value: object) -> datetime | None:
    return datetime.fromisoformat(value) if isinstance(value, str) and value else None


def _searches(values: Iterable[str]) -> Iterator[list[str]]:
    """Values that one search can ask for; one too long for any is in no CRM field either."""
    chunk: list[str] = []
    length = 0
    for value in values:
        size = len(json.dumps(value)) + 1
        if size > _SEARCH_CHARACTERS:
            continue
        if len(chunk) == _SEARCH_VALUES or length + size > _SEARCH_CHARACTERS:
            yield chunk
            chunk, length = [], 0
        chunk.append(value)
        length += size
    if chunk:
        yield chunk


def _chunks(items: Sequence[_Item], size: int) -> Iterator[Sequence[_Item]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]
