"""The adapter against Tryton itself: what Tryton says wrongly, we must not repeat."""

from __future__ import annotations

from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from crm_integration.crms._contract import (
    Adapter,
    Association,
    CrmAccess,
    CrmRecord,
    FieldNeed,
    FieldValue,
    Outcome,
    Write,
)
from crm_integration.crms._registry import crm_connector
from crm_integration.crms.tryton import reading
from crm_integration.crms.tryton.client import Client
from crm_integration.crms.tryton.describe import describe
from crm_integration.errors import (
    Conflict,
    DataRejected,
    MissingScope,
    NeedsReconnect,
    Permanent,
    Transient,
)
from crm_integration.sandbox.faults import FaultRule
from crm_integration_tests.real.tryton_records import held
from crm_integration_tests.real.tryton_server import TrytonAccount

Opening = Callable[..., Adapter]

pytestmark = pytest.mark.usefixtures("no_pauses")

PARTY = {"name": "Ada", "email": "ada@example.com", "address.city": "Leeds"}
DEAL: dict[str, FieldValue] = {
    "description": "Order 7", "amount": "12.30", "currency": "GBP", "start_date": "2024-03-01",
}  # fmt: skip


def key(number: int) -> str:
    """One of our keys."""
    return f"00000000-0000-4000-8000-{number:012d}"


def creates(count: int, fields: dict[str, FieldValue]) -> list[Write]:
    """Records to be created, alike but for their keys."""
    return [Write(key(number), None, fields) for number in range(count)]


def done(outcome: Outcome) -> CrmRecord:
    """The record of a write that went well."""
    assert outcome.record is not None, outcome.error
    return outcome.record


@pytest.fixture
def opening(crm: TrytonAccount) -> Generator[Opening]:
    """Opens adapters to the test's database, and closes them at the end."""
    with ExitStack() as opened:

        def adapter(api_key: str = crm.secrets["api_key"]) -> Adapter:
            access = CrmAccess(crm.connection.base_url, {"api_key": api_key})
            made = crm_connector("tryton").open(access, lambda _endpoint: None)
            opened.callback(made.close)
            return made

        yield adapter


@pytest.fixture
def adapter(opening: Opening) -> Adapter:
    return opening()


def test_a_hundred_parties_are_one_call(adapter: Adapter, crm: TrytonAccount) -> None:
    """Written one by one, a backfill of 20,000 customers takes a quarter of an hour."""
    outcomes = adapter.write("contact", creates(100, dict(PARTY)))
    assert all(one.created and one.record is not None for one in outcomes)
    assert crm.writes == 1
    assert len(crm.records.parties()) == 100
    found = adapter.find_by_key("contact", [key(7), key(700)], ["name", "address.city"])
    assert found.keys() == {key(7)}
    assert found[key(7)].fields == {"name": "Ada", "address.city": "Leeds"}


def test_one_bad_order_of_seven_is_found_by_halves(adapter: Adapter, crm: TrytonAccount) -> None:
    """Tryton refuses all seven for one amount with a digit too many, and names no record."""
    writes = creates(7, DEAL)
    writes[4] = Write(key(4), None, {**DEAL, "amount": "1.005"})
    outcomes = adapter.write("order", writes)
    assert [one.error is None for one in outcomes] == [number != 4 for number in range(7)]
    assert isinstance(outcomes[4].error, DataRejected)
    assert outcomes[4].error.field == "Amount"
    assert "1.005" not in str(outcomes[4].error)
    assert len(crm.records.opportunities()) == 6


@pytest.mark.parametrize(("object_type", "fields"), [("contact", PARTY), ("order", DEAL)])
def test_a_create_that_is_repeated_changes_the_first_record(
    adapter: Adapter, crm: TrytonAccount, object_type: str, fields: dict[str, FieldValue]
) -> None:
    """Only a party's code is unique in Tryton: a repeated order became a second one."""
    first = done(adapter.write(object_type, creates(1, fields))[0])
    (again,) = adapter.write(object_type, creates(1, fields))
    assert done(again).record_id == first.record_id
    assert not again.created
    assert len(crm.records.parties()) + len(crm.records.opportunities()) == 1


