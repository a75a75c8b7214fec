"""The CRMs are found by their folders."""

from __future__ import annotations

from importlib import import_module

import pytest

from crm_integration.crms._contract import CrmAccess
from crm_integration.crms._registry import crm_connector, crms
from crm_integration.errors import BadInput


def test_every_crm_folder_is_found_and_its_manifest_is_whole():
    """A connector whose manifest has a typo must fail here and not in a merchant's first run."""
    assert "hubspot" in crms()
    for crm in crms():
        manifest = crm_connector(crm).manifest
        assert manifest.crm == crm
        assert "all" in manifest.budgets
        assert all(0 < found.batch <= 1000 for found in manifest.objects.values())


def test_every_crm_opens_an_adapter_that_keeps_the_contract():
    """The engine calls these names and no others."""
    offered = {"account_id", "prepare", "read", "find_by_key", "find_by_match", "write"}
    for crm in crms():
        connector = crm_connector(crm)
        secrets = dict.fromkeys(connector.manifest.secrets, "invented")
        access = CrmAccess("http://127.0.0.1:9", secrets)
        adapter = connector.open(access, lambda _endpoint: None)
        assert all(callable(getattr(adapter, name)) for name in (*offered, "associate"))
        assert callable(connector.describe.describe)
        adapter.close()


def test_an_adapter_has_what_its_manifest_offers_and_nothing_it_hides():
    """An adapter that could archive and did not say so left every merged contact in its CRM."""
    methods = {
        "archive": "archive",
        "changes": "changed_since",
        "dissociate": "dissociate",
        "keyed": "keyed",
    }
    for crm in crms():
        manifest = crm_connector(crm).manifest
        adapter = import_module(f"crm_integration.crms.{crm}.adapter").Adapter
        there = {offer for offer, method in methods.items() if hasattr(adapter, method)}
        assert there == set(manifest.offers)
        assert ("changes" in there) == (manifest.changes_lag_seconds > 0)


def test_an_unknown_crm_is_refused_with_the_ones_there_are():
    """A tenant file said `hubsopt`; the message must say what would have been right."""
    with pytest.raises(BadInput, match="hubsopt.*hubspot"):
        crm_connector("hubsopt")


def test_hubspot_keeps_the_secret_out_of_sight():
    """Access objects end up in logs of failed runs."""
    access = CrmAccess("https://api.hubapi.com", {"access_token": "pat-invented"})
    assert "pat-invented" not in repr(access)
