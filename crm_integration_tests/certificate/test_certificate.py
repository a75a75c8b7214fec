"""The fault certificate in its small form, and what it is worth: the defects that it finds."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from crm_integration.errors import BadInput
from crm_integration.sync import ledger
from crm_integration.transport import http, retry
from crm_integration_tests.certificate import timescale
from crm_integration_tests.certificate.breaks import BREAKS, named
from crm_integration_tests.certificate.report import SEED, Certificate, issue
from crm_integration_tests.certificate.scenario import full, hunting, small, without_faults
from crm_integration_tests.oracle.street.verdict import COUNTS

SOON_FOUND = ("updates_refused", "sales_overwritten")
"""Defects that show without a single fault."""


def _silent(words: str) -> None:
    """Nobody watches."""


def _told(found: Certificate) -> str:
    """What a failed certificate says, for whoever reads the test's output."""
    return json.dumps(found.json(), indent=1)


@pytest.mark.slow
def test_two_drivers_on_the_same_tenants_are_exact_as_long_as_nothing_fails() -> None:
    """Webhooks come twice, late and out of order, sales edit records, and two list and two drain
    the same shops."""
    found = issue(SEED, without_faults(small(150)), _silent, compared=False)
    assert found.clean, _told(found)
    assert found.ran.verdict["compared_fields"] > 2_000


def test_a_small_storm_loses_doubles_and_spoils_nothing() -> None:
    """A retry wrote a note twice, an old e-mail won, a refund overwrote what sales owned.

    In a process of its own, as a person runs it: what a storm leaves open ends with it.
    """
    program = Path(sys.executable).with_name("crm-integration")
    command = [str(program), "certify", "--small", "--events", "200", "--json"]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert ran.returncode == 0, ran.stdout or ran.stderr[-3_000:]
    document = json.loads(ran.stdout)
    assert {name: document[name] for name in COUNTS} == dict.fromkeys(COUNTS, 0)
    assert sum(document["kills"].values()) >= 5
    assert document["compared_fields"] > 2_000


@pytest.mark.slow
@pytest.mark.parametrize("name", SOON_FOUND)
def test_a_defect_is_found_without_any_fault(name: str) -> None:
    """A check that cannot fail proves nothing."""
    found = issue(SEED, without_faults(small(150)), _silent, broken=name, compared=False)
    assert not found.clean


@pytest.mark.slow
@pytest.mark.parametrize("name", [one.name for one in BREAKS if not one.at_receiver])
def test_every_defect_is_found(name: str) -> None:
    """Each of the ways in which peers lose or double data is caught by one of the six counts."""
    found = issue(SEED, hunting(300), _silent, broken=name, compared=False)
    assert any(found.ran.verdict[count] for count in COUNTS), _told(found)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [SEED, *range(1, 11)])
def test_a_full_storm_of_any_seed_is_survived(seed: int) -> None:
    """Two thousand events, thirty faults of each kind, each step died at twice."""
    found = issue(seed, full(2_000), _silent, compared=seed == SEED)
    assert found.clean, _told(found)
    document = found.json()
    assert all(document["kills"].values())
    if seed == SEED:
        assert document["calls_per_1000"] <= 1.5 * document["calls_per_1000_without_faults"]


def test_who_directs_a_run_waits_as_long_as_ever_after_it() -> None:
    """The tests behind it met time-outs of less than a second."""
    before = (http.TIMEOUT, http.LONGEST_CALL, ledger.CLAIM_SECONDS, retry.LONGEST_WAIT)
    with timescale.hurried():
        assert ledger.CLAIM_SECONDS == timescale.CLAIM
    assert before == (http.TIMEOUT, http.LONGEST_CALL, ledger.CLAIM_SECONDS, retry.LONGEST_WAIT)


def test_there_are_a_dozen_defects_and_each_says_what_it_does() -> None:
    assert len({one.name for one in BREAKS}) >= 12
    assert all(one.what for one in BREAKS)


def test_a_defect_that_nobody_made_is_refused_with_those_there_are() -> None:
    with pytest.raises(BadInput, match="choose one of partial_as_success"):
        named("everything")
