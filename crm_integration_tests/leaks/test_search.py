"""The search finds what is planted in each form, and nothing in noise: it can fail."""

from __future__ import annotations

import gzip
import random
import time
import zlib
from collections.abc import Callable

import pytest

from crm_integration_tests.leaks.needles import Needle
from crm_integration_tests.leaks.planted import EMAIL, FORMS, NEEDLES, STREET
from crm_integration_tests.leaks.search import search_for


def _noise(size: int, seed: int = 1) -> bytes:
    return random.Random(seed).randbytes(size)


def _hex_bytea(value: bytes) -> bytes:
    return (
        b"COPY public.customers (id, sealed) FROM stdin;\n7\t\\\\x" + value.hex().encode() + b"\n"
    )


def _escaped_bytea(value: bytes) -> bytes:
    """As COPY writes bytea_output = escape: octal for what is not ASCII, backslashes doubled."""
    shown = (chr(one) if 32 <= one < 127 and one != 92 else f"\\\\{one:03o}" for one in value)
    return "".join(shown).encode()


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("needle", NEEDLES, ids=lambda needle: needle.kind)
def test_a_planted_text_is_found_in_every_form(form: str, needle: Needle) -> None:
    """A search that knows one form too few passes for ever, whatever leaks."""
    planted = _noise(5_000) + b" " + FORMS[form](needle.text) + b" " + _noise(5_000, 2)
    assert needle.kind in {hit.needle_kind for hit in search_for(NEEDLES, [planted])}


@pytest.mark.parametrize("form", FORMS)
def test_a_planted_text_is_found_inside_a_dumped_bytea(form: str) -> None:
    """pg_dump writes bytea as hex: the same forms must be seen through it."""
    dumped = _hex_bytea(b"{..." + FORMS[form](EMAIL.text) + b"...}")
    hits = [hit for hit in search_for(NEEDLES, [dumped]) if hit.encoding.endswith(" in bytea")]
    assert {hit.needle_kind for hit in hits} == {"e-mail"}
    assert {hit.where for hit in hits} == {"bytes 0, table public.customers"}


@pytest.mark.parametrize("compress", [zlib.compress, gzip.compress])
def test_a_compressed_text_in_a_bytea_is_found(compress: Callable[[bytes], bytes]) -> None:
    """Payloads shrunk before they are kept would hide from every other form."""
    dumped = _hex_bytea(compress(b"name: " + EMAIL.text.encode() * 3))
    assert {hit.encoding for hit in search_for([EMAIL], [dumped])} == {"plain in bytea"}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le"])
def test_a_bytea_in_escape_form_is_decoded(encoding: str) -> None:
    """Octal escapes break a text apart at each letter that is not ASCII."""
    dumped = _escaped_bytea(STREET.text.encode(encoding))
    assert search_for([STREET], [b"\t" + dumped + b"\n"])


def test_an_encoding_is_named_for_what_was_seen() -> None:
    """A hit says how the text stood there and where, never the text itself."""
    (hit,) = search_for([EMAIL], [b"x=" + EMAIL.text.encode()])
    assert (hit.needle_kind, hit.encoding, hit.where) == ("e-mail", "plain", "bytes 0")
    (hit,) = search_for([EMAIL], [b"x=" + EMAIL.text.lower().encode()])
    assert hit.encoding == "case-folded"
    assert EMAIL.text not in repr((hit, EMAIL))


def test_a_text_across_two_chunks_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The seam between two pieces of a large file is where a search goes blind."""
    monkeypatch.setattr("crm_integration_tests.leaks.search._CHUNK", 64)
    for offset in range(64):
        assert search_for([EMAIL], [b"." * offset + EMAIL.text.encode() + b"." * 100])


def test_a_dump_read_in_blocks_keeps_its_rows_whole_and_knows_their_table(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A dump of gigabytes is never in memory at once; a row on a seam must not be lost."""
    monkeypatch.setattr("crm_integration_tests.leaks.bytea.BLOCK", 50)
    row = b"8\t\\\\x" + EMAIL.text.encode().hex().encode() + b"\n"
    hits = search_for([EMAIL], [_hex_bytea(_noise(20)) * 3 + row * 9])
    assert {(hit.encoding, hit.where) for hit in hits} == {
        ("plain in bytea", "bytes 0, table public.customers"),
        ("hex", "bytes 0, table public.customers"),
    }


def test_nothing_is_found_in_noise() -> None:
    """Ciphertext, as bytes and as a dump shows it; and a phone's digits inside hex text."""
    phone = Needle("phone", "01134960123")
    sealed = _hex_bytea(_noise(1_000_000))
    assert search_for([*NEEDLES, phone], [_noise(1_000_000), sealed, b"\\xa01134960123f"]) == []
    assert search_for([phone], [b"\t01134960123\n"])


def test_a_needle_found_anywhere_is_refused() -> None:
    """Two letters stand in every dump: such a needle would make the search worthless."""
    with pytest.raises(ValueError, match="fewer than 8 bytes"):
        Needle("name", "Li")


def test_ten_thousand_needles_in_a_large_dump_take_seconds() -> None:
    """A search that takes an hour is not run."""
    needles = [Needle("e-mail", f"person.number{n}@example.org") for n in range(10_000)]
    haystack = _hex_bytea(_noise(8_000_000)) + needles[9_876].text.encode()
    started = time.monotonic()
    hits = search_for(needles, [haystack])
    assert {hit.number for hit in hits} == {9_876}
    assert time.monotonic() - started < 30
