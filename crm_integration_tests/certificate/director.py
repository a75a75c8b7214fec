"""Plays the misfortunes on the stand: who dies where, what fails when, and what happens meanwhile.

Prevents a storm that is over before it hits: each planned fate waits until it has been met, the
world moves on as fates are met, and nothing is counted that was only planned.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import psycopg
from sqlalchemy.exc import SQLAlchemyError

from crm_integration.errors import BadInput, CrmIntegrationError
from crm_integration_tests.certificate import misfortunes
from crm_integration_tests.certificate.crew import Crew, Hand, Post
from crm_integration_tests.certificate.driver import LINGER, Plan
from crm_integration_tests.certificate.mappings import write_tenant
from crm_integration_tests.certificate.overtaking import Overtaking
from crm_integration_tests.certificate.posting import PostOffice
from crm_integration_tests.certificate.reception import Reception
from crm_integration_tests.certificate.scenario import IN_FLIGHT, ONLY_RANGE, Scenario
from crm_integration_tests.certificate.stand import Stand, house, impatient, log_in
from crm_integration_tests.certificate.timescale import CLAIM

FROZEN = CLAIM + 1.5
"""Seconds: others have a while to write what it holds before it wakes up."""
_PATIENCE = 8.0
"""Seconds a driver has to come to the step that was planned for it."""
_FEED_PAUSE = 0.4
_MORE, _MORE_PAUSE = 6, 1.0
"""Events after all were fed, and seconds between them."""
_MEANWHILE = 0.3
"""Seconds in which shops deliver to a receiver whose database is away."""
_OWNER_TAKES = 1.5
"""Seconds until a merchant who took our access back consents again."""
_MOST_WAITING = 3
"""Faults of a kind that wait for their call."""
Told = Callable[[str], None]


@dataclass
class Director:
    """One storm. `counts` holds what was really done, `kills` at which steps."""

    stand: Stand
    scenario: Scenario
    crew: Crew
    office: PostOffice
    overtaking: Overtaking
    rng: random.Random
    told: Told
    reception: Reception | None = None
    """Where deliveries arrive over HTTP; None: they are put into the drop table."""
    counts: Counter[str] = field(default_factory=Counter[str])
    kills: Counter[str] = field(default_factory=Counter[str])
    fed: int = 0
    _next: dict[str, float] = field(default_factory=dict[str, float])
    _older: dict[str, str] = field(default_factory=dict[str, str])
    _planned: Counter[str] = field(default_factory=Counter[str])
    _wire_turn: int = 0
    _away: dict[str, float] = field(default_factory=dict[str, float])
    """Merchants who took our access back, and when they consent again."""

    def storm(self) -> None:
        """Until everything planned has been met, or the time is over."""
        self.told("the drivers get ready")
        self.crew.begin()
        until = time.monotonic() + self.scenario.longest
        while time.monotonic() < until and self.unmet():
            self.crew.listen()
            self._feed()
            for post in self.crew.posts:
                self._play(post)
            self._every("wire", self.scenario.wire_pause, self._trouble)
            self._every("restart", self.scenario.restart_pause, self._restart)
            self._every("mapping", self.scenario.mapping_pause, self._remap)
            self._every("sales", self.scenario.sales_pause, self._sell)
            self._every("login", self.scenario.login_pause, self._take_back)
            self._consent_again()
            self._every("live_run", self.scenario.live_run_pause, self._kill_live_run)
            self._receive()
            time.sleep(0.02)
        self._calm()

    # What happens in the world

    def _progress(self) -> float:
        """How much of what is planned has been met: the world moves on with it."""
        scenario = self.scenario
        planned = scenario.fates + sum(scenario.wire.values())
        if not planned:
            return 1.0
        acted = self._acted()
        wire = sum(min(acted[kind], number) for kind, number in scenario.wire.items())
        met = sum(self.kills.values()) + self.counts["frozen"] + self.counts["newer_in_flight"]
        return min(1.0, (met + wire + 6) / planned)

    def _feed(self) -> None:
        portion = -(-self.scenario.events // self.scenario.portions)
        if time.monotonic() < self._next.get("feed", 0):
            return
        self._next["feed"] = time.monotonic() + _FEED_PAUSE
        wanted = int(self.scenario.events * self._progress())
        count = min(wanted - self.fed, portion)
        if self.fed >= self.scenario.events:  # a fault that still waits needs something to hit
            count = _MORE
            self._next["feed"] = time.monotonic() + _MORE_PAUSE
        if count <= 0:
            return
        self.fed += count
        self.office.deliver(self.stand.town.ask("/advance", {"events": count}))
        self.told(f"{self.fed} events, {sum(self.kills.values())} kills")

    def _sell(self) -> None:
        self.office.deliver(self.stand.town.ask("/advance", {"sales": 2}))

    def unmet(self) -> dict[str, int]:
        """What was planned and has not happened so often, with how much is left."""
        scenario, counts = self.scenario, self.counts
        planned: dict[str, tuple[int, int]] = {
            "frozen": (scenario.freezes, counts["frozen"]),
            "newer_in_flight": (scenario.lingers, counts["newer_in_flight"]),
            "database_restart": (scenario.restarts, counts["database_restart"]),
            "login_taken_back": (scenario.takings_back, counts["login_taken_back"]),
            "receiver_kill": (scenario.receiver_kills, counts["receiver_kill"]),
            "live_run_kill": (scenario.live_run_kills, counts["live_run_kill"]),
            "events": (scenario.events, self.fed),
        }
        planned |= {f"kill at {step}": (n, self.kills[step]) for step, n in scenario.kills.items()}
        acted = self._acted() if scenario.wire else Counter[str]()
        planned |= {kind: (n, acted[kind]) for kind, n in scenario.wire.items()}
        return {name: n - done for name, (n, done) in planned.items() if done < n}

    def _acted(self) -> Counter[str]:
        if time.monotonic() > self._next.get("acted", 0):
            self._next["acted"] = time.monotonic() + 0.5
            self._seen = Counter[str](self.stand.town.ask("/counts")["acted"])
        return self._seen

    # Fates of drivers

    def _play(self, post: Post) -> None:
        hand = self.crew.hands[post]
        if not hand.process.is_alive():
            self.crew.listen()
            if hand.plan.fate == "kill" and hand.met:
                self.kills[hand.plan.step] += 1
            else:
                self.counts["driver_died"] += 1
            self.crew.put(post, self._fate(post))
        elif hand.free:
            plan = self._fate(post)
            if plan.fate is not None:  # a driver that is told nothings all the time reads none
                hand.tell(plan)
        elif hand.met:
            self._meet(hand)
        elif time.monotonic() - hand.planned_at > _PATIENCE:
            hand.tell(Plan())  # the next in turn gets it: a standby would keep it for ever

    def _fate(self, post: Post) -> Plan:
        """What is most behind; nothing when all has been met."""
        scenario, counts = self.scenario, self.counts
        others = [hand.plan for other, hand in self.crew.hands.items() if other != post]
        planned = {plan.step for plan in others if plan.fate == "kill"}
        steps = [
            step
            for step, number in scenario.kills.items()
            if self.kills[step] < number
            and (post[0] == "range" or step not in ONLY_RANGE)
            and step not in planned
        ]
        left: list[tuple[float, Plan]] = []
        if steps:
            behind = 1 - sum(self.kills.values()) / sum(scenario.kills.values())
            step = self.rng.choice(steps)
            nth = 1 if self.kills[step] else self.rng.choice((1, 1, 2))
            left.append((behind, Plan("kill", step, nth)))
        if counts["frozen"] < scenario.freezes:
            behind = 1 - counts["frozen"] / scenario.freezes
            left.append((behind, Plan("freeze", self.rng.choice(IN_FLIGHT))))
        if counts["newer_in_flight"] < scenario.lingers:
            behind = 1 - counts["newer_in_flight"] / scenario.lingers
            left.append((behind, Plan("linger", self.rng.choice(("claimed", "looked", "written")))))
        return max(left, key=lambda one: one[0])[1] if left else Plan()

    def _meet(self, hand: Hand) -> None:
        waited = time.monotonic() - hand.met
        if hand.plan.fate == "freeze":
            self._meet_frozen(hand, waited)
        elif hand.plan.fate == "linger":
            if waited < LINGER / 2:
                self.counts["newer_in_flight"] += self._overtaken()
            hand.tell(Plan())

    def _meet_frozen(self, hand: Hand, waited: float) -> None:
        """What it holds moves on, others take it over, and then it wakes up."""
        if not hand.overtaken:
            hand.overtaken = True
            self._overtaken()
        elif waited > FROZEN:
            self.crew.thaw(hand)
            self.counts["frozen"] += 1
            hand.tell(Plan())

    def _overtaken(self) -> bool:
        try:
            return self.overtaking.overtake()
        except (CrmIntegrationError, SQLAlchemyError, psycopg.Error):
            return False  # a misfortune of another kind hit it

    # Who is killed wherever it is

    def _kill_live_run(self) -> None:
        """The process that drains the lanes now, in the middle of whatever it does."""
        if self.counts["live_run_kill"] >= self.scenario.live_run_kills:
            return
        for post, hand in self.crew.hands.items():
            if hand.lanes and not hand.met and hand.process.is_alive():
                self.crew.put(post, self._fate(post))
                self.counts["live_run_kill"] += 1
                return

    def _receive(self) -> None:
        """Keep a receiver up, and kill it while deliveries are on their way to it."""
        if self.reception is None:
            return
        due = time.monotonic() >= self._next.setdefault("receiver", time.monotonic() + 1)
        wanted = self.counts["receiver_kill"] < self.scenario.receiver_kills
        if due and wanted and self.reception.kill_in_mid_load(self.rng):
            self.counts["receiver_kill"] += 1
            self._next["receiver"] = time.monotonic() + self.scenario.receiver_pause
        self.reception.keep_up()

    # What fails around them

    def _every(self, name: str, pause: float, do: Callable[[], None]) -> None:
        if pause and time.monotonic() >= self._next.setdefault(name, time.monotonic() + pause):
            self._next[name] = time.monotonic() + pause
            do()

    def _trouble(self) -> None:
        """New misfortunes of the kinds that are behind; few of a kind wait for their call."""
        acted = self._acted()
        tenants = self.stand.tenants
        self._wire_turn += 1
        rules: dict[str, list[dict[str, object]]] = {}
        kinds = [
            kind
            for kind, number in self.scenario.wire.items()
            if acted[kind] < number and self._planned[kind] - acted[kind] < _MOST_WAITING
        ]
        for place, kind in enumerate(kinds):
            tenant = tenants[(self._wire_turn + place) % len(tenants)]
            rule = misfortunes.crm_rules(self.rng)[kind]
            rules.setdefault(f"{tenant}-crm", []).extend(misfortunes.as_json([(kind, rule)]))
            self._planned[kind] += 1
        shops = misfortunes.shop_rules(self.rng)
        kind = self.rng.choice(list(shops))
        if kind in kinds:
            tenant = tenants[self._wire_turn % len(tenants)]
            rules[tenant] = misfortunes.as_json([(kind, shops[kind])])
            self._planned[kind] += 1
        self.stand.town.ask("/calm", {"name": "token_401"})
        self._planned["token_401"] = acted["token_401"]
        self.stand.town.ask("/expect", rules)

    def _restart(self) -> None:
        if self.counts["database_restart"] < self.scenario.restarts:
            self.stand.server.stop(at_once=self.counts["database_restart"] % 2 == 0)
            if self.reception:
                self._deliver_meanwhile()
            self.stand.server.start()
            self.counts["database_restart"] += 1

    def _deliver_meanwhile(self) -> None:
        """No shop knows that the database is away."""
        self.fed += _MORE
        self.office.deliver(self.stand.town.ask("/advance", {"events": _MORE}))
        time.sleep(_MEANWHILE)

    def _take_back(self) -> None:
        """A merchant removes our app from their CRM; a while later somebody connects it again."""
        if self.counts["login_taken_back"] + len(self._away) >= self.scenario.takings_back:
            return
        tenant = self.rng.choice(self.stand.tenants)
        if tenant not in self._away:
            self.stand.town.ask("/login", {"tenant": tenant, "end": True})
            self._away[tenant] = time.monotonic() + _OWNER_TAKES

    def _consent_again(self, *, now: bool = False) -> None:
        """First in the wrong account, as an agency with many of them would, then in the right one.

        Raises AssertionError when another merchant's account was taken for this one's.
        """
        for tenant, due in list(self._away.items()):
            if not now and time.monotonic() < due:
                continue
            engine = house(impatient(self.stand.urls), self.stand.mappings)
            others = [one for one in self.stand.tenants if one != tenant]
            try:
                log_in(self.stand, engine, tenant, at=self.rng.choice(others))
            except BadInput:
                self.counts["wrong_account_refused"] += 1
            except (CrmIntegrationError, SQLAlchemyError):
                continue  # another misfortune: a little later
            else:
                raise AssertionError(f"{tenant} was connected to another merchant's CRM")
            try:
                log_in(self.stand, engine, tenant)
            except (CrmIntegrationError, SQLAlchemyError):
                continue
            del self._away[tenant]
            self.counts["login_taken_back"] += 1

    def _remap(self) -> None:
        """Pin an older version at a tenant, or the newest again."""
        if self.counts["mapping_changed"] >= self.scenario.mappings:
            return
        tenant = self.rng.choice(self.stand.tenants)
        older = "" if self._older.get(tenant) else self.rng.choice(("contact", "order"))
        self._older[tenant] = older
        write_tenant(self.stand.mappings, tenant, older=older)
        self.counts["mapping_changed"] += 1

    def _calm(self) -> None:
        """Everything works again."""
        self.stand.town.ask("/calm", {})
        until = time.monotonic() + 30
        while self._away and time.monotonic() < until:
            self._consent_again(now=True)
        for hand in self.crew.hands.values():
            self.crew.thaw(hand)
        for tenant in self.stand.tenants:
            write_tenant(self.stand.mappings, tenant)
