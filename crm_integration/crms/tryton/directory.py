"""What the database lists itself: the key's company, currencies, countries, and whose a key is.

Prevents a call per record for what is the same for all, and an opportunity in another company's
books.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import cached_property
from typing import Any, Final

from crm_integration.crms.tryton.client import Client, Row
from crm_integration.crms.tryton.values import key_in, marked, parts_of
from crm_integration.errors import DataRejected, Permanent

KEY_PATHS: Final = ("code", "identifiers.code", "replaced_by")
_MERGES: Final = 5
"""How far merges of merged parties are followed."""
ARCHIVED_TOO: Final = ["active", "in", [True, False]]
"""Without this, on every level of a domain, Tryton hides what people archived there, and we would
make it a second time."""
_OF_AN_OR: Final[list[Any]] = ["active", "in", []]
"""The same among alternatives, where it must not be true of all records."""


def party_keys(row: Row) -> list[str]:
    """Our keys on a party: its identifiers before its code."""
    held = [one.get("code") for one in parts_of(row, "identifiers")]
    return [key for text in (*held, row.get("code")) if (key := key_in(text))]


def parties_by_key(keys: Collection[str]) -> list[Any]:
    """The domain of parties that carry one of our keys."""
    ours = [marked(key) for key in keys]
    either: list[Any] = ["OR", ["code", "in", ours], ["identifiers.code", "in", ours], _OF_AN_OR]
    return [either, ARCHIVED_TOO]


class Directory:
    """Asked once per adapter, except for parties, which change."""

    def __init__(self, client: Client) -> None:
        self._client = client

    @cached_property
    def company(self) -> int:
        """Id of the company in whose name we write."""
        named = self._client.settings.get("company")
        if named:
            return int(named)
        body = {"context_only": True}
        told = self._client.ask("res.user", "get_preferences", body, kind=dict)
        if not told.get("company"):
            raise Permanent(
                "the key's user has no company: give the user one in Tryton, or name its id in "
                "the connection's setting `company`"
            )
        return int(told["company"])

    def account(self) -> str:
        """The company's id and when it was made: no other database has both."""
        domain = [["id", "=", self.company]]
        rows = self._client.rows("company.company", domain, ["create_date"])
        made = rows[0].get("create_date") if rows else None
        if not made:
            raise Permanent(f"Tryton has no company {self.company}: correct the setting `company`")
        parts = ("year", "month", "day", "hour", "minute", "second", "microsecond")
        return f"{self.company}@" + "-".join(str(made[part]) for part in parts)

    def currency(self, code: str) -> int:
        """Raises DataRejected for one the database does not have."""
        if code not in self._currencies:
            raise DataRejected(
                f"Tryton has no currency {code}: add it under Currency > Currencies",
                field="currency",
                code="no_currency",
            )
        return self._currencies[code]

    def country(self, code: str) -> int:
        """Raises DataRejected for one the database does not have."""
        if code not in self._countries:
            raise DataRejected(
                f"Tryton has no country {code}: run trytond_import_countries",
                field="address.country",
                code="no_country",
            )
        return self._countries[code]

    def party_ids(self, keys: Collection[str]) -> dict[str, int]:
        """Parties by our key; one call, none without keys."""
        if not keys:
            return {}
        rows = self._client.rows("party.party", parties_by_key(keys), KEY_PATHS)
        now = self.standing(rows)
        return {key: now[int(row["id"])] for row in rows for key in party_keys(row) if key in keys}

    def standing(self, rows: Sequence[Row]) -> dict[int, int]:
        """The party that stands for each of these, after people replaced some by others.

        No call where none was replaced. Tryton keeps the replaced one, archived, with its code.
        """
        now = {int(row["id"]): int(row.get("replaced_by") or row["id"]) for row in rows}
        for _ in range(_MERGES):
            moved = sorted(set(now.values()) - now.keys())
            if not moved:
                break
            domain = [["id", "in", moved], ARCHIVED_TOO]
            found = self._client.rows("party.party", domain, ["replaced_by"])
            further = {int(row["id"]): int(row.get("replaced_by") or row["id"]) for row in found}
            now = {**further, **{one: further.get(at, at) for one, at in now.items()}}
        return now

    def keys_of_parties(self, ids: Collection[int]) -> dict[int, str]:
        """Our keys by party; one call, none without ids."""
        if not ids:
            return {}
        domain = [["id", "in", list(ids)], ARCHIVED_TOO]
        rows = self._client.rows("party.party", domain, KEY_PATHS)
        return {int(row["id"]): keys[0] for row in rows if (keys := party_keys(row))}

    @cached_property
    def _currencies(self) -> dict[str, int]:
        return self._codes("currency.currency")

    @cached_property
    def _countries(self) -> dict[str, int]:
        return self._codes("country.country")

    def _codes(self, model: str) -> dict[str, int]:
        return {str(row["code"]): int(row["id"]) for row in self._client.rows(model, [], ["code"])}
