"""The GraphQL fields of bulk operations: what is told of one, and how one is begun.

Prevents the failure of a second backfill begun over the first: it is refused as Shopify does.
"""

from __future__ import annotations

from typing import Any

from graphql import GraphQLError, OperationDefinitionNode, parse

from crm_integration.sandbox.shopify.bulk import BulkRun
from crm_integration.sandbox.shopify.bulk_lines import BulkLines, problem
from crm_integration.sandbox.shopify.call import Call, Operation
from crm_integration.sandbox.shopify.execute import Named
from crm_integration.sandbox.shopify.listing import Sorted
from crm_integration.sandbox.shopify.plan import Planned, Planner, Tables
from crm_integration.sandbox.shopify.refusals import Refused
from crm_integration.sandbox.shopify.types import FieldTable, asked, connection, plain
from crm_integration.sandbox.shopify.values import gid, gid_parts, moment, moment_or_none

Json = dict[str, Any]
_KIND = "BulkOperation"


def find_run(call: Call, text: str) -> BulkRun | None:
    """An operation by its global id; looking at it lets it go on."""
    parts = gid_parts(text)
    if parts is None or parts[0] != _KIND:
        return None
    return call.operation.bulk.look(call.operation.bulk.runs.get(parts[1]))


def _runs(_: Any, call: Call) -> Sorted:
    bulk = call.operation.bulk
    pairs = [(run.created, run.id) for run in bulk.runs.values()]
    return Sorted(sorted(pairs), lambda key: bulk.look(bulk.runs.get(key)),
                  bool(call.args.get("reverse")))  # fmt: skip


def _cancel(_: Any, call: Call) -> Json:
    run = find_run(call, str(call.args["id"]))
    if run is None:
        told = _told("Bulk operation does not exist", ["id"], "INVALID")
        return {"bulkOperation": None, "userErrors": [told]}
    if run.completed is not None:
        message = f"A bulk operation cannot be canceled when it is {run.status.lower()}"
        return {"bulkOperation": run, "userErrors": [_told(message, ["id"], "INVALID")]}
    call.operation.bulk.cancel(run)
    return {"bulkOperation": run, "userErrors": []}


def _told(message: str, where: list[str] | None, code: str) -> Json:
    return {"field": where, "message": message, "code": code}


class BulkStarter:
    """Begins operations: it knows all tables, which the fields themselves do not."""

    def __init__(self, tables: Tables, named: Named) -> None:
        self._tables, self._named = tables, named

    def start(self, _: Any, call: Call) -> Json:
        """The payload of bulkOperationRunQuery."""
        bulk, query = call.operation.bulk, str(call.args["query"])
        if (busy := bulk.busy()) is not None:
            message = (
                "A bulk query operation for this app and shop is already in progress:"
                f" {gid(_KIND, busy.id)}."
            )
            told = _told(message, None, "OPERATION_IN_PROGRESS")
            return {"bulkOperation": None, "userErrors": [told]}
        roots, wrong = self._planned(query, call.operation)
        if wrong:
            told = _told(wrong, ["query"], "INVALID")
            return {"bulkOperation": None, "userErrors": [told]}
        run = bulk.start(
            query,
            BulkLines(roots, self._named),
            call.operation.base_url,
            grouped=bool(call.args.get("groupObjects")),
        )
        return {"bulkOperation": run, "userErrors": []}

    def _planned(self, query: str, operation: Operation) -> tuple[list[Planned], str]:
        """The plan of a bulk query over a view of the shop of its own, or what is wrong."""
        own = Operation(
            operation.shop,
            operation.scopes,
            operation.bulk,
            operation.subscriptions,
            operation.api_version,
            operation.base_url,
        )
        try:
            document = parse(query)
            planner = Planner(self._tables, document, own, {}, paged=False)
            asked_for = [one for one in document.definitions
                         if isinstance(one, OperationDefinitionNode)]  # fmt: skip
            roots = planner.plan(asked_for[0])
        except GraphQLError as wrong:
            return [], f"Invalid bulk query: {wrong.message}"
        except Refused as refused:
            messages = ", ".join(str(one["message"]) for one in refused.errors)
            return [], f"Invalid bulk query: {messages}"
        return roots, problem(roots)


BULK_TABLES: dict[str, FieldTable] = {
    _KIND: {
        "id": plain("ID!", lambda run: gid(_KIND, run.id)),
        "status": plain("BulkOperationStatus!", lambda run: run.status),
        "type": plain("BulkOperationType!", lambda _: "QUERY"),
        "errorCode": plain("BulkOperationErrorCode", lambda run: run.error_code),
        "createdAt": plain("DateTime!", lambda run: moment(run.created)),
        "completedAt": plain("DateTime", lambda run: moment_or_none(run.completed)),
        "objectCount": plain("UnsignedInt64!", lambda run: str(run.objects)),
        "rootObjectCount": plain("UnsignedInt64!", lambda run: str(run.roots)),
        "fileSize": plain("UnsignedInt64", lambda run: str(run.file_size)
                          if run.status == "COMPLETED" and run.file_size else None),
        "url": plain("URL", lambda run: run.url if run.status == "COMPLETED" else None),
        "partialDataUrl": plain("URL", lambda run: (
            run.partial_url if run.status == "FAILED" else None)),
        "query": plain("String!", lambda run: run.query),
    },
    "BulkOperationRunQueryPayload": {
        "bulkOperation": plain(_KIND, lambda payload: payload["bulkOperation"]),
        "userErrors": plain("[BulkOperationUserError!]!", lambda payload: payload["userErrors"]),
    },
    "BulkOperationCancelPayload": {
        "bulkOperation": plain(_KIND, lambda payload: payload["bulkOperation"]),
        "userErrors": plain("[UserError!]!", lambda payload: payload["userErrors"]),
    },
    "BulkOperationUserError": {
        "field": plain("[String!]", lambda one: one["field"]),
        "message": plain("String!", lambda one: one["message"]),
        "code": plain("BulkOperationUserErrorCode", lambda one: one["code"]),
    },
}  # fmt: skip
BULK_QUERIES: FieldTable = {
    "bulkOperation": asked(
        _KIND, lambda _, call: find_run(call, str(call.args["id"])), {"id": "ID!"}),
    "currentBulkOperation": asked(
        _KIND, lambda _, call: call.operation.bulk.look(call.operation.bulk.latest()),
        {"type": "BulkOperationType"}),
    "bulkOperations": connection(
        "BulkOperationConnection!", _runs, {"sortKey": "BulkOperationsSortKeys"}),
}  # fmt: skip
BULK_MUTATIONS: FieldTable = {
    "bulkOperationCancel": asked("BulkOperationCancelPayload", _cancel, {"id": "ID!"}),
}
RUN_QUERY_ARGS = {"query": "String!", "groupObjects": "Boolean"}
