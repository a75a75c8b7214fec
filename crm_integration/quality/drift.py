"""Drift: payloads that no longer look as they did, found before they are written anywhere.

Prevents the silent change of a store's API: a field that the connector reads vanishes or turns
from text into a number, every record still passes its rules, and the CRM fills with blanks.

How it is looked at: the connector's `required_paths` (all that a mapping can read goes through
the canonical model, so they cover it) in every payload, all other paths in the first 50 payloads
of a run and in every tenth after them. A raw record is looked at once, whenever it is derived
again: a replay of old days says nothing about today's API.

What follows: a new path or type that nothing depends on is a note. A required path that is gone
or has a new type holds the writes of what it concerns until a person accepts it, or for good
once the connector reads another `shape`. Under the contract `freeze` every new path and type
does, and its payloads are kept back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from crm_integration.quality.drift_holds import hold_for_problems
from crm_integration.quality.drift_judgement import NOTHING, Problem, problem_of
from crm_integration.quality.options import Options, Scalar, read_options
from crm_integration.quality.payload_paths import (
    GONE,
    KnownPath,
    SeenPath,
    Topic,
    known_paths,
    save_paths,
)
from crm_integration.quality.payload_shape import ROOT, Kind, Node, Shape, kind_names
from crm_integration.tenancy.scope import TenantScope

FIRST_WHOLE = 50
"""Payloads of a topic and run that are looked at whole before sampling begins."""
SAMPLE = 10
"""Of the payloads behind them every tenth is looked at whole."""
SAVED_AFTER = 50
"""Payloads after which counts are saved although nothing new was seen."""


@dataclass(frozen=True)
class Breach:
    """A payload that a frozen contract refuses: `says` is a stable code, `fix` a sentence."""

    path: str
    says: str
    fix: str


@dataclass
class DriftReport:
    """What a run saw of one object type: `path` or `path: number` for each thing.

    `looked_at` counts payloads; `capped` says that some were too deep or too wide to follow.
    """

    object_type: str
    looked_at: int = 0
    new_paths: list[str] = field(default_factory=lambda: list[str]())
    new_types: list[str] = field(default_factory=lambda: list[str]())
    problems: list[str] = field(default_factory=lambda: list[str]())
    capped: bool = False


@dataclass
class _Watched:
    """One shape of a topic: what was known, and what has been seen since it was last saved."""

    topic: Topic
    known: dict[str, KnownPath]
    first_sight: bool
    seen: Shape
    again: Shape
    done_up_to: int
    required: frozenset[str]
    marked: int = 0
    payloads: int = 0
    unsaved: int = 0
    first_raw_id: int = 0
    highest_raw_id: int = 0


@dataclass
class Watch:
    """Looks at the payloads of one object type of one connection, for as long as a run lasts."""

    connection_id: str
    object_type: str
    shape: str
    entities: tuple[str, ...]
    required: tuple[str, ...]
    options: Options
    run_id: str
    report: DriftReport
    known: dict[str, dict[str, KnownPath]] = field(repr=False)
    shapes: dict[str, _Watched] = field(default_factory=lambda: dict[str, _Watched]())

    @property
    def frozen(self) -> bool:
        """Is anything new refused?"""
        return self.options.contract_of(self.object_type) == "freeze"

    @property
    def at_first_sight(self) -> bool:
        """Did it begin without knowing anything of what it has looked at?"""
        return any(one.first_sight for one in self.shapes.values())

    def look(self, raw_id: int, payload: Mapping[str, Any], *, shape: str = "") -> Breach | None:
        """Take note of a payload; under a frozen contract, say what is new about it.

        `shape` is the raw record's, "" for the manifest's. Nothing is refused at first sight
        of a topic: that is what it is frozen to.
        """
        watched = self._watched(shape or self.shape)
        refuses = self.frozen and not watched.first_sight
        if raw_id <= watched.done_up_to:
            if not refuses:
                return None
            watched.again.look(raw_id, payload, whole=True)
            return _breach(watched.again)
        watched.payloads += 1
        watched.unsaved += 1
        watched.first_raw_id = watched.first_raw_id or raw_id
        watched.highest_raw_id = max(watched.highest_raw_id, raw_id)
        sampled = watched.payloads <= FIRST_WHOLE or watched.payloads % SAMPLE == 0
        watched.seen.look(raw_id, payload, whole=refuses or sampled)
        return _breach(watched.seen) if refuses else None

    def _watched(self, shape: str) -> _Watched:
        if shape not in self.shapes:
            self.shapes[shape] = self._opened(shape)
        return self.shapes[shape]

    def _opened(self, shape: str) -> _Watched:
        known = self.known.get(shape, {})
        types = {path: one.types for path, one in known.items()}
        # Older shapes are brought up by the connector; only its own is what it depends on.
        required = self.required if shape == self.shape else ()
        learns = not (known and self.frozen)
        done_up_to = known[ROOT].last_raw_id if ROOT in known else 0
        seen = Shape(learns, types, required)
        return _Watched(
            Topic(self.connection_id, self.object_type, shape, self.entities),
            known,
            not known,
            seen,
            Shape(learns, types),
            done_up_to,
            seen.required_paths(),
            marked=done_up_to,
        )


def watch_topic(
    scope: TenantScope,
    connection_id: str,
    object_type: str,
    *,
    entities: Sequence[str],
    required: Sequence[str],
    shape: str,
    options: Mapping[str, Scalar],
    run_id: str,
) -> Watch:
    """Begin to look. `shape` is the one that `required` paths are of. Raises BadInput."""
    return Watch(
        connection_id,
        object_type,
        shape,
        tuple(entities),
        tuple(required),
        read_options(options),
        run_id,
        DriftReport(object_type),
        known_paths(scope, connection_id, object_type),
    )


def settle(scope: TenantScope, watch: Watch, *, done: bool = True) -> DriftReport:
    """Save what was seen and judge it; opens holds. The report is that of the run so far.

    Without `done` (more payloads will come) what is new is written at once, and mere counts
    after 50 payloads; a live run settles after each delivery. The caller holds the tenant's
    identity lock.
    """
    worsened = False
    for watched in watch.shapes.values():
        if not watched.unsaved and not (done and watched.marked < watched.highest_raw_id):
            continue
        seen = _judged(watch, watched, done=done)
        if any(one.problem for one in seen):
            # A person may have accepted it since this run began.
            _read_again(scope, watch, watched)
            seen = _judged(watch, watched, done=done)
        news = any(one.odd_types or one.path not in watched.known for one in seen)
        if done or news or watched.unsaved >= SAVED_AFTER:
            save_paths(scope, watched.topic, seen, watch.run_id)
            _note(watch, watched, seen)
            worsened |= any(_open_problem(watched, one) for one in seen)
            _saved(watched, seen)
    if worsened:
        hold_for_problems(scope, watch.entities)
    return watch.report


def _breach(shape: Shape) -> Breach | None:
    if shape.broken is None:
        return None
    path, kind = shape.broken
    fix = (
        "Release the hold `drift` to accept it, then replay; or set the contract to evolve "
        "in mappings/tenants/<tenant>.yaml, rules:."
    )
    return Breach(path, f"not in the frozen contract: {path} as {kind_names(kind)}", fix)


def _read_again(scope: TenantScope, watch: Watch, watched: _Watched) -> None:
    stored = known_paths(scope, watch.connection_id, watch.object_type)
    watched.known = stored.get(watched.topic.shape, {})
    for node in watched.seen.nodes():
        if node.path in watched.known:
            node.accept(watched.known[node.path].types)


def _judged(watch: Watch, watched: _Watched, *, done: bool) -> list[SeenPath]:
    found: list[SeenPath] = []
    for node in watched.seen.nodes():
        known = watched.known.get(node.path)
        untold = known is None and not (node.present or node.known or node.odd)
        if node.path != ROOT and node.holders and not untold:
            found.append(_seen(node, watched, _problem(watch, watched, node, known)))
    # A run that is cut short has not looked at everything below its highest raw id.
    last = watched.highest_raw_id if done else watched.marked
    number, first = watched.unsaved, watched.first_raw_id
    return [*found, SeenPath(ROOT, int(Kind.object), number, number, first, last)]


def _problem(watch: Watch, watched: _Watched, node: Node, known: KnownPath | None) -> Problem:
    if watched.first_sight:
        return NOTHING
    return problem_of(
        node,
        known,
        required=node.path in watched.required,
        frozen=watch.frozen,
        missing_share=watch.options.drift_missing_share,
    )


def _seen(node: Node, watched: _Watched, problem: Problem) -> SeenPath:
    name, odd_types, records, raw_id = problem
    noted = odd_types if not records else 0
    return SeenPath(
        node.path,
        noted | (node.known if node.is_new else 0),
        node.holders,
        node.present,
        node.first_raw_id or watched.first_raw_id,
        max(node.last_raw_id, watched.first_raw_id),
        name,
        odd_types,
        records,
        raw_id,
    )


def _note(watch: Watch, watched: _Watched, seen: Sequence[SeenPath]) -> None:
    report = watch.report
    report.looked_at += watched.unsaved
    report.capped |= watched.seen.capped
    if watched.first_sight:
        return
    for one in seen:
        told = f"{one.path}: {one.problem or kind_names(one.odd_types)}"
        into = report.problems if one.problem else report.new_types
        if one.path not in watched.known and not one.problem:
            report.new_paths.append(one.path)
        elif (one.problem or one.odd_types) and told not in into:
            into.append(told)


def _open_problem(watched: _Watched, one: SeenPath) -> bool:
    known = watched.known.get(one.path)
    return one.problem is not None or bool(one.odd_records and known and known.problem)


def _saved(watched: _Watched, seen: Sequence[SeenPath]) -> None:
    """Go on from what is stored now."""
    for one in seen:
        old = watched.known.get(one.path, KnownPath(one.types, 0, 0, 0, None, 0))
        at_fault = GONE in (old.problem, one.problem)
        watched.known[one.path] = KnownPath(
            old.types | one.types,
            old.holders + (0 if at_fault else one.holders),
            old.present + (0 if at_fault else one.present),
            max(old.last_raw_id, one.last_raw_id),
            old.problem or one.problem,
            old.problem_records + one.odd_records,
        )
    for node in watched.seen.nodes():
        if node.path in watched.known and not node.is_new:
            node.accept(watched.known[node.path].types)
        node.forget_counts()
    watched.unsaved, watched.marked = 0, max(one.last_raw_id for one in seen if one.path == ROOT)
