"""Refunds and what happened: notes on the party, each with our key in its last line.

Prevents the note told twice: a note has no field but its text, so the key stands there, and
every create looks for it first, on its party.

    2024-03-01                       the day it happened
    Refund 12.30 GBP for order 1001  what happened
    ci-0b0e7c1a-…                    our key

A note is written once and then left as it is: Tryton lets nobody change a note's text, and the
REST application finds no note to move or delete unless its user is an administrator.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Final

from crm_integration.crms._contract import FieldValue, Write
from crm_integration.crms.tryton.answers import NO_PARTY
from crm_integration.crms.tryton.client import Client, Row
from crm_integration.crms.tryton.kinds import PARTY, TIMES, Around, Kind, Place, text_of
from crm_integration.crms.tryton.values import any_marked, key_in, marked, plain
from crm_integration.errors import Permanent, Transient

_MODEL: Final = "ir.note"
_ON: Final = "party.party,"

_LOOK_AGAIN: Final = 86_400.0
"""Seconds. A party on its way is waited for by the engine; one that is missing here waits for a
person (two that match, a refused one), and a note must not be given up in the meantime."""


class Notes(Kind):
    """`day` and `message` are the note's text, `party` what it hangs on."""

    model = _MODEL
    places = {
        "day": Place("date", _MODEL, "message"),
        "message": Place("text", _MODEL, "message"),
        PARTY: Place("text", _MODEL, "resource"),
    }
    asked = ("message", "resource", *TIMES)

    def by_key(self, keys: Sequence[str], parties: Collection[int]) -> list[Any] | None:
        """Notes of these parties whose last line is one of our keys.

        Tryton lets only administrators search notes without saying on what they hang.
        """
        if not parties:
            return None
        on = [f"{_ON}{party}" for party in sorted(set(parties))]
        ours = [["message", "like", f"%\n{marked(key)}"] for key in keys]
        return [["resource", "in", on], ["OR", *ours]]

    def keyed(self, parties: Collection[int]) -> list[Any] | None:
        """Notes of these parties whose last line is a key of ours."""
        if not parties:
            return None
        on = [f"{_ON}{party}" for party in sorted(set(parties))]
        return [["resource", "in", on], ["message", "like", f"%\n{any_marked()}"]]

    def read(self, client: Client, ids: Sequence[int]) -> list[Row]:
        """By halves, since Tryton refuses all of them (403) for one that is gone."""
        if not ids:
            return []
        body = {"ids": list(ids), "fields_names": list(self.asked)}
        try:
            return list(client.ask(_MODEL, "read", body, kind=list))
        except Permanent as error:
            if error.status != 403:
                raise
        middle = len(ids) // 2
        if not middle:
            return []
        return [*self.read(client, ids[:middle]), *self.read(client, ids[middle:])]

    def keys(self, row: Row) -> list[str]:
        """The last line, if it is ours."""
        key = key_in(str(row.get("message") or "").rpartition("\n")[2])
        return [key] if key else []

    def party_id(self, row: Row) -> int | None:
        """None for a note that somebody hung on something else."""
        on = str(row.get("resource") or "")
        return int(on.removeprefix(_ON)) if on.startswith(_ON) else None

    def times(self, row: Row) -> list[object]:
        """Made and changed."""
        return [row.get(name) for name in TIMES]

    def held(self, row: Row, party: str | None) -> dict[str, FieldValue]:
        """The text's parts."""
        first, _, rest = str(row.get("message") or "").partition("\n")
        text = rest.rpartition("\n")[0] if self.keys(row) else rest
        return {"day": plain(first), "message": plain(text), PARTY: party}

    def new(self, write: Write, around: Around) -> dict[str, Any]:
        """Raises Transient while its party is not there: a note hangs on something."""
        party = around.parties.get(text_of(write.fields, PARTY))
        if party is None:
            text = "the note's party is not in Tryton so far"
            raise Transient(text, retry_after=_LOOK_AGAIN, code=NO_PARTY)
        lines = (text_of(write.fields, "day"), text_of(write.fields, "message"), marked(write.key))
        return {"message": "\n".join(lines), "resource": f"{_ON}{party}"}

    def change(self, client: Client, write: Write, row: Row, around: Around) -> int:
        """It stays as it is; what it holds is what the engine is told."""
        return int(row["id"])

    def tie(self, party_id: int) -> dict[str, Any]:
        """It hangs on its party since it was made."""
        return {}

    def archive(self, client: Client, row: Row) -> None:
        """Raises Permanent: Tryton has no place for it."""
        raise Permanent("Tryton archives no notes: delete it by hand, as an administrator")

    def finish(self, client: Client, write: Write, record_id: int) -> None:
        """Nothing."""
