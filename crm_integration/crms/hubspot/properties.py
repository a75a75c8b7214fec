"""Makes our own properties in a HubSpot account, and refuses mappings to ones that are missing.

Prevents 100 refused records for one property that nobody had created, and an upsert by a key
that is not unique.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from crm_integration.crms._contract import CrmField, FieldNeed
from crm_integration.crms.hubspot.client import Client
from crm_integration.crms.hubspot.describe import fields_of
from crm_integration.errors import Conflict, DataRejected, RemoteError

OWN_PREFIX: Final = "ci_"
_GROUP: Final = "crm_integration"
_YES_NO: Final = [{"label": "Yes", "value": "true"}, {"label": "No", "value": "false"}]
_SHAPES: Final[dict[str, dict[str, Any]]] = {
    "text": {"type": "string", "fieldType": "text"},
    "number": {"type": "number", "fieldType": "number"},
    "datetime": {"type": "datetime", "fieldType": "date"},
    "date": {"type": "date", "fieldType": "date"},
    "bool": {"type": "enumeration", "fieldType": "booleancheckbox", "options": _YES_NO},
    # An enumeration needs its options beforehand, and stores add words: kept as text.
    "enum": {"type": "string", "fieldType": "text"},
}
_STORED_AS: Final = {"enum": "text"}


def prepare_type(
    client: Client, hubspot_type: str, key_field: str, needs: Sequence[FieldNeed]
) -> None:
    """Create the key and our `ci_*` properties that are missing; one call if none is.

    Raises DataRejected(field) for a field that exists nowhere and is not ours, for one to be
    written that HubSpot computes itself, and for one of ours that exists in another shape. A
    field that is only read must exist: a batch read leaves out an unknown one without a word,
    and a misspelt opt-out would let every opt-in through.
    """
    there = fields_of(client, hubspot_type)
    wanted = [FieldNeed(key_field, "text", "Integration key"), *needs]
    for need in wanted:
        _check(need, there.get(need.name), must_be_unique=need.name == key_field)
    missing = {need.name: need for need in wanted if need.name not in there}
    if missing:
        _make(client, f"crm/v3/properties/{hubspot_type}/groups", _group())
    for need in missing.values():
        body = _definition(need, unique=need.name == key_field)
        _make(client, f"crm/v3/properties/{hubspot_type}", body)


def _check(need: FieldNeed, found: CrmField | None, *, must_be_unique: bool) -> None:
    ours = need.written and need.name.startswith(OWN_PREFIX)
    problem = ""
    if found is None:
        problem = "" if ours else "does not exist: create it in HubSpot or correct the mapping"
    elif need.written and found.read_only:
        problem = "is computed by HubSpot: take it out of the mapping"
    elif must_be_unique and not found.unique:
        problem = "exists but is not unique: archive it, we create it anew"
    elif ours and found.kind != _STORED_AS.get(need.kind, need.kind):
        problem = f"exists as {found.kind}, we need {need.kind}: archive it or rename ours"
    if problem:
        raise DataRejected(f"the HubSpot property {need.name} {problem}", field=need.name)


def _group() -> dict[str, Any]:
    return {"name": _GROUP, "label": "CRM integration", "displayOrder": -1}


def _definition(need: FieldNeed, *, unique: bool) -> dict[str, Any]:
    label = need.label or need.name.removeprefix(OWN_PREFIX).replace("_", " ").capitalize()
    definition = {"name": need.name, "label": label, "groupName": _GROUP, **_SHAPES[need.kind]}
    return {**definition, "hasUniqueValue": True} if unique else definition


def _make(client: Client, path: str, body: dict[str, Any]) -> None:
    """Create; that it exists by now (409: another worker was faster) is as good."""
    try:
        client.write(path, body, budget="properties")
    except Conflict:
        return
    except RemoteError as error:
        if error.status != 409:
            raise
