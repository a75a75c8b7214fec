"""The receiver as an operator runs it: a process that is started, told to stop, and killed."""

from __future__ import annotations

import base64
import json
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import orjson
import pytest
from sqlalchemy import text

from crm_integration.sandbox.server import Sandbox
from crm_integration.settings import Settings
from crm_integration.storage.embedded import EmbeddedServer
from crm_integration.storage.engine import dispose_engines
from crm_integration.sync.opening import open_house
from crm_integration_tests.cli.demo_process import ROOT, command, environment, own_home
from crm_integration_tests.intake.receiving import order_body, order_headers

_COMMAND = "from crm_integration.cli import app; app()"


@dataclass(frozen=True)
class Shop:
    """A merchant whose store may deliver."""

    home: Path
    path: str
    secret: str


def _told(out: str, what: str) -> str:
    """What stands behind this word in the command's answer."""
    (line,) = [one for one in out.splitlines() if one.startswith(f"{what} ") and "made" not in one]
    return line.split()[1]


@pytest.fixture(scope="module")
def shop() -> Iterator[Shop]:
    with own_home() as home:
        assert command(home, "tenant", "add", "aurora", "--since", "2020-01-01").code == 0
        with Sandbox.start({"aurora": "woocommerce"}) as sandbox:
            account = sandbox.shops["aurora"]
            added = subprocess.run(
                [sys.executable, "-c", _COMMAND, "connection", "add", "aurora", "store",
                 "woocommerce", account.base_url, "--secrets-stdin"],
                input=json.dumps(account.secrets), capture_output=True, text=True, timeout=60,
                env=environment(home), cwd=ROOT, check=False,
            )  # fmt: skip
        assert added.returncode == 0, added.stderr
        made = command(home, "connection", "webhook", "aurora", "main")
        assert made.code == 0, made.err
        address = _told(made.out, "address")
        assert address.startswith("http://127.0.0.1:8700/webhooks/")
        yield Shop(home, address.removeprefix("http://127.0.0.1:8700"), _told(made.out, "secret"))
        dispose_engines()
        EmbeddedServer(home).stop()


@contextmanager
def _running(shop: Shop) -> Iterator[tuple[subprocess.Popen[str], str]]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-c", _COMMAND, "receiver", "--port", str(port)],
        env=environment(shop.home), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True,
    )  # fmt: skip
    url = f"http://127.0.0.1:{port}"
    try:
        _until_ready(process, url)
        yield process, url
    finally:
        process.kill()
        process.communicate(timeout=20)


def _until_ready(process: subprocess.Popen[str], url: str) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if httpx.get(f"{url}/readyz", trust_env=False).status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.05)
    pytest.fail("the receiver did not get ready")


class Senders:
    """Threads that deliver until they are cut off; they remember what was answered 200."""

    def __init__(self, shop: Shop, url: str, number: int = 4) -> None:
        self._shop, self._url = shop, url
        self.answered: set[str] = set()
        self._threads = [threading.Thread(target=self._send, args=(one,)) for one in range(number)]
        for one in self._threads:
            one.start()

    def _send(self, sender: int) -> None:
        with httpx.Client(trust_env=False, timeout=10) as http:
            for number in range(100_000):
                name, body = f"{time.monotonic()}-{sender}-{number}", order_body(number)
                headers = order_headers(body, secret=self._shop.secret, delivery=name)
                try:
                    answer = http.post(self._url + self._shop.path, content=body, headers=headers)
                except httpx.TransportError:
                    return
                if answer.status_code == 200:
                    self.answered.add(name)

    def wait_for(self, number: int) -> None:
        deadline = time.monotonic() + 30
        while len(self.answered) < number and time.monotonic() < deadline:
            time.sleep(0.01)

    def join(self) -> None:
        for one in self._threads:
            one.join(20)
            assert not one.is_alive()


def _kept(shop: Shop) -> set[str]:
    house = open_house(Settings(home=shop.home))
    with house.engines.tenancy.scope("aurora") as scope:
        rows = scope.connection.execute(text("select drop_id, headers from webhook_drop"))
        opened = [
            orjson.loads(scope.keys.open("webhook_drop", f"{row.drop_id}/headers", row.headers))
            for row in rows
        ]
    return {one["x-wc-webhook-delivery-id"] for one in opened}


