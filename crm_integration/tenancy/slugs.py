"""What a tenant may be called: the name stands in partition keys, files and log lines."""

from __future__ import annotations

import re

_SLUG = re.compile(r"[a-z0-9_-]{1,63}", re.ASCII)


def is_slug(name: str) -> bool:
    """1-63 of a-z, 0-9, `_`, `-`: Dagster partition keys take no comma, bar or dots."""
    return _SLUG.fullmatch(name) is not None
