"""Which fields a Tryton database has for us, and whether the key's user may write them.

Prevents the field that does not exist from being found out record by record: Tryton answers it
with 500, the code of an accident.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from crm_integration.crms._contract import CrmField, FieldNeed
from crm_integration.crms._registry import crm_connector
from crm_integration.crms.tryton.answers import no_access
from crm_integration.crms.tryton.client import Client
from crm_integration.crms.tryton.kinds import Kind
from crm_integration.crms.tryton.notes import Notes
from crm_integration.crms.tryton.opportunities import Opportunities
from crm_integration.crms.tryton.parties import Parties
from crm_integration.errors import DataRejected, Permanent

KINDS: Final[dict[str, Kind]] = {
    kind.model: kind for kind in (Parties(), Opportunities(), Notes())
}  # fmt: skip
_RIGHTS: Final = ("read", "write", "create")


def kind_of(object_type: str) -> Kind:
    """What one of the engine's object types is in Tryton."""
    return KINDS[crm_connector("tryton").manifest.objects[object_type].type]


def describe(client: Client, object_type: str) -> dict[str, CrmField]:
    """All fields of one of the engine's object types by name.

    Raises Permanent where a module is missing, MissingScope where the user may not write.
    """
    kind = kind_of(object_type)
    check_models(client, kind.models)
    return {
        name: CrmField(name=name, kind=place.kind, read_only=False, unique=False)
        for name, place in kind.places.items()
    }


def check_models(client: Client, models: Sequence[str]) -> None:
    """Whether the database has these models, and the key's user rights on them; two calls."""
    rows = client.rows("ir.model", [["name", "in", list(models)]], ["name"])
    missing = sorted(set(models) - {str(row["name"]) for row in rows})
    if missing:
        raise Permanent(
            f"this Tryton has no {missing[0]}: activate the modules party and sale_opportunity",
            code="no_model",
        )
    rights = client.ask("ir.model.access", "get_access", {"models": list(models)}, kind=dict)
    for model in models:
        lacking = [right for right in _RIGHTS if not rights[model].get(right)]
        if lacking:
            raise no_access(model)


def check_needs(object_type: str, needs: Sequence[FieldNeed]) -> None:
    """Raises DataRejected for a field no kind of ours knows; Tryton takes no fields of ours."""
    known = kind_of(object_type).places
    for need in needs:
        if need.name not in known:
            raise DataRejected(
                f"Tryton has no place for the field {need.name} of {object_type}: map one of "
                f"{', '.join(known)}",
                field=need.name,
            )
        if need.written and need.kind != known[need.name].kind:
            raise DataRejected(
                f"the field {need.name} of {object_type} is {known[need.name].kind} in Tryton, "
                f"not {need.kind}: correct the mapping",
                field=need.name,
            )
