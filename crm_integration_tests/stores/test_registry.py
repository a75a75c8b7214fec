"""Connectors are found by their folders."""

from __future__ import annotations

import pytest

from crm_integration.errors import BadInput
from crm_integration.stores._contract import StoreAccess
from crm_integration.stores._registry import connector, platforms


@pytest.mark.parametrize("platform", platforms())
def test_every_store_folder_keeps_the_contract(platform: str) -> None:
    """A connector with a missing function would fail in the middle of its first run."""
    found = connector(platform)
    assert found.manifest.platform == platform
    functions = (
        found.extract.check,
        found.extract.pages,
        found.extract.fetch,
        found.canonical.to_canonical,
        found.webhook.read_delivery,
    )
    assert all(callable(function) for function in functions)
    types = found.manifest.object_types
    assert set(found.manifest.swept) <= set(types)
    for child, parent in found.manifest.parents.items():
        assert types.index(parent) < types.index(child)


@pytest.mark.parametrize("platform", platforms())
def test_every_secret_of_the_manifest_is_needed_to_open(platform: str) -> None:
    found = connector(platform)
    secrets = dict.fromkeys(found.manifest.secrets, "invented")
    found.open(StoreAccess("https://shop.example.com", secrets)).close()
    for name in secrets:
        with pytest.raises(BadInput, match=name):
            found.open(StoreAccess("https://shop.example.com", {**secrets, name: ""}))


def test_an_unknown_platform_is_refused_with_the_known_ones() -> None:
    with pytest.raises(BadInput, match="woocommerce"):
        connector("nosuchshop")
