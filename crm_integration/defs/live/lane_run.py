"""Live runs: deliveries go from the drop table to the CRM within moments of their arrival.

Prevents the run per webhook: starting a run costs seconds, lingering costs nothing. One run drains
its lanes for its whole life, and a successor takes them over before it ends (docs/adr/0015).
"""

import time
from contextlib import closing

from dagster import Config, MetadataValue, OpExecutionContext, job, op
from pydantic import Field

from crm_integration.defs.jobs import PURPOSE
from crm_integration.defs.live.touched_report import report_touched, telling
from crm_integration.defs.memory import bound_heaps
from crm_integration.defs.resources import HouseResource
from crm_integration.intake.lanes import ALL_LANES, Lanes
from crm_integration.sync.live_pass import LivePass
from crm_integration.sync.live_run import LiveRun

SUCCEEDS_WITHIN = 60.0
"""Seconds a successor waits for its predecessor, who looks for one every second."""

MOST = 86_400
"""Dagster ends what runs for longer: no life is."""


class LaneConfig(Config):
    """Which lanes a live run drains, and for how long."""

    group: int = Field(default=0, description="Which share of the lanes, from 0.")
    groups: int = Field(default=1, description="Into how many shares the lanes are divided.")
    life_seconds: float = Field(
        default=900.0, description="After this a successor takes over; the run ends then."
    )
    successor: bool = Field(
        default=False, description="Wait for the run that holds the lanes now, and take over."
    )


def lanes_of(group: int, groups: int) -> tuple[int, ...]:
    """The lanes of a share."""
    return tuple(lane for lane in ALL_LANES if lane % groups == group)


@op(
    description="Reads deliveries as they come and writes what comes of them to the CRMs.",
    tags={"kind": "live"},
)
def drain_lanes(context: OpExecutionContext, config: LaneConfig, house: HouseResource) -> None:
    """Drain until a successor has come; ends at once, as a success, where another run drains."""
    bound_heaps()
    opened = house.open()
    wanted = lanes_of(config.group, config.groups)
    with Lanes(opened.engines.ops, context.run_id, config.life_seconds) as lanes:
        if not _take(lanes, wanted, successor=config.successor):
            context.log.info("another run drains these lanes: nothing to do")
            report_touched(context, opened)
            return
        context.log.info(f"draining lanes {', '.join(map(str, sorted(lanes.held)))}")
        with telling(context, opened), closing(LivePass(opened, context.run_id)) as one_pass:
            done = LiveRun(lanes, one_pass).run()
    context.add_output_metadata({name: MetadataValue.int(done[name]) for name in sorted(done)})


def _take(lanes: Lanes, wanted: tuple[int, ...], *, successor: bool) -> bool:
    """Take the lanes; a successor tells the one who holds them, and waits for it.

    Who does not wait tells nobody: a cold lane is often asked for twice, by the waker and by the
    sensor, and the one who came first would make way for a run that has gone.
    """
    if lanes.take(wanted):
        return True
    if not successor:
        return False
    lanes.announce(wanted)
    until = time.monotonic() + SUCCEEDS_WITHIN
    while not lanes.held and time.monotonic() < until:
        time.sleep(0.05)
        lanes.take(wanted)
    return bool(lanes.held)


@job(
    name="drain_deliveries",
    description="Keep the CRMs up to date with what stores deliver. Started by itself.",
    tags={PURPOSE: "live", "dagster/priority": "20", "dagster/max_runtime": str(MOST)},
)
def drain_deliveries() -> None:
    """One run for each share of the lanes."""
    drain_lanes()
