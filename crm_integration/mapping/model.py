"""The values the mapping room hands around: rules, mappings, compiled mappings.

Prevents the write nobody can explain: every CRM field has one rule that names where its value
comes from and who may change it, and a rule never changes under a version number.
"""

from __future__ import annotations

from collections import abc
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from typing import Any, Literal
from uuid import UUID

FieldValue = str | int | float | bool | None
"""What a CRM field can hold; money travels as decimal text, times as ISO text or milliseconds."""

View = abc.Mapping[str, Any]
"""`view.model_dump()` of a canonical view: aware datetimes, UUIDs, str enums, dicts or None."""

Owner = Literal["store", "crm"]
Rule = Literal[
    "overwrite",
    "never",
    "fill_empty",
    "newest_wins",
    "never_regress",
    "append",
    "consent",
    "with_consent",
]

OBJECT_TYPES = ("company", "contact", "product", "order", "refund", "cart", "activity")
"""The engine's object types in the order in which they are sent: a record comes after those it
belongs to. A CRM's manifest says where each lands."""

OWNERS: tuple[Owner, ...] = ("store", "crm")
RULES: dict[Rule, tuple[Owner, ...]] = {
    "overwrite": ("store",),
    "never": ("crm",),
    "fill_empty": ("store", "crm"),
    "newest_wins": ("store", "crm"),
    "never_regress": ("store", "crm"),
    "append": ("store", "crm"),
    "consent": ("store",),
    "with_consent": ("store",),
}
"""Rule -> owners it makes sense with; architecture, promises 4 and 5."""

CRM_KINDS = ("text", "number", "datetime", "date", "bool", "enum")


@dataclass(frozen=True)
class FieldRule:
    """How one CRM field is fed and who owns it.

    `paths` is empty for a constant (`value`). `options` belong to the transform; `order` are
    the values of `never_regress` from first to last (empty: numbers and times order themselves).
    `opt_out` of a `consent` field is the CRM's own opt-out, read and never written; `consent` of
    a `with_consent` field names the consent it tells more about. `back`: the CRM's value of a
    `never` field is read and kept.
    """

    name: str
    kind: str
    owner: Owner
    rule: Rule
    paths: tuple[str, ...] = ()
    transform: str | None = None
    options: abc.Mapping[str, Any] = field(default_factory=lambda: dict[str, Any]())
    order: tuple[str, ...] = ()
    value: FieldValue = None
    required: bool = False
    label: str = ""
    opt_out: str = ""
    consent: str = ""
    back: bool = False

    @property
    def compared_as(self) -> str:
        """What `normalised` compares by: the kind, or `email` (CRMs lower its letters)."""
        return "email" if self.transform == "email" else self.kind


@dataclass(frozen=True)
class Match:
    """Adoption: CRM records whose `field` equals the view's `path` may be ours already."""

    field: str
    path: str


@dataclass(frozen=True)
class AssociationRule:
    """The record belongs to the record of type `to` whose canonical id `path` yields."""

    to: str
    path: str


@dataclass(frozen=True)
class Mapping:
    """One mapping file as it was released. `specs` are the fields as written, for overrides."""

    crm: str
    object_type: str
    version: int
    entity: str
    digest: str
    """sha256 of the file's bytes, in hex."""
    path: str
    fields: abc.Mapping[str, FieldRule]
    specs: abc.Mapping[str, abc.Mapping[str, Any]] = field(repr=False)
    match: Match | None = None
    associations: tuple[AssociationRule, ...] = ()

    @property
    def id(self) -> str:
        """`hubspot/contact/v1`; every CRM write names it."""
        return f"{self.crm}/{self.object_type}/v{self.version}"


@dataclass(frozen=True)
class FieldOverride:
    """What a tenant file changes of one field: any subset of the field's keys."""

    values: abc.Mapping[str, Any]
    path: str
    line: int


@dataclass(frozen=True)
class CompiledMatch:
    """`read(view)` is the value to look for in the CRM's `field`, or None."""

    field: str
    read: abc.Callable[[View], str | None]


@dataclass(frozen=True)
class CompiledMapping:
    """A mapping as plain functions over a view.

    `project(view)` yields every mapped field and nothing else; raises `DataRejected(field)` when
    a value cannot be turned (an enum without a counterpart, an unknown currency).
    `associations(view)` yields (object type, canonical id) pairs, those that are None left out.
    `digest` is the mapping file's; `overridden` names the fields the tenant changed.
    """

    mapping_id: str
    digest: str
    object_type: str
    entity: str
    fields: abc.Mapping[str, FieldRule]
    project: abc.Callable[[View], dict[str, FieldValue]]
    associations: abc.Callable[[View], tuple[tuple[str, UUID], ...]]
    match: CompiledMatch | None = None
    overridden: tuple[str, ...] = ()

    @cached_property
    def rules_digest(self) -> str:
        """Of the mapping file and of what the tenant overrides in it: either change is another
        wish, and only who works by the same rules may send it."""
        rules = repr(sorted(self.fields.items())).encode()
        return sha256(self.digest.encode() + rules).hexdigest()

    @property
    def opt_outs(self) -> tuple[str, ...]:
        """The CRM's own opt-out fields: read right before a write, never written."""
        found = (rule.opt_out for rule in self.fields.values() if rule.opt_out)
        return tuple(dict.fromkeys(found))

    @property
    def backs(self) -> tuple[str, ...]:
        """The CRM's own fields whose values are wanted back."""
        return tuple(name for name, rule in self.fields.items() if rule.back)

    @property
    def reads(self) -> tuple[str, ...]:
        """What to read of a CRM record before it is decided: written fields and opt-outs."""
        return (*self.fields, *self.opt_outs)

    def missing(self, values: abc.Mapping[str, FieldValue]) -> tuple[str, ...]:
        """Required fields without a value: such a record must not be written."""
        return tuple(
            name
            for name, rule in self.fields.items()
            if rule.required and values.get(name) in (None, "")
        )
