"""Tenant files: pins, overrides, and what has no place in them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from crm_integration.errors import BadMapping
from crm_integration.mapping.load import versions
from crm_integration.mapping.model import OBJECT_TYPES
from crm_integration.mapping.tenant_file import compiled_mappings, tenant_config
from crm_integration_tests.mapping.views import MAPPINGS, customer


@pytest.fixture
def root(tmp_path: Path) -> Path:
    shutil.copytree(MAPPINGS / "hubspot", tmp_path / "hubspot")
    (tmp_path / "tenants").mkdir()
    return tmp_path


def written(root: Path, text: str) -> Path:
    (root / "tenants" / "shop.yaml").write_text("tenant: shop\n" + text, encoding="utf-8")
    return root


@pytest.mark.parametrize(
    "path", sorted((MAPPINGS / "tenants").glob("*.yaml")), ids=lambda p: p.stem
)
def test_every_tenant_file_here_loads_and_compiles(path: Path) -> None:
    """The demo's three shops, pinned."""
    config = tenant_config(MAPPINGS, path.stem, crm="hubspot")
    compiled = compiled_mappings(MAPPINGS, config)
    assert tuple(compiled) == OBJECT_TYPES
    latest = {name: versions(MAPPINGS, "hubspot", name)[-1] for name in OBJECT_TYPES}
    assert {name: config.pins[name] for name in compiled} == latest


def test_one_tenants_override_leaves_the_other_tenants_alone() -> None:
    """Sales of one shop keep the phone numbers; the two others are filled by the store."""
    rules = {
        name: compiled_mappings(MAPPINGS, tenant_config(MAPPINGS, name, crm="hubspot"))[
            "contact"
        ].fields["phone"]
        for name in ("aurora", "borealis", "cedar")
    }
    assert [rules[name].rule for name in rules] == ["fill_empty", "never", "fill_empty"]


def test_a_tenant_without_a_file_has_the_latest_versions(root: Path) -> None:
    """v10 is newer than v9, whatever the alphabet says."""
    folder = root / "hubspot" / "contact"
    text = (folder / "v1.yaml").read_text(encoding="utf-8")
    for number in (9, 10):
        (folder / f"v{number}.yaml").write_text(
            text.replace("version: 1", f"version: {number}"), encoding="utf-8"
        )
    compiled = compiled_mappings(root, tenant_config(root, "new", crm="hubspot"))
    assert compiled["contact"].mapping_id == "hubspot/contact/v10"
    pinned = tenant_config(
        written(root, "crm: hubspot\npins: {contact: 9}\n"), "shop", crm="hubspot"
    )
    assert compiled_mappings(root, pinned)["contact"].mapping_id == "hubspot/contact/v9"


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("pinns: {contact: 1}\n", 2, "Did you mean 'pins'?"),
        ("crm: hubspott\n", 2, "Did you mean 'hubspot'?"),
        ("pins:\n  contact: 7\n", 3, "There are: 1, 2"),
        ("pins: {contact: true}\n", 2, "no version True"),
        ("pins: {contakt: 1}\n", 2, "Did you mean 'contact'?"),
        ("stores: []\n", 2, "no list"),
        ("stores: [a, a]\n", 2, "different names"),
        ("overrides: {contakt: {phone: {rule: never}}}\n", 2, "Did you mean 'contact'?"),
        ("overrides: [phone]\n", 2, "holds no keys"),
        ("settings: {api_key: x}\n", 2, "looks like a secret"),
        ("settings: {tag: [a]}\n", 2, "no single value"),
    ],
)
def test_a_wrong_tenant_file_is_refused_with_line_and_fix(
    root: Path, text: str, line: int, says: str
) -> None:
    """A misspelled pin that is ignored moves the tenant to the latest version by night."""
    with pytest.raises(BadMapping) as caught:
        tenant_config(written(root, text), "shop", crm="hubspot")
    assert caught.value.line == line
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("override", "says"),
    [("{phon: {rule: never}}", "Did you mean 'phone'?"),
     ("{phone: {owner: crm, rule: overwrite}}", "contradict"),
     ("{phone: {from: total_minor}}", "no path 'total_minor'"),
     ("{phone: {knid: text}}", "Did you mean 'kind'?"),
     ("{ci_email_consent: {rule: overwrite}}", "a consent is not written by rule 'overwrite'"),
     ("{ci_email_consent: {owner: crm, rule: never}}", "is not of rule consent"),
     ("{ci_email_consent: {opt_out: ci_sms_consent}}", "is mapped, too"),
     ("{phone: {opt_out: hs_email_optout}}", "Only consent reads it")],
)  # fmt: skip
def test_an_override_that_does_not_fit_names_the_tenant_files_line(
    root: Path, override: str, says: str
) -> None:
    """The mapping is right; the line to look at is the tenant's."""
    config = tenant_config(
        written(root, f"overrides:\n  contact: {override}\n"), "shop", crm="hubspot"
    )
    with pytest.raises(BadMapping) as caught:
        compiled_mappings(root, config)
    assert str(caught.value).startswith("tenants/shop.yaml:3: ")
    assert says in str(caught.value)


def test_an_override_that_changes_the_source_is_used(root: Path) -> None:
    """One shop keeps company names in the address block."""
    text = "overrides: {contact: {company: {from: billing.city, transform: upper}}}\n"
    config = tenant_config(written(root, text), "shop", crm="hubspot")
    project = compiled_mappings(root, config)["contact"].project
    assert project(customer())["company"] == "BERLIN"


def test_another_tenants_file_under_this_name_is_refused(root: Path) -> None:
    """A copied file that still names its old tenant must not rule the new one."""
    written(root, "")
    (root / "tenants" / "shop.yaml").rename(root / "tenants" / "copy.yaml")
    with pytest.raises(BadMapping, match="Write tenant: copy"):
        tenant_config(root, "copy", crm="hubspot")


def test_a_crm_without_mappings_is_an_error_and_not_an_empty_sync(root: Path) -> None:
    """A sync that maps nothing looks green and writes nothing."""
    with pytest.raises(BadMapping, match="no mappings for CRM 'nocrm'"):
        compiled_mappings(root, tenant_config(root, "new", crm="nocrm"))


def test_a_tenants_name_cannot_leave_the_folder() -> None:
    """Tenant slugs come from people."""
    with pytest.raises(BadMapping, match="no name of a tenant"):
        tenant_config(MAPPINGS, "../tenants/aurora", crm="hubspot")


def test_a_tenants_settings_are_read_before_it_has_a_crm(root: Path) -> None:
    """The first store is connected before the CRM; its options must not wait for it."""
    text = "pins: {contact: 2}\nsettings: {tag: credit}\n"
    config = tenant_config(written(root, text), "shop", crm=None)
    assert (config.settings, config.pins) == ({"tag": "credit"}, {})
    with pytest.raises(BadMapping, match="name another CRM"):
        compiled_mappings(root, config)
    named = tenant_config(written(root, "crm: hubspot\n" + text), "shop", crm=None)
    assert (named.crm, named.pins) == ("hubspot", {"contact": 2})
    assert tenant_config(root, "new", crm=None).settings == {}
