"""Answers that never came: what was sent then is ours, however often and in whatever form."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from crm_integration.mapping.compile import compile_mapping
from crm_integration.mapping.load import load_mapping
from crm_integration.mapping.normalised import alike
from crm_integration.sandbox.faults import FaultRule
from crm_integration.sync import crm_session
from crm_integration.sync import dispatch as dispatching
from crm_integration.sync.looking import Batch, Sender
from crm_integration_tests import shop_life
from crm_integration_tests.house import MAPPINGS, House, Tenant, account, at

WRITES = r"/batch/(upsert|update)"


@pytest.fixture(autouse=True)
def one_round(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that tries nothing twice, so that each lost answer is a run of its own."""
    monkeypatch.setattr(crm_session, "ROUNDS", 1)


def _said(tenant: Tenant, minutes: int, first_name: str, **more: object) -> None:
    tenant.keep(account(1, at(minutes), "ada@example.com", first_name=first_name, **more))
    tenant.derive()


def test_two_lost_answers_in_a_row_leave_the_field_ours(tenant: Tenant) -> None:
    """The first write stood, the second one never arrived: the ledger remembered only the second,
    took the first one's name for a person's, and never wrote that field again."""
    _said(tenant, 0, "Ada")
    tenant.portal.follow(FaultRule("commit_then_drop", path=WRITES))
    tenant.sync("contact")
    _said(tenant, 1, "Adele")
    tenant.portal.follow(FaultRule("cut", path=WRITES))
    tenant.sync("contact")
    tenant.portal.follow()
    assert tenant.portal.one("contact")["firstname"] == "Ada"
    tenant.hurry()
    tenant.sync("contact")
    assert tenant.portal.one("contact")["firstname"] == "Adele"
    assert tenant.value("select max(cardinality(unclear)) from ledger") == 0


def test_a_refused_call_between_them_forgets_nothing(tenant: Tenant) -> None:
    """After the lost answer came a 429, which is surely nothing: it wiped out the memory of what
    may stand, too."""
    _said(tenant, 0, "Ada")
    tenant.portal.follow(FaultRule("commit_then_drop", path=WRITES))
    tenant.sync("contact")
    _said(tenant, 1, "Adele")
    tenant.portal.follow(FaultRule("status", status=429, retry_after=0, path=WRITES))
    tenant.sync("contact")
    tenant.portal.follow()
    tenant.hurry()
    tenant.sync("contact")
    assert tenant.portal.one("contact")["firstname"] == "Adele"


def test_tries_of_the_same_version_that_never_left_forget_nothing(tenant: Tenant) -> None:
    """The create stood and its answer was lost; the same version then only met refusals, which
    wiped out the memory of the create: its name passed for a person's when the next one came."""
    _said(tenant, 0, "Ada")
    tenant.portal.follow(FaultRule("commit_then_drop", path=WRITES))
    tenant.sync("contact")
    tenant.portal.follow(
        FaultRule("status", status=429, retry_after=0, count=0, path="/batch/read")
    )
    for _ in range(2):
        tenant.hurry()
        tenant.sync("contact")
    _said(tenant, 1, "Adele")
    tenant.portal.follow()
    tenant.hurry()
    tenant.sync("contact")
    assert tenant.portal.one("contact")["firstname"] == "Adele"


def test_a_value_that_the_crm_reshaped_is_still_ours(tenant: Tenant) -> None:
    """The answer to a create was lost and the CRM had trimmed a name: it counted as a person's."""
    _said(tenant, 0, "Ada  Augusta")
    tenant.portal.follow(FaultRule("commit_then_drop", path=WRITES))
    tenant.sync("contact")
    record_id = next(iter(tenant.portal.records("contact")))
    tenant.portal.edit("contact", record_id, firstname="Ada Augusta")
    tenant.portal.follow()
    _said(tenant, 1, "Adele")
    tenant.hurry()
    tenant.sync("contact")
    assert tenant.portal.one("contact")["firstname"] == "Adele"


def test_a_tie_that_a_killed_send_took_away_is_made_again(
    tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The send that moved a contact to another company was killed before it noted that, and the
    store took the move back: the ledger still named the first tie, so nobody made it again."""
    kinds = ("company", "contact")

    def moves(minutes: int, company: str) -> None:
        billing = {"company": company, "country": "GB"}
        _said(tenant, minutes, "Ada", billing=billing)

    class _KilledError(BaseException):
        pass

    real = dispatching._commit  # pyright: ignore[reportPrivateUsage]

    def killed(sender: Sender, batch: Batch) -> None:
        if sender.object_type == "contact":
            raise _KilledError
        real(sender, batch)

    moves(0, "Engines Ltd")
    tenant.sync(*kinds)
    moves(1, "Looms Ltd")
    with monkeypatch.context() as patch, pytest.raises(_KilledError):
        patch.setattr(dispatching, "_commit", killed)
        tenant.sync(*kinds)
    (contact,) = tenant.portal.records("contact")
    names = {number: one["name"] for number, one in tenant.portal.records("company").items()}
    tied = tenant.portal.linked("contact", contact, "company")
    assert [names[one] for one in tied] == ["Looms Ltd"]
    moves(2, "Engines Ltd")
    with tenant.scope() as scope:
        scope.connection.execute(
            text("update ledger set claim_expires_at = now() - interval '1 s'")
        )
    tenant.sync(*kinds)
    tied = tenant.portal.linked("contact", contact, "company")
    assert [names[one] for one in tied] == ["Engines Ltd"]


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("+441134960123", "+44 113 496 0123", True),
        ("12  Elm  Row ", "12 Elm Row", True),
        ("Ada", "Ada", True),
        ("Ada", "Adele", False),
        ("", "", True),
        ("-", "+", False),
        (None, "Ada", False),
    ],
)
def test_letters_and_digits_are_all_that_is_alike(one: str, other: str, expected: bool) -> None:
    assert alike(one, other, "text") is expected


def test_what_another_mapping_version_had_sent_is_still_ours(house: House) -> None:
    """The answer to a create was lost, and an older version without consent fields found the
    record: our own opt-out passed for a person's, and no opt-in of the shop ever counted again."""
    tenant = house.tenant("shopify")
    person = tenant.shop.account("ada@example.com")
    shop_life.says(tenant.shop, person, "unsubscribed")
    tenant.extract()
    tenant.derive()
    latest = tenant.house.mappings["contact"]
    older = compile_mapping(load_mapping(MAPPINGS, "hubspot", "contact", 1))
    tenant.portal.follow(FaultRule("commit_then_drop", path=WRITES))
    tenant.sync("contact")
    tenant.portal.follow()
    assert tenant.portal.one("contact")["ci_email_consent"] == "unsubscribed"
    try:
        tenant.house.mappings["contact"] = older
        tenant.hurry()
        tenant.sync("contact")
    finally:
        tenant.house.mappings["contact"] = latest
    assert [state for state, _ in tenant.state("contact")] == ["synced"]
    shop_life.says(tenant.shop, person, "subscribed", "confirmed")
    tenant.run_once()
    assert tenant.portal.one("contact")["ci_email_consent"] == "subscribed"
