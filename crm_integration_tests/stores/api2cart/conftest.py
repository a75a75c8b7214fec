"""One server for the carts of a test module."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import stamina

from crm_integration_tests.served import Street
from crm_integration_tests.served import street as serving


@pytest.fixture(scope="module")
def street() -> Iterator[Street]:
    with serving() as served:
        yield served


@pytest.fixture(autouse=True)
def no_waiting() -> Iterator[None]:
    """Tries again at once, as often as in earnest."""
    with stamina.set_testing(True, attempts=4):
        yield
