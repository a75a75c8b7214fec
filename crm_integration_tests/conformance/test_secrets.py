"""No credential in any text that is kept: representations, logs, messages."""

from __future__ import annotations

import logging
from collections.abc import Callable

import pytest

from crm_integration.errors import CrmIntegrationError
from crm_integration.sandbox.faults import FaultRule
from crm_integration.stores._contract import Client, Page
from crm_integration_tests.conformance.books import NOON, plant
from crm_integration_tests.conformance.street import CUT, EmulatedStore

Trouble = Callable[[EmulatedStore], None]


def _status(status: int) -> Trouble:
    return lambda store: store.follow(FaultRule("status", status=status, count=0))


def _body(body: bytes | None) -> Trouble:
    def spoil(store: EmulatedStore) -> None:
        store.traffic.spoil = lambda number, sent: body

    return spoil


TROUBLES: tuple[Trouble, ...] = (
    lambda store: None,
    *map(_status, (400, 401, 403, 404, 429, 500)),
    *map(_body, (b"", b"{}", b"<html>", CUT)),
    lambda store: store.follow(FaultRule("cut", count=0)),
)


def _texts(error: BaseException | None) -> list[str]:
    """An error's texts and those of what led to it, as a traceback would show them."""
    found: list[str] = []
    while error is not None:
        found += [str(error), repr(error)]
        error = error.__cause__ or error.__context__
    return found


def _calls(store: EmulatedStore, client: Client) -> list[Callable[[], object]]:
    extract, object_type = store.connector.extract, store.connector.manifest.object_types[-1]

    def listed() -> list[Page]:
        return list(extract.pages(client, object_type, None, None))

    return [lambda: extract.check(client), listed,
            lambda: list(extract.fetch(client, object_type, ["1", "2"]))]  # fmt: skip


@pytest.mark.parametrize("trouble", TROUBLES, ids=range(len(TROUBLES)))
def test_no_secret_is_told_whatever_happens(
    store: EmulatedStore, caplog: pytest.LogCaptureFixture, trouble: Trouble
) -> None:
    """httpx logs whole addresses, libraries quote requests in their errors."""
    caplog.set_level(logging.DEBUG)
    plant(store, store.connector.manifest.object_types[-1], 1, NOON)
    trouble(store)
    texts: list[str] = []
    with store.opened() as client:
        texts += [repr(store.access()), repr(client), str(client), repr(vars(client).keys())]
        for call in _calls(store, client):
            try:
                texts.append(repr(call()) if trouble is not TROUBLES[0] else "")
            except CrmIntegrationError as error:
                texts += _texts(error)
    told = "\n".join([*texts, caplog.text, *(repr(one.args) for one in caplog.records)])
    for secret in store.secrets.values():
        assert secret not in told


def test_a_refused_secret_is_not_quoted(store: EmulatedStore) -> None:
    """The message goes to a screen and into the audit trail."""
    for name in store.connector.manifest.secrets:
        wrong = {**store.secrets, name: "wrong-but-still-secret"}
        with store.opened(secrets=wrong) as client, pytest.raises(CrmIntegrationError) as error:
            store.connector.extract.check(client)
        assert "wrong-but-still-secret" not in "\n".join(_texts(error.value))
