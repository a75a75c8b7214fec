"""Turns one field as written into a rule, or says everything that is wrong with it.

Prevents an override from slipping past the checks: a mapping's field and a tenant's changed
field go through this one door.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, cast

from crm_integration.mapping.consent_spec import FIELD_NAME, Complain, check_paths, check_words
from crm_integration.mapping.model import CRM_KINDS, OWNERS, RULES, FieldRule
from crm_integration.mapping.paths import CanonicalPath, canonical_paths, suggest
from crm_integration.mapping.transforms import GIVES, TRANSFORMS, OptionProblem, Transform

KEYS = ("from", "value", "transform", "options", "owner", "rule", "order", "opt_out", "consent",
        "kind", "required", "label", "back")  # fmt: skip
_SELF_ORDERED = frozenset({"number", "datetime", "date"})
_ONLY_OF = {
    "order": "never_regress",
    "opt_out": "consent",
    "consent": "with_consent",
    "back": "never",
}
"""A key that only one rule reads."""
_CONSTANTS: dict[str, type | tuple[type, ...]] = {"bool": bool, "number": (int, float)}


def field_rule(
    name: str, spec: Mapping[str, Any], *, entity: str, complain: Complain
) -> FieldRule | None:
    """The rule of one field, or None after `complain` was called for each problem."""
    found = 0

    def note(key: str, problem: str, fix: str) -> None:
        nonlocal found
        found += 1
        complain(key, f"field {name!r}: {problem}", fix)

    _check_words(name, spec, note)
    if found:
        return None
    _check_order(spec, note)
    check_words(spec, note)
    if "value" in spec:
        _check_constant(spec, note)
    elif "from" in spec:
        _check_source(spec, entity, note)
    elif "transform" in spec or "options" in spec:
        note("transform", "there is no 'from' to transform", "Remove it, or give a path.")
    return None if found else _built(name, spec)


def overridden(spec: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    """A field's spec with a tenant's keys put over it; what no longer belongs is dropped."""
    gone: set[str] = set()
    if "value" in change:
        gone |= {"from", "transform", "options"}
    if "from" in change:
        gone.add("value")
    if "transform" in change:
        gone.add("options")
    gone |= {key for key, rule in _ONLY_OF.items() if change.get("rule", rule) != rule}
    return {**{key: value for key, value in spec.items() if key not in gone}, **change}


def _check_words(name: str, spec: Mapping[str, Any], note: Complain) -> None:
    if not FIELD_NAME.fullmatch(name):
        note("", "is not a CRM field name", "Use letters, digits and underscores.")
    for key in spec:
        if key not in KEYS:
            note(key, f"unknown key {key!r}", suggest(key, KEYS))
    for key, known in (("owner", OWNERS), ("rule", tuple(RULES)), ("kind", CRM_KINDS)):
        word = spec.get(key)
        if word is None:
            note(key, f"{key!r} is missing", f"Give one of: {', '.join(known)}.")
        elif word not in known:
            note(key, f"unknown {key} {word!r}", suggest(str(word), known))
    for key, kind in (("required", bool), ("label", str), ("options", dict), ("order", list),
                      ("opt_out", str), ("consent", str), ("back", bool)):  # fmt: skip
        if key in spec and not isinstance(spec[key], kind):
            note(key, f"{key!r} is no {kind.__name__}", f"Give a {kind.__name__} or leave it out.")
    fed = [key for key in ("from", "value") if key in spec]
    # A value that only comes back from the CRM is fed by nothing.
    if len(fed) > 1 or (not fed and spec.get("back") is not True):
        note("from", "needs 'from' or 'value', and only one", "Give a path, or a constant.")


def _check_order(spec: Mapping[str, Any], note: Complain) -> None:
    rule, owner, order = spec["rule"], spec["owner"], spec.get("order", [])
    if owner not in RULES[rule]:
        note("owner", f"rule {rule!r} and owner {owner!r} contradict each other",
             f"Use owner {RULES[rule][0]!r} or another rule.")  # fmt: skip
    for key, reader in _ONLY_OF.items():
        if key in spec and rule != reader:
            note(key, f"{key!r} has no meaning here", f"Only {reader} reads it.")
    if rule != "never_regress":
        return
    if not order and spec["kind"] not in _SELF_ORDERED:
        note("rule", "never_regress needs 'order'", "List the values from first to last.")
    if len(set(map(str, order))) != len(order) or not all(isinstance(item, str) for item in order):
        note("order", "'order' holds a value twice or one that is no text", "Correct the list.")


def _check_constant(spec: Mapping[str, Any], note: Complain) -> None:
    for key in ("transform", "options"):
        if key in spec:
            note(key, f"a constant has no {key!r}", "Remove it, or use 'from'.")
    value, wanted = spec["value"], _CONSTANTS.get(spec["kind"], str)
    if not isinstance(value, wanted) or (spec["kind"] == "number" and not _is_number(value)):
        note("value", f"the constant is no {spec['kind']}", "Write it in the field's own kind.")


def _is_number(value: Any) -> bool:
    """YAML reads .nan and .inf as numbers, and Python a bool as one."""
    return not isinstance(value, bool) and math.isfinite(value)


def _check_source(spec: Mapping[str, Any], entity: str, note: Complain) -> None:
    paths = _known_paths(spec, entity, note)
    transform = TRANSFORMS.get(str(spec.get("transform")))
    if transform is None:
        note("transform", f"unknown transform {spec.get('transform')!r}",
             suggest(str(spec.get("transform")), tuple(TRANSFORMS)))  # fmt: skip
    if paths is None or transform is None:
        return
    if _arguments_fit(transform, paths, note) and _options_fit(transform, spec, note):
        try:
            transform.build(spec.get("options", {}), paths)
        except OptionProblem as error:
            problem, _, fix = str(error).partition(". ")
            note("options", problem, fix)
    if spec["kind"] not in GIVES[transform.gives]:
        fits = sorted(GIVES[transform.gives])
        note("kind", f"transform {transform.name!r} does not give kind {spec['kind']!r}",
             f"Use kind {' or '.join(fits)}, or another transform.")  # fmt: skip
    _targets_in_order(spec, note)
    check_paths(spec, paths, note)


def _known_paths(
    spec: Mapping[str, Any], entity: str, note: Complain
) -> list[CanonicalPath] | None:
    known = canonical_paths(entity)
    wanted = paths_of(spec)
    for path in wanted:
        if path not in known:
            note("from", f"entity {entity!r} has no path {path!r}", suggest(path, tuple(known)))
    if not wanted:
        note("from", "'from' is empty", "Give a path or a list of paths.")
    return [known[path] for path in wanted] if wanted and set(wanted) <= set(known) else None


def _arguments_fit(transform: Transform, paths: list[CanonicalPath], note: Complain) -> bool:
    most = len(paths) if transform.repeats else len(transform.takes)
    if not transform.least <= len(paths) <= most:
        note("from", f"transform {transform.name!r} does not take {len(paths)} paths",
             f"Give {transform.least} to {len(transform.takes)}.")  # fmt: skip
        return False
    fits = True
    for index, path in enumerate(paths):
        accepted = transform.takes[min(index, len(transform.takes) - 1)]
        if path.kind not in accepted:
            fits = False
            note("from", f"transform {transform.name!r} does not take {path.path!r} ({path.kind})",
                 f"It takes: {', '.join(sorted(accepted))}.")  # fmt: skip
    return fits


def _options_fit(transform: Transform, spec: Mapping[str, Any], note: Complain) -> bool:
    options = cast(dict[str, Any], spec.get("options", {}))
    fits = True
    for name, value in options.items():
        wanted = transform.options.get(name)
        if wanted is None or not isinstance(value, wanted) or isinstance(value, bool):
            fits = False
            note("options", f"option {name!r} is unknown to {transform.name!r} or of another type",
                 f"It knows: {', '.join(f'{k} ({t.__name__})' for k, t in transform.options.items()) or 'none'}.")  # fmt: skip # noqa: E501
    for name in sorted(transform.needs - set(options)):
        fits = False
        note("transform", f"{transform.name!r} needs the option {name!r}", "Put it in 'options'.")
    return fits


def _targets_in_order(spec: Mapping[str, Any], note: Complain) -> None:
    """A target outside `order` would never be written, silently."""
    options: dict[str, Any] = spec.get("options", {})
    if spec["rule"] != "never_regress" or spec.get("transform") != "enum_map":
        return
    table: Any = options.get("map")
    if not isinstance(table, dict):
        return
    targets = {str(target) for target in cast(dict[str, Any], table).values()}
    outside = sorted(targets - {str(item) for item in spec.get("order", [])})
    if spec.get("order") and outside:
        note("order", f"'order' does not hold the mapped values {outside}", "Add them in place.")


def paths_of(spec: Mapping[str, Any]) -> tuple[str, ...]:
    """The paths of `from`, written as one path or as a list."""
    source = spec.get("from")
    items = cast(list[Any], source) if isinstance(source, list) else [source]
    return tuple(str(item) for item in items if item is not None)


def _built(name: str, spec: Mapping[str, Any]) -> FieldRule:
    return FieldRule(
        name=name,
        kind=spec["kind"],
        owner=spec["owner"],
        rule=spec["rule"],
        paths=paths_of(spec),
        transform=spec.get("transform"),
        options=dict(spec.get("options", {})),
        order=tuple(spec.get("order", ())),
        value=spec.get("value"),
        required=spec.get("required", False),
        label=spec.get("label", ""),
        opt_out=spec.get("opt_out", ""),
        consent=spec.get("consent", ""),
        back=spec.get("back", False),
    )
