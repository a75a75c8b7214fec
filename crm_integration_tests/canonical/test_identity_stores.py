"""One customer over several stores: who joins, who does not, and whose word counts."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from crm_integration.canonical.customer_rows import recompute_customers
from crm_integration.canonical.identity import lock_identities
from crm_integration.storage.sealing import TenantKeys
from crm_integration_tests.canonical.people import PHONE, STAMP, People, seen
from crm_integration_tests.house import Tenant, at


@pytest.fixture
def people(tenant: Tenant) -> People:
    return People(tenant)


def test_a_customer_of_two_stores_is_one_and_the_first_store_decides(tenant: Tenant) -> None:
    """Whichever shop was synced last renamed the contact, day by day."""
    one = seen(1, "Ada Byron", "ada@example.com", store="a", kind="registered", when=at(0))
    other = seen(9, "Augusta Byron", "ADA@example.com", store="b", kind="registered", when=at(9))
    people = People(tenant, stores=("a", "b"))
    people.write(one, other)
    assert people.groups() == {frozenset({"a/1", "b/9"})}
    assert people.only()["first_name"] == "Ada"
    people.stores = ("b", "a")
    people.write(seen(9, "Augusta Byron", "ADA@example.com", store="b", kind="registered",
                      when=at(10)))  # fmt: skip
    assert people.only()["first_name"] == "Augusta"


def test_each_field_comes_from_the_first_who_said_it(people: People) -> None:
    """An account without a phone emptied the phone that a checkout had given."""
    people.write(
        seen(1, "Ada Byron", "ada@example.com", kind="registered", when=at(0)),
        seen(2, "A Byron", "ada@example.com", when=at(5), phone=PHONE, line1="5 High Street"),
        seen(3, "Lady Byron", "ada@example.com", when=at(9), company="Engines Ltd"),
        seen("cart/4", "Nobody Atall", "ada@example.com", kind="lead", when=at(20)),
    )
    one = people.only()
    assert (one["kind"], one["store_customer_id"], one["first_name"]) == ("registered", "1", "Ada")
    assert one["company"] == "Engines Ltd"
    assert one["billing"]["line1"] == "5 High Street"
    assert one["company_id"] is not None


@pytest.mark.parametrize(
    ("first", "second", "customers"),
    [
        ("John Smith", "J Smith", 1),
        ("Catherine Smith", "Cathrine Smithe", 1),
        ("Robert Smith", "Bob Smith", 1),
        ("Zoë Müller", "ZOE MULLER", 1),
        ("John Smith", "Smith John", 1),
        ("John Smith", "Jane Smith", 2),
        ("John Smith", "John Baker", 2),
        ("John Smith", "Smith", 2),
    ],
)
def test_a_phone_at_a_place_joins_only_who_may_have_one_name(
    people: People, first: str, second: str, customers: int
) -> None:
    """Husband and wife order from one address and one phone; they are two contacts."""
    people.write(
        seen(1, first, "one@example.com", line1="5 High Street", phone=PHONE, store="a"),
        seen(2, second, "two@example.com", line1="High St. 5", phone="+442079460123", store="b"),
    )
    assert len(people.groups()) == customers
    asked = people.tenant.rows("select * from identity_suggestions")
    assert len(asked) == customers - 1
    assert {one.rule for one in asked} <= {"phone_and_place"}


def test_a_name_that_fits_two_people_is_joined_with_neither(people: People) -> None:
    """`J. Smith` joined John, then Jane, and the two were one customer."""
    people.write(
        *(
            seen(n, f"{name} Smith", f"p{n}@example.com", line1="5 High Street", phone=PHONE)
            for n, name in enumerate(("John", "J", "Jane"))
        )
    )
    assert len(people.groups()) == 3
    assert people.tenant.value("select count(*) from identity_suggestions") == 3


def test_a_phone_alone_joins_nobody(people: People) -> None:
    """A family's phone, a company's switchboard: precision was 0.84 on real data."""
    people.write(
        seen(1, "John Smith", "one@example.com", line1="5 High Street", phone=PHONE),
        seen(2, "John Smith", "two@example.com", line1="6 High Street", phone=PHONE),
    )
    assert len(people.groups()) == 2


@pytest.mark.parametrize(
    "email",
    ["noreply@example.com", "none@none.com", "test@test.co.uk", "x@shop.invalid",
     "b7k2@marketplace.amazon.co.uk", "me@members.ebay.de", "phone@tenant.shop.example",
     "orders@own-shop.example"],
)  # fmt: skip
def test_an_address_of_nobody_is_no_key(people: People, email: str) -> None:
    """The shop's best customer was called noreply and had bought three thousand times."""
    shop = f"{people.tenant.name}-shop.example"
    statement = text("update connections set account_id = :host where side = 'store'")
    with people.tenant.scope() as scope:
        scope.connection.execute(statement, {"host": f"www.{shop}"})
    email = email.replace("own-shop.example", shop)
    people.not_keys = ("@tenant.shop.example",)
    people.write(seen(1, "Ada Byron", email), seen(2, "Charles Babbage", email))
    assert len(people.groups()) == 2
    assert {row["email_is_key"] for row in people.customers().values()} == {False}


