"""Where the real data and recordings lie, if they lie beside this checkout.

Tests that need them skip where they do not; the repository itself holds none of them.
"""

from __future__ import annotations

from pathlib import Path

_BESIDE = Path(__file__).resolve().parents[2] / "shared"
SHARED: Path | None = _BESIDE if _BESIDE.is_dir() else None
