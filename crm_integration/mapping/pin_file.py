"""Changes one pin in a tenant's file and leaves every other character as it stands.

Prevents the tool that rewrites a file people keep in git: comments gone, keys in another order,
and a diff in which nobody finds the one number that changed.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any, cast

import yaml

from crm_integration.errors import BadMapping
from crm_integration.mapping.load import checked_name
from crm_integration.mapping.tenant_file import TenantConfig, tenant_config

_HEADER = "# yaml-language-server: $schema=../schema/tenant.schema.json\n"


def write_pin(root: Path, tenant: str, crm: str, object_type: str, version: int) -> TenantConfig:
    """Pin `object_type` to `version` in `tenants/<tenant>.yaml`, made anew if there is none.

    The file is replaced as a whole, after the new one was read back as it should be. Raises
    BadMapping for a file that is wrong or written in a way this cannot change, which is then
    left alone.
    """
    checked_name(tenant, "tenant")
    path = root / "tenants" / f"{tenant}.yaml"
    before = tenant_config(root, tenant, crm=crm)
    text = _read(path) if path.exists() else f"{_HEADER}tenant: {tenant}\ncrm: {crm}\n"
    changed = with_pin(text, object_type, version, path=f"tenants/{tenant}.yaml")
    with tempfile.TemporaryDirectory(prefix="pin-") as folder:
        rehearsed = _rehearsed(Path(folder), root, tenant, changed)
        after = tenant_config(rehearsed, tenant, crm=crm)
        expected = {**before.pins, object_type: version}
        if dict(after.pins) != expected or _rest(after) != _rest(before):
            raise BadMapping(f"the pin of {object_type} cannot be changed here",
                             path=f"tenants/{tenant}.yaml", line=1,
                             fix=f"Write {object_type}: {version} below pins by hand.")  # fmt: skip
        _replace(path, changed)
    return after


def with_pin(text: str, object_type: str, version: int, *, path: str = "") -> str:
    """The YAML text with one pin set; everything else stays, character by character."""
    top = cast(Any, yaml).compose(text, Loader=yaml.SafeLoader)
    newline = "\r\n" if "\r\n" in text else "\n"
    entries = {str(key.value): (key, value) for key, value in top.value}
    if "pins" not in entries:
        anchor = entries.get("crm") or entries["tenant"]
        end = _line_end(text, anchor[1].end_mark.index)
        lead = "" if text[:end].endswith("\n") else newline
        return text[:end] + f"{lead}pins: {{{object_type}: {version}}}{newline}" + text[end:]
    key, pins = entries["pins"]
    if not isinstance(pins, yaml.MappingNode):
        raise BadMapping("'pins' holds no keys", path=path, line=key.start_mark.line + 1,
                         fix="Write pins: {} first.")  # fmt: skip
    pinned = {str(name.value): value for name, value in cast(Any, pins).value}
    if object_type in pinned:
        value = pinned[object_type]
        start, end = value.start_mark.index, value.end_mark.index
        return text[:start] + str(version) + text[end:]
    return _added(text, pins, f"{object_type}: {version}", newline)


def _added(text: str, pins: Any, entry: str, newline: str) -> str:
    """Behind the last pin, in the style of the others."""
    last = pins.value[-1] if pins.value else None
    if pins.flow_style or last is None:
        at = last[1].end_mark.index if last else pins.start_mark.index + 1
        return text[:at] + (f", {entry}" if last else entry) + text[at:]
    end = _line_end(text, last[1].end_mark.index)
    indent = " " * last[0].start_mark.column
    lead = "" if text[:end].endswith("\n") else newline
    return text[:end] + f"{lead}{indent}{entry}{newline}" + text[end:]


def _line_end(text: str, index: int) -> int:
    """Behind the line that holds `index`, its comment with it."""
    found = text.find("\n", index)
    return len(text) if found < 0 else found + 1


def _rest(config: TenantConfig) -> tuple[object, ...]:
    """What a pin must not change; an override's line may move by one."""
    overrides = {
        (object_type, name): dict(override.values)
        for object_type, fields in config.overrides.items()
        for name, override in fields.items()
    }
    return (
        *(config.tenant, config.crm, config.stores, overrides),
        *(dict(config.rules), dict(config.settings)),
    )


def _rehearsed(folder: Path, root: Path, tenant: str, text: str) -> Path:
    """A root with the same mappings and the changed file, to read it as every run will."""
    for one in root.iterdir():
        if one.is_dir() and one.name != "tenants" and not one.name.startswith("."):
            (folder / one.name).symlink_to(one.resolve())
    (folder / "tenants").mkdir()
    _write(folder / "tenants" / f"{tenant}.yaml", text)
    return folder


def _replace(path: Path, text: str) -> None:
    """A reader sees the old file or the new one, never half of one."""
    path.parent.mkdir(exist_ok=True)
    beside = path.with_name(f".{path.name}.new")
    _write(beside, text)
    beside.chmod(path.stat().st_mode & 0o777 if path.exists() else 0o644)
    beside.replace(path)


def _read(path: Path) -> str:
    with path.open(encoding="utf-8", newline="") as file:
        return file.read()


def _write(path: Path, text: str) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
