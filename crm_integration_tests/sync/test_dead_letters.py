"""Dead letters: seen whole, corrected, sent again, and never for longer than they are right."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from uuid import uuid4

import pytest
from sqlalchemy import text

from crm_integration.errors import BadInput, NotFound
from crm_integration.quality.holds import open_hold
from crm_integration.sandbox.faults import FaultRule
from crm_integration.sync import dead_letters, retry_policy
from crm_integration.sync.dead_letter_edits import edit
from crm_integration.sync.dead_letter_story import Story, tell
from crm_integration.sync.dead_letters import DeadLetter, Filter, Preview
from crm_integration_tests.house import Tenant, account, at, order

UPSERT = "contacts/batch/upsert"
CRM = "crm"


def _refused(tenant: Tenant, *emails: str) -> None:
    """Accounts with these addresses whose contacts the CRM refuses, until told otherwise."""
    tenant.keep(*(account(n, at(n), email) for n, email in enumerate(emails, start=1)))
    tenant.derive()
    tenant.portal.follow(FaultRule("partial", "POST", UPSERT, records=emails, count=0))
    tenant.sync("contact")
    assert {state for state, _ in tenant.state("contact")} == {"dead"}


def _letters(tenant: Tenant, wanted: Filter | None = None) -> list[DeadLetter]:
    with tenant.scope() as scope:
        return dead_letters.dead_letters(scope, CRM, wanted or Filter())


def _only(tenant: Tenant) -> DeadLetter:
    (found,) = _letters(tenant)
    return found


def _edit(tenant: Tenant, changes: Mapping[str, str], reason: str = "typing error") -> None:
    mapping = tenant.house.mappings["contact"]
    letter = _only(tenant)
    with tenant.scope() as scope:
        edit(scope, CRM, mapping, letter, changes, by="cli:ada", reason=reason)


def _redrive(tenant: Tenant, wanted: Filter | None = None) -> int:
    with tenant.scope() as scope:
        shown = dead_letters.preview(scope, CRM, wanted or Filter())
        return dead_letters.redrive(scope, CRM, shown.letters, by="cli:ada")


def _previewed(tenant: Tenant, wanted: Filter) -> Preview:
    with tenant.scope() as scope:
        return dead_letters.preview(scope, CRM, wanted)


def _told(tenant: Tenant) -> Story:
    with tenant.scope() as scope:
        return tell(scope, CRM, _only(tenant), "customer", by="cli:ada")


def _audit(tenant: Tenant, action: str) -> list[tuple[str, dict[str, object]]]:
    rows = tenant.rows("select actor, details from audit_trail where action = :a", a=action)
    return [(row.actor, row.details) for row in rows]


def test_a_dead_letter_is_told_from_payload_to_answer(tenant: Tenant) -> None:
    """Support had the CRM's refusal and not the payload, or the payload and not the request."""
    _refused(tenant, "ada@example.com")
    story = _told(tenant)
    assert story.payload is not None
    assert (story.payload.object_type, story.payload.source_id) == ("customer", "1")
    assert story.payload.body["email"] == "ada@example.com"
    assert story.canonical is not None
    assert story.canonical["email"] == "ada@example.com"
    assert story.desired["email"] == "ada@example.com"
    (tried,) = story.tries
    assert (tried.kind, tried.status, tried.code) == ("create", 207, "VALIDATION_ERROR")
    assert tried.request["email"] == "ada@example.com"
    assert tried.answer, "the CRM's own words are not kept"
    assert f"redrive {tenant.name} {story.letter.object_id}" in story.advice
    assert _audit(tenant, "dead_letter.show") == [("cli:ada", {})]


def test_a_record_that_could_not_be_tied_tells_to_what_and_why(tenant: Tenant) -> None:
    """The order was there and its contact was not on it: no attempt said anything about that."""
    tenant.keep(account(1, at(0), "ada@example.com"), order(7, at(1), customer_id=1))
    tenant.derive()
    tenant.portal.follow(
        FaultRule("status", "POST", "orders/contacts/batch", status=400, count=0,
                  body={"category": "VALIDATION_ERROR", "message": "no such type"})
    )  # fmt: skip
    tenant.sync()
    letter = _only(tenant)
    assert letter.object_type == "order"
    with tenant.scope() as scope:
        story = tell(scope, CRM, letter, "order", by="cli:ada")
    last = story.tries[-1]
    assert (last.kind, last.status, last.code) == ("associate", 400, "VALIDATION_ERROR")
    ((object_type, _),) = last.request["links"]
    assert object_type == "contact"


