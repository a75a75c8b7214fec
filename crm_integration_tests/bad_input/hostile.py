"""Hostile texts: a small selection of our own that always runs, and the published corpora.

The corpora lie in `../shared/data/corpora` (SOURCES.md names origin and licence of each) and are
read in place.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from importlib import import_module
from pathlib import Path
from typing import Any, cast

import pytest

from crm_integration_tests.shared_data import SHARED

LONG = 64 * 1024
"""What a text column of MySQL holds, so what a shop can really send."""

TEXTS: tuple[str, ...] = (
    "", " ", "\t\r\n", "\u00a0\u2003\u3000", "\u200b\u200d\ufeff", "null", "undefined", "NaN",
    "nul\0in the middle", "\0", "lone \ud83d half", "\udc00", "\ud83d\udc4d joined halves",
    "\u202egnp.exe\u202c", "مرحبا بالعالم", "Z\u0351\u036b\u0343\u0305a\u0334l\u0337g\u0336o",
    "👩‍👩‍👧‍👦🏳️‍🌈", "ﷺ", "\ufffe\uffff", "\U0010ffff", "\x1b[31mred\x07\x7f\x85",
    "Robert'); DROP TABLE orders;--", "' OR '1'='1", "\\'; \\N \\. \\x00", "$$ $1 %(name)s :name",
    "<script>alert(1)</script>", "<!--#exec cmd=\"ls\"-->", "&lt;&#x3c;&amp;", "]]>",
    "%s%n%d", "{0.__class__}", "{{7*7}}", "${jndi:ldap://example.com/a}", "`id`", "$(id)",
    "=1+1", "@SUM(1)", "+44", "-1", "!!python/object:x", "- a: &a [*a]", "y: {", "2026-01-31",
    "../../etc/passwd", "http://example.com/a?b=c", "a@example.com", "a@b@c@example.com",
    "\"a b\"@example.com", "ä@exämple.com", "1e999", "-0", "0x10", "1,234.50", "١٢٣",
    "x" * LONG, "日本語" * 500, "🙂" * 16_384, "a\n" * 400,
)  # fmt: skip
"""Of every kind that has ever broken a reader, a database, a template or a spreadsheet."""


def naughty() -> list[str]:
    """minimaxir/big-list-of-naughty-strings."""
    return list(json.loads(_corpus("blns.json").read_text("utf-8")))


def emails() -> list[str]:
    """The RFC cases of isemail and those of python-email-validator, a lone surrogate among them."""
    tests: Any = json.loads(_corpus("emails_email_validator_tests.json").read_text("utf-8"))
    return [*_column("emails_isemail.parquet", "address"), *_strings(tests)]


def names() -> list[str]:
    """Real, messy names of people and companies."""
    return _column("names_labelled.parquet", "text")


def addresses() -> list[str]:
    """Real, messy addresses of the United States and of most countries."""
    components = _column("world_addresses_testcases.parquet", "components_json")
    parts = {part for one in components for part in _strings(json.loads(one))}
    return [*_column("us_addresses_labelled.parquet", "text"), *sorted(parts)]


def _corpus(name: str) -> Path:
    if SHARED is None or not (SHARED / "data" / "corpora" / name).is_file():
        pytest.skip(f"the corpus {name} is not beside this checkout (../shared/data/corpora)")
    return SHARED / "data" / "corpora" / name


def _column(name: str, column: str) -> list[str]:
    parquet: Any = import_module("pyarrow.parquet")  # it has no types
    return [str(one) for one in parquet.read_table(_corpus(name))[column].to_pylist()]


def _strings(value: Any) -> list[str]:
    """All texts in a JSON value."""
    if isinstance(value, str):
        return [value]
    inner: Iterable[Any] = ()
    if isinstance(value, dict):
        inner = cast(dict[str, Any], value).values()
    elif isinstance(value, list):
        inner = cast(list[Any], value)
    return [text for one in inner for text in _strings(one)]
