"""Loads a mapping file, or refuses it with every file, line and fix in one go.

Prevents the mapping that loads with a typo and leaves a CRM field empty for a quarter.
"""

from __future__ import annotations

import hashlib
import re
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, cast

from crm_integration.canonical.entities import ENTITIES
from crm_integration.errors import BadMapping
from crm_integration.mapping.consent_spec import check_together
from crm_integration.mapping.field_spec import field_rule
from crm_integration.mapping.file_state import State, state_of
from crm_integration.mapping.located import Located, Problems, read_file, read_located
from crm_integration.mapping.model import (
    OBJECT_TYPES,
    AssociationRule,
    FieldRule,
    Mapping,
    Match,
)
from crm_integration.mapping.paths import canonical_paths, mappable_entities, suggest

_KEYS = ("mapping", "version", "entity", "object", "match", "associations", "fields")
_NEEDED = ("mapping", "version", "entity", "object", "fields")
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
_VERSION_FILE = re.compile(r"v([1-9][0-9]{0,5})\.yaml")


@cache
def load_mapping(root: Path, crm: str, object_type: str, version: int) -> Mapping:
    """`<root>/<crm>/<object_type>/v<version>.yaml`, read once a process (versions never change).

    Raises BadMapping with path, first line and fix; its text lists all that is wrong.
    """
    crm, object_type = checked_name(crm, "CRM"), checked_name(object_type, "object type")
    relative = f"{crm}/{object_type}/v{version}.yaml"
    problems = Problems(relative)
    there = versions(root, crm, object_type)
    fix = f"Released versions: {', '.join(map(str, there)) or 'none'}; pin one of them."
    data = read_file(root / relative, problems, fix=fix)
    return parse_mapping(data, crm=crm, object_type=object_type, version=version)


def versions(root: Path, crm: str, object_type: str) -> tuple[int, ...]:
    """The version numbers there are files for, in ascending order."""
    folder = root / crm / object_type
    state = state_of(folder)
    return _listed(folder) if state is None else _listed_before(folder, state)


def _listed(folder: Path) -> tuple[int, ...]:
    names = (_VERSION_FILE.fullmatch(path.name) for path in folder.glob("v*"))
    return tuple(sorted(int(name.group(1)) for name in names if name))


@lru_cache(maxsize=1_024)
def _listed_before(folder: Path, state: State) -> tuple[int, ...]:
    """As long as the folder is in this state."""
    _ = state
    return _listed(folder)


def object_types(root: Path, crm: str) -> tuple[str, ...]:
    """The object types this CRM has mappings for, in the order in which they are written."""
    return tuple(name for name in OBJECT_TYPES if versions(root, crm, name))


def checked_name(name: str, what: str) -> str:
    """A name that becomes part of a path. Raises BadMapping for anything but `[a-z0-9_-]`."""
    if not _NAME.fullmatch(name):
        raise BadMapping(f"{name[:40]!r} is no name of a {what}", path="mappings", line=1,
                         fix="Use small letters, digits, _ and -.")  # fmt: skip
    return name


def parse_mapping(data: bytes, *, crm: str, object_type: str, version: int) -> Mapping:
    """The mapping in `data`, which claims to be this CRM's, object's and version's file."""
    problems = Problems(f"{crm}/{object_type}/v{version}.yaml")
    top = read_located(data, problems)
    keys = cast(dict[str, Located], top.value)
    _check_keys(top, keys, problems)
    _check_identity(keys, crm=crm, object_type=object_type, version=version, problems=problems)
    entity = _entity(keys["entity"], problems)
    problems.raise_if_any()
    rules, specs = _fields(keys["fields"], entity, problems)
    match = _match(keys.get("match"), entity, rules, problems)
    associations = _associations(keys.get("associations"), entity, problems)
    problems.raise_if_any()
    return Mapping(
        crm=crm,
        object_type=object_type,
        version=version,
        entity=entity,
        digest=hashlib.sha256(data).hexdigest(),
        path=problems.path,
        fields=rules,
        specs=specs,
        match=match,
        associations=associations,
    )


def _check_keys(top: Located, keys: dict[str, Located], problems: Problems) -> None:
    for key in keys:
        if key not in _KEYS:
            problems.add(top.line_of(key), f"unknown key {key!r}", suggest(key, _KEYS))
    for key in _NEEDED:
        if key not in keys:
            problems.add(1, f"the key {key!r} is missing", "See mappings/README.md for the shape.")
    problems.raise_if_any()


