"""What we ask Shopify for, against the official schema of the version that we ask."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from graphql import (
    FieldNode,
    GraphQLError,
    InlineFragmentNode,
    IntValueNode,
    OperationDefinitionNode,
    is_composite_type,
    is_list_type,
    is_non_null_type,
    is_wrapping_type,
    parse,
    validate,
)
from graphql.validation import NoDeprecatedCustomRule, specified_rules

from crm_integration.stores._registry import connector
from crm_integration.stores.shopify import documents as gql
from crm_integration.stores.shopify.documents import LONGEST_QUERY, Document
from crm_integration.stores.shopify.objects import TYPES
from crm_integration.stores.shopify.paging import search_in
from crm_integration_tests.published import shopify_admin_schema

_FIXED = (
    gql.SHOP, gql.BULK_RUN, gql.BULK_STATE, gql.PARCEL_LINES, gql.MORE_PARCEL_LINES,
    gql.WEBHOOKS, gql.WEBHOOK_CREATE, gql.WEBHOOK_DELETE,
)  # fmt: skip


def documents() -> Iterator[Document]:
    yield from _FIXED
    for kind in TYPES.values():
        yield from (kind.listing, kind.direct)
        if kind.more is not None:
            yield kind.more


def bulk_texts() -> list[tuple[str, str]]:
    return [(kind.name, kind.bulk_text(search_in(kind, None))) for kind in TYPES.values()]


def complaints(text: str) -> list[GraphQLError]:
    rules = [*specified_rules, NoDeprecatedCustomRule]
    return validate(shopify_admin_schema(gql.API_VERSION), parse(text), rules)


@pytest.mark.parametrize("document", list(documents()), ids=lambda document: document.name)
def test_every_document_is_valid_and_uses_nothing_deprecated(document: Document) -> None:
    """`Customer.email` was a field of every tutorial and is deprecated: gone within a year."""
    assert complaints(document.text) == []


@pytest.mark.parametrize(("name", "text"), bulk_texts())
def test_every_bulk_query_is_valid_and_keeps_bulks_own_rules(name: str, text: str) -> None:
    """Bulk refuses connections within lists, more than five, and more than two levels."""
    assert complaints(text) == []
    schema = shopify_admin_schema(gql.API_VERSION)
    found = list(connections(schema, operation(text).selection_set, schema.query_type))
    assert found and len(found) <= 5
    assert all(depth <= 2 and not in_list for depth, in_list in found)


def test_the_version_asked_for_is_the_manifests() -> None:
    """Two places name it; a half upgrade would validate one version and ask another."""
    assert connector("shopify").manifest.api_version == gql.API_VERSION


@pytest.mark.parametrize("document", list(documents()), ids=lambda document: document.name)
def test_no_page_costs_more_than_a_single_query_may(document: Document) -> None:
    """The rule is written down in documents.py; the real charge is lower, never higher."""
    schema = shopify_admin_schema(gql.API_VERSION)
    kind = next((kind for kind in TYPES.values() if kind.listing is document), None)
    sizes = {"first": document.size, "nested": kind.first if kind else 0, "ids": document.size}
    asked = operation(document.text)
    root = schema.mutation_type if asked.operation.value == "mutation" else schema.query_type
    cost = price(schema, asked.selection_set, root, sizes)
    cost += 10 if asked.operation.value == "mutation" else 0
    assert cost == document.cost <= LONGEST_QUERY


def operation(text: str) -> OperationDefinitionNode:
    found = parse(text).definitions[0]
    assert isinstance(found, OperationDefinitionNode)
    return found


def named_type(declared: Any) -> Any:
    """The type without its lists and its marks of being required."""
    while is_wrapping_type(declared):
        declared = declared.of_type
    return declared


def price(schema: Any, selections: Any, parent: Any, sizes: dict[str, int]) -> int:
    """Objects 1, scalars 0, a connection 2 + first x node, `nodes(ids:)` one node for each id."""
    total = 0
    for node in selections.selections if selections else ():
        if isinstance(node, InlineFragmentNode):
            inner = schema.type_map[node.type_condition.name.value]
            total += price(schema, node.selection_set, inner, sizes)
            continue
        assert isinstance(node, FieldNode)
        declared = parent.fields[node.name.value].type
        named = named_type(declared)
        if not is_composite_type(named):
            continue
        inner = price(schema, node.selection_set, named, sizes)
        arguments: list[Any] = list(node.arguments)
        below: Any = node.selection_set
        size = size_of(node, sizes)
        if named.name.endswith("Connection"):
            page = next(n for n in below.selections if n.name.value == "nodes")
            item = 1 + price(schema, page.selection_set, node_type(named), sizes)
            total += 2 + (inner - item) + size * item
        elif node.name.value == "nodes" and "ids" in {arg.name.value for arg in arguments}:
            total += sizes["ids"] * (1 + inner)
        else:
            total += 1 + inner
    return total


def is_list(declared: Any) -> bool:
    return is_list_type(declared.of_type if is_non_null_type(declared) else declared)


def node_type(connection: Any) -> Any:
    return named_type(connection.fields["nodes"].type)


def size_of(node: FieldNode, sizes: dict[str, int]) -> int:
    for argument in node.arguments:
        if argument.name.value == "first":
            value: Any = argument.value
            return int(value.value) if isinstance(value, IntValueNode) else sizes[value.name.value]
    return 0


def connections(
    schema: Any, selections: Any, parent: Any, depth: int = 0, in_list: bool = False
) -> Iterator[tuple[int, bool]]:
    """(nesting level, whether below a plain list) of every connection; the root's is level 0."""
    for node in selections.selections if selections else ():
        declared = parent.fields[node.name.value].type
        named = named_type(declared)
        if not is_composite_type(named):
            continue
        inside, listed = depth, in_list
        if named.name.endswith("Connection"):
            yield depth, in_list
            inside += 1
        elif is_list(declared) and node.name.value not in ("edges",):
            listed = True
        yield from connections(schema, node.selection_set, named, inside, listed)
