"""Unread deliveries in a lane that nobody drains start a live run, and each life its successor.

Prevents the lane that stands still because Dagster believes in a dead run: the lane's lock is
asked, never a run's state. The waker beside the receiver is faster; this is the safety net.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from dagster import (
    DefaultSensorStatus,
    RunConfig,
    RunRequest,
    SensorEvaluationContext,
    sensor,
)

from crm_integration.defs.live.lane_run import LaneConfig, drain_deliveries, lanes_of
from crm_integration.defs.resources import HouseResource
from crm_integration.intake.lanes import Holder, held_lanes, holders, waiting_lanes
from crm_integration.settings import get_settings

HANDS_OVER_AT = 0.8
"""After so much of a life its successor is asked for: starting a run takes seconds."""

HANDOVERS_APART = 15.0
"""Seconds between the handovers of two shares: a run takes about as long to start on a busy
machine."""

AT_MOST = 0.4
"""Of a life for the handovers of all shares: a run goes on without a successor for half a life."""

ASKED_AGAIN = 20
"""Seconds after which a lane that is still cold asks for another run."""


@sensor(
    # By name: given as an object Dagster makes the sensor anew, with a warning about a beta.
    job_name=drain_deliveries.name,
    minimum_interval_seconds=5,
    default_status=DefaultSensorStatus.RUNNING,
    description="Starts live runs for unread deliveries, and the successor of each live run.",
)
def drop_table_sensor(
    context: SensorEvaluationContext, house: HouseResource
) -> Iterator[RunRequest]:
    """At most one run for each share of the lanes: its key names the epoch it follows."""
    ops, settings = house.open().engines.ops, get_settings()
    held, waiting, now = held_lanes(ops), waiting_lanes(ops), datetime.now(UTC)
    known = {one.lane: one for one in holders(ops)}
    calm = _no_handover_lately(context.cursor, now)
    for group in range(settings.live_groups):
        mine = set(lanes_of(group, settings.live_groups))
        last = max((known[lane] for lane in mine & set(known)), key=_epoch, default=None)
        epoch = last.epoch if last else 0
        if (mine - held) & waiting:
            tick = int(now.timestamp()) // ASKED_AGAIN
            yield _request(group, f"{epoch}:cold:{tick}", successor=False)
        elif not mine & held:
            continue
        elif calm and last is not None and last.successor is None and now > _hands_over(last):
            calm = False
            context.update_cursor(now.isoformat())
            yield _request(group, f"{epoch}:next", successor=True)


def _epoch(holder: Holder) -> int:
    return holder.epoch


def _hands_over(holder: Holder) -> datetime:
    life: timedelta = holder.ends_at - holder.taken_at
    return holder.taken_at + life * HANDS_OVER_AT


def _no_handover_lately(cursor: str | None, now: datetime) -> bool:
    """Whether the successor that was asked for last is through with its start: two starting at once
    take the processors from those who drain."""
    settings = get_settings()
    apart = min(HANDOVERS_APART, AT_MOST * settings.live_life / settings.live_groups)
    return not cursor or now > datetime.fromisoformat(cursor) + timedelta(seconds=apart)


def _request(group: int, which: str, *, successor: bool) -> RunRequest:
    settings = get_settings()
    config = LaneConfig(
        group=group,
        groups=settings.live_groups,
        life_seconds=settings.live_life,
        successor=successor,
    )
    return RunRequest(
        run_key=f"live:{group}:{which}", run_config=RunConfig(ops={"drain_lanes": config})
    )
