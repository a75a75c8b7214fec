"""A pin changes one number in a file that people wrote."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from crm_integration.errors import BadMapping
from crm_integration.mapping.pin_file import with_pin, write_pin
from crm_integration.mapping.tenant_file import tenant_config
from crm_integration_tests.mapping.views import MAPPINGS

FLOW = """\
# Sales keep the phone numbers.
tenant: acme   # since 2024
crm: hubspot
pins: {company: 1, contact: 1, order: 2}  # moved one by one
stores: [main]
overrides:
  contact:
    phone: {owner: crm, rule: never}
"""
BLOCK = """\
tenant: acme
crm: hubspot
pins:
  # contacts wait for the new fields
  contact: 1   # until March
  order: 2

stores: [main]
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The released mappings, and no tenant so far."""
    shutil.copytree(MAPPINGS / "hubspot", tmp_path / "hubspot")
    (tmp_path / "tenants").mkdir()
    return tmp_path


@pytest.mark.parametrize("text", [FLOW, BLOCK, FLOW.replace("\n", "\r\n")])
def test_one_number_changes_and_nothing_else(root: Path, text: str) -> None:
    """A rewritten file hides its one change among forty."""
    path = root / "tenants" / "acme.yaml"
    path.write_bytes(text.encode())
    path.chmod(0o640)
    after = write_pin(root, "acme", "hubspot", "contact", 2)
    assert path.read_bytes().decode() == text.replace("contact: 1", "contact: 2")
    assert after.pins["contact"] == 2
    assert path.stat().st_mode & 0o777 == 0o640
    assert sorted(one.name for one in (root / "tenants").iterdir()) == ["acme.yaml"]


def test_a_new_pin_joins_the_others_in_their_style() -> None:
    """Behind the last one, in one line or on one of its own."""
    assert "order: 2, cart: 1}  # moved" in with_pin(FLOW, "cart", 1)
    assert "  order: 2\n  cart: 1\n\nstores" in with_pin(BLOCK, "cart", 1)
    assert "pins: {cart: 1}\n" in with_pin("tenant: acme\npins: {}\n", "cart", 1)


def test_a_file_without_pins_gets_them_below_its_crm() -> None:
    """Where a reader looks for them."""
    given = with_pin("tenant: acme\ncrm: hubspot # theirs\nstores: [main]\n", "contact", 2)
    assert given == "tenant: acme\ncrm: hubspot # theirs\npins: {contact: 2}\nstores: [main]\n"
    assert with_pin("tenant: acme", "contact", 2) == "tenant: acme\npins: {contact: 2}\n"


def test_a_tenant_without_a_file_gets_one(root: Path) -> None:
    """The default is the newest version; a pin is the first thing that differs."""
    write_pin(root, "acme", "hubspot", "contact", 1)
    config = tenant_config(root, "acme", crm=None)
    assert (config.crm, dict(config.pins)) == ("hubspot", {"contact": 1})


def test_a_version_that_does_not_exist_leaves_the_file_alone(root: Path) -> None:
    """Found out before the night, and nothing half-done."""
    path = root / "tenants" / "acme.yaml"
    path.write_text(FLOW)
    with pytest.raises(BadMapping, match="no version 7"):
        write_pin(root, "acme", "hubspot", "contact", 7)
    assert path.read_text() == FLOW


def test_pins_that_are_no_mapping_are_refused_with_their_line(root: Path) -> None:
    """`pins:` with nothing behind it."""
    (root / "tenants" / "acme.yaml").write_text("tenant: acme\npins:\n")
    with pytest.raises(BadMapping, match=r"acme\.yaml:2"):
        write_pin(root, "acme", "hubspot", "contact", 1)
