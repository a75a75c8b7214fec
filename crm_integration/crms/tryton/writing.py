"""Writes records to a Tryton database, and says of each what became of it.

Prevents the second record: only a party's code is unique in Tryton, so whatever is to be created
is looked for by our key right before, and a create that Tryton refuses as a double is the record
of an earlier try whose answer was lost.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from crm_integration.crms._contract import CrmRecord, Outcome, Write
from crm_integration.crms._halving import Halving, Numbered
from crm_integration.crms.tryton.answers import GONE, NO_PARTY, UNKNOWN
from crm_integration.crms.tryton.client import Client, Row
from crm_integration.crms.tryton.directory import Directory
from crm_integration.crms.tryton.kinds import PARTY, Around, Kind, refuse_broken, text_of
from crm_integration.crms.tryton.reading import Reader, chunks
from crm_integration.errors import (
    Conflict,
    MissingScope,
    NeedsReconnect,
    Permanent,
    RemoteError,
    Transient,
)

_SPLIT: Final = frozenset({400, 403, 413, 500})
"""With these Tryton refuses a whole call for one record of it, and nothing of it is written. A 403
or 500 has no words: the one record alone, on the other way, gets them (`Client.create`)."""

_CREATED: Final = 200


@dataclass(frozen=True)
class _Stands:
    """A record that was written; `created` by us, now."""

    record_id: int
    created: bool = False


@dataclass
class _Near:
    """What the changes of one chunk need to know."""

    around: Around
    rows: Mapping[str, Row] = field(default_factory=lambda: dict[str, Row](), repr=False)


class Writer:
    """The writes of one adapter."""

    def __init__(self, client: Client, reader: Reader, directory: Directory) -> None:
        self._client, self._reader, self._directory = client, reader, directory

    def write(self, kind: Kind, writes: Sequence[Write], size: int) -> list[Outcome]:
        """One outcome per write, in the order given; creates go `size` a call.

        Raises NeedsReconnect, MissingScope and Transient when nothing got anywhere.
        """
        numbered = list(enumerate(writes))
        creating: Halving[Write, _Stands] = Halving(
            lambda items: self._create(kind, items), _is_ones
        )
        creating.run([(n, one) for n, one in numbered if one.record_id is None], size)
        near = _Near(Around(self._directory))
        changing: Halving[Write, _Stands] = Halving(
            lambda items: self._change(kind, items, near), _is_ones
        )
        changing.stopped, changing.reached = creating.stopped, creating.reached
        for chunk in chunks([(n, one) for n, one in numbered if one.record_id], size):
            self._look(kind, changing, chunk, near)
            changing.run(chunk, 1)
        changing.raise_if_nothing_reached()
        return self._outcomes(kind, writes, {**creating.settled, **changing.settled})

    def _around(self, kind: Kind, items: Numbered[Write]) -> Around:
        named = {text_of(write.fields, PARTY) for _, write in items} - {""}
        return Around(self._directory, self._directory.party_ids(named))

    def _create(self, kind: Kind, items: Numbered[Write]) -> dict[int, _Stands | RemoteError]:
        """Look by our key, create what is not there in one call, change what is."""
        done: dict[int, _Stands | RemoteError] = {}
        around = self._around(kind, items)
        there = self._there(kind, items, around)
        values: dict[int, Mapping[str, Any]] = {}
        for number, write in items:
            try:
                refuse_broken(write)
                if write.key in there:
                    changed = kind.change(self._client, write, there[write.key], around)
                    done[number] = _Stands(changed)
                else:
                    values[number] = kind.new(write, around)
            except RemoteError as error:
                done[number] = error
        if values:
            done.update(zip(values, self._made(kind, items, values, around), strict=True))
        for number, write in items:
            made = done[number]
            if number not in values or not isinstance(made, _Stands):
                continue
            try:
                kind.finish(self._client, write, made.record_id)
            except RemoteError as error:
                done[number] = error
        return done

    def _there(self, kind: Kind, items: Numbered[Write], around: Around) -> dict[str, Row]:
        asked = {write.key for _, write in items}
        rows = self._reader.by_key(kind, sorted(asked), around)
        return {key: row for row in reversed(rows) for key in kind.keys(row) if key in asked}

    def _made(
        self,
        kind: Kind,
        items: Numbered[Write],
        values: Mapping[int, Mapping[str, Any]],
        around: Around,
    ) -> list[_Stands]:
        """Created records; one that another made in between is changed."""
        try:
            made = self._client.create(kind.model, list(values.values()))
            return [_Stands(record_id, created=True) for record_id in made]
        except Conflict:
            if len(values) > 1:
                raise
            write = dict(items)[next(iter(values))]
            there = self._there(kind, [(0, write)], around)
            if write.key not in there:
                raise
            return [_Stands(kind.change(self._client, write, there[write.key], around))]

    def _look(
        self, kind: Kind, changing: Halving[Write, _Stands], items: Numbered[Write], near: _Near
    ) -> None:
        """Changes go one by one; what they need to know is read for all at once."""
        if changing.stopped is not None:
            return
        try:
            rows = self._reader.by_id(kind, [int(str(write.record_id)) for _, write in items])
            near.rows = {str(row["id"]): row for row in rows}
            near.around = self._around(kind, items)
        except RemoteError as error:
            changing.stopped = error

    def _change(
        self, kind: Kind, items: Numbered[Write], near: _Near
    ) -> dict[int, _Stands | RemoteError]:
        ((number, write),) = items
        row = near.rows.get(str(write.record_id))
        try:
            refuse_broken(write)
            if row is not None:
                return {number: _Stands(kind.change(self._client, write, row, near.around))}
        except Permanent as error:
            if error.status != 404:
                raise
        raise Transient("the record was deleted in the meantime", status=404, code=GONE)

    def _outcomes(
        self, kind: Kind, writes: Sequence[Write], settled: Mapping[int, _Stands | RemoteError]
    ) -> list[Outcome]:
        """What stands now is read back: Tryton trims, rounds and reorders."""
        ids = [one.record_id for one in settled.values() if isinstance(one, _Stands)]
        try:
            rows = self._reader.by_id(kind, ids)
            names = {name for write in writes for name in write.fields}
            records = {
                int(one.record_id): one for one, _ in self._reader.records(kind, rows, names)
            }
        except RemoteError as error:
            lost = Transient(f"{error}; written, but not read back", code=UNKNOWN)
            return [_outcome(one, settled[n], {}, lost) for n, one in enumerate(writes)]
        gone = Transient("the record was deleted right after", status=404, code=GONE)
        return [_outcome(one, settled[n], records, gone) for n, one in enumerate(writes)]


def _is_ones(error: RemoteError) -> bool:
    """Whether a call may have been refused for one record of it."""
    if isinstance(error, (MissingScope, NeedsReconnect)) or error.code == UNKNOWN:
        return False
    return error.status in _SPLIT or error.code in (GONE, NO_PARTY)


def _outcome(
    write: Write,
    settled: _Stands | RemoteError,
    records: Mapping[int, CrmRecord],
    absent: RemoteError,
) -> Outcome:
    if isinstance(settled, RemoteError):
        return Outcome(settled.status, error=settled)
    record = records.get(settled.record_id)
    if record is None:
        return Outcome(absent.status, error=absent)
    given = {name: record.fields.get(name) for name in write.fields}
    return Outcome(
        _CREATED,
        record=CrmRecord(record.record_id, write.key, given, record.updated_at),
        created=settled.created,
        answer={"id": settled.record_id, "fields": given},
    )
