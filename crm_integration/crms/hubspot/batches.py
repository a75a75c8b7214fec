"""Sends batches to HubSpot and settles every item of them.

Prevents the ways in which peers lose or double records here: a 207 taken as success, one bad
record that fails its 99 neighbours, results matched by position, and a resend of what was already
written.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Generic, Protocol, TypeVar

from crm_integration.crms.hubspot.answers import FIELD_WIDE, UNKNOWN, Answer, record_error
from crm_integration.crms.hubspot.client import Client
from crm_integration.errors import (
    DataRejected,
    MissingScope,
    NeedsReconnect,
    RemoteError,
    Transient,
)

Item = TypeVar("Item")
Item_contra = TypeVar("Item_contra", contravariant=True)
Numbered = Sequence[tuple[int, Item]]

_SPLIT: Final = frozenset({400, 409, 413})
"""Statuses with which HubSpot fails a whole batch for one record of it (or for its size)."""

_CALLS_PER_BATCH: Final = 60
"""One bad record in 100 takes at most 15 calls, five at most 55. Beyond, the rest of the batch goes
back to the ledger unwritten, so that a bad import cannot eat the account's whole budget."""


class BatchShape(Protocol[Item_contra]):
    """How one kind of batch is written, and which items its answer speaks of."""

    @property
    def path(self) -> str:
        """Endpoint of the batch."""
        ...

    def input_of(self, number: int, item: Item_contra) -> dict[str, Any]:
        """One entry of `inputs`; `number` is ours and unique within the adapter call."""
        ...

    def writes_field(self, item: Item_contra, name: str) -> bool:
        """Whether the item writes the property."""
        ...

    def owners_of_result(
        self, result: Mapping[str, Any], items: Numbered[Item_contra]
    ) -> Sequence[int]:
        """Numbers of the items a result speaks of."""
        ...

    def owners_of_error(
        self, error: Mapping[str, Any], items: Numbered[Item_contra]
    ) -> Sequence[int]:
        """Numbers of the items an error of a 207 names; none if it names nobody."""
        ...


@dataclass(frozen=True)
class Settled:
    """What became of one item; `error` None means it stands and `answer` is its result."""

    status: int
    error: RemoteError | None
    answer: Mapping[str, Any] | None = field(default=None, repr=False)


class Batches(Generic[Item]):
    """The batches of one adapter call; `settled` has an entry for each item sent."""

    def __init__(self, client: Client, *, size: int, budget: str) -> None:
        self._client, self._size, self._budget = client, size, budget
        self._calls_left = 0
        self._stopped: RemoteError | None = None
        self._nothing_reached = True
        self.settled: dict[int, Settled] = {}

    def run(self, shape: BatchShape[Item], items: Numbered[Item]) -> None:
        """Send all, in batches of `size`; never raises for HubSpot's answers."""
        for start in range(0, len(items), self._size):
            self._calls_left = _CALLS_PER_BATCH
            self._send(shape, items[start : start + self._size])

    def raise_if_nothing_reached(self) -> None:
        """Raise what stopped us if that concerns the whole account and no item got anywhere."""
        if self._stopped is not None and self._nothing_reached:
            raise self._stopped

    def _send(self, shape: BatchShape[Item], items: Numbered[Item]) -> None:
        if not items:
            return
        if self._stopped is not None:
            self._fail(items, self._stopped)
            return
        if not self._calls_left:
            self._fail(items, Transient("too many bad records in this batch", code="batch_refused"))
            return
        self._calls_left -= 1
        inputs = [shape.input_of(number, item) for number, item in items]
        try:
            answer = self._client.write(shape.path, {"inputs": inputs}, budget=self._budget)
        except (NeedsReconnect, MissingScope, Transient) as error:
            self._stop(items, error)
        except RemoteError as error:
            self._refused(shape, items, error)
        else:
            self._settle(shape, items, answer)

    def _stop(self, items: Numbered[Item], error: RemoteError) -> None:
        """No further call makes sense now; what was not sent is told apart from what may stand."""
        self._stopped = error
        if isinstance(error, Transient) and error.code == UNKNOWN:
            self._nothing_reached = False
            self._stopped = Transient(
                "not sent: HubSpot did not answer the call before",
                retry_after=error.retry_after,
                code="not_sent",
            )
        self._fail(items, error)

    def _refused(self, shape: BatchShape[Item], items: Numbered[Item], error: RemoteError) -> None:
        """The whole batch was refused and nothing of it written: find whom it is about."""
        bad: Numbered[Item] = []
        if isinstance(error, DataRejected) and error.code in FIELD_WIDE:
            bad = [(n, item) for n, item in items if shape.writes_field(item, error.field)]
        if error.status not in _SPLIT or len(items) == 1:
            bad = items
        self._nothing_reached = self._nothing_reached and not bad
        self._fail(bad, error)
        failed = {number for number, _ in bad}
        rest = [(number, item) for number, item in items if number not in failed]
        if bad:
            self._send(shape, rest)
        else:
            self._halve(shape, rest)

    def _halve(self, shape: BatchShape[Item], items: Numbered[Item]) -> None:
        middle = len(items) // 2
        self._send(shape, items[:middle])
        self._send(shape, items[middle:])

    def _settle(self, shape: BatchShape[Item], items: Numbered[Item], answer: Answer) -> None:
        """Give each result and each error of a 2xx to its item, by id and never by position."""
        self._nothing_reached = False
        open_items = dict(items)
        for result in answer.results:
            for number in shape.owners_of_result(result, items):
                if open_items.pop(number, None) is not None:
                    self.settled[number] = Settled(answer.status, None, result)
        unowned: list[Mapping[str, Any]] = []
        for error in answer.errors:
            owners = shape.owners_of_error(error, items)
            for number in owners:
                if open_items.pop(number, None) is not None:
                    self.settled[number] = Settled(answer.status, record_error(error), error)
            if not owners:
                unowned.append(error)
        self._settle_rest(shape, list(open_items.items()), unowned, answer.status)

    def _settle_rest(
        self,
        shape: BatchShape[Item],
        items: Numbered[Item],
        unowned: Sequence[Mapping[str, Any]],
        status: int,
    ) -> None:
        """Items the answer does not name: with errors that name nobody, ask in smaller batches."""
        if not items:
            return
        if not unowned:
            lost = Transient("HubSpot's answer leaves this record out", status=status, code=UNKNOWN)
            self._fail(items, lost)
        elif len(items) == 1:
            error = record_error(unowned[0])
            self.settled[items[0][0]] = Settled(status, error, unowned[0])
        else:
            self._halve(shape, items)

    def _fail(self, items: Numbered[Item], error: RemoteError) -> None:
        for number, _ in items:
            self.settled[number] = Settled(error.status, error)
