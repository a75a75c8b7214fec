"""Who directs a storm: a planned fate is met by somebody."""

from __future__ import annotations

import random
from multiprocessing import Pipe
from types import SimpleNamespace
from typing import Any, cast

import pytest

from crm_integration_tests.certificate import director as directing
from crm_integration_tests.certificate.crew import LANE_POSTS, Crew, Hand
from crm_integration_tests.certificate.director import Director
from crm_integration_tests.certificate.driver import Plan
from crm_integration_tests.certificate.scenario import Scenario


def _at_work() -> Hand:
    """A driver that lives and never comes to any step: a live run whose lanes another drains."""
    alive = SimpleNamespace(is_alive=lambda: True)
    return Hand(cast("Any", None), cast("Any", alive), Pipe()[0], Plan(), ready=True)


def test_a_fate_that_does_not_come_to_one_driver_is_another_ones(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The live run that only stood by had the kill to meet, and was given it again and again: five
    minutes were over, and of seventeen steps one had not been died at."""
    crew = Crew(cast("Any", None), LANE_POSTS)
    crew.hands |= {post: _at_work() for post in crew.posts}
    unused = cast("Any", None)
    scenario = Scenario(1, kills={"claimed": 1})
    director = Director(unused, scenario, crew, unused, unused, random.Random(1), unused)
    monkeypatch.setattr(directing, "_PATIENCE", 0.0)
    had: set[tuple[str, int]] = set()
    for _ in range(3 * len(crew.posts)):
        for post in crew.posts:
            director._play(post)  # pyright: ignore[reportPrivateUsage]
            had |= {post for post, hand in crew.hands.items() if hand.plan.fate == "kill"}
    assert had == set(crew.posts)
