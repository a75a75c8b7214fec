"""What every run works with: the tenants' data, and what all of them share.

Prevents a room that opens a database of its own: both come from whoever starts the run.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from sqlalchemy import Engine

from crm_integration.tenancy.scope import Tenancy


@dataclass(frozen=True)
class Engines:
    """What a run works with: tenants' data, and the shared budgets."""

    tenancy: Tenancy
    ops: Engine = field(repr=False)
