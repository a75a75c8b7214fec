from __future__ import annotations

import pytest

from crm_integration.sync import crm_run


@pytest.fixture(autouse=True)
def _no_long_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run waits a moment, not seconds, for rows that are due shortly after."""
    monkeypatch.setattr(crm_run, "PAUSE", 0.05)
    monkeypatch.setattr(crm_run, "LONGEST_PAUSE", 0.05)
