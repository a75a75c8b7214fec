"""Deliberate defects, by name: what a certificate is worth is what it catches.

Prevents the check that cannot fail. Each defect puts one way in which peers lose or double data
(or one of our own promises, broken) into the driver processes of a run; the oracle must find it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from crm_integration.errors import BadInput
from crm_integration_tests.certificate import defects, receiver_defects


@dataclass(frozen=True)
class Break:
    """One defect: what it does to a process, and what happens to merchants because of it."""

    name: str
    apply: Callable[[], None]
    what: str
    at_receiver: bool = False
    """Whether it is put into the receiver, so that only deliveries through it can show it."""


def _break(apply: Callable[[], None], *, at_receiver: bool = False) -> Break:
    return Break(apply.__name__, apply, " ".join((apply.__doc__ or "").split()), at_receiver)


BREAKS = (
    *(_break(one) for one in defects.ALL),
    *(_break(one, at_receiver=True) for one in receiver_defects.ALL),
)


def named(name: str) -> Break:
    """Raises BadInput for a name that no defect has."""
    found = next((one for one in BREAKS if one.name == name), None)
    if found is None:
        names = ", ".join(one.name for one in BREAKS)
        raise BadInput(f"there is no defect {name!r}: choose one of {names}")
    return found


def at_receiver(name: str) -> bool:
    """Whether this defect is one of the receiver; "" is none. Raises BadInput."""
    return bool(name) and named(name).at_receiver


def apply(name: str) -> None:
    """Put the defect of this name into this process; "" is none."""
    if name:
        named(name).apply()