@pytest.mark.parametrize("told", [signal.SIGKILL, signal.SIGTERM])
def test_what_was_answered_before_the_end_is_kept(shop: Shop, told: signal.Signals) -> None:
    """Deliveries that were answered and still lay in memory went with the process."""
    with _running(shop) as (process, url):
        senders = Senders(shop, url)
        senders.wait_for(200)
        process.send_signal(told)
        senders.join()
        process.wait(20)
        said = process.stdout.read() if process.stdout else ""
    assert len(senders.answered) >= 200
    assert senders.answered <= _kept(shop)
    assert process.returncode == (-signal.SIGKILL if told == signal.SIGKILL else -signal.SIGTERM)
    for secret in (shop.secret, shop.path.rpartition("/")[2], "Traceback"):
        assert secret not in said


def test_an_address_and_a_secret_are_printed_once(shop: Shop) -> None:
    """They stood in every terminal's history."""
    shown = command(shop.home, "connection", "webhook", "aurora", "main")
    assert shown.code == 0
    assert shown.out.count("made") == 2
    assert shown.out.count("in use") == 2
    assert shop.secret not in shown.out
    assert "/webhooks/" not in shown.out


def test_rotating_leaves_the_old_ones_valid_for_a_while(shop: Shop) -> None:
    more = {"CRM_INTEGRATION_RECEIVER_URL": "https://hooks.example.com/"}
    rotated = command(shop.home, "connection", "webhook", "aurora", "main", "--rotate",
                      "--rotate-secret", "--overlap-hours", "2", **more)  # fmt: skip
    assert rotated.code == 0, rotated.err
    address = _told(rotated.out, "address")
    secret = _told(rotated.out, "secret")
    assert address.startswith("https://hooks.example.com/webhooks/")
    assert secret != shop.secret
    assert rotated.out.count(", ends ") == 2
    with _running(shop) as (_, url), httpx.Client(trust_env=False) as http:
        new = Shop(shop.home, address.removeprefix("https://hooks.example.com"), secret)
        for one in (shop, new, Shop(shop.home, shop.path, secret)):
            body = order_body()
            headers = order_headers(body, secret=one.secret, delivery=one.path)
            assert http.post(url + one.path, content=body, headers=headers).status_code == 200


def test_a_secret_of_the_platforms_own_is_read_and_not_shown(shop: Shop) -> None:
    """On the command line every user of the machine can read it."""
    for given, code in (("a secret that the shop states\n", 0), ("\n", 1)):
        done = subprocess.run(
            [sys.executable, "-c", _COMMAND, "connection", "webhook", "aurora", "main",
             "--secret-stdin"],
            input=given, capture_output=True, text=True, timeout=60,
            env=environment(shop.home), cwd=ROOT, check=False,
        )  # fmt: skip
        assert done.returncode == code, done.stderr
        assert "the shop states" not in done.stdout + done.stderr
    assert "16 characters" in done.stderr


def test_an_unknown_connection_is_named_with_the_way_on(shop: Shop) -> None:
    refused = command(shop.home, "connection", "webhook", "aurora", "nothing")
    assert refused.code == 1
    assert "connection list aurora" in refused.err
    assert "Traceback" not in refused.err


def test_it_does_not_listen_beyond_this_machine_by_itself(shop: Shop) -> None:
    """`--host 0.0.0.0` put an open port without TLS on the internet."""
    for host in ("0.0.0.0", "::", "192.0.2.1", "hooks.example.com"):
        refused = command(shop.home, "receiver", "--host", host)
        assert refused.code == 1
        assert "CRM_INTEGRATION_RECEIVER_PROXIES" in refused.err
    wrong = command(shop.home, "receiver", "--host", "0.0.0.0",
                    CRM_INTEGRATION_RECEIVER_PROXIES="10.0.0.0/99")  # fmt: skip
    assert wrong.code == 1
    assert "10.0.0.0/99" in wrong.err


def test_a_receiver_alone_never_makes_a_master_key(shop: Shop) -> None:
    """With a key of its own it kept deliveries that nobody could ever open."""
    url = EmbeddedServer(shop.home).url("crm_intake", "crm_integration")
    with own_home() as alone:
        refused = command(alone, "receiver", CRM_INTEGRATION_INTAKE_URL=url)
        assert refused.code == 1
        assert "CRM_INTEGRATION_MASTER_KEY" in refused.err
        assert not (alone / "master.key").exists()


@pytest.mark.parametrize("role", ["crm_app", "crm_owner"])
def test_it_works_under_no_other_role(shop: Shop, role: str) -> None:
    """Two URLs swapped gave the machine that faces the internet the right to read."""
    url = EmbeddedServer(shop.home).url(role, "crm_integration")
    key = base64.b64encode(b"k" * 32).decode()
    refused = command(shop.home, "receiver", CRM_INTEGRATION_INTAKE_URL=url,
                      CRM_INTEGRATION_MASTER_KEY=key)  # fmt: skip
    assert refused.code == 1
    assert "crm_intake is needed" in refused.err
