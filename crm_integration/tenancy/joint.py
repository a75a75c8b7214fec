"""One transaction for the steps of a pass that nobody outside is told of.

Prevents the transaction per step: beginning, entering the tenant's walls and committing were a
third of all that a pass over one event asked the database. What joins is what may be lost with a
machine anyway (`TenantScope`, durable=False): it is committed before anybody else is told or asked,
in the order in which it was done, and an error takes back all of it, as a crash would.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field

from sqlalchemy import Connection, RootTransaction, text

from crm_integration.transport.slots import let_others

_DURABLE = text("set local synchronous_commit = on")


@dataclass
class Joint:
    """The transaction that scopes of one connection and one tenant share."""

    connection: Connection = field(repr=False)
    inside: bool = False
    """Whether a scope is being used: another one within it has a transaction of its own."""
    locks: set[int] = field(default_factory=set[int], repr=False)
    """Advisory locks that the transaction holds."""
    _open: RootTransaction | None = field(default=None, repr=False)

    @contextmanager
    def part(self, *, durable: bool) -> Generator[bool]:
        """One scope's share; yields whether it began the transaction, which then is to wait for
        the disk or not, as the scope does. Commits if `durable`."""
        begun = self._open is None
        if self._open is None:
            let_others()  # nothing of ours is locked now
            self.locks.clear()
            self._open = self.connection.begin()
        elif durable:
            self.connection.execute(_DURABLE)
        self.inside = True
        try:
            yield begun
        except BaseException:
            self._open.rollback()
            self._open = None
            raise
        finally:
            self.inside = False
        if durable:
            self._open.commit()
            self._open = None

    def commit(self) -> None:
        """Commit what is open, without a wait for the disk: none of it was durable."""
        if self._open is None or self.inside:
            return
        self._open.commit()
        self._open = None
