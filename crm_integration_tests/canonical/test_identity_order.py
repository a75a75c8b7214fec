"""The customers are a function of what the stores say, in whatever order it comes."""

from __future__ import annotations

from itertools import count

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crm_integration.canonical.identity_actions import split
from crm_integration_tests.canonical.people import PHONE, People, Seen, seen
from crm_integration_tests.house import House, at

_rounds = count(1)


@pytest.fixture(scope="module")
def people(house: House) -> People:
    """One tenant for all examples."""
    return People(house.tenant())


def _town(number: int) -> list[Seen]:
    """Two stores: a mailbox of six, a household, a person of two addresses, a changed address."""
    base = f"r{number}"
    box, ada, eve = (f"{name}.{base}@example.com" for name in ("info", "ada", "eve"))
    home, flat = f"{number} High Street", f"{number} Low Road"
    return [
        *(seen(f"{base}-{n}", f"P{n} Guest", box, when=at(n)) for n in range(6)),
        seen(f"{base}-10", "Ada Byron", ada, kind="registered", when=at(1)),
        seen(f"{base}-11", "A Byron", ada.upper(), store="b", when=at(2), line1=home, phone=PHONE),
        seen(f"{base}-12", "Ada Byron", None, store="b", when=at(3), line1=home, phone=PHONE),
        seen(f"{base}-13", "Bert Byron", None, store="a", when=at(4), line1=home, phone=PHONE),
        seen(f"{base}-14", "Eve Moneypenny", eve, store="b", kind="registered", when=at(5)),
        seen(f"{base}-15", "Eve Moneypeny", None, store="a", when=at(6), line1=flat, phone=PHONE),
        seen(f"{base}-14", "Eve Moneypenny", eve, store="b", kind="registered", when=at(7),
             line1=flat, phone=PHONE),
        seen(f"{base}-16", "", eve, kind="lead", when=at(8)),
    ]  # fmt: skip


def _expected(number: int) -> set[frozenset[str]]:
    base = f"r{number}"
    alone = {frozenset({f"main/{base}-{n}"}) for n in range(6)}
    ada = frozenset({f"main/{base}-10", f"b/{base}-11", f"b/{base}-12"})
    eve = frozenset({f"b/{base}-14", f"a/{base}-15", f"main/{base}-16"})
    return {*alone, ada, frozenset({f"a/{base}-13"}), eve}


@settings(
    max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(arrival=st.permutations(range(14)), cuts=st.sets(st.integers(1, 13)))
def test_every_order_of_arrival_ends_at_the_same_customers(
    people: People, arrival: list[int], cuts: set[int]
) -> None:
    """The same shops gave other customers at each replay."""
    number = next(_rounds)
    town = _town(number)
    for start, end in zip([0, *sorted(cuts)], [*sorted(cuts), 14], strict=True):
        people.write(*(town[n] for n in arrival[start:end]))
    assert people.groups(town) == _expected(number)
    _check_content(people, town)


def _check_content(people: People, town: list[Seen]) -> None:
    """Everybody at a customer, and the customer says what its first identity says."""
    names = {one.item.source_id: one.item for one in town}
    for row in people.customers().values():
        if row["store_customer_id"] in names:
            assert row["first_name"] == names[row["store_customer_id"]].first_name


_JOINS = st.permutations(range(5)).filter(lambda order: order[0] not in (1, 2))
"""Paul comes to a customer who is there, so that there is a merge of his to undo."""


@settings(
    max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(arrival=_JOINS, later=st.permutations(range(3)))
def test_who_was_put_apart_stays_apart_whatever_comes_later(
    people: People, arrival: list[int], later: list[int]
) -> None:
    """Father and son share a mailbox; the split was undone by the next night's run."""
    base = f"s{next(_rounds)}"
    mail = f"smith.{base}@example.com"
    family = [
        seen(f"{base}-1", "John Smith", mail, kind="registered", when=at(1)),
        seen(f"{base}-2", "Paul Smith", mail, when=at(2)),
        seen(f"{base}-3", "Paul Smith", mail, store="b", when=at(3)),
        seen(f"{base}-4", "John Smith", mail, store="b", when=at(4)),
        seen(f"{base}-5", "Joan Smith", mail, store="b", when=at(5)),
    ]
    for number in arrival:
        people.write(family[number])
    assert len(people.groups(family)) == 1
    _split_off(people, f"{base}-2")
    after = [
        seen(f"{base}-6", "Paul Smith", mail, when=at(6)),
        seen(f"{base}-7", "John Smith", mail, store="b", when=at(7)),
        seen(f"{base}-1", "John Smith", mail, kind="registered", when=at(8), phone=PHONE),
    ]
    for number in later:
        people.write(after[number])
    pauls = {f"main/{base}-2", f"b/{base}-3", f"main/{base}-6"}
    others = {f"main/{base}-1", f"b/{base}-4", f"b/{base}-5", f"b/{base}-7"}
    assert people.groups([*family, *after]) == {frozenset(pauls), frozenset(others)}


def _split_off(people: People, source_id: str) -> None:
    """Undo the merge that brought this identity's persona."""
    found = people.tenant.rows(
        "select m.merge_id from identity_merges m"
        " join customer_identities j on j.identity_id = any (m.identities)"
        " join customer_identities i on i.persona_key = j.persona_key"
        " where i.source_id = :s and m.undone_at is null and m.winner = i.customer_id",
        s=source_id,
    )
    with people.tenant.scope() as scope:
        split(scope, found[0].merge_id, actor="test", reason="two people")
