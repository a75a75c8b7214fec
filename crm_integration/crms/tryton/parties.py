"""Customers and companies: parties with an address and contact mechanisms of their own.

Prevents the merchant's customer number from being lost: Tryton lets nobody change a party's code,
so a party that sales made gets our key as a further identifier. A party we make gets it as its
code, which is unique: of two that race for one customer, one loses.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from crm_integration.crms._contract import FieldValue, Write
from crm_integration.crms.tryton.client import Client, Row
from crm_integration.crms.tryton.directory import (
    ARCHIVED_TOO,
    KEY_PATHS,
    parties_by_key,
    party_keys,
)
from crm_integration.crms.tryton.kinds import TIMES, Around, Kind, Place, text_of
from crm_integration.crms.tryton.values import any_marked, escaped, marked, part_of, parts_of, plain

_ADDRESS: Final = {
    "address.street": "street",
    "address.postal_code": "postal_code",
    "address.city": "city",
    "address.country": "country",
}
_PHONES: Final = ("phone", "mobile")
_UNCHECKED: Final = "Phone"
"""Name of a mechanism of type `other` that holds a number Tryton would refuse as a phone."""

_PARTS: Final = ("contact_mechanisms", "addresses")


class Parties(Kind):
    """Of several addresses the first one is the store's; of e-mails and phones, too."""

    model = "party.party"
    places = {
        "name": Place("text", "party.party", "name"),
        "email": Place("text", "party.contact_mechanism", "value"),
        "phone": Place("text", "party.contact_mechanism", "value"),
        **{name: Place("text", "party.address", of) for name, of in _ADDRESS.items()},
    }
    asked = (
        "name",
        "active",
        *KEY_PATHS,
        *TIMES,
        *(f"contact_mechanisms.{name}" for name in ("type", "value", "name", *TIMES)),
        *(f"addresses.{name}" for name in ("street", "postal_code", "city", "country.code")),
        *(f"addresses.{name}" for name in TIMES),
    )

    @property
    def models(self) -> tuple[str, ...]:
        """Identifiers carry our key."""
        return (*super().models, "party.identifier")

    def by_key(self, keys: Sequence[str], parties: Collection[int]) -> list[Any] | None:
        """See `directory.parties_by_key`."""
        return parties_by_key(keys)

    def keyed(self, parties: Collection[int]) -> list[Any] | None:
        """By code and identifiers."""
        ours = any_marked()
        return [["OR", ["code", "like", ours], ["identifiers.code", "like", ours]]]

    def read(self, client: Client, ids: Sequence[int]) -> list[Row]:
        """Archived ones, too."""
        return client.rows(self.model, [["id", "in", list(ids)], ARCHIVED_TOO], self.asked)

    def by_match(self, field: str, values: Sequence[str]) -> list[Any]:
        """Living parties with one of these e-mails, or names, whatever the letters' case."""
        if field == "name":
            return ["OR", *(["name", "ilike", escaped(value)] for value in values)]
        return ["OR", *(_with_email(value) for value in values)]

    def matched(self, field: str, row: Row) -> list[str]:
        """What a party holds of a match field; all its e-mails, not the first alone."""
        if field == "name":
            return [str(row.get("name") or "")]
        return [str(one["value"]) for one in _mechanisms(row, "email")]

    def keys(self, row: Row) -> list[str]:
        """See `directory.party_keys`."""
        return party_keys(row)

    def party_id(self, row: Row) -> int | None:
        """A party belongs to none."""
        return None

    def times(self, row: Row) -> list[object]:
        """Those of its mechanisms and addresses, too."""
        parts = [row, *(part for name in _PARTS for part in parts_of(row, name))]
        return [part.get(name) for part in parts for name in TIMES]

    def held(self, row: Row, party: str | None) -> dict[str, FieldValue]:
        """The party with the first of each of its parts."""
        emails, phones, address = _mechanisms(row, "email"), _phones(row), _address(row)
        country = part_of(address, "country").get("code")
        return {
            "name": plain(row.get("name")),
            "email": plain(emails[0]["value"]) if emails else None,
            "phone": plain(phones[0]["value"]) if phones else None,
            **{name: plain(address.get(of)) for name, of in _ADDRESS.items()},
            "address.country": plain(country),
        }

    def new(self, write: Write, around: Around) -> dict[str, Any]:
        """A party with at most one address, e-mail and phone."""
        made: dict[str, Any] = {"code": marked(write.key), "name": text_of(write.fields, "name")}
        return made | self._parts(write.fields, {}, around)

    def change(self, client: Client, write: Write, row: Row, around: Around) -> int:
        """One call; the parts are changed with the party, or not at all.

        A party that people archived Tryton lets nobody change: it stays as it is.
        """
        if not row.get("active", True):
            return int(row["id"])
        values = self._parts(write.fields, row, around)
        if "name" in write.fields:
            values["name"] = text_of(write.fields, "name")
        if write.adopt and write.key not in party_keys(row):
            values["identifiers"] = [["create", [{"code": marked(write.key)}]]]
        if values:
            client.update(self.model, str(row["id"]), values)
        return int(row["id"])

    def tie(self, party_id: int) -> dict[str, Any]:
        """Without the module party_relationship a party belongs to no other."""
        return {}

    def archive(self, client: Client, row: Row) -> None:
        """Tryton then shows it to those alone who ask for archived ones."""
        if row.get("active", True):
            client.update(self.model, str(row["id"]), {"active": False})

    def finish(self, client: Client, write: Write, record_id: int) -> None:
        """Nothing."""

    def _parts(self, fields: Mapping[str, FieldValue], row: Row, around: Around) -> dict[str, Any]:
        """Commands for addresses and contact mechanisms, as far as their fields are written."""
        address = _address_values(fields, around)
        mechanisms: list[Any] = []
        if "email" in fields:
            value = {"type": "email", "value": text_of(fields, "email")}
            mechanisms += _command(_mechanisms(row, "email"), value)
        if "phone" in fields:
            mechanisms += _command(_phones(row), _phone_values(fields, _phones(row)))
        commands: dict[str, Any] = {}
        if address:
            found = parts_of(row, "addresses")
            commands["addresses"] = [
                ["write", [found[0]["id"]], address] if found else ["create", [address]]
            ]
        return commands | ({"contact_mechanisms": mechanisms} if mechanisms else {})


