"""A tenant's choices: pinned versions, order of stores, single fields, options.

Prevents the fork of a mapping per merchant: what differs is one short file, checked as
strictly as the mapping it changes. Secrets have no place in it.
"""

from __future__ import annotations

import re
from collections import abc
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

from crm_integration.errors import BadMapping
from crm_integration.mapping.compile import compile_mapping
from crm_integration.mapping.file_state import State, state_of
from crm_integration.mapping.load import checked_name, load_mapping, object_types, versions
from crm_integration.mapping.located import Located, Problems, Scalar, read_file, read_located
from crm_integration.mapping.model import OBJECT_TYPES, CompiledMapping, FieldOverride
from crm_integration.mapping.paths import suggest

_KEYS = ("tenant", "crm", "pins", "stores", "overrides", "rules", "settings")
NO_CRM = ""
"""`TenantConfig.crm` of a tenant without a CRM so far."""

_SECRET = re.compile(r"secret|token|password|api_?key|consumer_?key|credential", re.IGNORECASE)


@dataclass(frozen=True)
class TenantConfig:
    """One tenant's file, or the defaults. `stores`: the connections of several stores, the one
    that wins first; it decides field by field, a store without a value leaves it to the next.

    `rules` are options of data-quality rules and `settings` of the connection; both are checked
    by the rooms that read them. `pins` holds only what the file pins.
    """

    tenant: str
    crm: str
    pins: abc.Mapping[str, int] = field(default_factory=lambda: dict[str, int]())
    stores: tuple[str, ...] = ()
    overrides: abc.Mapping[str, abc.Mapping[str, FieldOverride]] = field(
        default_factory=lambda: dict[str, dict[str, FieldOverride]]()
    )
    rules: abc.Mapping[str, Scalar] = field(default_factory=lambda: dict[str, Scalar]())
    settings: abc.Mapping[str, Scalar] = field(default_factory=lambda: dict[str, Scalar]())


def tenant_config(root: Path, tenant: str, *, crm: str | None) -> TenantConfig:
    """The tenant's file below `root`, or the defaults (CRM `crm`, latest versions, no override).

    `crm` is the CRM the tenant is connected to; None where none is so far, such as while its
    first store is connected: then pins are not checked and nothing can be compiled, unless the
    file names its CRM. Raises BadMapping with path, line and fix.
    """
    checked_name(tenant, "tenant")
    crm = NO_CRM if crm is None else checked_name(crm, "CRM")
    state = state_of(_path(root, tenant))
    if state is None:
        return _read(root, tenant, crm)
    return _read_before(root, tenant, crm, state)


def _path(root: Path, tenant: str) -> Path:
    return root / "tenants" / f"{tenant}.yaml"


def _read(root: Path, tenant: str, crm: str) -> TenantConfig:
    path = _path(root, tenant)
    if not path.exists():
        return TenantConfig(tenant=tenant, crm=crm)
    problems = Problems(f"tenants/{tenant}.yaml")
    data = read_file(path, problems, fix="Make it readable, or remove it to use the defaults.")
    return _parsed(read_located(data, problems), root, tenant, crm, problems)


@lru_cache(maxsize=1_024)
def _read_before(root: Path, tenant: str, crm: str, state: State) -> TenantConfig:
    """As long as the file is in this state."""
    _ = state
    return _read(root, tenant, crm)


def compiled_mappings(root: Path, config: TenantConfig) -> dict[str, CompiledMapping]:
    """Object type -> its compiled mapping, at the pinned version or the latest there is.

    Raises BadMapping for a pin without a file, an override that does not fit, a broken mapping.
    """
    compiled: dict[str, CompiledMapping] = {}
    for object_type in object_types(root, config.crm):
        version = config.pins.get(object_type, versions(root, config.crm, object_type)[-1])
        mapping = load_mapping(root, config.crm, object_type, version)
        compiled[object_type] = compile_mapping(mapping, config.overrides.get(object_type))
    if not compiled:
        raise BadMapping(f"there are no mappings for CRM {config.crm!r}", path=f"{config.crm}/",
                         line=1, fix="Add <object>/v1.yaml, or name another CRM.")  # fmt: skip
    return compiled


