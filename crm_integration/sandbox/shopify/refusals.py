"""Every no that the GraphQL endpoint says, with Shopify's wording and code.

Prevents the failure of a connector that only knows one kind of error: a nonsense field, a missing
scope, an empty bucket and a too dear query all come as HTTP 200 and differ only in here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from graphql import Node, get_location

Json = dict[str, Any]
PathParts = Sequence[str | int]
_LIMITS = "https://shopify.dev/api/usage/rate-limits"


class Refused(Exception):
    """The whole request is refused; `errors` are GraphQL errors as Shopify writes them."""

    def __init__(self, errors: list[Json], *, with_data: bool = False) -> None:
        super().__init__(str(errors[0]["message"]))
        self.errors, self.with_data = errors, with_data


def error(
    message: str, node: Node | None, path: PathParts | None, extensions: Json | None = None
) -> Json:
    """One GraphQL error; locations come from the node."""
    made: Json = {"message": message}
    if node is not None and node.loc is not None:
        place = get_location(node.loc.source, node.loc.start)
        made["locations"] = [{"line": place.line, "column": place.column}]
    if path is not None:
        made["path"] = list(path)
    if extensions:
        made["extensions"] = extensions
    return made


def undefined_field(node: Node, path: PathParts, type_name: str, field: str) -> Json:
    return error(
        f"Field '{field}' doesn't exist on type '{type_name}'",
        node,
        path,
        {"code": "undefinedField", "typeName": type_name, "fieldName": field},
    )


def undefined_argument(node: Node, path: PathParts, field: str, argument: str) -> Json:
    return error(
        f"Field '{field}' doesn't accept argument '{argument}'",
        node,
        path,
        {
            "code": "argumentNotAccepted",
            "name": field,
            "typeName": "Field",
            "argumentName": argument,
        },
    )


def missing_arguments(node: Node, path: PathParts, field: str, names: list[str]) -> Json:
    told = ", ".join(names)
    return error(
        f"Field '{field}' is missing required arguments: {told}",
        node,
        path,
        {
            "code": "missingRequiredArguments",
            "className": "Field",
            "name": field,
            "arguments": told,
        },
    )


def wrong_value(
    node: Node, path: PathParts, field: str, argument: str, value: str, wanted: str
) -> Json:
    return error(
        f"Argument '{argument}' on Field '{field}' has an invalid value ({value})."
        f" Expected type '{wanted}'.",
        node,
        path,
        {
            "code": "argumentLiteralsIncompatible",
            "typeName": "Field",
            "argumentName": argument,
        },
    )


def selection_mismatch(
    node: Node, path: PathParts, field: str, type_name: str, *, leaf: bool
) -> Json:
    if leaf:
        message = (
            f"Selections can't be made on scalars (field '{field}' returns {type_name} but has"
            " selections)"
        )
    else:
        message = (
            f"Field must have selections (field '{field}' returns {type_name} but has no"
            f" selections. Did you mean '{field} {{ ... }}'?)"
        )
    return error(message, node, path, {"code": "selectionMismatch", "nodeName": f"field '{field}'",
                                       "typeName": type_name})  # fmt: skip


def access_denied(node: Node, path: PathParts, field: str, scope: str) -> Json:
    access = f"`{scope}` access scope."
    return error(
        f"Access denied for {field} field. Required access: {access}",
        node,
        path,
        {
            "code": "ACCESS_DENIED",
            "documentation": "https://shopify.dev/api/usage/access-scopes",
            "requiredAccess": access,
        },
    )


def bad_request(message: str, node: Node, path: PathParts) -> Refused:
    """Refused while executing: `data` is null, as Shopify answers for a page without a size."""
    return Refused([error(message, node, path, {"code": "BAD_REQUEST"})], with_data=True)


def throttled() -> Json:
    return error("Throttled", None, None, {"code": "THROTTLED", "documentation": _LIMITS})


def too_dear(cost: int, highest: int) -> Json:
    return error(
        f"Query cost is {cost}, which exceeds the single query max cost limit ({highest}).\n\n"
        "See https://shopify.dev/concepts/about-apis/rate-limits for more information on how the"
        "\ncost of a query is calculated.\n\nTo query larger amounts of data with fewer limits,"
        " bulk operations should be used instead.\nSee"
        " https://shopify.dev/api/usage/bulk-operations/queries for usage details.\n",
        None,
        None,
        {"code": "MAX_COST_EXCEEDED", "cost": cost, "maxCost": highest, "documentation": _LIMITS},
    )
