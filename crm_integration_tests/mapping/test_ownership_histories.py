"""Any history of a field that a store and a person both change, in a CRM that reshapes values."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from crm_integration.mapping.model import FieldRule, Rule
from crm_integration.mapping.ownership import decide

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
STAGES = ("lead", "opportunity", "customer")
WORDS = st.sampled_from(["", "Ada", " Ada ", "Bob", "Cy"])
MOVES = st.lists(st.tuples(st.sampled_from(["store", "person", "sync"]), WORDS), max_size=12)
RULE = FieldRule(name="f", kind="text", owner="store", rule="overwrite")


@dataclass
class Field:
    """A field in the CRM, which trims what it is given, with what we remember of it."""

    rule: FieldRule
    desired: str = ""
    current: str = ""
    given_back: str | None = None
    sent: str | None = None
    minute: int = 0
    desired_minute: int = 0
    current_minute: int = 0
    writes: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])

    def move(self, who: str, value: str) -> None:
        """A store's change, a person's in the CRM, or a sync; ten minutes after the one before."""
        self.minute += 10
        if who == "store":
            self.desired, self.desired_minute = value, self.minute
        elif who == "person":
            self.current, self.current_minute = value.strip(), self.minute
        else:
            self._sync()

    def _sync(self) -> None:
        decision = decide(
            self.rule,
            desired=self.desired or None,
            given_back=self.given_back,
            current=self.current or None,
            desired_at=NOON + timedelta(minutes=self.desired_minute),
            current_at=NOON + timedelta(minutes=self.current_minute),
            bound_before=self.sent is not None,
            sent=self.sent,
        )
        if decision.write:
            before, self.sent = self.current, str(decision.value or "")
            self.current = self.given_back = self.sent.strip()
            self.current_minute = self.minute
            self.writes.append((before, self.current))


def _history(name: Rule, moves: list[tuple[str, str]], **changes: object) -> Field:
    found = Field(replace(RULE, rule=name, **changes))  # type: ignore[arg-type]
    for who, value in moves:
        found.move(who, value)
    return found


@given(moves=MOVES)
def test_what_the_crm_owns_is_never_written(moves: list[tuple[str, str]]) -> None:
    assert not _history("never", moves, owner="crm").writes


@given(moves=MOVES)
def test_what_the_store_owns_ends_as_the_store_has_it(moves: list[tuple[str, str]]) -> None:
    """Also after a person changed it, and without a second write for a trimmed blank."""
    found = _history("overwrite", [*moves, ("sync", "")])
    assert found.current == found.desired.strip()
    writes = len(found.writes)
    found.move("sync", "")
    assert len(found.writes) == writes


@given(moves=MOVES)
def test_what_a_person_typed_into_a_filled_field_stays(moves: list[tuple[str, str]]) -> None:
    """Whatever the store says before and after: only a field that is empty, or ours, is filled."""
    found = Field(replace(RULE, rule="fill_empty"))
    typed: str | None = None
    for who, value in moves:
        found.move(who, value)
        if who == "person":
            theirs = value.strip() and value.strip() != found.given_back
            typed = value.strip() if theirs else None
        elif typed is not None:
            assert found.current == typed


@given(moves=st.lists(
    st.tuples(st.sampled_from(["store", "person", "sync"]), st.sampled_from([*STAGES, ""])),
    max_size=12,
))  # fmt: skip
def test_a_write_of_ours_never_takes_a_stage_back(moves: list[tuple[str, str]]) -> None:
    for before, after in _history("never_regress", moves, order=STAGES, kind="enum").writes:
        assert not before or STAGES.index(after) > STAGES.index(before)


@given(moves=MOVES)
def test_of_two_changes_the_newer_one_stands(moves: list[tuple[str, str]]) -> None:
    """A value that a person typed after the store's last change is not taken back by a sync."""
    found = Field(replace(RULE, rule="newest_wins"))
    for who, value in moves:
        theirs = found.current if found.current != (found.given_back or "") else ""
        newer = found.current_minute > found.desired_minute
        found.move(who, value)
        if who == "sync" and theirs and newer:
            assert found.current == theirs


@given(moves=MOVES)
def test_no_line_is_appended_twice(moves: list[tuple[str, str]]) -> None:
    for _, after in _history("append", [m for m in moves if m[0] != "person"]).writes:
        lines = after.splitlines()
        assert len(lines) == len(set(lines))
