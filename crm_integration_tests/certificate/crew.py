"""The drivers at work: forked from a process that has imported everything, watched, ended by pid.

Prevents certificates that mostly measure imports: a fresh driver is at work some 20 ms after its
predecessor was killed. Only processes that were started here are ever signalled.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from typing import Any

from crm_integration_tests.certificate.driver import Errand, Kind, Plan, drive

_CONTEXT = multiprocessing.get_context("forkserver")
Post = tuple[Kind, int]
POSTS: tuple[Post, ...] = (("range", 1), ("live", 1), ("range", 2), ("live", 2))
"""Two of each: a second range run overlaps the first, and a lane may be drained by two."""
LANE_POSTS: tuple[Post, ...] = (("range", 1), ("lanes", 1), ("range", 2), ("lanes", 2))
"""Live runs in place of passes: one drains all lanes, the other is ready to take them over."""
PRELOADED = "crm_integration_tests.certificate.preloaded"


def preload() -> None:
    """Begin to import everything once; the first fork waits for it."""
    _CONTEXT.set_forkserver_preload([PRELOADED])
    forkserver.ensure_running()


@dataclass
class Hand:
    """One driver process and what it told."""

    errand: Errand
    process: ForkServerProcess
    wire: Connection
    plan: Plan
    ready: bool = False
    passes: int = 0
    idle: int = 0
    """Passes in a row that wrote nothing and met no problem."""
    problems: list[str] = field(default_factory=list[str])
    met: float = 0.0
    """When its fate came (monotonic); 0 as long as it has not."""
    lanes: int = 0
    """How many lanes it drains now."""
    overtaken: bool = False
    """Whether newer versions were brought of what it holds, since its fate came."""
    planned_at: float = field(default_factory=time.monotonic)

    @property
    def free(self) -> bool:
        """Nothing is planned for it."""
        return self.plan.fate is None

    def tell(self, told: Plan | str) -> None:
        """A new plan, or "stop"."""
        if isinstance(told, Plan):
            self.plan, self.met, self.planned_at = told, 0.0, time.monotonic()
            self.overtaken = False
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.wire.send(told)

    def listen(self) -> Iterator[tuple[Any, ...]]:
        """What it told since the last time."""
        try:
            while self.wire.poll():
                yield self.wire.recv()
        except (EOFError, OSError):
            return


@dataclass
class Crew:
    """The drivers: some list, some drain. A dead one is followed by another."""

    errand: Errand
    posts: tuple[Post, ...] = POSTS
    hands: dict[Post, Hand] = field(default_factory=dict[Post, Hand])
    problems: Counter[str] = field(default_factory=Counter[str])
    _started: int = 0

    def put(self, post: Post, plan: Plan | None = None) -> Hand:
        """Start a driver at this post, in the place of the one that was."""
        self.end(post)
        self._started += 1
        plan = plan or Plan()
        errand = replace(self.errand, kind=post[0], plan=plan, number=self._started)
        ours, theirs = _CONTEXT.Pipe()
        process = _CONTEXT.Process(target=drive, args=(errand, theirs), daemon=True)
        process.start()
        theirs.close()
        self.hands[post] = Hand(errand, process, ours, plan)
        return self.hands[post]

    def begin(self, patience: float = 180.0) -> None:
        """Start all, and wait until they are at work. Raises TimeoutError."""
        until = time.monotonic() + patience
        hands = [self.put(post) for post in self.posts]
        while not all(hand.ready for hand in hands):
            if time.monotonic() > until:
                raise TimeoutError("the drivers did not start: look at what they wrote to stderr")
            self.listen()
            time.sleep(0.02)

    def listen(self) -> None:
        """Note what the drivers told."""
        for hand in self.hands.values():
            for told in hand.listen():
                self._note(hand, told)

    def _note(self, hand: Hand, told: tuple[Any, ...]) -> None:
        hand.ready = True
        if told[0] == "pass":
            _, writes, problems = told
            hand.passes += 1
            hand.idle = 0 if writes or problems else hand.idle + 1
            hand.problems = [str(one) for one in problems]
            self.problems.update(hand.problems)
        elif told[0] == "lanes":
            hand.lanes = told[1]
        elif told[0] != "ready":
            # It may have met its earlier plan just before it was told another one: what really
            # happened counts, or nobody would ever thaw it.
            hand.plan, hand.met = Plan(*told), time.monotonic()

    def thaw(self, hand: Hand) -> None:
        """Let a frozen driver go on."""
        _signal(hand.process, signal.SIGCONT)

    def end(self, post: Post) -> None:
        """End the driver at this post for good, as a crash would."""
        hand = self.hands.pop(post, None)
        if hand is None:
            return
        for told in hand.listen():
            self._note(hand, told)
        _signal(hand.process, signal.SIGKILL)
        hand.process.join(5)
        hand.wire.close()

    def close(self) -> None:
        """End all."""
        for post in list(self.hands):
            self.end(post)


def _signal(process: ForkServerProcess, number: int) -> None:
    if process.pid is not None and process.is_alive():
        os.kill(process.pid, number)
