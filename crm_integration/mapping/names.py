"""Names of mapping versions as people type them: `hubspot/contact@v2`.

Prevents the replay through another version than the one that was meant: a name is taken apart at
one place, and what it names must be there.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path

from crm_integration.errors import BadInput
from crm_integration.mapping.load import versions
from crm_integration.mapping.model import CompiledMapping
from crm_integration.mapping.tenant_file import TenantConfig, compiled_mappings

_NAME = re.compile(r"([a-z0-9_-]+)/([a-z0-9_-]+)@v([1-9][0-9]{0,5})")
_VERSION = re.compile(r"@?v([1-9][0-9]{0,5})")


@dataclass(frozen=True)
class MappingName:
    """One version of one mapping."""

    crm: str
    object_type: str
    version: int

    def __str__(self) -> str:
        return f"{self.crm}/{self.object_type}@v{self.version}"

    @property
    def mapping_id(self) -> str:
        """As every CRM write names it."""
        return f"{self.crm}/{self.object_type}/v{self.version}"

    @classmethod
    def read(cls, text: str, root: Path) -> MappingName:
        """Raises BadInput, with what there is, for a name of nothing below `root`."""
        found = _NAME.fullmatch(text.strip())
        if found is None:
            raise BadInput(f"{text[:60]!r} names no mapping: write it as hubspot/contact@v2")
        return cls(found[1], found[2], int(found[3]))._there(root)

    def other(self, text: str, root: Path) -> MappingName:
        """Another version of the same mapping, as `@v3`; or a whole name of it."""
        found = _VERSION.fullmatch(text.strip())
        if found is not None:
            return replace(self, version=int(found[1]))._there(root)
        named = MappingName.read(text, root)
        if (named.crm, named.object_type) != (self.crm, self.object_type):
            raise BadInput(f"{named} is no version of {self.crm}/{self.object_type}")
        return named

    def _there(self, root: Path) -> MappingName:
        there = versions(root, self.crm, self.object_type)
        if self.version not in there:
            known = ", ".join(f"v{one}" for one in there) or "none"
            raise BadInput(f"there is no {self}; versions of it: {known}")
        return self


def as_pinned(root: Path, config: TenantConfig, name: MappingName) -> dict[str, CompiledMapping]:
    """The tenant's mappings as they would be with this version pinned, its overrides on top.

    Raises BadInput for a mapping of a CRM that the tenant does not use, BadMapping where an
    override does not fit that version.
    """
    if name.crm != config.crm:
        raise BadInput(f"{config.tenant} uses {config.crm or 'no CRM'}: {name} is not for it")
    pinned = replace(config, pins={**config.pins, name.object_type: name.version})
    return compiled_mappings(root, pinned)
