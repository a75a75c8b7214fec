"""What people do in the CRM: they typed contacts in before us, correct fields, and opt out there.

Prevents a certificate in which only the store ever speaks. Who edits a field does so only when the
CRM shows the store's newest value of it: an edit in the moment between our look and our write
cannot be seen by anybody, since these CRMs have no conditional write.
"""

from __future__ import annotations

import random
import re
from dataclasses import asdict, dataclass, field
from typing import Any

from crm_integration.sandbox.portal_state import Record
from crm_integration.sandbox.shop_state import CustomerRecord
from crm_integration_tests.certificate.deliveries import Sent, deliveries
from crm_integration_tests.certificate.merchant import Merchant, Told
from crm_integration_tests.certificate.world import World

_ENTERED, _TWICE = 9, 70
"""One person in so many was entered by sales before us, once or twice."""


@dataclass(frozen=True)
class Edit:
    """A person's value of a field; the last one of a field counts."""

    tenant: str
    record_id: int
    field: str
    value: str


@dataclass
class Sales:
    """The people at the CRMs of the world."""

    world: World
    rng: random.Random
    edits: list[Edit] = field(default_factory=list[Edit])
    opted_out: list[tuple[str, int]] = field(default_factory=list[tuple[str, int]])
    """(tenant, record) whose owner opted out in the CRM; the store has spoken since."""
    twice: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    """(tenant, e-mail in small letters) of people entered twice."""
    _waiting: list[tuple[Merchant, CustomerRecord, int]] = field(
        default_factory=list[tuple[Merchant, CustomerRecord, int]]
    )

    def enter(self, people: int) -> None:
        """What the CRMs hold already: some of the first people, with values of their own."""
        for merchant in self.world.merchants:
            for number in range(people):
                copies = 2 if number % _TWICE == 7 else 1 if number % _ENTERED == 3 else 0
                for copy in range(copies):
                    self._enter(merchant, number, copy)
                if copies == 2:
                    self.twice.append((merchant.name, merchant.someone(number).email.lower()))

    def _enter(self, merchant: Merchant, number: int, copy: int) -> None:
        who = merchant.someone(number)
        typed = {
            "email": who.email.swapcase(),
            "firstname": f"Nick{number}",
            "jobtitle": "Head of Buying",
            **({"phone": f"07700 900{number:03d}"} if number % 2 else {}),
        }
        record = merchant.portal.seed("contacts", typed, created=self.world.clock.now - 86_400)
        for name, value in record.properties.items():
            if name in typed and name != "email":
                self.edits.append(Edit(merchant.name, record.id, name, value))
        _ = copy

    def work(self, count: int) -> list[Sent]:
        """Let sales people edit so many fields; what shops send because of opt-outs before."""
        sent = self.speak_again()
        for _ in range(count * 4):
            if count <= 0:
                break
            count -= self._edit(self.rng.choice(self.world.merchants))
        self._opt_out(self.rng.choice(self.world.merchants[1:]))
        return sent

    def _edit(self, merchant: Merchant) -> bool:
        found = self._bound(merchant)
        if found is None:
            return False
        record, account = found
        name = self.rng.choice(("firstname", "lastname", "phone", "address", "jobtitle"))
        if not _shows(record, account, name):
            return False
        value = f"07700 900{self.rng.randrange(1000):03d}" if name == "phone" else (
            f"{name.title()} by sales {self.rng.randrange(10_000)}"
        )  # fmt: skip
        merchant.portal.update("contacts", record, {name: value})
        self.edits.append(Edit(merchant.name, record.id, name, record.properties[name]))
        return True

    def _bound(self, merchant: Merchant) -> tuple[Record, CustomerRecord] | None:
        """A contact of ours and its account, at random."""
        if not merchant.accounts:
            return None
        account = merchant.shop.customers[self.rng.choice(list(merchant.accounts.values()))]
        record = merchant.portal.get("contacts", str(account.fields["email"]), "email")
        return (record, account) if record and record.properties.get("ci_key") else None

    def _opt_out(self, merchant: Merchant) -> None:
        """Somebody who gets the newsletter unsubscribes from all mail, in the CRM itself."""
        found = self._bound(merchant)
        if found is None or found[0].properties.get("ci_email_consent") != "subscribed":
            return
        merchant.portal.opted_out(found[0])
        self._waiting.append((merchant, found[1], found[0].id))

    def speak_again(self) -> list[Sent]:
        """The shop's own box is ticked again by those who opted out in the CRM before."""
        sent: list[Sent] = []
        for merchant, account, record_id in self._waiting:
            self.world.clock.now += 1
            merchant.consent(account, "subscribed")
            self.opted_out.append((merchant.name, record_id))
            sent += deliveries(merchant, Told("customer", account.id, "consent"))
        self._waiting = []
        return sent

    def json(self) -> dict[str, Any]:
        """For the oracle."""
        return {
            "edits": [asdict(one) for one in self.edits],
            "opted_out": self.opted_out,
            "twice": self.twice,
        }


def _shows(record: Record, account: CustomerRecord, name: str) -> bool:
    """Whether the CRM shows the store's newest value of a field (or somebody else's)."""
    billing = account.fields["billing"]
    held = record.properties.get(name, "")
    if name == "lastname":
        return held == account.fields["last_name"]
    if name == "address":
        return held.split() == str(billing["address_1"]).split()
    if name == "phone":
        return _digits(held)[-9:] == _digits(str(billing["phone"]))[-9:]
    return bool(held) or name == "jobtitle"


def _digits(text: str) -> str:
    return re.sub(r"\D", "", text)
