"""A replay writes what its plan showed, and over unchanged data nothing at all."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from crm_integration.errors import BadInput, NotFound
from crm_integration.sandbox.faults import FaultRule
from crm_integration.sync.replay import plan
from crm_integration.sync.replay_plan import Plan, Request, days_between
from crm_integration.sync.replay_run import Force, Replayed, approve_rewrite
from crm_integration_tests.house import Tenant
from crm_integration_tests.served import CRM_TYPE, writes
from crm_integration_tests.sync.merchant import Merchant


@pytest.fixture
def idle(tenant: Tenant, tmp_path: Path) -> Merchant:
    """A merchant of whom nothing is known."""
    return Merchant.idle(tenant, tmp_path)


@pytest.fixture
def merchant(idle: Merchant) -> Merchant:
    """Two months of a shop, written to the CRM."""
    return idle.live()


def _changed(
    before: Mapping[Any, Mapping[str, str]], after: Mapping[Any, Mapping[str, str]]
) -> Any:
    """What really changed in the CRM: record id -> field -> new value; clocks left out."""
    found: dict[Any, dict[str, str]] = {}
    for key, properties in after.items():
        old = before.get(key, {})
        fields = {
            name: value
            for name, value in properties.items()
            if old.get(name) != value and not name.startswith(("hs_lastmod", "lastmodified"))
        }
        if fields:
            found[key] = fields
    return found


def _planned(merchant: Merchant, made: Plan) -> Any:
    """The plan in the CRM's own terms."""
    ids = {
        (row.object_type, row.object_id): int(row.crm_record_id)
        for row in merchant.tenant.rows("select * from bindings")
    }
    return {
        (one.object_type, ids[one.object_type, one.object_id]): {
            field.name: str(field.new) for field in one.fields
        }
        for one in made.writes
    }


def test_a_month_with_an_unchanged_mapping_is_replayed_without_one_call(merchant: Merchant) -> None:
    """Promise 9, asked for by hand: nobody dares to replay what writes 40,000 records again."""
    made = merchant.plan()
    assert made.total == 0
    assert set(made.counts["order"]) <= {"unchanged", "refused"}
    assert made.counts["order"]["unchanged"] == 8
    done = merchant.run()
    assert done.whole, done.problems
    assert done.read > 0, "nothing was derived"
    assert (done.calls, done.created, done.updated) == (0, 0, 0)
    assert not merchant.tenant.portal.calls


def test_a_plan_changes_neither_the_ledger_nor_the_crm(merchant: Merchant) -> None:
    """A dry run that marks rows as pending is not dry: the next run writes them."""
    before, held = merchant.ledger(), merchant.held()
    raw = merchant.tenant.value("select count(*) from raw_records")
    made = merchant.plan(mapping=merchant.version(2))
    assert made.total > 0
    assert made.calls > 0
    assert writes(merchant.tenant.portal.calls) == 0
    assert all("properties" not in call for call in merchant.tenant.portal.calls), (
        "a plan has made fields in the CRM"
    )
    assert merchant.ledger() == before
    assert merchant.held() == held
    assert merchant.tenant.value("select count(*) from raw_records") == raw
    assert merchant.tenant.value("select count(*) from customers where needs_projection") == 0
    assert merchant.tenant.value("select count(*) from verdicts where run_id = 'plan'") == 0


def test_a_changed_mapping_writes_exactly_what_was_planned(merchant: Merchant) -> None:
    """The whole point: what the plan showed is what the CRM holds afterwards, field by field."""
    made = merchant.plan(mapping=merchant.version(2))
    assert made.counts["contact"]["update"] == 8, "the guests and the accounts of March"
    assert {field.old for one in made.writes for field in one.fields} == {None}
    merchant.pin(2)
    before = merchant.held()
    merchant.tenant.portal.calls.clear()
    done = merchant.run(mapping=merchant.version(2))
    assert done.whole, done.problems
    assert (done.updated, done.created) == (made.total, 0)
    assert _changed(before, merchant.held()) == _planned(merchant, made)
    assert merchant.run().calls == 0, "a second replay has nothing left to write"


def test_a_replay_leaves_other_months_to_the_next_run(merchant: Merchant) -> None:
    """A replay of March that also writes April was not planned by anybody."""
    merchant.pin(2)
    merchant.run()
    april = merchant.tenant.portal.one("contact", email="april@example.com")
    assert "ci_current_stage" not in april
    merchant.everything()
    april = merchant.tenant.portal.one("contact", email="april@example.com")
    assert april["ci_current_stage"] == "lapsed"


def test_what_sales_changed_in_the_meantime_is_shown_and_kept(merchant: Merchant) -> None:
    """The plan looks at what the CRM holds now, not at what we once wrote."""
    email = "ada1@example.com"
    (number,) = (
        number
        for number, one in merchant.tenant.portal.records("contact").items()
        if one.get("email") == email
    )
    merchant.tenant.portal.edit("contact", number, ci_orders_count="99", firstname="Countess")
    merchant.pin(2)
    made = merchant.plan()
    (write,) = (one for one in made.writes if any(f.old == "99" for f in one.fields))
    (count,) = (field for field in write.fields if field.name == "ci_orders_count")
    assert (count.old, count.new, count.owner, count.rule) == ("99", 1, "store", "overwrite")
    assert "firstname" not in {field.name for field in write.fields}
    merchant.run()
    after = merchant.tenant.portal.one("contact", email=email)
    assert (after["firstname"], after["ci_orders_count"]) == ("Countess", "1")


