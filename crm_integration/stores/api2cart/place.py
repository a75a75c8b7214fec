"""Where a listing stands, and what it has seen: small enough for a checkpoint.

Prevents a listing that starts over silently: a checkpoint of another making is refused.
"""

from __future__ import annotations

from typing import Self

from pydantic import BaseModel, ConfigDict, ValidationError

from crm_integration.stores._checkpoint import foreign_checkpoint
from crm_integration.stores._contract import SourceObject
from crm_integration.stores.api2cart.methods import Kind

_MOST_IDS = 50_000
_LONGEST_TEXT = 20_000
"""Beyond these a checkpoint does not name what was seen; a resumed closing pass reads it again."""


class Place(BaseModel):
    """As JSON it is the checkpoint.

    `round` 0 is the pass over the objects, later ones look whether something was missed; `fresh`:
    this round found something. `start` or `cursor` say where the pass is (`cursor` as it came),
    `tail` marks the last row of the page before. `refused` names parameters that this
    cart does not take.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    kind: str
    start: int = 0
    cursor: str | None = None
    round: int = 0
    fresh: bool = False
    lost: int = 0
    tail: str | None = None
    refused: tuple[str, ...] = ()
    seen: str | None = ""
    done: bool = False

    @classmethod
    def first(cls, kind: Kind) -> Self:
        return cls(kind=_name(kind))

    @classmethod
    def read(cls, kind: Kind, checkpoint: str) -> Self:
        """Raises BadInput for a checkpoint that another listing or release made."""
        try:
            place = cls.model_validate_json(checkpoint)
            Seen(place.seen)
        except (ValidationError, ValueError) as error:
            raise foreign_checkpoint() from error
        if place.kind != _name(kind):
            raise foreign_checkpoint()
        return place

    def but(self, **changes: object) -> Self:
        """The same with other values."""
        return self.model_copy(update=changes)

    def restarted(self) -> Self:
        """At the first page of the same round."""
        return self.but(start=0, cursor=None, tail=None)

    @property
    def at_first_page(self) -> bool:
        return self.start == 0 and self.cursor is None


class Seen:
    """Ids that were handed on, with their times where this process read them itself."""

    def __init__(self, text: str | None) -> None:
        self.complete = text is not None
        self._stamps: dict[str, str | None] = dict.fromkeys(_ids(text or ""))

    def has(self, source_id: str) -> bool:
        return source_id in self._stamps

    def is_new(self, item: SourceObject) -> bool:
        """Never handed on, or changed since."""
        if item.source_id not in self._stamps:
            return True
        known = self._stamps[item.source_id]
        return known is not None and known != stamp(item)

    def add(self, item: SourceObject) -> None:
        self._stamps[item.source_id] = stamp(item)

    def text(self) -> str | None:
        """Numbers as runs (`1-57,59`), other ids one a line; None where it would swell."""
        if not self.complete or len(self._stamps) > _MOST_IDS:
            return None
        numbers = [int(one) for one in self._stamps if _plain(one)]
        others = sorted(one for one in self._stamps if not _plain(one))
        text = "\n".join([_runs(sorted(numbers)), *others])
        return text if len(text) <= _LONGEST_TEXT else None


def stamp(item: SourceObject) -> str:
    """The time of a version as text, `""` where it states none."""
    return item.source_time.isoformat() if item.source_time else ""


def _name(kind: Kind) -> str:
    return f"{kind.object_type}/{kind.size}"


def _plain(source_id: str) -> bool:
    return source_id.isdigit() and not source_id.startswith("0")


def _runs(numbers: list[int]) -> str:
    runs: list[list[int]] = []
    for number in numbers:
        if runs and runs[-1][1] + 1 == number:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ",".join(f"{low}-{high}" if low != high else str(low) for low, high in runs)


def _ids(text: str) -> list[str]:
    runs, *others = text.split("\n")
    found: list[str] = [one for one in others if one]
    for run in runs.split(","):
        if run:
            low, _, high = run.partition("-")
            if int(high or low) - int(low) > _MOST_IDS:
                raise ValueError("a run longer than any checkpoint names")
            found += [str(number) for number in range(int(low), int(high or low) + 1)]
    return found
