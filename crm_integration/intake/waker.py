"""Starts a live run at the moment a delivery comes into a lane that nobody drains.

Prevents the wait for a sensor's next look (its loop is fixed at five seconds): this hears the
receiver's commit, looks at the lane's lock, and asks Dagster's own address for a run. If it fails
nothing is lost: the sensor is there.
"""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass, field
from typing import Any

import httpx
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from crm_integration.errors import RemoteError
from crm_integration.intake.drop_table import lane_of
from crm_integration.intake.hearing import Ear
from crm_integration.intake.lanes import ALL_LANES, held_lanes
from crm_integration.transport.http import http_client, send

ASKED_AGAIN = 20.0
"""Seconds after which a share that is still cold is asked for once more: starting takes seconds."""

_LAUNCH = """
mutation Wake($params: ExecutionParams!) {
  launchRun(executionParams: $params) {
    __typename
    ... on PythonError { message }
  }
}
"""

_log = logging.getLogger(__name__)


@dataclass
class Waker:
    """Hears of deliveries (any role may) and asks the web server at `url` for runs."""

    engine: Engine = field(repr=False)
    url: str
    groups: int
    life: float
    stopped: threading.Event = field(default_factory=threading.Event)
    asked: int = 0
    """Runs asked for so far."""
    _last: dict[int, float] = field(default_factory=dict[int, float])

    def run(self) -> None:
        """Until `stopped`; raises nothing: what goes wrong is told, and the sensor is there."""
        with Ear(self.engine, ALL_LANES) as ear:
            while not self.stopped.is_set():
                if self._told_of(ear.listen(1.0)):
                    continue
                self.stopped.wait(0.01)

    def _told_of(self, tenants: list[str]) -> bool:
        shares = {lane_of(tenant) % self.groups for tenant in tenants}
        due = [one for one in shares if time.monotonic() > self._last.get(one, 0.0)]
        if due:
            self._wake(due)
        return bool(tenants)

    def _wake(self, shares: list[int]) -> None:
        try:
            held = {lane % self.groups for lane in held_lanes(self.engine)}
            for share in set(shares) - held:
                self._last[share] = time.monotonic() + ASKED_AGAIN
                self._launch(share)
        except (RemoteError, SQLAlchemyError) as error:
            _log.warning("no run was asked for (%s): the sensor will", type(error).__name__)

    def _launch(self, share: int) -> None:
        """Raises Transient where Dagster's web server does not answer."""
        with http_client(self.url) as client:
            body = {"query": _LAUNCH, "variables": {"params": _params(share, self)}}
            answer = send(client, client.build_request("POST", "graphql", json=body), within=10.0)
        self.asked += 1
        said = _outcome(answer)
        if said != "LaunchRunSuccess":
            _log.warning("Dagster refused a live run: %s", said)


def _params(share: int, waker: Waker) -> dict[str, Any]:
    config = {"group": share, "groups": waker.groups, "life_seconds": waker.life}
    return {
        "selector": {
            "repositoryLocationName": "crm_integration",
            "repositoryName": "__repository__",
            "jobName": "drain_deliveries",
        },
        "runConfigData": {"ops": {"drain_lanes": {"config": config}}},
        "executionMetadata": {"tags": [{"key": "crm_integration/started_by", "value": "waker"}]},
    }


def _outcome(answer: httpx.Response) -> str:
    if not answer.is_success:
        return f"HTTP {answer.status_code}"
    try:
        told: Any = answer.json()
        return str(told["data"]["launchRun"]["__typename"])
    except (ValueError, KeyError, TypeError):
        return "an answer that names no outcome"
