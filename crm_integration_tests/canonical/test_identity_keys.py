"""Match keys, names and likeness as pure functions."""

from __future__ import annotations

import pytest

from crm_integration.canonical.customers import Address
from crm_integration.canonical.identity_keys import e164, street_text
from crm_integration.canonical.likeness import THRESHOLD, person, score
from crm_integration.canonical.names import agree, folded, holder_name, person_name
from crm_integration.canonical.not_keys import NotKeys, not_keys


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("5 High Street", "High St. 5"),
        ("5, HIGH STREET", "5 high street"),
        ("Hauptstraße 12", "Hauptstr. 12"),
        ("Königsallee 1", "konigsallee 1"),
    ],
)
def test_one_house_written_in_two_ways_is_one(one: str, other: str) -> None:
    """`High St 5` and `5 High Street` were two addresses of one person."""
    assert _street(one) == _street(other) is not None


@pytest.mark.parametrize("line1", ["", "High Street", "5", "12 14"])
def test_a_street_without_a_house_number_is_no_key(line1: str) -> None:
    """A village without house numbers became one customer."""
    assert _street(line1) is None


def _street(line1: str) -> str | None:
    address = Address(kind="billing", line1=line1, postcode="SW1A 1AA", country="GB")
    return street_text(address)


def test_a_phone_is_a_key_only_if_it_could_ring() -> None:
    """`00000000` joined everybody who did not want to be called."""
    assert e164("020 7946 0123", "GB") == e164("+44 20 7946 0123", None) == "+442079460123"
    assert e164("00000000", "GB") is None
    assert e164("12345", "GB") is None
    assert e164("020 7946 0123", None) is None


def test_a_name_is_folded_to_what_two_spellings_share() -> None:
    """Diacritics, case, apostrophes and the order of the parts."""
    assert folded("  Ångström-LÖF ") == "angstrom lof"
    assert folded("O\u2019Neil") == folded("ONEIL")
    assert holder_name("Ada", "Byron") == holder_name("BYRON", "ada")


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("Ann Lee", "Ian Lee", False),
        ("Ann Lee", "Ann Leo", False),
        ("Bill Gates", "William Gates", True),
        ("Kate Moss", "Katherine Moss", True),
        ("Kate Moss", "", False),
        ("Catherine Sharp", "Cathrine Sharpe", True),
        ("María José García", "Maria Garcia", True),
    ],
)
def test_names_agree_in_what_one_person_is_called(one: str, other: str, *, same: bool) -> None:
    """One letter is a typing error in a long name and another person in a short one."""
    first, second = (person_name(*text.rsplit(" ", 1)) if text else person_name("", "")
                     for text in (one, other))  # fmt: skip
    assert agree(first, second) is same
    assert agree(second, first) is same


def test_a_shops_own_domain_is_no_key_and_its_hosting_is_none_of_its_own() -> None:
    """Phone orders typed in under orders@ the shop; a neighbour's mail at the same hoster stays."""
    shop = not_keys(["https://shop.aurora.example/wp", "aurora.myshopify.com"], [])
    assert shop.covers("orders@aurora.example")
    assert shop.covers("me@aurora.myshopify.com")
    assert not shop.covers("me@myshopify.com")
    assert not shop.covers("me@notaurora.example")
    assert not_keys(["http://127.0.0.1:8080"], []) == NotKeys()


def test_a_family_at_one_address_is_not_suggested() -> None:
    """Everything of an address agrees for all who live there."""
    home = {"surname": "Byron", "line1": "5 High Street", "line2": "Flat 2", "city": "London",
            "postcode": "SW1A 1AA", "phone": "+442079460123"}  # fmt: skip
    ada, bert = person(given="Ada", **home), person(given="Bert", **home)
    assert score(ada, bert).score < THRESHOLD
    assert score(ada, person(given="Adda", **home)).score >= THRESHOLD


def test_two_of_one_name_in_one_town_are_not_suggested() -> None:
    """There are four hundred John Smiths in London."""
    john = person(given="John", surname="Smith", line1="", city="London", region="London")
    assert score(john, john).score < THRESHOLD


def test_likeness_is_the_same_from_either_side() -> None:
    """A pair was suggested or not by which customer had changed last."""
    one = person(given="", surname="benjamin", line1="33 stralia place", postcode="4814")
    other = person(given="benjamin", surname="mcphail", line1="33 straliaplace", postcode="4814")
    assert score(one, other) == score(other, one)
