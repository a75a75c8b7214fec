"""Running a replay: the window is derived again and exactly what differs is written.

Prevents a second way into the CRM: a replay is the run of a Dagster partition (`path.py`) without
the store, under the same holds, narrowed to the objects of its window. A forced rewrite goes the
same way, and only with another person's approval of its very plan.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta

from crm_integration.audit import trail
from crm_integration.errors import BadInput
from crm_integration.mapping.tenant_file import compiled_mappings
from crm_integration.sync.approvals import VALID_FOR, Approval, approve, use
from crm_integration.sync.path import House, Narrowed, Progress, run_path
from crm_integration.sync.replay import chosen_mappings, plan
from crm_integration.sync.replay_plan import Plan, Request
from crm_integration.sync.replay_rehearsal import entities_of
from crm_integration.sync.report import PathReport, Problem, Selection
from crm_integration.sync.slices import slices_of

FORCED_REWRITE = "forced rewrite"
"""Kind of approval."""


@dataclass(frozen=True)
class Force:
    """A person's wish to write fields whoever owns them: why, and who else allowed it."""

    reason: str
    approval_id: str


@dataclass
class Replayed:
    """What a replay did, summed over its slices; `planned` only of a forced one."""

    request: Request
    read: int = 0
    changed: int = 0
    created: int = 0
    updated: int = 0
    unchanged: int = 0
    failed: int = 0
    calls: int = 0
    planned: int | None = None
    problems: list[Problem] = field(default_factory=lambda: list[Problem]())

    def add(self, report: PathReport) -> None:
        """Count one slice in."""
        self.read += report.derived.read
        self.changed += sum(report.derived.changed.values())
        self.problems += report.problems
        self.problems += [
            Problem("judge", one.entity, f"{one.check_name} on {one.window_start}")
            for one in report.verdicts
            if not one.passed
        ]
        if report.crm is None:
            return
        self.calls += report.crm.calls
        for sent in report.crm.sent.values():
            self.created += sent.created
            self.updated += sent.updated
            self.unchanged += sent.unchanged
            self.failed += sent.failed

    @property
    def whole(self) -> bool:
        """Whether all that was to be written is written."""
        short = self.planned is not None and self.created + self.updated < self.planned
        return not (self.problems or self.failed or short)


def approve_rewrite(
    house: House, request: Request, made: Plan, *, by: str, valid_for: timedelta = VALID_FOR
) -> Approval:
    """Allow somebody else to write exactly what this plan shows; audited.

    Raises BadInput for a plan that forces nothing, or one that could not be made whole.
    """
    if not request.forced:
        raise BadInput("only a forced rewrite needs an approval: name its fields with --force")
    if made.problems:
        raise BadInput("this plan is not whole: mend what it names, and plan again")
    with house.engines.tenancy.scope(request.tenant) as scope:
        return approve(scope, FORCED_REWRITE, made.digest, by=by, valid_for=valid_for)


def run(
    house: House,
    request: Request,
    *,
    run_id: str,
    by: str,
    force: Force | None = None,
    progress: Progress | None = None,
) -> Replayed:
    """Replay a window; audited. What goes wrong in it is a problem of the answer.

    Raises BadInput for a mapping that is not the pinned one, for a forced rewrite without reason
    or with an approval that does not fit, and NotFound for an approval that does not exist.
    """
    if request.days is None:
        raise BadInput("a replay needs a window: --from and --to")
    _refuse_unpinned(house, request)
    mappings = chosen_mappings(house, request)
    done = Replayed(request)
    if request.forced:
        done.planned = _allowed(house, request, force, by=by)
    _audit(house, request, force, run_id=run_id, by=by)
    selection = Selection(canonical=entities_of(mappings), crm=frozenset(mappings))
    for part in slices_of(request.windows()):
        done.add(
            run_path(
                house,
                request.tenant,
                part.windows,
                selection,
                run_id=run_id,
                progress=progress,
                narrowed=Narrowed(request.forced),
            )
        )
    return done


def _refuse_unpinned(house: House, request: Request) -> None:
    """What is written is always made by the version that every other run uses, too."""
    name = request.mapping
    if name is None:
        return
    config = house.config(request.tenant)
    used = compiled_mappings(house.mappings, config).get(name.object_type)
    if used is None or used.mapping_id != name.mapping_id:
        raise BadInput(
            f"{request.tenant} does not use {name}; pin it first: "
            f"crm-integration mapping pin --tenant {request.tenant} {name}"
        )


def _allowed(house: House, request: Request, force: Force | None, *, by: str) -> int:
    """How many records the approved plan writes. The approval is used up before the first one."""
    if force is None or not force.reason.strip():
        raise BadInput("a forced rewrite needs --reason and --approval; another person gives it: "
                       "crm-integration replay approve --help")  # fmt: skip
    made = plan(house, request, limit=0)
    with house.engines.tenancy.scope(request.tenant) as scope:
        use(scope, FORCED_REWRITE, force.approval_id, made.digest, by=by)
    return made.total


def _audit(house: House, request: Request, force: Force | None, *, run_id: str, by: str) -> None:
    assert request.days is not None  # refused before
    told = {} if force is None else {"reason": force.reason, "approval": force.approval_id}
    with house.engines.tenancy.scope(request.tenant) as scope:
        trail.record(
            scope,
            actor=by,
            action="replay.run",
            subject=f"{request.days.start}/{request.days.end}",
            run=run_id,
            object_types=list(request.object_types),
            forced=sorted(request.forced),
            **told,
        )
