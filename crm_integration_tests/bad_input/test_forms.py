"""Payloads of a form nobody expects: deep, wide, doubled, in other bytes than UTF-8."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

from crm_integration_tests.bad_input.accounting import settled
from crm_integration_tests.bad_input.measuring import measured
from crm_integration_tests.bad_input.samples import Sample, encoded, renumbered
from crm_integration_tests.house import Tenant

Samples = tuple[Sample, ...]
Broken = Callable[[bytes], bytes]
DEEP = 10_000


def _with(inner: bytes) -> Broken:
    """The payload with one more member at its end."""
    return lambda body: body.rstrip()[:-1] + b', "zz_more": ' + inner + b"}"


def _first(inner: bytes) -> Broken:
    """The payload with one more member at its beginning."""
    return lambda body: b"{" + inner + b", " + body.lstrip()[1:]


_BODIES: dict[str, Broken] = {
    "empty": lambda body: b"",
    "white space": lambda body: b" \r\n\t",
    "null": lambda body: b"null",
    "a text": lambda body: b'"{}"',
    "a number": lambda body: b"9" * 100_000,
    "a list": lambda body: b"[" + body + b"]",
    "an empty object": lambda body: b"{}",
    "cut in half": lambda body: body[: len(body) // 2],
    "two objects": lambda body: body + body,
    "a web page": lambda body: b"<!doctype html><title>Maintenance</title>",
    "php's warning before it": lambda body: b"<br /><b>Warning</b>: " + body,
    "a list of brackets": lambda body: b"[" * DEEP + b"]" * DEEP,
    "an object of objects": lambda body: b'{"a":' * DEEP + b"1" + b"}" * DEEP,
    "never closed": lambda body: b'{"a":' * DEEP,
    "gzip": gzip.compress,
    "utf-16": lambda body: body.decode().encode("utf-16"),
    "utf-32": lambda body: body.decode().encode("utf-32"),
    "nul bytes": lambda body: b"\0" * 64,
    "random": lambda body: bytes(range(256)) * 8,
}
"""Of these nothing can be made."""

_ODD: dict[str, Broken] = {
    "byte order mark": lambda body: b"\xef\xbb\xbf" + body,
    "brackets in one field": _with(b"[" * DEEP + b"]" * DEEP),
    "objects in one field": _with(b'{"a":' * DEEP + b"1" + b"}" * DEEP),
    "a number of 100,000 digits": _with(b"1" * 100_000),
    "100,000 keys": _with(b"{" + b",".join(b'"k%d":%d' % (n, n) for n in range(100_000)) + b"}"),
    "100,000 keys at the top": lambda body: _first(
        b",".join(b'"k%d":%d' % (n, n) for n in range(100_000))
    )(body),
    "the same key 1,000 times": _first(b",".join(b'"email": "%d"' % n for n in range(1_000))),
    "the id twice": _first(b'"id": "another"'),
    "a key with NUL": _with(b'{"a\\u0000b": 1, "\\u0000": {"\\u0000": 2}}'),
    "a key of half a pair": _with(b'{"\\ud83d": {"\\udc00": 1}}'),
    "an empty key": _with(b'{"": {"": ""}}'),
    "a key of 64 kB": _with(b'{"' + b"k" * 65_536 + b'": 1}'),
    "constructor keys": _with(b'{"__proto__": {"a": 1}, "__class__": "x", "$ref": "#"}'),
    "invalid utf-8": _with(b'"\xff\xfe\xc3\x28"'),
    "overlong utf-8": _with(b'"\xc0\xaf\xe0\x80\xaf"'),
    "surrogates in utf-8": _with(b'"\xed\xa0\xbd"'),
    "latin-1": _with("Zoë".encode("latin-1").join([b'"', b'"'])),
    "control characters": _with(b'"a\tb\x01\x1b"'),
    "NaN and Infinity": _with(b"[NaN, Infinity, -Infinity]"),
    "a comma too many": lambda body: body.rstrip()[:-1] + b",}",
    "a comment": lambda body: b"/* made by a plugin */" + body,
    "white space of a megabyte": lambda body: b" " * 1_000_000 + body,
}
"""Of these some are read and some are refused."""


def _copies(samples: Samples, spoil: Broken, number: int) -> list[Any]:
    made: list[Any] = []
    for position, sample in enumerate(samples):
        own = number * 100 + position + 1
        if sample.parent is not None:
            made += sample.parent.copy(own)
        body = encoded(renumbered(sample.document, own))
        made.append(sample.as_sent(own, spoil(body)))
    return made


def test_bodies_nothing_can_be_made_of(tenant: Tenant, samples: Samples) -> None:
    """One of them in a batch of 500: it alone is kept back, the batch goes on."""
    batch = [
        one
        for number, spoil in enumerate(_BODIES.values(), start=1)
        for one in _copies(samples, spoil, number)
    ]
    batch += [one for n, sample in enumerate(samples) for one in sample.copy(900_000 + n)]
    with measured() as cost:
        account = settled(tenant, batch)
    whole = sum(2 if sample.parent else 1 for sample in samples)
    parents = sum(1 for sample in samples if sample.parent) * len(_BODIES)
    assert account.outcomes["quarantined"] == len(samples) * len(_BODIES)
    assert account.outcomes["applied"] == whole + parents
    assert account.states["order", "synced"] >= 1
    assert cost.mb < 300


def test_lists_that_say_everything_twice(tenant: Tenant, samples: Samples) -> None:
    """A join in a shop's own query: each refund stood twice in its order, one statement was to
    write one row twice, and the whole batch was lost at every try."""
    batch: list[Any] = []
    for number, sample in enumerate(samples, start=1):
        *before, one = sample.copy(number)
        document = _doubled(renumbered(sample.document, number))
        batch += [*before, replace(one, payload=encoded(document))]
    account = settled(tenant, batch)
    assert account.outcomes["applied"] >= len(batch) // 2
    assert tenant.value("select count(*) from refunds") >= 1


def _doubled(value: Any) -> Any:
    """The same with every object of a list in it twice."""
    if isinstance(value, dict):
        members = cast(dict[str, Any], value)
        return {name: _doubled(inner) for name, inner in members.items()}
    if isinstance(value, list):
        rows = [_doubled(inner) for inner in cast(list[Any], value)]
        return rows + [row for row in rows if isinstance(row, dict) and "__parentId" not in row]
    return value


def test_odd_bodies(tenant: Tenant, samples: Samples) -> None:
    """Deep, wide, doubled, half broken: read or kept back, and the good one beside them read."""
    batch = [
        one
        for number, spoil in enumerate(_ODD.values(), start=1)
        for one in _copies(samples, spoil, number)
    ]
    with measured() as cost:
        account = settled(tenant, batch)
    assert account.outcomes["applied"] >= len(samples) * 10
    assert cost.mb < 600
