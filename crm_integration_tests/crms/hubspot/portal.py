"""A HubSpot account in memory, to script answers that a server gives only by bad luck.

The shapes are those of HubSpot's v3 objects API. Tests that need real HTTP run against the
sandbox; these need exact control over single answers.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx
import respx

BASE = "https://api.hubapi.com"


class Portal:
    """Records by id, every call kept, and hooks to judge batches and records."""

    def __init__(self) -> None:
        self.records: dict[str, dict[str, str]] = {}
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.script: list[httpx.Response | Exception | None] = []
        self.drop_after_commit: Exception | None = None
        self.judge_batch: Callable[[list[dict[str, Any]]], httpx.Response | None] = lambda _: None
        self.judge_record: Callable[[dict[str, Any]], dict[str, Any] | None] = lambda _: None
        self.elsewhere: Callable[[dict[str, Any]], httpx.Response] = lambda _: httpx.Response(404)
        self.echo_traces = True
        self._next_id = 1000

    def mount(self, router: respx.MockRouter) -> None:
        router.route(host="api.hubapi.com").mock(side_effect=self.answer)

    def answer(self, request: httpx.Request) -> httpx.Response:
        body: dict[str, Any] = json.loads(request.content or b"{}")
        self.calls.append((request.url.path, body))
        scripted = self.script.pop(0) if self.script else None
        if isinstance(scripted, Exception):
            raise scripted
        if scripted is not None:
            return scripted
        action = request.url.path.rsplit("/", 1)[-1]
        if action in ("upsert", "update"):
            return self._write(body["inputs"])
        if action == "read":
            return self._read(body)
        return self.elsewhere(body)

    def paths(self) -> list[str]:
        return [path for path, _ in self.calls]

    def written(self) -> list[str]:
        """Keys of all records sent in upserts that were carried out or refused, in order."""
        return [i["id"] for path, body in self.calls if "batch" in path for i in body["inputs"]]

    def _write(self, inputs: list[dict[str, Any]]) -> httpx.Response:
        refused = self.judge_batch(inputs)
        if refused is not None:
            return refused
        results, errors = list[dict[str, Any]](), list[dict[str, Any]]()
        for given in inputs:
            problem = self.judge_record(given)
            errors.append(problem) if problem else results.append(self._store(given))
        if self.drop_after_commit is not None:
            dropped, self.drop_after_commit = self.drop_after_commit, None
            raise dropped
        body: dict[str, Any] = {"status": "COMPLETE", "results": list(reversed(results))}
        if errors:
            body |= {"numErrors": len(errors), "errors": errors}
        return httpx.Response(207 if errors else 200, json=body)

    def _store(self, given: dict[str, Any]) -> dict[str, Any]:
        record_id, new = self._find(given)
        record = self.records.setdefault(record_id, {})
        record |= given["properties"]
        if "email" in record:
            record["email"] = record["email"].lower()
        result: dict[str, Any] = {
            "id": record_id,
            "properties": dict(record),
            "createdAt": "2026-01-05T10:00:00Z",
            "updatedAt": "2026-01-05T10:00:00.250Z",
        }
        if "idProperty" in given:
            result["new"] = new
        if self.echo_traces:
            result["objectWriteTraceId"] = given["objectWriteTraceId"]
        return result

    def _find(self, given: dict[str, Any]) -> tuple[str, bool]:
        if "idProperty" not in given:
            return given["id"], False
        for record_id, record in self.records.items():
            if record.get(given["idProperty"]) == given["id"]:
                return record_id, False
        self._next_id += 1
        return str(self._next_id), True

    def _read(self, body: dict[str, Any]) -> httpx.Response:
        id_property = body.get("idProperty")
        asked = [given["id"] for given in body["inputs"]]
        found = [
            {"id": i, "properties": r, "updatedAt": "2026-01-05T10:00:00Z"}
            for i, r in self.records.items()
            if (r.get(id_property) if id_property else i) in asked
        ]
        missing = len(asked) - len(found)
        gone = error("OBJECT_NOT_FOUND", "Could not get some objects", ids=["x"] * missing)
        answer = {"results": found, **({"errors": [gone]} if missing else {})}
        return httpx.Response(207 if missing else 200, json=answer)


def error(category: str, message: str, **context: list[str]) -> dict[str, Any]:
    """An error body as HubSpot shapes it."""
    return {"status": "error", "category": category, "message": message, "context": context}