def test_what_the_whole_account_refused_has_its_request_and_code(tenant: Tenant) -> None:
    """A night of refused batches left rows that waited, and nothing that said for what."""
    tenant.keep(account(1, at(0), "ada@example.com"))
    tenant.derive()
    tenant.portal.follow(FaultRule("scope_missing", "POST", UPSERT, count=0))
    tenant.sync("contact")
    (row,) = tenant.rows("select kind, status, outcome, exchange from attempts")
    assert (row.kind, row.status, row.outcome) == ("create", 403, "retry")
    assert row.exchange is not None


def test_a_story_shows_no_person_to_a_log(tenant: Tenant) -> None:
    """A story that is logged by mistake must not tell whose it is."""
    _refused(tenant, "ada@example.com")
    assert "ada@example.com" not in repr(_told(tenant))
    assert "ada@example.com" not in repr(_letters(tenant))


def test_another_tenants_dead_letter_is_not_found(tenant: Tenant, neighbour: Tenant) -> None:
    """An id alone opens nothing across the walls."""
    _refused(tenant, "ada@example.com")
    wanted = Filter(object_id=_only(tenant).object_id)
    with neighbour.scope() as scope, pytest.raises(NotFound, match="no dead letter"):
        dead_letters.dead_letter(scope, CRM, wanted)


def test_a_corrected_letter_is_written_as_it_was_corrected(tenant: Tenant) -> None:
    """The address had two @: corrected by hand, redriven, written; the original stays."""
    _refused(tenant, "ada@example.com")
    _edit(tenant, {"email": "ada.smith@example.com"})
    story = _told(tenant)
    assert (story.desired["email"], story.letter.edited) == ("ada.smith@example.com", True)
    assert story.original is not None
    assert story.original["email"] == "ada@example.com"
    assert _redrive(tenant) == 1
    tenant.sync("contact")
    assert tenant.portal.one("contact")["email"] == "ada.smith@example.com"
    assert tenant.state("contact") == [("synced", None)]


def test_an_edit_names_its_fields_and_no_value_in_the_audit_trail(tenant: Tenant) -> None:
    """The trail cannot be changed: an address in it could never be erased."""
    _refused(tenant, "ada@example.com")
    _edit(tenant, {"email": "ada.smith@example.com", "firstname": "Ada"})
    ((actor, details),) = _audit(tenant, "dead_letter.edit")
    assert (actor, details) == ("cli:ada", {"fields": ["email"], "reason": "typing error"})


def test_an_edit_outlives_a_projection_of_the_same_record(tenant: Tenant) -> None:
    """The nightly run mapped the row anew and the correction was gone by morning."""
    _refused(tenant, "ada@example.com")
    _edit(tenant, {"firstname": "Adelaide"})
    with tenant.scope() as scope:
        scope.connection.execute(text("update customers set needs_projection = true"))
    tenant.sync("contact")
    assert tenant.state("contact")[0][0] == "dead", "mapping it anew is nothing new"
    assert _told(tenant).desired["firstname"] == "Adelaide"
    tenant.portal.follow()
    _redrive(tenant)
    tenant.sync("contact")
    with tenant.scope() as scope:
        scope.connection.execute(text("update customers set needs_projection = true"))
    tenant.portal.calls.clear()
    tenant.sync("contact")
    assert tenant.portal.one("contact")["firstname"] == "Adelaide"
    assert not tenant.portal.calls, "an edit that was written is written once"


def test_a_newer_version_of_the_record_replaces_an_edit(tenant: Tenant) -> None:
    """A correction that stands for ever hides what the customer changed a year later."""
    _refused(tenant, "ada@example.com")
    _edit(tenant, {"firstname": "Adelaide"})
    tenant.portal.follow()
    tenant.keep(account(1, at(60), "ada@example.com", first_name="Augusta"))
    tenant.derive()
    tenant.sync("contact")
    assert tenant.portal.one("contact")["firstname"] == "Augusta"
    assert tenant.value("select count(*) from ledger where edited_from is not null") == 0


def test_an_edit_that_is_taken_back_is_no_edit(tenant: Tenant) -> None:
    """Otherwise the store's next word would be compared with something that nobody wants."""
    _refused(tenant, "ada@example.com")
    _edit(tenant, {"firstname": "Adelaide"})
    _edit(tenant, {"firstname": "Ada"})
    assert not _only(tenant).edited


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"favourite_colour": "red"}, "has no field"),
        ({"email": "ada@@example"}, "e-mail address"),
        ({"ci_orders_count": "many"}, "number"),
        ({"ci_first_order_at": "yesterday"}, "zone"),
        ({"lifecyclestage": "friend"}, "takes one of"),
        ({"ci_email_consent": "subscribed"}, "decided by what a person said"),
        ({"firstname": "Ada"}, "nothing to change"),
    ],
)
def test_an_edit_that_does_not_fit_changes_nothing(
    tenant: Tenant, changes: dict[str, str], said: str
) -> None:
    """A correction that fails in the CRM again is found out by the merchant, not by us."""
    _refused(tenant, "ada@example.com")
    before = tenant.value("select desired from ledger")
    with pytest.raises(BadInput, match=said):
        _edit(tenant, changes)
    assert tenant.value("select desired from ledger") == before
    assert not _audit(tenant, "dead_letter.edit")


