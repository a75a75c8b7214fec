"""Finds the store connectors by their folders.

Prevents the edit elsewhere: a new platform is a new folder, and nothing lists its name.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Literal, cast

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from crm_integration.credentials.logins import OAuthLogin
from crm_integration.errors import BadInput
from crm_integration.stores._contract import (
    Client,
    ExtractModule,
    StoreAccess,
    ToCanonicalModule,
    WebhookModule,
)
from crm_integration.stores._signing import WebhookSigning
from crm_integration.transport.quota import CallBudget

_HERE = Path(__file__).parent


class Topic(BaseModel):
    """What a webhook topic tells of."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    object_type: str
    event: Literal["created", "updated", "deleted"]


class StoreManifest(BaseModel):
    """`manifest.yaml` of a store platform."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    platform: str
    title: str
    api_version: str
    object_types: tuple[str, ...]
    """In the order in which they are extracted: a parent before what needs it."""
    swept: tuple[str, ...] = ()
    """Types whose listing has no usable filter on source time."""
    counted: tuple[str, ...] = ()
    """Types of which every listing by time states how many objects it holds (`Page.listed`)."""
    dear: tuple[str, ...] = ()
    """Types whose listing costs a call an object: polled every few hours only."""
    parents: dict[str, str] = {}
    """Object type -> the type its payload cannot be read without."""
    yields: dict[str, tuple[str, ...]] = {}
    """Object type -> the entities its payload stands for; left out: the type itself."""
    shape: str = ""
    """The form of payload that `to_canonical` reads (see `SourceObject.shape`)."""
    required_paths: dict[str, tuple[str, ...]] = {}
    """Object type -> JSON paths (`customer.email`, `lines[].sku`) that `to_canonical` cannot do
    without: when they vanish or change their type, the store's API has drifted."""
    budgets: dict[str, CallBudget] = {}
    """Endpoint class -> its budget as the vendor meters it; `all` counts every call, `day` those of
    a day."""
    metered_secret: str | None = None
    """The secret whose holder is metered as one account, whoever's tenant calls (an API key that
    serves all tenants); None: each connection is an account of its own."""
    webhooks: WebhookSigning | None = None
    """How deliveries are signed; without it the receiver takes none."""
    topics: dict[str, Topic] = {}
    """What a store is to be subscribed to, as its deliveries name it."""
    secrets: tuple[str, ...]
    """Names of the credentials a connection must hold."""
    logins: dict[str, OAuthLogin] = {}
    """Other ways to log in, by name, whose tokens run out and are renewed."""
    settings: tuple[str, ...] = ()
    """Names of the connection settings this connector understands."""

    def entities_of(self, object_type: str) -> tuple[str, ...]:
        """The entities that a payload of this type stands for."""
        return self.yields.get(object_type, (object_type,))


@dataclass(frozen=True)
class StoreConnector:
    """A platform's modules, imported on first use."""

    manifest: StoreManifest
    extract: ExtractModule
    canonical: ToCanonicalModule
    webhook: WebhookModule

    def open(self, access: StoreAccess) -> Client:
        """A client for one connection; the caller closes it."""
        module = import_module(f"crm_integration.stores.{self.manifest.platform}.client")
        return cast(Client, module.Client(access))


@cache
def platforms() -> tuple[str, ...]:
    """Names of all platforms that have a folder with a manifest."""
    return tuple(sorted(path.parent.name for path in _HERE.glob("*/manifest.yaml")))


@cache
def connector(platform: str) -> StoreConnector:
    """The connector of a platform. Raises BadInput for an unknown one or a broken manifest."""
    if platform not in platforms():
        raise BadInput(f"no store connector {platform!r}; there are: {', '.join(platforms())}")
    path = _HERE / platform / "manifest.yaml"
    try:
        manifest = StoreManifest.model_validate(yaml.safe_load(path.read_text("utf-8")))
    except ValidationError as error:
        raise BadInput(f"{path.name} of store {platform!r} is wrong: {error}") from error
    package = f"crm_integration.stores.{platform}"
    return StoreConnector(
        manifest=manifest,
        extract=cast(ExtractModule, import_module(f"{package}.extract")),
        canonical=cast(ToCanonicalModule, import_module(f"{package}.to_canonical")),
        webhook=cast(WebhookModule, import_module(f"{package}.webhook")),
    )
