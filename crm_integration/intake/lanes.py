"""Who drains a lane: whoever holds its lock, on a connection of its own.

Prevents the lane that a lost process keeps for ever: the lock is a session's, so it is free the
moment that process or its connection ends, whatever Dagster believes of its run. The table only
tells people who holds it until when, and counts who came before (`epoch`). What may go wrong when
two believe to hold one lane goes wrong elsewhere: deliveries are locked row by row while they are
read, and CRM writes are claimed.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, fields
from datetime import datetime
from types import TracebackType
from typing import Self

from sqlalchemy import Connection, Engine, Integer, func, select, text, update
from sqlalchemy import cast as as_type
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import SQLAlchemyError

from crm_integration.intake.drop_table import LANES, lane_of
from crm_integration.intake.process_life import is_gone, this_process
from crm_integration.storage.engine import own_connection
from crm_integration.storage.tables.intake import lanes, webhook_queue

_CLASS = 1_480_937_299
"""First half of the locks' key: no other advisory lock of ours has two halves."""

ALL_LANES = tuple(range(LANES))

_HELD = text("""
select objid::int from pg_locks
where locktype = 'advisory' and classid = :class and objsubid = 2 and granted
    and database = (select oid from pg_database where datname = current_database())
""")


@dataclass(frozen=True)
class Holder:
    """What the table says about a lane's last holder."""

    lane: int
    epoch: int
    run_id: str
    taken_at: datetime
    ends_at: datetime
    successor: str | None


@dataclass
class Lanes:
    """The lanes that one run holds; a context manager that gives them back."""

    ops: Engine = field(repr=False)
    run_id: str
    life: float
    """Seconds until a successor is to take over."""
    held: set[int] = field(default_factory=set[int])
    wanted: set[int] = field(default_factory=set[int])
    """Those that were asked for, whether they were free or not."""
    process: str = field(default_factory=this_process)
    orphans: set[str] = field(default_factory=set[str])
    """Runs that held them before, and whose process is gone."""
    _connection: Connection | None = field(default=None, repr=False)

    def take(self, wanted: Collection[int]) -> set[int]:
        """Take what is free of these; returns what was taken now.

        What a dead predecessor had read and was about to ask its store for is free at once.
        """
        self.wanted |= set(wanted)
        taken = {lane for lane in sorted(set(wanted) - self.held) if self._lock(lane)}
        if taken:
            with self.ops.begin() as connection:
                self.orphans |= _orphans(connection, taken)
                self._tell(connection, taken)
                _free(connection, taken, self.run_id)
            self.held |= taken
        return taken

    def take_rest(self) -> set[int]:
        """Take what was wanted and not free: who gives lanes back does so one by one, and what a
        successor missed of them would stay cold for its whole life."""
        missing = self.wanted - self.held
        return self.take(missing) if missing else set()

    def drains(self, tenant: str) -> bool:
        """Whether this tenant's lane is held here."""
        return lane_of(tenant) in self.held

    def still_held(self) -> bool:
        """Whether the lock's connection lives; without it all lanes are lost."""
        try:
            self._session().execute(select(1))
        except SQLAlchemyError:
            self._lose()
            return False
        return bool(self.held)

    def announce(self, wanted: Collection[int]) -> None:
        """Tell the holders of these lanes that their successor is ready."""
        with self.ops.begin() as connection:
            connection.execute(
                update(lanes).where(lanes.c.lane.in_(wanted)).values(successor=self.run_id)
            )

    def succeeded(self) -> bool:
        """Whether somebody waits for our lanes."""
        with self.ops.connect() as connection:
            found = connection.scalar(
                select(func.count()).where(
                    lanes.c.lane.in_(self.held),
                    lanes.c.run_id == self.run_id,
                    lanes.c.successor.is_not(None),
                )
            )
        return bool(found)

    def give_back(self) -> None:
        """Let others take all lanes, at once."""
        self._lose()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._lose()

    def _session(self) -> Connection:
        if self._connection is None:
            self._connection = own_connection(self.ops)
        return self._connection

    def _lock(self, lane: int) -> bool:
        asked = select(func.pg_try_advisory_lock(_int(_CLASS), _int(lane)))
        return bool(self._session().scalar(asked))

    def _tell(self, connection: Connection, taken: Collection[int]) -> None:
        ends_at = func.now() + func.make_interval(0, 0, 0, 0, 0, 0, self.life)
        mine = {"run_id": self.run_id, "taken_at": func.now(), "ends_at": ends_at,
                "process": self.process}  # fmt: skip
        statement = insert(lanes).values([{"lane": one, "epoch": 1, **mine} for one in taken])
        connection.execute(
            statement.on_conflict_do_update(
                index_elements=[lanes.c.lane],
                set_={**mine, "epoch": lanes.c.epoch + 1, "successor": None},
            )
        )

    def _lose(self) -> None:
        self.held.clear()
        if self._connection is not None:
            with suppress(SQLAlchemyError):
                # A server notices only a moment later that its client has gone.
                self._connection.execute(select(func.pg_advisory_unlock_all()))
            with suppress(SQLAlchemyError):
                self._connection.close()
            self._connection = None


