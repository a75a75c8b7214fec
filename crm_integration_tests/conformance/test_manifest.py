"""A manifest says what is true of its connector, its emulator and the payloads that come."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from crm_integration.canonical.entities import ENTITIES
from crm_integration.errors import BadInput
from crm_integration.sandbox.shop_kinds import SHOP_KINDS
from crm_integration.stores._contract import StoreAccess, Window
from crm_integration.stores._registry import platforms
from crm_integration_tests.conformance.conftest import Furnished
from crm_integration_tests.conformance.street import EmulatedStore


def test_every_connector_has_an_emulator_and_every_emulator_a_connector() -> None:
    """The suite below is only as good as this pairing."""
    assert set(platforms()) == set(SHOP_KINDS)


def test_no_store_has_a_test_file_of_its_own_here() -> None:
    """A new store is tested without a line written here; what is peculiar to one platform
    belongs into `crm_integration_tests/stores/<platform>`."""
    here = Path(__file__).parent
    names = [path.name for path in here.glob("*.py")]
    assert not [name for name in names if any(one in name for one in SHOP_KINDS)]


def test_a_connector_keeps_the_contract(store: EmulatedStore) -> None:
    """A missing function would fail in the middle of the first run."""
    found = store.connector
    hooks = found.webhook
    functions = (
        hooks.subscriptions,
        hooks.subscribe,
        hooks.revive,
        hooks.unsubscribe,
        found.extract.check,
        found.extract.pages,
        found.extract.fetch,
        found.canonical.to_canonical,
        found.webhook.read_delivery,
    )
    assert all(callable(function) for function in functions)


def test_parents_come_before_what_needs_them(store: EmulatedStore) -> None:
    """A refund that is read before its order has no currency."""
    manifest = store.connector.manifest
    types = manifest.object_types
    assert len(set(types)) == len(types)
    for child, parent in manifest.parents.items():
        assert types.index(parent) < types.index(child)


def test_a_manifest_names_only_what_there_is(store: EmulatedStore) -> None:
    manifest = store.connector.manifest
    types = set(manifest.object_types)
    assert set(manifest.swept) <= types
    assert set(manifest.counted) <= types - set(manifest.swept)
    assert set(manifest.dear) <= types - set(manifest.swept)
    assert {one.object_type for one in manifest.topics.values()} <= types
    assert manifest.yields.keys() <= types
    assert manifest.required_paths.keys() <= types
    for object_type in types:
        assert set(manifest.entities_of(object_type)) <= ENTITIES.keys()
    assert manifest.metered_secret in (None, *manifest.secrets)
    assert all(one.calls > 0 and one.seconds > 0 for one in manifest.budgets.values())


def test_a_type_that_claims_to_be_counted_states_a_number(store: EmulatedStore) -> None:
    """A cursor passes by this number: one that is missing would be taken for nothing."""
    for object_type in store.connector.manifest.counted:
        pages = store.listed(object_type, Window(date(1999, 1, 1), date(1999, 1, 2))).pages
        assert [page.listed for page in pages] == [0]


def test_a_connector_asks_for_the_secrets_that_open_its_emulator(store: EmulatedStore) -> None:
    assert set(store.connector.manifest.secrets) == store.secrets.keys()


def test_a_missing_secret_is_named_before_any_call(store: EmulatedStore) -> None:
    """`401` an hour later does not tell the merchant which of two fields was left empty."""
    secrets = store.secrets
    for name in secrets:
        for left in ({**secrets, name: ""}, {k: v for k, v in secrets.items() if k != name}):
            with pytest.raises(BadInput, match=name):
                store.connector.open(store.access(secrets=left))
    assert store.calls.count == 0


def test_plain_http_off_loopback_is_refused_before_any_call(store: EmulatedStore) -> None:
    """Credentials in the clear, because an address was typed without its s."""
    with pytest.raises(BadInput, match="https"):
        store.connector.open(StoreAccess("http://shop.example.com", store.secrets))


def test_a_type_that_the_platform_has_not_is_refused(store: EmulatedStore) -> None:
    with pytest.raises(BadInput, match="no_such_type"):
        store.listed("no_such_type")


def test_required_paths_are_there_and_keep_their_type(
    furnished: Furnished, object_type: str
) -> None:
    """Drift is told by these paths: one that comes and goes by itself would hold the tenant's
    writes for nothing."""
    store = furnished.store
    payloads = [store.decoded(item) for item in furnished.listed(object_type).newest.values()]
    for path in store.connector.manifest.required_paths.get(object_type, ()):
        kinds = {_kind(value) for payload in payloads for value in _values(payload, path)}
        assert kinds - {"null"}, f"{path} holds nothing in any payload"
        assert "missing" not in kinds, f"{path} is missing in some payloads"
        assert len(kinds - {"null"}) == 1, f"{path} is {sorted(kinds)}"


def _values(payload: Any, path: str) -> Iterator[Any]:
    """What lies at `a.b[].c`; nothing below a null or an empty list, Ellipsis where it lacks."""
    name, _, rest = path.partition(".")
    key = name.removesuffix("[]")
    inner = payload.get(key, ...) if isinstance(payload, dict) else ...
    if inner is ... or inner is None:
        yield inner
        return
    for one in inner if name.endswith("[]") else [inner]:
        if rest:
            yield from _values(one, rest)
        else:
            yield one


def _kind(value: Any) -> str:
    if value is ...:
        return "missing"
    return {"NoneType": "null", "int": "number", "float": "number"}.get(
        type(value).__name__, type(value).__name__
    )


def test_a_decoded_payload_is_what_was_kept(furnished: Furnished, object_type: str) -> None:
    """Where a listing has the manifest's own form, nothing lies between bytes and reading."""
    store = furnished.store
    for item in furnished.listed(object_type).objects[:5]:
        if item.shape in ("", store.connector.manifest.shape):
            assert store.decoded(item) == json.loads(item.payload)
