"""One receiver for each module that asks for it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from crm_integration_tests.house import House
from crm_integration_tests.intake.receiving import Receiving, receiving


@pytest.fixture(scope="module")
def receiver(house: House) -> Iterator[Receiving]:
    with receiving(house) as running:
        yield running
