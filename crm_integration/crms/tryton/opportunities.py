"""Orders: opportunities, each with our key as its reference.

Prevents goods from being shipped twice. A sale of Tryton would be the nearer word, but it is a
document of its warehouse and its books: whoever confirms one makes an invoice and a shipment for
what the store has sent long ago, and its total is what Tryton counts from lines, taxes and its
own rounding, so it cannot be made to equal the store's. An opportunity holds the store's amount
as it is, posts nothing, and may be there before its party.

Its state is sales' own: a new one is a lead, and only a cancelled order moves it (to cancelled,
by Tryton's own button). What is closed (converted, won, lost, cancelled) Tryton lets nobody
change; we leave it as it is.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from crm_integration.crms._contract import FieldValue, Write
from crm_integration.crms.tryton.client import Client, Row
from crm_integration.crms.tryton.kinds import PARTY, TIMES, Around, Kind, Place, text_of
from crm_integration.crms.tryton.values import (
    any_marked,
    day,
    decimal,
    key_in,
    marked,
    part_of,
    plain,
)

_MODEL: Final = "sale.opportunity"
_LEAD, _OPEN, _CANCELLED = "lead", "opportunity", "cancelled"
_ONLY_OF_LEADS: Final = ("currency", "start_date")


class Opportunities(Kind):
    """`state` is written as Tryton's button `cancel`, and for `cancelled` alone."""

    model = _MODEL
    places = {
        "description": Place("text", _MODEL, "description"),
        "comment": Place("text", _MODEL, "comment"),
        "amount": Place("number", _MODEL, "amount"),
        "currency": Place("text", _MODEL, "currency"),
        "start_date": Place("date", _MODEL, "start_date"),
        "state": Place("enum", _MODEL, "state"),
        PARTY: Place("text", _MODEL, "party"),
    }
    asked = ("reference", "description", "comment", "amount", "currency.code", "start_date",
             "state", "party", *TIMES)  # fmt: skip

    def by_key(self, keys: Sequence[str], parties: Collection[int]) -> list[Any] | None:
        """A reference is not unique in Tryton: every create looks first."""
        return [["reference", "in", [marked(key) for key in keys]]]

    def keyed(self, parties: Collection[int]) -> list[Any] | None:
        """By their references."""
        return [["reference", "like", any_marked()]]

    def keys(self, row: Row) -> list[str]:
        """The reference, if it is ours."""
        key = key_in(row.get("reference"))
        return [key] if key else []

    def party_id(self, row: Row) -> int | None:
        """None for a lead that has no party so far."""
        return row.get("party")

    def times(self, row: Row) -> list[object]:
        """Made and changed."""
        return [row.get(name) for name in TIMES]

    def held(self, row: Row, party: str | None) -> dict[str, FieldValue]:
        """As it stands."""
        names = ("description", "comment", "amount", "start_date", "state")
        currency = part_of(row, "currency").get("code")
        return {name: plain(row.get(name)) for name in names} | {
            "currency": plain(currency), PARTY: party,
        }  # fmt: skip

    def new(self, write: Write, around: Around) -> dict[str, Any]:
        """A lead, with its party as far as that is there."""
        made = {"reference": marked(write.key), "company": around.directory.company}
        return made | _values(write.fields, around)

    def archive(self, client: Client, row: Row) -> None:
        """Cancelled, which a person can take back; what is closed is put away."""
        if row.get("state") in (_LEAD, _OPEN):
            client.act(_MODEL, str(row["id"]), "cancel")

    def finish(self, client: Client, write: Write, record_id: int) -> None:
        """An order that was cancelled before we heard of it."""
        if write.fields.get("state") == _CANCELLED:
            client.act(_MODEL, str(record_id), "cancel")

    def change(self, client: Client, write: Write, row: Row, around: Around) -> int:
        """What Tryton lets be changed in the state it is in; then its state."""
        record_id, state = str(row["id"]), row.get("state")
        if state not in (_LEAD, _OPEN):
            return int(record_id)
        values = _values(write.fields, around)
        if state != _LEAD:
            values = {name: one for name, one in values.items() if name not in _ONLY_OF_LEADS}
        if values:
            client.update(_MODEL, record_id, values)
        self.finish(client, write, int(record_id))
        return int(record_id)

    def tie(self, party_id: int) -> dict[str, Any]:
        """Its party."""
        return {"party": party_id}


def _values(fields: Mapping[str, FieldValue], around: Around) -> dict[str, Any]:
    values: dict[str, Any] = {
        name: text_of(fields, name) for name in ("description", "comment") if name in fields
    }
    if "amount" in fields:
        values["amount"] = decimal("amount", fields["amount"])
    if fields.get("start_date"):
        values["start_date"] = day("start_date", fields["start_date"])
    if fields.get("currency"):
        values["currency"] = around.directory.currency(text_of(fields, "currency"))
    party = around.parties.get(text_of(fields, PARTY))
    return values if party is None else values | {"party": party}
