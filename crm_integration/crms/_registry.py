"""Finds the CRM adapters by their folders.

Prevents the edit elsewhere: a new CRM is a new folder, and nothing lists its name.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, Literal, cast

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from crm_integration.credentials.logins import OAuthLogin
from crm_integration.crms._contract import Adapter, CrmAccess, DescribeModule, Gate
from crm_integration.errors import BadInput
from crm_integration.transport.quota import CallBudget

_HERE = Path(__file__).parent

Offer = Literal["archive", "changes", "dissociate", "keyed"]


class CrmObject(BaseModel):
    """Where one of the engine's object types lands in this CRM."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: str
    batch: int
    """Records a call."""
    match_field: str | None = None
    """The CRM field that holds the match key for adoption (contacts: e-mail, companies: name)."""


class CrmManifest(BaseModel):
    """`manifest.yaml` of a CRM."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    crm: str
    title: str
    api_version: str
    key_field: str
    """The unique field of ours on every record."""
    objects: dict[str, CrmObject]
    budgets: dict[str, CallBudget]
    """Endpoint class -> its budget; `all` counts every call, `day` those of a day."""
    secrets: tuple[str, ...]
    logins: dict[str, OAuthLogin] = {}
    """Other ways to log in, by name, whose tokens run out and are renewed."""
    settings: tuple[str, ...] = ()
    offers: tuple[Offer, ...] = ()
    """What this adapter has of the methods that may be absent."""
    changes_lag_seconds: int = 0
    """How late `changed_since` may hear of a change."""
    read_delay_seconds: int = 0
    """How late `read` may show what was written."""


@dataclass(frozen=True)
class CrmConnector:
    """A CRM's modules, imported on first use."""

    manifest: CrmManifest
    describe: DescribeModule

    def open(self, access: CrmAccess, gate: Gate) -> Adapter:
        """An adapter for one connection; the caller closes it."""
        package = f"crm_integration.crms.{self.manifest.crm}"
        client: Any = import_module(f"{package}.client").Client(access, gate)
        return cast(Adapter, import_module(f"{package}.adapter").Adapter(client, self.manifest))


@cache
def crms() -> tuple[str, ...]:
    """Names of all CRMs that have a folder with a manifest."""
    return tuple(sorted(path.parent.name for path in _HERE.glob("*/manifest.yaml")))


@cache
def crm_connector(crm: str) -> CrmConnector:
    """The connector of a CRM. Raises BadInput for an unknown one or a broken manifest."""
    if crm not in crms():
        raise BadInput(f"no CRM connector {crm!r}; there are: {', '.join(crms())}")
    path = _HERE / crm / "manifest.yaml"
    try:
        manifest = CrmManifest.model_validate(yaml.safe_load(path.read_text("utf-8")))
    except ValidationError as error:
        raise BadInput(f"{path.name} of CRM {crm!r} is wrong: {error}") from error
    module = import_module(f"crm_integration.crms.{crm}.describe")
    return CrmConnector(manifest=manifest, describe=cast(DescribeModule, module))
