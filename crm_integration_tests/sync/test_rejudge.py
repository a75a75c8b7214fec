"""A merchant's rules were changed while rows were on their way."""

from __future__ import annotations

from collections.abc import Mapping

from crm_integration.quality.holds import open_hold, release
from crm_integration.quality.rules import rules_version
from crm_integration.sync.derive import Derived, deriver
from crm_integration.sync.rejudge import rejudge
from crm_integration_tests.house import Tenant, account, at, order

DIGITS: Mapping[str, str] = {"order.number.pattern": "[0-9]+"}
LETTERS: Mapping[str, str] = {"order.number.pattern": "[A-Z]+"}
ENTITIES = ("customer", "order")


def _rejudged(tenant: Tenant, rules: Mapping[str, str]) -> Derived:
    done = Derived()
    derive = deriver(tenant.store, rules, run_id="rejudged")
    rejudge(tenant.house.tenancy, tenant.name, derive, ENTITIES, done)
    return done


def _waiting(tenant: Tenant) -> None:
    """A customer with an order, derived under the rules of before, nothing sent."""
    tenant.keep(account(1, at(0), "ada@example.com"), order(7, at(1), customer_id=1))
    tenant.derive()


def test_what_waits_to_be_sent_is_judged_by_the_rules_that_count_now(tenant: Tenant) -> None:
    """A tenant file was edited, and from then on not one old customer was updated."""
    _waiting(tenant)
    version = rules_version(DIGITS)
    assert tenant.sync(version=version).calls == 0, "not under rules it has not passed"

    assert _rejudged(tenant, DIGITS).read == 2
    tenant.sync(version=version)

    assert tenant.portal.one("contact")["ci_orders_count"] == "1"
    assert len(tenant.portal.records("order")) == 1


def test_a_wish_that_was_not_sent_before_the_change_is_judged_too(tenant: Tenant) -> None:
    """The canonical row was done, its wish lay in the ledger, and nobody asked for it again."""
    _waiting(tenant)
    with tenant.scope() as scope:
        for object_type in ("contact", "order"):
            open_hold(scope, object_type, "row_rules", "a test", "release it", 1)
    tenant.sync()
    with tenant.scope() as scope:
        for object_type in ("contact", "order"):
            release(scope, object_type, None, by="a person")

    _rejudged(tenant, DIGITS)
    tenant.sync(version=rules_version(DIGITS))

    assert len(tenant.portal.records("contact")) == len(tenant.portal.records("order")) == 1


def test_a_row_that_breaks_the_new_rules_is_kept_back_and_never_written(tenant: Tenant) -> None:
    """Judging anew is a gate, not a formality."""
    _waiting(tenant)

    assert _rejudged(tenant, LETTERS).quarantined["order"] == 1
    tenant.sync(version=rules_version(LETTERS))

    assert tenant.portal.records("order") == {}
    assert len(tenant.portal.records("contact")) == 1


def test_what_was_sent_is_left_in_peace(tenant: Tenant) -> None:
    """A change of rules must not derive years again, nor make a call."""
    _waiting(tenant)
    tenant.sync()
    tenant.portal.calls.clear()

    assert _rejudged(tenant, DIGITS).read == 0
    assert tenant.sync(version=rules_version(DIGITS)).calls == 0
    assert not tenant.portal.calls
