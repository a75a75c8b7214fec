"""Compressed bodies open to what was compressed, within bounds, or not at all."""

from __future__ import annotations

import gzip
import zlib

import pytest

from crm_integration.intake.content_coding import (
    BrokenCoding,
    TooLargeOpened,
    UnknownCoding,
    opened,
)

BODY = b'{"id": 7}' * 100


@pytest.mark.parametrize(
    ("coding", "sent"),
    [
        ("", BODY),
        ("identity", BODY),
        ("gzip", gzip.compress(BODY)),
        (" GZIP ", gzip.compress(BODY)),
        ("x-gzip", gzip.compress(BODY)),
        ("deflate", zlib.compress(BODY)),
    ],
)
def test_the_bytes_are_those_that_were_compressed(coding: str, sent: bytes) -> None:
    assert opened({"content-encoding": coding}, sent, limit=len(BODY)) == BODY


@pytest.mark.parametrize("coding", ["", "gzip", "deflate"])
def test_one_byte_more_than_allowed_is_too_much(coding: str) -> None:
    pack = {"": bytes, "gzip": gzip.compress, "deflate": zlib.compress}[coding]
    with pytest.raises(TooLargeOpened):
        opened({"content-encoding": coding}, pack(BODY), limit=len(BODY) - 1)


@pytest.mark.parametrize("coding", ["br", "zstd", "gzip, gzip", "gzip,deflate", "no such thing"])
def test_what_cannot_be_opened_is_named(coding: str) -> None:
    with pytest.raises(UnknownCoding):
        opened({"content-encoding": coding}, BODY, limit=10_000)


@pytest.mark.parametrize(
    "sent", [b"", BODY, gzip.compress(BODY)[:-1], gzip.compress(BODY) + b"x",
             gzip.compress(BODY) * 2, gzip.compress(BODY)[:-6] + b"\0" * 6],
)  # fmt: skip
def test_half_a_stream_and_more_than_one_are_broken(sent: bytes) -> None:
    """Half an order passed for a whole one; and behind a first stream lay a second, unseen."""
    with pytest.raises(BrokenCoding):
        opened({"content-encoding": "gzip"}, sent, limit=10_000)
