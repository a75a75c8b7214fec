"""HubSpot's quotas: 190 calls in 10 seconds, a daily one, and 5 searches a second.

Prevents the failure where a connector first meets a 429 in production, without having read the
headers that announce it.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

from crm_integration.sandbox.portal_state import PortalState


@dataclass(frozen=True, slots=True)
class Throttled:
    """A refused call: HubSpot's policy name, its message, seconds to wait."""

    policy: str
    message: str
    retry_after: int


class Quotas:
    """Counts one account's calls by the portal's clock."""

    def __init__(self, portal: PortalState) -> None:
        self._portal = portal
        self._recent: deque[float] = deque()
        self._searches: deque[float] = deque()
        self._day, self._today = 0, 0

    def refuse(self, *, search: bool) -> Throttled | None:
        """Count a call, or say why it is refused (a refused call does not count)."""
        now, settings = self._portal.clock(), self._portal.settings
        self._roll(now)
        if self._today >= settings.per_day:
            wait = 86_400 - int(now) % 86_400
            return Throttled("DAILY", "You have reached your daily limit.", wait)
        if search and len(self._searches) >= settings.searches_per_second:
            return Throttled("SECONDLY", "You have reached your secondly limit.", 1)
        if len(self._recent) >= settings.per_ten_seconds:
            wait = max(1, math.ceil(self._recent[0] + 10 - now))
            message = "You have reached your ten_secondly_rolling limit."
            return Throttled("TEN_SECONDLY_ROLLING", message, wait)
        self._recent.append(now)
        self._today += 1
        if search:
            self._searches.append(now)
        return None

    def _roll(self, now: float) -> None:
        if int(now // 86_400) != self._day:
            self._day, self._today = int(now // 86_400), 0
        while self._recent and self._recent[0] <= now - 10:
            self._recent.popleft()
        while self._searches and self._searches[0] <= now - 1:
            self._searches.popleft()

    def headers(self) -> dict[str, str]:
        """X-HubSpot-RateLimit-*, as every answer but a search's carries them."""
        settings = self._portal.settings
        return {
            "X-HubSpot-RateLimit-Daily": str(settings.per_day),
            "X-HubSpot-RateLimit-Daily-Remaining": str(settings.per_day - self._today),
            "X-HubSpot-RateLimit-Interval-Milliseconds": "10000",
            "X-HubSpot-RateLimit-Max": str(settings.per_ten_seconds),
            "X-HubSpot-RateLimit-Remaining": str(settings.per_ten_seconds - len(self._recent)),
        }
