"""After a whole sync neither dumps nor log show a person or a key; unsealed, the search finds all.

The second half is what makes the first one worth anything: the same way, the same search, only
with sealing switched off.
"""

from __future__ import annotations

import os
import uuid
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from crm_integration.storage.embedded import EmbeddedServer
from crm_integration.storage.engine import dispose_engines
from crm_integration.storage.roles import drop_databases, ensure_databases
from crm_integration.storage.schema import migrate
from crm_integration.storage.sealing import MasterKey, TenantKeys
from crm_integration.storage.urls import embedded_urls
from crm_integration.stores._registry import platforms
from crm_integration_tests.leaks.dumps import haystacks
from crm_integration_tests.leaks.needles import Needle
from crm_integration_tests.leaks.search import Hit, search_for
from crm_integration_tests.leaks.small_path import small_path


@pytest.fixture
def prefix(server: EmbeddedServer) -> Iterator[str]:
    """Fresh databases for each test: one of them is filled with open personal data."""
    name = f"t_{uuid.uuid4().hex[:12]}"
    ensure_databases(server, name)
    yield name
    dispose_engines()
    drop_databases(server, name)


def _synced_and_searched(
    server: EmbeddedServer, prefix: str, folder: Path, platform: str = "woocommerce"
) -> tuple[list[Needle], list[Hit]]:
    urls = embedded_urls(server, prefix)
    migrate(urls.owner)
    master = MasterKey(os.urandom(32))
    needles = small_path(urls, tenant="aurora", master=master, platform=platform)
    return needles, search_for(needles, haystacks(server, prefix, folder))


@pytest.mark.parametrize("platform", platforms())
def test_nothing_of_anyone_lies_open_after_a_sync(
    server: EmbeddedServer, prefix: str, tmp_path: Path, platform: str
) -> None:
    """A stolen backup, or a log sent to support, must be worth nothing."""
    needles, hits = _synced_and_searched(server, prefix, tmp_path, platform)
    assert sum(needle.kind == "e-mail" for needle in needles) > 100
    assert hits == []


def test_with_sealing_switched_off_the_search_finds_everyone(
    server: EmbeddedServer, prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Were the search blind, the first test would pass on a database full of open names."""

    def seal(_: TenantKeys, table: str, row: str, plain: bytes) -> bytes:
        return plain

    def opened(_: TenantKeys, table: str, row: str, sealed: bytes) -> bytes:
        return sealed

    monkeypatch.setattr(TenantKeys, "seal", seal)
    monkeypatch.setattr(TenantKeys, "open", opened)
    needles, hits = _synced_and_searched(server, prefix, tmp_path)
    found = {hit.number for hit in hits}
    missed = Counter(one.kind for number, one in enumerate(needles) if number not in found)
    assert missed["e-mail"] == missed["street"] == missed["token"] == 0
    # Only what sales wrote on the pair that stands there twice is never read, nor kept.
    assert missed["name"] <= 2
    assert missed["phone"] <= 2
    assert {"plain in bytea", "case-folded in bytea", "hex"} <= {hit.encoding for hit in hits}
