"""`dagster dev` on the bench's own databases, and what is asked of it over its own address.

Prevents a bench that knows more than a person: runs are counted, terminated and reloaded as the
UI does it, by GraphQL, and a process is killed by the id that Dagster's event log names.
"""

from __future__ import annotations

import base64
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from crm_integration.defs.partitions import TENANTS
from crm_integration.defs.run_here import place_dagster_yaml
from crm_integration.storage.sealing import MasterKey
from crm_integration.storage.urls import DatabaseUrls
from crm_integration_tests.benchmarks.processes import CHECKOUT, cpu_of_family

KEY = b"b" * 32
MASTER = MasterKey(KEY)
STARTS_WITHIN = 120.0
LIVE = "drain_deliveries"

_RUNS = """query Runs($of: RunsFilter!) { runsOrError(filter: $of) { ... on Runs {
  results { runId status startTime endTime } } } }"""
_LOGS = """query Logs($id: ID!) { logsForRun(runId: $id) { ... on EventConnection {
  events { ... on MessageEvent { message } } } } }"""
_TERMINATE = """mutation Stop($id: String!) { terminateRun(runId: $id) { __typename } }"""
_RELOAD = """mutation Reload($name: String!) {
  reloadRepositoryLocation(repositoryLocationName: $name) { __typename } }"""
_READY = """{ workspaceOrError { ... on Workspace { locationEntries { loadStatus
  locationOrLoadError { __typename } } } } }"""
_BACKFILL = """mutation Fill($params: LaunchBackfillParams!) {
  launchPartitionBackfill(backfillParams: $params) { __typename
    ... on PythonError { message } } }"""
_ADD = """mutation Add($set: String!, $key: String!, $of: RepositorySelector!) {
  addDynamicPartition(partitionsDefName: $set, partitionKey: $key, repositorySelector: $of) {
    __typename } }"""
_ASSETS = "{ assetNodes { id isPartitioned assetKey { path } } }"
_KEYS = """query Keys($key: AssetKeyInput!) { assetNodeOrError(assetKey: $key) {
  ... on AssetNode { partitionKeys } } }"""
_REPOSITORY = {
    "repositoryLocationName": "crm_integration",
    "repositoryName": "__repository__",
}
_PROCESS = re.compile(r"\(pid: (\d+)\)")


def environment(urls: DatabaseUrls, home: Path, **more: str) -> dict[str, str]:
    """What every process of the product is told: its databases, its key, its own home."""
    named = {f"{name.upper()}_URL": url for name, url in vars(urls).items()}
    named |= {"MASTER_KEY": base64.b64encode(KEY).decode(), "HOME": os.fspath(home), **more}
    ours = {f"CRM_INTEGRATION_{name}": value for name, value in named.items()}
    made = {**os.environ, **ours, "DAGSTER_HOME": os.fspath(home / "dagster")}
    # As anybody's: compiling all sources anew is a third of a run's start.
    made.pop("PYTHONDONTWRITEBYTECODE", None)
    return made


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as asked:
        asked.bind(("127.0.0.1", 0))
        return asked.getsockname()[1]


@dataclass(frozen=True)
class Run:
    """A live run as Dagster knows it."""

    run_id: str
    status: str


