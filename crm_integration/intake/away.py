"""The database does not answer: said once, remembered for a moment.

Prevents a thousand requests from each waiting for a connection that nobody takes.
"""

from __future__ import annotations

AWAY_SECONDS = 1.0
"""After a failure it is asked again so soon; until then a refusal costs nothing."""


class Away(Exception):
    """The database does not answer, or not in time; nothing may be called kept, or unknown."""
