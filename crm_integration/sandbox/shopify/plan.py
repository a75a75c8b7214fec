"""Turns a GraphQL operation into a plan: every field known, every argument read, before it runs.

Prevents the failure of a lenient emulator: what Shopify's schema would refuse (an unknown field,
argument or enum value, a missing selection) is refused here with the same words and codes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionSetNode,
    Undefined,
    VariableNode,
    value_from_ast_untyped,
)

from crm_integration.sandbox.shopify import refusals
from crm_integration.sandbox.shopify.call import Call, Operation
from crm_integration.sandbox.shopify.listing import BadPage, Page
from crm_integration.sandbox.shopify.types import Field, FieldTable, plain

Json = dict[str, Any]
Path = tuple[str | int, ...]
_TYPENAME = plain("String!", lambda one: one)
#: Interfaces whose fields an object may be asked for by their name.
INTERFACES = {"Node", "LegacyInteroperability"}


@dataclass(slots=True)
class Planned:
    """One field of an answer; `children` are its selections (of every type, if it has several)."""

    key: str
    spec: Field
    node: FieldNode
    call: Call
    type_name: str
    path: Path = ()
    selections: dict[str, list[Planned]] = field(default_factory=dict[str, "list[Planned]"])
    page: Page | None = None
    largest: int = 0
    denied: str = ""

    @property
    def name(self) -> str:
        return self.node.name.value

    @property
    def base(self) -> str:
        return self.spec.base

    @property
    def is_object(self) -> bool:
        return bool(self.selections)

    @property
    def page_size(self) -> int | None:
        if not self.spec.is_connection:
            return None
        return self.page.size if self.page else 0

    @property
    def ids(self) -> int | None:
        held = self.call.args.get("ids") if self.base == "Node" and self.spec.is_list else None
        return len(cast(list[Any], held)) if isinstance(held, list) else None

    @property
    def children(self) -> list[Planned]:
        return [one for selection in self.selections.values() for one in selection]


@dataclass(frozen=True, slots=True)
class Tables:
    """All that can be asked for: fields by type, enum values by enum, members of an interface."""

    types: Mapping[str, FieldTable]
    enums: Mapping[str, frozenset[str]]
    unions: Mapping[str, tuple[str, ...]]


class Planner:
    """Plans one operation; refusals are gathered, so that all are told at once."""

    def __init__(
        self,
        tables: Tables,
        document: DocumentNode,
        operation: Operation,
        variables: Mapping[str, Any],
        *,
        paged: bool = True,
    ) -> None:
        self._tables, self._operation, self._paged = tables, operation, paged
        self._variables = dict(variables)
        self._declared: set[str] = set()
        self._fragments = {
            one.name.value: one
            for one in document.definitions
            if isinstance(one, FragmentDefinitionNode)
        }
        self.errors: list[Json] = []

    def plan(self, definition: OperationDefinitionNode) -> list[Planned]:
        """The root fields.

        Raises:
            Refused: anything in it is not to be had.
        """
        self._declare(definition)
        kind = definition.operation.value
        root = {"query": "QueryRoot", "mutation": "Mutation"}.get(kind, "")
        named = f"{kind} {definition.name.value}" if definition.name else kind
        planned = self._selection(root, [definition.selection_set], (named,), ())
        if self.errors:
            raise refusals.Refused(self.errors)
        return planned

    def _declare(self, definition: OperationDefinitionNode) -> None:
        for one in definition.variable_definitions:
            name = one.variable.name.value
            self._declared.add(name)
            if name not in self._variables and one.default_value is not None:
                self._variables[name] = value_from_ast_untyped(one.default_value)
            if one.type.kind == "non_null_type" and self._variables.get(name) is None:
                self.errors.append(refusals.error(
                    f"Variable ${name} of type {_type_text(one.type)} was provided invalid value",
                    one, None,
                    {"code": "INVALID_VARIABLE", "value": None,
                     "problems": [{"path": [], "explanation": "Expected value to not be null"}]},
                ))  # fmt: skip

    def _selection(
        self, type_name: str, sets: Iterable[SelectionSetNode], asked: Path, path: Path
    ) -> list[Planned]:
        """Every field of one concrete type, merged by its key in the answer."""
        gathered: dict[str, list[FieldNode]] = {}
        for one in sets:
            self._gather(type_name, one, gathered, asked)
        planned = [self._field(type_name, key, nodes, asked, path)
                   for key, nodes in gathered.items()]  # fmt: skip
        return [one for one in planned if one is not None]

    def _gather(
        self,
        type_name: str,
        selection: SelectionSetNode,
        gathered: dict[str, list[FieldNode]],
        asked: Path,
    ) -> None:
        for one in selection.selections:
            if not self._wanted(one):
                continue
            if isinstance(one, FieldNode):
                key = one.alias.value if one.alias else one.name.value
                gathered.setdefault(key, []).append(one)
                continue
            held = one
            if isinstance(one, FragmentSpreadNode):
                held = self._fragments.get(one.name.value)
                if held is None:
                    message = f"Fragment {one.name.value} was used, but not defined"
                    extensions = {"code": "useAndDefineFragment", "fragmentName": one.name.value}
                    self.errors.append(refusals.error(message, one, asked, extensions))
                    continue
            fragment = cast(InlineFragmentNode | FragmentDefinitionNode, held)
            if self._applies(type_name, fragment, asked):
                self._gather(type_name, fragment.selection_set, gathered, asked)

    def _applies(
        self, type_name: str, fragment: InlineFragmentNode | FragmentDefinitionNode, asked: Path
    ) -> bool:
        condition = cast(Any, fragment).type_condition
        if condition is None:
            return True
        wanted = condition.name.value
        if wanted not in self._tables.types and wanted not in INTERFACES:
            message = f"No such type {wanted}, so it can't be a fragment condition"
            extensions = {"code": "undefinedType", "typeName": wanted}
            self.errors.append(refusals.error(message, condition, asked, extensions))
        return wanted == type_name or wanted in INTERFACES

    def _wanted(self, node: Any) -> bool:
        for directive in node.directives:
            asked = self._arguments(directive).get("if")
            if directive.name.value == "skip" and asked:
                return False
            if directive.name.value == "include" and not asked:
                return False
        return True

    def _arguments(self, node: Any) -> Json:
        read: Json = {}
        for one in node.arguments:
            if isinstance(one.value, VariableNode) and one.value.name.value not in self._declared:
                name = one.value.name.value
                message = f"Variable ${name} is used but not declared"
                extensions = {"code": "variableNotDefined", "variableName": name}
                self.errors.append(refusals.error(message, one, None, extensions))
            value = value_from_ast_untyped(one.value, self._variables)
            if value is not Undefined:
                read[one.name.value] = value
        return read

    def _field(
        self, type_name: str, key: str, nodes: Sequence[FieldNode], asked: Path, path: Path
    ) -> Planned | None:
        node, name = nodes[0], nodes[0].name.value
        if name == "__typename":
            return Planned(key, _TYPENAME, node, Call(self._operation, {}), type_name)
        asked, path = (*asked, key), (*path, key)
        spec = self._tables.types[type_name].get(name)
        if spec is None:
            self.errors.append(refusals.undefined_field(node, asked, type_name, name))
            return None
        args = self._checked_arguments(spec, node, asked)
        planned = Planned(key, spec, node, Call(self._operation, args, path), type_name, path)
        if spec.scope and spec.scope not in self._operation.scopes:
            planned.denied = spec.scope
        if spec.is_connection and self._paged and not self.errors:
            planned.page = self._page(planned)
        self._descend(planned, [one.selection_set for one in nodes if one.selection_set], asked)
        return planned

    def _page(self, planned: Planned) -> Page:
        try:
            return Page.of(planned.call.args)
        except BadPage as wrong:
            raise refusals.bad_request(str(wrong), planned.node, planned.path) from wrong

    def _descend(self, planned: Planned, sets: list[SelectionSetNode], asked: Path) -> None:
        members = self._members(planned.base)
        if bool(members) != bool(sets):
            self.errors.append(refusals.selection_mismatch(
                planned.node, asked, planned.name, planned.base, leaf=not members))  # fmt: skip
            return
        if planned.base in self._tables.unions:
            self._only_shared(planned.base, sets, asked)
        inner = (*planned.path, 0) if planned.spec.is_list else planned.path
        for member in members:
            planned.selections[member] = self._selection(member, sets, asked, inner)

    def _only_shared(self, base: str, sets: list[SelectionSetNode], asked: Path) -> None:
        """Outside of a fragment an interface has only what all its members have: the id."""
        for one in (held for selection in sets for held in selection.selections):
            if isinstance(one, FieldNode) and one.name.value not in {"id", "__typename"}:
                name = one.name.value
                self.errors.append(refusals.undefined_field(one, (*asked, name), base, name))

    def _members(self, base: str) -> tuple[str, ...]:
        if base in self._tables.types:
            return (base,)
        return self._tables.unions.get(base, ())

    def _checked_arguments(self, spec: Field, node: FieldNode, asked: Path) -> Json:
        args = self._arguments(node)
        for name, value in args.items():
            kind = spec.args.get(name)
            if kind is None:
                self.errors.append(refusals.undefined_argument(node, asked, node.name.value, name))
            elif value is not None and not self._fits(kind.rstrip("!"), value):
                wanted = kind.rstrip("!")
                self.errors.append(refusals.wrong_value(
                    node, asked, node.name.value, name, str(value), wanted))  # fmt: skip
        missing = [name for name, kind in spec.args.items()
                   if kind.endswith("!") and args.get(name) is None]  # fmt: skip
        if missing:
            self.errors.append(refusals.missing_arguments(node, asked, node.name.value, missing))
        return args

    def _fits(self, kind: str, value: Any) -> bool:
        if kind in self._tables.enums:
            return value in self._tables.enums[kind]
        if kind.startswith("["):
            inner = kind[1:-1].rstrip("!")
            return isinstance(value, list) and all(
                self._fits(inner, one) for one in cast(list[Any], value)
            )
        check: Callable[[Any], bool] = _SCALARS.get(kind, lambda _: True)
        return check(value)


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


_SCALARS: Mapping[str, Callable[[Any], bool]] = {
    "Int": _is_int,
    "String": lambda value: isinstance(value, str),
    "ID": lambda value: isinstance(value, str) or _is_int(value),
    "Boolean": lambda value: isinstance(value, bool),
}


def _type_text(node: Any) -> str:
    if node.kind == "non_null_type":
        return f"{_type_text(node.type)}!"
    if node.kind == "list_type":
        return f"[{_type_text(node.type)}]"
    return str(node.name.value)
