"""What most tests of this folder start from."""

from __future__ import annotations

import pytest

from crm_integration.sandbox.api2cart.app import Api2CartApp
from crm_integration.sandbox.shop_state import ShopState
from crm_integration_tests.sandbox.api2cart.stores import (
    Clock,
    StoreCaller,
    small_store,
    with_sides,
)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def shop(clock: Clock) -> ShopState:
    return with_sides(small_store(clock))


@pytest.fixture
def app(shop: ShopState, clock: Clock) -> Api2CartApp:
    return Api2CartApp(shop, clock=clock)


@pytest.fixture
def caller(app: Api2CartApp) -> StoreCaller:
    return StoreCaller(app)
