"""Payloads nobody promised: each is read or refused with a reason, whatever it holds."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crm_integration.stores._contract import JsonObject, Unreadable
from crm_integration_tests.conformance.conftest import Furnished
from crm_integration_tests.conformance.street import EmulatedStore

CANARY = "do-not-repeat-me"
STRANGE: tuple[Any, ...] = (
    None, "", CANARY, -1, 1.5, 10**30, True, [], {}, [CANARY], {"a": CANARY}, [[]], "9999-99-99",
    "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "NaN", "1e999", float("nan"), float("inf"),
    "\ud800", "a\0b", "x" * 5_000, "-0.005",
)  # fmt: skip
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
    | st.sampled_from(STRANGE),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner,
                                                                max_size=4),
    max_leaves=12,
)  # fmt: skip
QUICK = settings(
    max_examples=60, deadline=None, database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip
Path = tuple[str | int, ...]


@pytest.fixture
def sample(furnished: Furnished, object_type: str) -> tuple[JsonObject, JsonObject | None]:
    """A real payload of the type (the richest below 20,000 bytes), and its parent."""
    listed = furnished.listed(object_type).newest.values()
    item = max((one for one in listed if len(one.payload) < 20_000), key=lambda o: len(o.payload))
    parent_type = furnished.store.connector.manifest.parents.get(object_type)
    parents = furnished.listed(parent_type).newest if parent_type else {}
    return furnished.store.decoded(item), furnished.store.parent(item, parents)


def read(store: EmulatedStore, object_type: str, payload: Any, parent: Any) -> None:
    """Reads it or is refused with a reason and an advice that repeats no value."""
    try:
        found = list(
            store.connector.canonical.to_canonical(object_type, payload, parent, store.context)
        )
    except Unreadable as error:
        assert error.reason
        assert error.reason.isascii()
        assert error.fix
        assert CANARY not in str(error)
    else:
        for one in found:
            one.model_dump_json()


def paths(value: Any, at: Path = ()) -> Iterator[Path]:
    """Every place in a document; of a list the first two elements."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield (*at, key)
            yield from paths(inner, (*at, key))
    elif isinstance(value, list):
        for position, inner in enumerate(value[:2]):
            yield (*at, position)
            yield from paths(inner, (*at, position))


def changed(document: JsonObject, path: Path, value: Any = KeyError) -> JsonObject:
    """A copy with this place holding something else; KeyError: dropped."""
    made = copy.copy(document)
    holder: Any = made
    for part in path[:-1]:
        holder[part] = copy.copy(holder[part])
        holder = holder[part]
    if value is KeyError:
        del holder[path[-1]]
    else:
        holder[path[-1]] = value
    return made


def test_any_key_may_be_missing_or_of_another_type(
    furnished: Furnished, object_type: str, sample: tuple[JsonObject, JsonObject | None]
) -> None:
    """Vendors drop and retype fields without notice: a KeyError would end the whole run."""
    payload, parent = sample
    for path in paths(payload):
        for value in (KeyError, *STRANGE):
            read(furnished.store, object_type, changed(payload, path, value), parent)


def test_a_parent_may_be_as_broken(
    furnished: Furnished, object_type: str, sample: tuple[JsonObject, JsonObject | None]
) -> None:
    payload, parent = sample
    read(furnished.store, object_type, payload, None)
    for path in paths(parent or {}):
        for value in (KeyError, None, CANARY, 5, []):
            read(furnished.store, object_type, payload, changed(parent or {}, path, value))


@QUICK
@given(payload=st.dictionaries(st.text(max_size=10), JSON, max_size=6))
def test_an_object_of_anything_is_refused(
    furnished: Furnished, object_type: str, payload: JsonObject
) -> None:
    read(furnished.store, object_type, payload, None)
    read(furnished.store, object_type, payload, payload)


@QUICK
@given(data=st.data())
def test_a_payload_broken_in_several_places_is_read_or_refused(
    furnished: Furnished,
    object_type: str,
    sample: tuple[JsonObject, JsonObject | None],
    data: st.DataObject,
) -> None:
    payload, parent = sample
    for _ in range(data.draw(st.integers(1, 4))):
        path = data.draw(st.sampled_from(list(paths(payload))))
        payload = changed(payload, path, data.draw(st.just(KeyError) | JSON))
    read(furnished.store, object_type, payload, parent)


def test_a_type_that_the_platform_has_not_is_refused(furnished: Furnished) -> None:
    read_one = furnished.store.connector.canonical.to_canonical
    with pytest.raises(Unreadable):
        list(read_one("no_such_type", {"id": 1}, None, furnished.store.context))


_HEADERS = (
    "x-wc-webhook-topic", "x-wc-webhook-delivery-id", "x-shopify-topic", "x-shopify-webhook-id",
    "x-shopify-shop-domain", "x-shopify-triggered-at", "x-webhook-entity", "x-webhook-action",
    "content-type",
)  # fmt: skip
_TOPICS = (
    "order.updated",
    "customer.deleted",
    "orders/updated",
    "refunds/create",
    "customers/redact",
    "order.add",
    "no-dot",
    "",
    "order",
    "a/b/c",
    "action.woocommerce_payment_complete",
)
"""Names that stores really use, so that garbage gets past the first look of some of them."""


@settings(QUICK, max_examples=300)
@given(
    headers=st.dictionaries(
        st.sampled_from(_HEADERS), st.sampled_from(_TOPICS) | st.text(max_size=12), max_size=5
    ),
    body=st.binary(max_size=40) | JSON.map(lambda value: json.dumps(value).encode()),
)
def test_a_delivery_of_anything_is_read_or_refused(
    store: EmulatedStore, headers: dict[str, str], body: bytes
) -> None:
    """Anybody may post to a webhook's address; one delivery must not stop the drain."""
    try:
        found = store.connector.webhook.read_delivery(headers, body)
    except Unreadable as error:
        assert error.reason
    else:
        known = {None, *store.connector.manifest.object_types}
        assert found.object_type in known


@pytest.mark.parametrize("body", [b"[" * 100_000, b'{"a":' * 100_000, b"9" * 100_000], ids=len)
def test_a_delivery_nested_beyond_reading_is_refused(store: EmulatedStore, body: bytes) -> None:
    """A body of brackets costs the sender nothing and must cost us nothing but a refusal."""
    for topic in _TOPICS:
        headers = dict.fromkeys(_HEADERS, topic)
        try:
            store.connector.webhook.read_delivery(headers, body)
        except Unreadable as error:
            assert error.reason
