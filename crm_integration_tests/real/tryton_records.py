"""Tryton's own records, read and edited as its people would, by its REST interface.

The engine's adapter is not asked: what a test says about Tryton is what Tryton says.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from typing import Any, cast

import httpx

ADMIN_KEY = secrets.token_hex(32)
"""Of the key that tests use themselves; made anew for each run."""

Json = dict[str, Any]

_PARTY = ("name", "code", "active", "identifiers.code", "contact_mechanisms.type",
          "contact_mechanisms.value", "addresses.street", "addresses.postal_code",
          "addresses.city", "addresses.country.code")  # fmt: skip
_OPPORTUNITY = ("reference", "number", "description", "comment", "amount", "state", "start_date",
                "party", "currency.code")  # fmt: skip


class Records:
    """One database, by its address `http://host/database`."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._headers = {"authorization": f"bearer {ADMIN_KEY}", "accept-language": "en"}

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """The JSON of an answer; a refusal fails the test."""
        url = f"{self._url}/rest/model/{path}"
        answer = httpx.request(
            method, url, json=body, headers=self._headers, trust_env=False, timeout=60
        )
        assert answer.is_success, f"{answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

    def rows(self, model: str, fields: Sequence[str], domain: Sequence[Any] = ()) -> list[Json]:
        """Records of a model, in the order in which they were made."""
        body = {"domain": list(domain), "fields_names": list(fields), "order": [["id", "ASC"]]}
        return cast(list[Json], self.call("POST", f"{model}/search_read", body))

    def create(self, model: str, **values: Any) -> int:
        """A new record's id."""
        return int(self.call("POST", f"{model}/create", {"vlist": [values]})[0])

    def edit(self, model: str, record_id: int, **values: Any) -> None:
        """A person changes a record."""
        self.call("PUT", f"{model}/{record_id}", values)

    def press(self, model: str, record_id: int, button: str) -> None:
        """A person presses a button on a record."""
        self.call("POST", f"{model}/{record_id}/{button}", {})

    def enter(self, name: str, *, email: str = "", phone: str = "", **values: Any) -> int:
        """A party that sales typed in."""
        parts = (("email", email), ("phone", phone))
        made = [{"type": kind, "value": value} for kind, value in parts if value]
        return self.create(
            "party.party", name=name, contact_mechanisms=[["create", made]], **values
        )

    def parties(self) -> list[Json]:
        """All parties but the merchant's own company and its people, archived ones too."""
        own = ["name", "not in", ["The Shop", "Sally Sales"]]
        return self.rows("party.party", _PARTY, [own, ["active", "in", [True, False]]])

    def party(self, record_id: int) -> Json:
        """One party."""
        return self.rows("party.party", _PARTY, [["id", "=", record_id]])[0]

    def opportunities(self) -> list[Json]:
        """All opportunities."""
        return self.rows("sale.opportunity", _OPPORTUNITY)

    def notes(self, party: int | None = None) -> list[str]:
        """The text of all notes (on a party)."""
        on = [] if party is None else [["resource", "=", f"party.party,{party}"]]
        return [str(row["message"]) for row in self.rows("ir.note", ["message"], on)]

    def account_id(self) -> str:
        """The company's id and when it was made, as the adapter names an account."""
        (company,) = self.rows("company.company", ["create_date"])
        at: Mapping[str, int] = company["create_date"]
        parts = ("year", "month", "day", "hour", "minute", "second", "microsecond")
        return f"{company['id']}@" + "-".join(str(at[part]) for part in parts)


def held(party: Json, kind: str) -> list[str]:
    """A party's values of one kind of contact mechanism."""
    return [one["value"] for one in party["contact_mechanisms."] if one["type"] == kind]


def amount(opportunity: Json) -> str:
    """An opportunity's amount with its currency."""
    return f"{opportunity['amount']['decimal']} {opportunity['currency.']['code']}"


def furnish(url: str) -> str:
    """A company, two currencies, two countries, and the key of a user who may do what we do.

    The user is no administrator: it is in the groups a merchant would put it into.
    """
    records = Records(url)
    pound = records.create("currency.currency", name="Pound", symbol="£", code="GBP")
    records.create("currency.currency", name="Euro", symbol="€", code="EUR")
    for code, name in (("GB", "United Kingdom"), ("DE", "Germany")):
        records.create("country.country", code=code, name=name)
    shop = records.create("party.party", name="The Shop")
    company = records.create("company.company", party=shop, currency=pound)
    (admin,) = records.rows("res.user", ["login"], [["login", "=", "admin"]])
    records.edit("res.user", admin["id"], companies=[["add", [company]]], company=company)
    groups = records.rows("res.group", ["name"], [["name", "in", ["Sales", "Sale Opportunity"]]])
    user = records.create(
        "res.user",
        name="Integration",
        login="integration",
        groups=[["add", [group["id"] for group in groups]]],
        companies=[["add", [company]]],
        company=company,
    )
    key = secrets.token_hex(32)
    records.create("res.user.application", key=key, user=user, application="rest")
    return key
