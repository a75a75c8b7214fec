"""What no shop lists: a lead form, a newsletter box, a support desk (architecture §9).

Their connector comes with the signed JSON sources; what it will yield goes the whole way today.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from types import SimpleNamespace
from typing import Any

from crm_integration.canonical.activities import Activity, ActivityKind
from crm_integration.canonical.consents import Channel, Consent, ConsentState, OptInLevel
from crm_integration.canonical.customers import Customer, CustomerKind
from crm_integration.canonical.model import StoreObject
from crm_integration.stores._contract import StoreContext
from crm_integration.stores._registry import StoreManifest
from crm_integration.sync.derive import derive_window, deriver
from crm_integration_tests.house import OPTIONS, WHOLE, Tenant, at, source

MANIFEST = StoreManifest(
    platform="desk",
    title="Site forms and support desk",
    api_version="1",
    object_types=("form", "ticket"),
    yields={"form": ("customer", "consent"), "ticket": ("customer", "activity")},
    secrets=(),
)


def _lead(payload: dict[str, Any], source_id: str, when: datetime) -> Customer:
    return Customer(
        source_id=source_id, source_time=when, kind=CustomerKind.lead, email=payload["email"],
        first_name=payload.get("name", ""), email_verified=payload.get("confirmed"),
    )  # fmt: skip


def _read(
    object_type: str, payload: dict[str, Any], parent: Any, context: StoreContext
) -> Iterator[StoreObject]:
    when = datetime.fromisoformat(payload["at"])
    who = f"{object_type}/{payload['id']}"
    yield _lead(payload, who, when)
    if object_type == "ticket":
        yield Activity(
            source_id=who, source_time=when, kind=ActivityKind.support, occurred_at=when,
            customer_kind="lead", customer_source_id=who, subject=payload["subject"],
            body=payload["body"],
        )  # fmt: skip
    elif "newsletter" in payload:
        state = ConsentState.subscribed if payload["newsletter"] else ConsentState.unsubscribed
        yield Consent(
            source_id=f"lead/{who}/email", source_time=when, customer_kind="lead",
            customer_source_id=who, channel=Channel.email, state=state, explicit=True,
            level=OptInLevel.single, consented_at=when, basis="newsletter form",
        )  # fmt: skip


def derive(tenant: Tenant) -> None:
    """Derive forms and tickets as their connector would."""
    made = deriver(tenant.store, OPTIONS, run_id="forms")
    canonical: Any = SimpleNamespace(to_canonical=_read)
    made = replace(
        made, connector=replace(made.connector, manifest=MANIFEST, canonical=canonical)
    )
    days = (WHOLE.start, WHOLE.end)
    derive_window(tenant.house.tenancy, tenant.name, made, days, MANIFEST.object_types)


def said(kind: str, number: int, minutes: int, **payload: Any) -> Any:
    """One submission."""
    when = at(minutes)
    return source(kind, number, when, {"id": number, "at": when.isoformat(), **payload})


def test_a_lead_form_is_a_contact_that_is_a_lead(tenant: Tenant) -> None:
    """Nobody has bought anything, and sales want to know all the same."""
    tenant.keep(said("form", 1, 0, email="lea@example.com", name="Lea"))
    derive(tenant)
    tenant.sync()
    contact = tenant.portal.one("contact")
    assert (contact["email"], contact["ci_customer_kind"]) == ("lea@example.com", "lead")
    assert contact["ci_current_stage"] == "lead"


def test_a_lead_who_buys_is_the_same_contact(tenant: Tenant) -> None:
    """The form and the order must not become two people."""
    tenant.keep(said("form", 1, 0, email="lea@example.com", name="Lea"))
    derive(tenant)
    tenant.sync()
    tenant.shop.order(tenant.shop.account("Lea@example.com", "Lea"))
    tenant.run_once()
    contact = tenant.portal.one("contact")
    assert (contact["ci_customer_kind"], contact["ci_orders_count"]) == ("registered", "1")


def test_a_newsletter_box_opts_in_and_out_by_its_own_time(tenant: Tenant) -> None:
    """The second submission of the form is the newer word, whichever arrives first."""
    tenant.keep(
        said("form", 2, 60, email="lea@example.com", newsletter=False),
        said("form", 1, 0, email="lea@example.com", newsletter=True),
    )
    derive(tenant)
    tenant.sync()
    contact = tenant.portal.one("contact")
    assert contact["ci_email_consent"] == "unsubscribed"
    assert contact["ci_email_consent_basis"] == "main: newsletter form"


def test_a_support_request_is_a_note_on_the_contact(tenant: Tenant) -> None:
    """Sales call a customer who waits for an answer since Monday: they should know."""
    tenant.shop.account("ada@example.com")
    tenant.run_once()
    tenant.keep(
        said("ticket", 9, 5, email="ada@example.com", subject="Broken mug", body="It leaks")
    )
    derive(tenant)
    tenant.sync()
    ((note_id, note),) = tenant.portal.records("activity").items()
    assert note["ci_kind"] == "support"
    assert "Broken mug" in note["hs_note_body"]
    assert "It leaks" in note["hs_note_body"]
    ((contact_id, _),) = tenant.portal.records("contact").items()
    assert tenant.portal.linked("activity", note_id, "contact") == {contact_id}
