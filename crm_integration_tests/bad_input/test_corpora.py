"""The published corpora in every free text field, one payload a text. Slow: a minute a platform."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest

from crm_integration.stores._contract import SourceObject
from crm_integration_tests.bad_input.accounting import settled
from crm_integration_tests.bad_input.hostile import addresses, emails, names, naughty
from crm_integration_tests.bad_input.samples import Path, Sample, leaves
from crm_integration_tests.bad_input.values import Where, all_at_once, bound_of, free_of, in_turn
from crm_integration_tests.house import Tenant

pytestmark = pytest.mark.slow
Samples = tuple[Sample, ...]


def test_naughty_strings(tenant: Tenant, samples: Samples) -> None:
    texts = naughty()
    account = settled(tenant, all_at_once(samples, free_of, texts))
    assert account.outcomes["applied"] >= 0.97 * sum(account.outcomes.values())


def test_naughty_strings_and_addresses_where_a_form_is_expected(
    tenant: Tenant, samples: Samples
) -> None:
    account = settled(tenant, in_turn(samples, bound_of, [*naughty(), *emails()]))
    assert account.outcomes["applied"]


def test_email_addresses(tenant: Tenant, samples: Samples) -> None:
    """Every case of the RFCs and every broken one, in the field for it and in all others."""
    account = settled(tenant, all_at_once(samples, free_of, emails()))
    assert account.outcomes["applied"] >= 0.97 * sum(account.outcomes.values())


def test_names_of_people_arrive_as_they_are(tenant: Tenant, samples: Samples) -> None:
    """Real names, ampersands, quotes and all: nothing is refused and nothing rewritten."""
    texts = names()
    people = [one for one in samples if one.object_type == "customer"][:1]
    copies = _one_each(people, texts, _first_names)
    account = settled(tenant, copies)
    assert not account.reasons
    written = {one.get("firstname", "") for one in tenant.portal.records("contact").values()}
    missing = {text.strip() for text in texts} - written
    assert not missing, f"{len(missing)} names are not in the CRM as the store has them"


def test_addresses_of_the_world(tenant: Tenant, samples: Samples) -> None:
    """Each in all free fields of one payload; the objects take turns."""
    account = settled(tenant, _one_each(samples, addresses(), free_of))
    assert account.outcomes["applied"] == sum(account.outcomes.values())


def test_names_in_every_object(tenant: Tenant, samples: Samples) -> None:
    account = settled(tenant, _one_each(samples, names(), free_of))
    assert account.outcomes["applied"] == sum(account.outcomes.values())


def _one_each(
    samples: Sequence[Sample], texts: Sequence[str], where: Where
) -> Iterator[SourceObject]:
    for number, text in enumerate(texts, start=1):
        sample = samples[number % len(samples)]
        yield from sample.copy(number, dict.fromkeys(where(sample), text))


def _first_names(sample: Sample) -> tuple[Path, ...]:
    """Where the person's own first name stands, and wherever it is repeated."""
    spelled = ("first_name", "firstName")
    return tuple(path for path, _ in leaves(sample.document) if path[-1] in spelled)
