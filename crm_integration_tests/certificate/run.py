"""One whole run: a stand, a storm, calm until nothing is due, and the oracle's verdict.

Prevents a verdict over something half done: the run waits until both drivers found nothing to do,
and what still waits then is told as it is.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import Engine, bindparam, create_engine, text
from sqlalchemy.exc import SQLAlchemyError

from crm_integration.errors import CrmIntegrationError
from crm_integration.storage.embedded import EmbeddedServer
from crm_integration.storage.roles import SUPERUSER
from crm_integration.sync.held_differences import approve, differences
from crm_integration.sync.restraint import waiting_for_approval
from crm_integration_tests.certificate import breaks, timescale
from crm_integration_tests.certificate.completing import Proven, prove_all
from crm_integration_tests.certificate.crew import LANE_POSTS, POSTS, Crew, Hand
from crm_integration_tests.certificate.director import Director
from crm_integration_tests.certificate.driver import Errand
from crm_integration_tests.certificate.overtaking import Overtaking
from crm_integration_tests.certificate.posting import IntoTheTable, PostOffice
from crm_integration_tests.certificate.reception import Reception, reception
from crm_integration_tests.certificate.scenario import Scenario
from crm_integration_tests.certificate.stand import CHECKOUT, Stand, house, impatient, stand
from crm_integration_tests.oracle.street.verdict import COUNTS

LONGEST_CALM = 180.0
_NOT_DUE = ("synced", "skipped")
Told = Callable[[str], None]


@dataclass
class Ran:
    """What one run came to. `left` counts ledger rows that are not done, by state and reason."""

    seed: int
    scenario: Scenario
    verdict: dict[str, Any]
    counts: Counter[str]
    kills: Counter[str]
    happened: dict[str, int]
    crm_calls: int
    left: dict[str, int]
    quiet: bool
    seconds: dict[str, float] = field(default_factory=dict[str, float])
    problems: dict[str, int] = field(default_factory=dict[str, int])
    received: dict[str, int] = field(default_factory=dict[str, int])
    """Of a run through the receiver: what must be zero of it."""
    unmet: dict[str, int] = field(default_factory=dict[str, int])
    """What was planned and did not happen, with how much of it."""
    proven: Proven | None = None

    @property
    def clean(self) -> bool:
        """Whether all six counts are zero and nothing was left undone; through the receiver also
        whether nothing of it was lost, and everything planned was done to it."""
        if not self.quiet or any(self.verdict[name] for name in COUNTS):
            return False
        if self.proven is None:
            return not self.scenario.through_receiver
        return self.proven.agrees and not any(self.received.values()) and not self.unmet


def run(
    server: EmbeddedServer, seed: int, scenario: Scenario, name: str, told: Told, broken: str = ""
) -> Ran:
    """Fresh databases `name`, a world of this seed, a storm, calm, a verdict."""
    began = time.monotonic()
    with stand(server, seed, scenario.events, name) as made:
        with timescale.hurried(), _received(made, scenario, broken) as received:
            ran = _stormed(made, seed, scenario, broken, received, told, began)
        if scenario.through_receiver:
            told("completeness is proven")
            ran.proven = prove_all(made, ran.verdict["counted"])
        return ran


@contextmanager
def _received(made: Stand, scenario: Scenario, broken: str) -> Generator[Reception | None]:
    """Where deliveries arrive; None where they are put into the drop table."""
    if not scenario.through_receiver:
        yield None
        return
    with reception(made, broken if breaks.at_receiver(broken) else "") as opened:
        yield opened


def _stormed(
    made: Stand, seed: int, scenario: Scenario, broken: str, received: Reception | None,
    told: Told, began: float,
) -> Ran:  # fmt: skip
    everywhere = create_engine(made.server.url(SUPERUSER, made.name), pool_pre_ping=True)
    posts = LANE_POSTS if received else POSTS
    in_drivers = "" if breaks.at_receiver(broken) else broken
    crew = Crew(Errand("range", made.urls, made.mappings, made.tenants, broken=in_drivers), posts)
    carrier = received.shops if received else IntoTheTable(made)
    office = PostOffice(carrier, random.Random(f"{seed}/post"))
    overtaking = Overtaking(made, everywhere, office)
    rng = random.Random(f"{seed}/director")
    director = Director(made, scenario, crew, office, overtaking, rng, told, received)
    try:
        seconds = {"stand": time.monotonic() - began}
        director.storm()
        seconds["storm"] = time.monotonic() - began - seconds["stand"]
        quiet = _calm(made, director, everywhere, told)
        seconds["all"] = time.monotonic() - began
    finally:
        crew.close()
    told("the oracle compares")
    ran = _ran(made, director, everywhere, seed, quiet, seconds)
    everywhere.dispose()
    return ran


def _calm(made: Stand, director: Director, everywhere: Engine, told: Told) -> bool:
    """Faults are over: what is left is delivered, and both drivers work until nothing is due."""
    told("calm: until nothing is due")
    crew, received = director.crew, director.reception
    director.office.flush()
    director.office.put(made.town.ask("/advance", {"finale": True}))
    crew.close()
    crew.errand = _of_tomorrow(crew.errand)
    hands = [crew.put(post) for post in crew.posts[:2]]
    until = time.monotonic() + LONGEST_CALM
    looked = time.monotonic()
    while time.monotonic() < until:
        crew.listen()
        if received:
            received.keep_up()
        if all(map(_is_idle, hands)) and _all_read(director, everywhere):
            return True
        if time.monotonic() - looked > 1:
            looked = time.monotonic()
            _approve(made)
        time.sleep(0.05)
    return False


def _is_idle(hand: Hand) -> bool:
    """A live run makes no pass while nothing waits: whether something does, the tables say."""
    return hand.lanes > 0 if hand.errand.kind == "lanes" else hand.idle >= 2 and hand.passes >= 3


def _all_read(director: Director, everywhere: Engine) -> bool:
    """Whether nothing is on its way, from a shop's door to a CRM."""
    if _on_its_way(everywhere):
        return False
    if director.reception is None:
        return True
    return director.office.carrier.arrived(0) and not _unread(everywhere)


