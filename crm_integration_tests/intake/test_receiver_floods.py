"""What the internet sends: too much, too slowly, too large. It costs little, and shops go on."""

from __future__ import annotations

import resource
import socket
import threading
import time
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, closing
from ipaddress import ip_network

import httpx
import pytest

from crm_integration.intake.delivery_body import LARGEST_BODY
from crm_integration.intake.drop_table import drain
from crm_integration.intake.receiver_app import Limits
from crm_integration.intake.receiver_door import Door
from crm_integration_tests.house import House, Tenant
from crm_integration_tests.intake.receiving import (
    Receiving,
    connected,
    kept,
    order_body,
    order_headers,
    receiving,
)

MB = 1024 * 1024


def _grown_mb() -> float:
    """The most memory this process ever had; the receiver runs in it."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _raw(path: str, body: bytes, *lines: str) -> bytes:
    head = "\r\n".join((f"POST {path} HTTP/1.1", "host: x", *lines))
    return head.encode("latin-1") + b"\r\n\r\n" + body


def _answer(one: socket.socket) -> bytes:
    """All that comes until the other side ends."""
    got = b""
    try:
        while piece := one.recv(65_536):
            got += piece
    except ConnectionResetError:
        pass
    return got


def _chunks(size: int) -> Iterator[bytes]:
    piece = b"10000\r\n" + b"x" * 65_536 + b"\r\n"
    for _ in range(size // 65_536):
        yield piece


def _send_until_refused(one: socket.socket, pieces: Iterator[bytes]) -> int:
    """How many bytes the other side took."""
    sent = 0
    try:
        for piece in pieces:
            one.sendall(piece)
            sent += len(piece)
    except (BrokenPipeError, ConnectionResetError):
        pass
    return sent


@pytest.mark.parametrize("known", [True, False])
def test_a_gigabyte_in_chunks_is_cut_off(
    receiver: Receiving, tenant: Tenant, *, known: bool
) -> None:
    """It names no length, so it was gathered until the process had no memory."""
    path = receiver.shop(tenant) if known else "/webhooks/unknown"
    before = _grown_mb()
    with connected(receiver.place) as one:
        one.sendall(_raw(path, b"", "transfer-encoding: chunked"))
        taken = _send_until_refused(one, _chunks(1024 * MB))
        answer = _answer(one)
    assert taken < LARGEST_BODY + 32 * MB, "the rest was read for nothing"
    assert not answer or answer.startswith(b"HTTP/1.1 413" if known else b"HTTP/1.1 404")
    assert _grown_mb() - before < 150
    assert receiver.order(receiver.shop(tenant)).status_code == 200


def test_a_body_that_says_it_is_too_large_is_refused_before_it_is_sent(
    receiver: Receiving, tenant: Tenant
) -> None:
    """The sender that waits for our word never sends it."""
    with connected(receiver.place) as one:
        one.sendall(_raw(receiver.shop(tenant), b"", "content-length: 1073741824",
                         "expect: 100-continue"))  # fmt: skip
        answer = _answer(one)
    assert answer.startswith(b"HTTP/1.1 413")
    assert b"connection: close" in answer


def test_the_largest_order_that_a_store_sends_is_taken(receiver: Receiving, tenant: Tenant) -> None:
    """An order of 10,000 lines has 9 MB; refused, it was polled a day later."""
    body = order_body(5, lines=["x" * 900] * 10_000)
    assert len(body) > 9 * MB - 500_000
    assert receiver.order(receiver.shop(tenant), body).status_code == 200
    assert kept(tenant)[0].body == body


@pytest.mark.parametrize("signed", [True, False])
def test_a_gzip_bomb_is_given_up_early(
    receiver: Receiving, tenant: Tenant, *, signed: bool
) -> None:
    """1 MB stood for 1 GB; opened whole, it took the machine with it."""
    machine = zlib.compressobj(wbits=31)
    bomb = b"".join(machine.compress(bytes(MB)) for _ in range(200)) + machine.flush()
    assert 200 * MB / len(bomb) > 100
    headers = order_headers(bomb, secret="whsec_realstore_woo" if signed else "x" * 20)
    before, began = _grown_mb(), time.monotonic()
    answer = receiver.post(receiver.shop(tenant), bomb, {**headers, "content-encoding": "gzip"})
    assert answer.status_code == 413
    assert time.monotonic() - began < 3
    assert _grown_mb() - before < 100
    assert kept(tenant) == []


def test_a_body_that_trickles_is_given_up(house: House, tenant: Tenant) -> None:
    """One byte a second holds a place for hours."""
    with receiving(house, Limits(body_seconds=0.3)) as hasty, connected(hasty.place) as one:
        one.sendall(_raw(hasty.shop(tenant), b"{", "content-length: 500"))
        began = time.monotonic()
        assert _answer(one).startswith(b"HTTP/1.1 408")
        assert time.monotonic() - began < 3


def test_a_sender_that_leaves_half_way_leaves_nothing(receiver: Receiving, tenant: Tenant) -> None:
    """Half an order was kept as a whole one."""
    body = order_body()
    lines = [f"{name}: {value}" for name, value in order_headers(body).items()]
    path = receiver.shop(tenant)
    with connected(receiver.place) as one:
        one.sendall(_raw(path, body[:10], f"content-length: {len(body)}", *lines))
    deadline = time.monotonic() + 5
    while not receiver.metric(_HUNG) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert receiver.metric(_HUNG) == 1
    assert kept(tenant) == []


_HUNG = 'crm_integration_webhook_answers_total{outcome="hung",platform="woocommerce"}'


def test_a_header_has_its_time(house: House, tenant: Tenant) -> None:
    """uvicorn waits for a header for ever, and after each byte anew."""
    with receiving(house, door=Door(header_seconds=0.3)) as hasty:
        with connected(hasty.place) as silent, connected(hasty.place) as slow:
            began = time.monotonic()
            slow.sendall(b"POST /webhooks/x HTTP/1.1\r\nhost: ")
            assert _answer(silent).startswith(b"HTTP/1.1 408")
            assert _answer(slow).startswith(b"HTTP/1.1 408")
            assert time.monotonic() - began < 3
        got = b""
        with connected(hasty.place) as second:
            second.sendall(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
            while not got.endswith(b"alive"):
                got += second.recv(1_000)
            second.sendall(b"GET /healthz HT")  # a kept connection has it, too
            assert b"408" in _answer(second)
        with connected(hasty.place) as third:  # so has the rest of a body that nobody reads
            third.sendall(_raw("/webhooks/x", b"", "content-length: 5000"))
            for _ in range(50):
                if not _send_until_refused(third, iter([b"x"])):
                    break
                time.sleep(0.05)
            else:
                pytest.fail("a trickling body kept its connection")
        assert hasty.order(hasty.shop(tenant)).status_code == 200


def test_a_header_without_end_is_refused(receiver: Receiving) -> None:
    """httptools gathers a header of any size."""
    with connected(receiver.place) as one:
        one.sendall(b"POST /webhooks/x HTTP/1.1\r\n")
        line = b"x-filler: " + b"y" * 1_000 + b"\r\n"
        taken = _send_until_refused(one, (line for _ in range(20_000)))
        answer = _answer(one)
    assert taken < 10 * MB
    assert not answer or answer.startswith(b"HTTP/1.1 431")
    whole = {f"x-filler-{number}": "y" * 1_000 for number in range(40)}
    assert receiver.http.get(f"{receiver.url}/healthz", headers=whole).status_code == 431


def test_connections_that_idle_in_the_header_give_way(house: House, tenant: Tenant) -> None:
    """Ten thousand of them took every place, and no shop came through. Here 1,000 for 100."""
    with receiving(house, door=Door(most_connections=100)) as small, ExitStack() as held:
        path = small.shop(tenant)
        for _ in range(1_000):
            one = held.enter_context(closing(socket.create_connection(small.place, timeout=5)))
            one.sendall(b"POST /webhooks/")
        answers = [small.order(path, delivery=f"d{number}").status_code for number in range(20)]
        assert answers == [200] * 20
        assert small.door.inside <= 100 + 1
    assert small.door.inside == 0, "each place is given back"


def test_a_stranger_is_turned_away_where_proxies_are_named(house: House) -> None:
    """An open port beside the proxy has no TLS, and everybody's address."""
    strange = Door([ip_network("192.0.2.0/24")])
    with receiving(house, door=strange) as closed_, connected(closed_.place) as one:
        one.sendall(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
        assert _answer(one) == b""
    with receiving(house, door=Door([ip_network("127.0.0.0/8")])) as open_:
        assert open_.http.get(f"{open_.url}/healthz").text == "alive"


def test_forged_requests_are_refused_by_the_thousand(
    receiver: Receiving, house: House, tenant: Tenant, neighbour: Tenant
) -> None:
    """50,000 of them are told by a hash and ask the database once a second; here 2,000, while a
    shop delivers."""
    known, shop = receiver.shop(neighbour), receiver.shop(tenant)
    receiver.order(known, secret="x" * 20)
    statuses: Counter[int] = Counter()

    def forge() -> None:
        body = order_body()
        with httpx.Client(trust_env=False) as http:
            for number in range(500):
                path = known if number % 2 else f"/webhooks/{'A' * 38}"
                headers = order_headers(body, secret="x" * 20)
                statuses[http.post(receiver.url + path, content=body, headers=headers)
                         .status_code] += 1  # fmt: skip

    forgers = [threading.Thread(target=forge) for _ in range(4)]
    for one in forgers:
        one.start()
    slowest, delivered = 0.0, 0
    while any(one.is_alive() for one in forgers):
        began = time.monotonic()
        assert receiver.order(shop, delivery=f"d{delivered}").status_code == 200
        slowest, delivered = max(slowest, time.monotonic() - began), delivered + 1
    assert statuses == {401: 1_000, 404: 1_000}
    assert delivered > 3
    assert slowest < 3
    assert kept(neighbour) == []


@pytest.mark.parametrize(
    "body",
    [
        b'{"id": 7, "note": "a\\u0000b", "date_modified_gmt": "2024-03-01T12:00:00"}',
        b'{"id": 7, "note": "\\ud800", "date_modified_gmt": "2024-03-01T12:00:00"}',
        b'{"id": 7, "note": "\xff\xfe\x00", "date_modified_gmt": "2024-03-01T12:00:00"}',
        b'{"id": "\\ud800\\u0000", "date_modified_gmt": "2024-03-01T12:00:00"}',
        b"\x00" * 40,
        b"[" * 100_000,
        b'{"id": ' + b"9" * 10_000 + b"}",
        b'{"id": 1e999, "date_modified_gmt": "9999999-99-99"}',
        b"",
    ],
    ids=["nul", "surrogate", "no utf-8", "bad id", "only nul", "deep", "long number", "huge",
         "empty"],
)  # fmt: skip
def test_a_strange_body_is_kept_and_stops_nobody(
    receiver: Receiving, house: House, tenant: Tenant, body: bytes
) -> None:
    """Postgres holds no NUL in text, JSON has lone surrogates: one such delivery stopped a shop."""
    path = receiver.shop(tenant)
    assert receiver.order(path, body).status_code == 200
    assert receiver.order(path, order_body(8), delivery="d8").status_code == 200
    assert [one.body for one in kept(tenant)] == [body, order_body(8)]
    drain(house.tenancy, house.engines.ops, tenant.name, tenant.store, run_id="r1")
    assert "8" in {row.source_id for row in tenant.rows("select source_id from raw_records")}


def test_bad_requests_get_their_status(receiver: Receiving, tenant: Tenant) -> None:
    path = receiver.shop(tenant)
    for sent, status in (
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"400"),
        (b"POST / HTTP/9.9\r\n\r\n", b"400"),
        (_raw(path, b"{}", "content-length: -5"), b"400"),
        (_raw(path, b"zz\r\n", "transfer-encoding: chunked"), b"400"),
        (_raw("/nothing", b"", "content-length: 0", "connection: close"), b"404"),
    ):
        with connected(receiver.place) as one:
            one.sendall(sent)
            assert _answer(one)[9:12] == status, sent
    assert kept(tenant) == []


def test_bodies_together_have_a_limit(house: House, tenant: Tenant, neighbour: Tenant) -> None:
    """A hundred shops' largest orders at once are more than a small machine has."""
    with receiving(house, Limits(body_room=4 * MB)) as small:
        path, other = small.shop(tenant), small.shop(neighbour)
        answer = small.order(path, b"x" * (2 * MB))
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
        assert small.order(path, b"x" * 900_000).status_code == 200
        assert small.order(path, b"y" * 900_000).status_code == 200, "room is given back"
        assert small.order(other).status_code == 200


def test_a_clock_that_jumps_changes_nothing(
    receiver: Receiving, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a jump of a year every secret looked expired and every bucket empty."""
    path = receiver.shop(tenant)
    jumped = time.time() + 365 * 86_400
    for moment in (jumped, 0.0):
        monkeypatch.setattr(time, "time", lambda now=moment: now)
        assert receiver.order(path, delivery=f"d{moment}").status_code == 200
    assert len(kept(tenant)) == 2
