"""Proofs of completeness as people and programs read them."""

from __future__ import annotations

from typing import Any

from rich.table import Table

from crm_integration.sync.completeness.advice import advice
from crm_integration.sync.completeness.model import (
    LATER,
    PROVEN,
    WRONG,
    Completeness,
    DayProof,
)
from crm_integration.sync.completeness.tally import stages_of

_DAYS_SHOWN = 100


def table(done: Completeness) -> Table:
    """A line for each entity, day and stage; of whole days only those that are in a short list."""
    made = Table(title=f"{done.request.tenant}: up to raw record {done.highest_raw_id}")
    for name in ("object", "day", "stage"):
        made.add_column(name)
    made.add_column("proven", justify="right")
    for name in ("wrong", "accounted for", "first ids"):
        made.add_column(name, overflow="fold")
    shown = [one for one in done.days if one.counts or not one.passed]
    if len(shown) > _DAYS_SHOWN:
        shown = [one for one in shown if not one.passed]
    for one in shown:
        _add(made, one)
    return made


def _add(made: Table, proof: DayProof) -> None:
    day = "(whole)" if proof.day is None else proof.day.isoformat()
    if proof.problem is not None:
        made.add_row(proof.entity, day, "", "", f"[red]{proof.problem}[/]", "", "")
    for stage, counts in stages_of(proof):
        wrong = {name: counts[name] for name in WRONG if name in counts}
        named = {name: n for name, n in counts.items() if name not in (*WRONG, PROVEN)}
        ids = [one for some in proof.samples.get(stage, {}).values() for one in some]
        made.add_row(
            proof.entity,
            day,
            stage.value,
            f"{counts.get(PROVEN, 0):,}",
            f"[red]{_told(wrong)}[/]" if wrong else "",
            _told(named),
            " ".join(ids[:3]) + (" …" if len(ids) > 3 else ""),
        )


def _told(counts: dict[str, int]) -> str:
    return ", ".join(f"{number:,} {name}" for name, number in sorted(counts.items()))


def next_step(done: Completeness) -> str:
    """What it comes to in a sentence, with what to do."""
    healed = f"{done.healed:,} healed; " if done.healed else ""
    wrong = sum(one.wrong for one in done.days)
    later = sum(counts.get(LATER, 0) for counts in done.total().values())
    waits = f" {later:,} changed just now: judged next time." if later else ""
    if done.whole:
        return f"{healed}everything is proven or accounted for.{waits}"
    return f"{healed}{wrong:,} wrong.{waits} {' '.join(advice(done))}"


def document(done: Completeness) -> dict[str, Any]:
    """The proof as one JSON document."""
    days = done.request.days
    return {
        "tenant": done.request.tenant,
        "from": None if days is None else days.start,
        "before": None if days is None else days.end,
        "began": done.began,
        "highest_raw_id": done.highest_raw_id,
        "whole": done.whole,
        "healed": done.healed,
        "calls": done.calls,
        "total": done.total(),
        "proofs": [_proof(one) for one in done.days if one.counts or not one.passed],
        "problems": [
            {"stage": one.stage, "what": one.what, "reason": one.reason} for one in done.problems
        ],
        "next": advice(done),
    }


def _proof(one: DayProof) -> dict[str, Any]:
    return {
        "entity": one.entity,
        "day": one.day,
        "passed": one.passed,
        "wrong": one.wrong,
        "counts": one.counts,
        "samples": one.samples,
        "problem": one.problem,
    }
