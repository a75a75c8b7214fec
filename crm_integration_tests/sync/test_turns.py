"""Turns of a live run: a flood gives way, a burst does not, and who is alone need not."""

from __future__ import annotations

import time

import pytest

from crm_integration.sync.turns import PASSES_PER_SECOND, Turns
from crm_integration_tests.house import Tenant
from crm_integration_tests.sync.live import deliver_order, engine_of, queued, running, until


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def _taken(turns: Turns, clock: Clock, *, beside: str = "") -> int:
    """How often one that asks ten times a second for 100 s is taken; another asks each second."""
    taken = 0
    for number in range(1_000):
        clock.now += 0.1
        if turns.may("flood"):
            turns.take("flood")
            taken += 1
        if beside and number % 10 == 0:
            assert turns.may(beside)
            turns.take(beside)
    return taken


def test_a_flood_is_taken_once_in_a_while_for_all_that_came() -> None:
    """Taken for each of its events, it took as much as all others together."""
    clock = Clock()
    assert 100 <= _taken(Turns(clock), clock, beside="calm") <= 120


def test_who_is_alone_is_taken_for_each_event() -> None:
    """One shop on one machine waited for nobody."""
    clock = Clock()
    turns = Turns(clock)
    assert _taken(turns, clock) == 1_000
    turns.take("calm")
    clock.now += 1 / PASSES_PER_SECOND
    assert turns.may("flood"), "it is not held against it when another one comes"


def test_a_burst_is_taken_as_it_comes() -> None:
    """An order is a dozen deliveries within a second or two."""
    clock = Clock()
    turns = Turns(clock)
    for _ in range(round(10 * PASSES_PER_SECOND)):
        assert turns.may("shop")
        turns.take("shop")
        turns.take("another")
    assert not turns.may("shop")
    clock.now += 1 / PASSES_PER_SECOND
    assert turns.may("shop")


def test_who_comes_often_is_taken_behind_the_others_before_it_is_left_out() -> None:
    """A flood had ten passes at full speed, beside those of everybody else."""
    clock = Clock()
    turns = Turns(clock)
    for number in range(10):
        assert turns.gives_way("flood") == (number > 5)
        turns.take("flood")
    assert not turns.gives_way("calm")
    clock.now += 6 / PASSES_PER_SECOND
    assert not turns.gives_way("flood")


def test_what_gave_way_is_read_all_the_same(
    tenant: Tenant, neighbour: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody tells of its deliveries again: the next look at the queue finds them."""
    monkeypatch.setattr(Turns, "may", lambda self, one: one != tenant.name or not_yet < time.time())
    not_yet = time.time() + 2.5
    with running(engine_of(tenant), "live"):
        deliver_order(tenant, tenant.shop.guest_order("ada@example.com"))
        deliver_order(neighbour, neighbour.shop.guest_order("bea@example.com"))
        until(lambda: neighbour.portal.records("contact"))
        until(lambda: not queued(tenant) and tenant.portal.records("contact"))
        assert time.time() >= not_yet