def _check_identity(
    keys: dict[str, Located], *, crm: str, object_type: str, version: int, problems: Problems
) -> None:
    """A file copied for v2 that still says version 1 would be pinned under two numbers."""
    for key, wanted in (
        ("mapping", f"{crm}/{object_type}"), ("version", version), ("object", object_type),
    ):  # fmt: skip
        given = keys[key].value
        if given != wanted or isinstance(given, bool):
            problems.add(keys[key].line, f"{key} {given!r} does not fit the file's place",
                         f"Write {key}: {wanted}, or move the file.")  # fmt: skip
    if object_type not in OBJECT_TYPES:
        problems.add(keys["object"].line, f"unknown object type {object_type!r}",
                     suggest(object_type, OBJECT_TYPES))  # fmt: skip


def _entity(node: Located, problems: Problems) -> str:
    entity = str(node.value)
    known = mappable_entities()
    if entity in ENTITIES and entity not in known:
        problems.add(node.line, f"entity {entity!r} has no view of its own",
                     "What is known of it shows on the objects it belongs to: map one of "
                     f"{', '.join(known)}.")  # fmt: skip
    elif entity not in known:
        problems.add(node.line, f"unknown entity {entity!r}", suggest(entity, known))
    return entity


def _fields(
    node: Located, entity: str, problems: Problems
) -> tuple[dict[str, FieldRule], dict[str, dict[str, Any]]]:
    rules: dict[str, FieldRule] = {}
    specs: dict[str, dict[str, Any]] = {}
    if not isinstance(node.value, dict) or not node.value:
        problems.add(node.line, "'fields' holds no fields", "List at least one CRM field.")
        return rules, specs
    for name, item in node.value.items():
        if not isinstance(item.value, dict):
            problems.add(item.line, f"field {name!r} has no keys", "Write from, owner, rule, kind.")
            continue
        spec = cast(dict[str, Any], item.plain())
        rule = field_rule(name, spec, entity=entity, complain=_at(item, problems))
        if rule is not None:
            rules[name], specs[name] = rule, spec
    for name, problem, fix in check_together(rules):
        problems.add(node.line_of(name), problem, fix)
    return rules, specs


def _at(item: Located, problems: Problems) -> Any:
    def complain(key: str, problem: str, fix: str) -> None:
        problems.add(item.line_of(key), problem, fix)

    return complain


def _texts(node: Located, wanted: tuple[str, ...], problems: Problems) -> tuple[str, ...] | None:
    """The values of exactly these keys, all text."""
    if isinstance(node.value, dict) and set(node.value) == set(wanted):
        values = [node.value[key].value for key in wanted]
        if all(isinstance(value, str) for value in values):
            return tuple(str(value) for value in values)
    problems.add(node.line, f"this takes the keys {', '.join(wanted)}", "Give exactly these.")
    return None


def _path_of(path: str, kinds: set[str], node: Located, entity: str, problems: Problems) -> None:
    known = canonical_paths(entity)
    if path not in known or known[path].kind not in kinds:
        fitting = tuple(name for name, found in known.items() if found.kind in kinds)
        problems.add(node.line, f"{path!r} is no {'/'.join(sorted(kinds))} of entity {entity!r}",
                     suggest(path, fitting))  # fmt: skip


def _match(
    node: Located | None, entity: str, rules: dict[str, FieldRule], problems: Problems
) -> Match | None:
    values = None if node is None else _texts(node, ("field", "path"), problems)
    if node is None or values is None:
        return None
    _path_of(values[1], {"text"}, node, entity, problems)
    if values[0] not in rules and not len(problems):
        problems.add(node.line, f"match field {values[0]!r} is not mapped",
                     suggest(values[0], tuple(rules)))  # fmt: skip
    return Match(*values)


def _associations(
    node: Located | None, entity: str, problems: Problems
) -> tuple[AssociationRule, ...]:
    if node is None:
        return ()
    if not isinstance(node.value, list):
        problems.add(node.line, "'associations' is no list", "Write a list of {to, path}.")
        return ()
    found: list[AssociationRule] = []
    for item in node.value:
        values = _texts(item, ("to", "path"), problems)
        if values is None:
            continue
        if values[0] not in OBJECT_TYPES:
            problems.add(item.line, f"unknown object type {values[0]!r}",
                         suggest(values[0], OBJECT_TYPES))  # fmt: skip
        _path_of(values[1], {"uuid"}, item, entity, problems)
        found.append(AssociationRule(*values))
    return tuple(found)