def _orphans(connection: Connection, taken: Collection[int]) -> set[str]:
    """Whoever held these lanes until now, where its process is gone."""
    before = select(lanes.c.run_id, lanes.c.process).where(lanes.c.lane.in_(taken)).distinct()
    return {row.run_id for row in connection.execute(before) if is_gone(row.process)}


def _int(number: int) -> object:
    return as_type(number, Integer)


def _free(connection: Connection, taken: Collection[int], run_id: str) -> None:
    connection.execute(
        update(webhook_queue)
        .where(
            webhook_queue.c.lane.in_(taken),
            webhook_queue.c.asked_by != run_id,
            webhook_queue.c.ready_at > func.now(),
        )
        .values(ready_at=func.now(), asked_by=None)
    )


def held_lanes(ops: Engine) -> set[int]:
    """Lanes that a living process holds right now, whatever anybody believes."""
    with ops.connect() as connection:
        return set(connection.execute(_HELD, {"class": _CLASS}).scalars())


def holders(ops: Engine) -> list[Holder]:
    """The last holder of each lane that ever had one."""
    with ops.connect() as connection:
        shown = (lanes.c[one.name] for one in fields(Holder))
        rows = connection.execute(select(*shown).order_by(lanes.c.lane)).all()
    return [Holder(*row) for row in rows]


def waiting_lanes(ops: Engine) -> set[int]:
    """Lanes with a delivery that is to be read."""
    with ops.connect() as connection:
        asked = select(webhook_queue.c.lane).where(webhook_queue.c.ready_at <= func.now())
        return set(connection.execute(asked.distinct()).scalars())


def ready_tenants(ops: Engine, among: Sequence[int], *, limit: int) -> list[str]:
    """Tenants of these lanes with deliveries to read, the longest waiting first."""
    with ops.connect() as connection:
        rows = connection.execute(
            select(webhook_queue.c.tenant_id)
            .where(webhook_queue.c.lane.in_(among), webhook_queue.c.ready_at <= func.now())
            .group_by(webhook_queue.c.tenant_id)
            .order_by(func.min(webhook_queue.c.ready_at))
            .limit(limit)
        )
        return list(rows.scalars())


def tenants_in_flight(ops: Engine) -> set[str]:
    """Tenants with a record that somebody has claimed."""
    with ops.connect() as connection:
        asked = text("select distinct tenant_id from ledger where state = 'in_flight'")
        return set(connection.execute(asked).scalars())


_RETRIES = text("""
select distinct tenant_id from ledger
where state in ('pending', 'retry', 'unknown', 'in_flight', 'parked')
    and (state = 'retry' and next_try_at <= clock_timestamp()
         or state = 'in_flight' and claim_expires_at < clock_timestamp()
         or state = 'unknown'
         or :unsent and state = 'pending')
""")


def tenants_with_retries(ops: Engine, *, unsent: bool = False) -> set[str]:
    """Tenants with a record that is to be tried again now, or whose sender was lost; also those
    that were never sent, where nobody is left who knows of them (`unsent`)."""
    with ops.connect() as connection:
        return set(connection.execute(_RETRIES, {"unsent": unsent}).scalars())