@pytest.mark.parametrize("count", [1, 3])
def test_four_who_race_for_one_customer_make_one_party(
    opening: Opening, crm: TrytonAccount, count: int
) -> None:
    """All four look, none finds, all create: Tryton's unique code decides, and the three that
    are refused find the fourth's."""
    adapters = [opening() for _ in range(4)]
    new = r"party\.party(/create)?\?"
    crm.follow(FaultRule("delay", path=new, seconds=0.5, count=0))
    writes = creates(count, dict(PARTY))
    with ThreadPoolExecutor(4) as pool:
        races = [pool.submit(one.write, "contact", writes) for one in adapters]
        outcomes = [outcome for race in races for outcome in race.result()]
    assert [one.error for one in outcomes if one.error is not None] == []
    assert len(crm.records.parties()) == count
    assert len({done(one).record_id for one in outcomes}) == count
    assert sum(one.created for one in outcomes) == count


def test_all_records_with_our_key_are_listed_page_by_page_and_no_others(
    adapter: Adapter, crm: TrytonAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A record too many is found by nobody who asks for the keys that are known."""
    monkeypatch.setattr(reading, "_PAGE", 2)
    parties = [done(one) for one in adapter.write("contact", creates(5, dict(PARTY)))]
    crm.records.create("party.party", name="Of sales")
    note = {"day": "2024-03-01", "message": "Refund", "party": key(1)}
    (told,) = adapter.write("refund", [Write(key(70), None, note)])
    (deal,) = adapter.write("order", [Write(key(80), None, DEAL)])
    adopted = crm.records.create("party.party", name="Bea")
    adapter.write("contact", [Write(key(9), str(adopted), {}, adopt=True)])

    listed = {one.record_id: one.key for one in adapter.keyed("contact")}
    assert listed == {**{one.record_id: one.key for one in parties}, str(adopted): key(9)}
    assert [one.key for one in adapter.keyed("activity")] == [done(told).key]
    assert [one.record_id for one in adapter.keyed("order")] == [done(deal).record_id]


def test_a_party_that_was_archived_is_not_made_again(adapter: Adapter, crm: TrytonAccount) -> None:
    """Tryton hides archived records from every search that does not ask for them."""
    record = done(adapter.write("contact", creates(1, dict(PARTY)))[0])
    crm.records.edit("party.party", int(record.record_id), active=False)
    assert adapter.read("contact", [record.record_id], ["name"])[record.record_id].key == key(0)
    assert adapter.find_by_key("contact", [key(0)], ["name"]).keys() == {key(0)}
    (again,) = adapter.write("contact", creates(1, {**PARTY, "name": "Ada B."}))
    assert done(again).record_id == record.record_id
    (party,) = crm.records.parties()
    assert (party["active"], party["name"]) == (False, "Ada"), "what was put away stays so"


def test_a_number_tryton_could_not_read_is_kept_beside_the_phones(
    adapter: Adapter, crm: TrytonAccount
) -> None:
    """With the library for it Tryton refuses the whole party for `ring twice`."""
    (write,) = creates(1, {**PARTY, "phone": "ring twice"})
    record = done(adapter.write("contact", [write])[0])
    assert record.fields["phone"] == "ring twice"
    assert held(crm.records.party(int(record.record_id)), "phone") == []
    change = Write(key(0), record.record_id, {"phone": "+442079460000"})
    assert done(adapter.write("contact", [change])[0]).fields == {"phone": "+442079460000"}
    assert held(crm.records.party(int(record.record_id)), "phone") == ["+442079460000"]


def test_people_are_found_by_any_of_their_addresses_and_not_by_a_pattern(
    adapter: Adapter, crm: TrytonAccount
) -> None:
    """`a_a@example.com` found `ada@example.com`: an underscore stands for any letter there."""
    known = crm.records.enter("Ada", email="first@example.com", phone="+442079460000")
    second = [["create", [{"type": "email", "value": "ADA@example.com"}]]]
    crm.records.edit("party.party", known, contact_mechanisms=second)
    asked = ["ada@example.com", "a_a@example.com", "%"]
    found = adapter.find_by_match("contact", "email", asked, ["name", "email"])
    assert found.keys() == {"ada@example.com"}
    (record,) = found["ada@example.com"]
    assert (record.record_id, record.key) == (str(known), None)
    assert record.fields["email"] == "first@example.com"


def test_a_company_is_found_by_its_name(adapter: Adapter, crm: TrytonAccount) -> None:
    """Letters' case is a matter of taste; a company was made twice for it."""
    known = crm.records.enter("ACME 100% Ltd")
    found = adapter.find_by_match("company", "name", ["Acme 100% ltd", "Acme"], ["name"])
    assert {name: [one.record_id for one in records] for name, records in found.items()} == {
        "acme 100% ltd": [str(known)]
    }


def test_a_note_waits_for_its_party_and_is_told_once(adapter: Adapter, crm: TrytonAccount) -> None:
    """Tryton takes no note that hangs on nothing, and lets us search none without saying where."""
    write = Write(key(9), None, {"day": "2024-03-01", "message": "Paid", "party": key(0)})
    (early,) = adapter.write("activity", [write])
    assert isinstance(early.error, Transient)
    assert (early.error.code, early.error.retry_after) == ("no_party", 86_400.0)
    party = int(done(adapter.write("contact", creates(1, dict(PARTY)))[0]).record_id)
    made, again = (done(adapter.write("activity", [write])[0]) for _ in range(2))
    assert made.record_id == again.record_id
    assert crm.records.notes(party) == [f"2024-03-01\nPaid\nci-{key(9)}"]
    assert made.fields == {"day": "2024-03-01", "message": "Paid", "party": key(0)}
    assert adapter.read("activity", [made.record_id, "99"], ["message"]).keys() == {made.record_id}


def test_a_note_stays_as_it_was_written(adapter: Adapter, crm: TrytonAccount) -> None:
    """Tryton lets nobody change it; the attempt would go to the dead letters each time."""
    party = int(done(adapter.write("contact", creates(1, dict(PARTY)))[0]).record_id)
    fields: dict[str, FieldValue] = {"day": "2024-03-01", "message": "Paid", "party": key(0)}
    note = done(adapter.write("activity", [Write(key(9), None, fields)])[0])
    (changed,) = adapter.write(
        "activity", [Write(key(9), note.record_id, {"message": "Paid twice"})]
    )
    assert done(changed).fields == {"message": "Paid"}
    assert len(crm.records.notes(party)) == 1


def test_an_order_is_tied_to_its_party_unless_sales_chose_another(
    adapter: Adapter, crm: TrytonAccount
) -> None:
    """Sales had moved an opportunity to the parent company, and the sync moved it back."""
    first, second = (
        done(one) for one in adapter.write("order", creates(2, DEAL))
    )  # fmt: skip
    ada, other = crm.records.enter("Ada"), crm.records.enter("Parent company")
    crm.records.edit("sale.opportunity", int(second.record_id), party=other)
    wanted = [Association("order", one.record_id, "contact", str(ada)) for one in (first, second)]
    assert adapter.associate(wanted) == [None, None]
    assert [one["party"] for one in crm.records.opportunities()] == [ada, other]
    (error,) = adapter.associate([Association("contact", str(ada), "company", str(other))])
    assert isinstance(error, Permanent)


def test_a_record_that_was_deleted_is_looked_at_again(adapter: Adapter, crm: TrytonAccount) -> None:
    """Its neighbours are written all the same."""
    first, second = (done(one) for one in adapter.write("order", creates(2, DEAL)))
    crm.records.press("sale.opportunity", int(first.record_id), "cancel")
    crm.records.call("DELETE", f"sale.opportunity/{first.record_id}")
    change: dict[str, FieldValue] = {"amount": "9.00"}
    changes = [Write(key(n), one.record_id, change) for n, one in enumerate((first, second))]
    gone, stands = adapter.write("order", changes)
    assert isinstance(gone.error, Transient)
    assert gone.error.code == "record_gone"
    assert done(stands).fields == {"amount": "9.00"}


def test_the_user_lacks_a_group_and_prepare_says_which_model(
    opening: Opening, crm: TrytonAccount
) -> None:
    """Tryton's own word for it is 400, which is also its word for a bad value."""
    user = crm.records.create("res.user", name="Half", login="half")
    crm.records.create("res.user.application", key="half", user=user, application="rest")
    half = opening("half")
    half.prepare("contact", [FieldNeed("name", "text")])
    with pytest.raises(MissingScope) as refused:
        half.prepare("order", [FieldNeed("amount", "number")])
    assert refused.value.scope == "sale.opportunity"
    with pytest.raises(MissingScope):
        half.write("order", creates(2, DEAL))


def test_a_key_that_was_withdrawn_asks_for_a_new_one(opening: Opening, crm: TrytonAccount) -> None:
    """Nothing else must be tried with it."""
    with pytest.raises(NeedsReconnect):
        opening("withdrawn").account_id()
    with pytest.raises(NeedsReconnect):
        opening("withdrawn").write("contact", creates(3, dict(PARTY)))
    assert crm.records.parties() == []


def test_a_field_tryton_has_no_place_for_is_refused_before_anything_is_written(
    adapter: Adapter,
) -> None:
    """Tryton answers an unknown field with 500, record by record, for ever."""
    for need in (FieldNeed("ci_stage", "text"), FieldNeed("amount", "text")):
        with pytest.raises(DataRejected) as refused:
            adapter.prepare("order", [need])
        assert refused.value.field == need.name


def test_a_batch_whose_answer_is_lost_is_unknown_and_nothing_of_it_is_doubled(
    adapter: Adapter, crm: TrytonAccount
) -> None:
    """Committed, and the answer dropped: sending again must find all of it."""
    crm.follow(FaultRule("commit_then_drop", path=r"sale\.opportunity/create"))
    outcomes = adapter.write("order", creates(5, DEAL))
    assert {one.error.code for one in outcomes if one.error is not None} == {"unknown"}
    crm.follow()
    assert all(one.error is None for one in adapter.write("order", creates(5, DEAL)))
    assert len(crm.records.opportunities()) == 5


def test_an_accident_of_the_server_is_looked_at_record_by_record(
    adapter: Adapter, crm: TrytonAccount
) -> None:
    """A 500 says nothing: what can be written is, and nothing is written twice."""
    crm.follow(FaultRule("status", path=r"party\.party/create", status=500))
    outcomes = adapter.write("contact", creates(4, dict(PARTY)))
    assert all(one.error is None for one in outcomes)
    assert len(crm.records.parties()) == 4


def test_account_and_fields_are_what_tryton_says(adapter: Adapter, crm: TrytonAccount) -> None:
    """Another database under the same address is another account."""
    assert adapter.account_id() == crm.records.account_id() == crm.connection.account_id
    access = CrmAccess(crm.connection.base_url, crm.secrets)
    client = Client(access, lambda _endpoint: None)
    assert describe(client, "order").keys() >= {"amount", "currency", "party", "state"}
    client.close()


def test_a_clash_without_a_record_of_ours_is_a_conflict(
    adapter: Adapter, crm: TrytonAccount
) -> None:
    """Never to be taken for written: a person deleted the party between refusal and look."""
    crm.follow(
        FaultRule("status", path=r"party\.party\?", method="POST", status=400,
                  body={"status": 400, "message": "The code on party must be unique."}),
    )  # fmt: skip
    (outcome,) = adapter.write("contact", creates(1, dict(PARTY)))
    assert isinstance(outcome.error, Conflict)


def test_a_party_that_sales_replaced_answers_with_the_one_that_stands(
    adapter: Adapter, crm: TrytonAccount
) -> None:
    """Sales merged two customers; the sync went on writing into the one that nobody sees."""
    loser = done(adapter.write("contact", creates(1, dict(PARTY)))[0]).record_id
    between, stands = crm.records.enter("Ada B."), crm.records.enter("Ada Lovelace")
    crm.merge(int(loser), between)
    crm.merge(between, stands)
    found = adapter.read("contact", [loser, str(stands)], ["name"])
    assert {asked: one.record_id for asked, one in found.items()} == {
        loser: str(stands), str(stands): str(stands),
    }  # fmt: skip
    assert set(found[loser].merged) == {loser, str(between)}
    assert adapter.find_by_key("contact", [key(0)], ["name"])[key(0)].record_id == str(stands)
    deal: dict[str, FieldValue] = {**DEAL, "party": key(0)}
    adapter.write("order", [Write(key(7), None, deal)])
    assert [one["party"] for one in crm.records.opportunities()] == [stands]


def test_what_is_archived_can_be_restored(adapter: Adapter, crm: TrytonAccount) -> None:
    """A customer who turned out to be another one: the second record is put away, not deleted."""
    party = done(adapter.write("contact", creates(1, dict(PARTY)))[0]).record_id
    deal = done(adapter.write("order", creates(1, DEAL))[0]).record_id
    for _ in range(2):
        assert adapter.archive("contact", [party, "999"]) == [None, None]
        assert adapter.archive("order", [deal]) == [None]
    assert [one["active"] for one in crm.records.parties()] == [False]
    assert [one["state"] for one in crm.records.opportunities()] == ["cancelled"]
