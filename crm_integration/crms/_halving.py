"""Splits a refused batch down to the records it was refused for.

Prevents one bad record from failing its 99 neighbours in CRMs that take or refuse a batch as a
whole. For adapters; it knows no vendor.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

from crm_integration.errors import MissingScope, NeedsReconnect, RemoteError, Transient

Item = TypeVar("Item")
Result = TypeVar("Result")
Numbered = Sequence[tuple[int, Item]]

MOST_SENDS: Final = 60
"""One bad record in 100 takes at most 15, five at most 55. Beyond, the rest of the batch goes back
to the ledger unwritten, so that a bad import cannot eat the account's whole budget."""


@dataclass
class Halving(Generic[Item, Result]):
    """Batches of one adapter call; `settled` has a result or an error for each item sent.

    `send` carries out a batch, all or nothing, and raises RemoteError when it was refused;
    `splits(error)` says whether the error may be one record's alone.
    """

    send: Callable[[Numbered[Item]], Mapping[int, Result | RemoteError]]
    splits: Callable[[RemoteError], bool]
    unknown: str = "unknown"
    settled: dict[int, Result | RemoteError] = field(
        default_factory=lambda: dict[int, Result | RemoteError]()
    )
    stopped: RemoteError | None = None
    """What concerns the whole account; nothing is sent after it."""
    reached: bool = False
    """Whether something was, or may have been, carried out or judged."""
    _left: int = MOST_SENDS

    def run(self, items: Numbered[Item], size: int) -> None:
        """Send all, in batches of `size`; raises nothing for what the CRM answers."""
        for start in range(0, len(items), size):
            self._left = MOST_SENDS
            self._try(items[start : start + size])

    def raise_if_nothing_reached(self) -> None:
        """Raise what stopped us if no item got anywhere."""
        if self.stopped is not None and not self.reached:
            raise self.stopped

    def _try(self, items: Numbered[Item]) -> None:
        if not items:
            return
        if self.stopped is not None:
            self._fail(items, self.stopped)
            return
        if not self._left:
            self._fail(items, Transient("too many bad records in this batch", code="batch_refused"))
            return
        self._left -= 1
        try:
            self.settled.update(self.send(items))
            self.reached = True
        except RemoteError as error:
            self._refused(items, error)

    def _refused(self, items: Numbered[Item], error: RemoteError) -> None:
        if self.splits(error):
            if len(items) > 1:
                middle = len(items) // 2
                self._try(items[:middle])
                self._try(items[middle:])
                return
            self.reached = True
        elif isinstance(error, (NeedsReconnect, MissingScope, Transient)):
            self.stopped = self._for_the_rest(error)
        self._fail(items, error)

    def _for_the_rest(self, error: RemoteError) -> RemoteError:
        """What was not sent is told apart from what may stand."""
        if not isinstance(error, Transient) or error.code != self.unknown:
            return error
        self.reached = True
        text = "not sent: the CRM did not answer the call before"
        return Transient(text, retry_after=error.retry_after, code="not_sent")

    def _fail(self, items: Numbered[Item], error: RemoteError) -> None:
        self.settled.update({number: error for number, _ in items})