def test_an_edit_without_a_reason_is_refused(tenant: Tenant) -> None:
    """A year later nobody knows why this customer is called that."""
    _refused(tenant, "ada@example.com")
    with pytest.raises(BadInput, match="reason"):
        _edit(tenant, {"firstname": "Adelaide"}, reason=" ")


def test_a_filter_redrives_exactly_what_its_preview_showed(tenant: Tenant) -> None:
    """`redrive all` after an outage also sent what was refused for good, ten thousand times."""
    _refused(tenant, "ada@example.com", "bob@example.com", "cyd@example.com")
    ids = [one.object_id for one in _letters(tenant)]
    with tenant.scope() as scope:
        scope.connection.execute(
            text("update ledger set reason = 'Transient 503; given up after 12 tries', tries = 12,"
                 " next_try_at = '2024-01-01' where object_id = :id"), {"id": ids[0]},
        )  # fmt: skip
    outage = _previewed(tenant, Filter(reason="GIVEN UP"))
    assert outage.first == (ids[0],)
    assert list(outage.counts.values()) == [1]
    long_ago = datetime(2024, 6, 1, tzinfo=UTC)
    assert _previewed(tenant, Filter(before=long_ago)).first == (ids[0],)
    assert len(_previewed(tenant, Filter(code="VALIDATION_ERROR")).letters) == 3
    assert not _previewed(tenant, Filter(code="OTHER")).letters
    assert not _previewed(tenant, Filter(object_type="order")).letters
    assert _redrive(tenant, Filter(reason="given up")) == 1
    assert sorted(state for state, _ in tenant.state("contact")) == ["dead", "dead", "pending"]
    ((_, details),) = _audit(tenant, "dead_letter.redrive")
    assert details == {"records": {"contact": 1}, "first": [str(ids[0])]}


def test_a_preview_names_the_hold_that_would_keep_it_waiting(tenant: Tenant) -> None:
    """Redriven and not written: the person believes that the button is broken."""
    _refused(tenant, "ada@example.com")
    with tenant.scope() as scope:
        open_hold(scope, "contact", "volume", "too many", "look", 1)
    assert _previewed(tenant, Filter()).held == ("contact",)


def test_a_letter_that_came_alive_since_the_preview_is_left_alone(tenant: Tenant) -> None:
    """Between looking and typing yes the store corrected it, and it was written."""
    _refused(tenant, "ada@example.com")
    shown = _previewed(tenant, Filter())
    tenant.portal.follow()
    tenant.keep(account(1, at(60), "ada@example.com", first_name="Augusta"))
    tenant.derive()
    tenant.sync("contact")
    with tenant.scope() as scope:
        assert dead_letters.redrive(scope, CRM, shown.letters, by="cli:ada") == 0
    assert tenant.state("contact") == [("synced", None)]


def test_what_was_given_up_after_its_last_try_gets_all_its_tries_again(tenant: Tenant) -> None:
    """Redriven in a second outage it died at the first 503, since its tries were used up."""
    _refused(tenant, "ada@example.com")
    with tenant.scope() as scope:
        scope.connection.execute(
            text("update ledger set tries = :used"), {"used": retry_policy.MAX_TRIES}
        )
    _redrive(tenant)
    tenant.portal.follow(FaultRule("status", "POST", UPSERT, status=503, count=1))
    tenant.sync("contact")
    assert tenant.state("contact")[0][0] in ("retry", "synced")


def test_an_object_type_that_does_not_exist_is_refused(tenant: Tenant) -> None:
    """An empty list for a typing error looks like nothing is dead."""
    with pytest.raises(BadInput, match="contact, product"):
        _letters(tenant, Filter(object_type="contacts"))


def test_an_id_that_nobody_knows_is_not_found(tenant: Tenant) -> None:
    """With the command that lists what there is."""
    with tenant.scope() as scope, pytest.raises(NotFound, match="dead-letters list"):
        dead_letters.dead_letter(scope, CRM, Filter(object_id=uuid4()))
