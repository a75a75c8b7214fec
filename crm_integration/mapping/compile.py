"""Turns a mapping into one plain Python function, generated once and run a million times.

Prevents two failures: interpreting rules per record, which makes a backfill slow, and lifting
anything that is not mapped: the function can only read the paths of its fields.

The code is built as a syntax tree, never as text, from names that were checked against the
canonical view, so nothing a file says can become code.
"""

from __future__ import annotations

import ast
from collections import abc
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, cast
from uuid import UUID

from crm_integration.errors import BadMapping, DataRejected
from crm_integration.mapping.consent_spec import check_together
from crm_integration.mapping.field_spec import field_rule, overridden
from crm_integration.mapping.located import Problems
from crm_integration.mapping.model import (
    CompiledMapping,
    CompiledMatch,
    FieldOverride,
    FieldRule,
    FieldValue,
    Mapping,
    View,
)
from crm_integration.mapping.paths import CanonicalPath, canonical_paths, suggest
from crm_integration.mapping.transforms import TRANSFORMS

Project = abc.Callable[[View], dict[str, FieldValue]]


def compile_mapping(
    mapping: Mapping, overrides: abc.Mapping[str, FieldOverride] | None = None
) -> CompiledMapping:
    """The mapping with a tenant's overrides, ready to run; compiled once a process.

    Raises BadMapping naming the tenant file's line when an override does not fit.
    """
    return _compiled(_Source(mapping.digest, repr(overrides or ""), mapping, overrides or {}))


@dataclass(frozen=True)
class _Source:
    """What is compiled; equal where the file and the overrides are, wherever those lie."""

    digest: str
    overridden: str
    mapping: Mapping = field(compare=False)
    overrides: abc.Mapping[str, FieldOverride] = field(compare=False)


@lru_cache(maxsize=1_024)
def _compiled(source: _Source) -> CompiledMapping:
    mapping, overrides = source.mapping, source.overrides
    fields = _with_overrides(mapping, overrides)
    return CompiledMapping(
        mapping_id=mapping.id,
        digest=mapping.digest,
        object_type=mapping.object_type,
        entity=mapping.entity,
        fields=fields,
        project=_project(fields, mapping.entity),
        associations=_associations(mapping),
        match=_match(mapping),
        overridden=tuple(sorted(overrides)),
    )


def _with_overrides(
    mapping: Mapping, overrides: abc.Mapping[str, FieldOverride]
) -> dict[str, FieldRule]:
    fields = dict(mapping.fields)
    for name, override in overrides.items():
        if name not in fields:
            raise BadMapping(f"{mapping.id} has no field {name!r}", path=override.path,
                             line=override.line, fix=suggest(name, tuple(fields)))  # fmt: skip
        problems = Problems(override.path)
        rule = _overridden_rule(mapping, name, override, problems)
        problems.raise_if_any()
        if rule is not None:
            fields[name] = rule
    _still_together(mapping, fields, overrides)
    return fields


def _still_together(
    mapping: Mapping,
    fields: abc.Mapping[str, FieldRule],
    overrides: abc.Mapping[str, FieldOverride],
) -> None:
    """What is wrong between fields was brought in by an override: the file itself is sound."""
    for _, problem, fix in check_together(fields):
        last = max(overrides.values(), key=lambda override: override.line)
        raise BadMapping(f"{mapping.object_type}: {problem}", path=last.path, line=last.line,
                         fix=fix)  # fmt: skip


def _overridden_rule(
    mapping: Mapping, name: str, override: FieldOverride, problems: Problems
) -> FieldRule | None:
    def complain(key: str, problem: str, fix: str) -> None:
        problems.add(override.line, f"{mapping.object_type}: {problem}", fix)

    spec = overridden(mapping.specs[name], override.values)
    return field_rule(name, spec, entity=mapping.entity, complain=complain)


def _project(fields: abc.Mapping[str, FieldRule], entity: str) -> Project:
    """One generated function for the record, and one per field to name the culprit."""
    fast = cast(Project, _generated(fields, entity))
    alone = {name: cast(Project, _generated({name: rule}, entity)) for name, rule in fields.items()}

    def project(view: View) -> dict[str, FieldValue]:
        try:
            return fast(view)
        except ValueError:
            rejected = _rejected(alone, view)
        # Raised outside the block, so that no value travels in the new error's context.
        raise rejected

    return project


def _rejected(alone: abc.Mapping[str, Project], view: View) -> DataRejected:
    for name, function in alone.items():
        try:
            function(view)
        except ValueError as error:
            return DataRejected(f"field {name!r} cannot be made: {error}. Correct the value in "
                                "the store, or map it.", field=name)  # fmt: skip
    return DataRejected("a field cannot be made", field="")


def _generated(fields: abc.Mapping[str, FieldRule], entity: str) -> Any:
    """`lambda view: {"email": t0(view["email"]), …}` as a compiled function."""
    known = canonical_paths(entity)
    functions: dict[str, Any] = {}
    values: list[ast.expr] = []
    for index, rule in enumerate(fields.values()):
        if rule.transform is None:
            values.append(ast.Constant(rule.value))
            continue
        paths = [known[path] for path in rule.paths]
        functions[f"t{index}"] = TRANSFORMS[rule.transform].build(rule.options, paths)
        values.append(_call(ast.Name(f"t{index}", ast.Load()), [_read(path) for path in paths]))
    body = ast.Dict(keys=[ast.Constant(name) for name in fields], values=values)
    return _function(body, functions)


def _call(function: ast.expr, arguments: list[ast.expr]) -> ast.expr:
    return ast.Call(func=function, args=arguments, keywords=[])


def _read(path: CanonicalPath) -> ast.expr:
    """`view["a"]`, or `None if view["a"] is None else view["a"]["b"]` where `a` may be None."""
    expression: ast.expr = ast.Name("view", ast.Load())
    guards: list[ast.expr] = []
    for position, (step, optional) in enumerate(path.steps):
        expression = ast.Subscript(expression, ast.Constant(step), ast.Load())
        if optional and position < len(path.steps) - 1:
            guards.append(ast.Compare(expression, [ast.Is()], [ast.Constant(None)]))
    for guard in reversed(guards):
        expression = ast.IfExp(guard, ast.Constant(None), expression)
    return expression


def _function(body: ast.expr, names: dict[str, Any]) -> Any:
    arguments = ast.arguments(
        posonlyargs=[], args=[ast.arg("view")], kwonlyargs=[], kw_defaults=[], defaults=[]
    )
    tree = ast.fix_missing_locations(ast.Expression(ast.Lambda(arguments, body)))
    # The tree holds checked names and constants only, and sees no builtins.
    return eval(compile(tree, "<mapping>", "eval"), {"__builtins__": {}, **names})  # noqa: S307


def _associations(mapping: Mapping) -> abc.Callable[[View], tuple[tuple[str, UUID], ...]]:
    known = canonical_paths(mapping.entity)
    readers = [(rule.to, _function(_read(known[rule.path]), {})) for rule in mapping.associations]

    def associations(view: View) -> tuple[tuple[str, UUID], ...]:
        return tuple((to, found) for to, read in readers if (found := read(view)) is not None)

    return associations


def _match(mapping: Mapping) -> CompiledMatch | None:
    if mapping.match is None:
        return None
    read = _function(_read(canonical_paths(mapping.entity)[mapping.match.path]), {})
    return CompiledMatch(field=mapping.match.field, read=read)
