"""Consent where store and CRM speak of one person: every combination, and what follows it."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import product as combinations

import pytest

from crm_integration.canonical.consents import ConsentState
from crm_integration.mapping.compile import compile_mapping
from crm_integration.mapping.load import load_mapping
from crm_integration.mapping.model import FieldValue
from crm_integration.mapping.ownership import FieldDecision, diff, to_write
from crm_integration_tests.mapping.views import MAPPINGS, customer

CONTACT = compile_mapping(load_mapping(MAPPINGS, "hubspot", "contact", 2))
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
SAID = "2026-02-01T08:00:00.000Z"
STATES = (*(state.value for state in ConsentState), None)
FIELD, AT, BASIS = "ci_email_consent", "ci_email_consent_at", "ci_email_consent_basis"


def looked(
    desired: FieldValue,
    *,
    given_back: FieldValue = None,
    current: FieldValue = None,
    opted_out: FieldValue = None,
) -> dict[str, FieldDecision]:
    """The decisions about one contact's consent; the store says it was given at checkout."""
    said = {} if desired is None else {AT: SAID, BASIS: "checkout"}
    base = {} if given_back is None else {FIELD: given_back}
    found = diff(
        CONTACT, desired={FIELD: desired, **said}, given_back=base, sent=base,
        current={FIELD: current, "hs_email_optout": opted_out}, desired_at=NOON,
        current_at=NOON, bound_before=given_back is not None,
    )  # fmt: skip
    return {one.rule.name: one for one in found}


def shown(decisions: dict[str, FieldDecision], name: str = FIELD) -> FieldValue:
    """What the CRM holds after the write."""
    return decisions[name].decision.value or None


U, S, P, N = "unsubscribed", "subscribed", "pending", "never_asked"


@pytest.mark.parametrize(
    ("desired", "given_back", "current", "opted_out", "shows", "basis"),
    [
        # the first time, and nothing in the CRM
        (S, None, None, None, S, "checkout"),
        (S, None, "", "false", S, "checkout"),
        (P, None, None, None, P, "checkout"),
        (N, None, None, None, N, "checkout"),
        (None, None, None, None, None, None),
        # the CRM's own opt-out
        (S, None, None, "true", U, "crm"),
        (P, None, None, True, U, "crm"),
        (N, None, None, "true", U, "crm"),
        (U, None, None, "true", U, "checkout"),
        (S, S, S, "true", U, "crm"),
        (None, None, None, "true", None, None),
        # ... is lifted again: what we wrote because of it makes way
        (S, U, U, "false", S, "checkout"),
        (S, U, U, None, S, "checkout"),
        (S, U, U, "true", U, "crm"),
        # an opt-out in a store is always written
        (U, S, S, None, U, "checkout"),
        (U, S, S, "false", U, "checkout"),
        (U, None, S, None, U, "checkout"),
        (U, U, S, None, U, "checkout"),
        # a person wrote unsubscribed into our field
        (S, S, U, None, U, "crm"),
        (S, S, "Unsubscribed ", "false", U, "crm"),
        (S, None, U, None, U, "crm"),
        (P, S, U, None, U, "crm"),
        (N, N, U, None, U, "crm"),
        # a person wrote an opt-in into it: only the stores can say that
        (P, P, S, None, P, "checkout"),
        (N, None, S, None, N, "checkout"),
        # the stores change their mind about what they said
        (S, P, P, None, S, "checkout"),
        (P, U, U, None, P, "checkout"),
        # the stores say nothing any more, such as after two people were told apart
        (None, S, S, None, None, None),
        (None, S, S, "true", None, None),
        (None, U, U, None, U, None),
        (None, S, U, None, U, None),
    ],
)  # fmt: skip
def test_the_field_shows_whose_word_stands(
    desired: FieldValue, given_back: FieldValue, current: FieldValue, opted_out: FieldValue,
    shows: FieldValue, basis: FieldValue,
) -> None:  # fmt: skip
    """A sync wrote `subscribed` over the opt-out that a person had asked support for."""
    found = looked(desired, given_back=given_back, current=current, opted_out=opted_out)
    assert str(shown(found) or "").strip().lower() == (shows or "")
    assert shown(found, BASIS) == basis
    assert shown(found, AT) == (SAID if basis == "checkout" else None)


@pytest.mark.parametrize(
    ("desired", "given_back", "current", "opted_out"),
    list(combinations(STATES, STATES, STATES, (None, "false", "true"))),
)
def test_no_opt_out_is_ever_lost(
    desired: FieldValue, given_back: FieldValue, current: FieldValue, opted_out: FieldValue
) -> None:
    """Whatever else is known: who opted out in a store or in the CRM is never shown as opted in,
    and after the write there is nothing more to write."""
    found = looked(desired, given_back=given_back, current=current, opted_out=opted_out)
    after = shown(found)
    theirs = current == U and given_back != U
    if desired == U or opted_out == "true" or theirs:
        assert after != S
    if desired == U or (desired is not None and (opted_out == "true" or theirs)):
        assert after == U
    assert after in {desired, U, None}

    written = to_write(list(found.values()))
    base = {FIELD: given_back, **written}
    held = {FIELD: current, "hs_email_optout": opted_out, **written}
    said = {} if desired is None else {AT: SAID, BASIS: "checkout"}
    again = diff(
        CONTACT, desired={FIELD: desired, **said}, given_back=base, sent=base, current=held,
        desired_at=NOON, current_at=NOON, bound_before=True,
    )  # fmt: skip
    assert to_write(again) == {}


def test_the_reason_of_a_consent_can_be_read() -> None:
    """A merchant asks why a subscriber is shown as unsubscribed."""
    kept = looked(S, given_back=S, current=U)
    assert kept[FIELD].decision.write is False
    assert "the CRM's opt-out stands" in kept[FIELD].decision.reason
    written = looked(S, given_back=S, current=S, opted_out="true")
    assert written[FIELD].decision.write
    assert "the CRM's opt-out stands" in written[FIELD].decision.reason
    assert "no store" in looked(None, given_back=U, current=U)[FIELD].decision.reason


def test_one_channels_opt_out_is_not_the_others() -> None:
    """Who unsubscribed from e-mails still gets the text message about the parcel."""
    desired = CONTACT.project(customer(sms_consent=ConsentState.subscribed, sms_consent_at=NOON))
    found = diff(CONTACT, desired=desired, given_back={}, current={"hs_email_optout": "true"},
                 desired_at=NOON, current_at=None, bound_before=False)  # fmt: skip
    written = to_write(found)
    assert (written[FIELD], written[BASIS]) == (U, "crm")
    assert written["ci_sms_consent"] == S
    assert "hs_email_optout" not in written