def _command(found: Sequence[Row], values: Mapping[str, Any]) -> list[Any]:
    """Change the first mechanism, make one, or take it away."""
    if not values["value"]:
        return [["delete", [found[0]["id"]]]] if found else []
    return [["write", [found[0]["id"]], values] if found else ["create", [values]]]


def _phone_values(fields: Mapping[str, FieldValue], found: Sequence[Row]) -> dict[str, Any]:
    """Tryton refuses the whole party for a number it cannot read, if it has the library for it."""
    value = text_of(fields, "phone")
    if value and not value.startswith("+"):
        return {"type": "other", "name": _UNCHECKED, "value": value}
    before = str(found[0]["type"]) if found else ""
    return {"type": before if before in _PHONES else "phone", "value": value}


def _address_values(fields: Mapping[str, FieldValue], around: Around) -> dict[str, Any]:
    values: dict[str, Any] = {
        of: text_of(fields, name) for name, of in _ADDRESS.items() if name in fields
    }
    if "country" in values:
        code = values["country"]
        values["country"] = around.directory.country(code) if code else None
    return values


def _mechanisms(row: Row, *types: str) -> list[Row]:
    return [one for one in parts_of(row, "contact_mechanisms") if one["type"] in types]


def _phones(row: Row) -> list[Row]:
    unchecked = [one for one in _mechanisms(row, "other") if one.get("name") == _UNCHECKED]
    return _mechanisms(row, *_PHONES) + unchecked


def _address(row: Row) -> Row:
    return next(iter(parts_of(row, "addresses")), dict[str, Any]())


def _with_email(value: str) -> list[Any]:
    is_it = [["type", "=", "email"], ["value", "ilike", escaped(value)]]
    return ["contact_mechanisms", "where", is_it]
