"""HubSpot's merge of two records of one type, over HTTP.

Prevents the failure where a sync meets its first merge in a merchant's account: sales merge
duplicates every day.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from crm_integration.sandbox.hubspot_answers import (
    answer,
    invalid,
    json_body,
    not_found,
    record_json,
)
from crm_integration.sandbox.hubspot_objects import kind_of
from crm_integration.sandbox.portal_merges import merge
from crm_integration.sandbox.portal_properties import MERGEABLE
from crm_integration.sandbox.portal_state import PortalState


class MergeEndpoint:
    """Handler over one portal."""

    def __init__(self, portal: PortalState) -> None:
        self._portal = portal

    async def merge(self, request: Request) -> Response:
        """POST objects/{kind}/merge {primaryObjectId, objectIdToMerge}"""
        kind, body = kind_of(request), await json_body(request)
        if kind not in MERGEABLE:
            raise invalid(f"{kind} cannot be merged")
        named = (str(body.get("primaryObjectId", "")), str(body.get("objectIdToMerge", "")))
        primary, other = (self._portal.get(kind, key) for key in named)
        if primary is None or other is None:
            raise not_found()
        if primary is other:
            raise invalid("A record cannot be merged into itself")
        return answer(record_json(kind, merge(self._portal, kind, primary, other), None))