@dataclass
class Dagster:
    """The UI with its daemon and its code server."""

    url: str
    process: subprocess.Popen[bytes]
    http: httpx.Client = field(repr=False)

    def ask(self, query: str, variables: Mapping[str, Any] | None = None) -> Any:
        """The `data` of an answer."""
        body = {"query": query, "variables": dict(variables or {})}
        answer = self.http.post("/graphql", json=body).raise_for_status().json()
        if answer.get("errors"):
            raise RuntimeError(f"Dagster refused: {answer['errors'][0]['message'][:300]}")
        return answer["data"]

    def live_runs(self) -> list[Run]:
        """All live runs, the newest first."""
        found = self.ask(_RUNS, {"of": {"pipelineName": LIVE}})["runsOrError"]["results"]
        return [Run(one["runId"], one["status"]) for one in found]

    def draining(self, patience: float = 30.0) -> Run:
        """The live run at work. Raises LookupError when none is for so many seconds."""
        until = time.monotonic() + patience
        while time.monotonic() < until:
            for run in self.live_runs():
                if run.status == "STARTED" and _is_alive(self.process_of(run)):
                    return run
            time.sleep(0.5)
        raise LookupError("no live run is at work: look at the daemon's ticks")

    def process_of(self, run: Run) -> int:
        """Its process id, as its event log tells; 0 where it does not."""
        events: list[dict[str, str]] = self.ask(_LOGS, {"id": run.run_id})["logsForRun"]["events"]
        for event in events:
            if found := _PROCESS.search(event.get("message", "")):
                return int(found[1])
        return 0

    def terminate(self, run: Run) -> None:
        """As the button in the UI does."""
        self.ask(_TERMINATE, {"id": run.run_id})

    def reload(self) -> None:
        """As the button in the UI does."""
        self.ask(_RELOAD, {"name": "crm_integration"})

    def backfill_all(self, tenants: list[str]) -> None:
        """Queue every window of these tenants. Raises RuntimeError where Dagster refuses."""
        for tenant in tenants:
            self.ask(_ADD, {"set": TENANTS, "key": tenant, "of": _REPOSITORY})
        nodes = self.ask(_ASSETS)["assetNodes"]
        first = min((one for one in nodes if one["isPartitioned"]), key=lambda one: one["id"])
        keys = self.ask(_KEYS, {"key": first["assetKey"]})["assetNodeOrError"]["partitionKeys"]
        chosen = [one["assetKey"] for one in nodes if one["isPartitioned"]]
        wanted = {"assetSelection": chosen, "partitionNames": keys}
        said = self.ask(_BACKFILL, {"params": wanted})["launchPartitionBackfill"]
        if said["__typename"] != "LaunchBackfillSuccess":
            raise RuntimeError(f"no backfill: {said.get('message', said['__typename'])[:300]}")

    @property
    def cpu_s(self) -> float:
        """Seconds of CPU of all its processes that live."""
        return cpu_of_family(self.process.pid)

    def _is_ready(self) -> bool:
        try:
            entries = self.ask(_READY)["workspaceOrError"]["locationEntries"]
        except (httpx.HTTPError, KeyError):
            return False
        return any(
            (one["locationOrLoadError"] or {}).get("__typename") == "RepositoryLocation"
            for one in entries
        )


@contextmanager
def dagster_dev(env: Mapping[str, str]) -> Generator[Dagster]:
    """`dagster dev` that has loaded our code; ends with all its processes."""
    place_dagster_yaml(Path(env["DAGSTER_HOME"]))
    port = free_port()
    command = [os.fspath(Path(sys.executable).with_name("dagster")), "dev",
               "-w", os.fspath(CHECKOUT / "workspace.yaml"), "-h", "127.0.0.1", "-p", str(port),
               "--log-level", "warning"]  # fmt: skip
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            command, env=dict(env), cwd=CHECKOUT, stdout=said, stderr=said, start_new_session=True
        )
        try:
            with httpx.Client(
                base_url=f"http://127.0.0.1:{port}", timeout=60, trust_env=False
            ) as http:
                started = Dagster(f"http://127.0.0.1:{port}", process, http)
                _wait(started)
                yield started
        finally:
            _end(process)


def _wait(started: Dagster) -> None:
    until = time.monotonic() + STARTS_WITHIN
    while not started._is_ready():  # pyright: ignore[reportPrivateUsage]
        if started.process.poll() is not None or time.monotonic() > until:
            raise TimeoutError("dagster dev did not load our code: run it by hand and look")
        time.sleep(0.3)


def _end(process: subprocess.Popen[bytes]) -> None:
    """It and all that it started: they are a session of their own."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
        except ProcessLookupError:
            return
        until = time.monotonic() + 15
        while time.monotonic() < until and _has_members(process):
            time.sleep(0.1)


def _has_members(process: subprocess.Popen[bytes]) -> bool:
    process.poll()
    try:
        os.killpg(process.pid, 0)
    except ProcessLookupError:
        return False
    return True


def _is_alive(pid: int) -> bool:
    return pid > 0 and Path(f"/proc/{pid}").exists()