def _parsed(
    top: Located, root: Path, tenant: str, default_crm: str, problems: Problems
) -> TenantConfig:
    keys = cast(dict[str, Located], top.value)
    for key in keys:
        if key not in _KEYS:
            problems.add(top.line_of(key), f"unknown key {key!r}", suggest(key, _KEYS))
    name = keys.get("tenant")
    if name is None or name.value != tenant:
        problems.add(top.line_of("tenant"), "'tenant' is not the file's name",
                     f"Write tenant: {tenant}, or rename the file.")  # fmt: skip
    crm = _crm(keys.get("crm"), root, default_crm, problems)
    config = TenantConfig(
        tenant=tenant,
        crm=crm,
        pins=_pins(keys.get("pins"), root, crm, problems),
        stores=_stores(keys.get("stores"), problems),
        overrides=_overrides(keys.get("overrides"), problems),
        rules=_scalars(keys.get("rules"), "rules", problems),
        settings=_scalars(keys.get("settings"), "settings", problems),
    )
    problems.raise_if_any()
    return config


def _crm(node: Located | None, root: Path, default: str, problems: Problems) -> str:
    if node is None:
        return default
    folders = (path.name for path in root.iterdir() if path.is_dir())
    known = tuple(sorted(name for name in folders if object_types(root, name)))
    if node.value not in known:
        problems.add(node.line, f"no mappings for CRM {node.value!r}",
                     suggest(str(node.value), known))  # fmt: skip
        return default
    return str(node.value)


def _block(node: Located | None, what: str, problems: Problems) -> dict[str, Located]:
    if node is None:
        return {}
    if not isinstance(node.value, dict):
        problems.add(node.line, f"{what!r} holds no keys", "Write `key: value` lines below it.")
        return {}
    return node.value


def _pins(node: Located | None, root: Path, crm: str, problems: Problems) -> dict[str, int]:
    pins: dict[str, int] = {}
    for object_type, item in _block(node, "pins", problems).items():
        if object_type not in OBJECT_TYPES:
            problems.add(item.line, f"unknown object type {object_type!r}",
                         suggest(object_type, OBJECT_TYPES))  # fmt: skip
            continue
        there = versions(root, crm, object_type)
        if crm == NO_CRM and type(item.value) is int:
            continue
        if type(item.value) is not int or item.value not in there:
            problems.add(item.line, f"no version {item.value!r} of {crm}/{object_type}",
                         f"There are: {', '.join(map(str, there)) or 'none'}.")  # fmt: skip
            continue
        pins[object_type] = item.value
    return pins


def _stores(node: Located | None, problems: Problems) -> tuple[str, ...]:
    if node is None:
        return ()
    names: list[Any] = node.plain() if isinstance(node.value, list) else []
    if (
        not names
        or not all(isinstance(name, str) for name in names)
        or len(set(names)) < len(names)
    ):
        problems.add(node.line, "'stores' is no list of different names",
                     "List the stores, the one that wins first.")  # fmt: skip
        return ()
    return tuple(names)


def _overrides(node: Located | None, problems: Problems) -> dict[str, dict[str, FieldOverride]]:
    found: dict[str, dict[str, FieldOverride]] = {}
    for object_type, fields in _block(node, "overrides", problems).items():
        if object_type not in OBJECT_TYPES:
            problems.add(fields.line, f"unknown object type {object_type!r}",
                         suggest(object_type, OBJECT_TYPES))  # fmt: skip
            continue
        found[object_type] = {
            name: FieldOverride(values=item.plain(), path=problems.path, line=item.line)
            for name, item in _block(fields, object_type, problems).items()
            if _block(item, name, problems)
        }
    return found


def _scalars(node: Located | None, what: str, problems: Problems) -> dict[str, Scalar]:
    found: dict[str, Scalar] = {}
    for name, item in _block(node, what, problems).items():
        if isinstance(item.value, (dict, list)):
            problems.add(item.line, f"{name!r} is no single value", "Give one text or number.")
        elif _SECRET.search(name):
            problems.add(item.line, f"{name!r} looks like a secret",
                         "Keep it in the vault: crm-integration credentials.")  # fmt: skip
        else:
            found[name] = item.value
    return found
