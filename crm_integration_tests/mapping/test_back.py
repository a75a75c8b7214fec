"""Fields of the CRM's own whose values come back."""

from __future__ import annotations

from typing import Any

import pytest

from crm_integration.mapping.compile import compile_mapping
from crm_integration.mapping.field_spec import field_rule
from crm_integration.mapping.load import load_mapping
from crm_integration.mapping.model import FieldOverride
from crm_integration_tests.mapping.views import MAPPINGS

OWN = {"owner": "crm", "rule": "never", "kind": "text", "back": True}


def _problems(**changes: Any) -> list[str]:
    spec = {name: value for name, value in {**OWN, **changes}.items() if value is not None}
    found: list[str] = []
    field_rule("status", spec, entity="customer", complain=lambda key, why, fix: found.append(why))
    return found


def test_a_field_that_only_comes_back_needs_no_source() -> None:
    """Sales' own lead status is nothing that a store could feed."""
    assert _problems() == []
    rule = field_rule("status", OWN, entity="customer", complain=lambda *_: None)
    assert rule is not None
    assert (rule.back, rule.paths, rule.transform, rule.value) == (True, (), None, None)


@pytest.mark.parametrize(
    "changes",
    [
        {"rule": "overwrite", "owner": "store", "value": "x"},
        {"back": False},
        {"back": None},
        {"back": "yes"},
        {"transform": "text"},
        {"from": "email", "transform": "text", "value": "x"},
    ],
)
def test_what_makes_no_sense_is_refused(changes: dict[str, Any]) -> None:
    """A field that comes back and is written would hear its own echo."""
    assert _problems(**changes)


def test_a_tenant_may_want_a_field_back() -> None:
    """And what is written to the CRM stays the same: nothing for that field."""
    mapping = load_mapping(MAPPINGS, "hubspot", "contact", 2)
    change = {"owner": "crm", "rule": "never", "back": True}
    override = FieldOverride(values=change, path="tenants/aurora.yaml", line=3)
    compiled = compile_mapping(mapping, {"phone": override})
    assert compiled.backs == ("phone",)
    assert compile_mapping(mapping).backs == ()
