from __future__ import annotations

import pytest

from crm_integration.sync import crm_session


@pytest.fixture(autouse=True)
def _no_long_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run waits a moment, not seconds, for rows that are due shortly after."""
    monkeypatch.setattr(crm_session, "PAUSE", 0.05)
    monkeypatch.setattr(crm_session, "LONGEST_PAUSE", 0.05)