def test_a_rule_that_changed_counts_for_what_was_written_before(merchant: Merchant) -> None:
    """The names were to be the store's from now on; what sales had typed stayed until the next
    time each customer changed, for years."""
    _rename(merchant, "Bob")
    merchant.add_to_file("overrides: {contact: {firstname: {rule: overwrite}}}")
    made = merchant.plan()
    assert made.by_field["contact"] == {"firstname": 8}
    before = merchant.held()
    done = merchant.run()
    assert done.whole, done.problems
    assert _changed(before, merchant.held()) == _planned(merchant, made)
    assert merchant.run().calls == 0


def test_one_object_type_can_be_replayed_alone(merchant: Merchant) -> None:
    """Contacts today, orders after the merchant has looked."""
    made = merchant.plan(object_types=("order",), mapping=merchant.version(2))
    assert set(made.counts) == {"order"}
    assert made.total == 0


def test_through_another_version_than_the_pinned_one_is_only_planned(idle: Merchant) -> None:
    """Written by one version and rewritten by every other run's: a contact that flickers."""
    with pytest.raises(BadInput, match=r"mapping pin --tenant .* hubspot/contact@v2"):
        idle.run(mapping=idle.version(2))
    assert not idle.tenant.portal.calls
    with pytest.raises(BadInput, match="no hubspot/contact@v9"):
        idle.version(9)


def test_what_a_replay_finds_held_is_planned_as_held_and_not_written(merchant: Merchant) -> None:
    """A replay is no way round a hold."""
    merchant.hold("contact")
    merchant.pin(2)
    made = merchant.plan()
    assert (made.total, made.counts["contact"]["held"]) == (0, 8)
    done = merchant.run()
    assert not done.whole
    assert writes(merchant.tenant.portal.calls) == 0


def test_what_would_have_to_wait_for_a_person_is_planned_so(merchant: Merchant) -> None:
    """Planned 8, written 3: the blast radius held the rest, and the plan had not said so."""
    merchant.add_to_file(
        "settings: {rewrites_a_day_records: 3, rewrites_a_day_percent: 1}",
        "overrides: {contact: {firstname: {rule: overwrite}}}",
    )
    _rename(merchant, "Bob")
    made = merchant.plan(object_types=("contact",))
    assert (made.counts["contact"]["held"], made.total) == (8, 0)
    assert len(made.waiting) == len(made.writes) == 8
    done = merchant.run(object_types=("contact",))
    assert not done.whole
    assert done.updated == made.total
    assert merchant.tenant.state("contact")[0][0] == "held"
    assert merchant.tenant.portal.one("contact", email="gus1@example.com")["firstname"] == "Bob"


def test_dead_letters_are_counted_and_left_alone(merchant: Merchant) -> None:
    """What needs a person is not sent again by a replay of unchanged data."""
    with merchant.tenant.scope() as scope:
        scope.connection.execute(
            text("update ledger set state = 'dead', reason = 'the CRM refuses email'"
                 " where object_type = 'order'")
        )  # fmt: skip
    made = merchant.plan()
    assert (made.counts["order"]["dead"], made.total) == (8, 0)
    assert merchant.run().calls == 0


def test_records_that_the_crm_has_lost_are_planned_as_new_ones(merchant: Merchant) -> None:
    """And what waits for one of them is planned with it: it is released in the same run."""
    with merchant.tenant.scope() as scope:
        for table in ("bindings", "ledger"):
            scope.connection.exec_driver_sql(f"delete from {table}")
        for table in ("customers", "orders", "refunds", "products", "activities"):
            scope.connection.exec_driver_sql(f"update {table} set needs_projection = true")
    state = merchant.tenant.portal.state
    for kind in set(CRM_TYPE.values()):
        for record in list(state.records(kind)):
            state.archive(kind, record)
    made = merchant.plan()
    assert made.counts["order"]["create"] == 8
    assert made.counts["contact"]["create"] == 8
    done = merchant.run()
    assert done.whole, done.problems
    assert (done.created, done.updated) == (made.total, 0)


def test_the_digest_of_a_plan_is_of_its_differences(merchant: Merchant) -> None:
    """An approval of it must lapse when they change, and only then."""
    first = merchant.plan(mapping=merchant.version(2)).digest
    assert merchant.plan(mapping=merchant.version(2)).digest == first
    assert plan(merchant.house, merchant.request(mapping=merchant.version(2)), limit=0).digest == (
        first
    )
    number = next(iter(merchant.tenant.portal.records("contact")))
    merchant.tenant.portal.edit("contact", number, ci_orders_count="99")
    assert merchant.plan(mapping=merchant.version(2)).digest != first
    assert merchant.plan().digest != first


