"""Pairs every connector that the registry finds with its emulator; no test names a platform.

Prevents the connector that nobody entered in the suite: a new folder below `stores/` is tested
here from its first day, and one without an emulator (or the other way round) fails.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import stamina
import yaml

from crm_integration import stores
from crm_integration.sandbox.shop_kinds import SHOP_KINDS
from crm_integration.stores._registry import platforms
from crm_integration_tests.conformance.books import LATER, furnish
from crm_integration_tests.conformance.street import EmulatedStore, Listed
from crm_integration_tests.served import Street, street

PLATFORMS = sorted({*platforms(), *SHOP_KINDS})
MISSING = "nothing"
"""Stands for the object types of a platform that has no connector; its tests fail and say so."""


def _object_types(platform: str) -> list[str]:
    """From the manifest alone: a connector that cannot be imported must not stop collection."""
    path = Path(stores.__file__).parent / platform / "manifest.yaml"
    if not path.is_file():
        return [MISSING]
    return list(yaml.safe_load(path.read_text("utf-8"))["object_types"])


CASES = [(platform, kind) for platform in PLATFORMS for kind in _object_types(platform)]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "object_type" in metafunc.fixturenames:
        ids = [f"{platform}-{kind}" for platform, kind in CASES]
        metafunc.parametrize(("platform", "object_type"), CASES, ids=ids, scope="session")
    elif "platform" in metafunc.fixturenames:
        metafunc.parametrize("platform", PLATFORMS, scope="session")


class Furnished:
    """One shop with everything in it, listed once; tests only read it."""

    def __init__(self, store: EmulatedStore) -> None:
        self.store = store
        furnish(store)
        self._listed: dict[str, Listed] = {}

    def listed(self, object_type: str) -> Listed:
        """The whole listing of a type, made on first use."""
        if object_type not in self._listed:
            self._listed[object_type] = self.store.listed(object_type)
        return self._listed[object_type]


@pytest.fixture(scope="session")
def serving() -> Iterator[Street]:
    """One server for all shops of the suite."""
    with street() as served:
        yield served


@pytest.fixture(scope="session")
def _furnished() -> dict[str, Furnished]:
    return {}


@pytest.fixture
def furnished(_furnished: dict[str, Furnished], serving: Street, platform: str) -> Furnished:
    """The platform's furnished shop, shared by all tests: nobody edits it."""
    if platform not in _furnished:
        _furnished[platform] = Furnished(EmulatedStore(platform, serving))
    shared = _furnished[platform]
    shared.store.traffic.quiet()
    shared.store.follow()
    assert shared.store.connector.manifest.platform == platform
    return shared


@pytest.fixture
def store(serving: Street, platform: str) -> EmulatedStore:
    """A new empty shop of the platform."""
    made = EmulatedStore(platform, serving, now=LATER)
    assert made.connector.manifest.platform == platform
    return made


@pytest.fixture(autouse=True)
def no_pauses() -> Iterator[None]:
    """Attempts stay as they are, the pauses between them go."""
    with stamina.set_testing(True, attempts=4):
        yield
