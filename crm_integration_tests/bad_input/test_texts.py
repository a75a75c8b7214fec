"""Hostile texts in every text field of every payload, to the CRM and back into the accounts."""

from __future__ import annotations

from crm_integration_tests.bad_input.accounting import settled
from crm_integration_tests.bad_input.hostile import TEXTS
from crm_integration_tests.bad_input.samples import Sample
from crm_integration_tests.bad_input.values import all_at_once, bound_of, free_of, in_turn
from crm_integration_tests.house import Tenant

Samples = tuple[Sample, ...]
_BLANK = {"title_missing", "required_field_empty"}
"""What may be missed where a text is blank; a title is one of the free texts."""


def test_the_samples_themselves_reach_the_crm(tenant: Tenant, samples: Samples) -> None:
    """Otherwise everything below would be green because nothing works."""
    account = settled(
        tenant, (one for n, sample in enumerate(samples) for one in sample.copy(n + 1))
    )
    assert not account.reasons
    assert set(account.outcomes) == {"applied"}
    for object_type in ("contact", "order", "product", "refund"):
        assert account.states[object_type, "synced"], f"no {object_type} in the CRM"


def test_hostile_texts_in_every_free_field_at_once(tenant: Tenant, samples: Samples) -> None:
    """A name with a NUL once ended a batch of 500 orders; half an emoji in a note did, too."""
    account = settled(tenant, all_at_once(samples, free_of, TEXTS))
    refused = {one: n for one, n in account.reasons.items() if one not in _BLANK}
    assert sum(refused.values()) <= 2, f"free texts kept records back: {refused}"
    given_up = sum(n for (_, state), n in account.states.items() if state == "dead")
    assert given_up <= 5 * len(samples), "only what is longer than a CRM's field may be refused"


def test_hostile_texts_where_a_form_is_expected(tenant: Tenant, samples: Samples) -> None:
    """Dates, amounts and codes that are none: kept back alone, with the field's name."""
    account = settled(tenant, in_turn(samples, bound_of, TEXTS))
    assert account.outcomes["applied"], "no copy at all was read"
    assert all(" at " in one or "_" in one for one in account.reasons)