FORCED = frozenset({"firstname"})


def _forced(merchant: Merchant, code: str, reason: str = "merchant asked") -> Replayed:
    return merchant.run(Force(reason, code), forced=FORCED, object_types=("contact",))


def _approved(merchant: Merchant, valid_for: timedelta = timedelta(hours=1)) -> str:
    asked = merchant.request(forced=FORCED, object_types=("contact",))
    return _approve(merchant, asked, "cli:ada", valid_for)


def _approve(
    merchant: Merchant, asked: Request, by: str, valid_for: timedelta = timedelta(hours=1)
) -> str:
    made = plan(merchant.house, asked)
    return approve_rewrite(
        merchant.house, asked, made, by=by, valid_for=valid_for
    ).approval_id  # fmt: skip


def _rename(merchant: Merchant, name: str) -> None:
    """Sales give everybody another name."""
    for number in merchant.tenant.portal.records("contact"):
        merchant.tenant.portal.edit("contact", number, firstname=name)


def test_an_approved_rewrite_writes_its_fields_over_what_sales_typed(merchant: Merchant) -> None:
    """An intern's import named every customer Bob: the merchant wants the store's names back."""
    _rename(merchant, "Bob")
    assert merchant.run().updated == 0, "a replay alone respects what a person typed"
    code = _approved(merchant)
    before = merchant.held()
    done = _forced(merchant, code)
    assert done.whole, done.problems
    assert (done.planned, done.updated) == (8, 8)
    changed = _changed(before, merchant.held())
    assert {name for fields in changed.values() for name in fields} == {"firstname"}
    april = merchant.tenant.portal.one("contact", email="april@example.com")
    assert april["firstname"] == "Bob", "another month was rewritten"
    ((details,),) = merchant.tenant.rows(
        "select details from audit_trail where action = 'replay.run' and details ? 'approval'"
    )
    assert (details["forced"], details["reason"]) == (["firstname"], "merchant asked")
    assert details["approval"] == code


def test_a_forced_rewrite_without_an_approval_writes_nothing(merchant: Merchant) -> None:
    """Nor with a made up one, one's own, an expired one, or twice with the same."""
    _rename(merchant, "Bob")
    with pytest.raises(BadInput, match="--reason and --approval"):
        merchant.run(None, forced=FORCED)
    with pytest.raises(NotFound):
        _forced(merchant, "0123456789ab")
    with pytest.raises(BadInput, match="--reason"):
        _forced(merchant, _approved(merchant), reason=" ")
    with pytest.raises(BadInput, match="expired"):
        _forced(merchant, _approved(merchant, timedelta(microseconds=1)))
    asked = merchant.request(forced=FORCED, object_types=("contact",))
    own = _approve(merchant, asked, "cli:bob")
    with pytest.raises(BadInput, match="another person"):
        _forced(merchant, own)
    assert writes(merchant.tenant.portal.calls) == 0
    code = _approved(merchant)
    _forced(merchant, code)
    with pytest.raises(BadInput, match="used already"):
        _forced(merchant, code)


def test_an_approval_lapses_when_the_crm_has_changed(merchant: Merchant) -> None:
    """Between the look and the rewrite sales corrected one by hand."""
    _rename(merchant, "Bob")
    code = _approved(merchant)
    number = next(iter(merchant.tenant.portal.records("contact")))
    merchant.tenant.portal.edit("contact", number, firstname="Countess")
    with pytest.raises(BadInput, match="another plan"):
        _forced(merchant, code)
    assert writes(merchant.tenant.portal.calls) == 0


@pytest.mark.parametrize(
    ("name", "said"), [("ci_email_consent", "cannot be forced"), ("first_name", "no mapping")]
)
def test_what_nobody_may_force_is_refused(idle: Merchant, name: str, said: str) -> None:
    """An opt-out stands against everybody, and a slip of the finger forces nothing."""
    idle.pin(2)
    with pytest.raises(BadInput, match=said):
        idle.plan(forced=frozenset({name}))


def test_an_approval_without_a_forced_field_is_refused(idle: Merchant) -> None:
    """An ordinary replay writes what the rules allow: there is nothing to approve."""
    with pytest.raises(BadInput, match="--force"):
        _approve(idle, idle.request(), "cli:ada")


def test_a_replay_that_could_not_write_everything_says_so(merchant: Merchant) -> None:
    """Exit code 0 only when it did what it says."""
    merchant.pin(2)
    merchant.tenant.portal.follow(
        FaultRule("partial", "POST", "batch/update", records=("lapsed",), count=0)
    )
    done = merchant.run()
    assert not done.whole
    assert done.failed > 0


def test_an_empty_window_and_an_unknown_type_are_refused(idle: Merchant) -> None:
    """Nothing to do looks like done."""
    with pytest.raises(BadInput, match="empty"):
        idle.request(days=days_between(date(2024, 3, 2), date(2024, 2, 2)))
    with pytest.raises(BadInput, match="no object type 'contacts'"):
        idle.request(object_types=("contacts",))
