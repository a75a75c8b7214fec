"""The certificate with deliveries over HTTP: receiver, live runs and database killed at random."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from crm_integration_tests.certificate.breaks import BREAKS
from crm_integration_tests.certificate.completing import Proven, Verdicts, compare
from crm_integration_tests.certificate.report import SEED, Certificate, issue
from crm_integration_tests.certificate.scenario import full, received, small
from crm_integration_tests.oracle.street.verdict import COUNTS

_KILLED = ("receiver_kill", "live_run_kill", "database_restart")
_LEAST = {"receiver_kill": 4, "live_run_kill": 4, "database_restart": 2}


def _silent(words: str) -> None:
    """Nobody watches."""


def _told(found: Certificate) -> str:
    return json.dumps(found.json(), indent=1)


def test_nothing_that_a_receiver_acknowledged_is_lost_whoever_is_killed() -> None:
    """A shop got its 2xx, the receiver was killed, and the delivery was nowhere. In a process of
    its own, as a person runs it."""
    program = Path(sys.executable).with_name("crm-integration")
    command = [str(program), "certify", "--through-receiver", "--small", "--events", "80", "--json"]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert ran.returncode == 0, ran.stdout or ran.stderr[-3_000:]
    document = json.loads(ran.stdout)
    assert {name: document[name] for name in COUNTS} == dict.fromkeys(COUNTS, 0)
    assert document["receiver"] == {"acknowledged_lost": 0, "turned_away": 0, "unread": 0}
    assert document["completeness"]["agrees"]
    assert document["completeness"]["compared_with_the_oracle"] >= 30
    assert document["unmet"] == {}
    assert all(document["faults"][name] >= least for name, least in _LEAST.items())
    assert document["faults"]["webhook_acknowledged"] >= 80
    assert document["faults"]["webhook_sent_again"] > 0


@pytest.mark.slow
@pytest.mark.parametrize("seed", [SEED, 1, 2])
def test_a_full_storm_through_the_receiver_is_survived(seed: int) -> None:
    """Two thousand events; receiver, live runs and database are each killed thirty times."""
    found = issue(seed, received(full(2_000)), _silent, compared=False)
    assert found.clean, _told(found)
    assert all(found.json()["faults"][name] >= 30 for name in _KILLED)


@pytest.mark.slow
@pytest.mark.parametrize("name", [one.name for one in BREAKS if one.at_receiver])
def test_a_defect_of_the_receiver_is_found(name: str) -> None:
    """Polling brings what a delivery lost: no CRM shows it, and the certificate must."""
    found = issue(SEED, received(small(300)), _silent, broken=name, compared=False)
    assert not found.clean
    assert found.ran.received["acknowledged_lost"] or found.ran.received["turned_away"]


def _verdicts(**wanted: int) -> Verdicts:
    """`order_raw_proven=3` and so on."""
    parts = {tuple(name.split("_", 2)): number for name, number in wanted.items()}
    return Counter({(entity, stage, word): n for (entity, stage, word), n in parts.items()})


_STORE = {"customer": 0, "order": 2, "refund": 0, "product": 0}


@pytest.mark.parametrize(
    ("in_crm", "unlike"),
    [
        ({"orders": 2}, []),
        ({"orders": 3}, ["north order crm: proven 2, counted 3"]),
        ({}, ["north order crm: proven 2, counted 0"]),
    ],
)
def test_a_proof_agrees_only_with_the_same_numbers(
    in_crm: dict[str, int], unlike: list[str]
) -> None:
    """Both counted by themselves; that neither called anything wrong was taken for agreement."""
    found, proven = Proven(), _verdicts(order_raw_proven=2, order_crm_proven=2)
    compare(found, "north", "woocommerce", proven, {"store": _STORE, "crm": in_crm})
    assert found.unlike == unlike
    assert found.agrees == (not unlike)


def test_a_proof_of_nothing_agrees_with_nobody() -> None:
    """No tenant was proven, so nothing was wrong."""
    assert not Proven().agrees


def test_a_wrong_object_or_a_store_that_could_not_be_asked_is_no_agreement() -> None:
    """The numbers were the same by accident."""
    assert not Proven(compared=9, wrong={"north order raw missing": 1}).agrees
    assert not Proven(compared=9, problems=["north store order: Refused 403"]).agrees
    assert Proven(compared=9).agrees
