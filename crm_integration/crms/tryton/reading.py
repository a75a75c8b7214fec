"""Records of a Tryton database as the engine sees them.

Prevents the write into a party that sales have long replaced by another: what people merged
answers with the party that stands.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from typing import Any, Final, TypeVar

from crm_integration.crms._contract import CrmRecord
from crm_integration.crms.tryton.client import Client, Row
from crm_integration.crms.tryton.directory import Directory
from crm_integration.crms.tryton.kinds import PARTY, Around, Kind
from crm_integration.crms.tryton.notes import Notes
from crm_integration.crms.tryton.parties import Parties
from crm_integration.crms.tryton.values import newest

_AT_ONCE: Final = 200
"""Records of one reading call."""

_PAGE: Final = 1_000
"""Records of one call of a listing."""

_Item = TypeVar("_Item")


class Reader:
    """Reads rows by id and by our key, and makes records of them."""

    def __init__(self, client: Client, directory: Directory) -> None:
        self._client, self._directory = client, directory

    def by_id(self, kind: Kind, ids: Sequence[int]) -> list[Row]:
        """Rows by Tryton's ids, archived ones among them; what is gone is left out."""
        return [
            row
            for chunk in chunks(list(dict.fromkeys(ids)), _AT_ONCE)
            for row in kind.read(self._client, chunk)
        ]

    def by_key(self, kind: Kind, keys: Sequence[str], around: Around) -> list[Row]:
        """Rows that carry one of our keys; of notes only those on the parties of `around`."""
        found: list[Row] = []
        for chunk in chunks(list(dict.fromkeys(keys)), _AT_ONCE):
            domain = kind.by_key(chunk, around.parties.values())
            found += [] if domain is None else self._client.rows(kind.model, domain, kind.asked)
        return found

    def keyed(self, kind: Kind) -> Iterator[Row]:
        """Rows that carry any key of ours, page by page; of notes those on parties of ours."""
        if not isinstance(kind, Notes):
            yield from self._paged(kind, kind.keyed(()))
            return
        parties = Parties()
        ids = [int(row["id"]) for row in self._paged(parties, parties.keyed(()))]
        for chunk in chunks(ids, _AT_ONCE):
            yield from self._paged(kind, kind.keyed(chunk))

    def _paged(self, kind: Kind, domain: list[Any] | None) -> Iterator[Row]:
        """By id, so that a record that is made or deleted meanwhile moves no other."""
        last = 0
        while domain is not None:
            behind = [*domain, ["id", ">", last]]
            rows = self._client.rows(kind.model, behind, kind.asked, limit=_PAGE)
            yield from rows
            if len(rows) < _PAGE:
                return
            last = int(rows[-1]["id"])

    def records(
        self, kind: Kind, rows: Sequence[Row], fields: Collection[str]
    ) -> Iterator[tuple[CrmRecord, Row]]:
        """Rows as records, with our key of the party each belongs to."""
        belongs = {party for row in rows if (party := kind.party_id(row)) is not None}
        parties = self._directory.keys_of_parties(belongs) if PARTY in fields else {}
        for row in rows:
            party = kind.party_id(row)
            held = kind.held(row, None if party is None else parties.get(party))
            keys = kind.keys(row)
            yield CrmRecord(
                record_id=str(row["id"]),
                key=keys[0] if keys else None,
                fields={name: held.get(name) for name in fields},
                updated_at=newest(kind.times(row)),
            ), row  # fmt: skip

    def standing(
        self, kind: Kind, rows: Sequence[Row], fields: Collection[str]
    ) -> Iterator[tuple[int, CrmRecord, Row]]:
        """(id, the record that stands for it, its own row), with those that went into it."""
        now = self._directory.standing(rows) if isinstance(kind, Parties) else {}
        there = {int(row["id"]): row for row in rows}
        others = self.by_id(kind, [one for one in sorted(set(now.values())) if one not in there])
        there |= {int(row["id"]): row for row in others}
        came: dict[int, set[int]] = {}
        for one, at in now.items():
            came.setdefault(at, set()).update({one} - {at})
        records = {
            int(one.record_id): one for one, _ in self.records(kind, list(there.values()), fields)
        }
        for row in rows:
            one = int(row["id"])
            at = now.get(one, one)
            merged = tuple(str(other) for other in sorted(came.get(at, ())))
            yield one, replace(records.get(at, records[one]), merged=merged), row


def chunks(items: Sequence[_Item], size: int) -> Iterator[Sequence[_Item]]:
    """The items in pieces of at most `size`."""
    for start in range(0, len(items), size):
        yield items[start : start + size]
