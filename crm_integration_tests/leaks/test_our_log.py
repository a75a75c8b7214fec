"""What our own process logs while it works: no person and no key, whichever library speaks.

Prevents the leak nobody wrote: an HTTP library that logs every address it calls writes down the
keys and e-mails that stand in queries.
"""

from __future__ import annotations

import logging
import os

import pytest

from crm_integration.storage.schema import migrate
from crm_integration.storage.sealing import MasterKey
from crm_integration.storage.urls import DatabaseUrls
from crm_integration_tests.leaks.search import search_for
from crm_integration_tests.leaks.small_path import small_path


def test_our_own_log_names_nobody_and_no_key(
    urls: DatabaseUrls, caplog: pytest.LogCaptureFixture
) -> None:
    """At INFO, as Dagster and most set-ups have it: the shop's key stood in each signed address."""
    migrate(urls.owner)
    with caplog.at_level(logging.INFO):
        needles = small_path(urls, tenant="aurora", master=MasterKey(os.urandom(32)))
    assert {hit.needle_kind for hit in search_for(needles, [caplog.text.encode()])} == set()