def _unread(everywhere: Engine) -> int:
    """Deliveries that nobody has read, or that were put aside."""
    with everywhere.connect() as connection:
        return connection.execute(text("select count(*) from webhook_queue")).scalar_one()


def _on_its_way(everywhere: Engine) -> int:
    """Rows that a driver would still send, now or a little later, what it would derive, and logins
    that are lost."""
    waits = text(
        "select (select count(*) from ledger where state in ('pending', 'in_flight', 'retry',"
        " 'unknown')) + (select count(*) from raw_records where outcome is null)"
        " + (select count(*) from credentials where state in ('revoked', 'needs_reconnect'))"
    )
    with everywhere.connect() as connection:
        return connection.execute(waits).scalar_one()


def _approve(made: Stand) -> None:
    """A person looks at what waits for one, and agrees: a cancelled order takes a stage back."""
    engine = house(impatient(made.urls), made.mappings)
    for tenant in made.tenants:
        try:
            with engine.engines.tenancy.scope(tenant) as scope:
                for object_type in waiting_for_approval(scope, "crm"):
                    digest = differences(scope, object_type).digest
                    approve(scope, object_type, digest, by="certificate")
        except (CrmIntegrationError, SQLAlchemyError):
            continue  # it changed while the person looked: next time


def _of_tomorrow(errand: Errand) -> Errand:
    return replace(errand, next_day=True)


def _ran(
    made: Stand, director: Director, everywhere: Engine, seed: int, quiet: bool,
    seconds: dict[str, float],
) -> Ran:  # fmt: skip
    counts = made.town.ask("/counts")
    director.counts.update(counts["acted"])
    director.counts["webhook_duplicated"] = director.office.duplicated
    director.counts["webhook_reordered"] = director.office.reordered
    director.counts["sales_edit"] = counts["sales_edits"]
    director.counts["token_renewed"] = counts["token_renewed"]
    director.counts["kill"] = sum(director.kills.values())
    received = director.reception
    if received:
        director.counts.update(received.told())
    return Ran(
        seed,
        director.scenario,
        _verdict(made),
        director.counts,
        director.kills,
        counts["happened"],
        counts["crm_calls"],
        _left(everywhere),
        quiet,
        {name: round(value, 1) for name, value in seconds.items()},
        dict(director.crew.problems.most_common(12)),
        {**received.found(), "unread": _unread(everywhere)} if received else {},
        director.unmet(),
    )


def _verdict(made: Stand) -> dict[str, Any]:
    """The oracle in a process of its own, which imports nothing of the engine."""
    command = [sys.executable, "-m", "crm_integration_tests.oracle", made.base]
    done = subprocess.run(command, capture_output=True, timeout=120, check=True, cwd=CHECKOUT)
    return json.loads(done.stdout)


def _left(everywhere: Engine) -> dict[str, int]:
    rows = text(
        "select tenant_id, object_type, state, coalesce(reason, '') as reason, count(*) as number "
        "from ledger where state not in :done group by 1, 2, 3, 4"
    )
    with everywhere.connect() as connection:
        found = connection.execute(
            rows.bindparams(bindparam("done", value=_NOT_DUE, expanding=True))
        ).all()
    return {
        f"{row.tenant_id} {row.object_type} {row.state} {row.reason}".strip(): row.number
        for row in found
    }
