"""Properties of ours are made once; mappings to missing ones are refused before any write."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from crm_integration.crms._contract import FieldNeed
from crm_integration.crms.hubspot.adapter import Adapter
from crm_integration.crms.hubspot.client import Client
from crm_integration.crms.hubspot.describe import describe
from crm_integration.errors import DataRejected, MissingScope
from crm_integration_tests.crms.hubspot.portal import Portal, error

KEY = {"name": "ci_key", "type": "string", "hasUniqueValue": True}
EMAIL = {"name": "email", "type": "string"}
MADE = httpx.Response(201, json={})
EXISTS = httpx.Response(409, json=error("OBJECT_ALREADY_EXISTS", "it exists already"))


def listed(*properties: dict[str, Any]) -> httpx.Response:
    return httpx.Response(200, json={"results": list(properties)})


def test_the_key_and_our_fields_are_made_in_the_right_types(adapter: Adapter, portal: Portal):
    """A number stored as text sorts 10 before 9 in every report of the merchant."""
    portal.script = [listed(EMAIL), *[MADE] * 4]
    needs = [
        FieldNeed("email", "text"),
        FieldNeed("ci_total", "number", "Total spent"),
        FieldNeed("ci_guest", "bool"),
    ]
    adapter.prepare("contact", needs)
    made = {body["name"]: body for path, body in portal.calls[1:] if not path.endswith("/groups")}
    assert list(made) == ["ci_key", "ci_total", "ci_guest"]
    assert made["ci_key"]["hasUniqueValue"] is True
    assert (made["ci_total"]["type"], made["ci_total"]["label"]) == ("number", "Total spent")
    assert made["ci_guest"]["fieldType"] == "booleancheckbox"
    assert [option["value"] for option in made["ci_guest"]["options"]] == ["true", "false"]
    assert {body["groupName"] for body in made.values()} == {"crm_integration"}


def test_a_prepared_account_costs_one_call_and_then_none(adapter: Adapter, portal: Portal):
    """Each batch of each run would otherwise ask for 300 properties again."""
    portal.script = [listed(KEY, EMAIL)]
    for _ in range(3):
        adapter.prepare("contact", [FieldNeed("email", "text")])
    assert portal.paths() == ["/crm/v3/properties/contacts"]


def test_two_workers_preparing_at_once_both_go_on(adapter: Adapter, portal: Portal):
    """The slower one meets 409 for what the faster one has just made."""
    portal.script = [listed(EMAIL), EXISTS, EXISTS]
    adapter.prepare("contact", [FieldNeed("email", "text")])
    assert len(portal.calls) == 3


@pytest.mark.parametrize(
    ("there", "need", "said"),
    [
        ([KEY], FieldNeed("loyalty", "text"), "loyalty does not exist"),
        ([{**KEY, "hasUniqueValue": False}], None, "ci_key exists but is not unique"),
        (
            [KEY, {"name": "days", "type": "number", "calculated": True}],
            FieldNeed("days", "number"),
            "days is computed",
        ),
        (
            [KEY, {"name": "ci_total", "type": "string"}],
            FieldNeed("ci_total", "number"),
            "ci_total exists as text, we need number",
        ),
    ],
)
def test_a_field_we_cannot_write_is_refused_before_anything_is_made(
    adapter: Adapter, portal: Portal, there: list[dict[str, Any]], need: FieldNeed | None, said: str
):
    """One misspelt property in a mapping was 100 refused records an hour, for days."""
    portal.script = [listed(*there)]
    with pytest.raises(DataRejected, match=said) as raised:
        adapter.prepare("contact", [need] if need else [])
    assert raised.value.field
    assert len(portal.calls) == 1


def test_a_missing_schema_permission_is_named(adapter: Adapter, portal: Portal):
    """'Forbidden' told the merchant nothing; the scope's name tells which box to tick."""
    scope = {"context": {"requiredGranularScopes": ["crm.schemas.contacts.write"]}}
    refusal = {"category": "MISSING_SCOPES", "errors": [scope]}
    portal.script = [listed(EMAIL), httpx.Response(403, json=refusal)]
    with pytest.raises(MissingScope) as raised:
        adapter.prepare("contact", [])
    assert raised.value.scope == "crm.schemas.contacts.write"


def test_fields_are_described_by_name(client: Client, portal: Portal):
    """The mapping loader checks types against this, for the engine's own object types."""
    stage = {
        "name": "stage",
        "type": "enumeration",
        "fieldType": "select",
        "options": [{"label": "Lead", "value": "lead"}],
    }
    computed = {
        "name": "hs_object_id",
        "type": "number",
        "modificationMetadata": {"readOnlyValue": True},
    }
    portal.script = [listed(KEY, stage, computed)]
    fields = describe(client, "refund")
    assert portal.paths() == ["/crm/v3/properties/notes"]
    assert fields["ci_key"].unique
    assert (fields["stage"].kind, fields["stage"].options) == ("enum", ("lead",))
    assert (fields["hs_object_id"].kind, fields["hs_object_id"].read_only) == ("number", True)
