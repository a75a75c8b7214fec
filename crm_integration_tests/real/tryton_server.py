"""A running Tryton with a fresh database for each test, behind a proxy that can go wrong.

The server listens on 127.0.0.1, ends with the test run, and after its longest life in any case.
"""

from __future__ import annotations

import shutil
import socket
import sqlite3
import subprocess
import time
from collections import Counter
from collections.abc import Generator, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import httpx
from starlette.types import Receive, Scope, Send

from crm_integration.mapping.model import CompiledMapping
from crm_integration.mapping.tenant_file import compiled_mappings, tenant_config
from crm_integration.sandbox.faults import FaultPlan, FaultRule, FaultyApp
from crm_integration.sandbox.hosting import CountedApp
from crm_integration.tenancy.connections import StoredConnection
from crm_integration_tests.house import MAPPINGS
from crm_integration_tests.real.tryton_install import Installed
from crm_integration_tests.real.tryton_records import ADMIN_KEY, Records, furnish
from crm_integration_tests.served import Street

LONGEST_LIFE = 900
"""Seconds; the tests take a tenth of it."""

_CONFIG = """\
[database]
uri = sqlite://
path = {folder}
[web]
listen = 127.0.0.1:{port}
# So long it keeps its list of databases, too: a new one must be found at once.
[session]
timeout = 0
"""

_MOVED = (
    "update party_address set party = ?, active = 0 where party = ?",
    "update party_contact_mechanism set party = ?, active = 0 where party = ?",
    "update party_identifier set party = ?, active = 0 where party = ?",
    "update sale_opportunity set party = ? where party = ?",
)

_BOUNDED = Path(__file__).with_name("bounded_life.py")
_OF_THE_WIRE = (b"content-length", b"transfer-encoding", b"connection", b"host", b"date")


class Proxy:
    """Passes calls on to Tryton, without the first part of their path."""

    def __init__(self, to: str) -> None:
        self._to = to

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        path = str(scope["path"]).removeprefix(str(scope.get("root_path", "")))
        headers = [pair for pair in scope["headers"] if pair[0] not in _OF_THE_WIRE]
        async with httpx.AsyncClient(trust_env=False, timeout=60) as client:
            answer = await client.request(
                scope["method"], f"{self._to}{path}", content=body, headers=headers
            )
        raw = [pair for pair in answer.headers.raw if pair[0].lower() not in _OF_THE_WIRE]
        await send({"type": "http.response.start", "status": answer.status_code, "headers": raw})
        await send({"type": "http.response.body", "body": answer.content})


@dataclass
class TrytonAccount:
    """One database as a tenant's CRM: `records` is Tryton itself, `faulty` what we reach it by."""

    connection: StoredConnection
    secrets: Mapping[str, str] = field(repr=False)
    mappings: dict[str, CompiledMapping] = field(repr=False)
    records: Records
    file: Path
    faulty: FaultyApp
    counted: CountedApp

    @property
    def calls(self) -> Counter[str]:
        """How often the adapter called what."""
        return self.counted.calls

    def merge(self, source: int, destination: int) -> None:
        """People replace a party by another: what Tryton's wizard does to the two.

        By its database, since the REST application has no wizards.
        """
        with closing(sqlite3.connect(self.file)) as database:
            for statement in _MOVED:
                database.execute(statement, (destination, source))
            database.execute(
                "update party_party set replaced_by = ?, active = 0 where id = ?",
                (destination, source),
            )
            database.commit()

    @property
    def writes(self) -> int:
        """Calls that wrote: every one but searches and what is asked about the database."""
        reading = ("/search_read", "/read", "/get_preferences", "/get_access")
        return sum(n for path, n in self.calls.items() if not path.endswith(reading))

    def follow(self, *rules: FaultRule) -> None:
        """Follow this plan from now on; none ends it."""
        self.faulty.follow(FaultPlan(rules))


@dataclass
class TrytonServer:
    """A running server; each account is a copy of one furnished database."""

    url: str
    folder: Path
    furnished: str = ""
    _numbers: Iterator[int] = field(default_factory=lambda: count(1))

    def account(self, street: Street) -> TrytonAccount:
        """A new database, and the way to it for the engine."""
        number = next(self._numbers)
        name = f"crm{number}"
        with (
            closing(sqlite3.connect(self.folder / "furnished.sqlite")) as furnished,
            closing(sqlite3.connect(self.folder / f"{name}.sqlite")) as copy,
        ):
            furnished.backup(copy)
            # A copy would be the same account, and one account belongs to one tenant.
            made = f"2024-01-01 00:00:00.{number:06d}"
            copy.execute("update company_company set create_date = ?", (made,))
            copy.commit()
        faulty = FaultyApp(Proxy(self.url))
        counted = CountedApp(faulty)
        url = f"{street.open(f'tryton-{name}', counted)}/{name}"
        records = Records(f"{self.url}/{name}")
        config = tenant_config(MAPPINGS, "anyone", crm="tryton")
        return TrytonAccount(
            StoredConnection("crm", "crm", "tryton", url, records.account_id()),
            {"api_key": self.furnished},
            compiled_mappings(MAPPINGS, config),
            records,
            self.folder / f"{name}.sqlite",
            faulty,
            counted,
        )


@contextmanager
def running(tryton: Installed, folder: Path) -> Generator[TrytonServer]:
    """A server on a free port with all databases of a folder; stopped at the end."""
    shutil.copy(tryton.empty, folder / "furnished.sqlite")
    with closing(sqlite3.connect(folder / "furnished.sqlite")) as database:
        database.execute(
            "insert into res_user_application (key, user, application, state)"
            " select ?, id, 'rest', 'validated' from res_user where login = 'admin'",
            (ADMIN_KEY,),
        )
        database.commit()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    config = folder / "trytond.conf"
    config.write_text(_CONFIG.format(folder=folder, port=port), "utf-8")
    command = [str(tryton.python), str(_BOUNDED), str(LONGEST_LIFE)]
    command += [str(tryton.program("trytond")), "-c", str(config)]
    with (folder / "trytond.log").open("wb") as log:
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=log, stderr=log)
    try:
        server = TrytonServer(f"http://127.0.0.1:{port}", folder)
        _wait(server, process)
        server.furnished = furnish(f"{server.url}/furnished")
        yield server
    finally:
        process.terminate()
        process.communicate(timeout=20)


def _wait(server: TrytonServer, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        try:
            httpx.get(f"{server.url}/furnished/", trust_env=False, timeout=30)
        except httpx.TransportError:
            time.sleep(0.05)
        else:
            return
    log = (server.folder / "trytond.log").read_text("utf-8", "replace")
    raise AssertionError(f"trytond did not start: {log[-2000:]}")
