"""What is read is remembered for as long as it stays as it is, and never longer."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

import pytest

from crm_integration.mapping import tenant_file
from crm_integration.mapping.file_state import state_of
from crm_integration.mapping.load import versions
from crm_integration.mapping.tenant_file import tenant_config
from crm_integration_tests.house import MAPPINGS


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Mappings of our own, all of them an hour old."""
    root = Path(shutil.copytree(MAPPINGS, tmp_path / "mappings"))
    (root / "tenants").mkdir(exist_ok=True)
    for path in (root, *root.rglob("*")):
        _age(path)
    return root


def _age(path: Path) -> None:
    hour = time.time() - 3_600
    os.utime(path, (hour, hour))


def test_a_version_that_is_released_while_a_run_lives_is_seen(root: Path) -> None:
    """The run went on with the versions of the hour in which it had begun."""
    folder = root / "hubspot" / "contact"
    known = versions(root, "hubspot", "contact")
    assert versions(root, "hubspot", "contact") == known
    shutil.copy(folder / f"v{known[-1]}.yaml", folder / "v90.yaml")
    assert versions(root, "hubspot", "contact") == (*known, 90)


def test_a_tenants_file_is_parsed_once_and_again_when_it_is_edited(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was parsed for every event of its tenant; or an edit counted only after a restart."""
    path = root / "tenants" / "aurora.yaml"
    path.write_text("tenant: aurora\nsettings: {crm_waits_hours: 5}\n")
    _age(path)
    first = tenant_config(root, "aurora", crm="hubspot")
    monkeypatch.setattr(tenant_file, "read_located", lambda *_: pytest.fail("parsed again"))
    assert tenant_config(root, "aurora", crm="hubspot") is first
    monkeypatch.undo()
    path.write_text("tenant: aurora\nsettings: {crm_waits_hours: 6}\n")
    assert tenant_config(root, "aurora", crm="hubspot").settings == {"crm_waits_hours": 6}
    path.unlink()
    assert tenant_config(root, "aurora", crm="hubspot").settings == {}


def test_what_has_just_changed_is_not_remembered_by_its_time(tmp_path: Path) -> None:
    """Two edits within one step of the file system's clock look the same."""
    path = tmp_path / "file"
    path.write_text("one")
    assert state_of(path) is None
    _age(path)
    assert state_of(path) is not None
    assert state_of(tmp_path / "none") is None
