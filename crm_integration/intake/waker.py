"""Starts a live run at the moment a delivery comes into a lane that nobody drains.

Prevents the wait for a sensor's next look (its loop is fixed at five seconds): this hears the
receiver's commit, looks at the lane's lock, and asks Dagster's own address for a run. If it fails
nothing is lost: the sensor is there. And the code server that died: Dagster starts no other one by
itself, and without it neither sensor nor queue starts a run, so the code is loaded anew first.
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

LOOKS_AGAIN = 1.0
"""Seconds between two looks at who drains a lane, however many deliveries come."""

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

_RELOAD = """
mutation Reload($name: String!) {
  reloadRepositoryLocation(repositoryLocationName: $name) { __typename }
}
"""
_LOCATION = "crm_integration"
_RELOADED = "reloadRepositoryLocation"
_STARTED = "LaunchRunSuccess"
_LOADS_WITHIN = 60.0
"""Seconds: our code takes about five."""

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
    _told_of: set[int] = field(default_factory=set[int])
    """Lanes with deliveries of which it is not known that somebody drains them."""
    _looked_at: dict[int, float] = field(default_factory=dict[int, float])
    """By lane."""
    _asked_at: dict[int, float] = field(default_factory=dict[int, float])
    """By share: when a run was asked for that has not been seen draining."""

    def run(self) -> None:
        """Until `stopped`; raises nothing: what goes wrong is told, and the sensor is there."""
        with Ear(self.engine, ALL_LANES) as ear:
            while not self.stopped.is_set():
                heard = ear.listen(1.0)
                self._told_of |= {lane_of(tenant) for tenant in heard}
                due = [one for one in self._told_of if _over(self._looked_at, one, LOOKS_AGAIN)]
                if due:
                    self._wake(due)
                elif not heard:
                    self.stopped.wait(0.01)

    def _wake(self, lanes: list[int]) -> None:
        """Ask for a run for each share with a lane that nobody drains; they are looked at until
        somebody does.

        One that was seen draining and has died since is followed at once: only a run that has not
        come yet is waited for.
        """
        try:
            held = held_lanes(self.engine)
            # Who drains the others was seen as well: one look for all lanes, not one for each.
            self._looked_at |= dict.fromkeys({*lanes, *held}, time.monotonic())
            self._told_of -= held
            cold = {lane % self.groups for lane in self._told_of}
            for share in {lane % self.groups for lane in held} & set(self._asked_at) - cold:
                del self._asked_at[share]
            for share in {lane % self.groups for lane in set(lanes) - held}:
                if _over(self._asked_at, share, ASKED_AGAIN):
                    self._asked_at[share] = time.monotonic()
                    self._launch(share)
        except (RemoteError, SQLAlchemyError) as error:
            _log.warning("no run was asked for (%s): the sensor will", type(error).__name__)

    def _launch(self, share: int) -> None:
        """Raises Transient where Dagster's web server does not answer."""
        wanted = {"params": _params(share, self)}
        with http_client(self.url) as client:
            said = _ask(client, "launchRun", _LAUNCH, wanted, within=10.0)
            self.asked += 1
            if said != _STARTED:
                _log.warning("Dagster refused a live run (%s): its code is loaded anew", said)
                _ask(client, _RELOADED, _RELOAD, {"name": _LOCATION}, within=_LOADS_WITHIN)
                said = _ask(client, "launchRun", _LAUNCH, wanted, within=10.0)
        if said != _STARTED:
            _log.warning("Dagster refused a live run: %s", said)


def _over(since: dict[int, float], which: int, seconds: float) -> bool:
    """Whether so many seconds have passed, or nothing ever happened."""
    return which not in since or time.monotonic() > since[which] + seconds


def _params(share: int, waker: Waker) -> dict[str, Any]:
    config = {"group": share, "groups": waker.groups, "life_seconds": waker.life}
    return {
        "selector": {
            "repositoryLocationName": _LOCATION,
            "repositoryName": "__repository__",
            "jobName": "drain_deliveries",
        },
        "runConfigData": {"ops": {"drain_lanes": {"config": config}}},
        "executionMetadata": {"tags": [{"key": "crm_integration/started_by", "value": "waker"}]},
    }


def _ask(
    client: httpx.Client, name: str, query: str, variables: dict[str, Any], *, within: float
) -> str:
    """What the mutation of this name came to."""
    body = {"query": query, "variables": variables}
    answer = send(client, client.build_request("POST", "graphql", json=body), within=within)
    if not answer.is_success:
        return f"HTTP {answer.status_code}"
    try:
        told: Any = answer.json()
        return str(told["data"][name]["__typename"])
    except (ValueError, KeyError, TypeError):
        return "an answer that names no outcome"