def test_an_alias_that_forwards_to_one_person_is_a_key(people: People) -> None:
    """Apple's relay makes one alias for each person and shop."""
    alias = "d8x7@privaterelay.appleid.com"
    people.write(seen(1, "Ada Byron", alias), seen(2, "Augusta King", alias))
    assert len(people.groups()) == 1


def test_only_an_account_with_a_verified_address_is_trusted(people: People) -> None:
    """Anybody may type somebody else's address; it links orders, consent needs more."""
    people.write(
        seen(1, "A B", "a@example.com", kind="registered", email_verified=True),
        seen(2, "A B", "b@example.com", kind="registered", email_verified=False),
        seen(3, "A B", "c@example.com", kind="registered"),
        seen(4, "A B", "d@example.com"),
        seen("cart/5", "A B", "e@example.com", kind="lead"),
    )
    rows = people.tenant.rows("select source_id, trusted from customer_identities")
    assert {row.source_id for row in rows if row.trusted} == {"1", "3"}


def test_content_that_did_not_change_is_not_sent_again(people: People) -> None:
    """A new checkout of a known customer made a CRM call that changed nothing."""
    people.write(seen(1, "Ada Byron", "ada@example.com", kind="registered"))
    with people.tenant.scope() as scope:
        scope.connection.execute(text("update customers set needs_projection = false"))
    written = people.write(seen(2, "Ada Byron", "ada@example.com", when=at(5)))
    assert written.upserted.changed == set()
    assert people.tenant.value("select bool_or(needs_projection) from customers") is False


def test_a_customer_computed_again_from_the_same_words_is_not_written(people: People) -> None:
    """Every touched row was written again, since its id was taken for a part of its trace."""
    people.write(seen(1, "Ada Byron", "ada@example.com", kind="registered"))
    ids = list(people.customers())
    with people.tenant.scope() as scope:
        lock_identities(scope)
        upserted = recompute_customers(scope, ids, STAMP)
    assert not upserted.changed
    assert not upserted.same


def test_who_says_nothing_that_counts_has_been_heard(people: People) -> None:
    """The raw record of an old checkout that tells an account nothing is no mere `nothing`."""
    people.write(
        seen(1, "Ada Byron", "ada@example.com", kind="registered", when=at(5)),
        seen(2, "A Byron", "ada@example.com", when=at(0)),
    )
    (ada,) = people.customers()
    assert people.write(seen(2, "A Byron", "ada@example.com", when=at(1))).upserted.same == {ada}


def test_an_older_version_changes_nothing(people: People) -> None:
    """A late webhook brought yesterday's name back."""
    people.write(seen(1, "New Name", "ada@example.com", kind="registered", when=at(9)))
    written = people.write(seen(1, "Old Name", "ada@example.com", kind="registered", when=at(1)))
    assert people.only()["first_name"] == "New"
    assert len(written.upserted.older) == 1


def test_a_guest_of_a_thousand_checkouts_is_not_unsealed_a_thousand_times(
    people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One integration account of a till made each run read its whole history."""
    for start in range(0, 1000, 250):
        people.write(*(seen(start + n, "Till One", "till@example.com", when=at(start + n))
                       for n in range(250)))  # fmt: skip
    opened: list[str] = []
    real = TenantKeys.open

    def counted(self: TenantKeys, table: str, row: str, sealed: bytes) -> bytes:
        opened.append(table)
        return real(self, table, row, sealed)

    monkeypatch.setattr(TenantKeys, "open", counted)
    people.write(seen(5000, "Till One", "till@example.com", when=at(5000)))
    assert 1 <= len(opened) <= 6
    assert len(people.groups()) == 1
